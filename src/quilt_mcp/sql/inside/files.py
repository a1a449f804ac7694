"""The files of a query, as a filesystem for the engine: descriptors that the parent opened for reading, and ranges that it
fetches.

A file is named ``qf://<number>/<name>``; no other is there. All are read by absolute offset, as the engine's threads share a
handle.
"""

from __future__ import annotations

import io
import os
import queue
import socket
import struct
import sys
import threading
import types
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

PROTOCOL: Final = "qf"
_ASKED: Final = struct.Struct("<IIQQ")
"""The run, the file's number, offset, length."""
_GIVEN: Final = struct.Struct("<q")
"""The length of what follows; -1: it cannot be read."""
_END: Final = 1 << 20
_MOST_ENDS: Final = 32 << 20
"""Bytes of all ends that are kept."""
_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A file of a query does not change."""


class HeldFile(NamedTuple):
    """``descriptor`` None: it is read by ranges, through the parent."""

    name: str
    size: int
    descriptor: int | None


def channels_of(descriptors: Sequence[int]) -> queue.SimpleQueue[socket.socket]:
    """To the parent, as many as reads may be on their way at once."""
    free: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
    for one in descriptors:
        free.put(socket.socket(fileno=one))
    return free


class Ranges:
    """Of the files of one run, by its number. What stands at the end of a file is asked for once: it is where Parquet says what
    is in it, which the engine reads each time that it opens one."""

    def __init__(self, run: int, free: queue.SimpleQueue[socket.socket]) -> None:
        self._run = run
        self._free = free
        self._ends: dict[tuple[int, int, int], bytes] = {}
        self._kept = 0

    def fetch(self, number: int, offset: int, length: int, *, is_end: bool) -> bytes:
        key = (number, offset, length)
        if (known := self._ends.get(key)) is not None:
            return known
        found = self._fetch(*key)
        if is_end and self._kept + length <= _MOST_ENDS:
            self._ends[key] = found
            self._kept += length
        return found

    def _fetch(self, number: int, offset: int, length: int) -> bytes:
        channel = self._free.get()
        try:
            channel.sendall(_ASKED.pack(self._run, number, offset, length))
            (given,) = _GIVEN.unpack(_exactly(channel, _GIVEN.size))
            if given != length:
                raise OSError("the file could not be read on")
            return bytes(_exactly(channel, length))
        finally:
            self._free.put(channel)


class _Handle(io.RawIOBase):
    """Read by several threads in two ways. Where a place is sought first, what follows in the same thread is read there, whatever
    others seek meanwhile; where none is, one thread goes on where another stopped, as the readers of JSON and of packed files do.
    """

    def __init__(self, held: HeldFile, number: int, ranges: Ranges) -> None:
        self._held, self._number, self._ranges = held, number, ranges
        self._own = threading.local()
        self._position = 0
        self._turn = 0
        """Counts the reads that sought nothing, by which what was sought before holds no more."""
        self._moving = threading.Lock()

    @property
    def size(self) -> int:
        return self._held.size

    @property
    def is_ranged(self) -> bool:
        return self._held.descriptor is None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        sought = self._sought()
        return self._position if sought is None else sought

    def seek(self, offset: int, whence: int = 0, /) -> int:
        place = (0, self.tell(), self._held.size)[whence] + offset
        self._own.sought = (place, self._turn)
        self._position = place
        return place

    def read(self, size: int = -1, /) -> bytes:
        if (sought := self._sought()) is not None:
            self._own.sought = None
            found = self._read(sought, size)
            self._position = sought + len(found)
            return found
        with self._moving:
            self._turn += 1
            found = self._read(self._position, size)
            self._position += len(found)
            return found

    def _sought(self) -> int | None:
        found: tuple[int, int] | None = getattr(self._own, "sought", None)
        return found[0] if found is not None and found[1] == self._turn else None

    def _read(self, at: int, size: int) -> bytes:
        left = max(0, self._held.size - at)
        wanted = left if size < 0 else min(size, left)
        if not wanted:
            return b""
        if self._held.descriptor is None:
            is_end = at >= self._held.size - _END
            return self._ranges.fetch(self._number, at, wanted, is_end=is_end)
        return os.pread(self._held.descriptor, wanted, at)


class Filesystem:
    """What the engine asks the package fsspec for, by which it knows a filesystem of Python's: of that package's own nothing is
    used here, and it takes longer to import than a query may."""


def install() -> None:
    """Under fsspec's name, in a process that needs it for nothing else."""
    found = types.ModuleType("fsspec")
    vars(found).update(AbstractFileSystem=Filesystem)
    sys.modules["fsspec"] = found


class HeldFiles(Filesystem):
    protocol = PROTOCOL

    def __init__(self, held: Sequence[HeldFile], ranges: Ranges) -> None:
        self._held = held
        self._ranges = ranges

    def unstrip_protocol(self, name: str) -> str:
        return name if name.startswith(f"{PROTOCOL}://") else f"{PROTOCOL}://{name}"

    def glob(self, path: str, **_: Any) -> list[str]:
        self._number(path)
        return [path]

    def exists(self, path: str, **_: Any) -> bool:
        try:
            self._number(path)
        except FileNotFoundError:
            return False
        return True

    def isfile(self, path: str) -> bool:
        return self.exists(path)

    def size(self, path: str) -> int:
        return self._held[self._number(path)].size

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self.size(path), "type": "file"}

    def modified(self, path: str) -> datetime:
        self._number(path)
        return _LONG_AGO

    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> _Handle:
        if mode != "rb":
            raise PermissionError("the files of a query are only read")
        number = self._number(path)
        return _Handle(self._held[number], number, self._ranges)

    def _number(self, path: str) -> int:
        own = path.removeprefix(f"{PROTOCOL}://").lstrip("/").partition("/")
        try:
            number = int(own[0])
            if number >= 0 and self._held[number].name == own[2]:
                return number
        except (ValueError, IndexError):
            pass
        raise FileNotFoundError(path)


def _exactly(channel: socket.socket, length: int) -> bytearray:
    found = bytearray(length)
    view = memoryview(found)
    while view:
        count = channel.recv_into(view)
        if not count:
            raise OSError("the parent is gone")
        view = view[count:]
    return found
