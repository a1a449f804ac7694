"""BrowsingSessions: bytes of packages through a stack, for whoever has no way to S3.

Source: the catalog's own way. A cookie of the s3Proxy for a bearer, a session for a revision, then ranges of its files at
``{s3Proxy}/browse/{session}/{logical key}``. The proxy follows the registry's redirects to S3 itself, or leaves that to whoever
asks.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, urlsplit

from quilt_mcp.auth.stack_http import Answer, StackHttp, check_url
from quilt_mcp.catalog.shapes import text_of
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.errors import (
    InvalidArgument,
    Misconfigured,
    NotSupported,
    ObjectNotFound,
    PermissionDenied,
    StackFailed,
    StackRefused,
    StorageUnavailable,
    TooLarge,
)

PIECE: Final = 8 << 20
"""Bytes that are asked for at once."""
_SECONDS: Final = 180
_USED_FOR: Final = 120.0
_KEPT: Final = 32
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.3
_LONGEST_PAUSE: Final = 5.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 307})
_ID: Final = re.compile(r"[A-Za-z0-9_.~-]{1,200}")
_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18})")
_S3: Final = re.compile(
    r"(?:[a-z0-9.-]+\.)?s3(?:-accelerate|-fips)?(?:\.dualstack)?(?:[.-][a-z]{2}(?:-[a-z]+)+-\d)?\.amazonaws\.com(?:\.cn)?"
)
"""Hosts of S3 itself: at others below amazonaws.com anybody may be."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Some bytes of a file, and what is told of all of it."""

    data: bytes
    size: int
    etag: str
    modified: datetime | None


class BrowsingSessions:
    """Safe to share between threads. Blocks. ``s3_host``: where else than at AWS the stack's S3 may be."""

    def __init__(self, stack: Stack, s3_host: str | None = None) -> None:
        self._stack = stack
        self._s3_host = s3_host
        self._elsewhere = StackHttp(stack.site.trust)
        """For what the proxy leads to: it gets neither the token nor a cookie."""
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._has_cookie = False
        self._lock = threading.Lock()
        """For what is remembered: nothing is asked under it."""

    def read(self, revision: PackageUri, path: str, offset: int, length: int) -> Bytes:
        """At most ``length`` bytes (``PIECE`` at most) of a file of a revision, from ``offset`` on. A request, and one or two
        more for the first of a revision.

        Raises ObjectNotFound, PermissionDenied, NotSupported (the bucket is not browsable), AuthenticationError,
        StorageUnavailable.
        """
        wanted = {"Range": f"bytes={offset}-{offset + max(1, length) - 1}"}
        is_new = False
        for left in reversed(range(_ATTEMPTS)):
            try:
                session = self._session(revision)
                url = f"{self._proxy()}/browse/{session}/{quote(path)}"
                answer = self._stack.http.send("GET", url, headers=wanted, most=length + PIECE, is_file=True)
                if answer.status in _REDIRECTS:
                    answer = self._followed(answer, url, wanted, length)
            except TooLarge as error:
                raise _no_ranges(self._stack.host) from error
            except StorageUnavailable:
                if not left:
                    raise
                time.sleep(_PAUSE)
                continue
            if answer.status in (200, 206, 416):
                return _bytes(answer, offset, length)
            if answer.status in (401, 404) and not is_new and left:
                is_new = True
                self._forget(revision, session)  # which has ended, or the cookie has
            elif answer.status in _AGAIN and left:
                time.sleep(min(_LONGEST_PAUSE, answer.retry_after or _PAUSE))
            else:
                raise _refused(answer, path, revision)
        raise AssertionError("the last attempt returns or raises")

    def _proxy(self) -> str:
        proxy = self._stack.config().s3_proxy
        if proxy is None:
            raise NotSupported(
                "This stack's config.json names no s3Proxy, so no file can be read through it.",
                next_step="Ask an administrator of the stack.",
            )
        return proxy

    def _session(self, revision: PackageUri) -> str:
        """One that is good for a while yet."""
        scope = _scope(revision)
        with self._lock:
            held = self._sessions.setdefault(scope, _Session())
            self._sessions.move_to_end(scope)
            if len(self._sessions) > _KEPT:
                self._sessions.popitem(last=False)
        with held.making:  # by those alone who wait for this one
            if held.id and time.monotonic() - held.begun < _USED_FOR:
                return held.id
            if not self._has_cookie:
                self._set_cookie()
            held.begun = time.monotonic()
            answer = self._stack.graph.query("BrowsingSessionCreate", scope=scope, ttl=_SECONDS)
            try:
                made = result(answer.get("browsingSessionCreate"), "BrowsingSession")
            except StackRefused as error:
                raise _not_browsable(error, revision) from None
            found = text_of(made.get("id"))
            if found is None or _ID.fullmatch(found) is None:
                raise StackFailed(
                    "The Quilt stack answered with a browsing session that has no id.",
                    next_step="Try once more; if it stays so, tell an administrator of the stack.",
                )
            held.id = found
            return found

    def _set_cookie(self) -> None:
        """Kept by the client, for the proxy alone."""
        bearer, http = self._stack.bearer, self._stack.http
        url, token = f"{self._proxy()}/browse/set_browse_cookie", bearer.token()
        answer = http.send("POST", url, bearer=token)
        if answer.status == 401:
            answer = http.send("POST", url, bearer=bearer.renew(token, answer.host))
        if answer.status == 401:
            raise bearer.sign_in.refused(answer.host)
        if answer.status == 404:
            raise NotSupported(
                f"The s3Proxy of the stack ({answer.host}) brings no bytes of packages: it has no browsing sessions.",
                next_step="Ask an administrator of the stack.",
                details={"host": answer.host},
            )
        if answer.status == 403:
            raise PermissionDenied(
                f"The Quilt stack at {answer.host} does not let this user read files.",
                next_step="Ask an administrator of the stack for a role that may.",
                details={"host": answer.host},
            )
        if answer.status not in (200, 204):
            raise answer.strange(f"status {answer.status} for a browsing session", "Try again in a moment.")
        self._has_cookie = True

    def _forget(self, revision: PackageUri, session: str) -> None:
        """Unless another has been made since."""
        with self._lock:
            held = self._sessions.get(_scope(revision))
        if held is not None and held.id == session:
            held.id = ""
            self._has_cookie = False

    def _followed(self, answer: Answer, url: str, wanted: dict[str, str], length: int) -> Answer:
        """What a redirect leads to, where that is S3: data and answers name no other host that is asked."""
        target = answer.headers.get("location", "")
        try:
            host = urlsplit(target).hostname or ""
            check_url(target.partition("?")[0].partition("#")[0], "The redirect")
        except (InvalidArgument, ValueError):
            host = ""
        if not (_S3.fullmatch(host) or host in (urlsplit(url).hostname, self._s3_host)):
            raise Misconfigured(
                f"The Quilt stack at {answer.host} leads to what is not S3 for the bytes of a file.",
                next_step="Ask an administrator of the stack.",
                details={"host": answer.host},
            )
        return self._elsewhere.send("GET", target, headers=wanted, most=length + PIECE, is_file=True)


@dataclass(slots=True)
class _Session:
    """``id`` empty: it is still to be made."""

    id: str = ""
    begun: float = 0.0
    making: threading.Lock = field(default_factory=threading.Lock)


def _scope(revision: PackageUri) -> str:
    """Source: the catalog's own spelling of a revision."""
    return f"quilt+{revision.registry}#package={revision.name}@{revision.top_hash}"


def _bytes(answer: Answer, offset: int, length: int) -> Bytes:
    told, size = _RANGE.fullmatch(answer.headers.get("content-range", "")), len(answer.body)
    data = answer.body[offset : offset + length] if answer.status == 200 else answer.body[:length]
    if answer.status == 416 and not offset:
        size = 0  # only of an empty file is the first byte out of range
    elif answer.status != 200:
        if told is None or (answer.status == 206 and told[1] != str(offset)):
            raise answer.strange("another part of the file than was asked for", "Try once more.")
        size = int(told[2])
    if answer.status == 416:
        data = b""
    elif len(data) != max(0, min(length, size - offset)):
        raise answer.strange("a part of the bytes only", "Try once more.")
    modified: datetime | None = None
    with suppress(ValueError):
        modified = parsedate_to_datetime(answer.headers.get("last-modified", ""))
        modified = modified if modified.tzinfo else modified.replace(tzinfo=UTC)
    return Bytes(data, size, answer.headers.get("etag", ""), modified)


def _refused(
    answer: Answer, path: str, revision: PackageUri
) -> ObjectNotFound | PermissionDenied | StorageUnavailable:
    about = {"host": answer.host, "path": path, "package": str(revision)}
    if answer.status == 404:
        return ObjectNotFound(
            f"The Quilt stack has no bytes of {path!r}: the object is gone, or the revision is.",
            next_step="Call package_verify, or ask whoever owns the bucket.",
            details=about,
        )
    if answer.status in (401, 403):
        return PermissionDenied(
            f"The Quilt stack does not let this user read {path!r}.",
            next_step="Ask an administrator of the stack for a role that may, or call role_switch where status shows another.",
            details=about,
        )
    return answer.strange(f"status {answer.status} for the bytes of a file", "Try again in a moment.")


def _no_ranges(host: str) -> NotSupported:
    return NotSupported(
        f"The Quilt stack at {host} brings whole files only, and this one is larger than is read at once.",
        next_step="Ask an administrator of the stack, whose proxy should answer requests for a range.",
        details={"host": host},
    )


def _not_browsable(error: StackRefused, revision: PackageUri) -> StackRefused | NotSupported:
    if error.details.get("name") != "BucketNotBrowsable":
        return error
    return NotSupported(
        f"{revision.registry} is not browsable, so the stack brings no bytes of its packages.",
        next_step="Ask an administrator of the stack to make the bucket browsable, or for AWS credentials.",
        details={"registry": revision.registry},
    )
