"""Filter: conditions held against what packages say of themselves: JSON values of any type, and moments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, cast

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.where import NUMBER, Condition
from quilt_mcp.errors import InvalidWhere

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")


def span_of(text: str) -> tuple[datetime, datetime] | None:
    """The first and the last moment of a time, which for a date alone is its whole day; UTC where it names no zone. None for
    what is no time."""
    if _DATE.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    first = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    is_day = len(text) == len("2026-01-31")
    return first, first + timedelta(days=1, microseconds=-1) if is_day else first


class TimeTest:
    """One condition on a moment, which is compared as a moment whatever its spelling. Raises InvalidWhere for a value that is no
    time, and for an operator that takes none."""

    def __init__(self, condition: Condition) -> None:
        self._operator = condition.operator
        self._spans: list[tuple[datetime, datetime]] = []
        for text in condition.written:
            span = span_of(text)
            if span is None:
                raise _no_time(condition.column, text)
            self._spans.append(span)
        if self._operator in ("contains", "like"):
            raise _no_time(condition.column, condition.operator)

    def holds(self, moment: datetime | None) -> bool:
        if self._operator in ("is null", "is not null"):
            return (moment is None) == (self._operator == "is null")
        if moment is None:
            return False
        first, last = self._spans[0]
        match self._operator:
            case "<":
                return moment < first
            case "<=":
                return moment <= last
            case ">":
                return moment > last
            case ">=":
                return moment >= first
            case _:
                is_in = any(first <= moment <= last for first, last in self._spans)
                return is_in != (self._operator == "!=")


def _no_time(column: str, said: str) -> InvalidWhere:
    return InvalidWhere(
        f"where compares {column[:80]!r} with {said[:80]!r}, which is no time.",
        next_step=f"Compare it by =, <, <=, > or >= with a date or a time, as {column[:80]} >= 2026-01-31 or "
        "2026-01-31T12:00:00Z.",
    )


class Filter:
    """Holds the fields of packages, JSON values of any type, against conditions.

    A number is compared with numbers, text with text (so ISO dates are in order), true and false with each other. ``contains``
    and ``like`` take a number as it is written. A list meets ``=``, ``in``, ``contains`` and ``like`` where one of its elements
    does, and ``!=`` where none is equal. What is absent is null. Null, and a value of another type, meet no comparison.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._tests = [_Test(one) for one in conditions]
        self._known: dict[str, None] = {}

    def takes(self, fields: Mapping[str, Any]) -> bool:
        """``fields``: what stands at each column that a condition names; left out where nothing does."""
        held = [
            test.holds(fields.get(test.condition.column)) for test in self._tests
        ]  # each counts what it meets
        return all(held)

    def meet(self, names: Iterable[str]) -> None:
        """Notes fields that there are: ``unknown`` offers them for one that no package has."""
        if len(self._known) < _NAMES_KEPT:
            self._known |= dict.fromkeys(filter(None, names))

    def mistyped(self) -> list[str]:
        """Warnings of values that could not be compared since they are of another type."""
        return list(dict.fromkeys(said for test in self._tests if (said := test.mistyped())))

    def unknown(self) -> list[str]:
        """Warnings of fields that nothing had."""
        return [said for test in self._tests if (said := test.unknown(self._known))]


class _Test:
    """One condition, and a count of what it met."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self._is_null_test = condition.operator in ("is null", "is not null")
        takes_any = condition.operator in ("contains", "like")
        self._kinds = _SCALARS if takes_any else {_kind(one) for one in condition.values}
        self._compare = _comparison(condition)
        self._absent = self._compared = 0
        self._others = Counter[str]()

    def holds(self, value: Any) -> bool:
        if self._is_null_test:
            self._absent += value is None
            self._compared += value is not None
            return (value is None) == (self.condition.operator == "is null")
        if value is None:
            self._absent += 1
            return False
        values = [value]
        if isinstance(value, list) and self.condition.operator in _OF_ELEMENTS:
            values = [one for one in cast("list[Any]", value) if one is not None]
        comparable = [one for one in values if _kind(one) in self._kinds]
        if values and not comparable:
            self._others[_kind(values[0])] += 1
            return False
        self._compared += 1
        choose = all if self.condition.operator == "!=" else any
        return choose([self._compare(one) for one in comparable])

    def mistyped(self) -> str | None:
        if not self._others:
            return None
        [(kind, count)] = self._others.most_common(1)
        value, written = self.condition.values[0], next(iter(self.condition.written), "")
        looked_at = self._others.total() + self._compared
        fix = ""
        if kind == "text" and written:
            fix = f" Write '{written}', in quotes, to compare text."
        elif kind == "a number" and NUMBER.match(str(value)):
            fix = f" Write {value}, without quotes, to compare numbers."
        return (
            f"other_type: {self._column} is {kind} in {count:,} of {counted(looked_at, 'package')} looked at that "
            f"have it, and is compared with {_kind(value)}: those cannot match.{fix}"
        )

    def unknown(self, known: Iterable[str]) -> str | None:
        if self._others or self._compared or not self._absent:
            return None
        close = suggest(self.condition.column.strip("/"), known)
        hint = f" Close to it: {', '.join(one[:80] for one in close)}." if close else ""
        return f"no_field: none of {counted(self._absent, 'package')} looked at has {self._column}.{hint} A nested field is /a/b."

    @property
    def _column(self) -> str:
        return repr(self.condition.column[:80])


_NAMES_KEPT: Final = 1_000
_SCALARS: Final = {"text", "a number", "true or false"}
_OF_ELEMENTS: Final = ("=", "!=", "in", "contains", "like")
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


def _comparison(condition: Condition) -> Callable[[Any], bool]:
    """Asked with values of a kind that can be compared."""
    values = condition.values
    if condition.operator == "contains":
        part = str(values[0]).casefold()
        return lambda value: part in _written(value).casefold()
    if condition.operator == "like":
        pattern = _like(str(values[0]))
        return lambda value: pattern.fullmatch(_written(value)) is not None
    if condition.operator == "in":
        return lambda value: any(_kind(one) == _kind(value) and one == value for one in values)
    compare = _ORDERS.get(condition.operator, eq)
    return lambda value: compare(value, values[0])


def _like(pattern: str) -> re.Pattern[str]:
    """Each part after a ``%`` is matched as far left as it goes and for good: no later place could match more."""
    first, *rest = [
        "".join("." if one == "_" else re.escape(one) for one in part) for part in pattern.split("%")
    ]
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""), re.DOTALL)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def _written(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
