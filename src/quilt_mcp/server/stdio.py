"""The server on standard input and output, for the client that started it."""

from __future__ import annotations

import sys

from mcp.server.stdio import stdio_server

from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import Settings
from quilt_mcp.server.surface import build
from quilt_mcp.session import Session


async def serve_stdio(settings: Settings) -> None:
    server = build(Session(settings), Asker("stdio"))
    async with stdio_server() as (reading, writing):
        try:
            await server.run(reading, writing, server.create_initialization_options())
        finally:
            # The SDK keeps descriptor 1 for the protocol and sends what others write to standard error, until here. What
            # a library printed and Python still holds back must go there too, and not to the client at exit.
            sys.stdout.flush()
