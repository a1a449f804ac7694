"""Packed: whether a file in Zstandard's form is whole. The engine takes one that was cut short for its end, in silence.

Nothing is unpacked: lengths of blocks are followed from one to the next.
"""

from __future__ import annotations

from typing import Any, Final

from quilt_mcp.sql.inside.fault import Fault

_MAGIC: Final = 0xFD2FB528
_SKIPPED: Final = range(0x184D2A50, 0x184D2A60)
_WINDOW: Final = 1 << 20
_RUN: Final = 1
_RESERVED: Final = 3
_DICTIONARY: Final = (0, 1, 2, 4)
_CONTENT: Final = (0, 2, 4, 8)


def require_whole(handle: Any, address: str) -> None:
    """``handle`` is read by absolute offset. Raises Fault."""
    if not _Walk(handle).is_whole():
        raise Fault(
            "engine", f"{address} is cut short: what is packed in it has no end.", exception="IO", table=None
        )


class _Walk:
    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._size: int = handle.size
        self._window = (0, b"")

    def is_whole(self) -> bool:
        at = 0
        while at < self._size:
            magic = self._number(at, 4)
            if magic in _SKIPPED:
                at += 8 + self._number(at + 4, 4)
            elif magic == _MAGIC:
                at = self._end_of_frame(at + 4)
            else:
                return at == 0  # of another form, which the engine tells
        return at == self._size

    def _end_of_frame(self, at: int) -> int:
        described = self._number(at, 1)
        is_single = bool(described & 0x20)
        content = described >> 6
        at += 1 + (not is_single) + _DICTIONARY[described & 3]
        at += 1 if is_single and not content else _CONTENT[content]
        while at + 3 <= self._size:
            header = self._number(at, 3)
            kind, size = header >> 1 & 3, header >> 3
            if kind == _RESERVED:
                break
            at += 3 + (1 if kind == _RUN else size)
            if header & 1:
                return at + (4 if described & 4 else 0)
        return self._size + 1

    def _number(self, at: int, length: int) -> int:
        start, there = self._window
        if not start <= at <= at + length <= start + len(there):
            self._handle.seek(at)
            self._window = (at, self._handle.read(_WINDOW if self._handle.is_ranged else length))
            start, there = self._window
        return int.from_bytes(there[at - start : at - start + length], "little")
