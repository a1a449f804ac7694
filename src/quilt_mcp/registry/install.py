"""Install: a revision's files into a local folder, each verified before it is put in its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Literal

import anyio
import anyio.from_thread

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import Item
from quilt_mcp.domain.names import validate_logical_key
from quilt_mcp.domain.plan import CHANGES_SHOWN, InstallOutcome, PlannedChange, Progress, Tally
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidArgument,
    InvalidName,
    NotAFile,
    ObjectArchived,
    QuiltError,
    SourceNotFound,
)
from quilt_mcp.registry.hazards import is_of_git, is_run
from quilt_mcp.registry.layout import is_registrys_own
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.reach import with_others
from quilt_mcp.registry.reading.left_behind import left_behind
from quilt_mcp.registry.recorded import check_content, check_hash, recorded_hash
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.hashing import READ_SIZE, STEP, hash_open_file
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.objects import bring_object
from quilt_mcp.storage.store import Place
from quilt_mcp.storage.workers import collect, for_each, groups

_FILES_AT_ONCE = 12
_LARGE_AT_ONCE = 4
_SMALL_AT_ONCE = 4
"""Of a group of small files: what takes the time is the way to the server and back."""
_WRITERS = 4
"""Threads that write groups of small files, each of which is open until it is on the disk."""
_SMALL = 1 << 20
"""Files up to this size are held in memory, and written several at a time."""
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Destination:
    """A local folder to install into: ``relative`` below a root ('' for the root itself), reached by descriptors only."""

    folder: LocalFolder
    relative: str
    is_file: bool = False
    """It is the copy of one file, wherever that lies in the package."""

    @property
    def path(self) -> str:
        return f"{self.folder.root}/{self.relative}".rstrip("/")

    def at(self, logical_key: str) -> str:
        """Where a file goes, below the root. Raises InvalidName for a key that would lead out, and InvalidArgument for a
        place that only a registry itself writes: a package must not be able to forge another."""
        if self.is_file:
            return self.relative
        key = validate_logical_key(logical_key)
        place = f"{self.relative}/{key}" if self.relative else key
        if is_registrys_own(place):
            raise InvalidArgument(
                f"{place!r} in {self.folder.root} lies in a folder .quilt, which belongs to a registry.",
                next_step="Choose another dest, or install other paths of the package (package_browse lists them).",
                details={"dest": self.path, "path": logical_key},
            )
        if is_of_git(place):
            raise InvalidArgument(
                f"{place!r} in {self.folder.root} lies in a .git, whose hooks git runs; nothing is installed there.",
                next_step="Install other paths of the package (the path argument; package_browse lists them), or read this file "
                "with object_read.",
                details={"dest": self.path, "path": logical_key},
            )
        return place

    def holds(self, logical_key: str) -> bool:
        """Whether a file stands where one would go. Blocks."""
        with suppress(QuiltError):
            self.folder.stat(self.at(logical_key))
            return True
        return False

    def holds_anything(self) -> bool:
        with suppress(QuiltError):
            return bool(self.folder.names(self.relative))
        return False


Found = Literal["same", "another", "nothing"]
"""What stands in a file's place."""


@dataclass(slots=True)
class _Survey:
    """A byte for each of the revision's entries in order: whether it is missing. And how many are, in files and bytes."""

    is_missing: bytearray = field(default_factory=bytearray)
    count: int = 0
    size: int = 0
    run: list[str] = field(default_factory=list[str])
    """What tools would run, there already or not; the first of them."""
    run_count: int = 0
    changes: list[PlannedChange] = field(default_factory=list[PlannedChange])
    """The first of those that are missing."""

    def add(self, entry: Entry, place: str, found: Found) -> None:
        is_missing = found != "same"
        self.is_missing.append(is_missing)
        if is_missing:
            self.count += 1
            self.size += size_of(entry)
            if len(self.changes) < CHANGES_SHOWN:
                action = "replace" if found == "another" else "add"
                self.changes.append(PlannedChange(entry.logical_key, action, entry.size))
        if is_run(place):
            self.run_count += 1
            self.run = [*self.run, entry.logical_key][:_SHOWN]

    @property
    def warnings(self) -> tuple[str, ...]:
        if not self.run:
            return ()
        more = f" and {self.run_count - len(self.run)} more" if self.run_count > len(self.run) else ""
        return (
            f"run_by_tools: tools that open the folder may run or obey {', '.join(self.run)}{more}; look at them (object_read) "
            "before anything is started there.",
        )


class Installer:
    """One installation. Nothing outside the destination is written, whatever the manifest says."""

    def __init__(
        self, registry: Registry, destination: Destination, progress: Progress, *, overwrite: bool
    ) -> None:
        self._registry = registry
        self._destination = destination
        self._folder = destination.folder
        self._tally = Tally(progress, 0, "bytes installed")
        self._overwrite = overwrite
        self._large = anyio.CapacityLimiter(_LARGE_AT_ONCE)
        self._writers = anyio.CapacityLimiter(_WRITERS)
        self._passable = frozenset[str]()
        """Folders, below the root, in whose place nothing stands that is in the way."""
        self._longest = _longest_name(self._folder.root)

    async def install(self, package: PackageUri, *, dry_run: bool) -> InstallOutcome:
        """A folder's files keep their logical keys below ``dest``; so does a single file.

        Differing files are found before the first byte is written. Raises AlreadyExists, HashMismatch. Cut short, it leaves
        whole files only; run again, it takes those as they are.
        """
        pinned, manifest = await self._registry.open(package)
        item = await anyio.to_thread.run_sync(self._registry.item, pinned, manifest, package.path or "")
        self._tally.total = item.size
        survey = await anyio.to_thread.run_sync(self._survey, manifest, item.path)
        self._tally.total, self._tally.files = self._tally.done + survey.size, survey.count
        left = ()
        if await anyio.to_thread.run_sync(self._destination.holds_anything):
            stands = self._destination.holds
            left = await left_behind(self._registry, package.name, manifest, item.path, stands)
        if not dry_run:
            missing = partial(_missing, manifest, item, survey)
            try:
                await self._install_all(pinned, missing(), survey.count)
            except ObjectArchived as refusal:
                places = map(partial(self._registry.locate, pinned), missing())
                raise await with_others(refusal, places) from refusal
        unchanged = len(survey.is_missing) - survey.count
        return InstallOutcome(
            str(pinned),
            self._destination.path,
            survey.count,
            unchanged,
            survey.size,
            done=not dry_run,
            warnings=(*survey.warnings, *left),
            changes=tuple(survey.changes),
        )

    def _survey(self, manifest: Manifest, path: str) -> _Survey:
        """What is not in the folder yet. Raises AlreadyExists for files that stand there and differ."""
        survey = _Survey()
        differing: list[str] = []
        differing_count = 0
        for entry in manifest.entries(path):
            anyio.from_thread.check_cancelled()
            place = self._destination.at(entry.logical_key)
            found = self._look_for(entry, place)
            survey.add(entry, place, found)
            if found == "another":
                differing_count += 1
                differing = [*differing, entry.logical_key][:_SHOWN]
        if differing and not self._overwrite:
            raise AlreadyExists(
                f"{counted(differing_count, 'file')} in {self._destination.path} not as in the package: {', '.join(differing)}.",
                next_step="Set overwrite=true to replace them, or choose another dest.",
                details={"dest": self._destination.path, "paths": differing, "count": differing_count},
            )
        return survey

    def _look_for(self, entry: Entry, place: str) -> Found:
        if longest := max(
            (name for name in place.split("/") if len(name) * 4 > self._longest), key=_bytes, default=""
        ):
            self._require_short(longest, entry.logical_key)
        try:
            descriptor = self._folder.open_file(place)
        except SourceNotFound:
            self._require_way(place)
            return "nothing"
        except NotAFile as error:
            raise self._in_the_way(place, error.message) from error
        try:
            size = os.fstat(descriptor).st_size
            if size != entry.size or entry.hash is None:
                return "another"
            if hash_open_file(descriptor, size, entry.hash.type, self._comparing()) == entry.hash:
                return "same"
            return "another"
        finally:
            os.close(descriptor)

    def _comparing(self) -> Callable[[], None]:
        """The checkpoint of a file that is compared with what stands there. What is read so has to be read beside the rest."""
        pieces = 0

        def checkpoint() -> None:
            nonlocal pieces
            anyio.from_thread.check_cancelled()
            pieces += 1
            if pieces * READ_SIZE % STEP == 0:
                self._tally.total += STEP
                anyio.from_thread.run(self._tally.add, STEP)

        return checkpoint

    def _require_short(self, name: str, logical_key: str) -> None:
        if (length := _bytes(name)) > self._longest:
            raise InvalidName(
                f"{logical_key[:100]!r} cannot be installed into {self._destination.path}: a part of it has {length} bytes, and "
                f"the file system takes {self._longest}.",
                next_step="Install other paths of the package (the path argument), or read this file with object_read. "
                "package_patch with rename makes a revision in which it has a shorter name.",
                details={"dest": self._destination.path, "path": logical_key},
            )

    def _require_way(self, place: str) -> None:
        """Raises AlreadyExists where a file stands in the place of a folder. Neighbours come one after the other, so what was
        looked at for the last is not looked at again."""
        names = place.split("/")[:-1]
        folders = ["/".join(names[:depth]) for depth in range(1, len(names) + 1)]
        for folder in folders:
            if folder in self._passable:
                continue
            try:
                self._folder.stat(folder)
            except SourceNotFound:
                break
            except NotAFile:
                continue
            raise self._in_the_way(
                folder, f"{folder!r} in {self._folder.root} is a file, and a folder is needed."
            )
        self._passable = frozenset(folders)

    def _in_the_way(self, place: str, message: str) -> AlreadyExists:
        return AlreadyExists(
            f"{message} It stands in the way of what the package has there.",
            next_step="Move it away, choose another dest, or install other paths of the package (the path argument).",
            details={"dest": self._destination.path, "path": place},
        )

    async def _install_all(self, pinned: PackageUri, entries: Iterable[Entry], count: int) -> None:
        """``count``: how many there are."""

        async def install_group(group: Sequence[Entry]) -> None:
            small = [entry for entry in group if 0 < size_of(entry) <= _SMALL]
            if small:
                contents = await collect(small, _SMALL_AT_ONCE, partial(self._fetch, pinned))
                writing = partial(self._write_all, small, contents)
                await anyio.to_thread.run_sync(writing, limiter=self._writers)
                sizes = [size_of(entry) for entry in small]
                await self._tally.of(*sizes)(sum(sizes), None, "")
            for entry in group:
                if not 0 < size_of(entry) <= _SMALL:
                    async with self._large:
                        await self._install_large(entry, self._registry.locate(pinned, entry))

        await for_each(groups(entries, count, _FILES_AT_ONCE, size_of), _FILES_AT_ONCE, install_group)

    async def _fetch(self, pinned: PackageUri, entry: Entry) -> bytes:
        place = self._registry.locate(pinned, entry)
        length = size_of(entry) + 1  # one byte more shows an object that has grown
        _, content = await place.store.get(place.key, length=length, version=place.version)
        return content

    def _write_all(self, entries: Sequence[Entry], contents: Sequence[bytes]) -> None:
        """Blocks. All are hashed before the first is written."""
        files: dict[str, bytes] = {}
        for entry, content in zip(entries, contents, strict=True):
            anyio.from_thread.check_cancelled()
            check_content(entry, content)
            files[self._destination.at(entry.logical_key)] = content
        self._folder.write_files(files, replace=self._overwrite)

    async def _install_large(self, entry: Entry, place: Place) -> None:
        """Each byte is hashed on its way to the file, which stays invisible until its hash is right."""
        hash_type = recorded_hash(entry).type
        relative = self._destination.at(entry.logical_key)
        report = self._tally.of(size_of(entry))
        file = self._folder.new_file(relative)
        with self._folder.typed_errors(relative):
            await anyio.to_thread.run_sync(file.__enter__)
            try:
                found = await bring_object(
                    place.store,
                    place.key,
                    hash_type,
                    size=size_of(entry),
                    version=place.version,
                    write=file.write_at,
                    progress=report,
                )
                check_hash(entry, found)
                placing = partial(self._folder.place, file, relative, replace=self._overwrite)
                await anyio.to_thread.run_sync(placing)
                await report(size_of(entry), None, "")
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(file.__exit__, None, None, None)


def _missing(manifest: Manifest, item: Item, survey: _Survey) -> Iterable[Entry]:
    return compress(manifest.entries(item.path), survey.is_missing)


def size_of(entry: Entry) -> int:
    return entry.size or 0


def _bytes(name: str) -> int:
    return len(name.encode())


def _longest_name(folder: Path) -> int:
    """Bytes that a name may have there. Blocks for microseconds."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except OSError:
        return 255
