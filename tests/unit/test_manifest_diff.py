"""The difference of two manifests, against the plain way of comparing two dictionaries. Ours."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.manifests import opened
from quilt_mcp.domain.diff import ChangeKind, DiffTotals, entry_change
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.registry.manifests.diff import ManifestDiff, diff
from quilt_mcp.registry.manifests.manifest import Manifest

KEYS = [f"{folder}{name}" for folder in ("", "d/", "d/e/", "d-/", "é'/") for name in ("a", "b", "c.d")]
ENTRY = st.tuples(
    st.sampled_from(["h1", "h2", "h3"]),
    st.sampled_from([1, 1, 2, 6.0, 6]),
    st.sampled_from(
        [
            "{}",
            "{}",
            '{"user_meta": {"x": 1e-7}}',
            '{"user_meta": {"x": 1e-07}}',
            '{"y": "é"}',
            '{"y": "\\u00e9"}',
        ]
    ),
)
SIDE = st.dictionaries(st.sampled_from(KEYS), ENTRY, max_size=12)


def manifest_bytes(side: dict[str, Any]) -> bytes:
    lines = ['{"version": "v0"}']
    for key in sorted(side, key=lambda key: key.split("/")):
        value, size, meta = side[key]
        lines.append(
            f'{{"logical_key": {json.dumps(key, ensure_ascii=False)}, "physical_keys": ["s3://b/{value}"], "size": {size}, '
            f'"hash": {{"type": "SHA256", "value": "{value}"}}, "meta": {meta}}}'
        )
    return "".join(f"{line}\n" for line in lines).encode()


def plain_diff(before: Manifest, after: Manifest, path: str) -> list[Any]:
    """The changes, the slow and plain way."""
    old = {entry.logical_key: entry for entry in before.entries(path)}
    new = {entry.logical_key: entry for entry in after.entries(path)}
    removed = [entry for key, entry in old.items() if key not in new]
    found: list[tuple[str, Any]] = []
    for key, entry in new.items():
        was = old.get(key)
        if was is None:
            same = [r for r in removed if (r.hash, r.size) == (entry.hash, entry.size)]
            was = same[0] if same else None
            removed = [r for r in removed if r is not was]
            found.append((key, entry_change(was, entry)))
        elif (was.hash, was.size, was.meta) != (entry.hash, entry.size, entry.meta):
            found.append((key, entry_change(was, entry)))
    found += [(entry.logical_key, entry_change(entry, None)) for entry in removed]
    return [change for _, change in sorted(found, key=lambda item: item[0].split("/"))]


@given(
    SIDE,
    SIDE,
    st.sampled_from(["", "", "d", "d/", "d/a", "é'", "none"]),
    st.sampled_from([1, 150, 1 << 20]),
    st.sampled_from([1, 1 << 20]),
)
def test_a_diff_is_that_of_two_dictionaries(
    before: dict[str, Any], after: dict[str, Any], path: str, left: int, right: int
) -> None:
    old, new = opened(manifest_bytes(before), block=left), opened(manifest_bytes(after), block=right)
    expected = plain_diff(old, new, path)
    found = diff(old, new, path)
    assert repr(found.page(0, 1000)) == repr(expected)
    assert found.page(1, 2) == expected[1:3]
    assert found.count == len(expected)
    kinds = [change.kind for change in expected]
    changed = sum(kind != "removed" for kind in kinds)
    of_each: dict[ChangeKind, int] = {kind: kinds.count(kind) for kind in kinds}
    unchanged = sum(1 for _ in new.entries(path)) - changed
    assert found.totals == DiffTotals(
        **{"added": 0, "removed": 0, "modified": 0, "renamed": 0, "metadata": 0, "unchanged": unchanged}
        | of_each
    )


def compared(before: dict[str, Any], after: dict[str, Any]) -> ManifestDiff:
    return diff(opened(manifest_bytes(before)), opened(manifest_bytes(after)))


def test_every_kind_of_change_is_found() -> None:
    plain, noted = "{}", '{"user_meta": {"x": 1}}'
    found = compared(
        {
            "a": ("1", 1, plain),
            "b": ("2", 1, plain),
            "c": ("3", 1, plain),
            "d": ("4", 1, plain),
            "e": ("5", 1, plain),
        },
        {
            "a": ("1", 1, plain),
            "c": ("9", 2, plain),
            "d": ("4", 1, noted),
            "e2": ("5", 1, plain),
            "f": ("6", 1, plain),
        },
    )
    assert found.totals == DiffTotals(added=1, removed=1, modified=1, renamed=1, metadata=1, unchanged=1)
    changes = found.page(0, 10)
    assert [(change.path, change.kind, change.old_path) for change in changes] == [
        ("b", "removed", None),
        ("c", "modified", None),
        ("d", "metadata", None),
        ("e2", "renamed", "e"),
        ("f", "added", None),
    ]
    assert (changes[2].old_metadata, changes[2].metadata) == (None, {"x": 1})
    assert (changes[1].old_hash, changes[1].hash) == (Hash("SHA256", "3"), Hash("SHA256", "9"))
    assert (changes[0].old_size, changes[0].size) == (1, None)


def test_renames_of_equal_files_are_paired_in_walk_order() -> None:
    same = ("1", 1, "{}")
    found = compared({"a": same, "b": same, "c": same}, {"x": same, "y": same})
    assert [(c.path, c.old_path) for c in found.page(0, 9)] == [("c", None), ("x", "a"), ("y", "b")]
    assert (found.totals.renamed, found.totals.removed, found.totals.added) == (2, 1, 0)


def test_physical_keys_do_not_count_and_other_hash_types_do() -> None:
    body = manifest_bytes({"a": ("1", 1, "{}")})
    elsewhere = body.replace(b"s3://b/1", b"s3://elsewhere/x")
    assert diff(opened(body), opened(elsewhere)).totals == DiffTotals(0, 0, 0, 0, 0, 1)
    other = body.replace(b"SHA256", b"sha2-256-chunked")
    assert diff(opened(body), opened(other)).totals.modified == 1


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["modified", "moved"])
def test_memory_is_some_bytes_a_change(kind: str) -> None:
    """Review R1: what is kept of a comparison is where the changes stand, not the changes."""
    meta = json.dumps({"user_meta": {"note": "x" * 2000}})
    before = {f"{number:05}": (f"{number}", 1, meta) for number in range(5_000)}
    after = {
        (key if kind == "modified" else f"z{key}"): (value + ("." if kind == "modified" else ""), 1, meta)
        for key, (value, _, _) in before.items()
    }
    old, new = (opened(manifest_bytes(side), block=1 << 16) for side in (before, after))
    tracemalloc.start()
    found = diff(old, new)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.count == 5_000
    assert found.found.held == 16 * 5_000 + 1024
    assert kept < 40 * 5_000
    assert peak < 400 * 5_000
    assert isinstance(found.page(4_999, 1)[0].metadata, dict)


def test_an_entry_of_nothing_is_no_change() -> None:
    with pytest.raises(ValueError, match="side"):
        entry_change(None, None)
    assert entry_change(None, Entry("a", "x", 1, None)).kind == "added"
