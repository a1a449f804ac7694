"""CacheFolder: the files that a manifest cache keeps on disk.

``v3-<name>.index`` is an index; ``v3-<name>.lines`` a copy of the lines it is of, where the store's own file does not serve.
Each comes by rename, the index last, so half of a pair is never taken for a whole; a damaged file is taken for none.
Everything here may be deleted at any time; any number of processes may use it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from quilt_mcp.errors import QuiltError, StorageFull, StorageUnavailable
from quilt_mcp.registry.manifests.index import Index
from quilt_mcp.registry.manifests.lines import FileLines
from quilt_mcp.storage.cached import CATALOG_FORMAT, CacheBound
from quilt_mcp.storage.private import UNFINISHED, PrivateFolder, hold, is_own_file

_VERSION: Final = 3
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CacheFolder:
    """Methods block. They raise StorageFull and StorageUnavailable where the folder cannot be used."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """``path`` is made for the first file; ``max_bytes`` bounds all that is kept in it. Another one serves in its place where
        others may write to it, or this account may not; nor is a file of another account believed."""
        self.private = PrivateFolder(path)
        self.bound = CacheBound(self.private, max_bytes, {"manifest": _VERSION, "catalog": CATALOG_FORMAT})

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
            size = file.tell()
            if copy is not None:
                size += os.path.getsize(copy.name)
                os.rename(copy.name, self._file(name, "lines"))
            index_file = self._file(name, "index")
            os.rename(file.name, index_file)
        self.bound.saved(index_file.with_suffix(""), size)

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
        return self.private.path() / f"v{_VERSION}-{name}.{ending}"
