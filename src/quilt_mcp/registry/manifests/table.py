"""A manifest held as a Parquet file and queried by DuckDB: for the large ones, in bounded memory."""

# ruff: noqa: S608 - the SQL holds our own paths (quoted) and constants; what a manifest says goes in as parameters

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from quilt_mcp.domain.codec import IntegralFloat
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header, Record
from quilt_mcp.domain.listing import Totals
from quilt_mcp.errors import InternalError
from quilt_mcp.registry.manifests.cache_errors import cache_errors
from quilt_mcp.registry.manifests.database import open_duckdb, quoted
from quilt_mcp.registry.manifests.folders import Children, FolderedManifest, file_row, utf8
from quilt_mcp.registry.manifests.manifest import FolderRow, folder_path
from quilt_mcp.registry.manifests.memory import suggest_near

if TYPE_CHECKING:
    import duckdb

_ENTRY = "logical_key, physical_key, hash_type, hash_value, size, metadata, size_is_float"
_FETCH = 1_024


class TableManifest(FolderedManifest):
    """Holds the file open, so it may be deleted meanwhile. Each call uses a cursor of its own."""

    def __init__(
        self,
        top_hash: str,
        header: Header,
        totals: Totals,
        *,
        directory_metas: int,
        file: Path,
        modified: datetime | None,
    ) -> None:
        """Raises OSError when ``file`` cannot be opened."""
        self.top_hash = top_hash
        self.header = header
        self.totals = totals
        self.modified = modified
        self.folder_of_file = file.parent
        self._metas = directory_metas
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        self.path = _path_of(self._descriptor, file)
        self.rows = f"read_parquet({quoted(self.path)}, file_row_number = true)"
        self._connection = self._connect()
        self._has_folders = False
        self._lock = threading.Lock()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)

    def entry(self, key: str) -> Entry | None:
        if not utf8(key):
            return None
        rows = self._all(
            f"SELECT {_ENTRY} FROM {self.rows} WHERE logical_key = $1 AND folder = $2 AND hash_type IS NOT NULL",
            [key, key.rpartition("/")[0]],
        )
        return _entry(rows[0]) if rows else None

    def directory_meta(self, path: str) -> dict[str, Any] | None:
        path = folder_path(path)
        if not self._metas or not utf8(path):
            return None
        rows = self._all(
            f"SELECT metadata FROM {self.rows} WHERE file_row_number < {self._metas} AND logical_key = $1",
            [path],
        )
        meta = json.loads(rows[0][0]) if rows else None
        return cast("dict[str, Any]", meta) if isinstance(meta, dict) else None

    def directory_metas(self) -> list[DirectoryMeta]:
        if not self._metas:
            return []
        rows = self._all(
            f"SELECT logical_key, metadata FROM {self.rows} WHERE file_row_number < {self._metas} ORDER BY file_row_number"
        )
        return [DirectoryMeta(key, json.loads(text)) for key, text in rows]

    def records(self) -> Iterator[Record]:
        yield from self.directory_metas()
        with cache_errors(self.folder_of_file):
            yield from self._entries()

    def _entries(self) -> Iterator[Entry]:
        cursor = self._ready(folders=False).cursor()
        try:
            # Without ORDER BY the rows stream, in the order of the file; that order is what a revision is made of.
            cursor.execute(
                f"SELECT file_row_number, {_ENTRY} FROM {self.rows} WHERE file_row_number >= {self._metas}"
            )
            expected = self._metas
            while rows := cursor.fetchmany(_FETCH):
                for row in rows:
                    if row[0] != expected:
                        raise InternalError(
                            f"Row {row[0]} of the table of manifest {self.top_hash} came in place of row {expected}.",
                            next_step="Report this; deleting the manifest cache may help until it is mended.",
                        )
                    expected += 1
                    yield _entry(row[1:])
        finally:
            cursor.close()

    def suggest(self, key: str) -> list[str]:
        return suggest_near(self, key)

    def entries_at(self, positions: list[int]) -> dict[int, Entry]:
        """The entries in these rows of the table."""
        if not positions:
            return {}
        rows = self._all(
            f"SELECT file_row_number, {_ENTRY} FROM {self.rows} "
            f"WHERE file_row_number BETWEEN {min(positions)} AND {max(positions)} "
            "AND file_row_number IN (SELECT unnest($1::BIGINT[]))",
            [positions],
        )
        return {row[0]: _entry(row[1:]) for row in rows}

    def _entries_from(self, row: int, count: int) -> list[Entry]:
        if count <= 0:
            return []
        rows = self._all(
            f"SELECT {_ENTRY} FROM {self.rows} WHERE file_row_number >= {int(row)} "
            f"AND file_row_number < {int(row) + int(count)} ORDER BY file_row_number"
        )
        return [_entry(row) for row in rows]

    def _first_row(self) -> int:
        return self._metas

    def _mixed(self, path: str, offset: int, limit: int, children: Children) -> list[FolderRow]:
        rows = self._ask(
            f"""
            SELECT name, entries, bytes, NULL AS place FROM ({children.query})
            UNION ALL SELECT substr(logical_key, {len(path) + 1}), 1, size, file_row_number
            FROM {self.rows} WHERE folder = $here AND hash_type IS NOT NULL
            ORDER BY name LIMIT {int(limit)} OFFSET {int(offset)}
            """,
            {**children.parameters, "here": path[:-1]},
        )
        found = self.entries_at([place for _, _, _, place in rows if place is not None])
        return [
            children.row(name, entries, size) if place is None else file_row(found[place])
            for name, entries, size, place in rows
        ]

    def _ask(self, query: str, parameters: Any = None) -> list[Any]:
        return self._all(query, parameters, folders=True)

    def _all(self, query: str, parameters: Any = None, *, folders: bool = False) -> list[Any]:
        import duckdb

        connection = self._connection
        with cache_errors(self.folder_of_file):
            try:
                connection = self._ready(folders)
                return _fetch(connection, query, parameters)
            except (duckdb.PermissionException, duckdb.IOException):
                # The file was renamed, as when its folder was moved: resolve its name anew.
                with self._lock:
                    if self._connection is connection:
                        self._connection = self._connect()
                        self._has_folders = False
                return _fetch(self._ready(folders), query, parameters)

    def _ready(self, folders: bool) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if folders and not self._has_folders:
                self._connection.execute(
                    f"""
                    CREATE TABLE folders AS
                    SELECT folder, count(hash_type) AS entries, coalesce(sum(size), 0) AS bytes,
                        min(file_row_number) FILTER (hash_type IS NOT NULL) AS first
                    FROM {self.rows} GROUP BY folder
                    """
                )
                self._has_folders = True
            return self._connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        # DuckDB resolves the descriptor's path to the file's name, and stays with the descriptor once the name is gone.
        spill = self.folder_of_file / f"work-{uuid.uuid4().hex}"
        return open_duckdb(spill, [self.path], directories=[str(Path(self.path).parent)])


def _fetch(connection: duckdb.DuckDBPyConnection, query: str, parameters: Any) -> list[Any]:
    cursor = connection.cursor()
    try:
        return cursor.execute(query, parameters or []).fetchall()
    finally:
        cursor.close()


def _entry(row: tuple[Any, ...]) -> Entry:
    key, physical_key, hash_type, hash_value, size, metadata, size_is_float = row
    return Entry(
        key,
        physical_key,
        IntegralFloat(size) if size_is_float else size,
        Hash(hash_type, hash_value),
        {} if metadata == "{}" else json.loads(metadata),
    )


def _path_of(descriptor: int, file: Path) -> str:
    """A path that still leads to the open file after it was deleted or replaced, where the system has one."""
    path = f"/proc/self/fd/{descriptor}" if sys.platform == "linux" else f"/dev/fd/{descriptor}"
    return path if os.path.exists(path) else str(file)
