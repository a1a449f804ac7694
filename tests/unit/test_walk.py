"""Walk order: what may not stand side by side, and the order of a manifest's records."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash
from quilt_mcp.domain.manifest.codec import decode_header
from quilt_mcp.domain.manifest.top_hash import TopHash
from quilt_mcp.domain.names import walk_key
from quilt_mcp.domain.walk import OutOfWalkOrder, WalkOrder, directory_order
from quilt_mcp.errors import DuplicateKey

_KEYS = st.lists(st.lists(st.sampled_from("ab-.~é"), min_size=1, max_size=3).map("/".join), max_size=8)


def entry(key: str) -> Entry:
    return Entry(key, "s3://bucket/k", 1, Hash("SHA256", "0"))


def check_keys(keys: list[str]) -> None:
    order = WalkOrder()
    for key in keys:
        order.step(key)


@given(_KEYS)
def test_keys_are_refused_exactly_when_a_tree_cannot_hold_them(keys: list[str]) -> None:
    keys = sorted(keys, key=walk_key)
    folders = {key[:end] for key in keys for end, char in enumerate(key) if char == "/"}
    fine = len(set(keys)) == len(keys) and not folders & set(keys)
    top_hash = TopHash(decode_header(b"{}"))
    for use in (
        check_keys,
        lambda keys: [top_hash.add(entry(k)) for k in keys],
    ):
        if fine:
            use(keys)
        else:
            with pytest.raises(DuplicateKey):
                use(keys)


@given(_KEYS.filter(lambda keys: len(set(keys)) > 1), st.randoms())
def test_keys_in_another_order_are_told_apart_from_clashes(keys: list[str], rng: random.Random) -> None:
    rng.shuffle(keys)
    keys = list(dict.fromkeys(keys))
    if keys != sorted(keys, key=walk_key):
        with pytest.raises((OutOfWalkOrder, DuplicateKey)):
            check_keys(keys)


def test_the_clash_names_the_key() -> None:
    with pytest.raises(DuplicateKey, match="'a/b'"):
        check_keys(["a/b", "a/b"])
    with pytest.raises(DuplicateKey, match="'a' is a file, and also a folder"):
        check_keys(["a", "a/b"])


def test_directories_come_in_walk_order_and_parents_before_children() -> None:
    directories = [DirectoryMeta(key, {"k": key}) for key in ("b/", "a/b/", "a-b/", "a/", "a/b-/")]
    found = [directory.logical_key for directory in directory_order(directories)]
    assert found == ["a/", "a/b/", "a/b-/", "a-b/", "b/"]


def test_the_last_metadata_of_a_directory_counts_and_empty_metadata_is_left_out() -> None:
    metas = [("a/", {"x": 1}), ("b/", {"x": 1}), ("a/", {"x": 2}), ("b/", {})]
    directories = [DirectoryMeta(key, meta) for key, meta in metas]
    assert list(directory_order(directories)) == [DirectoryMeta("a/", {"x": 2})]
