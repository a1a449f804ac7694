"""Body: bytes of an object under way from S3, whichever client brings them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from quilt_mcp.storage.store import ObjectStat


@dataclass(frozen=True, slots=True)
class Body:
    """``length``: how many bytes were announced. ``chunks`` brings them, once, in pieces of about the size that it is given."""

    stat: ObjectStat
    length: int
    chunks: Callable[[int], AsyncIterator[bytes | memoryview]]
