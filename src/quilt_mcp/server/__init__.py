"""The MCP server, over stdio or streamable HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from quilt_mcp.config import Settings
from quilt_mcp.server.watching.log import LogHandler, say

_TELLS_ALL: Final = ("botocore", "boto3", "urllib3", "httpx2", "httpcore2", "sse_starlette", "mcp")
"""Libraries that write requests and answers to the log at its debug level: tokens in headers and contents of files included."""


def serve(settings: Settings, announce: Callable[[str, str | None], None] | None = None) -> None:
    """Serves until the client goes (stdio) or the process is stopped (HTTP). Standard output belongs to the protocol;
    ``announce`` is told, once HTTP listens, the URL and the token if it was made for this run (default: standard error).

    Raises AuthenticationError, InvalidArgument or StorageUnavailable before serving anything.
    """
    from quilt_mcp.server import signals

    logging.basicConfig(level=settings.log_level.upper(), handlers=[LogHandler()])
    logging.captureWarnings(True)
    for library in _TELLS_ALL:
        logging.getLogger(library).setLevel(max(logging.INFO, logging.getLogger().level))
    for notice in settings.notices():
        logging.getLogger("quilt_mcp").warning(notice)
    if settings.serves_many:
        from quilt_mcp.server.users.serving import check_many, serve_many

        check_many(settings)
        announce = announce or partial(_announce_to_many, settings)
        signals.run_patiently(serve_many, settings, announce, patience=settings.drain_seconds)
    elif settings.http:
        from quilt_mcp.server.http.single import check_loopback, serve_one

        check_loopback(settings)
        signals.run(serve_one, settings, announce or _announce)
    else:
        from quilt_mcp.server.stdio import serve_stdio

        signals.run(serve_stdio, settings)


def _announce(url: str, new_token: str | None) -> None:
    say(f"quilt-mcp listens on {url}\n")
    if new_token is not None:
        from quilt_mcp.server.http.edge import client_snippet

        say("It asks for a token, made for this run (QUILT_MCP_HTTP_TOKEN sets one that stays):\n")
        say(f"{client_snippet(url, new_token)}\n")


def _announce_to_many(settings: Settings, url: str, new_token: str | None) -> None:
    writes = "each may write as their role does" if settings.allow_write else "nobody writes"
    say(f"quilt-mcp serves the users of {settings.catalog_url}, {writes}, at {url}\n")
    say(
        'Each sends their own API key or session token: --header "Authorization: Bearer qk_..."; / shows how.\n'
    )
