"""Lines: the bytes of a manifest, read by offset; those that are sorted can be searched. Safe between threads."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from quilt_mcp.domain.manifest.codec import MAX_LINE_BYTES, walk_key_in
from quilt_mcp.errors import QuiltError

BLOCK = 128 << 10
"""Bytes of lines that are worked on at once."""
_HEAD = 2 << 10
"""The first look at a line: more than most keys take."""
_FEW = 512
"""A stretch of lines as short as this is searched line by line."""


class LineTooLong(Exception):
    """A line has more than ``MAX_LINE_BYTES``."""


class Lines(ABC):
    """Lines that end in a line feed, but for the last that may not. Offsets are those of the first byte of a line."""

    size: int
    """Bytes in all."""
    held: int
    """Bytes of memory that they take."""
    changed = False
    """Whether they are no more what they were."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on; fewer only at the end."""

    def blocks(self, start: int, end: int, size: int = BLOCK) -> Iterator[bytes]:
        """The lines in [start, end) in blocks of about ``size`` bytes, each line with its line feed. Raises LineTooLong."""
        at = start
        while at < end:
            block = self.read(at, min(size, end - at))
            if not block:
                return
            while b"\n" not in block and at + len(block) < end:
                if len(block) >= MAX_LINE_BYTES:
                    raise LineTooLong
                block += self.read(at + len(block), min(len(block), end - at - len(block)))
            if at + len(block) < end:
                block = block[: block.rindex(b"\n") + 1]
            at += len(block)
            yield block if block.endswith(b"\n") else block + b"\n"

    def sha256(self) -> str:
        """Of all bytes. Reads them."""
        digest = hashlib.sha256()
        for at in range(0, self.size, BLOCK):
            digest.update(self.read(at, BLOCK))
        return digest.hexdigest()

    def line_at(self, offset: int) -> bytes:
        """The line that begins at ``offset``, without its line feed."""
        length = _HEAD
        while True:
            chunk = self.read(offset, length)
            line, feed, _ = chunk.partition(b"\n")
            if feed or len(chunk) < length:
                return line
            length *= 4

    def walk_key_before(self, offset: int) -> bytes:
        """The walk key of the record that ends at ``offset``. There must be one."""
        length = _HEAD
        while True:
            begin = max(0, offset - length)
            chunk = self.read(begin, offset - begin).removesuffix(b"\n")
            if b"\n" in chunk or begin == 0:
                return _walk_key(chunk.rpartition(b"\n")[2])
            length *= 4

    def walk_key_at(self, offset: int) -> bytes:
        """The walk key of the record at ``offset``."""
        return walk_key_in(self.read(offset, _HEAD)) or _walk_key(self.line_at(offset))

    def seek(self, walk_key: bytes, start: int, end: int) -> int:
        """Where the first record in [start, end) stands whose walk key is ``walk_key`` or comes after it; ``end`` when there is
        none. Some 20 reads of two kilobytes for a million records, which must be in walk order."""
        low, high, found = start, end, end
        while high - low > _FEW:
            middle = (low + high) // 2
            begin = self._next_line(middle, high)
            if begin >= high:
                high = middle  # a single line goes on from before the middle
            elif self.walk_key_at(begin) < walk_key:
                low = begin
            else:
                found = high = begin
        while low < high:
            if self.walk_key_at(low) >= walk_key:
                return low
            low = self._next_line(low + 1, end)
        return found

    def _next_line(self, at: int, end: int) -> int:
        """The first beginning of a line at or after ``at``; ``end`` when there is none before."""
        at -= 1
        while at < end:
            feed = self.read(at, _HEAD).find(b"\n")
            if feed >= 0:
                return min(at + feed + 1, end)
            at += _HEAD
        return end


def _walk_key(line: bytes) -> bytes:
    found = walk_key_in(line)
    if found is None:
        raise AssertionError("an index has no line that opens otherwise")
    return found


class HeldLines(Lines):
    """Lines in memory."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = self.held = len(body)

    def read(self, offset: int, length: int) -> bytes:
        return self._body[offset : offset + length]


class FileLines(Lines):
    """Lines of an open file, which stays open as long as they are used, so it may be deleted meanwhile."""

    held = 0

    def __init__(self, descriptor: int, error: Callable[[], QuiltError], *, is_own: bool = False) -> None:
        """Closes ``descriptor`` in the end. ``error`` is for a file that is written to or cut short: each read looks whether it
        was. ``is_own``: nobody writes to it, but its times may be set."""
        self._descriptor = descriptor
        self._error = error
        self._is_own = is_own
        self.size, self._modified = self._stat()

    def __del__(self) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Raises ``error``."""
        try:
            chunk = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise self._error() from error
        if self.changed:
            raise self._error()
        return chunk

    @property
    def changed(self) -> bool:
        return self._stat() != (self.size, self._modified)

    def _stat(self) -> tuple[int, int]:
        stat = os.fstat(self._descriptor)
        return stat.st_size, 0 if self._is_own else stat.st_mtime_ns
