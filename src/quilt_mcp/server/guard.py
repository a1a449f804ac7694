"""Who may ask over HTTP, and how: a guard in front of the SDK's application.

The SDK compares Host and Origin by their beginning and redirects before it looks; here both are compared whole, first of all.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import anyio

from quilt_mcp.domain.printable import printable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH: Final = "/mcp"
BODY_SECONDS: Final = 30.0
"""How long a client may take to send a request's body."""
_HEADER_NAMES: Final = re.compile(rb"[A-Za-z0-9\-, ]{1,1000}")
_EXPOSED: Final = b"WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version"


class Guard:
    """An ASGI application. ``token`` None: whoever reaches it is served."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authorities: Iterable[str],
        origins: Iterable[str],
        token: str | None,
        max_body: int,
    ) -> None:
        self._app = app
        self._authorities = {one.lower().encode("latin-1") for one in authorities}
        self._origins = {one.lower().rstrip("/").encode("latin-1") for one in origins}
        self._credential = f"Bearer {token}".encode() if token is not None else None
        self._max_body = max_body
        self._at_work: set[anyio.CancelScope] = set()

    def stop(self) -> None:
        """Cancels what is at work, so that it cleans up."""
        for scope in self._at_work:
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = complete = False

        async def sending(message: Message) -> None:
            nonlocal begun, complete
            begun = True
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as work:
            self._at_work.add(work)
            try:
                await self._answer(scope, receive, sending)
            finally:
                self._at_work.discard(work)
        if work.cancelled_caught and not begun:
            await _refuse(send, 503, "The server was told to stop, and has cancelled this call.")
        elif work.cancelled_caught and not complete:
            await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._authorities:
            shown = _shown(hosts)
            why = f"This server is not {shown}. To serve it under that name: QUILT_MCP_ALLOWED_HOSTS={shown}."
            return await _refuse(send, 421, why)
        if origins and (len(origins) > 1 or origins[0].lower() not in self._origins):
            shown = _shown(origins)
            why = f"Pages of {shown} may not ask here. To let them: QUILT_MCP_ALLOWED_ORIGINS={shown}."
            return await _refuse(send, 403, why)
        if origins:
            send = _for_origin(send, origins[0])
        if scope["path"].rstrip("/") != PATH:
            return await _refuse(send, 404, f"There is only {PATH} here.")
        if scope["method"] == "OPTIONS":
            return await _allow(scope, send)
        if scope["method"] != "POST":
            why = "Only POST is answered: this server keeps no sessions, and so has no stream to listen to."
            return await _refuse(send, 405, why, (b"allow", b"POST, OPTIONS"))
        if not self._knows(_values(scope, b"authorization")):
            why = "The header Authorization: Bearer TOKEN is missing or wrong; the server printed the token as it started."
            return await _refuse(send, 401, why, (b"www-authenticate", b"Bearer"))
        body = bytearray()
        with anyio.move_on_after(BODY_SECONDS) as time:
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if len(body) > self._max_body or not message.get("more_body", False):
                    break
            else:
                return None  # the client left
        if time.cancelled_caught:
            return await _refuse(send, 408, f"The body did not come within {BODY_SECONDS:.0f} s.")
        if len(body) > self._max_body:
            return await _refuse(
                send, 413, f"The body is larger than {self._max_body} bytes (--max-body-bytes)."
            )
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app({**scope, "path": PATH, "raw_path": PATH.encode()}, replay, send)

    def _knows(self, given: list[bytes]) -> bool:
        if self._credential is None:
            return True
        return len(given) == 1 and hmac.compare_digest(given[0], self._credential)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for header, value in scope["headers"] if header == name]


def _shown(values: list[bytes]) -> str:
    return printable(", ".join(one.decode("latin-1") for one in values)[:200]) or "(empty)"


def _for_origin(send: Send, origin: bytes) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            allowing = [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _EXPOSED),
                (b"vary", b"Origin"),
            ]
            message = {**message, "headers": [*message.get("headers", []), *allowing]}
        await send(message)

    return sending


async def _allow(scope: Scope, send: Send) -> None:
    """The answer to a browser that asks before it sends. It has no token yet."""
    headers = [(b"allow", b"POST, OPTIONS"), (b"access-control-allow-methods", b"POST")]
    wanted = b", ".join(_values(scope, b"access-control-request-headers"))
    if _HEADER_NAMES.fullmatch(wanted):
        headers += [(b"access-control-allow-headers", wanted), (b"access-control-max-age", b"600")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
    """A request that is refused may have a body that nobody reads, so its connection ends."""
    body = f"{why}\n".encode()
    own = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
