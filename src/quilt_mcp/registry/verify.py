"""Verify: reads every byte that a revision names, and the manifest itself, and says what is not as recorded."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice

import anyio
from anyio import to_thread
from anyio.from_thread import check_cancelled

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.checksums import CHECKSUMS, hash_bytes
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.listing import FileCheck, Item, Totals, Verification
from quilt_mcp.domain.names import walk_key
from quilt_mcp.domain.plan import Progress, Tally
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import (
    AccessError,
    AuthenticationError,
    CredentialPlace,
    HashMismatch,
    NotAFile,
    NotFound,
    NotSupported,
    ObjectArchived,
    OutsideRoots,
    QuiltError,
    SourceNotFound,
)
from quilt_mcp.registry.install import Destination, size_of
from quilt_mcp.registry.layout import manifest_key
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.reach import outside_roots
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.local.confined import Kind
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.objects import hash_object
from quilt_mcp.storage.store import Place
from quilt_mcp.storage.workers import for_each, groups

PROBLEMS_SHOWN = 200
_CAUSES_TOLD = 10
_FILES_AT_ONCE = 12
_LARGE_AT_ONCE = 4
_READERS = 2
"""Threads that read small files: most of the time is Python's own work, which more of them would only hinder."""
_LARGE = 8 << 20
_ODD: dict[Kind, str] = {
    "link": "a symbolic link",
    "closed": "a place of credentials, which is not looked at",
}


@dataclass(slots=True)
class _Unreadable:
    """Files that may not be looked at, for one reason."""

    error: QuiltError
    """Of the first."""
    count: int = 0

    def __str__(self) -> str:
        return (
            f"unreadable: {counted(self.count, 'file')} not looked at, which says nothing about the bytes. {self.error.message} "
            f"{self.error.next_step}"
        )


class Verifier:
    """One verification. With ``installed``, the files of an installed copy are read instead of the physical keys."""

    def __init__(self, registry: Registry, progress: Progress, installed: Destination | None = None) -> None:
        self._registry = registry
        self._tally = Tally(progress, 0, "bytes verified")
        self._installed = installed
        self._pinned: PackageUri | None = None
        self._problems: list[FileCheck] = []
        self._problem_count = 0
        self._outside: dict[str, str] = {}
        """Physical keys outside the roots, one of each folder."""
        self._checked_entries = 0
        self._checks: Counter[str] = Counter()
        self._unreadable: dict[tuple[str, str], _Unreadable] = {}
        """By what is wrong and what helps."""
        self._archived = 0
        self._noting = threading.Lock()
        self._large = anyio.CapacityLimiter(_LARGE_AT_ONCE)
        self._reading = anyio.CapacityLimiter(_READERS)

    async def verify(self, package: PackageUri) -> Verification:
        """Everything at or below ``package.path``; a single file also against a single file of another name. A bad file is a
        problem in the answer, never an error; an installed copy that is not there is refused before anything is read."""
        if (installed := self._installed) is not None:
            installed = await to_thread.run_sync(_found, installed)
            self._installed = installed
        pinned, manifest = await self._registry.read_anew(package)
        self._pinned = pinned
        if not manifest.verified:
            self._add(_wrong_manifest(manifest))
        item = await to_thread.run_sync(self._registry.item, pinned, manifest, package.path or "")
        if installed is not None and installed.is_file and item.type == "folder":
            where = repr(item.path) if item.path else "the root"
            count = counted(item.entries or 0, "file")
            raise SourceNotFound(
                f"{installed.path} is a file, and {where} of {package.name} is a folder of {count}.",
                next_step="Set path to the file that it is a copy of, or dest to the folder that the package was installed into.",
                details={"dest": installed.path, "path": item.path},
            )
        self._tally.total, self._tally.files = item.size, item.entries or 1
        waiting = groups(manifest.entries(item.path), item.entries or 1, _FILES_AT_ONCE, size_of)
        await for_each(waiting, _FILES_AT_ONCE, self._check_group)
        if installed is not None and item.type == "folder":
            await to_thread.run_sync(self._find_extra, manifest, item, installed)
        repeats = sum(cause.count - 1 for cause in self._unreadable.values())
        self._problem_count += repeats
        return Verification(
            uri=str(pinned),
            ok=not self._problem_count,
            checked=Totals(self._checked_entries, int(self._tally.done)),
            manifest_ok=bool(manifest.verified),
            problems=tuple(sorted(self._problems, key=lambda problem: problem.path)),
            problem_count=self._problem_count,
            checks=dict(self._checks),
            dest=None if installed is None else installed.path,
            warnings=(
                *outside_roots(self._outside.values()),
                *self._archive_notices(),
                *(str(cause) for cause in islice(self._unreadable.values(), _CAUSES_TOLD)),
            ),
        )

    async def _check_group(self, group: Sequence[Entry]) -> None:
        """Small local files are read in one step on another thread, since the step costs more than one of them."""
        small = [entry for entry in group if self._is_local(entry) and size_of(entry) < _LARGE]
        others = [entry for entry in group if not (self._is_local(entry) and size_of(entry) < _LARGE)]
        problems = await to_thread.run_sync(self._check_small, small, limiter=self._reading) if small else []
        report = self._tally.of(*map(size_of, group))
        problems += [await self._check(entry, report) for entry in others]
        for problem in filter(None, problems):
            self._add(problem)
        self._checked_entries += len(group)
        await report(sum(map(size_of, group)), None, "")

    def _is_local(self, entry: Entry) -> bool:
        return self._installed is not None or entry.physical_key.startswith("file:")

    def _check_small(self, entries: list[Entry]) -> list[FileCheck | None]:
        problems: list[FileCheck | None] = []
        for _, neighbours in groupby(entries, lambda entry: entry.logical_key.rpartition("/")[0]):
            with ExitStack() as held:
                group = list(neighbours)
                open_file = self._opener(group[0], held)
                problems += [self._check_read(entry, open_file) for entry in group]
        return problems

    def _opener(self, entry: Entry, held: ExitStack) -> Callable[[Entry], int]:
        """What opens the files of the folder that ``entry`` is in, which stays open as long as ``held``."""
        if self._installed is not None:
            with suppress(QuiltError):
                folder = self._installed.at(entry.logical_key).rpartition("/")[0]
                open_name = held.enter_context(self._installed.folder.files_in(folder))
                installed = self._installed
                return lambda entry: open_name(installed.at(entry.logical_key).rpartition("/")[2])
        return self._open  # which says of each file what is wrong

    def _check_read(self, entry: Entry, open_file: Callable[[Entry], int]) -> FileCheck | None:
        check_cancelled()
        try:
            descriptor = open_file(entry)
            try:
                with typed_errors(ascii(entry.logical_key), "the local file system"):
                    content = os.pread(descriptor, size_of(entry) + 1, 0)
                    size = len(content) if len(content) <= size_of(entry) else os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if entry.hash is None or size != entry.size:
                return self._compared(entry, size, None)
            return self._compared(entry, size, hash_bytes(content, entry.hash.type))
        except QuiltError as error:
            return self._failed(entry, error)

    def _open(self, entry: Entry) -> int:
        if self._installed is not None:
            return self._installed.folder.open_file(self._installed.at(entry.logical_key))
        place = self._locate(entry)
        assert place.store.local_files is not None, "a local physical key leads to local files"
        return place.store.local_files.open_file(place.key)

    def _locate(self, entry: Entry) -> Place:
        assert self._pinned is not None, "files are looked at once the revision is known"
        return self._registry.locate(self._pinned, entry)

    async def _check(self, entry: Entry, progress: Progress) -> FileCheck | None:
        try:
            hashing = self._hash_large if self._is_local(entry) else self._hash_object
            return self._compared(entry, *await hashing(entry, progress))
        except QuiltError as error:
            return self._failed(entry, error)

    async def _hash_large(self, entry: Entry, progress: Progress) -> tuple[int, Hash | None]:
        descriptor = await to_thread.run_sync(self._open, entry)
        try:
            size = os.fstat(descriptor).st_size
            if size != entry.size or entry.hash is None:
                return size, None
            async with self._large:
                return size, await hash_file(descriptor, size, entry.hash.type, progress)
        finally:
            os.close(descriptor)

    async def _hash_object(self, entry: Entry, progress: Progress) -> tuple[int, Hash | None]:
        """The object's size, and its hash if that is the size expected. A large object of another size is not read."""
        place, size = self._locate(entry), size_of(entry)
        hash_type = entry.hash.type if entry.hash else ""
        hashing = partial(
            hash_object,
            place.store,
            place.key,
            hash_type,
            size=size,
            version=place.version,
            progress=progress,
        )
        if size < _LARGE:
            with suppress(HashMismatch):
                return size, await hashing()
        found = (await place.store.stat(place.key, version=place.version)).size
        if found != size:
            return found, None
        async with self._large:
            return size, await hashing()

    def _compared(self, entry: Entry, size: int, found: Hash | None) -> FileCheck | None:
        """``found`` None: the size is another one already."""
        if found is None or entry.hash is None:
            return FileCheck(entry.logical_key, "size", str(entry.size), str(size))
        self._checks[entry.hash.type] += 1
        if found == entry.hash:
            return None
        return FileCheck(entry.logical_key, "hash", entry.hash.value, found.value)

    def _find_extra(self, manifest: Manifest, item: Item, installed: Destination) -> None:
        """What is in the folder and not in the revision. Both come in walk order, and are merged."""
        keys = (entry.logical_key for entry in manifest.entries(item.path))
        key = next(keys, None)
        base = f"{installed.relative}/{item.path}".strip("/")
        refused: list[tuple[str, QuiltError]] = []
        found = installed.folder.everything(base, refused=refused)
        for relative, kind in found:
            check_cancelled()
            here = item.path + relative
            while key is not None and walk_key(key) < walk_key(here):
                key = next(keys, None)
            if key != here:
                self._add(
                    FileCheck(_shown(here), "extra", None, _extra(installed.folder, base, relative, kind))
                )
        for relative, error in refused:
            self._add(FileCheck(_shown(item.path + relative), "unreadable", None, _told(error)))

    def _failed(self, entry: Entry, error: QuiltError) -> FileCheck | None:
        """None for one of several files that may not be looked at for one reason: they are told together, and counted."""
        if isinstance(error, NotFound):
            return FileCheck(entry.logical_key, "missing", entry.physical_key, error.message)
        if isinstance(error, NotSupported) and entry.hash is not None and entry.hash.type not in CHECKSUMS:
            return FileCheck(entry.logical_key, "unsupported_hash", entry.hash.type)
        if isinstance(error, (OutsideRoots, CredentialPlace)) and self._installed is None:
            return FileCheck(entry.logical_key, "not_allowed", entry.physical_key, error.code)
        problem = FileCheck(entry.logical_key, "unreadable", entry.physical_key, _told(error))
        if isinstance(error, ObjectArchived):
            self._archived += 1
            return FileCheck(entry.logical_key, "archived", None, _how_archived(error))
        if not isinstance(error, AccessError | AuthenticationError):
            return problem
        with self._noting:
            cause = self._unreadable.setdefault((error.code, error.next_step), _Unreadable(error))
            cause.count += 1
            return problem if cause.count == 1 else None

    def _archive_notices(self) -> tuple[str, ...]:
        if not self._archived:
            return ()
        return (
            f"archived: {counted(self._archived, 'file')} not looked at, which says nothing about the bytes. Call object_restore "
            "for each (uri ns/name/path), and verify again when they are restored.",
        )

    def _add(self, problem: FileCheck) -> None:
        self._problem_count += 1
        if problem.found == OutsideRoots.code and problem.expected:
            self._outside.setdefault(problem.expected.rpartition("/")[0], problem.expected)
        if len(self._problems) < PROBLEMS_SHOWN:
            self._problems.append(problem)


def _found(installed: Destination) -> Destination:
    """The folder or the file that stands there. Raises SourceNotFound, OutsideRoots."""
    if installed.relative:
        with suppress(NotAFile, SourceNotFound):
            installed.folder.stat(installed.relative)
            return replace(installed, is_file=True)
    installed.folder.require(installed.relative)
    return installed


def _wrong_manifest(manifest: Manifest) -> FileCheck:
    return FileCheck(
        manifest_key(manifest.top_hash), "manifest", manifest.top_hash, manifest.index.found_hash
    )


def _how_archived(error: ObjectArchived) -> str:
    return f"{error.details.get('storage_class', 'archive')}, {error.details.get('state', 'archived')}"


def _told(error: QuiltError) -> str:
    return f"{error.code}: {error.message}"


def _extra(folder: LocalFolder, base: str, relative: str, kind: Kind) -> str:
    """What stands there."""
    if kind != "file":
        return _ODD.get(kind, "a pipe, socket or device")
    try:
        return f"{folder.stat(f'{base}/{relative}'.lstrip('/')).size} bytes"
    except QuiltError as error:
        return _told(error)


def _shown(path: str) -> str:
    """A path of this machine, whose bytes need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
