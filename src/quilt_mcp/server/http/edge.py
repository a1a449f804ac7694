"""The server on streamable HTTP, stateless: for one person of this machine, or for many users, each under their own rights."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings

from quilt_mcp.config import LOOPBACK, Settings
from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.server.http.door import Door
from quilt_mcp.server.http.guard import PATH, Guard
from quilt_mcp.server.http.pages import Pages
from quilt_mcp.server.http.proxies import Proxies
from quilt_mcp.server.watching.audit import Audit

if TYPE_CHECKING:
    import uvicorn

Announce = Callable[[str, str | None], None]
"""Is told the URL once it is listened on, and the token that requests need if nobody has been told it yet."""

_STOPPING_SECONDS: Final = 3
"""How long answers may take to go out after work was cancelled."""
_LINGER_SECONDS: Final = 3.0
logger = logging.getLogger("quilt_mcp")


@dataclass(frozen=True, slots=True)
class Served:
    """``pages`` are made for the address that is listened on. ``upkeep`` runs beside it, until it stops. ``new_token``: one that
    nobody has been told yet. ``patience``: how long work
    may go on after the server was told to stop."""

    server: Server[Any]
    door: Door
    pages: Callable[[str], Pages]
    public_url: str | None = None
    new_token: str | None = None
    patience: float = 0.0
    upkeep: Callable[[], Any] | None = None
    audit: Audit | None = None


async def serve(settings: Settings, served: Served, announce: Announce, stopping: anyio.Event) -> None:
    """Stateless streamable HTTP at /mcp. Answers stream (SSE) where a call reports progress, and are plain JSON where the
    SDK may choose so. Requests with a foreign Host or Origin, of nobody, or with a body above the limit are refused.

    ``stopping``, once it is set: nothing new is listened to, and what is at work has ``served.patience`` seconds."""
    listening = _listen(settings)
    port: int = listening.getsockname()[1]
    names = dict.fromkeys(_with_port(one, port) for one in (settings.host, *sorted(LOOPBACK)))
    public = _authority(served.public_url) if served.public_url else ()
    where = f"http://{next(iter(names))}{PATH}"
    pages = served.pages(where)
    pages.is_ready = lambda: not stopping.is_set()
    guard = Guard(
        served.server.streamable_http_app(
            stateless_http=True,
            max_request_body_size=settings.max_body_bytes,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        ),
        authorities=(*names, *public, *settings.allowed_hosts),
        origins=(
            *(f"http://{one}" for one in names),
            *(f"https://{one}" for one in public),
            *settings.allowed_origins,
        ),
        door=served.door,
        pages=pages,
        max_body=settings.max_body_bytes,
        proxies=Proxies(settings.trusted_proxies),
        audit=served.audit,
    )
    uvicorn_server = _server(guard, served.patience)
    logger.info("listening at %s", where)
    announce(f"{served.public_url} (listening at {where})" if served.public_url else where, served.new_token)
    async with anyio.create_task_group() as group:

        async def stop_when_told() -> None:
            try:
                await stopping.wait()
                uvicorn_server.should_exit = True
                await anyio.sleep(served.patience)
            finally:
                guard.stop()
                uvicorn_server.should_exit = True

        group.start_soon(stop_when_told)
        if served.upkeep is not None:
            group.start_soon(served.upkeep)
        with anyio.CancelScope(shield=True):
            await uvicorn_server.serve(sockets=[listening])
        group.cancel_scope.cancel()
    if served.audit is not None:
        served.audit.close()


def client_snippet(url: str, token: str) -> str:
    """What a client's configuration needs, as JSON."""
    headers = {"Authorization": f"Bearer {token}"}
    return json.dumps({"mcpServers": {"quilt": {"type": "http", "url": url, "headers": headers}}})


def _server(guard: Guard, patience: float) -> uvicorn.Server:
    import uvicorn

    from quilt_mcp.server.http.connections import BoundedProtocol

    class WithoutSignals(uvicorn.Server):
        """Signals are ours: ``server.signals``."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    class Lingering(BoundedProtocol):
        linger = min(patience, _LINGER_SECONDS)

    return WithoutSignals(
        uvicorn.Config(
            guard,
            log_config=None,
            lifespan="on",
            http=Lingering,
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(patience) + _STOPPING_SECONDS,
        )
    )


def _authority(url: str) -> tuple[str, ...]:
    """The authority of a URL, and where its port is the scheme's own, also with it."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    if ":" in authority.rpartition("]")[2]:
        return (authority,)
    return authority, f"{authority}:{443 if scheme == 'https' else 80}"


def _with_port(host: str, port: int) -> str:
    """The authority as clients write it."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == 80 else f"{shown}:{port}"


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
