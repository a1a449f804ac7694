"""A secret on its way into a file of this account alone, in a place that no tool opens (decision 020)."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final, Self

from quilt_mcp.errors import AlreadyExists
from quilt_mcp.storage.local.confined import ConfinedFolder, Parts
from quilt_mcp.storage.private import OURS

_MODE: Final = 0o600


class SecretFile:
    """A context manager. The file is made, empty, on entering: where it cannot be, nothing else is begun. Leaving without ``put``
    removes it. Never one that was there: raises AlreadyExists, and typed errors as ``ConfinedFolder.typed``. Methods block."""

    def __init__(self, folder: ConfinedFolder, parts: Parts) -> None:
        """``parts`` without the ending that closes a file to all tools; it is added here."""
        self._folder = folder
        self._kernel = folder.kernel
        self._parts = (*parts[:-1], f"{parts[-1]}{OURS}")
        self._fd = -1
        self._is_put = False
        self.path = folder.absolute(self._parts)

    def __enter__(self) -> Self:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with self._folder.typed(self._parts), self._folder.directory(self._parts[:-1]) as above:
            try:
                self._fd = self._kernel.open(self._parts[-1], flags, _MODE, dir_fd=above)
            except FileExistsError:
                raise AlreadyExists(
                    f"{self.path} exists already, and no secret is written over another.",
                    next_step="Choose another dest.",
                    details={"path": ascii(self.path)},
                ) from None
        return self

    def put(self, secret: str) -> None:
        """The one line of the file, durably."""
        with self._folder.typed(self._parts):
            rest = memoryview(f"{secret}\n".encode())
            while rest:
                rest = rest[self._kernel.write(self._fd, rest) :]
            self._kernel.fsync(self._fd)
            with self._folder.directory(self._parts[:-1]) as above:
                self._kernel.fsync(above)
        self._is_put = True

    def __exit__(self, *raised: object) -> None:
        self._kernel.close(self._fd)
        if not self._is_put:
            with suppress(OSError), self._folder.directory(self._parts[:-1]) as above:
                self._kernel.unlink(self._parts[-1], dir_fd=above)
