"""Look: columns that are text where numbers or dates were meant, by the first rows of some files.

Only what is plain is told: every value is a number but for marks as NA, or has a decimal comma, or is a date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.quoting import identifier
from quilt_mcp.sql.inside.tables.csv_table import CsvTable
from quilt_mcp.sql.inside.tables.named import Named

MARKS: Final = frozenset(
    """
    na n/a #n/a #na <na> nan null none nil n.a. nd n.d. - -- . ? missing unknown undefined #value! #ref! #div/0! inf -inf
    """.split()  # noqa: SIM905 - a list of words
)
_LOOKED_AT: Final = 1_000
_FILES: Final = 3
_MOST_MARKS: Final = 8
_SMALL: Final = {"max_line_size": "65536", "buffer_size": "262144"}
"""A look reads no more than it takes."""
_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_COMMA: Final = re.compile(r"\s*-?(\d{1,3}(\.\d{3})+|\d+),\d+\s*")
_BY_COMMAS: Final = re.compile(r"\s*-?\d{1,3}(,\d{3})+(\.\d+)?\s*")
_BY_DOTS: Final = re.compile(r"\s*-?\d{1,3}(\.\d{3})+\s*")
_DATE: Final = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{4}")


def told(engine: Any, csv: CsvTable, named: Named) -> list[str]:
    """One for each column at most. What cannot be looked at is passed over."""
    asked = [one for one in csv.kinds if one in named]
    texts = [one for one in asked if csv.kinds[one] == "VARCHAR"]
    if not texts or csv.table.settings.get("all_varchar") == "true":
        return []
    said: dict[str, str] = {}
    numbers = {one: csv.own[one] for one in texts}
    for number in [
        *dict.fromkeys(at for own in numbers.values() for at, kind in own.items() if kind == "VARCHAR")
    ][:_FILES]:
        here = [one for one in texts if one not in said and csv.own[one].get(number) == "VARCHAR"]
        values = _values(engine, csv, number, here)
        commas: str | None = None
        for column in here:
            found, is_comma = _judged(engine, csv, number, column, values[column])
            if found:
                said[column] = found
            commas = commas or (column if is_comma else None)
        if commas is not None:
            doubles = [one for one in asked if csv.own[one].get(number) == "DOUBLE" and one not in said]
            for column, some in _values(engine, csv, number, doubles).items():
                if (found := _as_thousands(csv.table.paths[number], column, some, commas)) is not None:
                    said[column] = found
    return [*said.values()]


def _values(engine: Any, csv: CsvTable, number: int, columns: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The first values that are there."""
    if not columns:
        return {}
    listed = ", ".join(map(identifier, columns))
    try:
        with typed():
            rows = engine.execute(
                f"SELECT {listed} FROM {csv.as_text([number], **_SMALL)} LIMIT {_LOOKED_AT}"
            ).fetchall()
    except Fault:
        return dict.fromkeys(columns, ())
    found: dict[str, list[str]] = {}
    for at, column in enumerate(columns):
        values: list[str] = [row[at] or "" for row in rows]
        found[column] = [one for one in values if one.strip()]
    return found


def _judged(
    engine: Any, csv: CsvTable, number: int, column: str, values: Sequence[str]
) -> tuple[str | None, bool]:
    """What is to be told, and whether its numbers have decimal commas."""
    where = f"column {column[:100]} of {csv.table.paths[number]}"
    plain = [one for one in values if one.strip().casefold() not in MARKS]
    if not plain:
        return None, False
    if all(_NUMBER.fullmatch(one) for one in plain):
        marks = _marks(engine, csv, column)
        if not marks:
            return None, False
        listed = ", ".join("'" + one.replace("'", "''") + "'" for one in marks)
        return (
            f"numbers_as_text: {where} is text because of {listed} among its numbers: max() and ORDER BY compare letters. "
            f"files(.., nullstr := [{listed}, '']) reads numbers, TRY_CAST({identifier(column)} AS DOUBLE) makes them.",
            False,
        )
    if all(_NUMBER.fullmatch(one) or _BY_COMMAS.fullmatch(one) for one in plain):
        example = next(one for one in plain if _BY_COMMAS.fullmatch(one))
        return (
            f"numbers_as_text: {where} is text, as {example!r}; files(.., thousands := ',') reads numbers.",
            False,
        )
    if all(_NUMBER.fullmatch(one) or _COMMA.fullmatch(one) or _BY_DOTS.fullmatch(one) for one in plain):
        example = next((one for one in plain if _COMMA.fullmatch(one)), plain[0])
        said = f"numbers_as_text: {where} is text, as {example!r} has a decimal comma or dots between thousands; "
        return f"{said}files(.., decimal_separator := ',', thousands := '.') reads numbers.", True
    if all(_DATE.fullmatch(one) for one in plain):
        form = _form(plain)
        made = (
            f"strptime({identifier(column)}, '{form}') makes dates"
            if form
            else "no one form fits all of its first rows"
        )
        return f"dates_as_text: {where} is text, as {plain[0]!r}: {made}.", False
    return None, False


def _marks(engine: Any, csv: CsvTable, column: str) -> list[str]:
    """All that is no number in it, if it is marks alone. Reads all rows."""
    own, groups = identifier(column), csv.by_column(column)([*csv.own[column]])
    with typed():
        rows = engine.execute(
            f"SELECT DISTINCT left({own}, 100) FROM {groups} WHERE {own} IS NOT NULL AND trim({own}) <> '' AND "
            f"(TRY_CAST({own} AS DOUBLE) IS NULL OR lower({own}) IN ('nan', 'inf')) LIMIT {_MOST_MARKS + 1}"
        ).fetchall()
    marks = sorted(one for (one,) in rows)
    return (
        marks if len(marks) <= _MOST_MARKS and all(one.strip().casefold() in MARKS for one in marks) else []
    )


def _as_thousands(path: str, column: str, values: Sequence[str], other: str) -> str | None:
    dotted = [one for one in values if "." in one]
    if not dotted or not all(_BY_DOTS.fullmatch(one) for one in dotted):
        return None
    value = dotted[0].strip()
    return (
        f"thousands: column {column[:100]} of {path} has {value!r}, which is read as {float(value):g}, and may be "
        f"{value.replace('.', '')}, as column {other[:100]} beside it has decimal commas; files(.., decimal_separator := ',', "
        "thousands := '.') reads it so."
    )


def _form(values: Sequence[str]) -> str | None:
    sign = _DATE.fullmatch(values[0])
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        written = form.replace("/", sign[1] if sign else "/")
        try:
            for one in values:
                datetime.strptime(one, written)
        except ValueError:
            continue
        return written
    return None
