"""FileTables: files of packages, and objects, as tables of one query; made for the names alone that stand in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import islice
from typing import Any, Final, Self

from anyio import to_thread

from quilt_mcp.backends.querying.named import Named, NamedPackages, Reach
from quilt_mcp.backends.querying.opening import Brought, HeldFiles
from quilt_mcp.domain.address import (
    PackageUri,
    has_scheme,
    lower_scheme,
    names_package,
    names_packages,
    parse_package,
)
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.glob import Match
from quilt_mcp.domain.plan import Progress
from quilt_mcp.errors import EntryNotFound, InvalidArgument, InvalidSql, NotATable, QuiltError
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.sql import faults, formats
from quilt_mcp.sql.child import FilesView, QueryFile
from quilt_mcp.sql.formats import Options
from quilt_mcp.sql.gate import FilesCall
from quilt_mcp.storage.store import Place

MOST_FILES: Final = 1_000
"""Files of one table."""
_MOST_NAMES: Final = 2_000
"""Paths among which near ones are looked for."""
_PAGE: Final = 5_000


class FileTables:
    def __init__(
        self,
        reach: Reach,
        packages: NamedPackages,
        held: HeldFiles,
        brought: Brought,
        columns: frozenset[str],
        progress: Progress,
    ) -> None:
        """``packages``: those whose files may be named by path alone. ``columns`` that the query names."""
        self._reach = reach
        self.packages = packages
        self._held = held
        self._brought = brought
        self._columns = columns
        self._progress = progress
        self._origins: dict[str, None] = {}
        self._patterns: list[tuple[str, str]] = []
        """By which files were looked for, each with the package's address."""
        self.names: dict[int, str] = {}
        """Of files of the query, by number, as their packages or buckets call them."""

    def apart(self, held: HeldFiles) -> Self:
        """The same, with its files held apart."""
        other = copy(self)
        other._held, other.names = held, {}
        return other

    def inputs(self) -> tuple[str, ...]:
        """Of what was opened so far: revisions by their hashes, and objects."""
        return (*self.packages.inputs(), *self._origins)

    def reads(self, saved: PackageUri) -> str | None:
        """The pattern by which this query would read a file from now on that is ``saved``."""
        for text, pattern in self._patterns:
            path = self.packages.would_hold(text, saved)
            if path is not None and Match(pattern).among([path]):
                return pattern
        return None

    async def tables(self) -> list[str]:
        """The names of all files of the packages of the call that are tables: by path where that is one revision, else by
        address."""
        once: dict[tuple[Any, ...], tuple[Named, str]] = {}
        for one in (named := await self.packages.all()):
            for path in await to_thread.run_sync(_tables_in, one):
                once.setdefault((one.revision, f"{one.folder}{path}"), (one, path))
        if len({one.revision for one in named}) == 1:
            return [path for _, path in once.values()]
        return [self.packages.shown(one, f"{one.folder}{path}") for one, path in once.values()]

    async def table(self, name: str, others: Sequence[str]) -> FilesView:
        """A file that stands in a FROM by its path or its address. Raises TableNotFound, with ``others`` and paths that are near,
        NotATable, and as a file is opened."""
        text = name.strip()
        if has_scheme(text) and not text.casefold().startswith("quilt+"):
            return await self._objects(name, text, {})
        if not has_scheme(text):
            found = _once(
                [
                    (one, entry)
                    for one in await self.packages.all()
                    if (entry := await self._entry(one, text)) is not None
                ]
            )
            if len(found) > 1:
                spellings = " or ".join(
                    f"FROM '{self.packages.shown(one, entry.logical_key)}'" for one, entry in found
                )
                raise InvalidSql(
                    f"{len(found)} of the packages have a file {text!r}.",
                    next_step=f"Say whose: {spellings[:600]}.",
                )
            if found:
                return await self._view(name, found, {})
            if _has_wildcard(text) and (self.packages.spelled or not names_package(text)):
                return await self.files(name, FilesCall((text,), {}, 0, is_named=True))
        if has_scheme(text) or (names_package(text) and text.count("/") > 1):
            address = parse_package(text, self._reach.default)
            if address.path:
                package = str(replace(address, path=None))
                one = await self.packages.open(package)
                entry = await self._entry(one, address.path)
                if entry is None and _has_wildcard(address.path):
                    call = FilesCall((package, address.path), {}, 0, is_named=True)
                    return await self.files(name, call)
                if entry is None:
                    raise await self._no_entry(one, address.path)
                return await self._view(name, [(one, entry)], {})
        raise faults.no_table(name, [*others, *await self._paths()])

    async def files(self, name: str, call: FilesCall) -> FilesView:
        """``files('*.csv')`` of the packages of the call, ``files('ns/name@hash', '*.csv')``, ``files('lab/*', '*.csv')``,
        ``files(['a.csv', 'b.csv'])``, ``files('s3://bucket/x/*.csv')``. Raises InvalidSql, NotATable, EntryNotFound where nothing
        fits one of the patterns."""
        arguments = [one.strip() for one in call.arguments]
        patterns = [one.strip() for one in call.paths] or arguments[-1:]
        packages = arguments if call.paths else arguments[:-1]
        if len(packages) > 1 or not patterns or not all((*patterns, *packages)):
            raise InvalidSql(
                "files(..) takes a pattern, or a package and a pattern; a list of paths may stand for the pattern.",
                next_step="files('*.csv') of the packages of the call, files('ns/name', 'data/*.csv'), "
                "files('ns/name', ['a.csv', 'b.csv']), files('s3://bucket/folder/*.csv').",
            )
        if not packages and any(
            has_scheme(one) and not one.casefold().startswith("quilt+") for one in patterns
        ):
            if len(patterns) > 1:
                raise InvalidSql(
                    "A list in files(..) is of paths in packages.",
                    next_step="Name objects by one pattern, as files('s3://bucket/folder/*.csv'), or join tables by UNION ALL.",
                )
            return await self._objects(name, patterns[0], call.options)
        found: list[tuple[Named, Entry]] = []
        for pattern in patterns:
            found += await self._fitting(packages, pattern)
        return await self._view(name, _once(found), call.options)

    async def _fitting(self, packages: Sequence[str], pattern: str) -> list[tuple[Named, Entry]]:
        """Tables that a pattern takes, in the package that is named or those of the call."""
        if not packages and (has_scheme(pattern) or (names_package(pattern) and not self.packages.spelled)):
            address = parse_package(pattern, self._reach.default)
            packages, pattern = [str(replace(address, path=None))], address.path or "*"
        spelled = packages or self.packages.spelled
        named = await self.packages.several(packages[0]) if packages else await self.packages.all()
        if not named:
            raise _no_package(pattern)
        self._patterns += [(text, pattern) for text in spelled]
        found: list[tuple[Named, Entry]] = []
        for one in named:
            found += [(one, entry) for entry in await to_thread.run_sync(_matching, one, pattern)]
        tables = [(one, entry) for one, entry in found if formats.kind_of(entry.logical_key) is not None]
        if not tables:
            raise _nothing(named, pattern, len(found))
        if len(tables) < len(found):
            said = f"not_tables: {len(found) - len(tables):,} other files fit {pattern!r} and are no tables, by their names."
            self._brought.warnings[said] = None
        return tables

    # -- packages --

    async def _entry(self, one: Named, path: str) -> Entry | None:
        for wanted in dict.fromkeys(
            (f"{one.folder}{path}", path) if path.startswith(one.folder) else (f"{one.folder}{path}",)
        ):
            found = await to_thread.run_sync(one.manifest.entry, wanted)
            if found is not None:
                return found
        return None

    async def _no_entry(self, one: Named, path: str) -> QuiltError:
        close = await to_thread.run_sync(one.manifest.suggest, path)
        hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        return EntryNotFound(
            f"There is no {path!r} in {one.pinned.name}@{(one.pinned.top_hash or '')[:10]}.",
            next_step=f"{hint}Call package_browse for what the package holds.",
            details={"path": path, "suggestions": close},
        )

    async def _paths(self) -> list[str]:
        found: list[str] = []
        for one in await self.packages.all():
            for entry in await to_thread.run_sync(_some, one.manifest):
                if formats.kind_of(entry.logical_key) is not None:
                    found.append(entry.logical_key)
        return found

    async def _view(self, name: str, found: Sequence[tuple[Named, Entry]], options: Options) -> FilesView:
        kinds = {formats.kind_of(entry.logical_key) for _, entry in found}
        kind = _one_kind(name, kinds, [entry.logical_key for _, entry in found], options)
        if len(found) > MOST_FILES:
            raise _too_many(len(found))
        numbers: list[int] = []
        for one, entry in found:
            file = await self._reach.opening.entry(
                one.registry, one.pinned, entry, self._brought, self._progress
            )
            numbers.append(self._added(file, entry.logical_key))
        values = {
            "$logical_key": [entry.logical_key for _, entry in found],
            "$top_hash": [one.pinned.top_hash or "" for one, _ in found],
            "$pkg_name": [one.pinned.name for one, _ in found],
        }
        return formats.view_of(name, kind, numbers, self._told(values), options)

    def _added(self, file: QueryFile, name: str) -> int:
        number = self._held.add(file)
        self.names[number] = name
        return number

    def _told(self, values: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Those that the query names, and where rows are of several files, whose each is."""
        count = len(next(iter(values.values())))
        return {
            column: of
            for column, of in values.items()
            if column in self._columns or (column == "$logical_key" and count > 1)
        }

    # -- objects --

    async def _objects(self, name: str, origin: str, options: Options) -> FilesView:
        self._origins[origin] = None
        found = await self._reach.stores.find(lower_scheme(origin))
        places: list[Place] = []
        async for some in found.pages:
            for one in some:
                if formats.kind_of(one.physical_key.path) is not None:
                    if one.fault is not None:
                        raise one.fault
                    places.append(
                        Place(*self._reach.stores.locate(one.physical_key), one.physical_key.version_id)
                    )
            if len(places) > MOST_FILES:
                raise _too_many(len(places))
        if not places:
            raise NotATable(
                f"{origin} names no table, by its name.",
                next_step=f"Tables are files that end in {formats.ENDINGS}, also with .gz or .zst.",
            )
        paths = [one.key for one in places]
        kind = _one_kind(name, {formats.kind_of(one) for one in paths}, paths, options)
        numbers: list[int] = []
        for one in places:
            file = await self._reach.opening.object(one.store, one.key, one.version, self._brought)
            numbers.append(self._added(file, one.key))
        addresses = [str(one.store.physical_key(one.key)) for one in places]
        return formats.view_of(name, kind, numbers, self._told({"$logical_key": addresses}), options)


def _has_wildcard(path: str) -> bool:
    return "*" in path or "?" in path


def _once(found: Iterable[tuple[Named, Entry]]) -> list[tuple[Named, Entry]]:
    """Each file of a revision once, whichever of the named folders lead to it."""
    once: dict[tuple[Any, ...], tuple[Named, Entry]] = {}
    for one, entry in found:
        once.setdefault((one.revision, entry.logical_key), (one, entry))
    return [*once.values()]


def _no_package(pattern: str) -> InvalidSql:
    if names_packages(pattern):
        step = f"If packages are meant: files('{pattern}', '*.csv'), or packages=['{pattern}'] and a pattern of files."
    else:
        step = "Name one: files('ns/name', '*.csv'), or packages=['ns/name']."
    return InvalidSql(
        f"files(..) of {pattern[:200]!r} names no package, and the call names none.", next_step=step
    )


def _nothing(packages: Sequence[Named], pattern: str, others: int) -> QuiltError:
    names = ", ".join(one.pinned.name for one in packages[:3])
    if others:
        return NotATable(
            f"What fits {pattern!r} in {names} is no table, by its name.",
            next_step=f"Tables are files that end in {formats.ENDINGS}, also with .gz or .zst.",
        )
    meant = f"If packages are meant: files('{pattern}', '*.csv'). " if names_packages(pattern) else ""
    namespace, name, *rest = f"{pattern}//".split("/", 2)
    if names_package(pattern) and rest[0].strip("/"):
        meant = f"Of another package: files('{namespace}/{name}', '{rest[0].rstrip('/')}'). "
    return EntryNotFound(
        f"No file of {names} fits {pattern!r}.",
        next_step=f"{meant}Patterns are read as package_browse reads match: '*.csv' fits that name in any folder.",
        details={"pattern": pattern},
    )


def _matching(one: Named, pattern: str) -> list[Entry]:
    """Of a large package what fits alone is held."""
    match, found = Match(pattern), list[Entry]()
    entries = one.manifest.entries(one.folder)
    while some := [*islice(entries, _PAGE)]:
        paths = [entry.logical_key.removeprefix(one.folder) for entry in some]
        found += [some[number] for number in match.among(paths)]
    return found


def _tables_in(one: Named) -> list[str]:
    return [
        entry.logical_key.removeprefix(one.folder)
        for entry in one.manifest.entries(one.folder)
        if formats.kind_of(entry.logical_key) is not None
    ]


def _some(manifest: Manifest) -> list[Entry]:
    found: list[Entry] = []
    for entry in manifest.entries():
        found.append(entry)
        if len(found) == _MOST_NAMES:
            break
    return found


def _one_kind(name: str, kinds: set[str | None], paths: Sequence[str], options: Options) -> str:
    if kinds <= {"lines", "json"} and len(kinds) == 2:
        kinds = {"json"}
    if len(kinds) > 1:
        raise InvalidSql(
            f"{len(paths):,} files of different kinds fit ({', '.join(sorted(map(str, kinds)))}), and a table is of one.",
            next_step="Narrow the pattern, as '*.csv', and join two tables with UNION ALL BY NAME.",
        )
    [kind] = kinds
    if kind is None:
        raise NotATable(
            f"{paths[0]} is no table, by its name.",
            next_step=f"Tables are files that end in {formats.ENDINGS}, also with .gz or .zst. object_read reads others.",
        )
    return kind


def _too_many(count: int) -> InvalidArgument:
    return InvalidArgument(
        f"More than {MOST_FILES:,} files fit ({count:,} and perhaps more), and a table has so many at most.",
        next_step="Narrow the pattern; large sets belong into fewer Parquet files.",
    )
