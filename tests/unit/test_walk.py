"""The order of the directories that a manifest begins with."""

from __future__ import annotations

from quilt_mcp.domain.entry import DirectoryMeta
from quilt_mcp.domain.walk import directory_order


def test_directories_come_in_walk_order_and_parents_before_children() -> None:
    directories = [DirectoryMeta(key, {"k": key}) for key in ("b/", "a/b/", "a-b/", "a/", "a/b-/")]
    found = [directory.logical_key for directory in directory_order(directories)]
    assert found == ["a/", "a/b/", "a/b-/", "a-b/", "b/"]


def test_the_last_metadata_of_a_directory_counts_and_empty_metadata_is_left_out() -> None:
    metas = [("a/", {"x": 1}), ("b/", {"x": 1}), ("a/", {"x": 2}), ("b/", {})]
    directories = [DirectoryMeta(key, meta) for key, meta in metas]
    assert list(directory_order(directories)) == [DirectoryMeta("a/", {"x": 2})]
