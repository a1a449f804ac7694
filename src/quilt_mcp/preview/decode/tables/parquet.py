"""Parquet by range: a sparse copy of the file holds its footer and the column chunks that a question needs; DuckDB reads that.

DuckDB reads a row group only when ``file_row_number`` is in it, and of it only the columns that are named: it never sees what is
not there. Rows are copied out of a row group before they are compared: a comparison pushed into the file would look for bloom
filters, which are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from quilt_mcp.preview.decode.engine import connect, identifier
from quilt_mcp.preview.decode.file import HEAD, Fault, File
from quilt_mcp.preview.decode.tables.cells import cell
from quilt_mcp.preview.decode.tables.selecting import NUMBERS, Selection, checked, is_number, named
from quilt_mcp.preview.decode.tables.text_table import size_of

_MAGIC = b"PAR1"
_MOST_FOOTER = 32 << 20
_FIRST_ROWS = 2 << 20
"""Bytes of column chunks that the first rows of a description may cost."""
_MOST_GROUP = 1 << 30
"""Bytes of chosen columns of a row group, unpacked."""
_COPY = "sparse.parquet"
_ROW_NUMBER = "file_row_number"


@dataclass(frozen=True, slots=True)
class _Chunk:
    column: str
    offset: int
    size: int
    unpacked: int
    least: str | None
    most: str | None


@dataclass(slots=True)
class _Group:
    number: int
    first_row: int
    rows: int
    chunks: list[_Chunk] = field(default_factory=list[_Chunk])

    def of(self, columns: Sequence[str]) -> list[_Chunk]:
        return [one for one in self.chunks if one.column in columns]


class Parquet:
    def __init__(self, file: File, engine: Any) -> None:
        self._file, self._engine = file, engine
        self._brought: set[int] = set()
        _copy_footer(file)
        described = engine.execute(
            "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet(?))", [_COPY]
        )
        self.types: dict[str, str] = dict(described.fetchall())
        self.groups = self._read_groups()
        self.rows = sum(one.rows for one in self.groups)

    def _read_groups(self) -> list[_Group]:
        found = self._engine.execute(
            "SELECT row_group_id, row_group_num_rows, path_in_schema, dictionary_page_offset, data_page_offset, "
            "total_compressed_size, total_uncompressed_size, stats_min_value, stats_max_value "
            "FROM parquet_metadata(?) ORDER BY row_group_id, column_id",
            [_COPY],
        )
        groups: dict[int, _Group] = {}
        first = 0
        while lines := found.fetchmany(5_000):
            for number, rows, path, dictionary, page, size, unpacked, least, most in lines:
                if number not in groups:
                    groups[number] = _Group(number, first, rows)
                    first += rows
                offset = min(one for one in (dictionary, page) if one)
                if offset < 0 or size < 0 or offset + size > self._file.size:
                    raise Fault("undecodable", "Its footer names places that are not in the file.")
                groups[number].chunks.append(_Chunk(self._column(path), offset, size, unpacked, least, most))
        return list(groups.values())

    def _column(self, path: str) -> str:
        """The column at the top: ``path`` is that of a leaf, joined with ', '."""
        if path in self.types:
            return path
        parts = path.split(", ")
        return next(
            (one for n in range(len(parts), 0, -1) if (one := ", ".join(parts[:n])) in self.types), path
        )

    def bring(self, group: _Group, columns: Sequence[str]) -> None:
        """The chunks of some columns, neighbours in one reading."""
        chunks = sorted(group.of(columns), key=lambda one: one.offset)
        if sum(one.unpacked for one in chunks) > _MOST_GROUP:
            raise Fault(
                "too_costly",
                f"These columns of row group {group.number} hold more than {_MOST_GROUP >> 20} MiB.",
            )
        with open(_COPY, "r+b") as copy:
            for start, end in _spans([one for one in chunks if one.offset not in self._brought]):
                copy.seek(start)
                copy.write(self._file.read(start, end - start))
        self._brought.update(one.offset for one in chunks)

    def read(self, group: _Group, columns: Sequence[str], start: int, stop: int) -> Iterator[list[Any]]:
        """Rows [start, stop) of a row group."""
        yield from self._rows(group, columns, start, stop, "true", [])

    def read_at(self, group: _Group, columns: Sequence[str], numbers: Sequence[int]) -> Iterator[list[Any]]:
        """Rows of a row group by their numbers in it."""
        wanted = [group.first_row + one for one in numbers]
        condition = f"{_ROW_NUMBER} IN (SELECT unnest(?::BIGINT[]))"
        yield from self._rows(group, columns, numbers[0], numbers[-1] + 1, condition, [wanted])

    def _rows(
        self, group: _Group, columns: Sequence[str], start: int, stop: int, condition: str, values: list[Any]
    ) -> Iterator[list[Any]]:
        self._query(group, columns, ", ".join(map(identifier, columns)), (start, stop), condition, values)
        while lines := self._engine.fetchmany(200):
            yield from ([cell(one) for one in line] for line in lines)

    def matches(
        self, group: _Group, condition: str, values: Sequence[Any], columns: Sequence[str]
    ) -> list[int]:
        """Numbers, within the row group, of the rows for which the condition holds."""
        self._query(group, columns, _ROW_NUMBER, (0, group.rows), condition, values)
        return [number - group.first_row for (number,) in self._engine.fetchall()]

    def _query(
        self,
        group: _Group,
        columns: Sequence[str],
        selected: str,
        span: tuple[int, int],
        condition: str,
        values: Sequence[Any],
    ) -> None:
        """``selected`` and ``condition`` hold quoted names and parameters, and no value."""
        if _ROW_NUMBER in self.types:
            raise Fault("undecodable", f"It has a column {_ROW_NUMBER}, and DuckDB counts rows by that name.")
        self.bring(group, columns)
        names = ", ".join(map(identifier, columns))
        self._engine.execute(
            f"WITH part AS MATERIALIZED (SELECT {names}, {_ROW_NUMBER} FROM read_parquet(?, {_ROW_NUMBER} = true) "  # noqa: S608
            f"WHERE {_ROW_NUMBER} >= ? AND {_ROW_NUMBER} < ?) "
            f"SELECT {selected} FROM part WHERE {condition} ORDER BY {_ROW_NUMBER}",
            [_COPY, group.first_row + span[0], group.first_row + span[1], *values],
        )


def describe(file: File, first: int) -> dict[str, Any]:
    """Rows, columns and types from the footer; the first rows of as many columns as two megabytes of the first row group hold."""
    with connect(_COPY) as engine:
        table = Parquet(file, engine)
        notes: list[str] = []
        chosen: list[str] = []
        lines: list[list[Any]] = []
        group = next((one for one in table.groups if one.rows), None)
        if group is not None and first and _ROW_NUMBER not in table.types:
            left = _FIRST_ROWS
            for name in table.types:
                left -= sum(one.size for one in group.of([name]))
                if left < 0:
                    break
                chosen.append(name)
            lines = list(table.read(group, chosen, 0, min(first, group.rows))) if chosen else []
        if group is not None and len(chosen) < len(table.types):
            shown = f"of {len(chosen)} of its {len(table.types)} columns" if chosen else "are left out"
            notes.append(f"first_rows: {shown}, as the others are large; mode rows with columns reads them.")
        return {
            "rows": table.rows,
            "columns": table.types,
            "row_groups": len(table.groups),
            "first": lines,
            "first_columns": chosen,
            "notes": notes,
            "faults": [],
        }


def select(file: File, selection: Selection) -> dict[str, Any]:
    with connect(_COPY) as engine:
        table = Parquet(file, engine)
        chosen = selection.chosen(table.types)
        found = (_matching if selection.where else _range)(table, chosen, selection)
        return {**found, "notes": selection.left_out(table.types)}


def _range(table: Parquet, chosen: list[str], selection: Selection) -> dict[str, Any]:
    kept: list[list[Any]] = []
    room = selection.room
    for group in table.groups:
        start = max(selection.start + len(kept) - group.first_row, 0)
        stop = min(selection.stop - group.first_row, group.rows)
        if start >= stop:
            continue
        for line in table.read(group, chosen, start, stop):
            room -= size_of(line)
            if room < 0 and kept:
                return _found(table, chosen, kept, table.rows, selection.start + len(kept))
            kept.append(line)
    end = selection.start + len(kept)
    return _found(
        table, chosen, kept, table.rows, end if end < table.rows and not selection.only_counts else None
    )


def _matching(table: Parquet, chosen: list[str], selection: Selection) -> dict[str, Any]:
    """Row group by row group; what its statistics rule out is not read."""
    condition, values, columns = _condition(selection, table.types)
    kept: list[list[Any]] = []
    count, room = 0, selection.room
    for group in _possible(table, selection):
        numbers = table.matches(group, condition, values, columns)
        page = numbers[max(selection.start - count, 0) : max(selection.stop - count, 0)]
        for line in table.read_at(group, chosen, page) if page else ():
            room -= size_of(line)
            if room < 0 and kept:
                return _found(table, chosen, kept, None, selection.start + len(kept))
            kept.append(line)
        count += len(numbers)
        if count > selection.stop and not selection.only_counts:
            return _found(table, chosen, kept, None, selection.stop)
    return _found(table, chosen, kept, count, None)


def _found(
    table: Parquet, chosen: list[str], kept: list[list[Any]], total: int | None, following: int | None
) -> dict[str, Any]:
    return {"columns": chosen, "rows": kept, "total": total, "next": following, "faults": []}


def _condition(selection: Selection, types: dict[str, str]) -> tuple[str, list[Any], list[str]]:
    """SQL whose every value is a parameter, the values, and the columns that it asks for."""
    parts: list[str] = []
    given: list[Any] = []
    columns: dict[str, None] = {}
    for asked, operator, values in selection.where:
        name = named(asked, types)
        columns[name] = None
        column, kind = identifier(name), types[name]
        if operator.startswith("is"):
            parts.append(f"{column} {operator.upper()}")
            continue
        if operator == "contains":
            parts.append(f"contains(lower({column}::VARCHAR), lower(?::VARCHAR))")
        elif operator == "like":
            parts.append(f"{column}::VARCHAR LIKE ?::VARCHAR")
        else:
            marks = ", ".join([_mark(kind)] * len(values))
            parts.append(f"{column} {operator} {f'({marks})' if operator == 'in' else marks}")
            if kind in ("FLOAT", "DOUBLE"):
                parts.append(f"NOT isnan({column})")
            given += [one if is_number(kind) else str(one) for one in checked(name, kind, values)]
            continue
        given += values
    return " AND ".join(parts), given, list(columns)


def _mark(kind: str) -> str:
    """A whole number's column is compared with any number as it is; other types take the value as their own."""
    if kind in NUMBERS:
        return "?"
    plain = (
        kind
        if kind in ("BOOLEAN", "DATE", "TIMESTAMP", "FLOAT", "DOUBLE") or kind.startswith("DECIMAL")
        else "VARCHAR"
    )
    return f"?::{plain if kind != 'TIMESTAMP WITH TIME ZONE' else 'TIMESTAMPTZ'}"


def _possible(table: Parquet, selection: Selection) -> Iterator[_Group]:
    """Row groups that the least and greatest values of their numbers do not rule out."""
    for group in table.groups:
        if all(_may_hold(group, table.types, *one) for one in selection.where):
            yield group


def _may_hold(group: _Group, types: dict[str, str], asked: str, operator: str, values: list[Any]) -> bool:
    name = named(asked, types)
    chunks = group.of([name])
    if types[name] not in NUMBERS or operator not in ("=", "<", "<=", ">", ">=", "in") or len(chunks) != 1:
        return True
    try:
        least, most = int(chunks[0].least or ""), int(chunks[0].most or "")
    except ValueError:
        return True
    known = checked(name, types[name], values)
    if operator in ("=", "in"):
        return any(least <= one <= most for one in known)
    one = known[0]
    return {"<": least < one, "<=": least <= one, ">": most > one, ">=": most >= one}[operator]


def _copy_footer(file: File) -> None:
    """Raises Fault for what is no Parquet file, or is cut."""
    tail = file.read(max(0, file.size - HEAD), HEAD)
    if len(tail) < 12 or tail[-4:] != _MAGIC:
        said = (
            "its footer is encrypted"
            if tail[-4:] == b"PARE"
            else "it does not end as one: it is cut short, or none"
        )
        raise Fault("undecodable", f"It is no Parquet file that can be read: {said}.")
    length = int.from_bytes(tail[-8:-4], "little")
    if length + 12 > file.size or length > _MOST_FOOTER:
        raise Fault("undecodable", f"Its footer would have {length} bytes.")
    footer = tail[-8 - length :] if length + 8 <= len(tail) else file.read(file.size - 8 - length, length + 8)
    with open(_COPY, "wb") as copy:
        copy.write(_MAGIC)
        copy.truncate(file.size)
        copy.seek(file.size - len(footer))
        copy.write(footer)


def _spans(chunks: Sequence[_Chunk]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for one in chunks:
        if one.offset == end and end - start < 4 << 20:
            end += one.size
            continue
        if end > start >= 0:
            yield start, end
        start, end = one.offset, one.offset + one.size
    if end > start >= 0:
        yield start, end
