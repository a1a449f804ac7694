"""RegistryHttp: the two calls to a Quilt registry that credentials come from, through one client.

https only (or http on loopback), no redirects, bounded in time and size. No error carries anything that was sent or answered.
"""

from __future__ import annotations

import ipaddress
import json
import threading
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

from quilt_mcp import __version__
from quilt_mcp.auth.quilt3_files import LOGIN, Tokens
from quilt_mcp.errors import AuthenticationError, InvalidArgument, StorageUnavailable
from quilt_mcp.storage.s3.clients import AwsKeys

_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 15
_ANSWER_BYTES: Final = 1 << 20


def check_url(url: str, what: str) -> str:
    """The URL without a closing slash. Raises InvalidArgument unless it is https, or http on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    if parts is None or not host or parts.scheme not in {"http", "https"}:
        raise InvalidArgument(f"{what} is not a URL.", next_step="Give it as https://host.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidArgument(
            f"{what} holds more than a host and a path.", next_step="Give it as https://host."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidArgument(
            f"{what} is {parts.scheme}://{host}, and secrets are sent over https only.",
            next_step=f"Use https://{host}.",
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RegistryHttp:
    """Safe to share between threads. The client is made at the first call."""

    def __init__(self) -> None:
        self._client: Any = None
        self._making = threading.Lock()

    def exchange(self, registry_url: str, refresh_token: str) -> Tokens:
        """Trades a refresh token, which is used up by it, for a new pair. One request, never repeated.

        Raises AuthenticationError when the registry refuses the token, StorageUnavailable when it cannot be asked.
        """
        answer = self._ask("POST", registry_url, "/api/token", form={"refresh_token": refresh_token})
        if answer.get("error") is not None:
            raise _refused(registry_url)
        tokens = Tokens.read(answer)
        if tokens is None:
            raise _strange(registry_url, "an answer without tokens")
        return tokens

    def aws_keys(self, registry_url: str, bearer: str) -> AwsKeys:
        """AWS credentials of the session's role. Raises as ``exchange``."""
        answer = self._ask("GET", registry_url, "/api/auth/get_credentials", bearer=bearer)
        values = [answer.get(k) for k in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")]
        if not all(isinstance(value, str) and value for value in values):
            raise _strange(registry_url, "an answer without AWS credentials")
        access, secret, token, expiration = cast("list[str]", values)
        expires = when(expiration)
        if expires is None:
            raise _strange(registry_url, "AWS credentials that end at no time")
        return AwsKeys(access, secret, token, expires)

    def _ask(
        self,
        method: str,
        registry_url: str,
        path: str,
        *,
        form: dict[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        import httpx2

        url = check_url(registry_url, "registryUrl of quilt3's config.yml")
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        try:
            with self._open().stream(method, url + path, data=form, headers=headers) as answer:
                status: int = answer.status_code
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _ANSWER_BYTES:
                        raise _strange(registry_url, "an answer that does not end")
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise StorageUnavailable(
                f"The Quilt registry {_host(registry_url)} cannot be reached ({type(error).__name__}).",
                next_step="Check the network and the proxy, then try again.",
                details={"registry_url": registry_url},
            ) from None
        if status in {400, 401, 403, 422}:
            raise _refused(registry_url)
        if 300 <= status < 400:
            raise _strange(registry_url, "a redirect, which is not followed")
        if status != 200:
            raise _strange(registry_url, f"status {status}")
        try:
            value: Any = json.loads(bytes(body))
        except (ValueError, RecursionError):
            raise _strange(registry_url, "something that is not JSON") from None
        if not isinstance(value, dict):
            raise _strange(registry_url, "something that is not a JSON object")
        return cast("dict[str, Any]", value)

    def _open(self) -> Any:
        import httpx2

        with self._making:
            if self._client is None:
                self._client = httpx2.Client(
                    timeout=httpx2.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                    # Once an hour: no connection is kept that nobody would close.
                    limits=httpx2.Limits(max_keepalive_connections=0),
                    follow_redirects=False,
                    headers={"Accept": "application/json", "User-Agent": f"quilt-mcp/{__version__}"},
                )
            return self._client


def when(text: object) -> datetime | None:
    """An ISO 8601 time, UTC where it names no zone."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _host(registry_url: str) -> str:
    return urlsplit(registry_url).netloc


def _refused(registry_url: str) -> AuthenticationError:
    return AuthenticationError(
        f"The Quilt registry {_host(registry_url)} no longer accepts the saved session.",
        next_step=f"Run `{LOGIN}`.",
        details={"registry_url": registry_url, "command": LOGIN},
    )


def _strange(registry_url: str, what: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"The Quilt registry {_host(registry_url)} answered with {what}.",
        next_step="Try again; is a proxy in the way, or registryUrl in quilt3's config.yml not a Quilt registry?",
        details={"registry_url": registry_url},
    )
