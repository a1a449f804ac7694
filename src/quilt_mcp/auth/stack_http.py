"""StackHttp: what is sent to a Quilt stack and what comes back, through one client.

https only (or http on loopback), no redirects, bounded in time and size. No error carries anything that was sent or answered.
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast
from urllib.parse import urlsplit

from quilt_mcp import __version__
from quilt_mcp.errors import InvalidArgument, Misconfigured, StorageUnavailable

_HEADER: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 15
_ANSWER_BYTES: Final = 1 << 20
_IDLE_SECONDS: Final = 30
_WHOLE_SECONDS: Final = 50.0
"""From the first byte sent to the last one read, however slowly they come."""


def check_url(url: str, what: str) -> str:
    """The URL without a closing slash. Raises InvalidArgument unless it is https, or http on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    is_clean = url.isprintable() and " " not in url
    if parts is None or not host or not is_clean or parts.scheme not in {"http", "https"}:
        raise InvalidArgument(f"{what} is not a URL.", next_step="Give it as https://host.")
    if parts.username or parts.password or "?" in url or "#" in url:
        raise InvalidArgument(
            f"{what} holds more than a host and a path.", next_step="Give it as https://host."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidArgument(
            f"{what} is {parts.scheme}://{host}, and secrets are sent over https only.",
            next_step=f"Use https://{host}.",
        )
    return url.rstrip("/")


def is_same_url(url: str, other: str) -> bool:
    """Whether two addresses are one place. A host's letters have no case, and no stack has paths that differ in theirs alone."""
    return url.rstrip("/").casefold() == other.rstrip("/").casefold()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. ``host`` is whom it came from; ``headers`` by their names in small letters."""

    host: str
    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def retry_after(self) -> float | None:
        """Seconds, where they were told; a date is not worth its clock."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isdecimal() and len(told) < 6 else None

    def json(self, next_step: str) -> dict[str, Any]:
        """The JSON object that it is. Raises StorageUnavailable for anything else, and Misconfigured for what stays so."""
        if 300 <= self.status < 400:
            raise self.strange("a redirect, which is not followed", next_step)
        if 400 <= self.status < 500 and self.status not in (408, 429):
            raise Misconfigured(
                f"The Quilt stack at {self.host} answered with status {self.status}: it does not take such requests.",
                next_step="Check QUILT_CATALOG_URL, or quilt3's catalog; `quilt-mcp doctor` says which is used.",
                details={"host": self.host},
            )
        if self.status != 200:
            raise self.strange(f"status {self.status}", next_step)
        try:
            value: Any = json.loads(self.body)
        except (ValueError, RecursionError):
            raise self.strange("something that is not JSON", next_step) from None
        if not isinstance(value, dict):
            raise self.strange("something that is not a JSON object", next_step)
        return cast("dict[str, Any]", value)

    def strange(self, what: str, next_step: str) -> StorageUnavailable:
        return StorageUnavailable(
            f"The Quilt stack at {self.host} answered with {what}.",
            next_step=next_step,
            details={"host": self.host},
        )


class StackHttp:
    """Safe to share between threads. The client is made at the first call, and closed with what made it."""

    def __init__(self) -> None:
        self._client: Any = None
        self._making = threading.Lock()

    def send(
        self,
        method: str,
        url: str,
        *,
        bearer: str | None = None,
        form: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        most: int = _ANSWER_BYTES,
        is_file: bool = False,
    ) -> Answer:
        """One request, never repeated. ``url`` has passed ``check_url``; ``body`` is sent as JSON; ``most`` bytes are read.
        ``is_file``: a file's own bytes are asked for, whatever encoding it names. Cookies are kept for the host that gave them.
        Raises StorageUnavailable."""
        import httpx2

        if bearer is not None and _HEADER.fullmatch(bearer) is None:
            raise InvalidArgument(
                "The token holds characters that no token has (a blank, a line end, a letter that is not ASCII).",
                next_step="Copy it again, whole and by itself.",
            )
        host = urlsplit(url).netloc
        until = time.monotonic() + _WHOLE_SECONDS
        signed = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        given: dict[str, Any] = {"headers": {**(headers or {}), **signed}}
        given |= {"data": dict(form)} if form is not None else {}
        given |= {"json": body} if body is not None else {}
        try:
            with self._open().stream(method, url, **given) as answer:
                status: int = answer.status_code
                found = Answer(host, status, b"", dict(answer.headers))
                read = bytearray()
                for chunk in answer.iter_raw() if is_file else answer.iter_bytes():
                    read += chunk
                    if len(read) > most or time.monotonic() > until:
                        raise found.strange("an answer that does not end", "Ask for less at once.")
        except UnicodeError:
            raise InvalidArgument(
                "A text of the request holds half of a surrogate pair, which no other program reads.",
                next_step="Make the same call with another text.",
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise StorageUnavailable(
                f"The Quilt stack at {host} cannot be reached ({type(error).__name__}).",
                next_step="Check the network and the proxy, then try again.",
                details={"host": host},
            ) from None
        return replace(found, body=bytes(read))

    def _open(self) -> Any:
        import httpx2

        with self._making:
            if self._client is None:
                self._client = httpx2.Client(
                    timeout=httpx2.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                    limits=httpx2.Limits(keepalive_expiry=_IDLE_SECONDS),
                    follow_redirects=False,
                    headers={"Accept": "application/json", "User-Agent": f"quilt-mcp/{__version__}"},
                )
                weakref.finalize(self, self._client.close)
            return self._client
