"""HTTP for one person of this machine: whoever has the token, on loopback."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import anyio

from quilt_mcp.config import LOOPBACK, Settings
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.server.http.door import OneToken
from quilt_mcp.server.http.edge import Announce, Served, serve
from quilt_mcp.server.http.guard import asker_of
from quilt_mcp.server.http.pages import Pages, view_page
from quilt_mcp.server.surface import build
from quilt_mcp.server.watching.audit import audit_to
from quilt_mcp.session import Session

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server


async def serve_one(
    settings: Settings,
    announce: Announce,
    server: Server[Any] | None = None,
    *,
    open_to_all: bool = False,
    stopping: anyio.Event | None = None,
) -> None:
    """``server``: one to serve instead of our own (the conformance suite's fixtures). ``open_to_all``: no token is asked for."""
    check_loopback(settings)
    audit = audit_to(settings.audit)
    session = Session(settings)
    server = server or build(session, asker_of, audit)
    new_token = None if open_to_all or settings.http_token else secrets.token_urlsafe(24)
    door = OneToken(None if open_to_all else settings.http_token or new_token)
    pages = Pages(view=view_page() if settings.view else None, has_health=False)
    served = Served(server, door, lambda _: pages, new_token=new_token, audit=audit)
    try:
        await serve(settings, served, announce, stopping or anyio.Event())
    finally:
        await session.close()


def check_loopback(settings: Settings) -> None:
    """Refuses to serve one person to anybody but this machine. Raises InvalidArgument."""
    if settings.host not in LOOPBACK:
        raise InvalidArgument(
            f"--single-user serves without asking who calls, so it listens on loopback only, not on {settings.host!r}.",
            next_step="Leave --host out, or use 127.0.0.1, ::1 or localhost.",
        )
