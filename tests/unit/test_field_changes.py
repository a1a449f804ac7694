"""Fields of metadata that differ, as JSON within bounds."""

from __future__ import annotations

from typing import Any

from quilt_mcp.domain.diff import FieldChange, changed_fields, first_fields


def test_a_side_that_is_absent_is_left_out_and_null_is_not() -> None:
    told = [one.told() for one in changed_fields({"a": None, "b": 1}, {"b": None, "c": 2})]
    assert told == [
        {"field": "/a", "before": None},
        {"field": "/b", "before": 1, "after": None},
        {"field": "/c", "after": 2},
    ]


def test_long_values_and_many_fields_are_cut_and_what_is_short_stays_itself() -> None:
    found = changed_fields({}, {"a": [1, 2], "b": "é" * 60, "c": {"x": "y" * 50}, "d": 1})
    assert first_fields("fields", found, 3, 20) == {
        "fields": [
            {"field": "/a", "after": [1, 2]},
            {"field": "/b", "after": "é" * 20 + "... [40 characters left out]"},
            {"field": "/c", "after": '{"x": "' + "y" * 13 + "... [39 characters left out]"},
        ],
        "fields_total": 4,
    }
    assert first_fields("fields", (), 3, 20) == {}


def test_a_value_without_bottom_is_told_as_one() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert FieldChange("/a", "added", None, deep).told(20)["after"] == "[nested too deeply to show]"
