"""Selection: which rows and columns of a table are asked for; and the comparisons, as Python makes them on a row of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quilt_mcp.preview.decode.file import Fault

MOST_SHOWN = 200
"""Columns that are shown where none is asked for by name."""
Test = tuple[str, str, list[Any]]
"""Column, operator, values."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows [start, stop) of those that match; ``start == stop`` only counts them. ``room``: bytes of the rows that are wanted."""

    columns: list[str] | None
    start: int
    stop: int
    where: list[Test]
    room: int

    @classmethod
    def of(cls, ask: Mapping[str, Any]) -> Selection:
        return cls(
            ask["columns"],
            int(ask["start"]),
            int(ask["stop"]),
            [(str(column), str(operator), list(values)) for column, operator, values in ask["where"]],
            int(ask["room"]),
        )

    @property
    def only_counts(self) -> bool:
        return self.start == self.stop

    def chosen(self, types: Mapping[str, str]) -> list[str]:
        """Raises Fault for a column that does not exist."""
        if self.columns is None:
            return list(types)[:MOST_SHOWN]
        return list(dict.fromkeys(named(one, types) for one in self.columns))

    def left_out(self, types: Mapping[str, str]) -> list[str]:
        """What is said of columns that nobody asked for by name and that are not shown."""
        if self.columns is not None or len(types) <= MOST_SHOWN:
            return []
        return [
            f"columns: the first {MOST_SHOWN} of {len(types)} are shown; the argument columns names others."
        ]

    def tests(self, types: Mapping[str, str]) -> list[Comparison]:
        return [
            _comparison(named(column, types), operator, values, types)
            for column, operator, values in self.where
        ]


def named(name: str, types: Mapping[str, str]) -> str:
    """The column of that name, or the only one that differs in letter case."""
    if name in types:
        return name
    alike = [one for one in types if one.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    raise Fault("no_column", f"There is no column {name[:100]!r}.", column=name, columns=list(types)[:20_000])


@dataclass(frozen=True, slots=True)
class Comparison:
    """``read`` makes of a cell what ``holds`` is asked with, None where the cell is not of the column's type."""

    column: str
    operator: str
    type: str
    read: Callable[[Any], Any]
    holds: Callable[[Any], bool]


def matched(
    tests: Sequence[Comparison], line: int, cells: Sequence[Any], places: Mapping[str, int], odd: list[str]
) -> bool:
    """Whether a row passes all. A missing value passes ``is null`` alone; one of another type than its column's is told of."""
    for test in tests:
        value = cells[places[test.column]]
        is_missing = value is None or value == ""
        if test.operator in ("is null", "is not null"):
            if is_missing != (test.operator == "is null"):
                return False
            continue
        if is_missing:
            return False
        known = test.read(value)
        if known is None:
            if len(odd) < 20 and value not in _NOT_AVAILABLE:
                odd.append(f"line {line}: column {test.column[:80]}: {str(value)[:60]!r} is no {test.type}")
            return False
        if not test.holds(known):
            return False
    return True


_NOT_AVAILABLE = ("NA", "N/A", "NaN", "nan", "null", "NULL", "None", ".")
NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
)


def is_number(kind: str) -> bool:
    return kind in NUMBERS or kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL")


def checked(column: str, kind: str, values: Sequence[Any]) -> list[Any]:
    """The values as a column of that type is compared with. Raises Fault for one that cannot be."""
    return [_checked(column, kind, value) for value in values]


def _checked(column: str, kind: str, value: Any) -> Any:
    if is_number(kind):
        number = _number(value)
        if number is not None:
            return number
    elif kind == "BOOLEAN":
        if (truth := _truth(value)) is not None:
            return truth
    elif kind.startswith(("DATE", "TIMESTAMP")):
        if re.match(r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?\Z", str(value)):
            return str(value)
    elif isinstance(value, str):
        return value
    else:
        # As texts, 10 comes before 9: rows would be missing without a word.
        raise Fault(
            "bad_value",
            f"{value} is a number, and column {column[:80]} holds text ({kind}). Write '{value}' to compare it as text.",
        )
    raise Fault(
        "bad_value", f"{str(value)[:60]!r} cannot be compared with column {column[:80]}, which is {kind}."
    )


def _comparison(column: str, operator: str, values: list[Any], types: Mapping[str, str]) -> Comparison:
    kind = types[column]
    if operator in ("contains", "like"):
        pattern = str(values[0])
        return Comparison(
            column, operator, kind, _written, _contains(pattern) if operator == "contains" else _like(pattern)
        )
    known = checked(column, kind, values)
    read = (
        _number
        if is_number(kind)
        else _truth
        if kind == "BOOLEAN"
        else _moment
        if kind in ("DATE", "TIMESTAMP")
        else _written
    )
    wanted = [read(one) for one in known]
    return Comparison(column, operator, kind, read, _compared(operator, wanted))


def _compared(operator: str, wanted: list[Any]) -> Callable[[Any], bool]:
    one = wanted[0] if wanted else None
    table: dict[str, Callable[[Any], bool]] = {
        "=": lambda value: value == one,
        "!=": lambda value: value != one,
        "<": lambda value: value < one,
        "<=": lambda value: value <= one,
        ">": lambda value: value > one,
        ">=": lambda value: value >= one,
        "in": lambda value: value in wanted,
        "is null": lambda value: False,
        "is not null": lambda value: True,
    }
    return table[operator]


def _contains(part: str) -> Callable[[str], bool]:
    folded = part.casefold()
    return lambda value: folded in value.casefold()


def _like(pattern: str) -> Callable[[str], bool]:
    """SQL's: ``%`` any letters, ``_`` one. As a walk over the fixed parts, so that its time has a bound."""
    parts = pattern.split("%")

    def fits(part: str, value: str, at: int) -> bool:
        return at + len(part) <= len(value) and all(
            a in ("_", b) for a, b in zip(part, value[at:], strict=False)
        )

    def holds(value: str) -> bool:
        if not fits(parts[0], value, 0):
            return False
        at = len(parts[0])
        if len(parts) == 1:
            return at == len(value)
        for part in parts[1:-1]:
            while at <= len(value) and not fits(part, value, at):
                at += 1
            if at > len(value):
                return False
            at += len(part)
        return at + len(parts[-1]) <= len(value) and fits(parts[-1], value, len(value) - len(parts[-1]))

    return holds


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if value == value else None  # noqa: PLR0124 - NaN
    try:
        text = str(value).strip()
        number = int(text) if text.lstrip("+-").isdigit() and len(text) < 400 else float(text)
    except ValueError:
        return None
    return number if number == number else None  # noqa: PLR0124 - NaN


def _truth(value: Any) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())


def _moment(value: Any) -> str:
    """Moments of one form are ordered as their texts are; a day is its midnight."""
    text = str(value).replace(" ", "T", 1).removesuffix("Z")
    return text + "T00:00:00"[len(text) - 10 :] if 10 <= len(text) < 19 else text


def _written(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else ("true" if value else "false")
        if isinstance(value, bool)
        else str(value)
    )
