"""The difference of two revisions, entry by entry."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.names import walk_key


@dataclass(frozen=True, slots=True)
class EntryChange:
    """``modified``: size or hash differ; ``metadata``: only the meta object differs; ``renamed``: an added and a removed
    entry with equal hash and size (``old_path`` is the removed one). As in quilt3, physical keys do not count."""

    path: str
    kind: Literal["added", "removed", "modified", "renamed", "metadata"]
    old_path: str | None = None
    size: int | None = None
    old_size: int | None = None
    hash: Hash | None = None
    old_hash: Hash | None = None
    metadata: Any = None
    old_metadata: Any = None


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


def diff_entries(before: Iterable[Entry], after: Iterable[Entry]) -> tuple[DiffTotals, list[EntryChange]]:
    """The changes between two streams of entries in walk order, in walk order of ``path``. Memory grows with the changes.

    Entries are equal as quilt3 has it: size, hash and the whole meta object; physical keys do not count. Renames: of the
    added and removed entries with one hash and size, the first removed becomes the first added, and so on, in walk order.
    ``metadata`` and ``old_metadata`` are user metadata; a renamed entry's may differ.
    """
    added: list[Entry] = []
    removed: list[Entry] = []
    changes: list[EntryChange] = []
    unchanged = modified = 0
    left, right = iter(before), iter(after)
    old, new = next(left, None), next(right, None)
    old_key, new_key = _order(old), _order(new)
    while old is not None or new is not None:
        if old is not None and (new is None or old_key < new_key):
            removed.append(old)
            old = next(left, None)
            old_key = _order(old)
        elif new is not None and (old is None or new_key < old_key):
            added.append(new)
            new = next(right, None)
            new_key = _order(new)
        elif old is not None and new is not None:
            if old.size != new.size or old.hash != new.hash:
                modified += 1
                changes.append(_change("modified", old, new))
            elif old.meta != new.meta:
                changes.append(_change("metadata", old, new))
            else:
                unchanged += 1
            old, new = next(left, None), next(right, None)
            old_key, new_key = _order(old), _order(new)
    metadata = len(changes) - modified
    renamed = _pair(removed, added, changes)
    totals = DiffTotals(
        added=len(added) - renamed,
        removed=len(removed) - renamed,
        modified=modified,
        renamed=renamed,
        metadata=metadata,
        unchanged=unchanged,
    )
    changes.sort(key=lambda change: walk_key(change.path))
    return totals, changes


def _order(entry: Entry | None) -> str:
    return "" if entry is None else walk_key(entry.logical_key)


def _pair(removed: list[Entry], added: list[Entry], changes: list[EntryChange]) -> int:
    """Appends the changes of entries that stand on one side only; returns how many are renames."""
    sources: defaultdict[tuple[Hash | None, int | None], deque[Entry]] = defaultdict(deque)
    for old in removed:
        sources[old.hash, old.size].append(old)
    renamed = 0
    for new in added:
        candidates = sources.get((new.hash, new.size)) if new.hash is not None else None
        if candidates:
            changes.append(_change("renamed", candidates.popleft(), new))
            renamed += 1
        else:
            changes.append(_change("added", None, new))
    changes.extend(_change("removed", old, None) for left_over in sources.values() for old in left_over)
    return renamed


def _change(
    kind: Literal["added", "removed", "modified", "renamed", "metadata"], old: Entry | None, new: Entry | None
) -> EntryChange:
    named = new if new is not None else old
    assert named is not None
    return EntryChange(
        path=named.logical_key,
        kind=kind,
        old_path=old.logical_key if kind == "renamed" and old is not None else None,
        size=new.size if new is not None else None,
        old_size=old.size if old is not None else None,
        hash=new.hash if new is not None else None,
        old_hash=old.hash if old is not None else None,
        metadata=new.user_meta if new is not None else None,
        old_metadata=old.user_meta if old is not None else None,
    )
