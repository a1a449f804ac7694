"""PackageTables: ``package_revision``, ``package_tag``, ``package_manifest`` and ``package_entry`` over the registries in reach,
in the columns of Quilt's Iceberg tables, from the catalogs that search keeps.

Each stands for all registries in reach, with a column ``registry`` where they are several; a registry's own has its bucket's or
folder's name before it, as in Athena: ``"bucket_package_entry"``. By default they hold the latest revision of each package.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import to_thread

from quilt_mcp.backends.querying.opening import HeldFiles
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Progress
from quilt_mcp.domain.sql import SqlColumn, SqlTable
from quilt_mcp.errors import NotSupported
from quilt_mcp.search.state import State
from quilt_mcp.search.tables import LivePart, holds, latest_named, live_parts, revisions_named
from quilt_mcp.sql.child import View, place
from quilt_mcp.sql.query_file import QueryFile

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "package_revision": {"pkg_name": "VARCHAR", "timestamp": "TIMESTAMP", "top_hash": "VARCHAR"},
    "package_tag": {"pkg_name": "VARCHAR", "tag_name": "VARCHAR", "top_hash": "VARCHAR"},
    "package_manifest": {"top_hash": "VARCHAR", "message": "VARCHAR", "metadata": "VARCHAR"},
    "package_entry": {
        "top_hash": "VARCHAR", "logical_key": "VARCHAR", "physical_key": "VARCHAR", "hash_type": "VARCHAR",
        "hash_value": "VARCHAR", "size": "BIGINT", "metadata": "VARCHAR",
    },
}  # fmt: skip
COMMENTS: Final = {
    "package_revision": "when each package had which revision",
    "package_tag": "latest of each package",
    "package_manifest": "message and metadata (JSON text) of each revision",
    "package_entry": "a row a file: path, size, hash, metadata (JSON text); join top_hash",
}
REGISTRY: Final = "registry"
_OWN: Final = frozenset(COLUMNS["package_entry"]) - {"top_hash"}
"""Where a query names nothing else, in this spelling, it needs no hash of a revision."""


def prefix_of(registry: str) -> str:
    """What stands before the names of a registry's own tables: its bucket, or its folder's name."""
    return registry.rstrip("/").rpartition("/")[2] + "_"


@dataclass(frozen=True, slots=True)
class _Source:
    """A registry's part of a table: SQL that reads it."""

    registry: str
    sql: str


class PackageTables:
    """Of one query."""

    def __init__(
        self,
        searching: LateSearch | None,
        registries: Sequence[str],
        held: HeldFiles,
        columns: frozenset[str],
        progress: Progress,
        *,
        all_revisions: bool,
        named: Sequence[PackageUri] = (),
    ) -> None:
        """``named``: revisions that the query is about, which a warning tells of where the tables lack them."""
        self._searching = searching
        self._registries = registries
        self._held = held
        self._columns = columns
        self._progress = progress
        self._all_revisions = all_revisions
        self._named = named
        self.warnings: dict[str, None] = {}
        self._folders: dict[tuple[str, bool], tuple[Path, State]] = {}

    def meaning(self, name: str) -> tuple[str, Sequence[str]] | None:
        """The table that a name means, and the registries that it is of. None for what is none of them."""
        wanted = name.casefold()
        if wanted in COLUMNS:
            return wanted, self._registries
        for registry in self._registries:
            own = prefix_of(registry).casefold()
            if wanted.startswith(own) and wanted[len(own) :] in COLUMNS:
                return wanted[len(own) :], (registry,)
        return None

    def names(self) -> list[str]:
        return [*COLUMNS, *(f"{prefix_of(one)}{table}" for one in self._registries for table in COLUMNS)]

    async def view(self, name: str) -> View:
        """Registries that do not exist yet are none."""
        found = self.meaning(name)
        assert found is not None, "only what has a meaning is asked for"
        table, registries = found
        needs_all = self._all_revisions or table == "package_revision"
        there = [one for one in registries if await self._exists(one, all_revisions=needs_all)]
        sources = [await self._source(table, one) for one in there] or [_Source("", _union((), table))]
        columns = ", ".join(COLUMNS[table])
        parts = [
            f"SELECT {columns}{f', {_text(one.registry)} AS {REGISTRY}' if len(there) > 1 else ''} FROM ({one.sql})"
            for one in sources
        ]
        return View(name, " UNION ALL ".join(parts))

    async def _source(self, table: str, registry: str) -> _Source:
        match table:
            case "package_revision":
                _, state = await self._catalog(registry, all_revisions=True)
                rows = [f"{name},{seconds},{top_hash}" for name, seconds, top_hash in revisions_named(state)]
                columns = "pkg_name, make_timestamp(seconds * 1000000) AS timestamp, top_hash"
                sql = await self._known(
                    rows, columns, pkg_name="VARCHAR", seconds="BIGINT", top_hash="VARCHAR"
                )
            case "package_tag":
                _, state = await self._catalog(registry, all_revisions=False)
                rows = [f"{name},{top_hash}" for name, top_hash in latest_named(state)]
                columns = "pkg_name, 'latest' AS tag_name, top_hash"
                sql = await self._known(rows, columns, pkg_name="VARCHAR", top_hash="VARCHAR")
            case _:
                folder, state = await self._catalog(registry, all_revisions=self._all_revisions)
                parts = await to_thread.run_sync(live_parts, folder, state)
                read = self._manifests if table == "package_manifest" else self._entries
                sql = await to_thread.run_sync(read, parts)
        return _Source(registry, sql)

    def _manifests(self, parts: Sequence[LivePart]) -> str:
        return _union(
            (
                f"SELECT top_hash, message, metadata FROM {self._read(one.heads)}{_where(one)}"
                for one in parts
            ),
            "package_manifest",
        )

    def _entries(self, parts: Sequence[LivePart]) -> str:
        """The hash of a revision is looked up where the query needs it alone."""
        needs_hash = bool(self._columns - _OWN)
        found: list[str] = []
        for one in parts:
            if one.entries is None:
                continue
            columns = "logical_key, physical_key, hash_type, hash_value, size, metadata"
            entries = f"SELECT number, {columns} FROM {self._read(one.entries)}{_where(one)}"
            found.append(
                f"SELECT h.top_hash, {columns.replace('metadata', 'e.metadata')} FROM ({entries}) e JOIN "
                f"(SELECT number, top_hash FROM {self._read(one.heads)}) h USING (number)"
                if needs_hash
                else f"SELECT NULL::VARCHAR AS top_hash, {columns} FROM ({entries})"
            )
        return _union(found, "package_entry")

    def _read(self, path: Path) -> str:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        number = self._held.add(QueryFile("file.parquet", os.fstat(descriptor).st_size, descriptor))
        return f"read_parquet({place(number)}, hive_partitioning = false)"

    async def _known(self, rows: Iterable[str], columns: str, **types: str) -> str:
        """Rows that are known here, in a file that nobody else sees."""
        number = await to_thread.run_sync(self._lines, rows)
        typed = ", ".join(f"{name}: '{kind}'" for name, kind in types.items())
        form = f"header = false, auto_detect = false, delim = ',', columns = {{{typed}}}"
        return f"SELECT {columns} FROM read_csv({place(number)}, {form})"

    def _lines(self, rows: Iterable[str]) -> int:
        with tempfile.TemporaryFile() as file:
            file.write("".join(f"{row}\n" for row in rows).encode())
            file.flush()
            descriptor = os.dup(file.fileno())
        return self._held.add(QueryFile("file.csv", os.fstat(descriptor).st_size, descriptor))

    async def _exists(self, registry: str, *, all_revisions: bool) -> bool:
        _, state = await self._catalog(registry, all_revisions=all_revisions)
        return bool(state.as_of)

    async def _catalog(self, registry: str, *, all_revisions: bool) -> tuple[Path, State]:
        if (registry, all_revisions) not in self._folders:
            if self._searching is None:
                raise NotSupported(
                    "A server of many users keeps no catalog, so it has no tables over all packages.",
                    next_step="search finds packages and files under the user's own rights; files of named packages can be "
                    "queried here, and engine=athena, where there is one, has these tables.",
                )
            brought = await self._searching.made().brought((), self._progress, all_revisions=all_revisions)
            for catalog, found in brought:
                self.warnings |= dict.fromkeys(found.warnings)
                folder = await to_thread.run_sync(catalog.folder.path)
                self._folders[catalog.url, all_revisions] = (folder, found.state)
                for one in self._named if all_revisions else ():
                    if one.registry == catalog.url and not holds(found.state, one.top_hash or ""):
                        said = f"not_in_tables: {one.spelling} is named by no pointer; its files are tables still."
                        self.warnings[said] = None
        return self._folders[registry, all_revisions]


def listed() -> list[SqlTable]:
    return [
        SqlTable(name, tuple(SqlColumn(*one) for one in columns.items()), comment=COMMENTS[name])
        for name, columns in COLUMNS.items()
    ]


def _union(parts: Iterable[str], table: str) -> str:
    found = " UNION ALL ".join(parts)
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS[table].items())
    return found or f"SELECT {empty} WHERE false"


def _where(part: LivePart) -> str:
    return "" if part.numbers is None else f" WHERE number IN ({', '.join(map(str, part.numbers))})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
