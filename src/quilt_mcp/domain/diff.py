"""The difference of two revisions, entry by entry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.manifest.codec import dump_sorted

ChangeKind = Literal["added", "removed", "modified", "renamed", "metadata"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of metadata that is not the same, by its JSON pointer ('' for the whole). What is absent is None there, and so is
    null: ``kind`` tells."""

    field: str
    kind: Literal["added", "removed", "modified"]
    before: Any
    after: Any

    def told(self, most: int | None = None) -> dict[str, Any]:
        """As JSON. A side on which it is absent is left out; of a value whose JSON is longer than ``most`` characters that text's
        beginning stands there."""
        sides = {"before": self.before, "after": self.after}
        absent = {"added": "before", "removed": "after"}.get(self.kind)
        return {"field": self.field} | {
            side: value if most is None else _brief(value, most)
            for side, value in sides.items()
            if side != absent
        }


@dataclass(frozen=True, slots=True)
class EntryChange:
    """``modified``: size or hash differ; ``metadata``: only the meta object differs; ``renamed``: an added and a removed
    entry with equal hash and size (``old_path`` is the removed one). As in quilt3, physical keys do not count."""

    path: str
    kind: ChangeKind
    old_path: str | None = None
    size: int | None = None
    old_size: int | None = None
    hash: Hash | None = None
    old_hash: Hash | None = None
    metadata: Any = None
    old_metadata: Any = None

    @property
    def fields(self) -> tuple[FieldChange, ...]:
        """Of user metadata."""
        return changed_fields(self.old_metadata, self.metadata)


@dataclass(frozen=True, slots=True)
class DiffTotals:
    added: int
    removed: int
    modified: int
    renamed: int
    metadata: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Diff:
    """``before`` and ``after`` are pinned quilt+ URIs. ``changes`` is one page in walk order of ``path``
    (``next_cursor`` None on the last). Package metadata, message and workflow stand beside it on the first page."""

    before: str
    after: str
    totals: DiffTotals
    package_metadata: tuple[Any, Any] | None
    """(before, after) of the package's user metadata when they differ, else None."""
    message: tuple[str | None, str | None] | None
    changes: tuple[EntryChange, ...]
    next_cursor: str | None
    warnings: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[FieldChange, ...]:
        """Of package metadata."""
        return changed_fields(*self.package_metadata) if self.package_metadata else ()


def is_same_file(before: Entry, after: Entry) -> bool:
    """Whether size and hash are equal."""
    return before.size == after.size and before.hash == after.hash


def entry_change(before: Entry | None, after: Entry | None) -> EntryChange:
    """The change from one entry to another: of one key, or of two with equal content. At most one of them is None."""
    named = after or before
    if named is None:
        raise ValueError("a change has a side")
    old = before or Entry(named.logical_key, "", None, None)
    new = after or Entry(named.logical_key, "", None, None)
    return EntryChange(
        path=named.logical_key,
        kind=_kind(before, after),
        old_path=old.logical_key if old.logical_key != new.logical_key else None,
        size=new.size,
        old_size=old.size,
        hash=new.hash,
        old_hash=old.hash,
        metadata=new.user_meta,
        old_metadata=old.user_meta,
    )


def _kind(before: Entry | None, after: Entry | None) -> ChangeKind:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if before.logical_key != after.logical_key:
        return "renamed"
    return "metadata" if is_same_file(before, after) else "modified"


def changed_fields(before: Any, after: Any) -> tuple[FieldChange, ...]:
    """Objects are compared field by field, anything else as a whole; values are equal when JSON spells them alike, so that 1 is
    not true. No metadata at all (None) is compared with an object as an empty one."""
    if before is None and isinstance(after, Mapping):
        before = dict[str, Any]()
    if after is None and isinstance(before, Mapping):
        after = dict[str, Any]()
    return tuple(_changed_fields("", before, after))


def first_fields(name: str, changes: Sequence[FieldChange], most: int, longest: int) -> dict[str, Any]:
    """As JSON: under ``name`` the first ``most``, each value up to ``longest`` characters, and how many there are, if more. No
    key where there are none."""
    total = {f"{name}_total": len(changes)} if len(changes) > most else {}
    return {name: [one.told(longest) for one in changes[:most]], **total} if changes else {}


def _brief(value: Any, most: int) -> Any:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "[nested too deeply to show]"
    return value if len(text) <= most else f"{text[:most]}... [{len(text) - most} characters left out]"


def is_same_json(one: Any, other: Any) -> bool:
    return one is other or (one == other and dump_sorted(one) == dump_sorted(other))


def _changed_fields(pointer: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if is_same_json(before, after):
        return
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield FieldChange(pointer, "modified", before, after)
        return
    old, new = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
    for name in sorted({*old, *new}):
        inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in new:
            yield FieldChange(inner, "removed", old[name], None)
        elif name not in old:
            yield FieldChange(inner, "added", None, new[name])
        else:
            yield from _changed_fields(inner, old[name], new[name])
