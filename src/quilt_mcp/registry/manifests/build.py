"""Turning a large manifest's bytes into a Parquet table, exactly.

DuckDB reads the lines, but the codec (``domain.codec``) stays the authority: SQL takes over only lines that are plain
(``manifest_spelling``), and every other line is decoded by the codec, one by one. So an odd line costs time, never a
different answer.

The table's columns are those of Quilt's Iceberg ``package_entry``; rows stand in the order quilt3 writes them: directory
metadata (null physical key and hash), then entries in walk order. ``metadata`` is the text of the full meta object.
Queries tell the two apart by ``hash_type``: of the columns that are null, it is the one that costs next to nothing to read.
"""

# ruff: noqa: S608 - the SQL holds our own paths (quoted) and constants; what a manifest says goes in as parameters

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from quilt_mcp.domain.codec import (
    MAX_LINE_BYTES,
    IntegralFloat,
    decode_header,
    decode_record,
    read_manifest,
)
from quilt_mcp.domain.entry import Entry, Record
from quilt_mcp.domain.listing import Totals
from quilt_mcp.errors import CorruptManifest, TooLarge
from quilt_mcp.registry.manifests.database import MEMORY_LIMIT, open_duckdb, quoted
from quilt_mcp.registry.manifests.memory import duplicate_key, file_and_folder
from quilt_mcp.registry.manifests.spelling import FOLDER, ODD_FOLDER, judged_lines

if TYPE_CHECKING:
    import duckdb

ROW_GROUP = 30_720
"""Small row groups: a page reads few rows, and the writer holds one of them per thread in memory."""
_FETCH = 1_024
_DECODED = {
    "row": "BIGINT",
    "logical_key": "VARCHAR",
    "physical_key": "VARCHAR",
    "hash_type": "VARCHAR",
    "hash_value": "VARCHAR",
    "size": "BIGINT",
    "metadata": "VARCHAR",
    "size_is_float": "BOOLEAN",
}
_HELD = 8 << 20
"""Bytes of decoded records on their way into DuckDB."""
_SORTED_BY = "CASE WHEN hash_type IS NULL THEN '0' ELSE '1' END || replace(logical_key, '/', chr(0))"


@dataclass(frozen=True, slots=True)
class BuiltTable:
    """What stands beside the Parquet file."""

    header_line: bytes
    totals: Totals
    directory_metas: int
    sha256: str


def build_table(
    source: str, size: int, top_hash: str, target: Path, work: Path, *, wide: bool | None = None
) -> BuiltTable:
    """Reads the manifest at path ``source`` (``size`` bytes) and writes the table to ``target``; ``work`` is a folder
    for intermediate files. Memory is bounded. Raises CorruptManifest, TooLarge.

    ``wide``: by the codec and a few records at a time; None: only when there is not memory enough the other way."""
    import duckdb

    header_line = first_line(source)
    decode_header(header_line)
    for by_codec in (False, True) if wide is None else (wide,):
        try:
            with _connection(work, [source, str(target)]) as connection:
                table = _Table(connection, source, top_hash, work / "staged.parquet", target, wide=by_codec)
                staged = not by_codec and table.stage(header_line, size)
                odd = table.decode_odd_lines() if staged else table.decode_all()
                totals, metas = table.finish(odd)
            return BuiltTable(header_line, totals, metas, sha256_of(target))
        except duckdb.OutOfMemoryException:
            # Lines of very much metadata: once more by the codec, a few of them at a time.
            continue
    raise TooLarge(
        f"Manifest {top_hash} ({size:,} bytes) cannot be read in {MEMORY_LIMIT} of memory: its metadata is too large.",
        next_step="Ask for another revision (package_log), or keep large metadata in files of the package.",
        details={"top_hash": top_hash, "size": size},
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def holdable(record: Record, number: int) -> Record:
    """The record, when its strings can be written as UTF-8. Raises CorruptManifest otherwise."""
    if isinstance(record, Entry) and record.hash is not None:
        for text in (record.physical_key, record.hash.type, record.hash.value):
            if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
                raise CorruptManifest(
                    f"Line {number} of the manifest cannot be used: it holds a lone surrogate, which is not a Unicode character.",
                    next_step="Choose another revision from package_log, or restore this manifest from a copy.",
                    details={"line": number},
                )
    return record


def read_holdable(chunks: Iterable[bytes]) -> tuple[Any, Iterator[Record]]:
    header, records = read_manifest(chunks)
    return header, (holdable(record, number) for number, record in enumerate(records, 2))


def metadata_text(meta: Any) -> str:
    """JSON text from which ``metadata_value`` gives the same value back; ASCII, so it holds any string."""
    return json.dumps(meta) if meta else "{}" if meta == {} else json.dumps(meta)


class _Table:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: str,
        top_hash: str,
        staged: Path,
        target: Path,
        *,
        wide: bool,
    ) -> None:
        self._sql = connection
        self._source = source
        self._top_hash = top_hash
        self._staged = staged
        self._target = target
        self._wide = wide
        self._parts = 0
        self._parquet = _PARQUET + (f", ROW_GROUP_SIZE_BYTES {_HELD}" if wide else "")

    def stage(self, header_line: bytes, size: int) -> bool:
        """Writes every line but the header to the staged file, the odd ones undecoded. False: DuckDB could not read
        the file line by line (which is no verdict: the codec decides)."""
        import duckdb

        try:
            self._sql.execute(
                f"""
                COPY (
                    {judged_lines(self._source)}
                    SELECT $top_hash AS top_hash,
                        key AS logical_key,
                        physical_key,
                        hash_type,
                        hash_value,
                        size,
                        CASE WHEN plain THEN meta ELSE line END AS metadata,
                        folder,
                        plain,
                        false AS size_is_float,
                        line_bytes
                    FROM judged
                ) TO {quoted(str(self._staged))} ({self._parquet})
                """,
                {"header": header_line.decode(), "top_hash": self._top_hash},
            )
            (seen,) = self._one(f"SELECT coalesce(sum(line_bytes), 0) FROM {self._read(self._staged)}")
            (bad,) = self._one(
                f"SELECT count(*) FROM (SELECT DISTINCT folder FROM {self._read(self._staged)} WHERE plain) "
                f"WHERE {ODD_FOLDER}"
            )
        except (duckdb.OutOfMemoryException, duckdb.IOException):
            raise
        except (duckdb.Error, UnicodeDecodeError):
            return False
        return int(seen) + len(header_line) + 1 == size and not bad

    def decode_odd_lines(self) -> bool:
        """Whether there were lines for the codec to decode."""
        self._create_decoded()
        cursor = self._sql.cursor()
        # Without ORDER BY the rows stream, in the order of the file.
        cursor.execute(f"SELECT file_row_number, metadata FROM {self._read(self._staged)} WHERE NOT plain")
        found = False
        while rows := cursor.fetchmany(_FETCH):
            found = True
            self._insert((row, decode_record(line.encode(), row + 2)) for row, line in rows)
        return found

    def decode_all(self) -> bool:
        self._staged.unlink(missing_ok=True)
        self._create_decoded()
        with Path(self._source).open("rb") as file:
            _, records = read_manifest(iter(lambda: file.read(1 << 20), b""))
            self._insert(enumerate(records))
        if self._parts:
            # A scan of a table holds 2,048 rows at once, one of these files only as many as were written together.
            parts = quoted(str(self._staged.with_name("part-*.parquet")))
            self._sql.execute("DROP TABLE decoded")
            self._sql.execute(f"CREATE VIEW decoded AS SELECT * FROM read_parquet({parts})")
        return True

    def finish(self, odd: bool) -> tuple[Totals, int]:
        """Puts the rows in order and checks keys against each other."""
        staged, target = self._read(self._staged), self._read(self._target)
        if not odd and self._in_order(staged):
            os.replace(self._staged, self._target)
        else:
            # Sorting holds much more in memory than copying does, and most manifests are sorted already.
            if self._wide:
                self._merge(sort=False)
            if not self._wide or not self._in_order(target):
                self._merge(sort=True)
                if not self._in_order(target):
                    self._raise_clash()
            if (key := self._file_with_directory_meta()) is not None:
                raise file_and_folder(key, self._top_hash)
        entries, metas, size = self._one(
            f"SELECT count(hash_type), count(*) - count(hash_type), coalesce(sum(size), 0) FROM {self._read(self._target)}"
        )
        return Totals(int(entries), int(size)), int(metas)

    def _create_decoded(self) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in _DECODED.items())
        self._sql.execute(f"CREATE TABLE decoded ({columns})")

    def _insert(self, numbered: Iterable[tuple[int, Record]]) -> None:
        rows: list[tuple[Any, ...]] = []
        held = 0
        for row, record in numbered:
            holdable(record, row + 2)
            metadata = metadata_text(record.meta)
            if isinstance(record, Entry):
                entry_hash = record.hash
                assert entry_hash is not None
                rows.append(
                    (
                        row,
                        record.logical_key,
                        record.physical_key,
                        entry_hash.type,
                        entry_hash.value,
                        int(record.size or 0),
                        metadata,
                        type(record.size) is IntegralFloat,
                    )
                )
            else:
                rows.append((row, record.logical_key, None, None, None, None, metadata, False))
            held += len(metadata) + 500
            if held > _HELD:
                self._insert_rows(rows)
                rows, held = [], 0
        if rows:
            self._insert_rows(rows)

    def _insert_rows(self, rows: list[tuple[Any, ...]]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join(
            f"unnest(${at}::{kind}[]) AS {name}" for at, (name, kind) in enumerate(_DECODED.items(), 1)
        )
        if not self._wide:
            self._sql.execute(f"INSERT INTO decoded SELECT {values}", columns)
            return
        part = self._staged.with_name(f"part-{self._parts:08}.parquet")
        self._parts += 1
        self._sql.execute(f"COPY (SELECT {values}) TO {quoted(str(part))} (FORMAT parquet)", columns)

    def _merge(self, *, sort: bool) -> None:
        columns = "logical_key, physical_key, hash_type, hash_value, size, metadata, size_is_float"
        staged = (
            f"UNION ALL SELECT {columns} FROM {self._read(self._staged)} WHERE plain"
            if self._staged.exists()
            else ""
        )
        order = f"ORDER BY {_SORTED_BY}" if sort else ""
        self._sql.execute(
            f"""
            COPY (
                SELECT $top_hash AS top_hash, {columns}, {FOLDER.format("logical_key")} AS folder
                FROM (
                    SELECT {columns} FROM decoded WHERE hash_type IS NULL
                    QUALIFY row_number() OVER (PARTITION BY logical_key ORDER BY row DESC) = 1
                    UNION ALL
                    SELECT {columns} FROM decoded WHERE hash_type IS NOT NULL
                    {staged}
                )
                {order}
            ) TO {quoted(str(self._target))} ({self._parquet})
            """,
            {"top_hash": self._top_hash},
        )

    def _in_order(self, rows: str) -> bool:
        """Whether directory metadata comes first, and both it and the entries ascend in walk order, with no key twice and
        no file in a folder's place (in walk order they would be neighbours)."""
        (good,) = self._one(
            f"""
            SELECT coalesce(bool_and(last IS NULL OR (key > last AND NOT starts_with(key, last || chr(0)))), true)
            FROM (SELECT key, lag(key) OVER () AS last FROM (SELECT {_SORTED_BY} AS key FROM {rows}))
            """
        )
        return bool(good)

    def _file_with_directory_meta(self) -> str | None:
        """A file that stands in the place of a directory with metadata, or of one above it."""
        rows = self._read(self._target)
        metas = self._sql.execute(f"SELECT logical_key FROM {rows} WHERE hash_type IS NULL").fetchall()
        folders = {key[:at] for (key,) in metas for at, char in enumerate(key) if char == "/"}
        if not folders:
            return None
        (found,) = self._one(
            f"SELECT min(logical_key) FROM {rows} WHERE hash_type IS NOT NULL "
            "AND logical_key IN (SELECT unnest($1::VARCHAR[]))",
            [sorted(folders)],
        )
        return found

    def _raise_clash(self) -> NoReturn:
        last, key = self._one(
            f"""
            SELECT last, key FROM (
                SELECT logical_key AS key, lag(logical_key) OVER () AS last
                FROM {self._read(self._target)} WHERE hash_type IS NOT NULL
            ) WHERE key = last OR starts_with(key, last || '/') LIMIT 1
            """
        )
        raise duplicate_key(key, self._top_hash) if last == key else file_and_folder(last, self._top_hash)

    def _one(self, query: str, parameters: Any = None) -> tuple[Any, ...]:
        row = self._sql.execute(query, parameters or []).fetchone()
        assert row is not None
        return row

    @staticmethod
    def _read(path: Path) -> str:
        return f"read_parquet({quoted(str(path))}, file_row_number = true)"


_PARQUET = (
    f"FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {ROW_GROUP}, WRITE_BLOOM_FILTER false, "
    "DICTIONARY_SIZE_LIMIT 1000, USE_TMP_FILE false"
)


@contextmanager
def _connection(work: Path, paths: list[str]) -> Generator[duckdb.DuckDBPyConnection]:
    """A database of its own that reaches these files and nothing else."""
    # In the order of the file, one thread writes a table faster than two that wait for each other.
    connection = open_duckdb(work, paths, directories=[str(work)], threads=1)
    try:
        yield connection
    finally:
        connection.close()


def first_line(source: str) -> bytes:
    """The header's line without its line feed. Raises CorruptManifest when there is none, or no end to it."""
    with Path(source).open("rb") as file:
        line = file.readline(MAX_LINE_BYTES + 1)
    if not line:
        raise CorruptManifest("The manifest is empty.", next_step="Choose another revision from package_log.")
    if len(line) > MAX_LINE_BYTES:
        raise CorruptManifest(
            f"Line 1 of the manifest cannot be used: it is longer than {MAX_LINE_BYTES:,} bytes.",
            next_step="Choose another revision from package_log, or restore this manifest from a copy.",
            details={"line": 1},
        )
    return re.sub(rb"\n$", b"", line)
