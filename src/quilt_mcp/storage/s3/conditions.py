"""Whether an S3 server keeps conditions, found out by trying: a 200 alone is no proof (Ceph 16.2 answers it to everything).
A create-only write must fail the second time; a write and a deletion with a wrong etag must fail, with the right one not."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any, Final

from quilt_mcp.errors import NotSupported, ObjectNotFound, PermissionDenied, PreconditionFailed, QuiltError
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import to_its_end

NULL_VERSION: Final = "null"
"""What S3 calls the version that was written without versioning."""
_TAKING_BACK_SECONDS: Final = 1.0
_KEY: Final = ".quilt/conditional-write-probe"


_WRONG: Final = f'"{"0" * 32}"'


async def kept_conditions(
    write: Callable[..., Awaitable[ObjectStat]],
    delete: Callable[[str, str], Awaitable[str | None]],
    take_back: Callable[[str, Collection[str]], Awaitable[None]],
) -> tuple[bool, bool]:
    """Whether conditions are kept on writes, and on deletions (False too where nothing may be deleted).

    Six requests at a key of its own (another that asks at the same time has another), taken back afterwards by their versions.
    ``write`` takes key, body, and ``if_absent`` or ``if_match``; ``delete`` key and etag, and answers the version it made.
    """
    key = f"{_KEY}-{uuid.uuid4().hex}"
    made: set[str] = set()

    async def put(**condition: Any) -> str:
        stat = await write(key, b"probe", **condition)
        made.add(stat.version or NULL_VERSION)
        return stat.etag

    async def remove(etag: str) -> None:
        made.add(await delete(key, etag) or NULL_VERSION)

    try:
        etag = await put()
        writes = (
            await _refuses(put(if_absent=True))
            and await _refuses(put(if_match=_WRONG))
            and await _takes(put(if_match=etag))
        )
        deletions = await _refuses(remove(_WRONG)) and await _takes(remove(etag))
    finally:
        with suppress(TimeoutError, QuiltError):  # a role that may not delete leaves the probe behind
            await to_its_end(partial(take_back, key, made), _TAKING_BACK_SECONDS)
    return writes, deletions


async def _refuses(attempt: Awaitable[Any]) -> bool:
    try:
        await attempt
    except PreconditionFailed:
        return True
    except (NotSupported, ObjectNotFound, PermissionDenied):
        pass
    return False


async def _takes(attempt: Awaitable[Any]) -> bool:
    try:
        with suppress(ObjectNotFound):  # deleted by a request whose answer was lost
            await attempt
    except (PreconditionFailed, NotSupported, PermissionDenied):
        return False
    return True
