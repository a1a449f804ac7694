"""S3Store: the bytes of one bucket. obstore on the hot path, boto3 for what it cannot do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import anyio

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.errors import (
    ObjectNotFound,
    PermissionDenied,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.storage.errors import cut_short, lost_condition
from quilt_mcp.storage.s3.body import Body
from quilt_mcp.storage.s3.boto import BotoBucket
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.conditions import keeps_conditions
from quilt_mcp.storage.s3.fast import MOST_FAST_PUT, FastBucket, is_plain
from quilt_mcp.storage.s3.listings import Listings
from quilt_mcp.storage.store import PIECE, FileIntake, LinkSigner, LocalFiles, ObjectStat, PageLister


class S3Store:
    """See ``store.Store``. ``etag`` is S3's, with its quotes."""

    local_files: LocalFiles | None = None
    intake: FileIntake | None = None

    def __init__(self, bucket: str, clients: S3Clients) -> None:
        self.bucket = bucket
        self.clients = clients
        self.url = f"s3://{bucket}"
        self.boto = BotoBucket(bucket, clients)
        self.signer: LinkSigner | None = self.boto
        self.listings = Listings(self.boto)
        self.pages: PageLister | None = self.listings
        self.list_folder = self.listings.folder
        self.conditional_writes: bool | None = True if clients.endpoint_url is None else None
        """None for a server other than AWS before the first conditional write, which finds out."""
        self._fast = FastBucket(bucket, clients)
        self._probing = anyio.Lock()

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return PhysicalKey(self.bucket, key, version)

    # -- reading --

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        if is_plain(key):
            try:
                return await self._fast.stat(key, version)
            except (PermissionDenied, StorageUnavailable) as refusal:
                if version is None or isinstance(refusal, StorageUnavailable):
                    await self.boto.explain(refusal, key, version)
                    raise
        return await self.boto.stat(key, version)

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        stat, body = await self._open(key, offset, length, version)
        return stat, b"".join([chunk async for chunk in body.chunks(PIECE)]) if body else b""

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> AsyncIterator[bytes | memoryview]:
        _, body = await self._open(key, offset, length, version)
        if body is None:
            return
        received = 0
        async for chunk in body.chunks(PIECE):
            received += len(chunk)
            yield chunk
        if received != body.length:
            raise cut_short(self.url, key, received, body.length)

    async def _open(
        self, key: str, offset: int, length: int | None, version: str | None
    ) -> tuple[ObjectStat, Body | None]:
        """The object, and the bytes [offset, offset + length) under way; None where there is none."""
        if length == 0:
            return await self.stat(key, version=version), None
        try:
            body = await self._open_body(key, offset, length, version)
            return body.stat, body
        except StorageUnavailable as refusal:
            # Servers refuse a range that begins behind the last byte.
            if refusal.details.get("silent"):
                raise
            stat = await self.stat(key, version=version)
            if offset < stat.size:
                raise
            return stat, None

    async def _open_body(self, key: str, offset: int, length: int | None, version: str | None) -> Body:
        """By obstore; by boto3 for a key that obstore does not take, and for a role that may not name versions."""
        if is_plain(key):
            try:
                return await self._fast.open(key, offset, length, version)
            except PermissionDenied:
                if version is None:
                    raise
        return await self.boto.open(key, offset, length, version)

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        async for page in self.listings.pages(prefix, after):
            for stat in page:
                yield stat

    # -- writing --

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        if (if_absent or if_match is not None) and not await self._keeps_conditions():
            await self._require_state(key, if_absent, if_match)
            if_absent, if_match = False, None
        if isinstance(body, bytes) and len(body) <= MOST_FAST_PUT and is_plain(key):
            return await self._fast.put(key, body, if_absent, if_match)
        return await self.boto.put(key, body, if_absent, if_match)

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Checks ``if_match`` by reading, as not every server knows a conditional delete: what is written between the two is
        deleted."""
        if if_match is not None:
            await self._require_state(key, False, if_match)
        await self.boto.call("delete_object", key)

    async def _keeps_conditions(self) -> bool:
        """Whether the server keeps conditions on writes. AWS does; any other is asked once."""
        async with self._probing:
            if self.conditional_writes is None:
                self.conditional_writes = await keeps_conditions(self._fast.put, self._take_back)
        return self.conditional_writes

    async def _take_back(self, key: str, versions: Collection[str]) -> None:
        """Deletes these versions, and so leaves no trace; where that is not allowed, the object."""
        try:
            for version in versions:
                await self.boto.call("delete_object", key, VersionId=version)
        except QuiltError:
            await self.delete(key)

    async def _require_state(self, key: str, if_absent: bool, if_match: str | None) -> None:
        """The condition, checked by reading: what is left where a server keeps none."""
        try:
            found = (await self.stat(key)).etag
        except ObjectNotFound:
            found = None
        if (if_absent and found is not None) or (if_match is not None and found != if_match):
            raise lost_condition(self.url, key, "it has changed since it was read")
