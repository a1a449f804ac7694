"""Files that a query finds in a catalog: how many, what endings and sizes they have, and one page of them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.domain.search.query.term import Query
from quilt_mcp.search.engine import Connection, literal
from quilt_mcp.search.sql import entry_condition
from quilt_mcp.search.view import View

ENDINGS: Final = 20
Place = tuple[Any, ...]
"""Where a row stands in the order: what it is sorted by, and what tells equal ones apart."""


@dataclass(frozen=True, slots=True)
class EntryRow:
    number: int
    row: int
    path: str
    size: int
    name: str
    top_hash: str
    modified: int
    place: Place


@dataclass(frozen=True, slots=True)
class Entries:
    """``endings``: how many files end in what. ``sizes``, ``times``: the least and the greatest."""

    total: int
    rows: Sequence[EntryRow]
    endings: Mapping[str, int]
    sizes: tuple[int, int] | None
    times: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """``by``: 'name' (of the package, then the path), 'path', 'size' or 'modified'."""

    by: str
    is_descending: bool = False

    def columns(self) -> Sequence[tuple[str, bool]]:
        """Those of a place, and whether the greatest comes first. Text is compared by code points."""
        match self.by:
            case "size":
                first = [("e.size", self.is_descending), ("h.name", False)]
            case "modified":
                first = [("h.modified", self.is_descending), ("h.name", False)]
            case "path":
                first = [("e.logical_key", self.is_descending), ("h.name", False)]
            case _:
                first = [("h.name", self.is_descending)]
        return (*first, ("e.file_row_number", False))

    def directions(self) -> Sequence[bool]:
        return [is_descending for _, is_descending in self.columns()]

    def after(self, place: Place, with_equal: bool) -> str:
        """A condition for what comes after a place. ``with_equal``: what has the very same place comes after it too, as a row of a
        later registry does."""
        columns = self.columns()
        equal = [f"{column} = {literal(value)}" for (column, _), value in zip(columns, place, strict=True)]
        later = [
            f"{column} {'<' if is_descending else '>'} {literal(value)}"
            for (column, is_descending), value in zip(columns, place, strict=True)
        ]
        ways = [" AND ".join([*equal[:n], later[n]]) for n in range(len(columns))]
        if with_equal:
            ways.append(" AND ".join(equal))
        return f"({' OR '.join(f'({one})' for one in ways)})"


@dataclass(frozen=True, slots=True)
class After:
    """Where a page goes on."""

    place: Place
    with_equal: bool = False


def find(
    connection: Connection,
    view: View,
    query: Query,
    order: EntryOrder,
    limit: int,
    after: After | None,
    *,
    counts: bool,
) -> Entries:
    """One pass through the entries. ``counts``: the total and the facets, too."""
    condition = entry_condition(query, view.fields())
    return _Scan(connection, view, condition).run(order, limit, after, counts=counts)


class _Scan:
    def __init__(self, connection: Connection, view: View, condition: str) -> None:
        self._connection = connection
        self._view = view
        self._condition = condition

    def run(self, order: EntryOrder, limit: int, after: After | None, *, counts: bool) -> Entries:
        total, endings, sizes, times = 0, {}, None, None
        if counts:
            total, endings, sizes, times = self._counts()
        rows = self._rows(order, limit, after) if limit and (total or not counts) else []
        return Entries(total, rows, endings, sizes, times)

    def _counts(self) -> tuple[int, dict[str, int], tuple[int, int] | None, tuple[int, int] | None]:
        found = self._connection.rows(
            f"""SELECT ext, count(*), min(size), max(size), min(modified), max(modified) FROM (
                SELECT e.ext, e.size, h.modified FROM {self._view.entries()} e JOIN {self._view.heads()} h USING (number)
                WHERE {self._condition}) GROUP BY ext ORDER BY count(*) DESC, ext"""
        )
        total = sum(row[1] for row in found)
        endings = {row[0]: row[1] for row in found}
        if not found:
            return 0, {}, None, None
        sizes = min(row[2] for row in found), max(row[3] for row in found)
        times = min(row[4] for row in found), max(row[5] for row in found)
        return total, endings, sizes, times

    def _rows(self, order: EntryOrder, limit: int, after: After | None) -> list[EntryRow]:
        passed = "true" if after is None else order.after(after.place, after.with_equal)
        columns = order.columns()
        told = ", ".join(f"{column} AS p{n}" for n, (column, _) in enumerate(columns))
        ordered = ", ".join(
            f"p{n} {'DESC' if is_descending else 'ASC'}" for n, (_, is_descending) in enumerate(columns)
        )
        found = self._connection.rows(
            f"""SELECT e.number, e.file_row_number, e.logical_key, e.size, h.name, h.top_hash, h.modified, {told}
                FROM {self._view.entries()} e JOIN {self._view.heads()} h USING (number)
                WHERE {self._condition} AND {passed} ORDER BY {ordered} LIMIT {limit}"""
        )
        return [EntryRow(*row[:7], place=tuple(row[7:])) for row in found]


def details(connection: Connection, view: View, rows: Sequence[EntryRow]) -> Mapping[tuple[int, int], tuple[str, str, str, str]]:
    """Hash type and value, physical key and metadata (JSON text) of some rows, by their number and row."""
    if not rows:
        return {}
    numbers = ", ".join(str(one.number) for one in rows)
    places = ", ".join(str(one.row) for one in rows)
    wanted = {(one.number, one.row) for one in rows}
    found = connection.rows(
        f"SELECT number, file_row_number, hash_type, hash_value, physical_key, metadata FROM {view.entries()} e "
        f"WHERE number IN ({numbers}) AND file_row_number IN ({places})"
    )
    return {(row[0], row[1]): row[2:] for row in found if (row[0], row[1]) in wanted}
