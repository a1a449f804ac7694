"""Values of a query: numbers, sizes with units, and times, each as the span that it stands for."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

_NUMBER: Final = re.compile(r"([+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")
_UNITS: Final = {"": 1, "b": 1} | {
    f"{letter}{end}": base**power
    for power, letter in enumerate("kmgtp", 1)
    for end, base in (("", 1000), ("b", 1000), ("ib", 1024), ("i", 1024))
}
_PARTIAL: Final = re.compile(r"(\d{4})(?:-(\d{2}))?")
_AGO: Final = re.compile(r"now(?:-(\d{1,5})([hdwMy]))?(?:/d)?")
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7, "M": 24 * 30, "y": 24 * 365}
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")


def number_of(text: str, *, with_unit: bool = False) -> float | None:
    """``with_unit``: a size, such as 1MB (a million), 1.5MiB (1,024 x 1,024 and a half) or 10k."""
    found = _NUMBER.fullmatch(text)
    if found is None or (found[2] and not with_unit):
        return None
    factor = _UNITS.get(found[2].lower())
    value = float(found[1].replace("_", ""))
    if factor is None or value in (float("inf"), float("-inf")):
        return None
    exact = value * factor
    return int(exact) if exact == int(exact) else exact


def span_of(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """The first and the last moment of a year, a month, a day or a moment; UTC where no zone is named. ``now-7d`` is a moment: h,
    d, w, M (30 days) and y (365)."""
    if ago := _AGO.fullmatch(text):
        hours = int(ago[1]) * _HOURS[ago[2]] if ago[1] else 0
        try:
            moment = now - timedelta(hours=hours)
        except OverflowError:
            return None
        return moment, moment
    try:
        if partial := _PARTIAL.fullmatch(text):
            year, month = int(partial[1]), int(partial[2] or 1)
            last = int(partial[2] or 12)
            end = datetime(year, last, monthrange(year, last)[1], tzinfo=UTC) + timedelta(days=1)
            return datetime(year, month, 1, tzinfo=UTC), end - timedelta(microseconds=1)
        if _MOMENT.fullmatch(text) is None:
            return None
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        is_day = len(text) == len("2026-01-31")
        return moment, moment + timedelta(days=1, microseconds=-1) if is_day else moment
    except (ValueError, OverflowError):
        return None
