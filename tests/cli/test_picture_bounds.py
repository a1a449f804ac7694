"""A picture is data of others: its size, memory and time are bounded before it is drawn (case X3)."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib

import anyio
import pytest

from quilt_mcp.cli.picture import MAX_LINES, SECONDS, picture


def png(width: int, height: int, color: int, lines: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(1, 30_000_000), (30_000_000, 1), (2**31 - 1, 1), (1, 2**31 - 1), (10_000, 10_000)]
)
def test_a_picture_of_odd_dimensions_is_not_unpacked_case_X3(width: int, height: int) -> None:
    content = png(width, height, 0, bytes(6_000_000))
    tracemalloc.start()
    try:
        assert anyio.run(picture, content, 100) is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_narrow_picture_takes_a_bounded_number_of_lines_case_X3() -> None:
    drawn = anyio.run(picture, png(1, 16_000, 0, b"\0\x80" * 16_000), 100)
    assert drawn is not None
    assert drawn.plain.count("\n") == MAX_LINES


def test_a_picture_of_dear_filters_ends_at_the_deadline_case_X3() -> None:
    """Only Paeth's filter, at the largest size that is unpacked: drawn or not, the work ends."""
    width, height = 2_000, 2_000
    content = png(width, height, 6, (b"\4" + bytes(range(250)) * (width * 4 // 250)) * height)
    began = time.monotonic()
    anyio.run(picture, content, 100)
    assert time.monotonic() - began < SECONDS + 10
