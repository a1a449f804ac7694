"""Conflicts: two writers on one parent. What both change, and the error that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from typing import Any

import anyio

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.diff import ChangeKind, EntryChange, changed_fields, is_same_json
from quilt_mcp.domain.metadata import changed_meta, undone
from quilt_mcp.domain.plan import UNSET, Action, Meanwhile, PatchRequest, Plan, PlannedChange
from quilt_mcp.errors import StaleParent
from quilt_mcp.registry.manifests.diff import ManifestDiff
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.reading.history import History
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.drafts.draft import Draft

_PAGE = 5000
_SHOWN = 20
ACTIONS: Mapping[ChangeKind, Action] = {
    "added": "add",
    "removed": "remove",
    "modified": "replace",
    "renamed": "rename",
    "metadata": "metadata",
}


def planned(change: EntryChange, origin: str | None = None) -> PlannedChange:
    size = change.old_size if change.kind == "removed" else change.size
    fields = () if change.kind in ("added", "removed") else change.fields
    return PlannedChange(change.path, ACTIONS[change.kind], size, origin, change.old_path, fields)


def every(changes: ManifestDiff, checkpoint: Callable[[], None]) -> Iterator[EntryChange]:
    """All changes. Blocks; ``checkpoint`` is called now and then and may raise."""
    for offset in range(0, changes.count, _PAGE):
        checkpoint()
        yield from changes.page(offset, _PAGE)


def overlaps(
    request: PatchRequest, draft: Draft, changes: ManifestDiff, checkpoint: Callable[[], None]
) -> list[str]:
    """What both this patch and the revisions since its parent change: paths, folders that it removes or renames included, and
    keys of the package metadata. Blocks as ``every``."""
    base, theirs = changes.before, changes.after
    found: list[str] = []
    for change in every(changes, checkpoint):
        paths = (change.path, change.old_path)
        found += [path for path in paths if path is not None and draft.touches(path)]
    if request.metadata is not UNSET:
        now = theirs.header.user_meta
        after = changed_meta(now, request.metadata, merge=request.metadata_mode == "merge")
        fields = undone(base.header.user_meta, now, after)
        found += [f"(package metadata) {field}".strip() for field in fields]
    before = {meta.logical_key: meta.meta for meta in base.directory_metas()}
    after = {meta.logical_key: meta.meta for meta in theirs.directory_metas()}
    found += [
        folder
        for folder in sorted({*before, *after})
        if not is_same_json(before.get(folder), after.get(folder)) and draft.touches(folder)
    ]
    return found


async def what_changed(registry: Registry, name: str, changes: ManifestDiff) -> Meanwhile:
    """From one revision of the package to a later one. Its log is read so far as it is shown."""
    base, theirs = changes.before, changes.after
    first = await anyio.to_thread.run_sync(changes.page, 0, _SHOWN)
    fields = changed_fields(base.header.user_meta, theirs.header.user_meta)
    log = await History(registry, PackageUri(registry.url, name), counts=False).page(_SHOWN, None)
    return Meanwhile(
        tuple(map(planned, first)),
        changes.count,
        fields[:_SHOWN],
        tuple(takewhile(lambda revision: revision.top_hash != base.top_hash, log.items)),
    )


def tell(conflict: StaleParent, meanwhile: Meanwhile) -> None:
    """Adds it to the conflict's details."""
    conflict.details["changed_meanwhile"] = meanwhile.told()


def stale_parent(
    name: str,
    expected: str | None,
    actual: Pointer | None,
    *,
    plan: Plan | None = None,
    overlaps: list[str] | None = None,
) -> StaleParent:
    """The conflict of a write on ``expected`` (a top hash, None for no revision), naming both hashes, what the write meant to do
    and what both changed."""
    found = actual.top_hash if actual else None
    details: dict[str, Any] = {"package": name, "expected": expected, "actual": found}
    if plan is not None:
        details["plan"] = {
            "added": plan.added,
            "replaced": plan.replaced,
            "removed": plan.removed,
            "renamed": plan.renamed,
            "paths": [change.path for change in plan.changes[:_SHOWN]],
        }
    if overlaps:
        details["changed_by_both"] = overlaps[:_SHOWN]
    return StaleParent(
        f"Package {name} is at {found or 'no revision'}, not at the expected {expected or 'no revision'}.",
        next_step="Call package_diff between the two, then make the call again on the new expected_top_hash"
        + (" and other paths." if overlaps else ", or with merge=true when the changes are disjoint."),
        details=details,
    )
