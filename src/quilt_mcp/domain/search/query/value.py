"""Values of a query: numbers, sizes with units, and times, each as the span that it stands for."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

_NUMBER: Final = re.compile(
    r"([+-]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)", re.ASCII
)
UNITS: Final = {"": 1, "b": 1} | {
    f"{letter}{end}": base**power
    for power, letter in enumerate("kmgtp", 1)
    for end, base in (("", 1000), ("b", 1000), ("ib", 1024), ("i", 1024))
}
"""By name in lower case."""
_EXACT: Final = 2**63
"""Whole numbers below it are kept as they are; no engine holds greater ones."""
_PARTIAL: Final = re.compile(r"(\d{4})(?:-(\d{2}))?", re.ASCII)
_AGO: Final = re.compile(r"now(?:-(\d{1,5})([hdwMy]))?(/d)?", re.ASCII)
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7, "M": 24 * 30, "y": 24 * 365}
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?", re.ASCII)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


def number_of(text: str, *, with_unit: bool = False) -> float | None:
    """``with_unit``: a size, such as 1MB (a million), 1.5MiB (1,024 x 1,024 and a half) or 10k."""
    found = _NUMBER.fullmatch(text)
    if found is None or (found[2] and not with_unit):
        return None
    factor = UNITS.get(found[2].lower())
    written = found[1].replace("_", "")
    value = float(written)
    if factor is None or not math.isfinite(value * factor):
        return None
    exact = (
        int(written) * factor if abs(value) < _EXACT and written.lstrip("+-").isdigit() else value * factor
    )
    return int(exact) if abs(exact) < _EXACT and exact == int(exact) else float(exact)


def span_of(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """The first and the last moment of a year, a month, a day or a moment; UTC where no zone is named. ``now-7d`` is a moment (h,
    d, w, M of 30 days and y of 365), and ``now-7d/d`` the day of it."""
    try:
        if ago := _AGO.fullmatch(text):
            moment = now.astimezone(UTC) - timedelta(hours=int(ago[1]) * _HOURS[ago[2]] if ago[1] else 0)
            return _day_from(datetime(*moment.timetuple()[:3], tzinfo=UTC)) if ago[3] else (moment, moment)
        if partial := _PARTIAL.fullmatch(text):
            first = datetime(int(partial[1]), int(partial[2] or 1), 1, tzinfo=UTC)
            after = (first.year, first.month + 1) if partial[2] else (first.year + 1, 1)
            after = (first.year + 1, 1) if after[1] == 13 else after
            return first, datetime(*after, 1, tzinfo=UTC) - _TICK if after[0] <= _LAST.year else _LAST
        if _MOMENT.fullmatch(text) is None:
            return None
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return _day_from(moment) if len(text) == len("2026-01-31") else (moment, moment)
    except (ValueError, OverflowError):
        return None


def _day_from(first: datetime) -> tuple[datetime, datetime]:
    day = timedelta(days=1)
    return first, _LAST if _LAST - first < day else first + day - _TICK
