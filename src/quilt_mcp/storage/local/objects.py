"""The objects that stand in a local folder: read and listed, on the calling thread, never through a link."""

from __future__ import annotations

import errno
import hashlib
import heapq
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime

from quilt_mcp.errors import InvalidName, NotFound, ObjectNotFound
from quilt_mcp.storage.local.confined import ConfinedFolder, Parts, split_key
from quilt_mcp.storage.local.errors import typed_errors
from quilt_mcp.storage.store import Listing, ObjectStat

TEMP: Parts = (".quilt", "tmp")
LOCKS: Parts = (".quilt", "locks")
_OWN = {TEMP, LOCKS}
DIGESTED = 64 << 10
"""Objects up to this size have an etag made of their bytes; larger ones, of the file's identity and times."""
STATS_AT_ONCE = 256


class LocalObjects:
    """Raises typed errors only."""

    def __init__(self, folder: ConfinedFolder) -> None:
        self._folder = folder
        self._kernel = folder.kernel

    def typed(self, subject: str) -> AbstractContextManager[None]:
        return typed_errors(ascii(subject), str(self._folder.root))

    def open_file(self, key: str) -> int:
        with self.typed(key):
            return self._folder.open_file(key_parts(key))

    @contextmanager
    def files_in(self, prefix: str) -> Generator[Callable[[str], int]]:
        folder = _folder_parts(prefix)

        def open_file(name: str) -> int:
            parts = key_parts(prefix + name)
            if parts[:-1] != folder:
                raise InvalidName(
                    f"{name!r} is not the name of a file in {prefix!r}.",
                    next_step="Open it by its whole key.",
                )
            with self.typed(prefix + name):
                return open_name(parts[-1])

        with ExitStack() as held:
            with self.typed(prefix or "the folder"):
                open_name = held.enter_context(self._folder.files_in(folder))
            yield open_file

    def stat(self, key: str) -> ObjectStat:
        fd = self.open_file(key)
        try:
            with self.typed(key):
                return stat_of(key, fd)
        finally:
            self._kernel.close(fd)

    def exists(self, key: str) -> bool:
        try:
            self._kernel.close(self.open_file(key))
        except ObjectNotFound:
            return False
        return True

    def get(self, key: str, offset: int, length: int | None) -> tuple[ObjectStat, bytes]:
        fd = self.open_file(key)
        try:
            with self.typed(key):
                stat = stat_of(key, fd)
                end = stat.size if length is None else min(stat.size, offset + length)
                return stat, _read(fd, offset, end)
        finally:
            self._kernel.close(fd)

    def keys(self, prefix: str, after: str) -> Iterator[tuple[Parts, list[str]]]:
        """What ``next_stats`` goes through, to list ``prefix``. Nothing is read before the first step, nothing held between."""
        return self._keys(_prefix_parts(prefix), prefix, after)

    def _keys(self, parts: Parts, prefix: str, after: str) -> Iterator[tuple[Parts, list[str]]]:
        """Folders and the names of files to look at in them, so that keys come in code-point order.

        Within a folder that is the order of names with '/' added to folders: 'a-' < 'a/' < 'a0'.
        """
        base = "".join(part + "/" for part in parts)
        names: list[str] = []
        for name in sorted(self._names(parts)):
            key = base + name
            if not (key.startswith(prefix) or (name.endswith("/") and prefix.startswith(key))):
                continue
            if name.endswith("/"):
                if key <= after and not after.startswith(key):
                    continue
                if names:
                    yield parts, names
                    names = []
                yield from self._keys((*parts, name[:-1]), prefix, after)
            elif key > after:
                names.append(name)
                if len(names) >= STATS_AT_ONCE:
                    yield parts, names
                    names = []
        if names:
            yield parts, names

    def _names(self, parts: Parts) -> Iterator[str]:
        """Files and folders ('/' at the end) of a folder, unsorted; links, devices and our own folders left out."""
        where = "/".join(parts)
        try:
            with self.typed(where or "the folder"):
                for child in self._folder.children(parts):
                    if child.kind == "file":
                        yield child.name
                    elif child.kind == "folder" and not self._is_own((*parts, child.name)):
                        yield child.name + "/"
        except ObjectNotFound:
            return

    def _is_own(self, parts: Parts) -> bool:
        """Whether a folder is the store's own, or holds nothing else."""
        if parts == TEMP[:1]:
            return {(*parts, child.name) for child in self._folder.children(parts)} <= _OWN
        return parts in _OWN

    def next_stats(self, keys: Iterator[tuple[Parts, list[str]]]) -> tuple[list[ObjectStat], bool]:
        found: list[ObjectStat] = []
        for parts, names in keys:
            found += self._stats(parts, names)
            if len(found) >= STATS_AT_ONCE:
                return found, False
        return found, True

    def _stats(self, parts: Parts, names: list[str]) -> list[ObjectStat]:
        found: list[ObjectStat] = []
        base = "".join(part + "/" for part in parts)
        for name in names:
            try:
                found.append(self.stat(base + name))
            except NotFound:
                continue
        return found

    def list_folder(self, prefix: str, after: str, limit: int) -> Listing:
        parts = _folder_parts(prefix)
        later = (name for name in self._names(parts) if prefix + name > after)
        names = heapq.nsmallest(limit + 1, later)
        page = names[:limit]
        return Listing(
            tuple(self._stats(parts, [name for name in page if not name.endswith("/")])),
            tuple(prefix + name for name in page if name.endswith("/")),
            prefix + page[-1] if len(names) > limit else None,
        )


def key_parts(key: str) -> Parts:
    """The names of a key. Raises InvalidName, for the store's own folders too."""
    parts = split_key(key)
    if parts[:2] in _OWN:
        raise InvalidName(
            f"The key {key!r} lies in a folder that the registry keeps for itself.",
            next_step="Use a key outside .quilt/tmp and .quilt/locks.",
            details={"key": ascii(key)},
        )
    return parts


def _prefix_parts(prefix: str) -> Parts:
    folder = prefix.rpartition("/")[0]
    return key_parts(folder) if folder else ()


def _folder_parts(prefix: str) -> Parts:
    """The names of a folder. Raises InvalidName for a prefix that ends in the middle of a name."""
    parts = _prefix_parts(prefix)
    if "".join(part + "/" for part in parts) != prefix:
        raise InvalidName(
            f"{prefix!r} does not name a folder.", next_step="Make the same call with a '/' at its end."
        )
    return parts


def stat_of(key: str, fd: int) -> ObjectStat:
    found = os.fstat(fd)
    if found.st_size <= DIGESTED:
        etag = hashlib.sha256(_read(fd, 0, found.st_size)).hexdigest()[:32]
    else:
        etag = (
            f"{found.st_dev:x}-{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}-{found.st_size:x}"
        )
    return ObjectStat(key, found.st_size, etag, datetime.fromtimestamp(found.st_mtime, UTC))


def _read(fd: int, offset: int, end: int) -> bytes:
    chunks: list[bytes] = []
    while offset < end:
        chunk = os.pread(fd, end - offset, offset)
        if not chunk:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)
