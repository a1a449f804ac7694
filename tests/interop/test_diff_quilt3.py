"""Diffs against quilt3's, over generated packages and changed copies of them."""

from __future__ import annotations

import random

import packages

from parts.manifests import opened
from quilt_mcp.domain.manifest.codec import encode_header, encode_record
from quilt_mcp.registry.manifests.diff import diff
from quilt_mcp.registry.manifests.manifest import Manifest


def manifest(spec: packages.PackageSpec) -> Manifest:
    lines = [encode_header(packages.header(spec)), *map(encode_record, packages.records(spec))]
    return opened(b"".join(lines), block=random.Random(spec.seed).choice((300, 1 << 20)))


def changed(spec: packages.PackageSpec) -> packages.PackageSpec:
    """A copy with entries removed, added, moved, and given other contents, metadata or physical keys."""
    rng = random.Random(spec.seed + 7)
    other = packages.generate(spec.seed)
    for key in list(other.entries):
        act = rng.randrange(8)
        if act == 0:
            del other.entries[key]
        elif act == 1:
            other.entries[key].content = rng.randbytes(20)
        elif act == 2:
            other.entries[key].user_meta = packages.metadata(rng)
        elif act == 3:
            other.entries[key].url = "s3://elsewhere/x"
        elif act == 4:
            other.entries[key + "~moved"] = other.entries.pop(key)
    other.entries["new file"] = packages.EntrySpec(rng.randbytes(9), url="s3://bucket/new")
    return other


def test_changes_are_those_that_quilt3_finds_once_renames_are_taken_apart() -> None:
    kinds = set()
    for seed in range(packages.COUNT // 2):
        before = packages.generate(seed)
        after = changed(before)
        found = diff(manifest(before), manifest(after))
        totals, changes = found.totals, found.page(0, found.count)
        kinds |= {change.kind for change in changes}
        added = {c.path for c in changes if c.kind in ("added", "renamed")}
        modified = {c.path for c in changes if c.kind in ("modified", "metadata")}
        removed = {c.path for c in changes if c.kind == "removed"} | {
            c.old_path for c in changes if c.old_path
        }
        theirs = packages.quilt3_package(before).diff(packages.quilt3_package(after))
        assert (added, modified, removed) == tuple(map(set, theirs)), f"seed {seed}"
        assert [c.path for c in changes] == sorted(
            (c.path for c in changes), key=lambda path: path.split("/")
        )
        assert totals.unchanged + len(added) + len(modified) == len(after.entries)
        for change in changes:
            if change.kind == "renamed":
                assert change.old_path is not None
                old, new = before.entries[change.old_path], after.entries[change.path]
                assert (old.hash, len(old.content)) == (new.hash, len(new.content))
    assert kinds == {"added", "removed", "modified", "renamed", "metadata"}
