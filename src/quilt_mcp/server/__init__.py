"""The MCP server, over stdio or streamable HTTP."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Final

import anyio

from quilt_mcp.config import Settings

_TELLS_HEADERS: Final = ("botocore", "boto3", "urllib3", "httpx2", "httpcore2")
"""Libraries that write requests to the log at its debug level: headers, and so session and bearer tokens, included."""


def serve(settings: Settings, announce: Callable[[str], None] | None = None) -> None:
    """Serves until the client goes (stdio) or the process is stopped (HTTP). Standard output belongs to the protocol;
    ``announce`` is told the URL once HTTP listens (default: standard error).

    Raises AuthenticationError, InvalidArgument or StorageUnavailable before serving anything.
    """
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for library in _TELLS_HEADERS:
        logging.getLogger(library).setLevel(max(logging.INFO, logging.getLogger().level))
    for notice in settings.notices():
        logging.getLogger("quilt_mcp").warning(notice)
    if settings.http:
        from quilt_mcp.server.http import check_exposure, serve_http

        check_exposure(settings)
        anyio.run(serve_http, settings, announce or _announce)
    else:
        from quilt_mcp.server.stdio import serve_stdio

        anyio.run(serve_stdio, settings)


def _announce(url: str) -> None:
    sys.stderr.write(f"quilt-mcp listens on {url}\n")
    sys.stderr.flush()
