"""Making: the views of a query's tables, and what is to be told of their files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.quoting import identifier, text
from quilt_mcp.sql.inside.tables import alike, digits, look, magic, rejected
from quilt_mcp.sql.inside.tables.csv_table import CsvTable
from quilt_mcp.sql.inside.tables.named import Named
from quilt_mcp.sql.inside.tables.table import FilesTable

_SHARE: Final = 4
"""Of a query's time, one part in so many may be gone before files are looked at once more."""
_COUNTED: Final = 256 << 20
"""Bytes of files whose lines that are left out are counted."""


class Tables:
    """``named`` None: nothing but the columns is wanted."""

    def __init__(
        self,
        engine: Any,
        files: Any,
        addresses: Sequence[str],
        sizes: Sequence[int],
        named: Named | None,
        seconds: float,
    ) -> None:
        self._engine, self._files, self._addresses, self._sizes = engine, files, addresses, sizes
        self._named = named
        self._late = time.monotonic() + seconds / _SHARE
        self._of_csv: list[CsvTable] = []
        self._of_parquet: list[FilesTable] = []
        self._said: list[str] = []
        self._sides: dict[str, CsvTable] = {}
        """Of a comparison, those that were looked at before their views are made."""

    def make(self, views: Sequence[Mapping[str, Any]], *, are_compared: bool = False) -> None:
        """Each is what the parent says of a table: ``sql``, or files. ``are_compared``: they are two sides, read alike. Raises
        Fault for a file that is not what its name says."""
        if are_compared:
            sides = [FilesTable.of(one, self._addresses, self._sizes) for one in views]
            self._sides = {one.name: self._looked_at(one) for one in sides if one.base == "csv"}
            self._said += alike.settle(self._engine, [*self._sides.values()])
        for view in views:
            name = view["name"]
            sql = view.get("sql") or self._select(FilesTable.of(view, self._addresses, self._sizes))
            with typed(table=name):
                self._engine.execute(f"CREATE VIEW {identifier(name)} AS {sql}")

    def read_as_text(self, name: str) -> Mapping[str, str] | None:
        """Of one side of a comparison, columns that are so read for the other's sake, with their own types. None: no CSV."""
        side = self._sides.get(name)
        return side.by_itself if side else None

    def blame(self, fault: Fault) -> None:
        """After a query failed: finds the file and the row that it speaks of. Raises Fault."""
        for csv in self._of_csv:
            csv.blame(fault)

    def notes(self) -> list[str]:
        """After a query was answered: what its tables may not say by themselves. Where it took long, files are not read once more
        for that."""
        for csv in self._of_csv:
            self._said += self._left_out(csv)
            for look_at in (self._look, self._rounded) if not self._sides else ():
                self._said += look_at(csv)
        for table in self._of_parquet:
            if self._named is not None and self._has_time():
                self._said += digits.rounded(self._engine, table, self._kinds(table.name), self._named)
        return [*dict.fromkeys(self._said)]

    def _select(self, table: FilesTable) -> str:
        try:
            return self._of_files(table)
        except Fault as fault:
            if table.base != "parquet":
                magic.tell(self._files, table, fault)
            raise

    def _looked_at(self, table: FilesTable) -> CsvTable:
        csv = CsvTable(self._engine, table)
        try:
            csv.look()
        except Fault as fault:
            magic.tell(self._files, table, fault)
            raise
        return csv

    def _of_files(self, table: FilesTable) -> str:
        if table.base == "csv":
            side = self._sides.get(table.name)
            csv = side or CsvTable(self._engine, table)
            sql, said = side.view() if side else csv.make(self._named)
            self._of_csv.append(csv)
        else:
            source, said = table.source(), list[str]()
            if table.base == "json":
                source, said = digits.json_source(self._engine, table, self._named)
            elif table.is_several:
                self._of_parquet.append(table)
            sql, more = table.with_added(source, self._own(table, source) if table.added else ())
            said = [*said, *more]
        self._said += said
        return sql

    def _own(self, table: FilesTable, source: str) -> list[str]:
        with typed(table=table.name):
            found = self._engine.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        return [row[0] for row in found]

    def _kinds(self, name: str) -> dict[str, str]:
        with typed():
            found = self._engine.execute(
                f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = {text(name)}"
            ).fetchall()
        return dict(found)

    def _has_time(self) -> bool:
        return time.monotonic() < self._late

    def _look(self, csv: CsvTable) -> list[str]:
        return self._tried(lambda named: look.told(self._engine, csv, named))

    def _rounded(self, csv: CsvTable) -> list[str]:
        return self._tried(lambda named: digits.rounded_in_csv(self._engine, csv, named))

    def _tried(self, say: Callable[[Named], list[str]]) -> list[str]:
        if self._named is None or not self._has_time():
            return []
        try:
            return say(self._named)
        except Fault:
            return []  # what a query did not read may not fit

    def _left_out(self, csv: CsvTable) -> list[str]:
        table = csv.table
        if self._named is None or table.settings.get("ignore_errors") != "true":
            return []
        if sum(table.sizes) > _COUNTED or not self._has_time():
            return [
                "left_out: lines that do not fit are left out by ignore_errors; their files are too large to count them."
            ]
        counts = {
            number: count
            for number, form in csv.forms.items()
            if (count := rejected.count(self._engine, table, number, form, dict(form.kinds)))
        }
        if not counts:
            return []
        each = ", ".join(f"{count:,} of {table.paths[number]}" for number, count in [*counts.items()][:3])
        more = f" and of {len(counts) - 3:,} other files" if len(counts) > 3 else ""
        return [
            f"left_out: {sum(counts.values()):,} lines do not fit and are left out by ignore_errors: {each}{more}. "
            "null_padding := true keeps those with fewer or more cells."
        ]
