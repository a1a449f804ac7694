"""Packages that a query finds in a catalog: all of them as small rows, and more of those that a page shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.domain.search.query.term import Query
from quilt_mcp.search.engine import Connection, literal
from quilt_mcp.search.sql import any_file_test, package_condition
from quilt_mcp.search.view import View

_LONGEST_VALUE: Final = 200
MOST_METADATA: Final = 256 << 10
"""Letters of one package's metadata that a hit carries; a longer one is left to package_browse."""
_GROUP_BYTES: Final = 8 << 20
FILES_SHOWN: Final = 5
"""Files that matched, of each package that is shown."""


@dataclass(frozen=True, slots=True)
class PackageRow:
    """``modified`` in microseconds since 1970."""

    number: int
    name: str
    top_hash: str
    modified: int
    entries: int
    size: int
    workflow: str | None
    weight: int
    """Bytes of its message and its metadata."""
    files: int = 0
    """Files that matched."""
    rows: tuple[int, ...] = ()
    """Where the first of these stand."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page tells of a package beside its row."""

    message: str | None
    metadata: str | None
    readme: str
    columns: str
    files: Sequence[tuple[str, int]] = ()


def find(connection: Connection, view: View, query: Query) -> list[PackageRow]:
    """All that meet it, in no order. One pass through the entries, where files are asked about."""
    condition = package_condition(query, view.fields())
    select = "SELECT h.number, h.name, h.top_hash, h.modified, h.entries, h.size, h.workflow, h.weight"
    atoms = condition.atoms
    if not atoms:
        return [
            PackageRow(*row)
            for row in connection.rows(f"{select} FROM {view.heads()} h WHERE {condition.sql}")
        ]
    shown = any_file_test(query)
    matched = " OR ".join(f"a{n}" for n, atom in enumerate(atoms) if atom in shown) or "false"
    told = f"count(*) FILTER (WHERE {matched}) AS n, min(row, {FILES_SHOWN}) FILTER (WHERE {matched}) AS rows"
    if len(atoms) == 1:
        # What is true of every row that is left is not found out again.
        told = told if matched == "false" else f"count(*) AS n, min(row, {FILES_SHOWN}) AS rows"
        source = f"SELECT number, file_row_number AS row, true AS a0 FROM {view.entries()} e WHERE {atoms[0]}"
    else:
        tests = ", ".join(f"{atom} AS a{n}" for n, atom in enumerate(atoms))
        source = f"SELECT number, file_row_number AS row, {tests} FROM {view.entries()} e"
    flags = ", ".join(f"bool_or(a{n}) AS a{n}" for n in range(len(atoms)))
    known = ", ".join(f"coalesce(found.a{n}, false) AS a{n}" for n in range(len(atoms)))
    statement = (
        f"WITH found AS (SELECT number, {flags}, {told} FROM ({source}) GROUP BY number) "
        f"{select}, coalesce(found.n, 0), found.rows FROM {view.heads()} h LEFT JOIN found USING (number), "
        f"LATERAL (SELECT {known}) f WHERE {condition.sql}"
    )
    return [PackageRow(*row[:-1], rows=tuple(row[-1] or ())) for row in connection.rows(statement)]


def show(connection: Connection, view: View, rows: Sequence[PackageRow]) -> Mapping[int, Shown]:
    """Of some packages, by number."""
    if not rows:
        return {}
    wanted = ", ".join(str(one.number) for one in rows)
    places = {(one.number, row) for one in rows for row in one.rows}
    files: dict[int, list[tuple[str, int]]] = {}
    if places:
        found = connection.rows(
            f"SELECT number, file_row_number, logical_key, size FROM {view.entries()} e WHERE number IN ({wanted}) "
            f"AND file_row_number IN ({', '.join(map(str, {row for _, row in places}))}) ORDER BY number, file_row_number"
        )
        for number, row, path, size in found:
            if (number, row) in places:
                files.setdefault(number, []).append((path, size))
    found = connection.rows(
        f"SELECT number, left(message, {MOST_METADATA}), "
        f"CASE WHEN length(metadata) <= {MOST_METADATA} THEN metadata END, readme, columns "
        f"FROM {view.heads()} h WHERE number IN ({wanted})"
    )
    return {number: Shown(*rest, files=files.get(number, ())) for number, *rest in found}


def fields_of(
    connection: Connection, view: View, numbers: Sequence[int] | None, pointers: Sequence[str] | None
) -> Sequence[Any]:
    """Rows (pointer, kind, least, greatest, values and how often they stand) of metadata; of all packages, or those with some
    numbers; at all pointers, or some."""
    conditions = ["NOT in_list"]
    if numbers is not None:
        conditions.append(f"number IN ({', '.join(map(str, numbers)) or 'NULL'})")
    if pointers is not None:
        conditions.append(f"pointer IN ({', '.join(map(literal, pointers)) or 'NULL'})")
    kind = "CASE WHEN kind = 'text' AND moment IS NOT NULL THEN 'datetime' ELSE kind END"
    return connection.rows(
        f"""SELECT pointer, kind, min(least), max(greatest), arg_max(struct_pack(text := text, n := n), n, 50), count(*), sum(n)
        FROM (SELECT pointer, {kind} AS kind, left(text, {_LONGEST_VALUE + 1}) AS text, count(DISTINCT number) AS n,
                     min(coalesce(value, moment)) AS least, max(coalesce(value, moment)) AS greatest
              FROM {view.fields()} WHERE {" AND ".join(conditions)} GROUP BY ALL)
        GROUP BY pointer, kind ORDER BY sum(n) DESC, pointer, kind"""
    )


Told = tuple[str | None, str | None]
"""Message and metadata (JSON text) of a package."""


def told_of(
    connection: Connection, view: View, rows: Iterable[PackageRow]
) -> Iterator[tuple[PackageRow, Told]]:
    """Each row with what its package says; some megabytes of it at a time."""
    group: list[PackageRow] = []
    weight = 0
    for one in rows:
        if group and weight + one.weight > _GROUP_BYTES:
            yield from _told(connection, view, group)
            group, weight = [], 0
        group.append(one)
        weight += one.weight
    yield from _told(connection, view, group)


def _told(
    connection: Connection, view: View, rows: Sequence[PackageRow]
) -> Iterator[tuple[PackageRow, Told]]:
    found = headers(connection, view, [one.number for one in rows])
    yield from ((one, found[one.number]) for one in rows if one.number in found)


def headers(connection: Connection, view: View, numbers: Iterable[int]) -> Mapping[int, Told]:
    """Of some packages, by number."""
    some = ", ".join(map(str, numbers)) or "NULL"
    rows = connection.rows(f"SELECT number, message, metadata FROM {view.heads()} h WHERE number IN ({some})")
    return {number: (message, metadata) for number, message, metadata in rows}


def pointers_near(connection: Connection, view: View) -> list[str]:
    """Pointers of metadata that there are, the most frequent first; a thousand at most."""
    rows = connection.rows(
        f"SELECT pointer FROM {view.fields()} WHERE NOT in_list GROUP BY pointer ORDER BY count(*) DESC, pointer LIMIT 1000"
    )
    return [pointer for (pointer,) in rows]


def has_pointer(connection: Connection, view: View, pointer: str) -> bool:
    """Whether some package has a value at or below it."""
    below = literal(pointer + "/")
    rows = connection.rows(
        f"SELECT 1 FROM {view.fields()} WHERE pointer = {literal(pointer)} OR starts_with(pointer, {below}) LIMIT 1"
    )
    return bool(rows)
