"""ContentCache: the bytes of files, by the hash that is recorded of them, so that a file that was read whole is there the
next time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from anyio import CancelScope, to_thread

from quilt_mcp.domain.entry import Hash
from quilt_mcp.storage.cached import CONTENT, CONTENT_FORMAT, CacheBound
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.private import SCRATCH, UNFINISHED, PrivateFolder, hold

Write = Callable[[int, bytes | memoryview], None]
"""Takes a chunk at its offset; chunks come in any order and from several threads."""
USED_SECONDS: Final = 3600.0
"""A use is noted when the last was noted so long ago: noting it changes the file's times, by which its readers know it."""
_SUBJECT: Final = "A copy in the making"
_READING: Final = os.O_RDONLY | sum(getattr(os, one, 0) for one in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"))


class ContentCache:
    """Of one cache folder. Safe between processes: a content comes by rename, and two that bring the same bring the same."""

    def __init__(self, private: PrivateFolder, bound: CacheBound | None, owner: str = "") -> None:
        """``owner``: tells whose rights what is kept was read with, which nobody else's copy is given for."""
        self._private = private
        self._owner = owner
        self._bound = bound

    async def open(self, content: Hash, size: int, bring: Callable[[Write], Awaitable[None]]) -> int:
        """A descriptor for reading, which the caller closes. ``bring`` writes the bytes where they are not there yet, and raises
        where they are not those; it returns when no thread writes any more, cancelled or not. What another process damaged
        meanwhile is the caller's to see. Raises StorageFull, StorageUnavailable."""
        path = await to_thread.run_sync(self._path, content)
        found = await to_thread.run_sync(_opened, path, size)
        if found is not None:
            return found
        copy = await to_thread.run_sync(_Copy, path.parent.parent / SCRATCH)
        try:
            await bring(copy.write)
            kept = await to_thread.run_sync(copy.finish, path)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(copy.close)
        if self._bound is not None:
            try:
                await to_thread.run_sync(self._bound.saved, path, size)
            except BaseException:
                os.close(kept)
                raise
        return kept

    def forget(self, content: Hash) -> None:
        """Blocks. What was kept of it is not those bytes."""
        self._path(content).unlink(missing_ok=True)

    def _path(self, content: Hash) -> Path:
        digest = hashlib.sha256(f"{self._owner}\0{content.type}:{content.value}".encode()).hexdigest()[:40]
        folder = self._private.path() / CONTENT
        with typed_errors("The cache folder", str(folder)):
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"v{CONTENT_FORMAT}-{digest}"


class _Copy:
    """A content in the making. Methods block; ``write`` is safe between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with typed_errors(_SUBJECT, str(folder)):
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor, self._name = tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
        self._file = os.fdopen(descriptor, "wb", 0)
        hold(self._file)

    def write(self, offset: int, chunk: bytes | memoryview) -> None:
        with typed_errors(_SUBJECT, str(self._folder)):
            view = memoryview(chunk)
            while view:
                count = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[count:], offset + count

    def finish(self, path: Path) -> int:
        """Becomes ``path``; a descriptor for reading of these very bytes, whoever removes or replaces them there."""
        with typed_errors(_SUBJECT, str(path.parent)):
            kept = os.open(self._name, _READING)
            try:
                os.replace(self._name, path)
            except BaseException:
                os.close(kept)
                raise
        return kept

    def close(self) -> None:
        """What was not finished goes."""
        with suppress(OSError):
            os.unlink(self._name)
        self._file.close()


def _opened(path: Path, size: int) -> int | None:
    """None where no plain file of that size is there, so that it is brought."""
    with typed_errors("A kept copy", str(path.parent)):
        try:
            descriptor = os.open(path, _READING)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            return None
        try:
            about = os.fstat(descriptor)
            if stat.S_ISREG(about.st_mode) and about.st_size == size:
                if time.time() - about.st_mtime > USED_SECONDS:
                    with suppress(OSError):
                        os.utime(descriptor)  # its last use, by which it goes
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None
