"""LocalStore: objects as files below a folder, safe between threads, processes and power cuts.

    <root>/<key>                      an object: always whole, replaced by rename
    <root>/.quilt/tmp/                files in the making; what a killed process left is swept
    <root>/.quilt/locks/<2 hex>       locks that conditional writes take, shared by the keys that hash to them

Every write is: temporary file, fsync, then link (create-only) or rename (replace), then fsync of the folder.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import from_thread, to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress, share
from quilt_mcp.errors import (
    NotSupported,
    ObjectNotFound,
    RegistryNotFound,
    StorageBusy,
)
from quilt_mcp.storage.errors import cut_short, lost_condition, typed_errors
from quilt_mcp.storage.hashing import STEP, hash_file, require_unchanged
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.local.confined import EVERYWHERE, Child, ConfinedFolder, Parts, walk
from quilt_mcp.storage.local.credentials import CredentialPlaces
from quilt_mcp.storage.local.keys import LOCKS, OWN, TEMP, folder_parts, folder_prefix, key_parts
from quilt_mcp.storage.local.new_file import NewFile
from quilt_mcp.storage.local.syscalls import KERNEL, Syscalls
from quilt_mcp.storage.objects import holds
from quilt_mcp.storage.store import (
    PIECE,
    FileIntake,
    Listing,
    LocalFiles,
    NoAbilities,
    ObjectStat,
    Taken,
)
from quilt_mcp.storage.workers import in_pages

_PAGE = 256
_SMALL = 64 << 10
"""Objects up to this size have an etag made of their bytes (larger ones, of the file's identity and times), and files up to
this size are taken in by way of memory."""
T = TypeVar("T")


def _check(copied: int) -> None:
    from_thread.check_cancelled()


@dataclass(frozen=True, slots=True)
class _Told:
    """A checkpoint of a thread that tells its progress."""

    progress: Progress
    size: int

    def __call__(self, copied: int) -> None:
        from_thread.check_cancelled()
        if copied % STEP == 0:
            from_thread.run(self.progress, copied, self.size, "bytes copied")


class LocalStore(NoAbilities):
    """A ``Store`` of local files that takes files in. Nothing outside ``root`` is read or written: symbolic
    links below it are refused with OutsideRoots, pipes and devices with NotAFile, what is ``closed`` with CredentialPlace.

    ``create``: a missing root is an empty store, and the first write makes it; otherwise it is RegistryNotFound.
    """

    conditional_writes: bool | None = True
    conditional_deletes: bool | None = True

    def __init__(
        self,
        root: Path,
        *,
        create: bool = False,
        kernel: Syscalls = KERNEL,
        lock_wait: float = 10.0,
        closed: CredentialPlaces = EVERYWHERE,
    ) -> None:
        self._folder = ConfinedFolder(
            root,
            missing=ObjectNotFound,
            no_root=RegistryNotFound,
            kernel=kernel,
            create=create,
            closed=closed,
        )
        self._kernel = kernel
        self._lock_wait = lock_wait
        self.root = self._folder.root
        self.url = str(PhysicalKey(None, str(self.root))).rstrip("/")
        self.local_files: LocalFiles | None = self
        self.intake: FileIntake | None = self

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return PhysicalKey(None, f"{str(self.root).rstrip('/')}/{key}")

    # -- reading --

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        self._require_no_version(version)
        return await to_thread.run_sync(self._stat, key)

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        self._require_no_version(version)
        return await to_thread.run_sync(self._get, key, offset, length)

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> AsyncIterator[bytes]:
        self._require_no_version(version)
        with await to_thread.run_sync(lambda: os.fdopen(self.open_file(key), "rb", buffering=0)) as file:
            size = os.fstat(file.fileno()).st_size
            end = size if length is None else min(offset + length, size)
            for at in range(offset, end, PIECE):
                yield await to_thread.run_sync(self._read, key, file.fileno(), at, min(at + PIECE, end))

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        async for page in in_pages(self._stats(prefix, after), _PAGE):
            for stat in page:
                yield stat

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        return await to_thread.run_sync(self._list_folder, prefix, after, limit)

    def open_file(self, key: str) -> int:
        return self._folder.open_file(key_parts(key))

    def stat_file(self, key: str) -> os.stat_result:
        return os.stat(self.physical_key(key).path, follow_symlinks=False)

    def files_in(self, prefix: str) -> AbstractContextManager[Callable[[str], int]]:
        return self._folder.files_in(folder_parts(prefix))

    # -- writing --

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        """See ``Store.put``. ``body`` as a Path is copied and left where it is."""
        async with self._new_file() as file:
            if not if_absent:
                return await self._retried(lambda: self._replace(file, key, body, if_match))
            stat, is_new = await self._retried(lambda: self._create(file, key, body))
        if not is_new:
            raise lost_condition(self.url, key, "an object is there already")
        return stat

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        with suppress(ObjectNotFound):
            await self.stat(key)
            await self._retried(lambda: self._delete(key, if_match))

    async def take_file(
        self,
        source_fd: int,
        hash_type: str,
        key_of: Callable[[Hash], str],
        progress: Progress = no_progress,
    ) -> Taken:
        """A small file that is stored already is not written again."""
        size = os.fstat(source_fd).st_size
        async with self._new_file() as file:
            if size <= _SMALL:
                return await self._retried(partial(self._take, file, source_fd, size, hash_type, key_of))
            copied = _Told(share(progress, 0, 1 / 3), size)
            await to_thread.run_sync(self._fill, file, source_fd, copied, limiter=limits().readers)
            found = await hash_file(file.fd, size, hash_type, share(progress, size / 3, 1 / 3))
            key = key_of(found)
            stat, is_new = await self._retried(partial(self._create, file, key, source_fd))
            compared = share(progress, size * 2 / 3, 1 / 3)
            if not is_new and not await holds(self, key, found, size=size, progress=compared):
                stat, is_new = await self._retried(partial(self._replace, file, key, source_fd)), True
            return Taken(found, stat, is_new)

    # -- in threads: reading --

    def _stat(self, key: str) -> ObjectStat:
        return self._get(key, 0, 0)[0]

    def _find(self, key: str) -> ObjectStat | None:
        with suppress(ObjectNotFound):
            return self._stat(key)
        return None

    def _get(self, key: str, offset: int, length: int | None) -> tuple[ObjectStat, bytes]:
        with self._folder.closing(self.open_file(key)) as fd:
            stat = self._stat_of(key, fd)
            end = stat.size if length is None else min(stat.size, offset + length)
            return stat, self._read(key, fd, offset, end)

    def _stat_of(self, key: str, fd: int) -> ObjectStat:
        found = os.fstat(fd)
        if found.st_size <= _SMALL:
            etag = _etag(self._read(key, fd, 0, found.st_size))
        else:
            identity = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            etag = "-".join(f"{number:x}" for number in identity)
        return ObjectStat(key, found.st_size, etag, _moment(found.st_mtime))

    def _read(self, key: str, fd: int, offset: int, end: int) -> bytes:
        length = max(end - offset, 0)
        with self._folder.typed(key_parts(key)):
            content = os.pread(fd, length, offset)
        if len(content) < length:
            raise cut_short(self.url, key, offset + len(content), end)
        return content

    def _stats(self, prefix: str, after: str) -> Iterator[ObjectStat]:
        """In code-point order of keys. Within a folder that is the order of names with '/' added to folders:
        'a-' < 'a/' < 'a0'."""

        def children(folder: Parts) -> list[Child]:
            base = folder_prefix(folder)

            def may_lead(child: Child) -> bool:
                key = base + child.path
                if child.kind == "folder" and (prefix.startswith(key) or after.startswith(key)):
                    return key.startswith(prefix) or prefix.startswith(key)
                return key.startswith(prefix) and key > after

            return sorted(filter(may_lead, self._children(folder)), key=attrgetter("path"))

        for folder, run in walk(folder_parts(prefix[: prefix.rfind("/") + 1]), children):
            yield from self._stats_in(folder, run)

    def _stats_in(self, folder: Parts, files: list[Child]) -> list[ObjectStat]:
        base = folder_prefix(folder)
        found = self._folder.look_at(folder, files, lambda name, fd: self._stat_of(base + name, fd))
        return [*found.values()]

    def _list_folder(self, prefix: str, after: str, limit: int) -> Listing:
        folder = folder_parts(prefix)
        closed: list[str] = []
        later = (child for child in self._children(folder, closed) if prefix + child.path > after)
        found = heapq.nsmallest(limit + 1, later, key=attrgetter("path"))
        page = found[:limit]
        return Listing(
            tuple(self._stats_in(folder, [child for child in page if child.kind == "file"])),
            tuple(prefix + child.path for child in page if child.kind == "folder"),
            prefix + page[-1].path if len(found) > limit else None,
            tuple(sorted(closed)),
        )

    def _children(self, folder: Parts, closed: list[str] | None = None) -> Iterator[Child]:
        """Files and folders, unsorted; links, devices and our own folders left out. ``closed`` collects the places of
        credentials, which are left out too."""
        for child in self._folder.children(folder):
            if closed is not None and child.kind == "closed":
                closed.append(child.name)
            if child.kind == "file" or (child.kind == "folder" and not self._is_own((*folder, child.name))):
                yield child

    def _is_own(self, folder: Parts) -> bool:
        """Whether a folder is the store's own, or holds nothing else."""
        if folder == TEMP[:1]:
            return {(*folder, child.name) for child in self._folder.children(folder)} <= OWN
        return folder in OWN

    # -- in threads: writing --

    @asynccontextmanager
    async def _new_file(self) -> AsyncGenerator[NewFile]:
        """A file that is not made yet, and whose every trace is removed in the end unless it was placed."""
        file = NewFile(self._folder, TEMP)
        try:
            yield file
        finally:
            if file.is_open:
                with anyio.CancelScope(shield=True), self._folder.typed(TEMP):
                    await to_thread.run_sync(file.__exit__)

    def _fill(
        self, file: NewFile, body: bytes | Path | int, checkpoint: Callable[[int], None] = _check
    ) -> None:
        """Makes the file, of bytes, of those of a path, or of those of a descriptor; does nothing for one that is made."""
        if file.is_open:
            return
        with self._folder.typed(TEMP), ExitStack() as held:
            file.__enter__()
            if isinstance(body, bytes):
                return file.write(body)
            if isinstance(body, Path):
                source = self._kernel.open(str(body), os.O_RDONLY | os.O_NONBLOCK)
                body = held.enter_context(self._folder.closing(source))
            file.copy_from(body, os.fstat(body).st_size, checkpoint)

    def _take(
        self, file: NewFile, fd: int, size: int, hash_type: str, key_of: Callable[[Hash], str]
    ) -> Taken:
        """By way of memory."""
        with typed_errors("The file being taken in", "the local file system"):
            before = os.fstat(fd)
            content = os.pread(fd, size + 1, 0)
            require_unchanged(fd, before, len(content))
        found = hash_bytes(content, hash_type)
        key = key_of(found)
        stat, is_new = self._create(file, key, content)
        if not is_new and stat.etag != _etag(content):
            stat, is_new = self._replace(file, key, content), True
        return Taken(found, stat, is_new)

    def _create(self, file: NewFile, key: str, body: bytes | Path | int) -> tuple[ObjectStat, bool]:
        """The object that stands there in the end, durably, and whether it is this one."""
        parts = key_parts(key)
        with self._folder.typed(parts):
            while (there := self._find(key)) is None:
                self._fill(file, body)
                with suppress(FileExistsError):
                    file.place(parts, replace=False, lock=self._lock(key))
                    return self._placed(file, key), True
            # Another process may have placed it just now, its name not yet on the disk.
            with self._folder.directory(parts[:-1], create=True) as above:
                self._kernel.fsync(above)
            return there, False

    def _replace(
        self, file: NewFile, key: str, body: bytes | Path | int, if_match: str | None = None
    ) -> ObjectStat:
        parts = key_parts(key)
        with self._folder.typed(parts):
            self._fill(file, body)
            with self._lock(key):
                if if_match is not None:
                    self._require_etag(key, self._find(key), if_match)
                file.place(parts, replace=True)
                return self._placed(file, key)

    def _delete(self, key: str, if_match: str | None) -> None:
        parts = key_parts(key)
        with self._folder.typed(parts), self._lock(key):
            if if_match is not None:
                self._require_etag(key, self._stat(key), if_match)
            with self._folder.directory(parts[:-1]) as above:
                self._kernel.unlink(parts[-1], dir_fd=above)
                self._kernel.fsync(above)
            self._folder.remove_empty(parts[:-1])

    def _placed(self, file: NewFile, key: str) -> ObjectStat:
        stat = self._stat_of(key, file.fd)
        file.__exit__()
        return stat

    # -- locks --

    async def _retried(self, act: Callable[[], T]) -> T:
        """What ``act`` returns, run in a thread until nobody else holds the lock that it takes. Between two tries this call
        holds none, so a cancelled wait leaves none behind. Raises StorageBusy."""
        deadline = time.monotonic() + self._lock_wait
        pause = 0.001
        while True:
            try:
                return await to_thread.run_sync(act)
            except StorageBusy:
                if time.monotonic() > deadline:
                    raise
            await anyio.sleep(pause)
            pause = min(pause * 2, 0.05)

    @contextmanager
    def _lock(self, key: str) -> Generator[None]:
        """Holds the lock of ``key`` for the length of the block. Raises StorageBusy at once when another process, or another
        call of this one, holds it."""
        name = hashlib.sha256(os.fsencode(key)).hexdigest()[:2]
        with self._folder.directory(LOCKS, create=True) as above:
            try:
                fd = self._kernel.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, dir_fd=above)
            except PermissionError:
                # Another user of the same registry made it; reading is enough to lock it (but not over NFS).
                fd = self._kernel.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=above)
        with self._folder.closing(fd):
            if not self._kernel.try_lock(fd):
                raise StorageBusy(
                    f"Another process has been writing to {key!r} in {self.root} for {self._lock_wait:g} seconds.",
                    next_step="Make the same call again in a moment.",
                    details={"folder": str(self.root), "key": ascii(key)},
                )
            yield

    # -- inside --

    def _require_no_version(self, version: str | None) -> None:
        if version is not None:
            raise NotSupported(
                f"{self.root} is a local folder and keeps no versions of objects.",
                next_step="Make the same call without a version.",
            )

    def _require_etag(self, key: str, there: ObjectStat | None, etag: str) -> None:
        if there is None or there.etag != etag:
            raise lost_condition(self.url, key, "it has changed since it was read")


def _moment(seconds: float) -> datetime:
    """A file's time, which on some file systems may be one that no calendar has."""
    return datetime.fromtimestamp(min(max(seconds, -62_135_596_800), 253_402_300_799), UTC)


def _etag(content: bytes) -> str:
    """Of a small object."""
    return hashlib.sha256(content).hexdigest()[:32]
