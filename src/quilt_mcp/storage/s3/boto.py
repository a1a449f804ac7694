"""BotoBucket: one bucket by boto3, which can all that S3 can, at any key. Each request runs in a worker thread."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from anyio import to_thread

from quilt_mcp.errors import (
    InvalidName,
    NotFound,
    NotSupported,
    PermissionDenied,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.s3.answers.listing import LISTED
from quilt_mcp.storage.s3.body import Body
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.errors import s3_errors
from quilt_mcp.storage.s3.network import is_page, not_s3
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import in_thread

_REQUESTS: Final = {
    "list_objects_v2": ("s3:ListBucket", LISTED),
    "list_object_versions": ("s3:ListBucketVersions", LISTED),
    "get_bucket_versioning": ("s3:GetBucketVersioning", ""),
    "head_object": ("s3:GetObject", "ETag"),
    "get_object": ("s3:GetObject", "ETag"),
    "get_object_attributes": ("s3:GetObjectAttributes", ""),
    "put_object": ("s3:PutObject", "ETag"),
    "copy_object": ("s3:PutObject", "CopyObjectResult"),
    "create_multipart_upload": ("s3:PutObject", "UploadId"),
    "upload_part": ("s3:PutObject", "ETag"),
    "upload_part_copy": ("s3:PutObject", "CopyPartResult"),
    "complete_multipart_upload": ("s3:PutObject", "ETag"),
    "abort_multipart_upload": ("s3:AbortMultipartUpload", ""),
    "delete_object": ("s3:DeleteObject", ""),
    "restore_object": ("s3:RestoreObject", ""),
}
"""By boto3's method: the IAM action that the request needs, and what every S3 answers to it ('': nothing in particular)."""
_READS: Final = ("get_object", "head_object", "get_object_attributes")
_READING: Final = ("list_", "head_", "get_")
_COPIES: Final = ("copy_object", "upload_part_copy")
_PATIENT: Final = (*_COPIES, "complete_multipart_upload")
"""What S3 may take its time for, and some servers say nothing until it is done."""
PATIENCE: Final = 0.5
"""Seconds that a request which writes has left when its call is cancelled."""
_NEVER_PAID: Final = "get_bucket_versioning"
"""No requester pays for it, and it has no way to say that one would."""


class BotoBucket:
    def __init__(self, name: str, clients: S3Clients) -> None:
        self.name = name
        self._clients = clients

    async def call(self, method: str, key: str | None = None, **given: Any) -> dict[str, Any]:
        """One request, see ``call_now``. Cancelled, it leaves a request that only reads to itself, and any other after a moment.

        A read of a version that is refused costs a second request, a refused HEAD one that says why.
        """
        is_read = method.startswith(_READING)
        try:
            return await in_thread(
                partial(self.call_now, method, key, **given),
                patience=0 if is_read else PATIENCE,
                undo=partial(self._undo, method, key),
                limiter=limits().senders if method in _COPIES else None,
            )
        except (NotSupported, PermissionDenied, StorageUnavailable) as refusal:
            version = given.get("VersionId")
            if version is not None and method in _READS and isinstance(refusal, PermissionDenied):
                return await self._call_latest(refusal, method, key, given)
            if method == "head_object":
                await self.explain(refusal, key, version)
            raise

    def call_now(
        self, method: str, key: str | None = None, *, action: str | None = None, **given: Any
    ) -> dict[str, Any]:
        """One request, by boto3's names; what is given as None is left out. ``action``: the IAM action that it needs, where that
        is not the method's own. Blocks."""
        needs, sign = _REQUESTS[method]
        asked = {name: value for name, value in given.items() if value is not None}
        if key is not None:
            self._require_sendable(key)
            asked["Key"] = key
        if "VersionId" in asked and method != "restore_object":
            needs = needs.replace("Object", "ObjectVersion")
        if self._clients.requester_pays and method != _NEVER_PAID:
            asked["RequestPayer"] = "requester"
        with s3_errors(self.name, key, action or needs):
            client = self._clients.boto(self.name, patient=method in _PATIENT)
            answer = getattr(client, method)(Bucket=self.name, **asked)
        is_object = "ETag" in answer  # which may be a page that somebody stored
        if (is_page(answer) and not is_object) or (sign and sign not in answer):
            _let_go(answer)
            raise not_s3(self.name)
        return answer

    def _require_sendable(self, key: str) -> None:
        """Where the bucket stands in the path, '..' in a key may lead to another bucket: what stands between may fold it."""
        if ".." in key.split("/") and self._clients.by_path(self.name):
            raise InvalidName(
                f"s3://{self.name}/{key} has '..' between slashes, which leads to another bucket on some ways to the server.",
                next_step="Name the key that is meant, without '..'; an object of such a name takes the server's own tools.",
                details={"bucket": self.name, "key": key},
            )

    def _undo(self, method: str, key: str | None, answer: dict[str, Any]) -> None:
        """Lets go of what a request has brought whose call was cancelled meanwhile."""
        _let_go(answer)
        if method == "create_multipart_upload":
            with suppress(QuiltError):
                self.call_now("abort_multipart_upload", key, UploadId=answer["UploadId"])

    async def _call_latest(
        self, refusal: PermissionDenied, method: str, key: str | None, given: dict[str, Any]
    ) -> dict[str, Any]:
        """What a role that may not name versions (s3:GetObjectVersion) can still read: the one wanted, while it is the latest."""
        try:
            found = await self.call(method, key, **given | {"VersionId": None})
        except (PermissionDenied, NotFound):
            raise refusal from None
        if found.get("VersionId") == given["VersionId"]:
            return found
        _let_go(found)
        raise PermissionDenied(
            f"s3://{self.name}/{key} has a newer version, and the one that is wanted may not be read.",
            next_step="Ask for the IAM action s3:GetObjectVersion on it; without it only the latest version can be read.",
            details={"bucket": self.name, "key": key, "action": "s3:GetObjectVersion"},
        ) from refusal

    async def explain(self, refusal: QuiltError, key: str | None, version: str | None) -> None:
        """A HEAD that S3 refuses has no body to say why in (expired, skewed, forbidden): asks the same by a GET, which raises
        what it says. The body is not read."""
        if refusal.details.get("http_status") in (400, 403):
            found = await self.call("get_object", key, VersionId=version)
            found["Body"].close()

    async def stat(self, key: str, version: str | None) -> ObjectStat:
        found = await self.call("head_object", key, VersionId=version)
        return stat_of(key, found["ContentLength"], found)

    async def open(self, key: str, offset: int, length: int | None, version: str | None) -> Body:
        """The bytes [offset, offset + length), under way."""
        wanted = None
        if offset or length is not None:
            wanted = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        found = await self.call("get_object", key, VersionId=version, Range=wanted)
        content = found["Body"]

        def read_now(count: int) -> bytes:
            with s3_errors(self.name, key, "s3:GetObject"):
                return content.read(count)

        async def chunks(count: int) -> AsyncIterator[bytes]:
            # A body that a thread still reads cannot be closed but by that thread.
            while chunk := await in_thread(partial(read_now, count), undo=lambda _: content.close()):
                try:
                    yield chunk
                except BaseException:
                    content.close()
                    raise
            content.close()

        announced: int = found["ContentLength"]
        size = str(found.get("ContentRange", "")).rpartition("/")[2] or announced
        return Body(stat_of(key, int(size), found), announced, chunks)

    async def put(self, key: str, body: bytes | Path, if_absent: bool, if_match: str | None) -> ObjectStat:
        """A file is sent as it is read, in one request, which takes up to 5 GiB."""
        conditions = {"IfNoneMatch": "*" if if_absent else None, "IfMatch": if_match}
        with ExitStack() as held:
            opened = held.enter_context(open(body, "rb")) if isinstance(body, Path) else body  # noqa: ASYNC230 - a local file
            checksum, size = await to_thread.run_sync(_digest, opened)
            # boto3 would send a checksum of its own making behind the body, in a coding that not every server knows.
            done = await self.call("put_object", key, Body=opened, ChecksumSHA256=checksum, **conditions)
        return stat_of(key, size, done)

    async def sign(self, key: str, *, version: str | None, expires_in: int) -> tuple[str, datetime]:
        asked = {} if version is None else {"VersionId": version}
        return await self._sign("get_object", key, asked, expires_in)

    async def sign_upload(
        self, key: str, *, size: int, expires_in: int
    ) -> tuple[str, dict[str, str], datetime]:
        """A PUT of ``size`` bytes where nothing is; the headers that are signed, so that without them it is refused."""
        if self._clients.keys is None:
            raise NotSupported(
                f"There are no AWS credentials here to sign an upload to s3://{self.name} with.",
                next_step="Sign in (`aws sso login`, `quilt-mcp login`, or AWS keys); `quilt-mcp doctor` says what was tried.",
                details={"bucket": self.name},
            )
        asked: dict[str, Any] = {"ContentLength": size, "IfNoneMatch": "*"}
        headers = {"Content-Length": str(size), "If-None-Match": "*"}
        if self._clients.requester_pays:
            asked["RequestPayer"] = headers["x-amz-request-payer"] = "requester"
        url, expires = await self._sign("put_object", key, asked, expires_in)
        return url, headers, expires

    async def _sign(
        self, method: str, key: str, asked: dict[str, Any], expires_in: int
    ) -> tuple[str, datetime]:
        self._require_sendable(key)

        def sign_now() -> tuple[str, datetime]:
            with s3_errors(self.name, key, _REQUESTS[method][0]):
                client = self._clients.boto(self.name)
                named = {"Bucket": self.name, "Key": key, **asked}
                url = client.generate_presigned_url(method, Params=named, ExpiresIn=expires_in)
            ends = datetime.now(UTC) + timedelta(seconds=expires_in)
            return url, min(ends, self._clients.keys_end() or ends)

        return await in_thread(sign_now)


def stat_of(key: str, size: int, answer: dict[str, Any]) -> ObjectStat:
    """Of an object read or written. S3 tells no time when it takes one."""
    modified = answer.get("LastModified") or datetime.now(UTC)
    return ObjectStat(key, size, answer["ETag"], modified, answer.get("VersionId"))


def _digest(content: bytes | io.BufferedReader) -> tuple[str, int]:
    """SHA256 as S3 writes it, and the size. Leaves a file at its beginning."""
    if isinstance(content, bytes):
        digest, size = hashlib.sha256(content), len(content)
    else:
        digest, size = hashlib.file_digest(content, "sha256"), content.tell()
        content.seek(0)
    return base64.b64encode(digest.digest()).decode(), size


def _let_go(answer: dict[str, Any]) -> None:
    """Closes the connection of a body that is not read to its end."""
    if "Body" in answer:
        answer["Body"].close()
