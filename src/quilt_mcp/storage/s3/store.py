"""S3Store: the bytes of one bucket. obstore on the hot path, boto3 for what it cannot do."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.errors import (
    InvalidName,
    NotFound,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.conditions import NULL_VERSION, keeps_conditions
from quilt_mcp.storage.s3.errors import s3_errors
from quilt_mcp.storage.s3.listings import LISTED
from quilt_mcp.storage.s3.network import not_s3, require_s3
from quilt_mcp.storage.store import LinkSigner, Listing, ObjectStat, PageLister

_NOT_PLAIN: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")
"""Keys that obstore would refuse, or silently write under another name: empty, '.' and '..' parts, slashes at an end,
control characters. boto3 takes them as they are."""
_NOT_ASKED: Final = "not asked"
_PAGE: Final = 1000
"""The most that S3 lists in one answer."""

_READS: Final = ("get_object", "head_object", "get_object_attributes")
_NEVER_PAID: Final = ("get_bucket_versioning",)
"""Requests that a requester does not pay for, and that cannot say so."""

T = TypeVar("T")


class S3Store:
    """See ``store.Store``. ``etag`` is S3's, with its quotes."""

    def __init__(self, bucket: str, clients: S3Clients) -> None:
        self.bucket = bucket
        self.clients = clients
        self._fast_store: Any = None
        self.lists_versions = True
        """False once s3:ListBucketVersions was refused."""
        self._conditional: bool | None = True if clients.endpoint_url is None else None
        self._versioning: str | None = _NOT_ASKED
        self._probing = anyio.Lock()
        self._asking = anyio.Lock()

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    @property
    def conditional_writes(self) -> bool | None:
        """None for a server other than AWS before the first conditional write, which finds out."""
        return self._conditional

    @property
    def local_files(self) -> None:
        return None

    @property
    def intake(self) -> None:
        return None

    @property
    def signer(self) -> LinkSigner:
        return self

    @property
    def pages(self) -> PageLister:
        return self

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return PhysicalKey(self.bucket, key, version)

    # -- reading --

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        if not _is_plain(key):
            return await self._boto_stat(key, version)
        try:
            with s3_errors(self.bucket, key, _read_action(version)):
                if version is None:
                    found = await _obstore().head_async(await self._fast(), key)
                else:
                    options = {"version": version, "head": True}
                    found = (await _obstore().get_async(await self._fast(), key, options=options)).meta
        except (PermissionDenied, StorageUnavailable) as refusal:
            if version is not None and isinstance(refusal, PermissionDenied):
                return await self._boto_stat(key, version)
            await self._explain(refusal, Key=key, **_of(version))
            raise
        return self._stat(key, found)

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        if length == 0:
            return await self.stat(key, version=version), b""
        try:
            found = await self._fast_get(key, offset, length, version)
            if found is None:
                return await self._boto_get(key, offset, length, version)
            with s3_errors(self.bucket, key, _read_action(version)):
                return self._stat(key, found.meta), bytes(await found.bytes_async())
        except StorageUnavailable:
            stat = await self._ending_before(offset, key, version)
            if stat is None:
                raise
            return stat, b""

    async def stream(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        version: str | None = None,
        chunk_size: int = 1 << 20,
    ) -> AsyncIterator[bytes | memoryview]:
        if length == 0:
            await self.stat(key, version=version)
            return
        try:
            found = await self._fast_get(key, offset, length, version)
            if found is None:
                async for chunk in self._boto_stream(key, offset, length, version, chunk_size):
                    yield chunk
                return
        except StorageUnavailable:
            if await self._ending_before(offset, key, version) is None:
                raise
            return
        received = 0
        with s3_errors(self.bucket, key, _read_action(version)):
            self._stat(key, found.meta)
            async for chunk in found.stream(min_chunk_size=chunk_size):
                received += len(chunk)
                yield memoryview(chunk)
        start, end = found.range
        if received != end - start:
            raise self._cut_short(key, received, end - start)

    async def _fast_get(self, key: str, offset: int, length: int | None, version: str | None) -> Any | None:
        """What obstore has under way; None where boto3 is to be asked: for a key that obstore does not take, and for a role
        that may not name versions."""
        if not _is_plain(key):
            return None
        options: dict[str, Any] = {}
        if version is not None:
            options["version"] = version
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        try:
            with s3_errors(self.bucket, key, _read_action(version)):
                return await _obstore().get_async(await self._fast(), key, options=options)
        except PermissionDenied:
            if version is None:
                raise
            return None

    async def _ending_before(self, offset: int, key: str, version: str | None) -> ObjectStat | None:
        """The object when it has no byte at ``offset``: servers refuse such a range, which here is the empty rest of it."""
        stat = await self.stat(key, version=version)
        return stat if offset >= stat.size else None

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        async for page in self._list_pages(prefix, after):
            for stat in page:
                yield stat

    async def _list_pages(self, prefix: str, after: str = "") -> AsyncIterator[Sequence[ObjectStat]]:
        page = await self.list_page(prefix, after=after)
        yield page.objects
        while page.next_after is not None:
            page = await self.list_page(prefix, after=page.next_after)
            yield page.objects

    async def list_page(self, prefix: str, *, after: str = "") -> Listing:
        given: dict[str, Any] = {"StartAfter": after} if after else {}
        page = await self.boto(None, "s3:ListBucket", "list_objects_v2", Prefix=prefix, **given)
        found: list[ObjectStat] = page[LISTED]
        more = page.get("IsTruncated") and found
        return Listing(tuple(filter(_is_file, found)), (), found[-1].key if more else None)

    async def list_latest_versions(self, prefix: str) -> AsyncIterator[Sequence[ObjectStat]]:
        """As ``list``, page by page, with version ids: None in a bucket that never had versioning, 'null' for what was written
        to one before versioning or while it was suspended.

        Roles that may not list versions get the plain listing, whose version ids are None.
        """
        given: dict[str, Any] = {"Prefix": prefix}
        while True:
            try:
                page = await self.boto(None, "s3:ListBucketVersions", "list_object_versions", **given)
            except PermissionDenied:
                self.lists_versions = False
                async for plain in self._list_pages(prefix):
                    yield plain
                return
            objects = [stat for stat in page[LISTED] if _is_file(stat)]
            if any(stat.version == NULL_VERSION for stat in objects) and await self.versioning() is None:
                objects = [replace(stat, version=None) for stat in objects]
            yield objects
            if not page.get("IsTruncated"):
                return
            given["KeyMarker"] = page["NextKeyMarker"]
            given["VersionIdMarker"] = page.get("NextVersionIdMarker", "")

    async def versioning(self) -> str | None:
        """'Enabled', 'Suspended', None for a bucket that never had versioning, 'unknown' where that may not be asked.
        Asked once."""
        async with self._asking:
            if self._versioning == _NOT_ASKED:
                try:
                    answer = await self.boto(None, "s3:GetBucketVersioning", "get_bucket_versioning")
                    self._versioning = answer.get("Status")
                except PermissionDenied:
                    self._versioning = "unknown"
        return self._versioning

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        given: dict[str, Any] = {"Prefix": prefix, "Delimiter": "/", "MaxKeys": min(limit, _PAGE)}
        if after:
            # After a folder come no keys of the folder: '/' is followed by the highest character.
            given["StartAfter"] = f"{after}\U0010ffff" if after.endswith("/") else after
        page = await self.boto(None, "s3:ListBucket", "list_objects_v2", **given)
        objects = tuple(stat for stat in page[LISTED] if stat.key != prefix)
        folders = tuple(item["Prefix"] for item in page.get("CommonPrefixes", ()))
        last = max([*(stat.key for stat in objects), *folders], default=None)
        return Listing(objects, folders, last if page.get("IsTruncated") else None)

    async def sign(self, key: str, *, version: str | None, expires_in: int) -> tuple[str, datetime]:
        given: dict[str, Any] = {"Bucket": self.bucket, "Key": key}
        if version is not None:
            given["VersionId"] = version

        def sign() -> tuple[str, datetime]:
            with s3_errors(self.bucket, key, "s3:GetObject"):
                client = self.clients.boto(self.bucket)
                url = client.generate_presigned_url("get_object", Params=given, ExpiresIn=expires_in)
            ends = [datetime.now(UTC) + timedelta(seconds=expires_in)]
            keys_end = self.clients.keys_end()
            return url, min([*ends, keys_end] if keys_end else ends)

        return await to_thread.run_sync(sign)

    # -- writing --

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        if (if_absent or if_match is not None) and not await self._keeps_conditions():
            await self._require_state(key, if_absent, if_match)
            return await self._put(key, body)
        return await self._put(key, body, if_absent=if_absent, if_match=if_match)

    async def _put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        if not _is_plain(key):
            return await self._boto_put(key, body, if_absent, if_match)
        mode: Any = "overwrite"
        if if_absent:
            mode = "create"
        elif if_match is not None:
            mode = {"e_tag": if_match}
        size = await to_thread.run_sync(os.path.getsize, body) if isinstance(body, Path) else len(body)
        with s3_errors(self.bucket, key, "s3:PutObject"):
            done = await _obstore().put_async(
                await self._fast(), key, body, mode=mode, use_multipart=False if mode != "overwrite" else None
            )
        return ObjectStat(key, size, done["e_tag"] or "", datetime.now(UTC), done["version"])

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        if if_match is not None:
            # S3 has no conditional delete that every server knows: checked by reading.
            await self._require_state(key, False, if_match)
        await self.boto(key, "s3:DeleteObject", "delete_object", Key=key)

    async def _keeps_conditions(self) -> bool:
        """Whether the server keeps conditions on writes. AWS does; any other is asked once."""
        if self._conditional is None:
            async with self._probing:
                if self._conditional is None:
                    self._conditional = await keeps_conditions(self._put, self._take_back)
        return self._conditional

    async def _take_back(self, key: str, versions: Collection[str]) -> None:
        """Deletes these versions, and so leaves no trace; where that is not allowed, the object."""
        try:
            for version in versions:
                await self.boto(key, "s3:DeleteObjectVersion", "delete_object", Key=key, VersionId=version)
        except QuiltError:
            await self.delete(key)

    async def _require_state(self, key: str, if_absent: bool, if_match: str | None) -> None:
        """The condition, checked by reading: what is left where a server keeps none."""
        try:
            found = (await self.stat(key)).etag
        except ObjectNotFound:
            found = None
        if (if_absent and found is not None) or (if_match is not None and found != if_match):
            raise PreconditionFailed(
                f"s3://{self.bucket}/{key} changed since it was read.",
                next_step="Read it again and decide anew.",
                details={"key": key},
            )

    # -- boto3 --

    async def _fast(self) -> Any:
        if self._fast_store is None:
            self._fast_store = await to_thread.run_sync(self.clients.fast, self.bucket)
        return self._fast_store

    async def boto(self, key: str | None, action: str, method: str, **given: Any) -> dict[str, Any]:
        """One boto3 call on this bucket, in a worker thread. ``action``: the IAM action it needs."""
        try:
            return await to_thread.run_sync(lambda: self.boto_now(key, action, method, **given))
        except (PermissionDenied, StorageUnavailable) as refusal:
            if "VersionId" in given and method in _READS and isinstance(refusal, PermissionDenied):
                return await self._of_latest(refusal, key, action, method, given)
            if method == "head_object":
                await self._explain(refusal, **given)
            raise

    def boto_now(self, key: str | None, action: str, method: str, **given: Any) -> dict[str, Any]:
        """As ``boto``, for callers that are in a worker thread already. Blocks."""
        if self.clients.requester_pays and method not in _NEVER_PAID:
            given["RequestPayer"] = "requester"
        with s3_errors(self.bucket, key, action):
            answer = getattr(self.clients.boto(self.bucket), method)(Bucket=self.bucket, **given)
        try:
            require_s3(answer, self.bucket, method)
        except StorageUnavailable:
            _let_go(answer)
            raise
        return answer

    async def _of_latest(
        self, refusal: PermissionDenied, key: str | None, action: str, method: str, given: dict[str, Any]
    ) -> dict[str, Any]:
        """What a role that may not name versions (s3:GetObjectVersion) can still read: the one wanted, while it is the latest."""
        unnamed = {name: value for name, value in given.items() if name not in ("VersionId", "RequestPayer")}
        try:
            found = await self.boto(key, action, method, **unnamed)
        except (PermissionDenied, NotFound):
            raise refusal from None
        if found.get("VersionId") == given["VersionId"]:
            return found
        _let_go(found)
        raise PermissionDenied(
            f"s3://{self.bucket}/{key} has a newer version, and the one that is wanted may not be read.",
            next_step="Ask for the IAM action s3:GetObjectVersion on it; without it only the latest version can be read.",
            details={"bucket": self.bucket, "key": key, "action": "s3:GetObjectVersion"},
        ) from refusal

    async def _explain(self, refusal: QuiltError, **given: Any) -> None:
        """A HEAD that S3 refuses has no body to say why in (expired, skewed, forbidden): asks the same by a GET, which raises
        what it says. The body is not read."""
        if refusal.details.get("http_status") in (400, 403):
            named = {name: given[name] for name in ("Key", "VersionId") if name in given}
            found = await self.boto(named["Key"], "s3:GetObject", "get_object", **named)
            await to_thread.run_sync(found["Body"].close)

    async def _boto_stat(self, key: str, version: str | None) -> ObjectStat:
        found = await self.boto(key, _read_action(version), "head_object", Key=key, **_of(version))
        return _headed(key, found, found["ContentLength"])

    async def _boto_get(
        self, key: str, offset: int, length: int | None, version: str | None
    ) -> tuple[ObjectStat, bytes]:
        found = await self._boto_open(key, offset, length, version)
        data = await to_thread.run_sync(self._guarded(key, found["Body"].read))
        size = str(found.get("ContentRange", "")).rpartition("/")[2] or found["ContentLength"]
        return _headed(key, found, int(size)), data

    async def _boto_stream(
        self, key: str, offset: int, length: int | None, version: str | None, chunk_size: int
    ) -> AsyncIterator[bytes]:
        found = await self._boto_open(key, offset, length, version)
        received = 0
        try:
            while chunk := await to_thread.run_sync(
                self._guarded(key, functools.partial(found["Body"].read, chunk_size))
            ):
                received += len(chunk)
                yield chunk
        finally:
            _let_go(found)
        if received != found["ContentLength"]:
            raise self._cut_short(key, received, found["ContentLength"])

    async def _boto_open(
        self, key: str, offset: int, length: int | None, version: str | None
    ) -> dict[str, Any]:
        given = _of(version)
        if offset or length is not None:
            given["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        return await self.boto(key, _read_action(version), "get_object", Key=key, **given)

    async def _boto_put(
        self, key: str, body: bytes | Path, if_absent: bool, if_match: str | None
    ) -> ObjectStat:
        data = await to_thread.run_sync(body.read_bytes) if isinstance(body, Path) else body
        given: dict[str, Any] = {"ChecksumAlgorithm": "SHA256"}
        if if_absent:
            given["IfNoneMatch"] = "*"
        elif if_match is not None:
            given["IfMatch"] = if_match
        done = await self.boto(key, "s3:PutObject", "put_object", Key=key, Body=data, **given)
        return ObjectStat(key, len(data), done["ETag"], datetime.now(UTC), done.get("VersionId"))

    def _guarded(self, key: str, act: Callable[[], T]) -> Callable[[], T]:
        def guarded() -> T:
            with s3_errors(self.bucket, key, "s3:GetObject"):
                return act()

        return guarded

    def _stat(self, key: str, found: Any) -> ObjectStat:
        if not found["e_tag"]:
            raise not_s3(self.bucket)  # which gives each object one
        return ObjectStat(key, found["size"], found["e_tag"], found["last_modified"], found["version"])

    def _cut_short(self, key: str, received: int, size: int) -> StorageUnavailable:
        return StorageUnavailable(
            f"s3://{self.bucket}/{key} was cut short: {received} of {size} bytes came.",
            next_step="Make the same call again.",
            details={"bucket": self.bucket, "key": key},
        )


def _is_plain(key: str) -> bool:
    """Whether obstore takes the key as it stands. Raises InvalidName for one that no S3 allows."""
    if not key or len(key.encode("utf-8", "surrogatepass")) > 1024:
        raise InvalidName(
            f"{key[:100]!r} is not a key that S3 allows.",
            next_step="Keys have 1 to 1,024 bytes of UTF-8.",
        )
    return _NOT_PLAIN.search(key) is None


def _read_action(version: str | None) -> str:
    return "s3:GetObject" if version is None else "s3:GetObjectVersion"


def _of(version: str | None) -> dict[str, Any]:
    return {} if version is None else {"VersionId": version}


def _obstore() -> Any:
    import obstore

    return obstore


def _is_file(stat: ObjectStat) -> bool:
    """Whether a listed object is one: not the empty one that a console makes for a folder."""
    return stat.size > 0 or not stat.key.endswith("/")


def _let_go(answer: dict[str, Any]) -> None:
    """Closes the connection of a body that is not read to its end."""
    if "Body" in answer:
        answer["Body"].close()


def _headed(key: str, found: dict[str, Any], size: int) -> ObjectStat:
    return ObjectStat(key, size, found["ETag"], found["LastModified"], found.get("VersionId"))
