"""From the domain's values to the JSON of results, and from a tool's arguments to the domain's addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from quilt_mcp.domain.address import PackageUri, parse_package, parse_registry
from quilt_mcp.domain.diff import EntryChange
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.listing import FileCheck, Item, ObjectListing, PackageListing, RegistryListing, Revision
from quilt_mcp.domain.plan import Plan, PlannedChange
from quilt_mcp.domain.printable import address as printable_address
from quilt_mcp.errors import InvalidArgument, InvalidUri
from quilt_mcp.tools.spec import NUMBER, TEXT, Call, Schema, fields

HASH: Schema = fields(type=TEXT, value=TEXT)
TOTALS: Schema = fields(entries=NUMBER, bytes=NUMBER)


def package_address(
    call: Call, package: str, registry: str | None = None, path: str | None = None
) -> PackageUri:
    """The package that a call names. Raises InvalidName, InvalidUri, InvalidArgument when the parts disagree."""
    asked = registry_address(call, registry)
    address = parse_package(package.strip(), asked)
    if registry is not None and address.registry != asked:
        raise InvalidArgument(
            f"The URI is in {address.registry}, but registry says {asked}.", next_step="Leave registry out."
        )
    wanted = (path or "").lstrip("/") or None
    if wanted is not None and address.path not in (None, wanted):
        raise InvalidArgument(
            f"The URI has the path {address.path!r}, but path says {wanted!r}.",
            next_step="Leave one of them out.",
        )
    return replace(address, path=wanted) if wanted is not None else address


def registry_address(call: Call, registry: str | None) -> str:
    return call.ops.default_registry if registry is None else parse_registry(registry.strip())


def object_address(text: str) -> str:
    """An object or package URI as given, a plain absolute path made a file: URL. Raises InvalidUri."""
    stripped = text.strip()
    if stripped.startswith(("/", "~/")):
        url = parse_registry(stripped)
        return f"{url}/" if stripped.endswith("/") else url
    if "://" not in stripped:
        raise InvalidUri(
            f"{stripped[:200]!r} is not a URI.",
            next_step="Take the uri of an entry from package_browse, or write file:///folder/name or s3://bucket/key.",
        )
    return stripped


def present(**parts: Any) -> dict[str, Any]:
    """The parts that are there: None is left out, as an absent key says the same in fewer tokens."""
    return {key: value for key, value in parts.items() if value is not None}


def time_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def hash_json(checksum: Hash | None) -> dict[str, str] | None:
    return None if checksum is None else {"type": checksum.type, "value": checksum.value}


def registry_json(one: RegistryListing) -> dict[str, Any]:
    return present(registry=one.url, title=one.title, is_default=one.is_default, writable=one.writable)


def package_json(one: PackageListing) -> dict[str, Any]:
    return present(
        name=one.name, top_hash=one.top_hash, verified=one.verified, modified=time_text(one.modified)
    )


def revision_json(one: Revision) -> dict[str, Any]:
    return present(
        top_hash=one.top_hash,
        verified=one.verified,
        timestamp=time_text(one.timestamp),
        message=one.message,
        tags=list(one.tags) or None,
    )


def item_json(one: Item) -> dict[str, Any]:
    return present(
        path=one.path,
        type=one.type,
        size=one.size,
        entries=one.entries,
        hash=hash_json(one.hash),
        metadata=one.metadata,
        physical_key=None if one.physical_key is None else printable_address(one.physical_key),
        uri=one.uri,
    )


def object_json(one: ObjectListing) -> dict[str, Any]:
    return present(
        uri=one.uri,
        type=one.type,
        size=one.size,
        modified=time_text(one.modified),
        version=one.version,
        link=one.link.url if one.link else None,
    )


def change_json(one: EntryChange) -> dict[str, Any]:
    return present(
        path=one.path,
        old_path=one.old_path,
        size=one.size,
        old_size=one.old_size,
        hash=hash_json(one.hash),
        old_hash=hash_json(one.old_hash),
        metadata=one.metadata,
        old_metadata=one.old_metadata,
    )


def check_json(one: FileCheck) -> dict[str, Any]:
    return present(path=one.path, problem=one.problem, expected=one.expected, found=one.found)


def planned_json(one: PlannedChange) -> dict[str, Any]:
    return present(path=one.path, action=one.action, size=one.size, origin=one.origin, old_path=one.old_path)


def plan_json(plan: Plan) -> dict[str, Any]:
    workflow: Mapping[str, Any] | None = plan.workflow
    return present(
        package=plan.package.name,
        registry=plan.package.registry,
        parent=plan.parent,
        added=plan.added,
        replaced=plan.replaced,
        removed=plan.removed,
        renamed=plan.renamed,
        kept=plan.kept,
        metadata_changed=plan.metadata_changed,
        faults=[present(**asdict(one)) for one in plan.faults] or None,
        bytes_to_copy=plan.bytes_to_copy,
        workflow=None if workflow is None else dict(workflow),
        changes_total=plan.changes_total,
        changes=[planned_json(one) for one in plan.changes],
    )
