"""A picture drawn on a terminal with half blocks: two pixels a character, in 24-bit colour.

What is read comes from others, so a child process decodes and scales it (``preview``), with its bounds of memory and time.
"""

from __future__ import annotations

from rich.text import Text

from quilt_mcp.errors import QuiltError
from quilt_mcp.preview import looks
from quilt_mcp.preview.source import Source

MAX_LINES = 200
SECONDS = 10.0


async def picture(content: bytes, width: int) -> Text | None:
    """None for what cannot be drawn: no picture, a broken, huge or slow one."""

    async def fetch(offset: int, length: int) -> bytes:
        return content[offset : offset + length]

    try:
        pixels = await looks.pixels(Source("picture", len(content), fetch), width, 2 * MAX_LINES, SECONDS)
    except QuiltError:
        return None
    text = Text()
    for line in range((pixels.height + 1) // 2):
        for column in range(pixels.width):
            upper = pixels.at(column, 2 * line)
            lower = pixels.at(column, min(2 * line + 1, pixels.height - 1))
            text.append("▀", style=f"rgb({','.join(map(str, upper))}) on rgb({','.join(map(str, lower))})")
        text.append("\n")
    return text
