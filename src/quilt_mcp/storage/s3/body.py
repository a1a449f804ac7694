"""Body: bytes of an object under way from S3, whichever client brings them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from quilt_mcp.storage.store import PIECE, ObjectStat


@dataclass(frozen=True, slots=True)
class Body:
    """``length``: how many bytes were announced. They come once: ``chunks`` brings them in pieces of about the size that it is
    given, ``at_once`` in one step, where the client has one."""

    stat: ObjectStat
    length: int
    chunks: Callable[[int], AsyncIterator[bytes | memoryview]]
    at_once: Callable[[], Awaitable[bytes]] | None = None

    async def whole(self) -> bytes:
        if self.at_once is not None:
            return await self.at_once()
        return b"".join([chunk async for chunk in self.chunks(PIECE)])
