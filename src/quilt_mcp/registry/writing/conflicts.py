"""Conflicts: two writers on one parent. What both change, and the error that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quilt_mcp.domain.plan import UNSET, PatchRequest, Plan
from quilt_mcp.errors import StaleParent
from quilt_mcp.registry.manifests.diff import diff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.writing.draft import Draft

_PAGE = 5000
_SHOWN = 20


def overlaps(
    request: PatchRequest, draft: Draft, base: Manifest, theirs: Manifest, checkpoint: Callable[[], None]
) -> list[str]:
    """Paths that both this patch and the revisions since ``base`` change, folders that it removes or renames included. Blocks;
    ``checkpoint`` is called now and then and may raise."""
    found: list[str] = []
    changes = diff(base, theirs, checkpoint=checkpoint)
    for offset in range(0, changes.count, _PAGE):
        checkpoint()
        for change in changes.page(offset, _PAGE):
            paths = (change.path, change.old_path)
            found += [path for path in paths if path is not None and draft.touches(path)]
    if request.metadata is not UNSET and base.header.user_meta != theirs.header.user_meta:
        found.append("(package metadata)")
    before = {meta.logical_key: meta.meta for meta in base.directory_metas()}
    after = {meta.logical_key: meta.meta for meta in theirs.directory_metas()}
    found += [
        folder
        for folder in sorted({*before, *after})
        if before.get(folder) != after.get(folder) and draft.touches(folder)
    ]
    return found


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
