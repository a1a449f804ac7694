"""Results: pages of an execution, with values of the types that Athena tells."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from quilt_mcp.athena.asking import Asking
from quilt_mcp.domain.sql import SqlColumn

PAGE: Final = 1_000
"""Rows that Athena answers at once at most, a header among them."""
_SAFE: Final = 1 << 53
_INTEGERS: Final = frozenset({"tinyint", "smallint", "integer", "int", "bigint"})
_FLOATS: Final = frozenset({"float", "double", "real"})
_FRACTION: Final = re.compile(r"(:\d\d)\.(\d*?)0+(?=$|[ +-])")


@dataclass(frozen=True, slots=True)
class Page:
    """``token`` None: the last."""

    columns: tuple[SqlColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    token: str | None


async def read(
    asking: Asking,
    execution: Mapping[str, Any],
    limit: int,
    token: str | None = None,
    *,
    headings: Sequence[str] = (),
    lists: frozenset[int] = frozenset(),
) -> Page:
    """At most ``limit`` rows, from ``token`` on. A header is no row (see ``_header``). A request for each 1,000 rows."""
    rows: list[tuple[Any, ...]] = []
    columns: tuple[SqlColumn, ...] | None = None
    header = _header(execution)
    at_start = token is None
    while columns is None or (len(rows) < limit and token is not None):
        wanted = min(limit - len(rows) + (at_start and header == "first"), PAGE)
        given: dict[str, Any] = {
            "QueryExecutionId": execution["QueryExecutionId"],
            "MaxResults": max(wanted, 1),
        }
        answer = await asking.ask(
            "GetQueryResults", **given, **({} if token is None else {"NextToken": token})
        )
        told: Sequence[Mapping[str, Any]] = (
            answer["ResultSet"].get("ResultSetMetadata", {}).get("ColumnInfo", ())
        )
        if columns is None:
            columns = tuple(SqlColumn(str(one["Name"]), _type(one)) for one in told)
        found = [_cells(one, len(columns)) for one in answer["ResultSet"].get("Rows", ())]
        if at_start and (
            header == "first" or (header == "equal" and found[:1] == [[one.name for one in columns]])
        ):
            found = found[1:]
        kinds = [_kind(one.type) for one in columns]
        rows += [
            tuple(value(cell, "list" if n in lists else kinds[n]) for n, cell in enumerate(cells))
            for cells in found
        ]
        token, at_start = answer.get("NextToken") or None, False
    if len(headings) == len(columns):
        columns = tuple(SqlColumn(heading, one.type) for heading, one in zip(headings, columns, strict=True))
    return Page(columns, tuple(rows[:limit]), token)


def _header(execution: Mapping[str, Any]) -> Literal["first", "none", "equal"]:
    """Whether the first row of all is the header, by what was run: of a SELECT it is, of SHOW and DESCRIBE it is not, whatever
    their first row says. 'equal': where it says the columns' names, as of a plan, no line of which does."""
    kind, finer = execution.get("StatementType"), execution.get("SubstatementType")
    if (
        finer == "EXPLAIN"
        or str(execution.get("Query", "")).lstrip()[:7].upper() == "EXPLAIN"
        or kind is None
    ):
        return "equal"
    return "first" if kind == "DML" else "none"


def _type(column: Mapping[str, Any]) -> str:
    name = str(column["Type"]).lower()
    return (
        f"{name}({column.get('Precision')},{column.get('Scale')})"
        if name == "decimal" and "Precision" in column
        else name
    )


def _kind(of: str) -> str:
    name = of.partition("(")[0].strip()
    if name in _INTEGERS:
        return "int"
    if name in _FLOATS:
        return "float"
    return "time" if name.startswith("timestamp") else name


def _cells(row: Mapping[str, Any], width: int) -> list[str | None]:
    """A row of DDL may be one cell with tabs in it."""
    cells: list[str | None] = [one.get("VarCharValue") for one in row.get("Data", ())]
    if len(cells) == 1 and width > 1 and cells[0] is not None:
        cells = [one.strip() for one in cells[0].split("\t")]
    return [*cells, *[None] * (width - len(cells))][:width] if width else cells


def value(cell: str | None, kind: str) -> Any:
    """What JSON has of it; text where it has nothing, and where the text is not what its type says."""
    if cell is None:
        return None
    try:
        match kind:
            case "int":
                number = int(cell)
                return number if abs(number) <= _SAFE else cell
            case "float":
                return _float(cell)
            case "boolean":
                return {"true": True, "false": False}.get(cell, cell)
            case "time":
                return _FRACTION.sub(_shortened, cell)
            case "varbinary":
                return base64.b64encode(bytes.fromhex(cell)).decode()
            case "list":
                return json.loads(cell)
            case _:
                return cell
    except ValueError:
        return cell


def _float(cell: str) -> Any:
    number = float(cell)
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"


def _shortened(match: re.Match[str]) -> str:
    return f"{match[1]}.{match[2]}" if match[2] else match[1]
