"""A file in the making: invisible until it is whole and durable, then put into place in one step."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Self

from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.local.confined import TEMP_PREFIX, ConfinedFolder, Parts

PIECE = 1 << 20
_COPY_PIECE = 16 << 20
_PLACING_TRIES = 8
_SWEEP_AFTER = 3600.0
_SWEEP_AT_ONCE = 1000
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def _go_on() -> None:
    """The checkpoint of callers that cannot be cancelled."""


class NewFile:
    """A context manager. Leaving it without ``place`` removes every trace. Methods block and raise OSError.

    The file is made in ``beside`` (a folder of the same file system), under a lock that tells a living writer's file from
    a dead one's.
    """

    def __init__(self, folder: ConfinedFolder, beside: Parts) -> None:
        self._folder = folder
        self._kernel = folder.kernel
        self._beside = beside
        self._name = f"{TEMP_PREFIX}{secrets.token_hex(12)}"
        self._unplaced = False
        self.fd = -1
        """Open for reading and writing."""

    def __enter__(self) -> Self:
        with self._folder.directory(self._beside, create=True) as above:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self.fd = self._kernel.open(self._name, flags, dir_fd=above)
            self._unplaced = True
        # Without locks (some network file systems) the sweep cannot lock either, and leaves the file alone.
        with suppress(OSError):
            self._kernel.try_lock(self.fd)
        return self

    @property
    def is_open(self) -> bool:
        return self.fd >= 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._unplaced:
                self._remove()
        finally:
            if self.fd >= 0:
                self._kernel.close(self.fd)
                self.fd = -1

    def write(self, chunk: bytes | memoryview) -> None:
        """Appends all of ``chunk``."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._kernel.write(self.fd, rest) :]

    def write_at(self, offset: int, chunk: bytes | memoryview) -> None:
        """Writes all of ``chunk`` at ``offset``; several threads may, at offsets of their own. The disk begins at once, so that
        little is left to wait for when the file is placed."""
        rest, at = memoryview(chunk), offset
        while rest:
            written = self._kernel.write_at(self.fd, rest, at)
            rest, at = rest[written:], at + written
        self._kernel.begin_writing(self.fd, offset, len(chunk))

    def copy_from(self, source: int, size: int, *, checkpoint: Callable[[], None] = _go_on) -> None:
        """Takes the first ``size`` bytes of an open file, sharing or copying them inside the kernel where it can.
        ``checkpoint`` is called between pieces and may raise. Raises HashMismatch for a shorter or longer source."""
        if size and self._kernel.clone(source, self.fd):
            self._require_size(os.fstat(self.fd).st_size, size)
            return
        offset = 0
        while offset < size:
            checkpoint()
            count = self._kernel.copy_range(source, self.fd, min(_COPY_PIECE, size - offset), offset)
            if count is None:
                os.lseek(self.fd, offset, os.SEEK_SET)
                chunk = os.pread(source, min(PIECE, size - offset), offset)
                self.write(chunk)
                count = len(chunk)
            if count == 0:
                break
            offset += count
        self._require_size(offset, size)
        self._require_size(os.fstat(source).st_size, size)

    def place_new(self, parts: Parts) -> bool:
        """Puts the file at ``parts``, durably, if nothing is there: FileExistsError otherwise. False: nothing was done,
        as this file system has no hard links."""
        self._kernel.fsync(self.fd)
        for last in _tries():
            try:
                with self._folder.directory(parts[:-1], create=True) as above, self._temp() as beside:
                    try:
                        self._kernel.link(self._name, beside, parts[-1], above)
                    except OSError as error:
                        if error.errno in _NO_LINKS:
                            return False
                        raise
                    self._kernel.fsync(above)
            except FileNotFoundError:
                # Another process may remove an empty folder between our making it and our link into it.
                if last:
                    raise
                continue
            break
        self._remove()
        return True

    def place(self, parts: Parts) -> None:
        """Puts the file at ``parts``, durably, in the stead of the regular file that may stand there."""
        self._kernel.fsync(self.fd)
        for last in _tries():
            try:
                with self._folder.directory(parts[:-1], create=True) as above, self._temp() as beside:
                    self._folder.entry(above, parts)
                    self._kernel.rename(self._name, beside, parts[-1], above)
                    self._unplaced = False
                    self._kernel.fsync(above)
            except FileNotFoundError:
                if last:
                    raise
                continue
            return

    def _temp(self) -> AbstractContextManager[int]:
        return self._folder.directory(self._beside)

    def _remove(self) -> None:
        self._unplaced = False
        with suppress(FileNotFoundError), self._temp() as beside:
            self._kernel.unlink(self._name, dir_fd=beside)

    def _require_size(self, found: int, expected: int) -> None:
        if found != expected:
            raise HashMismatch(
                f"The file being copied has {found} bytes where {expected} were announced: it changed in the meantime.",
                next_step="Wait until nothing writes to the file, then make the same call again.",
                details={"expected": expected, "found": found},
            )


def sweep(folder: ConfinedFolder, beside: Parts, *, older_than: float = _SWEEP_AFTER) -> int:
    """Removes unfinished files in ``beside`` whose writer is dead: old, and locked by nobody. Returns how many."""
    removed = 0
    kernel = folder.kernel
    try:
        with folder.directory(beside) as above:
            with os.scandir(above) as found:
                names = [item.name for item in found if item.name.startswith(TEMP_PREFIX)]
            for name in names[:_SWEEP_AT_ONCE]:
                if _is_dead(folder, above, name, older_than):
                    kernel.unlink(name, dir_fd=above)
                    removed += 1
    except FileNotFoundError:
        pass
    return removed


def _is_dead(folder: ConfinedFolder, above: int, name: str, older_than: float) -> bool:
    try:
        fd = folder.kernel.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
    except OSError:
        return False
    try:
        if time.time() - os.fstat(fd).st_mtime < older_than:
            return False
        return folder.kernel.try_lock(fd)
    except OSError:
        return False
    finally:
        folder.kernel.close(fd)


def _tries() -> list[bool]:
    return [False] * (_PLACING_TRIES - 1) + [True]
