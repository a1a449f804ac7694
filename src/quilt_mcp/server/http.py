"""The server on streamable HTTP, stateless, for one person of this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from mcp.server.lowlevel import Server

from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import LOOPBACK, Settings
from quilt_mcp.errors import AuthenticationError, InvalidArgument, StorageUnavailable
from quilt_mcp.server.surface import build
from quilt_mcp.session import Session


async def serve_http(
    settings: Settings, announce: Callable[[str], None], server: Server[Any] | None = None
) -> None:
    """Stateless streamable HTTP at /mcp. Answers stream (SSE) where a call reports progress, and are plain JSON where the
    SDK may choose so. Requests with a foreign Host or Origin are refused, as are bodies above the limit.

    ``server``: one to serve in this way instead of our own (the conformance suite's fixtures)."""
    import uvicorn

    check_exposure(settings)
    server = server or build(Session(settings), Asker("http"))
    app = server.streamable_http_app(
        stateless_http=True, host=settings.host, max_request_body_size=settings.max_body_bytes
    )
    listening = _listen(settings)
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
    port: int = listening.getsockname()[1]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    announce(f"http://{shown}:{port}/mcp")
    await uvicorn.Server(config).serve(sockets=[listening])


def check_exposure(settings: Settings) -> None:
    """Refuses to serve HTTP to anyone but the person at this machine. Raises AuthenticationError, InvalidArgument."""
    if not settings.single_user:
        raise AuthenticationError(
            "Serving HTTP to several users needs their tokens, and signing in with a token is not built into this version yet.",
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
