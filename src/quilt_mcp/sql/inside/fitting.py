"""Fitting: what stands for a declared column in a file, and how a file that does not fit is told.

The engine rounds where it makes whole numbers of others: 5.7 would be 6 in silence. So a column of whole numbers is read as what
loses nothing, and a value that is not whole is an error.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.quoting import identifier, text

NOT_FITTING: Final = "A value does not fit its declared column."
"""What the engine says of such a value, and not where it stands."""
LONGEST: Final = 300
_WHOLE: Final = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}
"""Types of whole numbers, and their bits but for the sign."""
_EXACT: Final = "DECIMAL(38, 18)"
_SAFE: Final = frozenset(
    [
        *((one, other) for at, one in enumerate(_WHOLE) for other in [*_WHOLE][at:]),
        *((one, "DOUBLE") for one in ("FLOAT", "TINYINT", "SMALLINT", "INTEGER")),
        ("DATE", "TIMESTAMP"),
    ]
)
"""Casts that cannot fail."""
_LINE: Final = re.compile(r"CSV Error on Line: ([0-9]+)")
_ADDRESS: Final = re.compile(r"qf://([0-9]+)/")
_CONVERTING: Final = re.compile(r'Error when converting column "(.*?)"\. ([^\n]*)')
_CELLS: Final = re.compile(r"Expected Number of Columns: ([0-9]+) Found: ([0-9]+)")
_OTHER: Final = re.compile(
    r"Value with unterminated quote found|This file is not [\w-]+ encoded|Maximum line size[^\n]*"
)


class Unfit(Exception):
    """A file does not fit its table; the message is a phrase that says why."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    is_nullable: bool


@dataclass(frozen=True, slots=True)
class Source:
    """What stands for a column in a file. ``own``: its name there; ``read_as``: the type that a CSV's cells are read as;
    ``fits``: whether a value that is not NULL can be the column's; ``is_safe``: all can."""

    own: str
    sql: str
    read_as: str
    fits: str
    is_safe: bool


def csv_source(column: Column) -> Source:
    own, wanted = identifier(column.name), column.type
    if wanted in _WHOLE:
        fits = _is_whole(own, wanted)
        return Source(
            own, _guarded(own, wanted, fits), _EXACT if wanted == "BIGINT" else "DOUBLE", fits, False
        )
    if wanted == "BLOB":
        return Source(own, f"encode({own})", "VARCHAR", "true", False)
    return Source(own, own, wanted, "true", False)


def parquet_source(name: str, kind: str, column: Column) -> Source:
    own, wanted = identifier(name), column.type
    if kind == wanted or (kind, wanted) in _SAFE:
        return Source(own, own if kind == wanted else f"CAST({own} AS {wanted})", kind, "true", True)
    if wanted in _WHOLE:
        fits = _is_whole(f"TRY_CAST({own} AS {_EXACT})", wanted)
        return Source(own, _guarded(own, wanted, fits), kind, fits, False)
    return Source(own, f"CAST({own} AS {wanted})", kind, f"TRY_CAST({own} AS {wanted}) IS NOT NULL", False)


def _is_whole(value: str, wanted: str) -> str:
    bound = 2 ** _WHOLE[wanted]
    return f"COALESCE({value} = trunc({value}) AND {value} BETWEEN {-bound} AND {bound - 1}, false)"


def _guarded(own: str, wanted: str, fits: str) -> str:
    return f"CASE WHEN {own} IS NULL THEN NULL WHEN {fits} THEN CAST({own} AS {wanted}) ELSE error({text(NOT_FITTING)}) END"


def required(sql: str) -> str:
    """The same, and an error where it is NULL."""
    return f"CASE WHEN {sql} IS NULL THEN error({text(NOT_FITTING)}) ELSE {sql} END"


def addresses_in(said: str) -> list[int]:
    """The numbers of the files that the engine names."""
    return [int(one) for one in _ADDRESS.findall(said)]


@contextlib.contextmanager
def reading() -> Generator[None]:
    """What the engine says of a file becomes a phrase. Raises Unfit, and Fault for want of memory or time."""
    try:
        with typed():
            yield
    except Fault as fault:
        if fault.kind != "engine":
            raise
        raise Unfit(_phrase(str(fault))) from None


def _phrase(said: str) -> str:
    line = _LINE.search(said)
    where = f"line {line[1]}: " if line else ""
    if found := _CONVERTING.search(said):
        why = f"column {found[1]}: {found[2].rstrip('.')}"
    elif found := _CELLS.search(said):
        why = f"it has {found[2]} cells, and {found[1]} are expected"
    elif found := _OTHER.search(said):
        why = found[0]
    else:
        why = _ADDRESS.sub("", said.partition("\n")[0]).removeprefix("Invalid Input Error: ")
    return f"{where}{why}"[:LONGEST]
