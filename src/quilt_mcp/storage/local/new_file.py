"""A file in the making: invisible until it is whole and durable, then put into place in one step."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Self

from quilt_mcp.storage.hashing import changed_while_read, require_unchanged
from quilt_mcp.storage.local.confined import TEMP_PREFIX, ConfinedFolder, Parts
from quilt_mcp.storage.local.syscalls import Syscalls

_PIECE = 1 << 20
_PLACING_TRIES = 8
_DEAD_AFTER = 24 * 3600.0
_UNLOCKED = nullcontext()
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class NewFile:
    """A context manager. Leaving it without ``place`` removes every trace. Methods block and raise OSError.

    The file is made in ``beside`` (a folder of the same file system). Unfinished files there that nobody has written to for a day
    are what killed writers left; a process that makes its first file there removes them.
    """

    def __init__(self, folder: ConfinedFolder, beside: Parts) -> None:
        self._folder = folder
        self._kernel = folder.kernel
        self._beside = beside
        self._name = unfinished_name()
        self._unplaced = False
        self.fd = -1
        """Open for reading and writing."""

    def __enter__(self) -> Self:
        with self._folder.directory(self._beside, create=True) as above:
            sweep(self._folder, self._beside, above)
            self.fd = make_unfinished(self._kernel, self._name, above)
            self._unplaced = True
        return self

    @property
    def is_open(self) -> bool:
        return self.fd >= 0

    def __exit__(self, *raised: object) -> None:
        try:
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

    def copy_from(self, source: int, size: int, checkpoint: Callable[[int], None]) -> None:
        """Takes the ``size`` bytes of an open file. ``checkpoint`` is given the bytes taken so far, between pieces, and may
        raise. Raises HashMismatch for a shorter or longer source, and one that is written to meanwhile."""
        offset, before = 0, os.fstat(source)
        while piece := os.pread(source, min(_PIECE, size - offset), offset):
            checkpoint(offset)
            self.write(piece)
            offset += len(piece)
        require_unchanged(source, before, offset)
        if offset != size:
            raise changed_while_read(offset, size)

    def place(self, parts: Parts, *, replace: bool, lock: AbstractContextManager[None] = _UNLOCKED) -> None:
        """Puts the file at ``parts``, durably and in one step: with ``replace`` in the stead of the regular file that may stand
        there, else only where nothing does (FileExistsError).

        A hard link lets the kernel decide that. Where the file system has none, this looks and then renames under ``lock``: a
        writer that does not take the lock may place its file in between, and lose it. Raises CredentialPlace.
        """
        self._folder.require_open(parts)
        self._kernel.fsync(self.fd)
        for tries_left in reversed(range(_PLACING_TRIES)):
            try:
                with (
                    self._folder.directory(parts[:-1], create=True) as above,
                    self._folder.directory(self._beside) as beside,
                ):
                    if replace:
                        self._folder.has_file(above, parts)  # raises for what may not be replaced
                        self._kernel.rename(self._name, beside, parts[-1], above)
                        self._unplaced = False
                    else:
                        self._kernel.link(self._name, beside, parts[-1], above)
                    self._kernel.fsync(above)
                return self._remove()
            except FileNotFoundError:
                # A deletion may remove an empty folder between our making it and our step into it.
                if not tries_left:
                    raise
            except OSError as error:
                if replace or error.errno not in _NO_LINKS:
                    raise
                with lock, self._folder.directory(parts[:-1], create=True) as above:
                    if self._folder.has_file(above, parts):
                        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
                    return self.place(parts, replace=True)

    def _remove(self) -> None:
        if self._unplaced:
            self._unplaced = False
            with suppress(FileNotFoundError), self._folder.directory(self._beside) as beside:
                self._kernel.unlink(self._name, dir_fd=beside)


def unfinished_name() -> str:
    return f"{TEMP_PREFIX}{secrets.token_hex(12)}"


def make_unfinished(kernel: Syscalls, name: str, above: int) -> int:
    """The descriptor of a new file in the open folder ``above``."""
    return kernel.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, dir_fd=above)


def sweep(folder: ConfinedFolder, parts: Parts, above: int) -> None:
    """Removes what killed writers left in the open folder ``above`` at ``parts``, once a process."""
    if parts in folder.swept:
        return
    folder.swept.add(parts)
    long_ago = time.time() - _DEAD_AFTER
    with os.scandir(above) as found:
        names = [item.name for item in found if item.name.startswith(TEMP_PREFIX)]
    for name in names:
        with suppress(OSError):  # another user's, or swept by another process: no reason to fail a write
            if os.stat(name, dir_fd=above, follow_symlinks=False).st_mtime < long_ago:
                folder.kernel.unlink(name, dir_fd=above)
