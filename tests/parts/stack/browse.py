"""Bytes of a package by a browsing session: a cookie for a bearer, then ranges of the objects that the revision names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError
from quilt3.packages import PackageEntry
from quilt3.util import QuiltException

from parts.stack.holdings import Holdings
from parts.stack.state import Refused, State, User

COOKIE = "quilt_browse"


def new_cookie(state: State, user: User) -> str:
    return state.new_token(user)[0]


def user_of_cookie(state: State, cookie: str | None) -> User:
    if not cookie:
        raise Refused(401, "Not logged in")
    return state.user_of(cookie)


def read(
    state: State, holdings: Holdings, user: User, session_id: str, logical_key: str, wanted: str | None
) -> tuple[int, dict[str, str], Iterator[bytes]]:
    """Status, headers and the bytes. ``wanted`` is the Range header."""
    session = state.sessions.get(session_id)
    if session is None or session.expires < time.time():
        raise Refused(404, "Session not found")
    if session.user != user.name or session.bucket not in state.permissions(user.role):
        raise Refused(403, "Forbidden")
    try:
        entry = holdings.package(session.bucket, session.name, session.top_hash)[logical_key]
    except (KeyError, QuiltException, ClientError):
        entry = None
    if not isinstance(entry, PackageEntry):
        raise Refused(404, "No such entry")
    place = entry.physical_key
    asked: dict[str, Any] = {"Bucket": place.bucket, "Key": place.path}
    if place.version_id:
        asked["VersionId"] = place.version_id
    if state.browse_redirects:
        signed = holdings.s3.generate_presigned_url("get_object", Params=asked, ExpiresIn=300)
        return 302, {"Location": signed, "Content-Length": "0"}, iter(())
    if wanted:
        asked["Range"] = wanted
    try:
        found = holdings.s3.get_object(**asked)
    except ClientError as error:
        raise Refused(error.response["ResponseMetadata"]["HTTPStatusCode"], str(error)) from None
    headers = {
        "Content-Length": str(found["ContentLength"]),
        "Content-Type": found["ContentType"],
        "ETag": found["ETag"],
        "Accept-Ranges": "bytes",
    }
    if "ContentEncoding" in found:
        headers["Content-Encoding"] = found["ContentEncoding"]
    if "ContentRange" in found:
        headers["Content-Range"] = found["ContentRange"]
    return found["ResponseMetadata"]["HTTPStatusCode"], headers, found["Body"].iter_chunks(1 << 16)
