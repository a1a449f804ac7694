"""File: the bytes that are looked into, asked for by range; and Fault, why they cannot be."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

HEAD = 64 << 10
"""What is read first of a file, to see what it is."""
BLOCK = 128 << 10
KEPT = 2 << 20
"""Of its start, which is gone through more than once."""
MOST_READ = 256 << 20
"""Bytes that one question may read."""


class Fault(Exception):
    """``kind`` is one of the kinds that ``preview.child`` makes QuiltErrors of."""

    def __init__(self, kind: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.details = details


class File:
    """Raises Fault when a question reads too much of it."""

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self.name = name
        self.size = size
        self.bytes_read = 0
        self._fetch = fetch
        self._start = bytearray()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), fewer at the end."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        end = offset + length
        if end <= len(self._start):
            return bytes(self._start[offset:end])
        if offset < len(self._start):
            return bytes(self._start[offset:]) + self.read(len(self._start), end - len(self._start))
        self.bytes_read += length
        if self.bytes_read > MOST_READ:
            raise Fault("too_costly", f"More than {MOST_READ >> 20} MiB of the file would have to be read.")
        found = self._fetch(offset, length)
        if offset == len(self._start) < KEPT:
            self._start += found
        return found

    def head(self) -> bytes:
        return self.read(0, HEAD)


class Seekable(io.RawIOBase):
    """A File as Python's libraries read one. Blocks that were read are kept, up to some megabytes."""

    def __init__(self, file: File, most_at_once: int) -> None:
        super().__init__()
        self._file = file
        self._at = 0
        self._most_at_once = most_at_once
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("before the start")
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._file.size - self._at)
        size = left if size is None or size < 0 else min(size, left)
        if size > self._most_at_once:
            raise Fault("too_costly", f"{size} bytes would have to be decoded at once.")
        if size >= BLOCK:
            found = self._file.read(self._at, size)
        else:
            first = self._at // BLOCK
            joined = b"".join(self._block(one) for one in range(first, (self._at + size) // BLOCK + 1))
            found = joined[self._at - first * BLOCK :][:size]
        self._at += len(found)
        return found

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: Any, /) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if len(self._blocks) >= 64:
                self._blocks.pop(next(iter(self._blocks)))
            self._blocks[number] = self._file.read(number * BLOCK, BLOCK)
        return self._blocks[number]
