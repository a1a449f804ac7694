"""Files that a query finds in a catalog: how many, what endings and sizes they have, and one page of them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from quilt_mcp.domain.search.query.term import Query, terms
from quilt_mcp.search.engine import Connection, literal
from quilt_mcp.search.sql import entry_condition
from quilt_mcp.search.view import View

Place = tuple[Any, ...]
"""Where a row stands in the order: what it is sorted by, and what tells equal ones apart."""


@dataclass(frozen=True, slots=True)
class EntryRow:
    number: int
    row: int
    name: str
    top_hash: str
    modified: int
    place: Place


@dataclass(frozen=True, slots=True)
class Details:
    """``metadata`` is JSON text."""

    path: str
    size: int
    hash_type: str | None = None
    hash_value: str | None = None
    physical_key: str | None = None
    metadata: str = "{}"


@dataclass(frozen=True, slots=True)
class Entries:
    """``endings``: how many files end in what. ``sizes``, ``times``: the least and the greatest."""

    total: int
    rows: Sequence[EntryRow]
    endings: Mapping[str, int]
    sizes: tuple[int, int] | None = None
    times: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """``by``: 'name' (of the package, then the path), 'path', 'size' or 'modified'. Files that are equal in it
    stand together by package."""

    by: str
    is_descending: bool = False

    @property
    def is_of_packages(self) -> bool:
        """Whether the files of a package stand together, in their own order."""
        return self.by not in ("size", "path")

    def columns(self) -> Sequence[tuple[str, bool]]:
        """Those of a place, and whether the greatest comes first. Text is compared by code points."""
        value = {"size": "m.size", "modified": "h.modified", "path": "m.path"}.get(self.by, "h.name")
        return (value, self.is_descending), ("m.number", False), ("m.row", False)

    def after(self, place: Place, with_equal: bool) -> str:
        """A condition for what comes after a place. ``with_equal``: what has the very same place comes after it, too, as a row of
        a later registry does."""
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
    # Each row is looked through once, and all that is asked is answered from those that are left.
    statement = (
        f"WITH {_matched(view, query, order)}, {_packages(view)} "
        f"SELECT ({_page(order, limit, after) if limit else 'NULL'}), ({_COUNTED if counts else 'NULL'}), "
        f"({_TIMES if counts else 'NULL'})"
    )
    [(rows, endings, times)] = connection.rows(statement)
    found = [
        EntryRow(one["number"], one["r"], one["name"], one["top_hash"], one["modified"], _values(one["p"]))
        for one in rows or ()
    ]
    if not endings:
        return Entries(0, found, {})
    ranked = sorted(cast("list[dict[str, Any]]", endings), key=lambda one: (-one["n"], one["ext"]))
    return Entries(
        sum(one["n"] for one in ranked),
        found,
        {one["ext"]: one["n"] for one in ranked},
        (min(one["low"] for one in ranked), max(one["high"] for one in ranked)),
        _values(times),
    )


def _matched(view: View, query: Query, order: EntryOrder) -> str:
    of_package = any(term.field is not None and term.field.holder == "package" for term in terms(query))
    heads = f" JOIN {view.heads()} h USING (number)" if of_package else ""
    path = ", e.logical_key AS path" if order.by == "path" else ""
    return (
        f"matched AS MATERIALIZED (SELECT e.number, e.file_row_number AS row, e.size, e.ext{path} "
        f"FROM {view.entries()} e{heads} WHERE {entry_condition(query, view.fields())})"
    )


def _packages(view: View) -> str:
    """Those with files that matched, and how many."""
    return (
        f"packages AS MATERIALIZED (SELECT h.number, h.name, h.top_hash, h.modified, n FROM {view.heads()} h JOIN "
        "(SELECT number, count(*) AS n FROM matched GROUP BY number) USING (number))"
    )


_COUNTED: Final = (
    "SELECT list(struct_pack(ext := ext, n := n, low := low, high := high)) FROM "
    "(SELECT ext, count(*) AS n, min(size) AS low, max(size) AS high FROM matched GROUP BY ext)"
)
_TIMES: Final = "SELECT row(min(modified), max(modified)) FROM packages"


def _page(order: EntryOrder, limit: int, after: After | None) -> str:
    columns = order.columns()
    ordered = ", ".join(f"{column} {'DESC' if is_descending else 'ASC'}" for column, is_descending in columns)
    place = ", ".join(column for column, _ in columns)
    passed = "true" if after is None else order.after(after.place, after.with_equal)
    matched = _reached(order, limit, after) if order.is_of_packages else "matched"
    return (
        "SELECT list(struct_pack(number := number, r := row, name := name, top_hash := top_hash, modified := modified, p := p)) "
        f"FROM (SELECT m.number, m.row, h.name, h.top_hash, h.modified, row({place}) AS p FROM {matched} m "
        f"JOIN packages h USING (number) WHERE {passed} ORDER BY {ordered} LIMIT {limit})"
    )


def _reached(order: EntryOrder, limit: int, after: After | None) -> str:
    """The files of those packages that a page can reach, where packages stand one after the other: they are few."""
    column, is_descending = order.columns()[0]
    begun, to_come = "false", "true"
    if after is not None:
        value = literal(after.place[0])
        begun, to_come = f"{column} = {value}", f"{column} {'<=' if is_descending else '>='} {value}"
    before = (
        f"SELECT number, sum(n) OVER (ORDER BY {column} {'DESC' if is_descending else 'ASC'}, h.number "
        f"ROWS UNBOUNDED PRECEDING) - n AS before FROM packages h WHERE {to_come}"
    )
    told = f"(SELECT coalesce(sum(n), 0) FROM packages h WHERE {begun})"
    return f"(SELECT * FROM matched WHERE number IN (SELECT number FROM ({before}) WHERE before <= {limit} + {told}))"


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(cast("dict[str, Any]", row).values()) if isinstance(row, dict) else tuple(row)


def details(
    connection: Connection, view: View, rows: Sequence[EntryRow], *, whole: bool
) -> Mapping[tuple[int, int], Details]:
    """Of some rows, by their number and row. ``whole``: not path and size alone, which stand close together on disk."""
    if not rows:
        return {}
    numbers = ", ".join(map(str, {one.number for one in rows}))
    places = ", ".join(map(str, {one.row for one in rows}))
    wanted = {(one.number, one.row) for one in rows}
    more = ", hash_type, hash_value, physical_key, metadata" if whole else ""
    found = connection.rows(
        f"SELECT number, file_row_number, logical_key, size{more} "
        f"FROM {view.entries()} e WHERE number IN ({numbers}) AND file_row_number IN ({places})"
    )
    return {(row[0], row[1]): Details(*row[2:]) for row in found if (row[0], row[1]) in wanted}
