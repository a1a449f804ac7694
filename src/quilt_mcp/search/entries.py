"""Files that a query finds in a catalog: how many, what endings and sizes they have, and one page of them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

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
    hash_type: str | None
    hash_value: str | None
    physical_key: str
    metadata: str


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
    """``by``: 'name' (of the package, then the path), 'path', 'size' or 'modified'. Equal files are in the order of names."""

    by: str
    is_descending: bool = False

    def columns(self) -> Sequence[tuple[str, bool]]:
        """Those of a place, and whether the greatest comes first. Text is compared by code points."""
        match self.by:
            case "size":
                first = [("m.size", self.is_descending), ("h.name", False)]
            case "modified":
                first = [("h.modified", self.is_descending), ("h.name", False)]
            case "path":
                first = [("m.path", self.is_descending), ("h.name", False)]
            case _:
                first = [("h.name", self.is_descending)]
        return (*first, ("m.row", False))

    def directions(self) -> Sequence[bool]:
        return [is_descending for _, is_descending in self.columns()]

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
    condition = entry_condition(query, view.fields())
    of_package = any(term.field is not None and term.field.holder == "package" for term in terms(query))
    heads = f" JOIN {view.heads()} h USING (number)" if of_package else ""
    path = ", e.logical_key AS path" if order.by == "path" else ""
    # Each row is looked through once, and both answers are made of those that are left.
    matched = (
        f"matched AS MATERIALIZED (SELECT e.number, e.file_row_number AS row, e.size, e.ext{path} "
        f"FROM {view.entries()} e{heads} WHERE {condition})"
    )
    columns = order.columns()
    # A name is compared by its rank among names: numbers are quicker.
    names = f"names AS (SELECT *, row_number() OVER (ORDER BY name) AS rank FROM {view.heads()})"
    ordered = ", ".join(
        f"{'h.rank' if column == 'h.name' else column} {'DESC' if is_descending else 'ASC'}"
        for column, is_descending in columns
    )
    passed = "true" if after is None else order.after(after.place, after.with_equal)
    place = ", ".join(column for column, _ in columns)
    rows = (
        f"SELECT list(struct_pack(number := number, r := row, name := name, top_hash := top_hash, modified := modified, p := p)) "
        f"FROM (SELECT m.number, m.row, h.name, h.top_hash, h.modified, row({place}) AS p FROM matched m "
        f"JOIN names h USING (number) WHERE {passed} ORDER BY {ordered} LIMIT {limit})"
    )
    counted = (
        "SELECT list(struct_pack(ext := ext, n := n, low := low, high := high, first := first, last := last)) FROM ("
        "SELECT m.ext, count(*) AS n, min(m.size) AS low, max(m.size) AS high, min(h.modified) AS first, max(h.modified) AS last "
        "FROM matched m JOIN names h USING (number) GROUP BY m.ext)"
    )
    statement = (
        f"WITH {names}, {matched} SELECT ({rows if limit else 'NULL'}), ({counted if counts else 'NULL'})"
    )
    [(some, endings)] = connection.rows(statement)
    found = [
        EntryRow(
            one["number"], one["r"], one["name"], one["top_hash"], one["modified"],
            tuple(one["p"].values()) if isinstance(one["p"], dict) else tuple(one["p"]),
        )
        for one in some or ()
    ]  # fmt: skip
    if not endings:
        return Entries(0, found, {})
    endings = sorted(cast("list[dict[str, Any]]", endings), key=lambda one: (-one["n"], one["ext"]))
    return Entries(
        sum(one["n"] for one in endings),
        found,
        {one["ext"]: one["n"] for one in endings},
        (min(one["low"] for one in endings), max(one["high"] for one in endings)),
        (min(one["first"] for one in endings), max(one["last"] for one in endings)),
    )


def details(
    connection: Connection, view: View, rows: Sequence[EntryRow]
) -> Mapping[tuple[int, int], Details]:
    """Of some rows, by their number and row."""
    if not rows:
        return {}
    numbers = ", ".join(map(str, {one.number for one in rows}))
    places = ", ".join(map(str, {one.row for one in rows}))
    wanted = {(one.number, one.row) for one in rows}
    found = connection.rows(
        "SELECT number, file_row_number, logical_key, size, hash_type, hash_value, physical_key, metadata "
        f"FROM {view.entries()} e WHERE number IN ({numbers}) AND file_row_number IN ({places})"
    )
    return {(row[0], row[1]): Details(*row[2:]) for row in found if (row[0], row[1]) in wanted}
