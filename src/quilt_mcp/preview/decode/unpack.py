"""Compressed bytes made plain, a piece at a time: gzip (in members, as bgzip writes it), bzip2 and zstd.

What comes out is bounded, and thrown away as it is used, so that a bomb ends at the bound.
"""

from __future__ import annotations

import bz2
import io
import zlib
from collections.abc import Iterator
from typing import Any

from quilt_mcp.preview.decode.engine import connect
from quilt_mcp.preview.decode.file import HEAD, Fault, File

MOST_PLAIN = 512 << 20
"""Plain bytes that one question may go through."""
PIECE = 256 << 10
_FIRST_BLOCK, _LAST_BLOCK = 256 << 10, 4 << 20
_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))
_PACKED = "packed.zst"
_LONGEST_LINE = 8 << 20


def compression(head: bytes) -> str | None:
    """By the first bytes: a name may lie."""
    return next((name for start, name in _COMPRESSIONS if head.startswith(start)), None)


class Plain(io.RawIOBase):
    """The plain bytes of a file, from its start on.

    ``most``: as if it ended there; ``is_cut`` then says that it goes on. ``notes`` tells what is wrong with it, once read.
    """

    def __init__(self, file: File, most: int | None = None) -> None:
        super().__init__()
        self.compression = compression(file.head())
        self.notes: list[str] = []
        self.is_cut = False
        self.count = 0
        self._most = most
        self._pieces = self._unpacked(file)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._rest and not self._advance():
            return 0
        if self._most is not None and self.count >= self._most:
            self.is_cut = True
            return 0
        if self.count > MOST_PLAIN:
            raise Fault("too_costly", f"The file holds more than {MOST_PLAIN >> 20} MiB once it is unpacked.")
        room = len(buffer) if self._most is None else min(len(buffer), self._most - self.count)
        taken = self._rest[:room]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        self.count += len(taken)
        return len(taken)

    def _advance(self) -> bool:
        try:
            self._rest = memoryview(next(self._pieces, b""))
        except (zlib.error, OSError, EOFError) as error:
            raise Fault("undecodable", f"Its {self.compression} data is damaged: {error}.") from None
        return len(self._rest) > 0

    def _unpacked(self, file: File) -> Iterator[bytes]:
        match self.compression:
            case "gzip":
                return self._of_gzip(_blocks(file))
            case "bzip2":
                return self._of_bzip2(_blocks(file))
            case "zstd":
                return _of_zstd(file, self._most)
            case _:
                return _blocks(file, self._most)

    def _of_gzip(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        inner: Any = None
        is_first = True
        for block in blocks:
            rest = block
            while rest:
                if inner is None:
                    rest = rest if is_first else rest.lstrip(b"\0")  # padding between members
                    if not is_first and rest and not rest.startswith(b"\x1f"):
                        self.notes.append("trailing_bytes: what follows the gzip data is left out.")
                        return
                    inner, is_first = zlib.decompressobj(31) if rest else None, False
                    continue
                piece = inner.decompress(rest, PIECE)
                rest = inner.unused_data if inner.eof else inner.unconsumed_tail
                inner = None if inner.eof else inner
                if piece:
                    yield piece
        if inner is not None:
            yield inner.flush()
            self._note_cut()

    def _of_bzip2(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        inner: bz2.BZ2Decompressor | None = None
        for block in blocks:
            rest = block
            while rest or (inner is not None and not inner.needs_input):
                inner = inner or bz2.BZ2Decompressor()
                piece = inner.decompress(rest, PIECE)
                rest = inner.unused_data if inner.eof else b""
                inner = None if inner.eof else inner
                if piece:
                    yield piece
        if inner is not None:
            self._note_cut()

    def _note_cut(self) -> None:
        self.notes.append(
            f"cut_short: the {self.compression} data ends before its end; the file is not whole."
        )


def _blocks(file: File, most: int | None = None) -> Iterator[bytes]:
    """The file's own bytes: what a head needs comes in one small block, the rest in larger ones. One more than ``most``."""
    end = file.size if most is None else min(file.size, most + 1)
    at, length = 0, HEAD
    while at < end:
        block = file.read(at, min(length, end - at))
        at += len(block)
        length = _LAST_BLOCK if most is not None else min(max(length * 2, _FIRST_BLOCK), _LAST_BLOCK)
        yield block


def _of_zstd(file: File, most: int | None) -> Iterator[bytes]:
    """Text only, as lines: before Python 3.14 the standard library reads no zstd, and DuckDB reads it as a table of one column.
    Carriage returns are lost, and so is what is neither UTF-8 nor Latin-1."""
    packed = file.size if most is None else min(file.size, max(most, _FIRST_BLOCK))
    with open(_PACKED, "wb") as copy:
        for block in _blocks(file, packed - 1):
            copy.write(block)
    is_begun = False
    try:
        for piece in _zstd_lines("utf-8"):
            is_begun = True
            yield piece
    except Fault as fault:
        if is_begun or fault.kind != "undecodable":
            raise
        yield from _zstd_lines("latin-1")


def _zstd_lines(encoding: str) -> Iterator[bytes]:
    with connect(_PACKED) as engine:
        engine.execute(
            "SELECT line FROM read_csv(?, compression = 'zstd', columns = {'line': 'VARCHAR'}, auto_detect = false, "
            "header = false, delim = '\x1e\x1d\x1e\x1d', quote = '', escape = '', encoding = ?, skip = 0, "
            "max_line_size = ?, buffer_size = ?)",
            [_PACKED, encoding, _LONGEST_LINE, 2 * _LONGEST_LINE],
        )
        while lines := engine.fetchmany(4_000):
            yield "".join(f"{line or ''}\n" for (line,) in lines).encode(encoding)
