"""Patterns: both engines say what Python's ``re.search`` says, and none is given a search without bound."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quilt_mcp.domain.workflows import patterns
from quilt_mcp.domain.workflows.patterns import UnsafePattern, check_pattern, search

_PIECES = [
    *"abé1-/.^$|K",
    r"\w",
    r"\d",
    r"\s",
    r"\W",
    r"\D",
    r"\S",
    r"\A",
    r"\Z",
    "[ab]",
    "[^a]",
    r"[\w-]",
    r"[^\W_]",
]
_PIECES += [
    "(a|b)",
    "(?:ab)",
    "x{2}",
    "a{1,2}",
    "(?i:k)",
    "(?-i:k)",
    "(?s:.)",
    "(?m:^b$)",
    "(?a:\\w)",
    "[a-é]",
    r"[^\s1]",
    r"\b",
    r"\B",
    "(?!)",
]
_NOT_REPEATED = ("^", "$", "|", "x{2}", "a{1,2}", r"\A", r"\Z", r"\b", r"\B")
_REPEATS = ["", "*", "+", "?", "*?", "{0,3}", "{2,}"]
_TEXTS = st.text("abé1-/.x\nkKK_İß٣", max_size=12)


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search goes to RE2."""
    monkeypatch.setattr(patterns, "_SHORT", 0)


@pytest.mark.usefixtures("linear")
@given(
    st.sampled_from(["", "(?i)", "(?m)", "(?s)", "(?a)"]),
    st.lists(
        st.tuples(st.sampled_from(_PIECES), st.sampled_from(_REPEATS)).filter(
            lambda piece: piece[0] not in _NOT_REPEATED or not piece[1]
        ),
        max_size=5,
    ),
    _TEXTS,
)
@example("", [("a", ""), ("$", "")], "a\n")
@example("", [("a", ""), ("$", ""), ("\n", "")], "a\n")
@example("", [("^", ""), (r"[\w-]", "+"), ("$", "")], "é1-b")
@example("(?i)", [("k", "")], "K")
@example("", [(r"(?a:\w)", "")], "ß")
@example("", [(r"[^\W_]", "+"), (r"\Z", "")], "_é")
@example("", [(r"\B", "")], "")
@example("", [(r"\b", "")], "")
@example("", [("[^a]", "*"), (r"\B", ""), (r"\W", "*")], "")
def test_the_linear_engine_finds_what_pythons_finds(
    flags: str, pieces: list[tuple[str, str]], text: str
) -> None:
    pattern = flags + "".join(atom + repeat for atom, repeat in pieces)
    expected = re.search(pattern, text) is not None
    try:
        assert search(pattern, text) == expected
    except UnsafePattern:
        has_end = "$" in pattern and text.endswith("\n") and "\n" in text[:-1]
        has_boundary = r"\b" in pattern.lower() and not text.isascii()
        assert has_end or has_boundary


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize(
    "name", [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", "(?i:k)", "(?i:[a-z])", "(?i:[^ß])", "."]
)
def test_the_linear_engine_knows_characters_as_python_does(name: str) -> None:
    some = "".join(map(chr, (*range(0x2200), *range(0x1D7C0, 0x1D800), sys.maxunicode)))
    accepted = "".join(re.findall(name, some))
    assert search(rf"\A(?:{name})+\Z", accepted)
    assert not search(name, "".join(set(some).difference(accepted)))


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x", "((a?)b?)*c"]
)
def test_a_pattern_that_backtracks_without_end_is_answered(pattern: str) -> None:
    assert search(pattern, "a" * 5000 + "!") is False


def test_rounds_that_match_nothing_are_counted() -> None:
    """On no text at all, Python's engine would try two to the power of forty ways."""
    assert search("(?:(?:$){2,}){40}x", "") is False


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+(?=b)",
        r"(a+)+\1",
        r"(a*)(b*)\1\2\1c",
        "(?>a+)b+c*" + "a*" * 40 + r"\Z",
        "((((){1000}){1000}){1000}){1000}",
        "(?:(?:a{900}){900}){900}",
        "(a+)*(?(1)b|c)",
        "(?:a|aa)*+b",
    ],
)
def test_a_pattern_that_no_engine_bounds_is_refused(pattern: str) -> None:
    with pytest.raises(UnsafePattern, match="RE2 cannot express"):
        search(pattern, "a" * 3000)


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        (r"^(?!.*--)(?=.*[a-z])[a-z0-9-]+/[a-z0-9-]+$", "lab-" * 15 + "a/b", "lab--a/b"),
        (r"^(?!test/)[\w-]+/[\w-]+$", "prod/" + "x" * 100, "test/" + "x" * 100),
        (r"^([a-z]+)/\1-[0-9]+$", "lab/lab-7", "lab/bal-7"),
        (r"(?<!_)data$", "x" * 100 + "data", "my_data"),
        (r"^(?=.{3,50}$)\w+/\w+$", "a/b", "a/" + "b" * 60),
        ("^(?>a|ab)c$", "ac", "abc"),
        ("^[a-z]++/[a-z]+?[0-9]?+$", "lab/a1", "lab/"),
        ("^(?:a|ab)*+c$", "aac", "abc"),
        ("^(<)?a(?(1)>)$", "<a>", "<a"),
        ("a|(?!)", "a", "b"),
    ],
)
def test_what_only_pythons_engine_knows_works_on_names(pattern: str, found: str, missed: str) -> None:
    assert search(pattern, found) is True
    assert search(pattern, missed) is False


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a" * 6000, "longer than 5,000"),
        ("(", "not a regular expression"),
        ("a{99999999999}", "not a regular expression"),
        ("(?<=a+)b", "look-behind"),
        ("(?>(?<=a+)b)", "look-behind"),
        ("(?:(?<=a+)b)*+", "look-behind"),
        ("(a)?(?(1)(?<=a+)b|c)", "look-behind"),
        ("(" * 950 + ")" * 950, "nested too deeply"),
        ("(?i)" + "[\0-\U0010ffff]" * 100, "too wide"),
    ],
)
def test_an_unusable_pattern_is_refused_before_any_text_is_seen(pattern: str, why: str) -> None:
    with pytest.raises(UnsafePattern, match=why):
        check_pattern(pattern)
    with pytest.raises(UnsafePattern, match=why):
        search(pattern, "")


def test_a_long_search_is_bounded_by_the_texts_length() -> None:
    with pytest.raises(UnsafePattern, match="text is longer than"):
        search("a[ab]{900}c", "ab" * 1_000_000)


def test_a_lone_surrogate_is_searched_where_that_is_short() -> None:
    assert search("^.$", "\ud800") is True
    with pytest.raises(UnsafePattern):
        search("^(.+)+$", "\ud800" * 100)
