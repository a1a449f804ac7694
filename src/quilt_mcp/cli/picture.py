"""A PNG drawn on a terminal with half blocks: two pixels a character, in 24-bit colour.

What is read comes from others, so its size is bounded before it is unpacked, only the rows that are drawn are kept, and the work
has a deadline: a picture that takes longer is not drawn.
"""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass

from rich.text import Text

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MAX_SIDE = 1 << 14
MAX_BYTES = 1 << 24
"""Of the picture unpacked."""
MAX_LINES = 200
SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Pixels:
    """Unfiltered rows of 8-bit samples by number, ``channels`` a pixel; ``palette`` where samples are indices."""

    channels: int
    rows: dict[int, bytes]
    palette: bytes | None

    def rgb(self, x: int, y: int) -> tuple[int, int, int]:
        """Transparent parts are shown on white."""
        sample = self.rows[y][x * self.channels : (x + 1) * self.channels]
        if self.palette is not None:
            at = sample[0] * 3
            sample = self.palette[at : at + 3].ljust(3, b"\0")
        if len(sample) < 3:
            sample = bytes((sample[0],) * 3) + sample[1:]
        red, green, blue = sample[:3]
        if len(sample) == 4:
            alpha = sample[3]
            red, green, blue = (255 + (part - 255) * alpha // 255 for part in (red, green, blue))
        return red, green, blue


@dataclass(frozen=True, slots=True)
class Grid:
    """How many columns and lines a picture of some size takes, and which of its pixels stand there."""

    width: int
    height: int
    columns: int
    lines: int

    @classmethod
    def of(cls, width: int, height: int, most_columns: int) -> Grid:
        columns = max(1, min(most_columns, width, 2 * MAX_LINES * width // height))
        return cls(width, height, columns, max(1, min(MAX_LINES, round(height * columns / width / 2))))

    def x(self, column: int) -> int:
        return column * self.width // self.columns

    def y(self, half: int) -> int:
        """``half``: the half lines, counted from the top."""
        return half * self.height // (2 * self.lines)


def picture(content: bytes, width: int) -> Text | None:
    """None for what this cannot draw: other formats, interlaced or 16-bit PNGs, broken, huge or slow ones."""
    try:
        grid, pixels = _decode(content, width, time.monotonic() + SECONDS)
    except (ValueError, struct.error, zlib.error, IndexError):
        return None
    text = Text()
    for line in range(grid.lines):
        for column in range(grid.columns):
            x = grid.x(column)
            upper = pixels.rgb(x, grid.y(2 * line))
            lower = pixels.rgb(x, grid.y(2 * line + 1))
            text.append("▀", style=f"rgb({','.join(map(str, upper))}) on rgb({','.join(map(str, lower))})")
        text.append("\n")
    return text


def _decode(content: bytes, most_columns: int, deadline: float) -> tuple[Grid, Pixels]:
    if not content.startswith(SIGNATURE):
        raise ValueError("not a PNG")
    head, palette, packed = b"", None, bytearray()
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        at += 12 + length
        match kind:
            case b"IHDR":
                head = body
            case b"PLTE":
                palette = body
            case b"IDAT":
                packed += body
            case b"IEND":
                break
            case _:
                pass
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    if depth != 8 or interlaced or color not in CHANNELS:
        raise ValueError("not drawn")
    channels = CHANNELS[color]
    stride = width * channels
    size = (stride + 1) * height
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or size > MAX_BYTES:
        raise ValueError("too large")
    raw = zlib.decompressobj().decompress(bytes(packed), size)
    if len(raw) < size:
        raise ValueError("cut short")
    grid = Grid.of(width, height, most_columns)
    drawn = {grid.y(half) for half in range(2 * grid.lines)}
    rows: dict[int, bytes] = {}
    above = bytes(stride)
    for row in range(max(drawn) + 1):
        if time.monotonic() > deadline:
            raise ValueError("takes too long")
        start = row * (stride + 1)
        above = _unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, channels)
        if row in drawn:
            rows[row] = above
    return grid, Pixels(channels, rows, palette if color == 3 else None)


def _unfilter(kind: int, row: bytearray, above: bytes, step: int) -> bytes:
    """PNG's five line filters, undone. ``step`` is bytes a pixel."""
    if kind > 4:
        raise ValueError("unknown filter")
    if kind == 2:
        return bytes([(value + up) & 0xFF for value, up in zip(row, above, strict=True)])
    for at in range(len(row)) if kind else ():
        left = row[at - step] if at >= step else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + above[at]) // 2
        else:
            guess = _paeth(left, above[at], above[at - step] if at >= step else 0)
        row[at] = (row[at] + guess) & 0xFF
    return bytes(row)


def _paeth(left: int, up: int, corner: int) -> int:
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
