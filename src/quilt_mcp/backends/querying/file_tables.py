"""FileTables: files of packages, and objects, as tables of one query; made for the names alone that stand in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Self

from anyio import to_thread

from quilt_mcp.backends.querying.opening import Brought, HeldFiles, Opening
from quilt_mcp.domain.address import PackageUri, has_scheme, lower_scheme, names_package, parse_package
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.glob import Match
from quilt_mcp.domain.plan import Progress
from quilt_mcp.errors import EntryNotFound, InvalidArgument, InvalidSql, NotATable, QuiltError
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.sql import faults, formats
from quilt_mcp.sql.child import FilesView, QueryFile
from quilt_mcp.sql.formats import Options
from quilt_mcp.sql.gate import FilesCall
from quilt_mcp.storage.store import Place, Stores

MOST_FILES: Final = 1_000
"""Files of one table."""
_MOST_NAMES: Final = 2_000
"""Paths among which near ones are looked for."""
_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Named:
    """A revision that was opened, and the folder in it that its address names ('' for all)."""

    registry: Registry
    pinned: PackageUri
    manifest: Manifest
    folder: str

    @property
    def revision(self) -> tuple[str, str, str | None]:
        """The same however it is spelled. Packages of other names are others, whose rows are told apart by ``$pkg_name``."""
        return self.registry.url, self.pinned.name, self.pinned.top_hash


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a query may look: ``default`` is the URL of the registry where none is named."""

    registry: Callable[[str], Registry]
    default: str
    stores: Stores
    opening: Opening


class FileTables:
    def __init__(
        self,
        reach: Reach,
        packages: Sequence[str],
        held: HeldFiles,
        brought: Brought,
        columns: frozenset[str],
        progress: Progress,
    ) -> None:
        """``packages``: those whose files may be named by path alone. ``columns`` that the query names."""
        self._reach = reach
        self._packages = packages
        self._held = held
        self._brought = brought
        self._columns = columns
        self._progress = progress
        self._opened: dict[str, Named] = {}
        self._origins: dict[str, None] = {}
        self.names: dict[int, str] = {}
        """Of files of the query, by number, as their packages or buckets call them."""

    def apart(self, held: HeldFiles) -> Self:
        """The same, with its files held apart."""
        other = copy(self)
        other._held, other.names = held, {}
        return other

    def inputs(self) -> tuple[str, ...]:
        """Of what was opened so far: revisions by their hashes, and objects."""
        return (*dict.fromkeys(str(one.pinned) for one in self._opened.values()), *self._origins)

    async def named(self) -> list[Named]:
        """Each once, also where it is named by several spellings."""
        found: dict[tuple[Any, ...], Named] = {}
        for spelled in self._packages:
            one = await self._open(spelled)
            found.setdefault((one.revision, one.folder), one)
        return [*found.values()]

    async def tables(self) -> list[str]:
        """The names of all files of the named packages that are tables: by path, or by address where several packages have it."""
        once: dict[tuple[Any, ...], tuple[Named, str]] = {}
        for one in await self.named():
            for path in await to_thread.run_sync(_tables_in, one):
                once.setdefault((one.revision, f"{one.folder}{path}"), (one, path))
        paths = [*once.values()]
        counts = Counter(path for _, path in paths)
        return [
            path if counts[path] == 1 else replace(one.pinned, path=f"{one.folder}{path}").spelling
            for one, path in paths
        ]

    async def names_older(self) -> bool:
        """Whether a named revision is not the latest of its package."""
        for one in await self.named():
            latest = await one.registry.pointers.try_latest(one.pinned.name)
            if not isinstance(latest, Pointer) or latest.top_hash != one.pinned.top_hash:
                return True
        return False

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
                    for one in await self.named()
                    if (entry := await self._entry(one, text)) is not None
                ]
            )
            if len(found) > 1:
                spellings = " or ".join(
                    f"FROM '{replace(one.pinned, path=entry.logical_key).spelling}'" for one, entry in found
                )
                raise InvalidSql(
                    f"{len(found)} of the packages have a file {text!r}.",
                    next_step=f"Say whose: {spellings[:600]}.",
                )
            if found:
                return await self._view(name, found, {})
        if has_scheme(text) or (names_package(text) and text.count("/") > 1):
            address = parse_package(text, self._reach.default)
            if address.path:
                one = await self._open(str(replace(address, path=None)))
                entry = await self._entry(one, address.path)
                if entry is None:
                    raise await self._no_entry(one, address.path)
                return await self._view(name, [(one, entry)], {})
        raise faults.no_table(name, [*others, *await self._paths()])

    async def files(self, name: str, call: FilesCall) -> FilesView:
        """``files('*.csv')`` of the packages that are named, ``files('ns/name@hash', '*.csv')``, ``files('s3://bucket/x/*.csv')``.
        Raises InvalidSql, EntryNotFound where nothing fits, NotATable."""
        arguments = [one.strip() for one in call.arguments]
        if not 1 <= len(arguments) <= 2 or not all(arguments):
            raise InvalidSql(
                "files(..) takes a pattern, or a package and a pattern.",
                next_step="files('*.csv') of the packages of the call, files('ns/name', 'data/*.csv'), "
                "files('s3://bucket/folder/*.csv').",
            )
        pattern = arguments[-1]
        if len(arguments) == 1 and has_scheme(pattern) and not pattern.casefold().startswith("quilt+"):
            return await self._objects(name, pattern, call.options)
        if len(arguments) == 1 and (has_scheme(pattern) or (names_package(pattern) and not self._packages)):
            address = parse_package(pattern, self._reach.default)
            arguments, pattern = [str(replace(address, path=None)), address.path or "*"], address.path or "*"
        elif len(arguments) == 2:
            pattern = arguments[1]
        packages = [await self._open(arguments[0])] if len(arguments) == 2 else await self.named()
        if not packages:
            raise InvalidSql(
                "files(..) names no package, and the call names none.",
                next_step="Name one: files('ns/name', '*.csv'), or packages=['ns/name'].",
            )
        found: list[tuple[Named, Entry]] = []
        for one in packages:
            found += [(one, entry) for entry in await to_thread.run_sync(_matching, one, pattern)]
        found = _once(found)
        tables = [(one, entry) for one, entry in found if formats.kind_of(entry.logical_key) is not None]
        if not tables:
            raise await self._nothing(packages, pattern, len(found))
        if len(tables) < len(found):
            said = f"not_tables: {len(found) - len(tables):,} other files fit {pattern!r} and are no tables, by their names."
            self._brought.warnings[said] = None
        return await self._view(name, tables, call.options)

    # -- packages --

    async def _open(self, text: str) -> Named:
        if text not in self._opened:
            address = parse_package(text, self._reach.default)
            registry = self._reach.registry(address.registry)
            pinned, manifest = await registry.open(replace(address, path=None))
            folder = (address.path or "").rstrip("/")
            self._opened[text] = Named(registry, pinned, manifest, f"{folder}/" if folder else "")
        return self._opened[text]

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

    async def _nothing(self, packages: Sequence[Named], pattern: str, others: int) -> QuiltError:
        names = ", ".join(one.pinned.name for one in packages[:3])
        if others:
            return NotATable(
                f"What fits {pattern!r} in {names} is no table, by its name.",
                next_step=f"Tables are files that end in {formats.ENDINGS}, also with .gz or .zst.",
            )
        return EntryNotFound(
            f"No file of {names} fits {pattern!r}.",
            next_step="Patterns are read as package_browse reads match: '*.csv' fits that name in any folder.",
            details={"pattern": pattern},
        )

    async def _paths(self) -> list[str]:
        found: list[str] = []
        for one in await self.named():
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


def _once(found: Iterable[tuple[Named, Entry]]) -> list[tuple[Named, Entry]]:
    """Each file of a revision once, whichever of the named folders lead to it."""
    once: dict[tuple[Any, ...], tuple[Named, Entry]] = {}
    for one, entry in found:
        once.setdefault((one.revision, entry.logical_key), (one, entry))
    return [*once.values()]


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
