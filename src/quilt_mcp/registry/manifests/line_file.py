"""LineFile: the lines of a large file by their number, without an index kept on disk."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Iterator

_BLOCK = 1 << 20


class LineFile:
    """Holds the file open, so it may be deleted meanwhile; it must not change. Safe between threads.

    Lines are counted from 0. A block of the file is counted the first time a line beyond it is asked for.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError when the file cannot be opened."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lines_before = [0]
        """How many lines end before each block."""
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if (descriptor := getattr(self, "_descriptor", None)) is not None:
            os.close(descriptor)

    def lines(self, start: int, count: int) -> list[bytes]:
        """``count`` lines from line ``start``, without their line feeds; fewer at the end of the file."""
        found: list[bytes] = []
        if count > 0:
            for number, line in self._from_block(self._block_of(start)):
                if number >= start:
                    found.append(line)
                if len(found) == count:
                    break
        return found

    def _from_block(self, block: int) -> Iterator[tuple[int, bytes]]:
        """The lines from the first that ends in or after this block, each with its number; the first of them may be the
        end of a line that began before."""
        number, rest, at = self._lines_before[block], b"", block * _BLOCK
        while chunk := os.pread(self._descriptor, _BLOCK, at):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from enumerate(whole, number)
            number += len(whole)
            at += len(chunk)
        if rest:
            yield number, rest

    def _block_of(self, line: int) -> int:
        """A block in or before which the line begins, as near to it as may be."""
        with self._lock:
            while self._lines_before[-1] < line:
                chunk = os.pread(self._descriptor, _BLOCK, (len(self._lines_before) - 1) * _BLOCK)
                if len(chunk) < _BLOCK:
                    break
                self._lines_before.append(self._lines_before[-1] + chunk.count(b"\n"))
        # The line begins behind the line feed before it, so in a block before which fewer line feeds are than it has.
        return max(0, bisect_left(self._lines_before, line) - 1)
