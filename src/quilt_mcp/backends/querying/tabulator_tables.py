"""TabulatorTables: tables that are declared as Tabulator's, over files of the latest revisions of a registry's packages."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from anyio import to_thread
from anyio.from_thread import check_cancelled

from quilt_mcp.backends.querying.file_tables import MOST_FILES
from quilt_mcp.backends.querying.named import Reach
from quilt_mcp.backends.querying.opening import Brought, HeldFiles
from quilt_mcp.backends.querying.tabulator_configs import VARIABLE, TabulatorConfigs, name_of
from quilt_mcp.domain.address import PackageUri, is_bucket
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import Progress
from quilt_mcp.domain.sql import SqlColumn, SqlTable
from quilt_mcp.domain.tabulator import ADDED, NamePattern, TabulatorTable
from quilt_mcp.errors import (
    AuthenticationError,
    CorruptManifest,
    InvalidArgument,
    PackageNotFound,
    QuiltError,
    RegistryNotFound,
    RetryableError,
    RevisionNotFound,
    TableNotFound,
    TabulatorInvalid,
    TooCostly,
)
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.registry import Registry
from quilt_mcp.sql.child import DeclaredView, QueryFile
from quilt_mcp.sql.declared import Declared
from quilt_mcp.sql.narrowing import Only
from quilt_mcp.storage.workers import collect, for_each

CATALOG: Final = "tabulator"
_AT_ONCE: Final = 8
_PACKAGES: Final = 64
"""Packages whose manifests are open together."""
_FILES: Final = 32
"""Files that are opened before they count among those that a query may have open."""
_CHECKED: Final = 10_000
"""Entries between two looks whether the call was cancelled."""
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class _File:
    """``groups``: what the table's patterns found in the names, in their order."""

    pinned: PackageUri
    entry: Entry
    groups: tuple[str | None, ...]

    @property
    def shown(self) -> str:
        return f"{self.pinned.name}/{self.entry.logical_key}"

    @property
    def added(self) -> tuple[str | None, ...]:
        """Values of the columns behind the schema's, but for "$issue"."""
        entry = self.entry
        return (*self.groups, self.pinned.name, entry.logical_key, entry.physical_key, self.pinned.top_hash)


class TabulatorTables:
    """Of one query."""

    def __init__(
        self,
        reach: Reach,
        registries: Sequence[str],
        configs: TabulatorConfigs,
        held: HeldFiles,
        brought: Brought,
        progress: Progress,
    ) -> None:
        self._reach = reach
        self._registries = registries
        self._configs = configs
        self._held = held
        self._brought = brought
        self._progress = progress
        self._inputs: dict[str, None] = {}
        self._tables: list[tuple[str, str, TabulatorTable]] = []
        """Those of the query: the registry's URL, the name that is shown, and what it is."""

    def inputs(self) -> tuple[str, ...]:
        """The revisions whose files were brought."""
        return tuple(self._inputs)

    def reads(self, saved: PackageUri) -> str | None:
        """The table of this query of which a file is from now on that is ``saved``."""
        for url, shown, table in self._tables:
            fits = (
                table.package.match(saved.name) is not None and table.key.match(saved.path or "") is not None
            )
            if fits and url == saved.registry:
                return shown
        return None

    async def view(self, path: Sequence[str], only: Only) -> DeclaredView:
        """As a ``gate.FromTabulator`` says it: files whose names are not wanted are not brought. Raises TableNotFound,
        TabulatorInvalid, InvalidArgument for too many files, and as packages and files are opened."""
        shown = ".".join(path)
        registry = self._reach.registry(self._registry_of(path))
        table = await self._table(registry.url, path[-1])
        self._tables.append((registry.url, shown, table))
        found = await self._files(registry, table, only, shown)
        if not found and not only:
            said = f"no_files: no file of a latest revision in {registry.url} fits {shown}."
            self._brought.warnings[said] = None
        self._inputs |= dict.fromkeys(str(one.pinned) for one in found)
        first, lost = await self._bring(registry, table, found)
        there = [one for number, one in enumerate(found) if number not in lost]
        names = (*table.groups, *ADDED[:-1])
        declared = Declared(
            [(one.name, one.engine_type, one.is_nullable) for one in table.columns],
            table.form,
            table.delimiter,
            table.has_header,
            table.continues,
            first,
            [one.shown for one in there],
            {name: [one.added[at] for one in there] for at, name in enumerate(names)},
            [(found[number].shown, found[number].added, why) for number, why in lost.items()],
        )
        return DeclaredView(tuple(path), declared)

    async def listed(self, others: Sequence[str] = ()) -> list[SqlTable]:
        """Those of the registries that are configured, and of ``others`` that are buckets, which a query can name. What is wrong
        with a configuration is told in its place."""
        found: list[SqlTable] = []
        buckets = (one for one in others if one.startswith("s3://"))
        for url in dict.fromkeys((*self._registries, *buckets)):
            is_default = url == self._reach.default
            place = CATALOG if is_default else f"{CATALOG}.{_quoted(name_of(url))}"
            try:
                configs = await self._configs.all(url, is_default=is_default)
            except QuiltError as error:
                found.append(SqlTable(f"{place}.*", comment=_told(error)))
                continue
            for name, config in sorted(configs.items()):
                try:
                    table = config.read()
                except TabulatorInvalid as error:
                    found.append(SqlTable(f"{place}.{_quoted(name)}", comment=_told(error)))
                    continue
                columns = tuple(SqlColumn(*one) for one in table.described())
                found.append(SqlTable(f"{place}.{_quoted(name)}", columns, comment=_about(table)))
        return found

    # -- configurations --

    def _registry_of(self, path: Sequence[str]) -> str:
        if len(path) == 2:
            return self._reach.default
        bucket = path[1]
        for same in (bucket, bucket.lower()):
            for url in self._registries:
                if same in (name_of(url), name_of(url).lower()):
                    return url
        if is_bucket(bucket):
            return f"s3://{bucket}"
        raise TableNotFound(
            f"There is no registry {bucket[:200]!r}, whose Tabulator tables are asked for.",
            next_step=f'Name a bucket: {CATALOG}."bucket".table; {CATALOG}.table is the default registry\'s.',
            details={"table": ".".join(path)[:300]},
        )

    async def _table(self, url: str, name: str) -> TabulatorTable:
        is_default = url == self._reach.default
        config = await self._configs.find(url, name, is_default=is_default)
        if config is not None:
            return config.read()
        near = suggest(name, await self._configs.all(url, is_default=is_default))
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        stack = ", or by admin_tabulator in its stack" if self._configs.told is not None else ""
        raise TableNotFound(
            f"No Tabulator table {name[:200]!r} is declared for {url}.",
            next_step=f"{meant}sql_tables lists them. They are declared by files <table>.yaml in the folder that {VARIABLE} names"
            f"{stack}.",
            details={"table": name[:200], "near": near},
        )

    # -- files --

    async def _files(self, registry: Registry, table: TabulatorTable, only: Only, shown: str) -> list[_File]:
        """In the order of packages and of paths. Of a large registry what fits alone is held."""
        found: list[_File] = []
        groups = await self._packages(registry, table, only)
        names = [*groups]
        for start in range(0, len(names), _PACKAGES):
            some = names[start : start + _PACKAGES]
            opened = await collect(some, _AT_ONCE, partial(self._open, registry, table))
            revisions = [(pinned, manifest, groups[pinned.name]) for pinned, manifest in filter(None, opened)]
            found += await to_thread.run_sync(
                _fitting, revisions, table.key, only, MOST_FILES + 1 - len(found)
            )
            if len(found) > MOST_FILES - len(self._held.files):
                raise InvalidArgument(
                    f"More than {MOST_FILES:,} files fit the tables of this query, with {shown}, and it may open so many.",
                    next_step="Declare a table with narrower patterns of package_name or logical_key; large sets belong into "
                    "fewer Parquet files. engine=athena, where a stack has this table, takes more.",
                    details={"table": shown},
                )
        return found

    async def _packages(
        self, registry: Registry, table: TabulatorTable, only: Only
    ) -> dict[str, tuple[str | None, ...]]:
        """Those whose names fit, with what the pattern finds in them."""
        try:
            listed = await registry.pointers.names(table.package.beginning(), "", None)
        except RegistryNotFound:
            if registry.url in self._registries and registry.store.local_files is not None:
                return {}  # a folder that is configured is there from its first package on
            raise
        matched = ((name, table.package.match(name)) for name in listed.names)
        columns = (*table.package.groups, "$pkg_name")
        return {
            name: groups
            for name, groups in matched
            if groups is not None and _is_wanted(only, columns, (*groups, name))
        }

    async def _open(
        self, registry: Registry, table: TabulatorTable, name: str
    ) -> tuple[PackageUri, Manifest] | None:
        """None for a package that went meanwhile, and, where the table continues, for one whose manifest is damaged."""
        try:
            return await registry.open(PackageUri(registry.url, name))
        except (PackageNotFound, RevisionNotFound):
            self._brought.warnings[f"missing_latest: {name} has no latest revision."] = None
        except CorruptManifest as error:
            if not table.continues:
                raise
            self._brought.warnings[f"skipped_package: {name}: {error.message}"] = None
        return None

    async def _bring(
        self, registry: Registry, table: TabulatorTable, found: Sequence[_File]
    ) -> tuple[int, dict[int, str]]:
        """The number of the first file that is held, which the others follow; and where the table continues, which ones could not
        be opened, and why. What is worth another try is no fault of a file's."""
        opened: dict[int, QueryFile] = {}
        lost: dict[int, str] = {}

        async def open_one(number: int) -> None:
            one = found[number]
            try:
                opened[number] = await self._reach.opening.entry(
                    registry, one.pinned, one.entry, self._brought, self._progress, table.form
                )
            except (TooCostly, RetryableError, AuthenticationError):
                raise
            except QuiltError as error:
                if not table.continues:
                    raise
                lost[number] = f"{error.code}: {error.message}"

        first = len(self._held.files)
        try:
            for start in range(0, len(found), _FILES):
                numbers = range(start, min(start + _FILES, len(found)))
                await for_each(numbers, _AT_ONCE, open_one)
                for number in numbers:
                    if number in opened:
                        self._held.add(opened.pop(number))
        finally:
            for file in opened.values():
                if file.descriptor is not None:
                    os.close(file.descriptor)
        return first, dict(sorted(lost.items()))


def _fitting(
    revisions: Sequence[tuple[PackageUri, Manifest, tuple[str | None, ...]]],
    key: NamePattern,
    only: Only,
    most: int,
) -> list[_File]:
    """At most so many."""
    found: list[_File] = []
    folder, columns = key.beginning().rpartition("/")[0], (*key.groups, "$logical_key")
    for pinned, manifest, groups in revisions:
        for number, entry in enumerate(manifest.entries(folder)):
            if not number % _CHECKED:
                check_cancelled()
            own = key.match(entry.logical_key)
            if own is not None and _is_wanted(only, columns, (*own, entry.logical_key)):
                found.append(_File(pinned, entry, (*groups, *own)))
                if len(found) == most:
                    return found
    return found


def _is_wanted(only: Only, columns: Sequence[str], values: Sequence[str | None]) -> bool:
    return not only or all(
        value in only.get(column.lower(), (value,)) for column, value in zip(columns, values, strict=True)
    )


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _told(error: QuiltError) -> str:
    return f"{error.code}: {error.message[:300]}"


def _about(table: TabulatorTable) -> str:
    return f"Tabulator: {table.form} files {table.key.source[:100]} of packages {table.package.source[:100]}, latest revisions"
