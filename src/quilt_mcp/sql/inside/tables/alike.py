"""Alike: columns of two CSV files that are compared are read in one way on both sides.

Each side by itself may have a day first where the other has a month, or be text because of one value: then what did not change
would be told as changed. So dates are read in one order, else as text, and what is text on one side is text on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quilt_mcp.sql.inside.tables import dates
from quilt_mcp.sql.inside.tables.csv_table import CsvTable


def settle(engine: Any, sides: Sequence[CsvTable]) -> list[str]:
    """``sides``: those of the two that are CSV, once they were looked at. Answers what is to be told."""
    said: list[str] = []
    for column in dict.fromkeys(name.casefold() for side in sides for name in side.kinds):
        here = [(side, name) for side in sides for name in side.kinds if name.casefold() == column]
        kinds = {side.kinds[name] for side, name in here}
        if len(kinds) > 1 and "VARCHAR" in kinds:
            for side, name in here:
                if side.kinds[name] != "VARCHAR":
                    side.read_as_text(name)
        if "VARCHAR" in kinds or not kinds & dates.OPTIONS.keys():
            continue
        opened = {
            (at, number): form
            for at, (side, name) in enumerate(here)
            if side.kinds[name] in dates.OPTIONS
            for number, form in side.open_dates(name).items()
        }
        if not opened:
            continue
        said += _in_one_order(engine, here, opened)
    return said


def _in_one_order(
    engine: Any, here: Sequence[tuple[CsvTable, str]], opened: dict[tuple[int, int], str]
) -> list[str]:
    places = [*opened]

    def read(numbers: Sequence[int]) -> str:
        parts: list[str] = []
        for at, (side, name) in enumerate(here):
            if files := [places[one][1] for one in numbers if places[one][0] == at]:
                parts.append(f"SELECT * FROM {side.by_column(name)(files)} t(value)")
        return f"({' UNION ALL '.join(parts)})"

    forms = {one: opened[place] for one, place in enumerate(places)}
    paths = [here[at][0].table.paths[number] for at, number in places]
    side, name = here[0]
    found = dates.settled(engine, "value", side.kinds[name], forms, read, paths)
    for at, (side, name) in enumerate(here):
        own = None
        if found.forms is not None:
            own = {
                place[1]: found.forms[one]
                for one, place in enumerate(places)
                if place[0] == at and one in found.forms
            }
        side.take_dates(name, own)
    shown = here[0][1][:100]
    if found.forms is None:
        return [
            f"mixed_dates: no one order of day and month fits all of column {shown}, so it is compared as text."
        ]
    if found.example is not None:
        value, one, other = found.example
        return [
            f"ambiguous_dates: column {shown} fits two orders of day and month: {value[:40]!r} is read as {one}, not as {other}, "
            "wherever it is so written."
        ]
    return []
