"""ContentCache: the bytes of files, by the hash that is recorded of them, so that a file that was read whole is there the
next time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from anyio import to_thread

from quilt_mcp.domain.entry import Hash
from quilt_mcp.storage.cached import CONTENT, CONTENT_FORMAT, CacheBound
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.private import SCRATCH, UNFINISHED, PrivateFolder, hold

Write = Callable[[int, bytes | memoryview], None]
"""Takes a chunk at its offset; chunks come in any order and from several threads."""
USED_SECONDS: Final = 3600.0
"""A use is noted when the last was noted so long ago: noting it changes the file's times, by which its readers know it."""


class ContentCache:
    """Of one cache folder. Safe between processes: a content comes by rename, and two that bring the same bring the same."""

    def __init__(self, private: PrivateFolder, bound: CacheBound | None, owner: str = "") -> None:
        """``owner``: tells whose rights what is kept was read with, which nobody else's copy is given for."""
        self._private = private
        self._owner = owner
        self._bound = bound

    async def open(self, content: Hash, size: int, bring: Callable[[Write], Awaitable[None]]) -> int:
        """A descriptor for reading, which the caller closes. ``bring`` writes the bytes where they are not there yet, and raises
        where they are not those. What another process damaged meanwhile is the caller's to see. Raises StorageFull,
        StorageUnavailable."""
        path = await to_thread.run_sync(self._path, content)
        found = await to_thread.run_sync(_opened, path, size)
        if found is not None:
            return found
        scratch = path.parent.parent / SCRATCH
        with typed_errors("A copy in the making", str(scratch)):
            file = await to_thread.run_sync(_unfinished, scratch)
        with file:
            descriptor = file.fileno()

            def write(offset: int, chunk: bytes | memoryview) -> None:
                with typed_errors("A copy in the making", str(scratch)):
                    view = memoryview(chunk)
                    while view:
                        count = os.pwrite(descriptor, view, offset)
                        view, offset = view[count:], offset + count

            try:
                await bring(write)
                with typed_errors("A copy in the making", str(path.parent)):
                    os.replace(file.name, path)
            except BaseException:
                _remove(file.name)
                raise
            kept = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if self._bound is not None:
            await to_thread.run_sync(self._bound.saved, path, size)
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


def _opened(path: Path, size: int) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    if os.fstat(descriptor).st_size != size:
        os.close(descriptor)
        return None
    if time.time() - os.fstat(descriptor).st_mtime > USED_SECONDS:
        os.utime(descriptor)  # its last use, by which it goes
    return descriptor


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _unfinished(folder: Path) -> tempfile._TemporaryFileWrapper[bytes]:  # pyright: ignore[reportPrivateUsage]
    folder.mkdir(mode=0o700, exist_ok=True)
    file = tempfile.NamedTemporaryFile(prefix=UNFINISHED, dir=folder, delete=False)  # noqa: SIM115 - the caller closes it
    hold(file)  # pyright: ignore[reportArgumentType]
    return file
