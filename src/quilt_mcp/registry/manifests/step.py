"""A step of a package's history: what one revision changed of the one before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quilt_mcp.domain.diff import ChangeKind, DiffTotals, EntryChange
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.registry.manifests.diff import ManifestDiff
from quilt_mcp.registry.manifests.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Step:
    """``change``: how the file or folder asked for changed, None where it did not and for a package as a whole. ``counts``: of
    the entries at or below it."""

    change: EntryChange | None = None
    counts: DiffTotals | None = None


def first_step(new: Manifest, path: str) -> Step:
    """Of the first revision: all that is at or below ``path`` ('' for all) is added. Blocks as ``Manifest``."""
    after = _state(new, path)
    counts = DiffTotals(after.entries if after else 0, 0, 0, 0, 0, 0)
    return Step(_change(path, "added", None, after) if path and after else None, counts)


def step_between(found: ManifestDiff, path: str) -> Step:
    """``found`` is what the two differ in at or below ``path``. Blocks as ``Manifest``."""
    counts, before, after = found.totals, _state(found.before, path), _state(found.after, path)
    touched = counts.added + counts.removed + counts.modified + counts.renamed
    if not path or not (touched or counts.metadata):
        return Step(None, counts)
    kind: ChangeKind = "modified" if touched else "metadata"
    kind = "added" if before is None else "removed" if after is None else kind
    return Step(_change(path, kind, before, after), counts)


def renamed_step(found: ManifestDiff, step: Step) -> Step:
    """``step``, of a file that is added, as a rename where ``found``, the difference of the whole revisions, has one that ends
    there. Blocks as ``Manifest``."""
    assert step.change is not None and step.counts is not None
    line, _ = found.after.span(step.change.path)
    [change] = found.page(found.found.new.index(line), 1)
    if change.kind != "renamed":
        return step
    side = {"old_path": change.old_path, "old_size": change.old_size, "old_hash": change.old_hash}
    return Step(replace(step.change, kind="renamed", **side), replace(step.counts, added=0, renamed=1))


@dataclass(frozen=True, slots=True)
class _State:
    is_folder: bool
    entries: int
    size: int
    hash: Hash | None


def _state(manifest: Manifest, path: str) -> _State | None:
    totals = manifest.folder_totals(path)
    if totals is not None:
        return _State(True, totals.entries, totals.bytes, None) if totals.entries else None
    entry: Entry | None = manifest.entry(path)
    return entry and _State(False, 1, entry.size or 0, entry.hash)


def _change(path: str, kind: ChangeKind, before: _State | None, after: _State | None) -> EntryChange:
    now = after or before
    change = EntryChange(f"{path}/" if now is not None and now.is_folder else path, kind)
    if before is not None:
        change = replace(change, old_size=before.size, old_hash=before.hash)
    if after is not None:
        change = replace(change, size=after.size, hash=after.hash)
    return change
