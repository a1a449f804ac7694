"""Diffs of two streams of entries: kinds, totals, order, and which renames are paired."""

from __future__ import annotations

from typing import Any

from quilt_mcp.domain.diff import DiffTotals, diff_entries
from quilt_mcp.domain.entry import Entry, Hash


def entries(**files: Any) -> list[Entry]:
    """content, or (content, user metadata), by logical key."""
    found = []
    for key, value in sorted(files.items()):
        content, meta = value if isinstance(value, tuple) else (value, None)
        found.append(
            Entry(
                key,
                f"s3://bucket/{key}",
                len(content),
                Hash("SHA256", content),
                {"user_meta": meta} if meta else {},
            )
        )
    return found


def test_every_kind_of_change_is_found() -> None:
    before = entries(a="1", b="2", c="3", d=("4", {"x": 1}), e="5")
    after = entries(a="1", c="9", d=("4", {"x": 2}), e2="5", f="6")
    totals, changes = diff_entries(before, after)
    assert totals == DiffTotals(added=1, removed=1, modified=1, renamed=1, metadata=1, unchanged=1)
    assert [(change.path, change.kind, change.old_path) for change in changes] == [
        ("b", "removed", None),
        ("c", "modified", None),
        ("d", "metadata", None),
        ("e2", "renamed", "e"),
        ("f", "added", None),
    ]
    assert (changes[2].old_metadata, changes[2].metadata) == ({"x": 1}, {"x": 2})
    assert (changes[1].old_hash, changes[1].hash) == (Hash("SHA256", "3"), Hash("SHA256", "9"))
    assert (changes[0].old_size, changes[0].size) == (1, None)


def test_renames_of_equal_files_are_paired_in_walk_order() -> None:
    totals, changes = diff_entries(entries(a="1", b="1", c="1"), entries(x="1", y="1"))
    assert [(change.path, change.old_path) for change in changes] == [("c", None), ("x", "a"), ("y", "b")]
    assert (totals.renamed, totals.removed, totals.added) == (2, 1, 0)


def test_physical_keys_do_not_count() -> None:
    before = entries(a="1")
    after = [Entry("a", "s3://elsewhere/x", 1, Hash("SHA256", "1"))]
    assert diff_entries(before, after) == (DiffTotals(0, 0, 0, 0, 0, 1), [])


def test_a_hash_of_another_type_is_a_modification() -> None:
    after = [Entry("a", "s3://bucket/a", 1, Hash("sha2-256-chunked", "1"))]
    assert diff_entries(entries(a="1"), after)[0].modified == 1


def test_against_nothing_everything_is_added_or_removed() -> None:
    assert diff_entries([], entries(a="1", b="2"))[0] == DiffTotals(2, 0, 0, 0, 0, 0)
    assert diff_entries(entries(a="1", b="2"), [])[0] == DiffTotals(0, 2, 0, 0, 0, 0)
    assert diff_entries([], []) == (DiffTotals(0, 0, 0, 0, 0, 0), [])
