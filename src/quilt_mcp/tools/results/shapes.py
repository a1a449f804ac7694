"""From the domain's values to the JSON of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from quilt_mcp.domain.diff import DiffTotals, EntryChange, FieldChange, first_fields
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.listing import (
    FileCheck,
    Item,
    ObjectListing,
    PackageListing,
    RegistryListing,
    Revision,
    Totals,
    WorkflowListing,
)
from quilt_mcp.domain.plan import FIELDS_OF_ENTRY, FIELDS_OF_PACKAGE, Plan, PlannedChange
from quilt_mcp.domain.printable import address as printable_address
from quilt_mcp.domain.printable import printable
from quilt_mcp.tools.vocabulary import NUMBER, TEXT, Schema, fields, listed

HASH: Schema = fields(type=TEXT, value=TEXT)
LATEST = "latest"
SHORT = 10
"""Digits of a short hash: two revisions of a package share them once in a million million."""
TOTALS: Schema = fields(entries=NUMBER, bytes=NUMBER)
FIELDS: Schema = listed(fields(field=TEXT, before={}, after={}))
_CELL: Schema = fields(column=TEXT, before={}, after={})
_ONE_SIDED: Schema = listed(
    fields(key=listed({}), values={"type": "object"}, columns_total=NUMBER, count=NUMBER)
)
TABLES: Schema = listed(
    fields(
        path=TEXT,
        old_path=TEXT,
        keys=listed(TEXT),
        tolerance=TEXT,
        rows={"additionalProperties": NUMBER},
        cells_changed=NUMBER,
        changed_by_column={"additionalProperties": NUMBER},
        changed_by_column_total=NUMBER,
        largest={"additionalProperties": NUMBER},
        columns=fields(added=listed(TEXT), dropped=listed(TEXT), retyped=listed(_CELL)),
        samples=fields(
            changed=listed(fields(key=listed({}), cells=listed(_CELL), cells_total=NUMBER)),
            added=_ONE_SIDED,
            removed=_ONE_SIDED,
        ),
        samples_total=NUMBER,
        error=fields(code=TEXT, message=TEXT, next_step=TEXT),
    )
)
"""Tables that were compared."""


def present(**parts: Any) -> dict[str, Any]:
    """The parts that are there: None is left out, as an absent key says the same in fewer tokens."""
    return {key: value for key, value in parts.items() if value is not None}


def time_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def hash_text(top_hash: str | None, detail: bool) -> str | None:
    """The first digits of a top hash, which every argument takes for it; all of it with ``detail``."""
    return top_hash if top_hash is None or detail else top_hash[:SHORT]


def verdict(verified: bool | None) -> bool | str:
    """What ``verified`` says wherever it stands: True where all bytes were hashed and have the recorded hash (a revision's
    manifest its top hash, a file its entry's), False where they were not or have another, "pending" where they are to be."""
    return "pending" if verified is None else verified


def verdict_of_row(top_hash: str | None, verified: bool | None, detail: bool) -> bool | str | None:
    """A list reads no manifest: without ``detail`` it tells damage alone, which somebody found before."""
    return verdict(verified) if top_hash and (detail or verified is False) else None


def damage(revisions: Iterable[tuple[str, str | None, bool | None]]) -> tuple[str, ...]:
    """Warnings of rows, by name and top hash, whose manifest is known to be damaged."""
    return tuple(
        f"damaged: the manifest of {name}@{(top_hash or '')[:SHORT]} is not what its hash says; package_verify tells more."
        for name, top_hash, verified in dict.fromkeys(revisions)
        if verified is False
    )


def is_changed(text: str) -> bool:
    """Whether it is shown other than it is, so that what is shown cannot be passed back."""
    return printable(text) != text


def hash_json(checksum: Hash | None) -> dict[str, str] | None:
    return None if checksum is None else {"type": checksum.type, "value": checksum.value}


def registry_json(one: RegistryListing) -> dict[str, Any]:
    return present(registry=one.url, title=one.title, is_default=one.is_default, writable=one.writable)


def package_json(one: PackageListing, *, detail: bool = False) -> dict[str, Any]:
    totals = one.totals
    return present(
        name=one.name,
        top_hash=hash_text(one.top_hash, detail),
        verified=verdict_of_row(one.top_hash, one.verified, detail),
        modified=time_text(one.modified),
        message=one.message,
        entries=totals and totals.entries,
        size=totals and totals.bytes,
        metadata=one.metadata,
    )


def revision_json(one: Revision, path: str = "", *, detail: bool = False) -> dict[str, Any]:
    """``path``: the one that was asked for; a change says its own where that is another."""
    change = one.change
    return present(
        top_hash=hash_text(one.top_hash, detail),
        verified=verdict_of_row(one.top_hash, one.verified, detail),
        timestamp=time_text(one.timestamp),
        message=one.message,
        latest=True if LATEST in one.tags else None,
        change=None
        if change is None
        else present(
            action=change.kind,
            path=None if change.path.strip("/") == path else change.path,
            old_path=change.old_path,
            **sizes_of(change),
        ),
        counts=None if one.counts is None else counts_json(one.counts),
    )


def counts_json(counts: DiffTotals) -> dict[str, int]:
    """How many entries changed in which way; what none did is left out."""
    return {name: count for name, count in asdict(counts).items() if count}


def totals_json(totals: Totals) -> dict[str, int]:
    return {"entries": totals.entries, "bytes": totals.bytes}


def extensions_json(found: Mapping[str, Totals] | None) -> dict[str, list[int]] | None:
    """Files and bytes, by extension."""
    return None if not found else {name: [one.entries, one.bytes] for name, one in found.items()}


def item_json(one: Item, *, detail: bool = False) -> dict[str, Any]:
    """A row is what tells a file from the others. Its address is that of the whole with its path; where the path cannot be
    passed as it is shown, and with ``detail``, the row has its own."""
    row = present(path=one.path, size=one.size, entries=one.entries, metadata=one.metadata)
    if detail:
        key = one.physical_key
        row |= present(
            type=one.type,
            hash=hash_json(one.hash),
            physical_key=None if key is None else printable_address(key),
        )
    return row | present(uri=one.uri if detail or is_changed(one.path) else None)


def object_json(one: ObjectListing, location: str, *, detail: bool = False) -> dict[str, Any]:
    """``path`` is what follows the location, and the address is their sum; where it is not, and with ``detail``, the row has
    its ``uri``."""
    whole = location if location.endswith("/") else f"{location}/"
    path = unquote(one.uri.partition("?")[0].removeprefix(whole))
    is_sum = f"{whole}{path}" == one.uri and not is_changed(path)
    return present(
        path=path,
        size=one.size,
        modified=time_text(one.modified),
        version=one.version,
        link=one.link.url if one.link else None,
        storage_class=one.archive and one.archive.storage_class,
        uri=None if is_sum and not detail else one.uri,
    )


def change_json(one: EntryChange, *, detail: bool = False) -> dict[str, Any]:
    row = present(path=one.path, old_path=one.old_path) | sizes_of(one)
    if fields := fields_json(one.fields):
        row["fields"] = fields
    if detail:
        row |= present(
            size=one.size,
            old_size=one.old_size,
            hash=hash_json(one.hash),
            old_hash=hash_json(one.old_hash),
            metadata=one.metadata,
            old_metadata=one.old_metadata,
        )
    return row


def sizes_of(one: EntryChange) -> dict[str, Any]:
    """Where they say something: of what came, went or has other content."""
    return present(
        size=one.size if one.kind in ("added", "modified") else None,
        old_size=one.old_size if one.kind in ("removed", "modified") else None,
    )


def fields_json(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    """Each field of metadata that differs."""
    return [one.told() for one in changes]


def check_json(one: FileCheck) -> dict[str, Any]:
    """Of a file that is missing, the problem says it all."""
    if one.problem == "missing":
        return {"path": one.path, "problem": one.problem}
    return present(path=one.path, problem=one.problem, expected=one.expected, found=one.found)


def planned_json(one: PlannedChange, *, detail: bool = False) -> dict[str, Any]:
    return present(
        path=one.path,
        action=one.action,
        size=one.size,
        old_path=one.old_path,
        origin=one.origin if detail else None,
        **first_fields("fields", one.fields, *FIELDS_OF_ENTRY),
    )


def plan_json(plan: Plan, most: int, *, detail: bool = False) -> dict[str, Any]:
    """With the first ``most`` changes; ``changes_total`` tells how many there are."""
    workflow: Mapping[str, Any] | None = plan.workflow
    return present(
        faults=[present(**asdict(one)) for one in plan.faults] or None,
        parent=hash_text(plan.parent, detail),
        added=plan.added,
        replaced=plan.replaced,
        removed=plan.removed,
        renamed=plan.renamed,
        metadata=plan.metadata or None,
        kept=plan.kept,
        totals=totals_json(plan.totals),
        metadata_changed=plan.metadata_changed,
        **first_fields("package_metadata", plan.fields, *FIELDS_OF_PACKAGE),
        bytes_to_copy=plan.bytes_to_copy,
        workflow=None if workflow is None else dict(workflow),
        changed_meanwhile=plan.changed_meanwhile and plan.changed_meanwhile.told(),
        changes_total=plan.changes_total,
        changes=[planned_json(one, detail=detail) for one in plan.changes[:most]],
    )


def workflow_json(one: WorkflowListing) -> dict[str, Any]:
    return present(
        id=one.id,
        name=one.name,
        description=one.description,
        is_default=one.is_default or None,
        is_message_required=one.is_message_required or None,
        handle_pattern=one.handle_pattern,
        metadata_schema=None if one.metadata_schema is None else present(**asdict(one.metadata_schema)),
        entries_schema=None if one.entries_schema is None else present(**asdict(one.entries_schema)),
    )
