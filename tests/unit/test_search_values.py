"""Values of a query: numbers, sizes and times, each as the span that it stands for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.search.query.value import number_of, span_of

NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("+5.", 5),
        (".5", 0.5),
        ("1_000", 1000),
        ("1e3", 1000),
        ("2.5", 2.5),
        ("9007199254740993", 9007199254740993),
        ("9223372036854775808", 9223372036854775808.0),
        ("1e300", 1e300),
    ],
)
def test_a_number_is_exact_where_it_is_whole_and_fits(text: str, value: float) -> None:
    found = number_of(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1MB", 1_000_000),
        ("1 mb", 1_000_000),
        ("1MiB", 1_048_576),
        ("1.5Mi", 1_572_864),
        ("10k", 10_000),
        ("7B", 7),
        ("7", 7),
        ("2T", 2 * 10**12),
        ("1PiB", 2**50),
    ],
)
def test_a_size_has_a_unit_of_thousands_or_of_1024s(text: str, value: int) -> None:
    assert number_of(text, with_unit=True) == value


@pytest.mark.parametrize(
    "text", ["", "1MB", "x", "1,000", "1..2", "1-2", "0x10", "nan", "inf", "1e400", "_1", "1__0", "٣"]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_of(text) is None


@pytest.mark.parametrize("text", ["1XB", "1e300PB", "MB", "1MBB", "5*"])
def test_what_is_no_size_is_none(text: str) -> None:
    assert number_of(text, with_unit=True) is None


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01T00:00:00+00:00", "2026-12-31T23:59:59.999999+00:00"),
        ("2024-02", "2024-02-01T00:00:00+00:00", "2024-02-29T23:59:59.999999+00:00"),
        ("2026-12", "2026-12-01T00:00:00+00:00", "2026-12-31T23:59:59.999999+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00", "2026-01-31T23:59:59.999999+00:00"),
        ("9999", "9999-01-01T00:00:00+00:00", LAST.isoformat()),
        ("9999-12", "9999-12-01T00:00:00+00:00", LAST.isoformat()),
        ("9999-12-31", "9999-12-31T00:00:00+00:00", LAST.isoformat()),
        ("now/d", "2026-06-15T00:00:00+00:00", "2026-06-15T23:59:59.999999+00:00"),
        ("now-1w/d", "2026-06-08T00:00:00+00:00", "2026-06-08T23:59:59.999999+00:00"),
    ],
)
def test_a_year_a_month_and_a_day_stand_for_all_their_moments(text: str, first: str, last: str) -> None:
    assert span_of(text, NOW) == (datetime.fromisoformat(first), datetime.fromisoformat(last))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T09:30", "2026-01-31T09:30:00+00:00"),
        ("2026-01-31 09:30:05.5", "2026-01-31T09:30:05.500000+00:00"),
        ("2026-01-31T09:30Z", "2026-01-31T09:30:00+00:00"),
        ("2026-01-31T09:30+02:00", "2026-01-31T07:30:00+00:00"),
        ("now", NOW.isoformat()),
        ("now-7d", (NOW - timedelta(days=7)).isoformat()),
        ("now-36h", (NOW - timedelta(hours=36)).isoformat()),
        ("now-2M", (NOW - timedelta(days=60)).isoformat()),
        ("now-1y", (NOW - timedelta(days=365)).isoformat()),
    ],
)
def test_a_moment_is_told_in_utc_where_it_names_no_zone(text: str, moment: str) -> None:
    assert span_of(text, NOW) == (datetime.fromisoformat(moment),) * 2


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "2026-02-30", "2026-13", "0000", "0000-01-01", "20260101", "2026-1-1", "2026-W01", "26-01-01", "1700000000"),
        *("2026-01-31T25:00", "2026-01-31T", "0001-01-01T00:00+14:00", "now-7", "now-7q", "now+1d", "now-99999y", "yesterday"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert span_of(text, NOW) is None


@given(st.text(max_size=60) | st.from_regex(r"\A[0-9+\-.:eEkMGiBnowTZ_ ]{0,40}\Z"))
def test_any_text_is_a_value_or_none(text: str) -> None:
    number = number_of(text, with_unit=True)
    assert number is None or abs(number) < float("inf")
    span = span_of(text, NOW)
    assert span is None or span[0] <= span[1]
