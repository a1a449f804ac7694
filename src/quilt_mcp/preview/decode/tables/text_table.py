"""Tables that are text, gone through a row at a time: their columns and types from a beginning, then the rows asked for.

Rows come from a ``Reading`` (delimited.py, json_lines.py). A type is what all values of a column look like in the beginning.
Cells are shown as they stand in the file, as numbers where that loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from quilt_mcp.preview.decode.tables.cells import cell
from quilt_mcp.preview.decode.tables.selecting import Selection, matched

BEGINNING = 1 << 20
"""Bytes from which columns and types are told."""
_BEGINNING_ONLY = "beginning: this is told from the first megabyte; mode rows with rows=0:0 counts all rows."
TYPED_COLUMNS = 1_000
_MOST_FAULTS = 20
MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "."))
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})\Z")
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d{1,3})?\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?\Z")


Row = tuple[int, Sequence[Any]]
"""The number of its last line, and its cells."""


class Reading(Protocol):
    """Rows from the first on. ``columns`` is known, and ``faults`` of lines that are no rows grow, as they are read."""

    columns: list[str]
    faults: list[str]

    @property
    def is_cut(self) -> bool:
        """Whether the file goes on after the last row."""
        ...

    def rows(self) -> Iterator[Row]: ...

    def notes(self) -> list[str]: ...


Open = Callable[[int | None], Reading]
"""Opens the file for reading, as if it ended after so many bytes."""


@dataclass(slots=True)
class _Column:
    """What the values of a column look like."""

    kinds: dict[str, int] = field(default_factory=dict[str, int])
    odd: tuple[int, str] | None = None
    """Line and text of the first value that is no number."""

    def add(self, value: Any, line: int) -> None:
        kind = kind_of(value)
        if kind is None:
            return
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if self.odd is None and kind not in ("BIGINT", "DOUBLE"):
            self.odd = (line, str(value)[:60])

    def type(self) -> str:
        kinds = self.kinds.keys()
        if len(kinds) == 1:
            return next(iter(kinds))
        return "DOUBLE" if kinds and kinds <= {"BIGINT", "DOUBLE"} else "VARCHAR"

    def fault(self, name: str) -> str | None:
        """A column nearly all of whose values are numbers, but not all, is mistyped somewhere."""
        total = sum(self.kinds.values())
        numbers = self.kinds.get("BIGINT", 0) + self.kinds.get("DOUBLE", 0)
        if self.odd is None or total < 5 or numbers < 0.8 * total or numbers == total:
            return None
        line, value = self.odd
        return (
            f"line {line}: column {name[:80]}: {value!r} is no number, as {numbers} of its {total} values are"
        )


def kind_of(value: Any) -> str | None:
    """The type a value by itself would have; None where it is missing."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT"
    if isinstance(value, float):
        return "DOUBLE"
    if not isinstance(value, str):
        return "JSON"
    return None if value in MISSING else _kind_of_text(value)


def _kind_of_text(value: str) -> str:
    if _INTEGER.match(value):
        return "BIGINT"
    if _NUMBER.match(value) and any(letter.isdigit() for letter in value):
        return "DOUBLE"
    if value in ("true", "false", "True", "False", "TRUE", "FALSE"):
        return "BOOLEAN"
    if _DATE.match(value):
        return "DATE"
    return "TIMESTAMP" if _TIMESTAMP.match(value) else "VARCHAR"


@dataclass(frozen=True, slots=True)
class Beginning:
    types: dict[str, str]
    rows: list[Row]
    is_whole: bool
    faults: list[str]
    notes: list[str]


def look_at(open_: Open) -> Beginning:
    """Reads the first megabyte, cut at its last whole row."""
    reading = open_(BEGINNING)
    rows = list(reading.rows())
    names = reading.columns
    looks = [_Column() for _ in names[:TYPED_COLUMNS]]
    for line, cells in rows:
        for look, value in zip(looks, cells, strict=False):
            look.add(value, line)
    types = {name: look.type() for name, look in zip(names, looks, strict=False)}
    types |= dict.fromkeys(names[TYPED_COLUMNS:], "VARCHAR")
    mistyped = [said for name, look in zip(names, looks, strict=False) if (said := look.fault(name))]
    return Beginning(
        types, rows, not reading.is_cut, (reading.faults + mistyped)[:_MOST_FAULTS], reading.notes()
    )


def describe(open_: Open, first: int) -> dict[str, Any]:
    found = look_at(open_)
    return {
        "rows": len(found.rows) if found.is_whole else None,
        "columns": found.types,
        "first": [shown(cells, found.types) for _, cells in found.rows[:first]],
        "faults": found.faults,
        "notes": found.notes if found.is_whole else [*found.notes, _BEGINNING_ONLY],
    }


def select(open_: Open, selection: Selection) -> dict[str, Any]:
    """The rows asked for, and how many there are in all where the end was seen."""
    beginning = look_at(open_)
    types = beginning.types
    chosen = selection.chosen(types)
    tests = selection.tests(types)
    places = {name: place for place, name in enumerate(types)}
    reading = open_(None)
    wanted = {name: types[name] for name in chosen}
    kept: list[list[Any]] = []
    odd: list[str] = []
    count, room, is_ended = 0, selection.room, True
    for number, cells in reading.rows():
        if tests and not matched(tests, number, cells, places, odd):
            continue
        if count >= selection.stop and not selection.only_counts:
            is_ended = False
            break
        count += 1
        if selection.only_counts or count <= selection.start:
            continue
        line = shown([cells[places[name]] for name in chosen], wanted)
        room -= size_of(line)
        if room < 0 and kept:
            is_ended = False
            break
        kept.append(line)
    return {
        "columns": chosen,
        "rows": kept,
        "total": count if is_ended else None,
        "next": None if is_ended else selection.start + len(kept),
        "faults": [*reading.faults, *odd][:_MOST_FAULTS],
        "notes": [*reading.notes(), *selection.left_out(types)],
    }


def size_of(line: Sequence[Any]) -> int:
    """Bytes of a row as JSON, about."""
    return sum(len(str(one).encode("utf-8", "replace")) + 4 for one in line)


def shown(cells: Sequence[Any], types: dict[str, str]) -> list[Any]:
    return [_shown(value, kind) for value, kind in zip(cells, types.values(), strict=False)]


def _shown(value: Any, kind: str) -> Any:
    """Text of a column of numbers as the number, where JSON says the same."""
    if kind == "BIGINT" and isinstance(value, str) and _INTEGER.match(value) and value[0] != "+":
        return cell(int(value))
    if kind == "DOUBLE" and isinstance(value, str) and _kind_of_text(value) in ("BIGINT", "DOUBLE"):
        number = float(value)
        if len(value) <= 17 or repr(number) == value:
            return cell(number)
    return cell(value)
