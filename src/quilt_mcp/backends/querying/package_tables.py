"""PackageTables: ``package_revision``, ``package_tag``, ``package_manifest`` and ``package_entry`` over the registries in reach,
in the columns of Quilt's Iceberg tables, from the catalogs that search keeps.

Each stands for all registries in reach; with a bucket's or folder's name before it, as in Athena (``"bucket_package_tag"``), for
those of that name, which may be several. A column ``registry``, the URL, is there where the query names it and never by ``*``, in
either engine and however many registries there are. By default they hold the latest revision of each package.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from anyio import to_thread

from quilt_mcp.backends.querying.opening import HeldFiles
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Progress
from quilt_mcp.domain.sql import SqlColumn, SqlTable
from quilt_mcp.errors import NotSupported, StorageBusy
from quilt_mcp.search.state import State
from quilt_mcp.search.tables import LivePart, holds, latest_named, live_parts, revisions_named
from quilt_mcp.sql.child import View, place
from quilt_mcp.sql.query_file import QueryFile
from quilt_mcp.storage.errors import typed_errors

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
    "package_manifest": "message and metadata (JSON text, metadata->>'assay') of each revision",
    "package_entry": "a row a file: path, size, hash, metadata (JSON text; what users set is in user_meta: "
    "metadata->>'$.user_meta.assay'); join top_hash",
}
REGISTRY: Final = "registry"
LATEST_ONLY: Final = (
    "latest_only: package_entry and package_manifest hold the latest revision of each package; with all_revisions=true they "
    "hold all."
)
_TRIES: Final = 2
_OWN: Final = (frozenset(COLUMNS["package_entry"]) | {REGISTRY}) - {"top_hash"}
"""Where a query names nothing else, in this spelling, it needs no hash of a revision."""


def prefix_of(registry: str) -> str:
    """What stands before the names of a registry's own tables: its bucket, or its folder's name."""
    return registry.rstrip("/").rpartition("/")[2] + "_"


def meaning(name: str, registries: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """The table that a name means, and the registries that it is of. None for what is none of them."""
    wanted = name.casefold()
    if wanted in COLUMNS:
        return wanted, registries
    for table in COLUMNS:
        own = [one for one in registries if f"{prefix_of(one)}{table}".casefold() == wanted]
        if own:
            return table, own
    return None


class _Gone(Exception):
    """A file of a catalog that was replaced or cleared since its state was read."""


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
        self._tells_registry = any(one.casefold() == REGISTRY for one in columns)
        self._progress = progress
        self._all_revisions = all_revisions
        self._named = named
        self.warnings: dict[str, None] = {}
        self._folders: dict[tuple[str, bool], tuple[Path, State]] = {}
        self._read_from: dict[str, State] = {}
        """By registry, what the tables of revisions were read from."""
        self._used: set[str] = set()
        """Registries of which a table was made."""

    def as_of(self) -> Mapping[str, str]:
        """By the registries of which something was read, the moment at which it was so."""
        states: dict[str, State] = {}
        for (url, _), (_, state) in self._folders.items():
            older = states.get(url)
            states[url] = state if older is None or state.as_of < older.as_of else older
        return {
            url: datetime.fromtimestamp(one.as_of, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            for url, one in states.items()
            if url in self._used
        }

    def meaning(self, name: str) -> tuple[str, Sequence[str]] | None:
        return meaning(name, self._registries)

    def names(self) -> list[str]:
        own = (f"{prefix_of(one)}{table}" for one in self._registries for table in COLUMNS)
        return [*dict.fromkeys((*COLUMNS, *own))]

    async def views(self, names: Sequence[str]) -> list[View]:
        """All of one state of each catalog: where its files went between the look at it and the opening, because it was refreshed
        or cleared, all are made anew, once. Raises StorageBusy where they went again, NotSupported where no catalog is kept."""
        for _ in range(_TRIES):
            try:
                views = [await self._view(one) for one in names]
            except _Gone:
                self._folders.clear()
                self._read_from.clear()
            else:
                self._tell_missing()
                return views
        raise StorageBusy(
            "The catalog that search keeps was replaced or cleared while this query opened it, twice.",
            next_step="Make the same call again in a moment.",
        )

    async def _view(self, name: str) -> View:
        """Registries that do not exist yet are none."""
        found = self.meaning(name)
        assert found is not None, "only what has a meaning is asked for"
        table, registries = found
        parts: list[str] = []
        for one in registries:
            folder, state = await self._catalog(one, all_revisions=self._takes_all(table))
            if table != "package_tag":
                self._read_from[one] = state
            if state.as_of:
                self._used.add(one)
                parts.append(self._columns_of(table, await self._source(table, folder, state), _text(one)))
        return View(
            name, " UNION ALL ".join(parts) or self._columns_of(table, _union((), table), "NULL::VARCHAR")
        )

    def _columns_of(self, table: str, sql: str, registry: str) -> str:
        more = f", {registry} AS {REGISTRY}" if self._tells_registry else ""
        return f"SELECT {', '.join(COLUMNS[table])}{more} FROM ({sql})"

    def _takes_all(self, table: str) -> bool:
        """Whether it is made of the catalog of all revisions."""
        return table == "package_revision" or (self._all_revisions and table != "package_tag")

    async def _source(self, table: str, folder: Path, state: State) -> str:
        match table:
            case "package_revision":
                rows = [f"{name},{seconds},{top_hash}" for name, seconds, top_hash in revisions_named(state)]
                columns = "pkg_name, make_timestamp(seconds * 1000000) AS timestamp, top_hash"
                return await self._known(
                    rows, columns, pkg_name="VARCHAR", seconds="BIGINT", top_hash="VARCHAR"
                )
            case "package_tag":
                rows = [f"{name},{top_hash}" for name, top_hash in latest_named(state)]
                columns = "pkg_name, 'latest' AS tag_name, top_hash"
                return await self._known(rows, columns, pkg_name="VARCHAR", top_hash="VARCHAR")
            case _:
                parts = await to_thread.run_sync(live_parts, folder, state)
                read = self._manifests if table == "package_manifest" else self._entries
                return await to_thread.run_sync(read, parts)

    def _tell_missing(self) -> None:
        """Of the revisions that the call names, those of which no table of this query has a row."""
        for one in self._named if self._read_from else ():
            state = self._read_from.get(one.registry)
            if state is None or not holds(state, one.top_hash or ""):
                said = (
                    f"not_in_tables: {one.spelling} is none of the revisions that the tables of this query hold; its files are "
                    "tables still."
                )
                self.warnings[said] = None

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
        with typed_errors("The catalog that search keeps", str(path.parent)):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise _Gone from None
        number = self._held.add(QueryFile("file.parquet", os.fstat(descriptor).st_size, descriptor))
        return f"read_parquet({place(number)}, hive_partitioning = false)"

    async def _known(self, rows: Iterable[str], columns: str, **types: str) -> str:
        """Rows that are known here, in a file that nobody else sees."""
        number = await to_thread.run_sync(self._lines, rows)
        typed = ", ".join(f"{name}: '{kind}'" for name, kind in types.items())
        form = f"header = false, auto_detect = false, delim = ',', columns = {{{typed}}}"
        return f"SELECT {columns} FROM read_csv({place(number)}, {form})"

    def _lines(self, rows: Iterable[str]) -> int:
        with (
            typed_errors("A list of revisions", "the folder for temporary files"),
            tempfile.TemporaryFile() as file,
        ):
            file.write("".join(f"{row}\n" for row in rows).encode())
            file.flush()
            descriptor = os.dup(file.fileno())
        return self._held.add(QueryFile("file.csv", os.fstat(descriptor).st_size, descriptor))

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
