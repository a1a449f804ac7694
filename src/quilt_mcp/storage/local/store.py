"""LocalStore: objects as files below a folder, safe between threads, processes and power cuts.

    <root>/<key>                      an object: always whole, replaced by rename
    <root>/.quilt/tmp/                files in the making; what a killed process left is swept
    <root>/.quilt/locks/<2 hex>       locks that conditional writes take, shared by the keys that hash to them

Every write is: temporary file, fsync, then link (create-only) or rename (replace), then fsync of the folder.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import from_thread, to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import (
    InvalidArgument,
    NotSupported,
    ObjectNotFound,
    PreconditionFailed,
    RegistryNotFound,
    StorageBusy,
    StorageUnavailable,
)
from quilt_mcp.storage.hashing import changed_while_read, hash_file
from quilt_mcp.storage.local.confined import ConfinedFolder, Parts
from quilt_mcp.storage.local.new_file import NewFile, sweep
from quilt_mcp.storage.local.objects import LOCKS, TEMP, LocalObjects, key_parts, stat_of
from quilt_mcp.storage.local.syscalls import KERNEL, Syscalls
from quilt_mcp.storage.store import FileIntake, Listing, LocalFiles, ObjectStat, Taken

_LOCK_WAIT = 10.0
SMALL = 64 << 10
"""Files up to this size are taken in by way of memory."""
T = TypeVar("T")


class LocalStore:
    """A ``Store`` of local files that takes files in. Nothing outside ``root`` is read or written: symbolic
    links below it are refused with OutsideRoots, and pipes and devices with NotAFile.

    ``create``: a missing root is an empty store, and the first write makes it; otherwise it is RegistryNotFound.
    """

    def __init__(
        self,
        root: Path,
        *,
        create: bool = False,
        kernel: Syscalls = KERNEL,
        lock_wait: float = _LOCK_WAIT,
    ) -> None:
        missing = ObjectNotFound if create else RegistryNotFound
        self._folder = ConfinedFolder(
            root, kernel=kernel, missing=missing, misplaced=RegistryNotFound, create=create
        )
        self._objects = LocalObjects(self._folder)
        self._kernel = kernel
        self._lock_wait = lock_wait
        self._swept = False
        self.root = self._folder.root
        self.url = str(PhysicalKey(None, str(self.root))).rstrip("/")

    @property
    def conditional_writes(self) -> bool:
        return True

    @property
    def local_files(self) -> LocalFiles:
        return self

    @property
    def intake(self) -> FileIntake:
        return self

    @property
    def signer(self) -> None:
        return None

    @property
    def pages(self) -> None:
        return None

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return PhysicalKey(None, f"{str(self.root).rstrip('/')}/{key}")

    # -- reading --

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        self._require_no_version(version)
        return await to_thread.run_sync(self._objects.stat, key)

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        self._require_no_version(version)
        if offset < 0 or (length is not None and length < 0):
            raise InvalidArgument(
                "offset and length cannot be negative.", next_step="Make the same call with offset 0 or more."
            )
        return await to_thread.run_sync(self._objects.get, key, offset, length)

    async def stream(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        version: str | None = None,
        chunk_size: int = 1 << 20,
    ) -> AsyncIterator[bytes]:
        self._require_no_version(version)
        file = await to_thread.run_sync(lambda: os.fdopen(self.open_file(key), "rb", buffering=0))
        with file:
            size = os.fstat(file.fileno()).st_size
            end = size if length is None else min(offset + length, size)
            done = offset
            while done < end:
                with self._objects.typed(key):
                    chunk = await to_thread.run_sync(
                        os.pread, file.fileno(), min(chunk_size, end - done), done
                    )
                if not chunk:
                    raise StorageUnavailable(
                        f"{key!r} in {self.root} was cut short while it was read: {done} of {size} bytes.",
                        next_step="Make the same call again.",
                        details={"folder": str(self.root), "key": ascii(key)},
                    )
                done += len(chunk)
                yield chunk

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        keys = self._objects.keys(prefix, after)
        while True:
            found, is_last = await to_thread.run_sync(self._objects.next_stats, keys)
            for stat in found:
                yield stat
            if is_last:
                return

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        return await to_thread.run_sync(self._objects.list_folder, prefix, after, limit)

    def open_file(self, key: str) -> int:
        return self._objects.open_file(key)

    def files_in(self, prefix: str) -> AbstractContextManager[Callable[[str], int]]:
        return self._objects.files_in(prefix)

    # -- writing --

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        """See ``Store.put``. ``body`` as a Path is copied (shared, where the file system can) and left where it is."""
        parts = key_parts(key)
        file = NewFile(self._folder, TEMP)
        try:
            written = await to_thread.run_sync(
                lambda: self._put(file, key, body, absent=if_absent, if_match=if_match)
            )
            if written is None:
                written = await self._locked(key, lambda: self._place(file, key, parts, if_match, if_absent))
            return written
        finally:
            await self._discard(file)

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        parts = key_parts(key)
        if await to_thread.run_sync(self._objects.exists, key):
            await self._locked(key, lambda: self._delete(key, parts, if_match))

    async def take_file(
        self, source_fd: int, hash_type: str, key_of: Callable[[Hash], str], progress: Progress = no_progress
    ) -> Taken:
        size = os.fstat(source_fd).st_size
        if size <= SMALL:
            taken = await self._take_small(source_fd, size, hash_type, key_of)
            await progress(size, size, "bytes hashed")
            return taken
        file = NewFile(self._folder, TEMP)
        try:
            await to_thread.run_sync(self._copy_in, file, source_fd, size)
            found = await hash_file(file.fd, size, hash_type, progress)
            key = key_of(found)
            parts = key_parts(key)
            try:
                stat = await to_thread.run_sync(self._place_new, file, key, parts)
                if stat is None:
                    stat = await self._locked(key, lambda: self._place(file, key, parts, None, True))
                return Taken(found, stat, created=True)
            except PreconditionFailed:
                return Taken(found, await to_thread.run_sync(self._objects.stat, key), created=False)
        finally:
            await self._discard(file)

    async def _take_small(
        self, source_fd: int, size: int, hash_type: str, key_of: Callable[[Hash], str]
    ) -> Taken:
        """By way of memory, so that a file that is stored already is not written again."""
        content, found, stat = await to_thread.run_sync(self._look_up, source_fd, size, hash_type, key_of)
        if stat is None:
            try:
                return Taken(found, await self.put(key_of(found), content, if_absent=True), created=True)
            except PreconditionFailed:
                stat = await to_thread.run_sync(self._objects.stat, key_of(found))
        return Taken(found, stat, created=False)

    # -- in threads: writing --

    def _look_up(
        self, source_fd: int, size: int, hash_type: str, key_of: Callable[[Hash], str]
    ) -> tuple[bytes, Hash, ObjectStat | None]:
        """The file's bytes, their checksum, and the object that holds them already, its name durable."""
        with self._objects.typed("The file being taken in"):
            content = os.pread(source_fd, size + 1, 0)
        if len(content) != size:
            raise changed_while_read(len(content), size)
        found = hash_bytes(content, hash_type)
        key = key_of(found)
        try:
            stat = self._objects.stat(key)
        except ObjectNotFound:
            return content, found, None
        with self._objects.typed(key), self._folder.directory(key_parts(key)[:-1]) as above:
            self._kernel.fsync(above)
        return content, found, stat

    def _put(
        self, file: NewFile, key: str, body: bytes | Path, *, absent: bool, if_match: str | None
    ) -> ObjectStat | None:
        """None: the file is made, but another process holds the lock that placing it takes."""
        parts = key_parts(key)
        with self._objects.typed(key):
            self._start(file)
            if isinstance(body, bytes):
                file.write(body)
            else:
                source = self._kernel.open(str(body), os.O_RDONLY | os.O_NONBLOCK)
                try:
                    size = os.fstat(source).st_size
                    file.copy_from(source, size, checkpoint=from_thread.check_cancelled)
                finally:
                    self._kernel.close(source)
        placed = self._place_new(file, key, parts) if absent else None
        return placed or self._try_locked(key, lambda: self._place(file, key, parts, if_match, absent))

    def _copy_in(self, file: NewFile, source_fd: int, size: int) -> None:
        with self._objects.typed("A file in the making"):
            self._start(file)
            file.copy_from(source_fd, size, checkpoint=from_thread.check_cancelled)

    def _start(self, file: NewFile) -> None:
        file.__enter__()
        if not self._swept:
            self._swept = True
            sweep(self._folder, TEMP)

    async def _discard(self, file: NewFile) -> None:
        if file.is_open:
            with anyio.CancelScope(shield=True), self._objects.typed("A file in the making"):
                await to_thread.run_sync(file.__exit__, None, None, None)

    def _place_new(self, file: NewFile, key: str, parts: Parts) -> ObjectStat | None:
        """None where the file system has no hard links. PreconditionFailed: what is there is durable."""
        with self._objects.typed(key):
            try:
                return self._finished(file, key) if file.place_new(parts) else None
            except FileExistsError as error:
                # Another process may have placed it just now, its name not yet on the disk.
                with self._folder.directory(parts[:-1], create=True) as above:
                    self._folder.entry(above, parts)
                    self._kernel.fsync(above)
                raise self._lost(key, "an object is there already") from error

    def _place(self, file: NewFile, key: str, parts: Parts, if_match: str | None, absent: bool) -> ObjectStat:
        if absent or if_match is not None:
            self._require_state(key, if_match)
        with self._objects.typed(key):
            file.place(parts)
            return self._finished(file, key)

    def _finished(self, file: NewFile, key: str) -> ObjectStat:
        stat = stat_of(key, file.fd)
        file.__exit__(None, None, None)
        return stat

    def _delete(self, key: str, parts: Parts, if_match: str | None) -> bool:
        try:
            if if_match is not None and self._objects.stat(key).etag != if_match:
                raise self._lost(key, "it has changed")
            with self._objects.typed(key), self._folder.directory(parts[:-1]) as above:
                if self._folder.entry(above, parts) is None:
                    return True
                self._kernel.unlink(parts[-1], dir_fd=above)
                self._kernel.fsync(above)
        except ObjectNotFound:
            return True
        with self._objects.typed(key):
            self._folder.prune(parts[:-1])
        return True

    def _require_state(self, key: str, etag: str | None) -> None:
        """Raises PreconditionFailed unless the object has ``etag``; None: unless there is no object."""
        try:
            found = self._objects.stat(key).etag
        except ObjectNotFound:
            found = None
        if found != etag:
            raise self._lost(key, "an object is there already" if etag is None else "it has changed")

    # -- locks --

    async def _locked(self, key: str, act: Callable[[], T]) -> T:
        """What ``act`` returns (never None), run in a thread under the lock of ``key``. Between tries nothing is held, so a
        cancelled wait leaves nothing behind. Raises StorageBusy when another process keeps the lock."""
        deadline = time.monotonic() + self._lock_wait
        pause = 0.001
        while (done := await to_thread.run_sync(self._try_locked, key, act)) is None:
            if time.monotonic() > deadline:
                raise StorageBusy(
                    f"Another process has been writing to {key!r} in {self.root} for {self._lock_wait:g} seconds.",
                    next_step="Make the same call again in a moment.",
                    details={"folder": str(self.root), "key": ascii(key)},
                )
            await anyio.sleep(pause)
            pause = min(pause * 2, 0.05)
        return done

    def _try_locked(self, key: str, act: Callable[[], T]) -> T | None:
        """None when the lock is taken."""
        name = hashlib.sha256(os.fsencode(key)).hexdigest()[:2]
        with ExitStack() as held, self._objects.typed(key):
            with self._folder.directory(LOCKS, create=True) as above:
                fd = self._open_lock(name, above)
            held.callback(self._kernel.close, fd)
            return act() if self._kernel.try_lock(fd) else None

    def _open_lock(self, name: str, above: int) -> int:
        try:
            return self._kernel.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, dir_fd=above)
        except PermissionError:
            # Another user of the same registry made it; reading is enough to lock it (but not over NFS).
            return self._kernel.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=above)

    # -- inside --

    def _require_no_version(self, version: str | None) -> None:
        if version is not None:
            raise NotSupported(
                f"{self.root} is a local folder and keeps no versions of objects.",
                next_step="Make the same call without a version.",
            )

    def _lost(self, key: str, why: str) -> PreconditionFailed:
        return PreconditionFailed(
            f"{key!r} in {self.root} was not written: {why}.",
            next_step="Read it again and decide anew.",
            details={"folder": str(self.root), "key": ascii(key)},
        )
