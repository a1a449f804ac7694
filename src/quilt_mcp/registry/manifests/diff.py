"""The difference of two manifests, however each is held; equal to ``domain.diff.diff_entries`` on their entries."""

# ruff: noqa: S608 - the SQL holds our own paths (quoted) and constants; what a manifest says goes in as parameters

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from quilt_mcp.domain.diff import DiffTotals, EntryChange, diff_entries
from quilt_mcp.domain.entry import Entry
from quilt_mcp.registry.manifests.build import metadata_text
from quilt_mcp.registry.manifests.cache_errors import cache_errors
from quilt_mcp.registry.manifests.database import open_duckdb
from quilt_mcp.registry.manifests.manifest import Manifest, after_folder, folder_path
from quilt_mcp.registry.manifests.memory import MemoryManifest
from quilt_mcp.registry.manifests.scan import ScannedManifest
from quilt_mcp.registry.manifests.table import TableManifest

if TYPE_CHECKING:
    import duckdb

ChangeKind = Literal["added", "removed", "modified", "renamed", "metadata"]
_BATCH = 10_000


class ManifestDiff(Protocol):
    """Both may block; safe between threads."""

    @property
    def totals(self) -> DiffTotals: ...

    def page(self, offset: int, limit: int) -> list[EntryChange]:
        """In walk order of ``path``."""
        ...


def diff(before: Manifest, after: Manifest, prefix: str = "") -> ManifestDiff:
    """The changes from ``before`` to ``after`` at or below ``prefix`` (a folder or a file; '' for all). Blocks.

    Raises StorageFull, TooLarge, StorageUnavailable, as do the pages."""
    before, after = _written(before), _written(after)
    if isinstance(before, MemoryManifest) and isinstance(after, MemoryManifest):
        totals, changes = diff_entries(_entries(before, prefix), _entries(after, prefix))
        return ListedDiff(totals, changes)
    with cache_errors(_tables(before, after)[0].folder_of_file):
        return _TableDiff(before, after, prefix)


def _written(manifest: Manifest) -> Manifest:
    return manifest.table() if isinstance(manifest, ScannedManifest) else manifest


def _tables(before: Manifest, after: Manifest) -> list[TableManifest]:
    return [side for side in (before, after) if isinstance(side, TableManifest)]


class ListedDiff:
    """Changes that are all there already."""

    def __init__(self, totals: DiffTotals, changes: list[EntryChange]) -> None:
        self.totals = totals
        self._changes = changes

    def page(self, offset: int, limit: int) -> list[EntryChange]:
        return self._changes[offset : offset + limit]


class _TableDiff:
    """A join in DuckDB; only the places of changed entries are kept, and a page fetches its entries from both sides.

    ``place`` is an entry's position in its manifest, so it also is walk order.
    """

    def __init__(self, before: Manifest, after: Manifest, prefix: str) -> None:
        tables = _tables(before, after)
        # What does not fit in memory spills there, as long as self lives.
        self._cache = tables[0].folder_of_file
        self._spill = tempfile.mkdtemp(prefix="work-", dir=self._cache)
        weakref.finalize(self, shutil.rmtree, self._spill, ignore_errors=True)
        self._before = _side(before, prefix)
        self._after = _side(after, prefix)
        self._connection = open_duckdb(
            Path(self._spill),
            paths=[table.path for table in tables],
            directories=[
                str(Path(table.path).parent) for table in tables if table.path.startswith(("/proc/", "/dev/"))
            ],
        )
        left = self._rows("before", self._before, prefix)
        right = self._rows("after", self._after, prefix)
        self._connection.execute(
            f"""
            CREATE TABLE pairs AS
            SELECT old.place AS old_place, new.place AS new_place,
                coalesce(new.logical_key, old.logical_key) AS path, old.hash_type AS old_hash_type,
                old.hash_value AS old_hash_value, old.size AS old_size, new.hash_type, new.hash_value, new.size,
                CASE WHEN old.place IS NULL THEN 'added' WHEN new.place IS NULL THEN 'removed'
                    WHEN old.size <> new.size OR old.hash_type <> new.hash_type OR old.hash_value <> new.hash_value
                    THEN 'modified' ELSE 'metadata' END AS kind
            FROM {left} AS old FULL JOIN {right} AS new ON old.logical_key = new.logical_key
            WHERE old.place IS NULL OR new.place IS NULL OR old.size <> new.size OR old.hash_type <> new.hash_type
                OR old.hash_value <> new.hash_value OR old.metadata <> new.metadata
            """
        )
        self._drop_equal_metadata(left, right)
        self._connection.execute(
            """
            CREATE TABLE changes AS
            WITH one_sided AS (
                SELECT *, row_number() OVER (
                    PARTITION BY kind, coalesce(hash_type, old_hash_type), coalesce(hash_value, old_hash_value),
                        coalesce(size, old_size)
                    ORDER BY coalesce(new_place, old_place)) AS turn
                FROM pairs WHERE kind IN ('added', 'removed')
            ), renamed AS (
                SELECT removed.old_place, added.new_place, added.path
                FROM one_sided AS added JOIN one_sided AS removed
                ON added.kind = 'added' AND removed.kind = 'removed' AND added.turn = removed.turn
                    AND added.hash_type = removed.old_hash_type AND added.hash_value = removed.old_hash_value
                    AND added.size = removed.old_size
            )
            SELECT row_number() OVER (ORDER BY replace(path, '/', chr(0))) - 1 AS number, *
            FROM (
                SELECT path, kind, old_place, new_place FROM pairs
                WHERE (new_place IS NULL OR new_place NOT IN (SELECT new_place FROM renamed))
                    AND (old_place IS NULL OR old_place NOT IN (SELECT old_place FROM renamed))
                UNION ALL SELECT path, 'renamed', old_place, new_place FROM renamed
            )
            """
        )
        counted = dict(self._all("SELECT kind, count(*) FROM changes GROUP BY kind"))
        one_sided = counted.get("removed", 0) + counted.get("renamed", 0)
        common = self._all(f"SELECT count(*) FROM {left}")[0][0] - one_sided
        self.totals = DiffTotals(
            added=counted.get("added", 0),
            removed=counted.get("removed", 0),
            modified=counted.get("modified", 0),
            renamed=counted.get("renamed", 0),
            metadata=counted.get("metadata", 0),
            unchanged=common - counted.get("modified", 0) - counted.get("metadata", 0),
        )
        self._connection.execute("DROP TABLE pairs")

    def page(self, offset: int, limit: int) -> list[EntryChange]:
        rows = self._all(
            f"SELECT kind, old_place, new_place FROM changes WHERE number >= {int(offset)} "
            f"AND number < {int(offset) + int(limit)} ORDER BY number"
        )
        old = self._before.entries_at([place for _, place, _ in rows if place is not None])
        new = self._after.entries_at([place for _, _, place in rows if place is not None])
        return [_change(cast("ChangeKind", kind), old.get(at), new.get(to)) for kind, at, to in rows]

    def _rows(self, name: str, side: TableManifest | _HeldRows, prefix: str) -> str:
        """An SQL source of the side's entries."""
        columns = "logical_key, hash_type, hash_value, size, metadata"
        if isinstance(side, TableManifest):
            where, parameters = _at_or_below(prefix)
            # A view takes no parameters, so the (quoted) prefix stands in its text.
            for parameter, value in parameters.items():
                where = where.replace(f"${parameter}", _literal(value))
            self._connection.execute(
                f"CREATE VIEW {name}_rows AS SELECT file_row_number AS place, {columns} FROM {side.rows} "
                f"WHERE hash_type IS NOT NULL AND {where}"
            )
        else:
            self._connection.execute(
                f"CREATE TABLE {name}_rows (place BIGINT, logical_key VARCHAR, hash_type VARCHAR, "
                "hash_value VARCHAR, size BIGINT, metadata VARCHAR)"
            )
            side.insert_into(self._connection, f"{name}_rows")
        return f"{name}_rows"

    def _drop_equal_metadata(self, left: str, right: str) -> None:
        """Metadata may be spelled differently and be equal (``1e-7``, ``1e-07``); Python decides, as it does elsewhere."""
        cursor = self._connection.cursor()
        cursor.execute(
            f"SELECT pairs.new_place, old.metadata, new.metadata FROM pairs JOIN {left} AS old ON old.place = old_place "
            f"JOIN {right} AS new ON new.place = new_place WHERE kind = 'metadata'"
        )
        equal: list[int] = []
        while rows := cursor.fetchmany(_BATCH):
            equal += [place for place, old, new in rows if json.loads(old) == json.loads(new)]
        cursor.close()
        for start in range(0, len(equal), _BATCH):
            self._connection.execute(
                "DELETE FROM pairs WHERE new_place IN (SELECT unnest($1::BIGINT[]))",
                [equal[start : start + _BATCH]],
            )

    def _all(self, query: str) -> list[Any]:
        with cache_errors(self._cache), closing(self._connection.cursor()) as cursor:
            return cursor.execute(query).fetchall()


class _HeldRows:
    """The entries of a small manifest, lent to DuckDB."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    def insert_into(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        numbered = enumerate(self._entries)
        while batch := list(islice(numbered, _BATCH)):
            hashes = [entry.hash for _, entry in batch]
            connection.execute(
                f"INSERT INTO {table} SELECT unnest($1::BIGINT[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[]), "
                "unnest($4::VARCHAR[]), unnest($5::BIGINT[]), unnest($6::VARCHAR[])",
                [
                    [place for place, _ in batch],
                    [entry.logical_key for _, entry in batch],
                    [None if found is None else found.type for found in hashes],
                    [None if found is None else found.value for found in hashes],
                    [int(entry.size or 0) for _, entry in batch],
                    [metadata_text(entry.meta) for _, entry in batch],
                ],
            )

    def entries_at(self, places: list[int]) -> dict[int, Entry]:
        return {place: self._entries[place] for place in places}


def _side(manifest: Manifest, prefix: str) -> TableManifest | _HeldRows:
    return manifest if isinstance(manifest, TableManifest) else _HeldRows(_entries(manifest, prefix))


def _entries(manifest: Manifest, prefix: str) -> list[Entry]:
    """All entries at or below ``prefix``; for small manifests."""
    itself = manifest.entry(prefix) if prefix else None
    return [itself] if itself is not None else manifest.below(prefix, 0, manifest.totals.entries)[0]


def _at_or_below(prefix: str) -> tuple[str, dict[str, str]]:
    folder = folder_path(prefix)
    if not folder:
        return "true", {}
    return "(logical_key = $itself OR (logical_key >= $first AND logical_key < $end))", {
        "itself": prefix,
        "first": folder,
        "end": after_folder(folder),
    }


def _literal(text: str) -> str:
    """As an SQL string literal; lone surrogates, which no key holds, are replaced."""
    return "'" + text.encode("utf-8", "replace").decode().replace("'", "''") + "'"


def _change(kind: ChangeKind, old: Entry | None, new: Entry | None) -> EntryChange:
    named = new if new is not None else old
    assert named is not None
    return EntryChange(
        path=named.logical_key,
        kind=kind,
        old_path=old.logical_key if kind == "renamed" and old is not None else None,
        size=None if new is None else new.size,
        old_size=None if old is None else old.size,
        hash=None if new is None else new.hash,
        old_hash=None if old is None else old.hash,
        metadata=None if new is None else new.user_meta,
        old_metadata=None if old is None else old.user_meta,
    )
