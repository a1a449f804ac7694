"""A PNG drawn on a terminal with half blocks: two pixels a character, in 24-bit colour."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from rich.text import Text

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MAX_PIXELS = 1 << 24


@dataclass(frozen=True, slots=True)
class Pixels:
    """Unfiltered rows of 8-bit samples, ``channels`` a pixel; ``palette`` where samples are indices."""

    width: int
    height: int
    channels: int
    rows: list[bytes]
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


def picture(content: bytes, width: int) -> Text | None:
    """None for what this cannot draw: other formats, interlaced or 16-bit PNGs, broken or huge ones."""
    try:
        pixels = _decode(content)
    except (ValueError, struct.error, zlib.error, IndexError):
        return None
    columns = min(width, pixels.width)
    lines = max(1, round(pixels.height * columns / pixels.width / 2))
    text = Text()
    for line in range(lines):
        for column in range(columns):
            x = column * pixels.width // columns
            upper = pixels.rgb(x, (2 * line) * pixels.height // (2 * lines))
            lower = pixels.rgb(x, (2 * line + 1) * pixels.height // (2 * lines))
            text.append("▀", style=f"rgb({','.join(map(str, upper))}) on rgb({','.join(map(str, lower))})")
        text.append("\n")
    return text


def _decode(content: bytes) -> Pixels:
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
    if depth != 8 or interlaced or color not in CHANNELS or not 0 < width * height <= MAX_PIXELS:
        raise ValueError("not drawn")
    channels = CHANNELS[color]
    stride = width * channels
    raw = zlib.decompressobj().decompress(bytes(packed), (stride + 1) * height)
    if len(raw) < (stride + 1) * height:
        raise ValueError("cut short")
    rows: list[bytes] = []
    above = bytes(stride)
    for row in range(height):
        start = row * (stride + 1)
        above = _unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, channels)
        rows.append(above)
    return Pixels(width, height, channels, rows, palette if color == 3 else None)


def _unfilter(kind: int, row: bytearray, above: bytes, step: int) -> bytes:
    """PNG's five line filters, undone. ``step`` is bytes a pixel."""
    for at in range(len(row)) if kind else ():
        left = row[at - step] if at >= step else 0
        up = above[at]
        corner = above[at - step] if at >= step else 0
        match kind:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case 4:
                guess = _paeth(left, up, corner)
            case _:
                raise ValueError("unknown filter")
        row[at] = (row[at] + guess) & 0xFF
    return bytes(row)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda one: abs(estimate - one))
