"""CacheFolder: the files that a manifest cache keeps on disk.

``v3-<name>.index`` is an index; ``v3-<name>.lines`` a copy of the lines it is of, where the store's own file does not serve.
Each comes by rename, the index last, so half of a pair is never taken for a whole; a damaged file is taken for none.
Everything here may be deleted at any time; any number of processes may use it.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from quilt_mcp.errors import QuiltError, StorageFull, StorageUnavailable
from quilt_mcp.registry.manifests.index import Index
from quilt_mcp.registry.manifests.lines import FileLines
from quilt_mcp.storage.private import UNFINISHED, PrivateFolder, hold, is_own_file

_VERSION: Final = "v3"
_OWN: Final = re.compile(r"(v[0-9]+-[0-9a-f]{40})[.-]")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CacheFolder:
    """Methods block. They raise StorageFull and StorageUnavailable where the folder cannot be used."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """``path`` is made for the first file; ``max_bytes`` bounds the files in it. Another one serves in its place where others
        may write to it, or this account may not; nor is a file of another account believed."""
        self.private = PrivateFolder(path)
        self._max_bytes = max_bytes

    def index(self, name: str) -> Index | None:
        """None when there is none, or it is not what it was."""
        try:
            path = self._file(name, "index")
            with open(path, "rb") as file:
                if not is_own_file(file.fileno()):
                    return None
                index = Index.load(file.read())
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError, StorageUnavailable):
            return None
        return index

    def lines(self, name: str, index: Index) -> FileLines | None:
        """The copy that ``index`` is of. None when it is gone or damaged."""
        try:
            with self._file(name, "lines").open("rb") as file:
                lines = self.own_lines(file)
        except OSError:
            return None
        return lines if lines.sha256() == index.copy else None

    def own_lines(self, file: IO[bytes]) -> FileLines:
        """The lines of a file of this folder, which may be closed and deleted meanwhile."""
        file.flush()
        return FileLines(os.dup(file.fileno()), self.unusable, is_own=True)

    def save(self, name: str, index: Index, copy: IO[bytes] | None) -> None:
        """Puts both in their places: the index, and the lines it is of (made by ``new_file``) where they are a copy."""
        with self.new_file() as file:
            file.write(index.dump())
            file.flush()
            if copy is not None:
                os.rename(copy.name, self._file(name, "lines"))
            os.rename(file.name, self._file(name, "index"))
        with suppress(OSError):  # another process may be at it, too
            self._evict(name)

    @contextmanager
    def new_file(self) -> Generator[IO[bytes]]:
        """A file in the making, gone at the end unless it was put in its place. Lets no OSError out of the block."""
        try:
            folder = self.private.path()
            with tempfile.NamedTemporaryFile("w+b", prefix=UNFINISHED, dir=folder, delete=False) as file:
                hold(file)
                try:
                    yield file
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(file.name)
        except OSError as error:
            raise self.unusable(error.strerror or str(error), full=error.errno in _FULL) from error

    def unusable(
        self, reason: str = "a file in it was cut short or written to", *, full: bool = False
    ) -> QuiltError:
        folder = self.private.wanted
        details = {"directory": str(folder)}
        if full:
            return StorageFull(
                f"The manifest does not fit into the manifest cache {folder}: {reason}.",
                next_step="Free some space there, or set QUILT_MCP_CACHE_DIR to another folder.",
                details=details,
            )
        return StorageUnavailable(
            f"The manifest cache {folder} cannot be used: {reason}.",
            next_step="Make the folder writable, or set QUILT_MCP_CACHE_DIR to another one; what is in it may be deleted.",
            details=details,
        )

    def _file(self, name: str, ending: str) -> Path:
        return self.private.path() / f"{_VERSION}-{name}.{ending}"

    def _evict(self, keep: str) -> None:
        """Deletes what was used longest ago until the folder is within bounds. An index and its copy go together; only the index
        tells when they were used."""
        folder = self.private.path()
        sizes: dict[str, int] = {}
        used: dict[str, float] = {}
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                stat = path.stat()
                if own := _OWN.match(path.name):
                    sizes[own[1]] = sizes.get(own[1], 0) + stat.st_size
                    used[own[1]] = stat.st_mtime if path.suffix == ".index" else used.get(own[1], 0.0)
        excess = sum(sizes.values()) - self._max_bytes
        for own in sorted(used, key=used.__getitem__):
            if excess > 0 and keep not in own:
                excess -= sizes[own]
                for path in folder.glob(f"{own}*"):
                    path.unlink(missing_ok=True)
