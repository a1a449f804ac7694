"""LineFinder: places of many keys among sorted lines. Keys in walk order that are neighbours take one search together."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from quilt_mcp.domain.manifest.codec import walk_key_in
from quilt_mcp.registry.manifests.lines import Lines

_NEIGHBOURS = 16 << 10
"""Bytes of lines that are read around a key that was searched for, as the next one may lie there too."""


class LineFinder:
    """Searches the records in [start, end), which are in walk order."""

    def __init__(self, lines: Lines, start: int, end: int) -> None:
        self._lines = lines
        self._start = start
        self._end = end
        self._keys: list[bytes] = []
        """Walk keys of the lines in hand."""
        self._sought: bytes | None = None
        """The key that was searched for: none of a record lies between it and the first in hand."""
        self._places = [start]
        """Where these lines begin, and where the last of them ends."""

    def find(self, walk_key: bytes) -> tuple[int, int]:
        """Where the record of that key begins and ends; twice where it would stand, when there is none."""
        keys = self._keys
        if self._sought is None or walk_key < self._sought or (keys and walk_key > keys[-1]):
            self._read(self._lines.seek(walk_key, self._start, self._end))
            self._sought, keys = walk_key, self._keys
        at = bisect_left(keys, walk_key)
        place = self._places[at]
        return (place, self._places[at + 1]) if at < len(keys) and keys[at] == walk_key else (place, place)

    def _read(self, at: int) -> None:
        block = next(self._lines.blocks(at, self._end, _NEIGHBOURS), b"")
        found = block.split(b"\n")[:-1]
        self._keys = [walk_key_in(line) or b"" for line in found]
        self._places = list(accumulate((len(line) + 1 for line in found), initial=at))
