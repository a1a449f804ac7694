"""Who may ask over HTTP, and how: a guard in front of the SDK's application.

The SDK compares Host and Origin by their beginning and redirects before it looks; here both are compared whole, first of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import anyio

from quilt_mcp.auth.identity import Asker
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import AuthenticationError, InvalidArgument
from quilt_mcp.server.http.door import Door, Guest
from quilt_mcp.server.http.exchange import Exchange
from quilt_mcp.server.http.pages import Page, Pages
from quilt_mcp.server.http.proxies import Proxies
from quilt_mcp.server.http.refusal import Refusal
from quilt_mcp.server.watching.audit import Audit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from quilt_mcp.server.surface import Context

PATH: Final = "/mcp"
BODY_SECONDS: Final = 30.0
"""How long a client may take to send a request's body."""
_ASKER: Final = "quilt_mcp.asker"
_HEADER_NAMES: Final = re.compile(rb"[A-Za-z0-9\-, ]{1,1000}")
_EXPOSED: Final = b"WWW-Authenticate, Retry-After, Mcp-Session-Id, Mcp-Protocol-Version"


def asker_of(ctx: Context) -> Asker:
    """Who sent the request: whom the guard let in, and nobody else."""
    found = ctx.request.scope.get(_ASKER) if ctx.request is not None else None
    if not isinstance(found, Asker):
        raise AuthenticationError("The request came by no door.", next_step="Report this.")
    return found


class Guard:
    """An ASGI application. ``pages``: what is answered to whoever asks, at paths of its own."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authorities: Iterable[str],
        origins: Iterable[str],
        door: Door,
        pages: Pages,
        max_body: int,
        proxies: Proxies,
        audit: Audit | None = None,
    ) -> None:
        self._app = app
        self._authorities = {_named(one) for one in authorities}
        self._origins = {_named(one.rstrip("/")) for one in origins}
        self._door = door
        self._pages = pages
        self._max_body = max_body
        self._proxies = proxies
        self._audit = audit
        self._at_work: set[anyio.CancelScope] = set()

    def stop(self) -> None:
        """Cancels what is at work, so that it cleans up."""
        for scope in self._at_work:
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        exchange = Exchange(send)
        with anyio.CancelScope() as work:
            self._at_work.add(work)
            try:
                await self._answer(scope, receive, exchange)
            finally:
                self._at_work.discard(work)
        if work.cancelled_caught:
            await exchange.end()

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        send: Send = exchange.send
        if (probed := self._pages.health(scope)) is not None:
            return await probed(scope, receive, send)
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._authorities:
            shown = _shown(hosts)
            why = f"This server is not {shown}. To serve it under that name: QUILT_MCP_ALLOWED_HOSTS={shown}."
            return await self._refuse(Refusal(421, why), scope, send)
        if scope["path"] in self._pages.metadata:  # any page may read who issues tokens
            return await _show(self._pages.metadata[scope["path"]], scope, receive, _for_origin(send, b"*"))
        if origins and (len(origins) > 1 or origins[0].lower() not in self._origins):
            shown = _shown(origins)
            why = f"Pages of {shown} may not ask here. To let them: QUILT_MCP_ALLOWED_ORIGINS={shown}."
            return await self._refuse(Refusal(403, why), scope, send)
        if origins:
            send = _for_origin(send, origins[0])
        if (page := self._pages.at(scope["path"])) is not None:
            return await _show(page, scope, receive, send)
        if scope["path"].rstrip("/") != PATH:
            return await self._refuse(
                Refusal(404, f"There is nothing here; the endpoint is {PATH}."), scope, send
            )
        if scope["method"] == "OPTIONS":
            return await _allow(scope, send, b"POST")
        if scope["method"] != "POST":
            why = "Only POST is answered: this server keeps no sessions, and so has no stream to listen to."
            return await self._refuse(Refusal(405, why, ((b"allow", b"POST, OPTIONS"),)), scope, send)
        guest = await self._door.admit(_values(scope, b"authorization"))
        if isinstance(guest, Refusal):
            return await self._refuse(guest, scope, send)
        with self._door.turn(guest) as too_much:
            if too_much is not None:
                return await self._refuse(too_much, scope, send, guest)
            await self._serve(guest, scope, receive, send, exchange)

    async def _refuse(self, refusal: Refusal, scope: Scope, send: Send, guest: Guest | None = None) -> None:
        if self._audit is not None:
            user = guest.asker.user if guest is not None else None
            self._audit.refused(refusal.status, self._proxies.client_of(scope), user)
        await refusal.send(send)

    async def _serve(
        self, guest: Guest, scope: Scope, receive: Receive, send: Send, exchange: Exchange
    ) -> None:
        body = bytearray()
        with anyio.move_on_after(BODY_SECONDS) as time:
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if len(body) > self._max_body or not message.get("more_body", False):
                    break
            else:
                return None  # the client left
        if time.cancelled_caught:
            why = f"The body did not come within {BODY_SECONDS:.0f} s."
            return await self._refuse(Refusal(408, why), scope, send, guest)
        if len(body) > self._max_body:
            why = (
                f"The body is larger than {self._max_body} bytes (--max-body-bytes). For larger files: object_link with "
                "upload=true gives a link to send one to."
            )
            return await self._refuse(Refusal(413, why), scope, send, guest)
        if (refusal := self._door.allow(guest, bytes(body))) is not None:
            return await self._refuse(refusal, scope, send, guest)
        exchange.asked = bytes(body)
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        admitted = {**scope, "path": PATH, "raw_path": PATH.encode(), _ASKER: guest.asker}
        await self._app(admitted, replay, send)


def _named(host: str) -> bytes:
    """As a header has it: a name in another script stands in it as its owner registered it."""
    try:
        return host.lower().encode("ascii")
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"{host[:100]!r} is no host or origin as a header has it.",
            next_step="Write names in other scripts as they are registered: xn--...",
        ) from None


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


async def _show(page: Page, scope: Scope, receive: Receive, send: Send) -> None:
    match scope["method"]:
        case "GET" | "HEAD":
            await page(scope, receive, send)
        case "OPTIONS":
            await _allow(scope, send, b"GET")
        case _:
            await Refusal(405, "This page is only read.", ((b"allow", b"GET, HEAD, OPTIONS"),)).send(send)


async def _allow(scope: Scope, send: Send, method: bytes) -> None:
    """The answer to a browser that asks before it sends. It has no token yet."""
    headers = [(b"allow", method + b", OPTIONS"), (b"access-control-allow-methods", method)]
    wanted = b", ".join(_values(scope, b"access-control-request-headers"))
    if _HEADER_NAMES.fullmatch(wanted):
        headers += [(b"access-control-allow-headers", wanted), (b"access-control-max-age", b"600")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
