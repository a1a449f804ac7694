"""where: a list of simple comparisons, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.search.where import MAX_CONDITIONS, Condition, parse_where
from quilt_mcp.errors import InvalidWhere


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = 1", [("a", "=", 1)]),
        ("a==1", [("a", "=", 1)]),
        ("a<>'x'", [("a", "!=", "x")]),
        ("a >= -2.5e3 AND b != setosa", [("a", ">=", -2500.0), ("b", "!=", "setosa")]),
        ("day < 2026-01-31", [("day", "<", "2026-01-31")]),
        ("a in (1, 'two', true)", [("a", "in", 1, "two", True)]),
        ("a is null and b IS NOT NULL", [("a", "is null"), ("b", "is not null")]),
        ("\"petal length\" contains 'and or'", [("petal length", "contains", "and or")]),
        ("`x y` like 'R0%'", [("x y", "like", "R0%")]),
        ('"say ""hi""" = \'it\'\'s\'', [('say "hi"', "=", "it's")]),
        ("a contains 5", [("a", "contains", "5")]),
        ("a contains 0012 and b like 1.10", [("a", "contains", "0012"), ("b", "like", "1.10")]),
        ("a like true and b contains 1e5", [("a", "like", "true"), ("b", "contains", "1e5")]),
        ("a = 'null'", [("a", "=", "null")]),
        ("größe > 3", [("größe", ">", 3)]),
    ],
)
def test_simple_comparisons_are_understood(text: str, wanted: list[tuple[object, ...]]) -> None:
    expected = tuple(
        Condition(str(column), str(operator), tuple(values)) for column, operator, *values in wanted
    )
    assert parse_where(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a column"),
        ("a", "one of ="),
        ("a =", "a value"),
        ("a = 1 or b = 2", "'or'"),
        ("(a = 1)", "a column"),
        ("a = 1; drop table x", "joined with and"),
        ('a = "b"', "single quotes"),
        ("lower(a) = 'x'", "one of ="),
        ("a = (select 1)", "a value"),
        ("a in 1", "parentheses"),
        ("a in (1", ")"),
        ("a in (1 2)", "comma"),
        ("a is 5", "null"),
        ("a = null", "is null or is not null"),
        ("a != NULL", "is null or is not null"),
        ("a in (1, null)", "is null or is not null"),
        ("a between 1 and 2", "one of ="),
        ("a = 'open", "a value"),
        ("a = 1 and", "a column"),
        (" and ".join(["a = 1"] * (MAX_CONDITIONS + 1)), "more than"),
        (f"a in ({','.join('1' * 1_500)})", "more than"),
        ("a = '" + "x" * 5_000 + "'", "characters"),
    ],
)
def test_anything_else_is_refused_with_the_place_and_an_example(text: str, said: str) -> None:
    with pytest.raises(InvalidWhere) as caught:
        parse_where(text)
    assert said in caught.value.message
    assert "joined with and" in caught.value.next_step


@given(st.text(max_size=200))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(InvalidWhere):
        assert parse_where(text)
