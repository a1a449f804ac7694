"""Whether an S3 server keeps conditions on writes, found out by trying: a 200 alone is no proof (Ceph 16.2 answers it to
everything). A create-only write must fail the second time, a wrong etag must fail, the right one must not."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any, Final

from quilt_mcp.errors import NotSupported, PreconditionFailed
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import to_its_end

NULL_VERSION: Final = "null"
"""What S3 calls the version that was written without versioning."""
_TAKING_BACK_SECONDS: Final = 1.0
_KEY: Final = ".quilt/conditional-write-probe"


async def keeps_conditions(
    write: Callable[..., Awaitable[ObjectStat]], take_back: Callable[[str, Collection[str]], Awaitable[None]]
) -> bool:
    """Up to four writes to a key of its own (another that asks at the same time has another), taken back afterwards by their
    versions. ``write`` takes key, body, and ``if_absent`` or ``if_match``."""
    key = f"{_KEY}-{uuid.uuid4().hex}"
    written: set[str] = set()

    async def probe(**condition: Any) -> ObjectStat:
        stat = await write(key, b"probe", **condition)
        written.add(stat.version or NULL_VERSION)
        return stat

    async def refuses(**condition: Any) -> bool:
        try:
            await probe(**condition)
        except PreconditionFailed:
            return True
        return False

    try:
        etag = (await probe()).etag
        if not await refuses(if_absent=True) or not await refuses(if_match=f'"{"0" * 32}"'):
            return False
        await probe(if_match=etag)
    except (PreconditionFailed, NotSupported):
        return False
    finally:
        with suppress(TimeoutError):
            await to_its_end(partial(take_back, key, written), _TAKING_BACK_SECONDS)
    return True
