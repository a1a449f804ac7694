"""FastBucket: one bucket by obstore (Rust), which carries bytes in a fraction of boto3's time, and takes plain keys only.

It is imported at first use.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any, Final

from quilt_mcp.errors import AuthenticationError, InvalidName
from quilt_mcp.storage.s3.body import Body
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.errors import s3_errors
from quilt_mcp.storage.s3.network import not_s3
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import in_thread

_NOT_PLAIN: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")
"""Keys that obstore would refuse, or silently write under another name: empty, '.' and '..' parts, slashes at an end,
control characters. boto3 takes them as they are."""

MOST_FAST_PUT: Final = 256 << 10
"""Larger bodies are boto3's, which notices silence on the wire: obstore's time for an answer begins with the sending, and a large
body may need more than that on a slow one."""


class FastBucket:
    def __init__(self, name: str, clients: S3Clients) -> None:
        self._name = name
        self._clients = clients

    async def stat(self, key: str, version: str | None) -> ObjectStat:
        return (await self._get(key, version, {"head": True})).stat

    async def open(self, key: str, offset: int, length: int | None, version: str | None) -> Body:
        """The bytes [offset, offset + length), under way."""
        options: dict[str, Any] = {}
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        return await self._get(key, version, options)

    async def _get(self, key: str, version: str | None, options: dict[str, Any]) -> Body:
        action = "s3:GetObject"
        if version is not None:
            action = "s3:GetObjectVersion"
            options["version"] = version
        errors = partial(s3_errors, self._name, key, action)
        async with self._own_errors():
            with errors():
                found = await import_module("obstore").get_async(await self._store(), key, options=options)
        meta = found.meta
        if not meta["e_tag"]:
            raise not_s3(self._name)  # which gives each object one

        async def chunks(size: int) -> AsyncIterator[memoryview]:
            with errors():
                async for chunk in found.stream(min_chunk_size=size):
                    yield memoryview(chunk)

        async def at_once() -> bytes:
            with errors():
                return bytes(await found.bytes_async())

        start, end = found.range
        stat = ObjectStat(key, meta["size"], meta["e_tag"], meta["last_modified"], meta["version"])
        return Body(stat, end - start, chunks, at_once)

    async def put(
        self, key: str, body: bytes, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        """For bodies of up to ``MOST_FAST_PUT`` bytes."""
        mode: Any = "overwrite"
        if if_absent:
            mode = "create"
        elif if_match is not None:
            mode = {"e_tag": if_match}
        async with self._own_errors():
            with s3_errors(self._name, key, "s3:PutObject"):
                done = await import_module("obstore").put_async(
                    await self._store(), key, body, mode=mode, use_multipart=False
                )
        return ObjectStat(key, len(body), done["e_tag"] or "", datetime.now(UTC), done["version"])

    @asynccontextmanager
    async def _own_errors(self) -> AsyncGenerator[None]:
        """obstore tells of a source of keys that fails as of one that has none; the source is asked why."""
        try:
            yield
        except AuthenticationError:
            if self._clients.keys is not None:
                await in_thread(self._clients.keys)
            raise

    async def _store(self) -> Any:
        kept = self._clients.kept_fast(self._name)
        return kept or await in_thread(partial(self._clients.fast, self._name))


def is_plain(key: str) -> bool:
    """Whether obstore takes the key as it stands. Raises InvalidName for one that no S3 allows."""
    if not key or len(key.encode("utf-8", "surrogatepass")) > 1024:
        raise InvalidName(
            f"{key[:100]!r} is not a key that S3 allows.",
            next_step="Keys have 1 to 1,024 bytes of UTF-8.",
        )
    return _NOT_PLAIN.search(key) is None
