"""ScannedManifest: a large manifest answered from its lines while its table is still being written.

Writing a million rows takes longer than proving that there is nothing odd about them. So the first look is a scan, which
checks every line and the order of all keys and keeps the folders' sums; the entries of a page are then decoded from the
lines themselves. What needs the table waits for it.
"""

# ruff: noqa: S608 - the SQL holds our own path (quoted) and constants; what a manifest says goes in as parameters

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quilt_mcp.domain.codec import decode_header, decode_record
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header, Record
from quilt_mcp.domain.listing import Totals
from quilt_mcp.registry.manifests.build import first_line
from quilt_mcp.registry.manifests.cache_errors import cache_errors
from quilt_mcp.registry.manifests.database import open_duckdb
from quilt_mcp.registry.manifests.folders import Children, FolderedManifest
from quilt_mcp.registry.manifests.line_file import LineFile
from quilt_mcp.registry.manifests.manifest import FolderRow
from quilt_mcp.registry.manifests.memory import suggest_near
from quilt_mcp.registry.manifests.spelling import ODD_FOLDER, judged_lines
from quilt_mcp.registry.manifests.table import TableManifest

if TYPE_CHECKING:
    import duckdb


class Scan:
    """What one look through a manifest found: its header, its sums, and the table ``folders``."""

    def __init__(
        self, header: Header, totals: Totals, connection: duckdb.DuckDBPyConnection, spill: Path
    ) -> None:
        self.header = header
        self.totals = totals
        self._connection = connection
        self._spill = spill

    def __del__(self) -> None:
        self._connection.close()

    def ask(self, query: str, parameters: Any) -> list[Any]:
        with cache_errors(self._spill.parent), closing(self._connection.cursor()) as cursor:
            return cursor.execute(query, parameters).fetchall()


def scan(source: str, size: int, spill: Path) -> Scan | None:
    """Looks through the manifest at path ``source`` (``size`` bytes) in bounded memory; ``spill``, a folder that
    need not exist, takes what does not fit there as long as the scan is in use.

    None when any line is not plain, or the lines are not in walk order, or keys clash: no verdict, the table's builder
    gives it. Raises CorruptManifest for the header."""
    import duckdb

    header_line = first_line(source)
    header = decode_header(header_line)
    # In the order of the file, which takes one thread.
    connection = open_duckdb(spill, [source], directories=[str(spill)], threads=1)
    try:
        connection.execute(
            f"""
            CREATE TABLE folders AS
            {judged_lines(source)}, placed AS (
                SELECT replace(key, '/', chr(0)) AS place, folder, size, plain, line_bytes FROM judged
            ), numbered AS (
                SELECT *, row_number() OVER () - 1 AS row, lag(place) OVER () AS last FROM placed
            )
            SELECT folder, count(*) AS entries, coalesce(sum(size), 0) AS bytes, min(row) AS first,
                sum(line_bytes) AS line_bytes,
                bool_and(plain AND (last IS NULL OR (place > last AND NOT starts_with(place, last || chr(0))))) AS good
            FROM numbered GROUP BY folder
            """,
            {"header": header_line.decode()},
        )
        found = connection.execute(
            f"""
            SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0), coalesce(sum(line_bytes), 0),
                coalesce(bool_and(good), true) AND NOT coalesce(bool_or({ODD_FOLDER}), false)
            FROM folders
            """
        ).fetchone()
    except (duckdb.Error, UnicodeDecodeError):
        found = None
    if found is None or not found[3] or int(found[2]) + len(header_line) + 1 != size:
        connection.close()
        return None
    return Scan(header, Totals(int(found[0]), int(found[1])), connection, spill)


class ScannedManifest(FolderedManifest):
    """Answers as the table does. Each call uses a cursor of its own."""

    def __init__(
        self,
        top_hash: str,
        seen: Scan,
        lines: LineFile,
        table: Future[TableManifest],
        modified: datetime | None,
    ) -> None:
        """``lines``: the file that was scanned. ``table``: may still be under way, and may fail."""
        self.top_hash = top_hash
        self.header = seen.header
        self.totals = seen.totals
        self.modified = modified
        self._seen = seen
        self._lines = lines
        self._table = table

    @property
    def is_written(self) -> bool:
        return self._table.done()

    @property
    def has_failed(self) -> bool:
        """Writing the table did; opening the manifest again tries again."""
        return self.is_written and self._table.exception() is not None

    def table(self) -> TableManifest:
        """Waits for it. Raises what writing it raised."""
        return self._table.result()

    def entry(self, key: str) -> Entry | None:
        return self.table().entry(key)

    def directory_meta(self, path: str) -> Any:
        return None  # its line would not be plain

    def directory_metas(self) -> list[DirectoryMeta]:
        return []

    def records(self) -> Iterator[Record]:
        return self.table().records()

    def suggest(self, key: str) -> list[str]:
        return suggest_near(self, key)

    def _ask(self, query: str, parameters: Any = None) -> list[Any]:
        return self._seen.ask(query, parameters or [])

    def _entries_from(self, row: int, count: int) -> list[Entry]:
        records = (
            decode_record(line, number)
            for number, line in enumerate(self._lines.lines(row + 1, count), row + 2)
        )
        return [record for record in records if isinstance(record, Entry)]

    def _first_row(self) -> int:
        return 0

    def _mixed(self, path: str, offset: int, limit: int, children: Children) -> list[FolderRow]:
        return self.table().folder(path, offset, limit)[0]
