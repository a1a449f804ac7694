"""StackHttp: what is sent to a Quilt stack and what comes back, through one client.

https only (or http on loopback), no redirects, bounded in time and size. No error carries anything that was sent or answered.
Proxies and certificate authorities are those of ``environment``.
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
from quilt_mcp.environment import authorities, authorities_folder, proxy_before
from quilt_mcp.errors import InvalidArgument, Misconfigured, QuiltError, StorageUnavailable, TooLarge

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
                details={"host": self.host, "status": self.status},
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
            details={"host": self.host, "status": self.status},
        )


class Trust:
    """Whose certificates are trusted, read once for all who share it. Safe to share between threads.

    It is all that users of one stack share on the wire. A connection that one of them used may hold more than its answer, which
    the next request on it would be given: so no two users' requests ever go by one connection."""

    def __init__(self) -> None:
        self._context: Any = None
        self._reading = threading.Lock()

    def context(self) -> Any:
        """Raises Misconfigured for a file that holds no certificates."""
        with self._reading:
            if self._context is None:
                self._context = _trusted()
            return self._context


class StackHttp:
    """One user's requests, with the cookies that a stack gives them, by connections of their own. Safe to share between threads.
    The client of a proxy (or of none) is made at the first call, and closed with what made it."""

    def __init__(self, trust: Trust | None = None) -> None:
        self._trust = trust or Trust()
        self._clients: dict[str | None, Any] = {}
        self._making = threading.Lock()

    def close(self) -> None:
        """Its connections; it may be used again."""
        with self._making:
            clients, self._clients = self._clients, {}
        for one in clients.values():
            one.close()

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
        seconds: float | None = None,
    ) -> Answer:
        """One request, never repeated. ``url`` has passed ``check_url``; ``body`` is sent as JSON; ``most`` bytes are read.
        ``is_file``: a file's own bytes are asked for, whatever encoding it names. ``seconds``: how long an answer may be waited
        for, where that is longer than for others. Cookies are kept for the host that gave them.

        Raises TooLarge for an answer of more than ``most`` bytes, StorageUnavailable, and Misconfigured for a certificate that is
        not trusted and a proxy that cannot be used."""
        import httpx2

        if bearer is not None and _HEADER.fullmatch(bearer) is None:
            raise InvalidArgument(
                "The token holds characters that no token has (a blank, a line end, a letter that is not ASCII).",
                next_step="Copy it again, whole and by itself.",
            )
        host = urlsplit(url).netloc
        until = time.monotonic() + (seconds or 0) + _WHOLE_SECONDS
        signed = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        plain = {"Accept-Encoding": "identity"} if is_file else {}
        given: dict[str, Any] = {"headers": {**plain, **(headers or {}), **signed}}
        given |= {"timeout": httpx2.Timeout(seconds, connect=_CONNECT_SECONDS)} if seconds else {}
        given |= {"data": dict(form)} if form is not None else {}
        given |= {"json": body} if body is not None else {}
        try:
            with self._open(proxy_before(url)).stream(method, url, **given) as answer:
                status: int = answer.status_code
                found = Answer(host, status, b"", dict(answer.headers))
                read = bytearray()
                for chunk in answer.iter_raw() if is_file else answer.iter_bytes():
                    read += chunk
                    if len(read) > most:
                        raise TooLarge(
                            f"The Quilt stack at {host} answers with more than {most:,} bytes, which are not read.",
                            next_step="Ask for less at once.",
                            details={"host": host},
                        )
                    if time.monotonic() > until:
                        raise found.strange("an answer that does not end", "Ask for less at once.")
        except UnicodeError:
            raise InvalidArgument(
                "A text of the request holds half of a surrogate pair, which no other program reads.",
                next_step="Make the same call with another text.",
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _lost(host, error) from None
        return replace(found, body=bytes(read))

    def _open(self, proxy: str | None) -> Any:
        import httpx2

        with self._making:
            if proxy not in self._clients:
                self._clients[proxy] = httpx2.Client(
                    trust_env=False,
                    proxy=None if proxy is None else _proxy(proxy),
                    verify=self._trust.context(),
                    limits=httpx2.Limits(keepalive_expiry=_IDLE_SECONDS),
                    timeout=httpx2.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                    follow_redirects=False,
                    headers={"Accept": "application/json", "User-Agent": f"quilt-mcp/{__version__}"},
                )
                weakref.finalize(self, self._clients[proxy].close)
            return self._clients[proxy]


def _proxy(url: str) -> Any:
    """Raises Misconfigured for a kind of proxy that there is no client for."""
    import httpx2

    if urlsplit(url).scheme not in {"http", "https"}:
        raise Misconfigured(
            "The environment names a proxy that is neither http:// nor https://, which requests to a Quilt stack cannot go by.",
            next_step="Set HTTPS_PROXY to an HTTP proxy, or put the stack's host into NO_PROXY.",
        )
    return httpx2.Proxy(url)


def _trusted() -> Any:
    """The system's certificate authorities, and those that the environment names. Raises Misconfigured for a file of none."""
    import httpx2

    context = httpx2.create_ssl_context(trust_env=False)
    for name, file in authorities():
        try:
            context.load_verify_locations(file)
        except OSError:  # as ssl.SSLError is
            raise Misconfigured(
                f"{name} names {file}, which cannot be read as a file of certificates.",
                next_step=f"Set {name} to a file of certificates (PEM), or unset it.",
                details={"ca_bundle": file},
            ) from None
    if folder := authorities_folder():
        context.load_verify_locations(capath=folder)
    return context


def _lost(host: str, error: Exception) -> QuiltError:
    details = {"host": host}
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Misconfigured(
            f"The Quilt stack at {host} shows a certificate that this machine does not trust.",
            next_step="Set SSL_CERT_FILE to the certificates (PEM) of whoever signed it: your network's proxy, or "
            "the stack's own authority.",
            details=details,
        )
    if type(error).__name__ == "ProxyError":
        return StorageUnavailable(
            f"The Quilt stack at {host} is not let through by the proxy.",
            next_step="Check HTTPS_PROXY (and NO_PROXY for hosts of your own), then try again.",
            details=details,
        )
    return StorageUnavailable(
        f"The Quilt stack at {host} cannot be reached ({type(error).__name__}).",
        next_step="Check the network and the proxy, then try again.",
        details=details,
    )
