"""Uploads into one bucket: single and multipart, server-side copies, and the checksums that S3 keeps.

Parts have quilt's chunk sizes, so S3's composite SHA256 checksum *is* the sha2-256-chunked value. What was uploaded is held
against what was hashed; a multipart upload that fails or is cancelled is aborted.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, Any, Final

import anyio
from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import SHA256_CHUNKED, checksum_for, chunk_size, hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import HashMismatch, NotSupported, PermissionDenied, PreconditionFailed, QuiltError
from quilt_mcp.storage.hashing import changed_while_read
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import for_each

MULTIPART_FROM: Final = 8 << 20
"""Files of this size and more go up in parts (quilt3's own rule)."""
_PARTS_AT_ONCE: Final = 8
_EMPTY_SHA256: Final = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Placed:
    """``hash`` None: the server keeps no checksum that says it."""

    hash: Hash | None
    stat: ObjectStat


class _Rooms:
    """Memory for the parts under way, each used again for another: what is let go of part by part stays with the thread that
    used it, so that in the end each thread holds a part."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: list[io.BytesIO] = []

    @contextmanager
    def one(self) -> Generator[io.BytesIO]:
        """At its beginning, and as long as a part; it may be cut."""
        room = self._idle.pop() if self._idle else io.BytesIO(bytes(self._size))
        yield room
        if len(room.getbuffer()) == self._size:
            room.seek(0)
            self._idle.append(room)


class S3Uploads:
    """Writes whole objects into ``store``'s bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put_bytes(self, key: str, content: bytes) -> Placed:
        stat = await self._store.put(key, content)
        return Placed(hash_bytes(content), stat)

    async def put_file(self, key: str, descriptor: int) -> Placed:
        """Each byte is read once: hashed and sent from the same buffer. Raises HashMismatch for a file that changes meanwhile."""
        size = os.fstat(descriptor).st_size
        if size < MULTIPART_FROM:
            content = await to_thread.run_sync(os.pread, descriptor, size + 1, 0)
            if len(content) != size:
                raise changed_while_read(len(content), size)
            return await self.put_bytes(key, content)
        chunk = chunk_size(size)
        count = -(-size // chunk)
        digests: list[tuple[bytes, int]] = [(b"", 0)] * count

        rooms = _Rooms(chunk)

        def send_now(upload: str, number: int) -> dict[str, Any]:
            with rooms.one() as body:
                with body.getbuffer() as room:
                    length = os.preadv(descriptor, [room], (number - 1) * chunk)
                    digest = hashlib.sha256(room[:length]).digest()
                body.truncate(length)
                digests[number - 1] = (digest, length)
                return send_part(upload, number, body, base64.b64encode(digest).decode())

        def send_part(upload: str, number: int, body: IO[bytes], checksum: str) -> dict[str, Any]:
            sent = self._store.boto_now(
                key,
                "s3:PutObject",
                "upload_part",
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
                ChecksumSHA256=checksum,
            )
            return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

        async def send(upload: str, number: int) -> dict[str, Any]:
            return await to_thread.run_sync(send_now, upload, number)

        done = await self._multipart(key, count, send)
        found = checksum_for(SHA256_CHUNKED).of_parts(digests)
        total = sum(length for _, length in digests)
        for seen in (total, os.fstat(descriptor).st_size):
            if seen != size:
                raise changed_while_read(seen, size)
        self._hold_against(key, done.get("ChecksumSHA256"), found)
        return Placed(found, ObjectStat(key, size, done["ETag"], datetime.now(UTC), done.get("VersionId")))

    async def copy(self, key: str, source: PhysicalKey, size: int, etag: str) -> Placed:
        """A copy inside S3; no byte comes to this machine. In parts from 8 MiB on.

        A role that may not name versions (s3:GetObjectVersion) gets the latest, while it has the ``etag`` of the one wanted.
        """
        try:
            return await self._copy(key, source, size)
        except PermissionDenied as refusal:
            if source.version_id is None:
                raise
            try:
                return await self._copy(key, replace(source, version_id=None), size, CopySourceIfMatch=etag)
            except (PermissionDenied, PreconditionFailed):
                raise refusal from None

    async def _copy(self, key: str, source: PhysicalKey, size: int, **condition: str) -> Placed:
        origin: dict[str, str] = {"Bucket": source.bucket or "", "Key": source.path}
        if source.version_id is not None:
            origin["VersionId"] = source.version_id
        read = "s3:GetObject" if source.version_id is None else "s3:GetObjectVersion"
        action = f"s3:PutObject (and {read} on s3://{source.bucket}/{source.path})"
        if size < MULTIPART_FROM:
            done = await self._store.boto(
                key,
                action,
                "copy_object",
                Key=key,
                CopySource=origin,
                ChecksumAlgorithm="SHA256",
                **condition,
            )
            result = done["CopyObjectResult"]
            value = result.get("ChecksumSHA256")
            found = None if value is None else _of_whole(value)
            stat = ObjectStat(key, size, result["ETag"], datetime.now(UTC), done.get("VersionId"))
            return Placed(found, stat)
        chunk = chunk_size(size)

        async def send(upload: str, number: int) -> dict[str, Any]:
            start = (number - 1) * chunk
            sent = await self._store.boto(
                key,
                action,
                "upload_part_copy",
                Key=key,
                UploadId=upload,
                PartNumber=number,
                CopySource=origin,
                CopySourceRange=f"bytes={start}-{min(start + chunk, size) - 1}",
                **condition,
            )
            part = sent["CopyPartResult"]
            checksum = {"ChecksumSHA256": part["ChecksumSHA256"]} if "ChecksumSHA256" in part else {}
            return {"PartNumber": number, "ETag": part["ETag"], **checksum}

        done = await self._multipart(key, -(-size // chunk), send)
        value = str(done.get("ChecksumSHA256") or "").partition("-")[0]
        found = Hash(SHA256_CHUNKED, value) if value else None
        return Placed(found, ObjectStat(key, size, done["ETag"], datetime.now(UTC), done.get("VersionId")))

    async def _multipart(self, key: str, count: int, send: Any) -> dict[str, Any]:
        started = await self._store.boto(
            key, "s3:PutObject", "create_multipart_upload", Key=key, ChecksumAlgorithm="SHA256"
        )
        upload = started["UploadId"]
        parts: dict[int, dict[str, Any]] = {}

        async def send_one(number: int) -> None:
            parts[number] = await send(upload, number)

        try:
            await for_each(range(1, count + 1), _PARTS_AT_ONCE, send_one)
            return await self._store.boto(
                key,
                "s3:PutObject",
                "complete_multipart_upload",
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": [parts[number] for number in range(1, count + 1)]},
            )
        except BaseException:
            # Cancelled or failed: an upload left open is storage that nobody sees and somebody pays for.
            with anyio.CancelScope(shield=True):
                await self._abort(key, upload)
            raise

    async def _abort(self, key: str, upload: str) -> None:
        try:
            await self._store.boto(
                key, "s3:AbortMultipartUpload", "abort_multipart_upload", Key=key, UploadId=upload
            )
        except QuiltError:
            return  # the failure that led here is what the caller is told

    async def stored(self, key: str, version: str | None, expected: Hash | None = None) -> Placed:
        """The object as it stands, with the hash that S3 keeps of it when it is one that quilt knows; no byte is read.

        One request; a second one for objects that came in parts, whose sizes must be quilt's (as they are where the hash is
        the one ``expected``).
        """
        given: dict[str, Any] = {} if version is None else {"VersionId": version}
        found = await self._store.boto(
            key, "s3:GetObject", "head_object", Key=key, ChecksumMode="ENABLED", **given
        )
        size = found["ContentLength"]
        stat = ObjectStat(key, size, found["ETag"], found["LastModified"], found.get("VersionId") or version)
        return Placed(await self._kept_hash(key, given, found, size, expected), stat)

    async def _kept_hash(
        self, key: str, given: dict[str, Any], found: dict[str, Any], size: int, expected: Hash | None
    ) -> Hash | None:
        value, _, count = str(found.get("ChecksumSHA256") or "").partition("-")
        if value and not count and found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            if size < MULTIPART_FROM:
                return _of_whole(value)
        elif (
            value
            and count.isdigit()
            and int(count) == -(-size // chunk_size(size))
            and (Hash(SHA256_CHUNKED, value) == expected or await self._has_quilt_parts(key, given, size))
        ):
            return Hash(SHA256_CHUNKED, value)
        crc = found.get("ChecksumCRC64NVME")
        return Hash("CRC64NVME", str(crc)) if crc and "-" not in str(crc) else None

    async def _has_quilt_parts(self, key: str, given: dict[str, Any], size: int) -> bool:
        chunk = chunk_size(size)
        if size <= chunk:
            return True
        marker = 0
        while True:
            try:
                page = await self._store.boto(
                    key,
                    "s3:GetObjectAttributes",
                    "get_object_attributes",
                    Key=key,
                    ObjectAttributes=["ObjectParts"],
                    PartNumberMarker=marker,
                    **given,
                )
            except (PermissionDenied, NotSupported):
                return False  # not known; the object will be read
            parts = page.get("ObjectParts", {})
            listed = parts.get("Parts", [])
            total = parts.get("TotalPartsCount", 0)
            if not listed or any(part["Size"] != chunk for part in listed if part["PartNumber"] != total):
                return False
            if not parts.get("IsTruncated"):
                return True
            marker = parts["NextPartNumberMarker"]

    def _hold_against(self, key: str, checksum: str | None, sent: Hash) -> None:
        if checksum is not None and checksum.partition("-")[0] != sent.value:
            raise self._not_what_was_sent(key, checksum, sent.value)

    def _not_what_was_sent(self, key: str, found: str, expected: str) -> HashMismatch:
        return HashMismatch(
            f"s3://{self._store.bucket}/{key} is not what was read: {found}, read {expected}.",
            next_step="Run the call again when nothing writes to the file.",
            details={"key": key, "found": found, "expected": expected},
        )


def _of_whole(checksum: str) -> Hash:
    """quilt's value from S3's SHA256 of an object in one piece: the hash of the one chunk's digest (or of nothing)."""
    digest = base64.b64decode(checksum)
    outer = digest if digest == _EMPTY_SHA256 else hashlib.sha256(digest).digest()
    return Hash(SHA256_CHUNKED, base64.b64encode(outer).decode())
