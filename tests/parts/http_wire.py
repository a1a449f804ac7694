"""The little of HTTP/1.1 that the proxy needs: heads, and bodies passed on as they are framed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE = 256 * 1024


class BrokenMessage(Exception):
    """The peer closed in the middle of a message."""


@dataclass(slots=True)
class Head:
    start: str
    fields: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        return next((value for field, value in self.fields if field.lower() == name), default)

    def lowered(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.fields}

    def without(self, *names: str) -> Head:
        return Head(self.start, [(name, value) for name, value in self.fields if name.lower() not in names])

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.fields), "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """None when the peer closed between messages."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise BrokenMessage("closed within a head") from None
        return None
    start, *lines = raw[:-4].decode("latin-1").split("\r\n")
    fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Head(start, fields)


def body_length(head: Head) -> int | None:
    """None when the body is chunked; 0 when the head names none."""
    if "chunked" in head.get("transfer-encoding").lower():
        return None
    return int(head.get("content-length") or 0)


async def read_body(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """Pieces as they stand on the wire: chunk sizes and trailers of a chunked body included."""
    if length is not None:
        async for piece in _exactly(reader, length):
            yield piece
        return
    while True:
        try:
            line = await reader.readuntil(b"\r\n")
            yield line
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while line != b"\r\n":
                    line = await reader.readuntil(b"\r\n")
                    yield line
                return
        except asyncio.IncompleteReadError:
            raise BrokenMessage("closed within a chunked body") from None
        async for piece in _exactly(reader, size + 2):
            yield piece


async def read_until_closed(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(PIECE):
        yield piece


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        piece = await reader.read(min(length, PIECE))
        if not piece:
            raise BrokenMessage(f"closed {length} bytes before the end of a body")
        length -= len(piece)
        yield piece
