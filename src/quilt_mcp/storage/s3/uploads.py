"""Uploads into one bucket: single and multipart, server-side copies, and the checksums that S3 keeps.

Parts have quilt's chunk sizes, so S3's composite SHA256 checksum *is* the sha2-256-chunked value. What was uploaded is compared
with what was hashed; a multipart upload that fails or is cancelled is aborted.
"""

from __future__ import annotations

import base64
import hashlib
import mmap
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self

import anyio
from anyio import from_thread, to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import CHECKSUMS, SHA256_CHUNKED, Checksum, hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, Tally, no_progress
from quilt_mcp.errors import (
    HashMismatch,
    NotSupported,
    ObjectArchived,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
)
from quilt_mcp.storage.hashing import changed_while_read, require_unchanged, written_while_read
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.s3.archives import Archives
from quilt_mcp.storage.s3.boto import PATIENCE, BotoBucket, stat_of
from quilt_mcp.storage.s3.network import fails_when_silent
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import collect, in_thread, to_its_end

MULTIPART_FROM: Final = 8 << 20
"""Files of this size and more go up in parts (quilt3's own rule)."""
_PARTS_AT_ONCE: Final = 8
_ABORTING_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as S3 has it. ``hash`` None: S3 keeps no checksum that says it."""

    hash: Hash | None
    stat: ObjectStat


class _PartBody(mmap.mmap):
    """Memory of a part, sent as a file. It goes back to the system when it is closed; what is freed of the heap would stay with
    the thread that used it. Ends the request at the next piece that is sent when its call is cancelled."""

    def __new__(cls, length: int) -> Self:
        """In pages of 2 MiB where the system has them: to get small ones one by one takes longer than to hash what they hold."""
        body = super().__new__(cls, -1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):
            body.madvise(getattr(mmap, "MADV_HUGEPAGE", mmap.MADV_NORMAL))
        return body

    def read(self, n: int | None = None, /) -> bytes:
        from_thread.check_cancelled()
        return super().read(n)


class _OwnDescriptor:
    """A descriptor that stays open for the threads that read it, also for one that is left behind in the middle of a read."""

    def __init__(self, descriptor: int) -> None:
        self._number = os.dup(descriptor)
        self._lock = threading.Lock()
        self._readers = 0
        self._is_left = False

    def read(self, memory: memoryview, start: int) -> int:
        """Answers how many bytes; none once it is closed."""
        with self._lock:
            if self._is_left:
                return 0
            self._readers += 1
        try:
            return os.preadv(self._number, [memory], start)
        finally:
            with self._lock:
                self._readers -= 1
                if self._is_left and not self._readers:
                    os.close(self._number)

    def close(self) -> None:
        """At once, or with the last read under way."""
        with self._lock:
            self._is_left = True
            if not self._readers:
                os.close(self._number)


class S3Uploads:
    """Writes whole objects into ``store``'s bucket. ``hash_type``: the checksum by which they are sent, and S3 keeps them."""

    def __init__(self, store: S3Store, hash_type: str = SHA256_CHUNKED) -> None:
        self._sent = CHECKSUMS[hash_type]
        self._sent_field = f"Checksum{self._sent.s3_name}"
        self._store = store
        self._bucket = store.boto

    async def put_file(
        self,
        key: str,
        descriptor: int,
        progress: Progress = no_progress,
        *,
        expected: Hash | None = None,
    ) -> tuple[Hash, ObjectStat]:
        """Each byte is read once: hashed and sent from the same buffer. Raises HashMismatch, and leaves what is at ``key``, for a
        file that changes meanwhile, or has not the hash ``expected``."""
        before = os.fstat(descriptor)
        size = before.st_size
        if size < MULTIPART_FROM:
            content = await to_thread.run_sync(os.pread, descriptor, size + 1, 0)
            require_unchanged(descriptor, before, len(content))
            found = hash_bytes(content, self._sent.name)
            _require_expected(found, expected, size)
            return found, await self._store.put(key, content)
        part_size = self._sent.part_size(size)
        digests: dict[int, tuple[bytes, int]] = {}

        def send_now(upload: str, number: int) -> dict[str, Any]:
            start = (number - 1) * part_size
            length = min(part_size, size - start)
            with _PartBody(length) as body:
                part = self._sent.part()
                with memoryview(body) as memory:
                    read = file.read(memory, start)
                    part.update(memory)
                if read != length:
                    raise changed_while_read(start + read, size)
                digests[number] = (part.digest(), length)
                checksum = {self._sent_field: base64.b64encode(part.digest()).decode()}
                about: dict[str, Any] = {"UploadId": upload, "PartNumber": number}
                sent = self._bucket.call_now("upload_part", key, Body=body, **about, **checksum)
            return {"ETag": sent["ETag"], **checksum}

        async def send(upload: str, number: int) -> dict[str, Any]:
            async with limits().memory(part_size):
                sending = partial(send_now, upload, number)
                return await in_thread(sending, patience=PATIENCE, limiter=limits().senders)

        def check() -> None:
            require_unchanged(descriptor, before, size)
            _require_expected(sent_hash(), expected, size)

        def sent_hash() -> Hash:
            return self._sent.of_parts(digests[number] for number in sorted(digests))

        file = _OwnDescriptor(descriptor)
        try:
            done = await self._multipart(key, size, send, progress, check)
        finally:
            file.close()
        found = sent_hash()
        kept = done.get(self._sent_field)
        if kept is not None and kept.partition("-")[0] != found.value:
            raise HashMismatch(
                f"{self._store.url}/{key} is not what was read: {kept}, read {found.value}.",
                next_step="Run the call again when nothing writes to the file.",
                details={"key": key, "found": kept, "expected": found.value},
            )
        return found, stat_of(key, size, done)

    async def copy(
        self, key: str, source: PhysicalKey, size: int, etag: str, progress: Progress = no_progress
    ) -> Stored:
        """A copy inside S3; no byte comes to this machine. In parts from 8 MiB on.

        A role that may not name versions (s3:GetObjectVersion) gets the latest, while it has the ``etag`` of the one wanted.
        Raises HashMismatch for a source without versions that has another etag by now, ObjectArchived.
        """
        try:
            return await self._copy_pinned(key, source, size, etag, progress)
        except ObjectArchived as refusal:
            archives = Archives(BotoBucket(source.bucket or "", self._store.clients))
            raise await archives.explained(refusal, source.path, source.version_id) from refusal

    async def _copy_pinned(
        self, key: str, source: PhysicalKey, size: int, etag: str, progress: Progress
    ) -> Stored:
        if source.version_id is None:
            try:
                return await self._copy(key, source, size, progress, CopySourceIfMatch=etag)
            except PreconditionFailed as error:
                raise written_while_read(str(source), size) from error
        try:
            return await self._copy(key, source, size, progress)
        except PermissionDenied as refusal:
            try:
                latest = replace(source, version_id=None)
                return await self._copy(key, latest, size, progress, CopySourceIfMatch=etag)
            except (PermissionDenied, PreconditionFailed):
                raise refusal from None

    async def _copy(
        self, key: str, source: PhysicalKey, size: int, progress: Progress, **given: Any
    ) -> Stored:
        given["CopySource"] = {"Bucket": source.bucket or "", "Key": source.path}
        read = "s3:GetObject"
        if source.version_id is not None:
            given["CopySource"]["VersionId"] = source.version_id
            read = "s3:GetObjectVersion"
        given["action"] = f"s3:PutObject (and {read} on s3://{source.bucket}/{source.path})"
        if size < MULTIPART_FROM:
            done = await self._bucket.call("copy_object", key, ChecksumAlgorithm=self._sent.s3_name, **given)
            result = done["CopyObjectResult"]
            value = result.get(self._sent_field)
            found = None if value is None else _of_one_piece(self._sent, value, size)
            return Stored(found, stat_of(key, size, done | {"ETag": result["ETag"]}))
        part_size = self._sent.part_size(size)

        async def send(upload: str, number: int) -> dict[str, Any]:
            start = (number - 1) * part_size
            sent = await self._bucket.call(
                "upload_part_copy",
                key,
                UploadId=upload,
                PartNumber=number,
                CopySourceRange=f"bytes={start}-{min(start + part_size, size) - 1}",
                **given,
            )
            part = sent["CopyPartResult"]
            return {name: part[name] for name in ("ETag", self._sent_field) if name in part}

        done = await self._multipart(key, size, send, progress)
        value = str(done.get(self._sent_field) or "").partition("-")[0]
        return Stored(Hash(self._sent.name, value) if value else None, stat_of(key, size, done))

    async def _multipart(
        self,
        key: str,
        size: int,
        send: Callable[[str, int], Awaitable[dict[str, Any]]],
        progress: Progress,
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """``send`` is given the upload and the number of a part, from 1 on, and answers what S3 said of it. ``check`` is called
        when all are sent, before there is an object, and may raise."""
        whole = None if self._sent.chunked else "FULL_OBJECT"
        started = await self._bucket.call(
            "create_multipart_upload", key, ChecksumAlgorithm=self._sent.s3_name, ChecksumType=whole
        )
        upload = started["UploadId"]

        part_size = self._sent.part_size(size)
        tally = Tally(progress, size, "bytes stored")

        async def send_one(number: int) -> dict[str, Any]:
            sent = await send(upload, number)
            await tally.add(min(part_size, size - (number - 1) * part_size))
            return {"PartNumber": number, **sent}

        try:
            numbers = range(1, -(-size // part_size) + 1)
            parts = await collect(numbers, _PARTS_AT_ONCE, send_one)
            check()
            complete = partial(self._bucket.call, "complete_multipart_upload", key, UploadId=upload)
            with fails_when_silent(self._bucket.name):
                return await complete(MultipartUpload={"Parts": parts})
        except BaseException:
            # Cancelled or failed: an upload left open is storage that nobody sees and somebody pays for. Where it cannot be
            # aborted either, the failure that led here is what the caller is told.
            abort = partial(self._bucket.call, "abort_multipart_upload", key, UploadId=upload)
            with suppress(QuiltError, TimeoutError), anyio.move_on_after(_ABORTING_SECONDS):
                await to_its_end(abort, PATIENCE)
            raise

    async def stored(self, key: str, version: str | None, expected: Hash | None = None) -> Stored:
        """The object as it stands, with the hash that S3 keeps of it when it is one that quilt knows; no byte is read.

        One request; a second one for objects that came in parts, whose sizes must be quilt's (as they are where the hash is
        the one ``expected``).
        """
        found = await self._bucket.call("head_object", key, ChecksumMode="ENABLED", VersionId=version)
        size: int = found["ContentLength"]
        stat = stat_of(key, size, {"VersionId": version} | found)
        for checksum in sorted(CHECKSUMS.values(), key=lambda one: one is not self._sent):
            kept = str(found.get(f"Checksum{checksum.s3_name}") or "")
            value, _, count = kept.partition("-")
            part_size = checksum.part_size(size)
            if value and not count:
                is_whole = found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
                if is_whole and (size < MULTIPART_FROM or not checksum.chunked):
                    return Stored(_of_one_piece(checksum, value, size), stat)
            elif checksum.chunked and count == str(-(-size // part_size)):
                named = Hash(checksum.name, value)
                if named == expected or await self._has_parts_of(part_size, key, version, size):
                    return Stored(named, stat)
        return Stored(None, stat)

    async def _has_parts_of(self, part_size: int, key: str, version: str | None, size: int) -> bool:
        """Whether the object came in parts of this size (but the last)."""
        if size <= part_size:
            return True
        marker = 0
        while True:
            try:
                page = await self._bucket.call(
                    "get_object_attributes",
                    key,
                    ObjectAttributes=["ObjectParts"],
                    PartNumberMarker=marker,
                    VersionId=version,
                )
            except (PermissionDenied, NotSupported):
                return False  # not known; the object will be read
            parts = page.get("ObjectParts", {})
            listed = parts.get("Parts", [])
            total = parts.get("TotalPartsCount", 0)
            if not listed or any(part["Size"] != part_size for part in listed if part["PartNumber"] != total):
                return False
            if not parts.get("IsTruncated"):
                return True
            marker = parts["NextPartNumberMarker"]


def _require_expected(found: Hash, expected: Hash | None, size: int) -> None:
    if expected is not None and found != expected:
        raise written_while_read("The file", size)


def _of_one_piece(checksum: Checksum, kept: str, size: int) -> Hash:
    """By the digest that S3 keeps of an object in one piece."""
    return checksum.of_parts([(base64.b64decode(kept), size)] if size else [])


def whole_etag(etag: str | None) -> str | None:
    """The etag of an object that came in one piece, without its quotes; None of another."""
    bare = (etag or "").strip('"')
    return bare if bare and "-" not in bare else None


def etag_of(content: bytes) -> str:
    """What S3 has as the etag of an object that was sent in one piece, unencrypted."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
