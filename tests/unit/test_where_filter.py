"""Filter: what of a package's metadata meets a comparison, and what is said of what never could."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.search.filter import Filter, TimeTest
from quilt_mcp.domain.search.where import Condition, parse_where
from quilt_mcp.errors import InvalidWhere


def takes(where: str, **fields: Any) -> bool:
    return Filter(parse_where(where)).takes(fields)


@pytest.mark.parametrize(
    ("where", "value", "meets"),
    [
        ("a = 2024", 2024, True),
        ("a = 2024", 2024.0, True),
        ("a = 2024", "2024", False),
        ("a != 2024", "2024", False),
        ("a != 2024", 2023, True),
        ("a != 2024", None, False),
        ("a >= 2024", 2024, True),
        ("a > 2024", 2024, False),
        ("a < 2024.5", 2024, True),
        ("a <= 1", True, False),
        ("a = 1", True, False),
        ("a = true", True, True),
        ("a != true", False, True),
        ("a = 'true'", True, False),
        ("a >= 2024-02-01", "2024-10-01", True),
        ("a < 2024-02-01", "2024-10-01", False),
        ("a = MiSeq", "MiSeq", True),
        ("a = miseq", "MiSeq", False),
        ("a in (1, 'two', true)", "two", True),
        ("a in (1, 'two', true)", True, True),
        ("a in (1, 'two')", True, False),
        ("a in (1, 'two')", 2, False),
        ("a contains SEQ", "MiSeq 2", True),
        ("a contains 02", 2024, True),
        ("a contains rue", True, True),
        ("a contains x", {"x": 1}, False),
        ("a like 'Mi%'", "MiSeq", True),
        ("a like 'mi%'", "MiSeq", False),
        ("a like '%S_q'", "MiSeq", True),
        ("a like '%e%e%'", "Sequence", True),
        ("a like '%e%x%e%'", "Sequence", False),
        ("a like 'M.S%'", "MiSeq", False),
        ("a like 'a%b'", "a\nb", True),
        ("a like '20__'", 2024, True),
        ("a is null", None, True),
        ("a is null", 0, False),
        ("a is not null", None, False),
        ("a is not null", {}, True),
        ("a = dna", ["rna", "dna"], True),
        ("a = dna", ["rna", None], False),
        ("a = dna", [], False),
        ("a in (1, 2)", [3, 2], True),
        ("a contains n", ["x", "dna"], True),
        ("a like 'd%'", ["x", "dna"], True),
        ("a != dna", ["rna", "dna"], False),
        ("a != dna", ["rna", 1], True),
        ("a != dna", [], True),
        ("a > 1", [2, 3], False),
        ("a = dna", [["dna"]], False),
    ],
)
def test_a_value_meets_a_comparison_of_its_own_type(where: str, value: Any, *, meets: bool) -> None:
    assert takes(where, a=value) is meets


def test_what_is_absent_is_null_and_all_comparisons_count() -> None:
    assert takes("b is null and a = 1", a=1)
    assert not takes("b = 1", a=1)
    assert not takes("a = 1 and b = 2", a=1, b=3)


@pytest.mark.parametrize(
    ("where", "values", "said"),
    [
        ("year >= 2024", ["2024", "2025"], ["text in 2 of 2 packages", "a number", "Write '2024'"]),
        ("year >= 2024", ["2024", 2025], ["text in 1 of 2 packages"]),
        ("year = '2024'", [2024], ["a number in 1 of 1 package ", "text", "Write 2024, without"]),
        ("year = 'new'", [2024], ["is a number", "text: those cannot match."]),
        ("year = true", ["true"], ["is text", "true or false", "Write 'true'"]),
        ("year > 1", [[2]], ["is a list"]),
        ("year contains 1", [{"x": 1}], ["is an object"]),
    ],
)
def test_values_of_another_type_are_told(where: str, values: list[Any], said: list[str]) -> None:
    wanted = Filter(parse_where(where))
    for value in values:
        wanted.takes({"year": value})
    [warning] = wanted.mistyped()
    assert warning.startswith("other_type: 'year' is ")
    assert [part for part in said if part not in warning] == []
    assert wanted.unknown() == []


def test_a_field_that_nothing_has_is_told_with_those_that_are_near() -> None:
    wanted = Filter(parse_where("instrment = MiSeq"))
    assert wanted.unknown() == wanted.mistyped() == []
    wanted.takes({})
    wanted.meet(["instrument", "year"])
    wanted.takes({})
    [warning] = wanted.unknown()
    assert warning.startswith(
        "no_field: none of 2 packages looked at has 'instrment'. Close to it: instrument."
    )
    wanted.takes({"instrment": "other"})
    assert wanted.unknown() == []


def test_of_the_fields_that_there_are_a_thousand_are_remembered() -> None:
    wanted = Filter(parse_where("instrment = MiSeq"))
    wanted.takes({})
    wanted.meet(f"field {number}" for number in range(1_000))
    wanted.meet(["instrument"])
    assert "Close to it" not in wanted.unknown()[0]


def test_a_hostile_pattern_ends() -> None:
    assert not takes(f"a like '{'%a' * 50}b'", a="a" * 5_000)


SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 1.5, -1, "", "a", "b", "1", "2024-01-31", "ab"])
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.just({"k": 1})
WANTED = SCALARS.filter(lambda one: one is not None)


@given(
    VALUES, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in"]), st.lists(WANTED, min_size=1, max_size=3)
)
def test_comparisons_are_those_of_python_among_values_of_one_type(
    value: Any, operator: str, values: list[Any]
) -> None:
    values = values if operator == "in" else values[:1]

    def kind(one: Any) -> str:
        return {int: "n", float: "n"}.get(type(one), str(type(one)))

    def is_met(one: Any) -> bool:
        alike = [other for other in values if kind(other) == kind(one)]
        return (operator != "in" and bool(alike) and {
            "=": lambda x, y: x == y, "!=": lambda x, y: x != y, "<": lambda x, y: x < y,
            "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
        }[operator](one, alike[0])) or (operator == "in" and one in alike)  # fmt: skip

    if isinstance(value, list) and operator in ("=", "in"):
        expected = any(is_met(one) for one in value)
    elif isinstance(value, list) and operator == "!=":
        alike = [one for one in value if kind(one) == kind(values[0])]
        has_others = any(one is not None for one in value)
        expected = values[0] not in alike and (bool(alike) or not has_others)
    else:
        expected = is_met(value)
    assert (
        Filter([Condition("a", operator, tuple(values))]).takes({"a": json.loads(json.dumps(value))})
        is expected
    )


@pytest.mark.parametrize(
    ("where", "meets"),
    [
        ("t >= 2026-09-21T14:13:20Z", True),
        ("t > 2026-09-21T14:13:20Z", True),
        ("t < '2026-09-21 14:13:21'", True),
        ("t > '2026-09-21 23:00:00'", False),
        ("t > '2026-09-21T16:30:00+05:00'", True),
        ("t = 2026-09-21", True),
        ("t != 2026-09-21", False),
        ("t <= 2026-09-21", True),
        ("t < 2026-09-21", False),
        ("t > 2026-09-21", False),
        ("t >= 2026-09-22", False),
        ("t in (2026-01-01, 2026-09-21)", True),
        ("t is null", False),
        ("t is not null", True),
    ],
)
def test_times_are_compared_as_moments_and_a_date_is_its_whole_day(where: str, meets: bool) -> None:
    [condition] = parse_where(where)
    moment = datetime(2026, 9, 21, 14, 13, 20, 500_000, tzinfo=UTC)
    assert TimeTest(condition).holds(moment) is meets
    assert TimeTest(condition).holds(None) is (where == "t is null")


@pytest.mark.parametrize("where", ["t > 1790000000", "t = tomorrow", "t like '2026%'", "t contains 2026"])
def test_a_moment_is_compared_with_nothing_but_a_time(where: str) -> None:
    [condition] = parse_where(where)
    with pytest.raises(InvalidWhere, match="no time"):
        TimeTest(condition)


def test_a_field_that_nothing_has_is_told_of_tests_of_null_too() -> None:
    for where in ("speling is null", "speling is not null"):
        filter_ = Filter(parse_where(where))
        for _ in range(3):
            filter_.takes({})
        assert [one.partition(":")[0] for one in filter_.unknown()] == ["no_field"]


def test_what_is_of_another_type_is_counted_by_type_and_advised_as_it_was_written() -> None:
    filter_ = Filter(parse_where("x = 0012 and x = 0012"))
    for value in ("a", "b", [], {}, 12):
        filter_.takes({"x": value})
    [said] = filter_.mistyped()
    assert "text in 2 of 5 packages" in said and "'0012'" in said
