"""S3Store: the bytes of one bucket. obstore on the hot path, boto3 for what it cannot do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from pathlib import Path

import anyio

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.errors import (
    NotSupported,
    ObjectArchived,
    ObjectNotFound,
    PermissionDenied,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.storage.errors import cut_short, lost_condition
from quilt_mcp.storage.s3.archives import Archives
from quilt_mcp.storage.s3.body import Body
from quilt_mcp.storage.s3.boto import BotoBucket
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.conditions import kept_conditions
from quilt_mcp.storage.s3.fast import MOST_FAST_PUT, FastBucket, is_plain
from quilt_mcp.storage.s3.listings import Listings
from quilt_mcp.storage.store import (
    PIECE,
    ArchiveKeeper,
    LinkSigner,
    NoAbilities,
    ObjectStat,
    PageLister,
    SignedUpload,
)


class S3Store(NoAbilities):
    """See ``store.Store``. ``etag`` is S3's, with its quotes."""

    def __init__(self, bucket: str, clients: S3Clients) -> None:
        self.bucket = bucket
        self.clients = clients
        self.url = f"s3://{bucket}"
        self.boto = BotoBucket(bucket, clients)
        self.signer: LinkSigner | None = self
        self.sign = self.boto.sign
        self.archives = Archives(self.boto)
        self.archive: ArchiveKeeper | None = self.archives
        self.listings = Listings(self.boto)
        self.pages: PageLister | None = self.listings
        self.list_folder = self.listings.folder
        self.conditional_writes: bool | None = True if clients.endpoint_url is None else None
        """None for a server other than AWS before the first conditional write or deletion, which finds out."""
        self.conditional_deletes = self.conditional_writes
        self._fast = FastBucket(bucket, clients)
        self._probing = anyio.Lock()

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return PhysicalKey(self.bucket, key, version)

    def _is_fast(self, key: str) -> bool:
        """Raises InvalidName."""
        return is_plain(key) and not self.clients.by_boto_alone

    # -- reading --

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        if self._is_fast(key):
            try:
                return await self._fast.stat(key, version)
            except (NotSupported, PermissionDenied, StorageUnavailable) as refusal:
                if version is None or not isinstance(refusal, PermissionDenied):
                    await self.boto.explain(refusal, key, version)
                    raise
        return await self.boto.stat(key, version)

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        stat, body = await self._open(key, offset, length, version)
        return stat, await body.whole() if body else b""

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
        except ObjectArchived as refusal:
            raise await self.archives.explained(refusal, key, version) from refusal
        except (NotSupported, StorageUnavailable) as refusal:
            # Servers refuse a range that begins behind the last byte.
            if refusal.details.get("silent"):
                raise
            stat = await self.stat(key, version=version)
            if offset < stat.size:
                raise
            return stat, None

    async def _open_body(self, key: str, offset: int, length: int | None, version: str | None) -> Body:
        """By obstore; by boto3 for a key that obstore does not take, and for a role that may not name versions."""
        if self._is_fast(key):
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
        if if_absent or if_match is not None:
            await self._find_out()
            if not self.conditional_writes:
                await self._require_state(key, if_absent, if_match)
                if_absent, if_match = False, None
        return await self._put(key, body, if_absent, if_match)

    async def _put(
        self, key: str, body: bytes | Path, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        if isinstance(body, bytes) and len(body) <= MOST_FAST_PUT and self._is_fast(key):
            return await self._fast.put(key, body, if_absent, if_match)
        return await self.boto.put(key, body, if_absent, if_match)

    async def sign_upload(self, key: str, *, size: int, expires_in: int) -> SignedUpload:
        """See ``store.LinkSigner``. The link bears the condition also where the server is not known to keep it."""
        url, headers, expires = await self.boto.sign_upload(key, size=size, expires_in=expires_in)
        with suppress(PermissionDenied):  # of a role that may write, and not where the probe does
            await self._find_out()
        return SignedUpload(url, headers, expires, self.conditional_writes is True)

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Where the server keeps no condition on deletions, ``if_match`` is checked by reading: what is written between the two
        is deleted. ``conditional_deletes`` says so."""
        if if_match is not None:
            with suppress(PermissionDenied):  # of a role that may delete, and not write
                await self._find_out()
            if not self.conditional_deletes:
                await self._require_state(key, False, if_match)
                if_match = None
        with suppress(ObjectNotFound):  # which a conditional deletion answers
            await self._delete(key, if_match)

    async def _delete(self, key: str, if_match: str | None) -> str | None:
        """The version that marks the deletion, in a bucket that keeps versions."""
        return (await self.boto.call("delete_object", key, IfMatch=if_match)).get("VersionId")

    async def _find_out(self) -> None:
        """Whether the server keeps conditions. AWS does; any other is asked once."""
        async with self._probing:
            if self.conditional_writes is None:
                found = await kept_conditions(self._put, self._delete, self._take_back)
                self.conditional_writes, self.conditional_deletes = found

    async def _take_back(self, key: str, versions: Collection[str]) -> None:
        """Deletes these versions, and so leaves no trace; where that is not allowed, the object."""
        try:
            for version in versions:
                await self.boto.call("delete_object", key, VersionId=version)
        except QuiltError:
            await self._delete(key, None)

    async def _require_state(self, key: str, if_absent: bool, if_match: str | None) -> None:
        """The condition, checked by reading: what is left where a server keeps none."""
        try:
            found = (await self.stat(key)).etag
        except ObjectNotFound:
            found = None
        if (if_absent and found is not None) or (if_match is not None and found != if_match):
            raise lost_condition(self.url, key, "it has changed since it was read")
