"""Names: what is accepted, what is said about the rest, and what is suggested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.names import suggest, validate_logical_key, validate_package_name, walk_key
from quilt_mcp.errors import InvalidName


@pytest.mark.parametrize("name", ["a/b", "A-b_1/2", "é/ü", "日本/語", "-/_"])
def test_a_package_name_is_two_words_and_a_slash(name: str) -> None:
    assert validate_package_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("a", "no '/'"),
        ("a/b/c", "2 slashes"),
        ("/b", "namespace is empty"),
        ("a/", "name is empty"),
        ("a b/c", "' '"),
        ("a/b.c", r"'\.'"),
        ("a/b\n", r"'\\n'"),
        ("../..", r"'\.'"),
        ("a/b\0", r"'\\x00'"),
    ],
)
def test_a_malformed_package_name_is_told_what_is_wrong_with_it(name: str, why: str) -> None:
    with pytest.raises(InvalidName, match=why) as refused:
        validate_package_name(name)
    assert "namespace/name" in refused.value.next_step
    assert "packages_list" in refused.value.next_step


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "empty"),
        ("a/", "ends in '/'"),
        (".../", "ends in '/'"),
        ("/a", "starts with '/'"),
        ("a//b", "empty part"),
        (".", "'.'"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        ("../a", "'..'"),
        ("a/.", "'.'"),
        ("a\0b", "NUL"),
        ("\udc80", "surrogate"),
    ],
)
def test_a_malformed_logical_key_is_told_what_is_wrong_with_it(key: str, why: str) -> None:
    with pytest.raises(InvalidName, match=why) as refused:
        validate_logical_key(key)
    refused.value.message.encode()
    assert refused.value.next_step


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/")).filter(bool), min_size=1
    )
)
def test_walk_keys_compare_as_split_paths_do(parts: list[str]) -> None:
    key = "/".join(parts)
    for other in ("a/x", "a-b/x", "a.b", "a", key + "/x", key + "-"):
        assert (walk_key(key) < walk_key(other)) == (key.split("/") < other.split("/"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("demo/flower", "demo/flowers"),
        ("DEMO/flowers", "demo/flowers"),
        ("demo/flwoers", "demo/flowers"),
        ("flowers", "demo/flowers"),
        ("data/tabel.csv", "data/table.csv"),
        ("elsewhere/table.csv", "data/table.csv"),
    ],
)
def test_what_was_probably_meant_comes_first(text: str, expected: str) -> None:
    names = ["other/thing", "demo/flowers", "data/table.csv", "zz/yy"]
    assert suggest(text, names)[0] == expected


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    assert suggest("qqq/www", ["demo/flowers", "a/b"]) == []
    assert suggest("", ["demo/flowers"]) == []


def test_suggestions_look_at_a_bounded_number_of_candidates() -> None:
    seen = 0

    def endless():
        nonlocal seen
        while True:
            seen += 1
            yield f"demo/flowers{seen}"

    assert len(suggest("demo/flowers1", endless(), n=5)) == 5
    assert seen <= 20_000
