"""The server on streamable HTTP, stateless, for one person of this machine."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings

from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import LOOPBACK, Settings
from quilt_mcp.errors import AuthenticationError, InvalidArgument, StorageUnavailable
from quilt_mcp.server.guard import PATH, Guard
from quilt_mcp.server.surface import build
from quilt_mcp.session import Session

if TYPE_CHECKING:
    import uvicorn

Announce = Callable[[str, str | None], None]
"""Is told the URL once it is listened on, and the token that requests need if nobody has been told it yet."""

_STOPPING_SECONDS: Final = 3
"""How long answers may take to go out after a signal; what they stand for has been cancelled."""


async def serve_http(
    settings: Settings, announce: Announce, server: Server[Any] | None = None, *, open_to_all: bool = False
) -> None:
    """Stateless streamable HTTP at /mcp. Answers stream (SSE) where a call reports progress, and are plain JSON where the
    SDK may choose so. Requests with a foreign Host or Origin, without the token, or with a body above the limit are refused.

    ``server``: one to serve instead of our own (the conformance suite's fixtures). ``open_to_all``: no token is asked for."""
    check_exposure(settings)
    server = server or build(Session(settings), Asker("http"))
    token = None if open_to_all else settings.http_token or secrets.token_urlsafe(24)
    listening = _listen(settings)
    port: int = listening.getsockname()[1]
    names = dict.fromkeys(_with_port(one, port) for one in (settings.host, *sorted(LOOPBACK)))
    guard = Guard(
        server.streamable_http_app(
            stateless_http=True,
            max_request_body_size=settings.max_body_bytes,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        ),
        authorities=(*names, *settings.allowed_hosts),
        origins=(*(f"http://{one}" for one in names), *settings.allowed_origins),
        token=token,
        max_body=settings.max_body_bytes,
    )
    uvicorn_server = _server(guard)
    announce(f"http://{next(iter(names))}{PATH}", None if settings.http_token else token)
    async with anyio.create_task_group() as group:

        async def stop_when_cancelled() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                guard.stop()
                uvicorn_server.should_exit = True

        group.start_soon(stop_when_cancelled)
        with anyio.CancelScope(shield=True):
            await uvicorn_server.serve(sockets=[listening])
        group.cancel_scope.cancel()


def client_snippet(url: str, token: str) -> str:
    """What a client's configuration needs, as JSON."""
    headers = {"Authorization": f"Bearer {token}"}
    return json.dumps({"mcpServers": {"quilt": {"type": "http", "url": url, "headers": headers}}})


def _server(guard: Guard) -> uvicorn.Server:
    import uvicorn

    from quilt_mcp.server.connections import BoundedProtocol

    class WithoutSignals(uvicorn.Server):
        """Signals are ours: ``server.signals``."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    return WithoutSignals(
        uvicorn.Config(
            guard,
            log_config=None,
            lifespan="on",
            http=BoundedProtocol,
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_STOPPING_SECONDS,
        )
    )


def _with_port(host: str, port: int) -> str:
    """The authority as clients write it."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == 80 else f"{shown}:{port}"


def check_exposure(settings: Settings) -> None:
    """Refuses to serve HTTP to anyone but the person at this machine. Raises AuthenticationError, InvalidArgument."""
    if not settings.single_user:
        raise AuthenticationError(
            "Serving HTTP to several users, each by their own token, is not built into this version yet.",
            next_step="Add --single-user to serve only yourself, on a loopback address.",
        )
    if settings.host not in LOOPBACK:
        raise InvalidArgument(
            f"--single-user serves without asking who calls, so it listens on loopback only, not on {settings.host!r}.",
            next_step="Leave --host out, or use 127.0.0.1, ::1 or localhost.",
        )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise StorageUnavailable(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}.",
            next_step="Choose another --port; 0 takes any free one.",
        ) from error
    return listening
