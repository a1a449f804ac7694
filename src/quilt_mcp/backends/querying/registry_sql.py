"""RegistrySql: the SQL ability over registries that this process reads itself: each query in a child of its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio

from quilt_mcp.backends.querying import package_tables
from quilt_mcp.backends.querying.calls import rewritten
from quilt_mcp.backends.querying.file_tables import FileTables
from quilt_mcp.backends.querying.kept import KeptResults
from quilt_mcp.backends.querying.named import NamedPackages, Reach
from quilt_mcp.backends.querying.opening import Brought, HeldFiles, Opening
from quilt_mcp.backends.querying.package_tables import PackageTables
from quilt_mcp.backends.querying.table_diffs import TableDiffs
from quilt_mcp.backends.querying.tabulator_configs import TabulatorConfigs
from quilt_mcp.backends.querying.tabulator_tables import TabulatorTables
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.sql import SqlColumn, SqlFile, SqlRequest, SqlRows, SqlTable
from quilt_mcp.domain.table_diff import TableDiff, TableDiffRequest
from quilt_mcp.errors import InvalidArgument, QuiltError, TooLarge
from quilt_mcp.registry.registry import Registry
from quilt_mcp.sql import faults, gate
from quilt_mcp.sql.child import Child, DeclaredView, FilesView, Layers, View
from quilt_mcp.sql.inside.parsing import WRAPPED
from quilt_mcp.sql.query_file import QueryFile
from quilt_mcp.sql.spare import Spare, Turns, shared
from quilt_mcp.sql.spelling import plain_spaces
from quilt_mcp.storage.content import ContentCache
from quilt_mcp.storage.store import Stores

SECONDS: Final = 30.0
"""What a query may take."""
PARSE_SECONDS: Final = 5.0
MOST_ROOM: Final = 8 << 20
"""Bytes of the rows of one answer."""
MOST_KEPT: Final = 100_000
"""Rows of a result that are kept to be paged through."""
LONGEST_CELL: Final = 2_000
"""Letters of one value, or a twentieth of the room that all rows have."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query that passed the gate, over tables that are open."""

    text: str
    views: Sequence[View | FilesView | DeclaredView]
    is_bounded: bool
    inputs: tuple[str, ...]
    columns: Sequence[str]
    """Those that it names."""
    names: Mapping[int, str]
    """Of its files, by number."""
    as_of: Mapping[str, str]
    """By registry whose packages' tables are read."""


class RegistrySql:
    """See ``ops.SupportsSql``."""

    def __init__(
        self,
        registry: Callable[[str], Registry],
        registries: Callable[[], Sequence[str]],
        stores: Stores,
        searching: LateSearch | None,
        content: ContentCache,
        *,
        tabulator: TabulatorConfigs | None = None,
        layers: Layers = Layers(),  # noqa: B008 - it is frozen
        is_gated: bool = True,
        seconds: float = SECONDS,
    ) -> None:
        """``registries``: URLs of those whose packages are in the four tables; files are read of any. ``searching`` None: no
        catalog is kept, and there are no such tables. ``tabulator``: where further tables are declared. ``layers``, ``is_gated``:
        tests switch one off to see that the others hold. ``seconds``: what a query may take."""
        self._registry = registry
        self._registries = registries
        self._stores = stores
        self._searching = searching
        self._opening = Opening(content)
        self._tabulator = tabulator or TabulatorConfigs()
        self._own_spare = None if layers == Layers() else Spare(layers)
        self._kept = KeptResults()
        self._is_gated = is_gated
        self._seconds = seconds
        self._layers: Mapping[str, bool] | None = None

    async def query(
        self,
        request: SqlRequest,
        *,
        limit: int = 100,
        room: int = 1 << 20,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> SqlRows:
        marks, room = _marks(request), min(room, MOST_ROOM)
        if cursor is not None:
            return await self._page(cursor, marks, limit, room)
        gate.check_text(request.sql)
        async with self._asking(request, progress) as (child, asked, held, warnings):
            if request.explain:
                found = await self._run(child, held, "explain", asked, request)
                plan = tuple((line,) for line in str(found.get("plan", "")).splitlines())
                return SqlRows(
                    (SqlColumn("plan", "VARCHAR"),), plan, "duckdb", total=len(plan), warnings=warnings()
                )
            found = await self._run(
                child, held, "rows", asked, request, most=MOST_KEPT, is_bounded=asked.is_bounded, limit=limit, room=room,
                longest=_longest(room),
            )  # fmt: skip
            columns = _columns(found)
            rows = _rows(found, columns)
            total = int(found["total"])
            further, said = None, (*warnings(), *found["notes"])
            if len(rows) < total:
                kept = await anyio.to_thread.run_sync(child.open_result)
                name = self._kept.add(kept, columns, said)
                further = encode_cursor(marks, name, len(rows))
            return SqlRows(
                columns,
                rows,
                "duckdb",
                further,
                None if found.get("is_cut") else total,
                (*said, *_told(found)),
            )

    async def save(
        self, request: SqlRequest, form: str, *, most: int, progress: Progress = no_progress
    ) -> SqlFile:
        gate.check_text(request.sql)
        async with self._asking(request, progress) as (child, asked, held, warnings):
            found = await self._run(child, held, "save", asked, request, form=form)
            content = await anyio.to_thread.run_sync(_content, child, most)
            said = (*warnings(), *found["notes"], *_made_text(found))
            return SqlFile(content, _columns(found), asked.inputs, said, asked.as_of)

    async def list_tables(self, request: SqlRequest, progress: Progress = no_progress) -> list[SqlTable]:
        """The four tables, and the files of the packages of ``request`` that are tables, the first ones with their
        columns."""
        brought = Brought(0, {})
        files = self._files(request, HeldFiles(), brought, frozenset(), progress)
        described: list[SqlTable] = []
        names = await files.tables()
        async with self._spare.turns() as turns:
            for name in names[:_DESCRIBED]:
                described.append(await self._described(turns, files, name))
        more = [SqlTable(_in_quotes(name)) for name in names[_DESCRIBED:]]
        named = dict.fromkeys(one.registry.url for one in await files.packages.all())
        declared = await self._declared(HeldFiles(), brought, progress).listed(tuple(named))
        return [*package_tables.listed(), *declared, *described, *more]

    async def compare(self, request: TableDiffRequest, progress: Progress = no_progress) -> TableDiff:
        return await TableDiffs(self._reach, self._spare, self._seconds).compare(request, progress)

    @property
    def _spare(self) -> Spare:
        return self._own_spare or shared()

    def layers(self) -> Mapping[str, bool] | None:
        """What holds queries beside the gate, as the last child said; None before the first."""
        return self._layers

    async def close(self) -> None:
        await self._spare.close()

    # -- a query --

    @asynccontextmanager
    async def _asking(
        self, request: SqlRequest, progress: Progress
    ) -> AsyncGenerator[tuple[Child, _Asked, HeldFiles, Callable[[], tuple[str, ...]]]]:
        """Files are brought between two turns, however long that takes."""
        held, brought = HeldFiles(), Brought(0, {})
        try:
            async with self._spare.turns() as turns:
                named: dict[str, gate.FilesCall] = {}
                views: list[View | FilesView | DeclaredView] = []
                async with turns.turn() as child:
                    self._layers = child.layers
                    text, reads = await self._read(child, plain_spaces(request.sql))
                    columns = reads.columns
                    if reads.files:
                        text, named = rewritten(text, reads.files)
                        text, reads = await self._read(child, text)
                files = self._files(request, held, brought, columns, progress)
                packages = await self._package_tables(request, files, held, reads, progress)
                made: dict[str, str] = {}
                of_packages: list[str] = []
                for table in reads.tables:
                    same = made.setdefault(gate.lower(table.name), table.name)
                    if table.name in named:
                        views.append(await files.files(table.name, named[table.name]))
                    elif packages.meaning(table.name) is None:
                        views.append(await files.table(table.name, packages.names()))
                        if same != table.name:
                            raise faults.one_name(same, table.name)
                    elif same == table.name:
                        of_packages.append(table.name)
                views += await packages.views(of_packages)
                declared = self._declared(held, brought, progress)
                for one in reads.tabulator:
                    views.append(await declared.view(one.path, one.only))
                await files.packages.require()
                if request.to is not None and (
                    pattern := files.reads(request.to) or declared.reads(request.to)
                ):
                    brought.warnings[_reads_itself(request.to, pattern)] = None

                def warnings() -> tuple[str, ...]:
                    return (*packages.warnings, *brought.warnings)

                as_of = packages.as_of()
                inputs = tuple(dict.fromkeys((*files.inputs(), *declared.inputs(), *as_of)))
                asked = _Asked(text, views, reads.is_bounded, inputs, sorted(columns), files.names, as_of)
                async with turns.turn(is_last=True) as child:
                    try:
                        yield child, asked, held, warnings
                    except QuiltError as error:
                        raise faults.with_names(error, files.names)  # noqa: B904 - it is the same
        finally:
            held.close()
            self._spare.prepare()

    async def _run(
        self, child: Child, held: HeldFiles, what: str, asked: _Asked, request: SqlRequest, **given: Any
    ) -> dict[str, Any]:
        """Raises as the child does, HashMismatch where a file changed meanwhile, whatever the child made of it."""
        try:
            found = await child.run(
                what,
                held.files,
                asked.views,
                self._seconds,
                asked.text,
                parameters=_parameters(request),
                columns=asked.columns,
                **given,
            )
            said = [str(one)[:1_000] for one in found.get("notes", ())]
            return {**found, "notes": [faults.named(one, asked.names) for one in said]}
        finally:
            await anyio.to_thread.run_sync(held.require_unchanged)

    async def _read(self, child: Child, sql: str) -> tuple[str, gate.Reads]:
        try:
            parsed = await child.parse(sql, min(PARSE_SECONDS, self._seconds))
            tree, text = str(parsed.get("tree")), str(parsed.get("text"))
            if not sql.startswith(text):
                raise faults.died()
            # A long text has a large tree, and other calls do not wait for it.
            return text, await anyio.to_thread.run_sync(gate.read, tree, len(WRAPPED[0]))
        except QuiltError:
            if self._is_gated or not child.is_alive:
                raise
            return sql, gate.Reads((), (), frozenset("*"), False)

    def _files(
        self,
        request: SqlRequest,
        held: HeldFiles,
        brought: Brought,
        columns: frozenset[str],
        progress: Progress,
    ) -> FileTables:
        reach = self._reach
        return FileTables(reach, NamedPackages(reach, request.packages), held, brought, columns, progress)

    def _declared(self, held: HeldFiles, brought: Brought, progress: Progress) -> TabulatorTables:
        return TabulatorTables(self._reach, self._registries(), self._tabulator, held, brought, progress)

    @property
    def _reach(self) -> Reach:
        return Reach(self._registry, self._registries()[0], self._stores, self._opening)

    async def _package_tables(
        self, request: SqlRequest, files: FileTables, held: HeldFiles, reads: gate.Reads, progress: Progress
    ) -> PackageTables:
        """All revisions where the query asks for revisions, or names one that is not the latest."""
        registries = [*self._registries()]
        meant = {found[0] for one in reads.tables if (found := package_tables.meaning(one.name, registries))}
        of_revisions = meant - {"package_tag"}
        named = [one.pinned for one in await files.packages.all()] if of_revisions else []
        takes_all = request.all_revisions or "package_revision" in meant
        takes_all = takes_all or (bool(of_revisions) and await files.packages.names_older())
        tables = PackageTables(
            self._searching, registries, held, reads.columns, progress, all_revisions=takes_all, named=named
        )
        if meant and "package_tag" not in meant and not takes_all:
            tables.warnings[package_tables.LATEST_ONLY] = None
        return tables

    async def _described(self, turns: Turns, files: FileTables, name: str) -> SqlTable:
        """A file that cannot be read, or is not what its name says, is told as that."""
        held = HeldFiles()
        apart = files.apart(held)
        try:
            view = await apart.table(name, ())
            async with turns.turn() as child:
                found = await child.run("columns", held.files, [view], self._seconds, names=[view.name])
            await anyio.to_thread.run_sync(held.require_unchanged)
            [columns] = found["tables"]
            return SqlTable(_in_quotes(name), tuple(SqlColumn(str(one[0]), str(one[1])) for one in columns))
        except QuiltError as error:
            return SqlTable(
                _in_quotes(name),
                comment=f"{error.code}: {faults.with_names(error, apart.names).message[:200]}",
            )
        finally:
            held.close()

    # -- pages --

    async def _page(self, cursor: str, marks: tuple[str | bool, ...], limit: int, room: int) -> SqlRows:
        name, offset = decode_cursor(cursor, marks, str, int)
        kept = await anyio.to_thread.run_sync(self._kept.open, name)
        if kept is None:
            raise InvalidArgument(
                "The result that this cursor pages through is not kept here: others came since, the server was started again, or "
                "another one answers now.",
                next_step="Make the same call again without cursor.",
                details={"reason": "cursor_expired"},
            )
        try:
            file = QueryFile("file.parquet", kept.size, kept.descriptor)
            async with self._spare.turns() as turns, turns.turn(is_last=True) as child:
                found = await child.run(
                    "page", [file], (), self._seconds, offset=offset, limit=limit, room=room, longest=_longest(room),
                    most=MOST_KEPT, types=[one.type for one in kept.columns],
                )  # fmt: skip
        finally:
            os.close(kept.descriptor)
            self._spare.prepare()
        rows = _rows(found, kept.columns)
        total, end = int(found["total"]), offset + len(rows)
        further = encode_cursor(marks, name, end) if rows and end < total else None
        return SqlRows(
            kept.columns,
            rows,
            "duckdb",
            further,
            None if found.get("is_cut") else total,
            (*kept.warnings, *_told(found)),
        )


_DESCRIBED: Final = 40
"""Tables of packages whose columns are told."""


def _in_quotes(name: str) -> str:
    """As it is pasted into a FROM."""
    return "'" + name.replace("'", "''") + "'"


def _reads_itself(saved: PackageUri, pattern: str) -> str:
    return (
        f"reads_itself: {saved.path} fits {pattern}, which this query reads, so that its rows count from then on as well. Save "
        "it elsewhere, or let the query name a revision (ns/name@hash)."
    )


def _content(child: Child, most: int) -> bytes:
    with os.fdopen(child.open_result(), "rb") as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise TooLarge(
            f"The result is a file of more than {most >> 20} MB.",
            next_step="Ask for fewer rows or columns, or in several queries.",
        )
    return found


def _parameters(request: SqlRequest) -> Any:
    given = request.parameters
    return dict(given) if isinstance(given, Mapping) else [*given]


def _columns(found: Mapping[str, Any]) -> tuple[SqlColumn, ...]:
    return tuple(SqlColumn(str(name), str(kind)) for name, kind in found["columns"])


def _rows(found: Mapping[str, Any], columns: Sequence[SqlColumn]) -> tuple[tuple[Any, ...], ...]:
    rows = tuple(tuple(row) for row in found["rows"])
    if any(len(row) != len(columns) for row in rows):
        raise faults.died()
    return rows


def _made_text(found: Mapping[str, Any]) -> list[str]:
    return [
        f"kept_as_text: {name} ({kind}) is text in the file: Parquet has no type with all of its values."
        for name, kind in found["as_text"]
    ]


def _told(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a page."""
    said: list[str] = []
    if found.get("is_cut"):
        said.append(
            f"truncated: the query has more than {MOST_KEPT:,} rows, and only so many are kept; reckon in SQL (count, GROUP BY, "
            "LIMIT), or save all of them as a file."
        )
    if found.get("cells_cut"):
        said.append(
            f"cells_cut: {found['cells_cut']} values of this page are longer than there is room for ({found['longest']:,} "
            "letters); fewer columns leave more room, substr(column, 1, 2000) reads parts."
        )
    return tuple(said)


def _longest(room: int) -> int:
    return max(LONGEST_CELL, room // 20)


def _marks(request: SqlRequest) -> tuple[str | bool, ...]:
    """A cursor belongs to one text with its parameters, in whatever order they were given."""
    asked = [request.sql, _parameters(request), request.packages, request.all_revisions, request.explain]
    return ("sql", hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest())
