"""The server on standard input and output, for the client that started it.

On a wire of our own, as the SDK's drops what it cannot parse, ends with requests unanswered, and reads in a thread that no
signal ends: docs/decisions/017-process-edges.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage

from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import Settings
from quilt_mcp.server.incoming import Unreadable, read_message
from quilt_mcp.server.signals import end_soon
from quilt_mcp.server.surface import build
from quilt_mcp.server.wire import Wire, claim_standard_streams
from quilt_mcp.session import Session

logger = logging.getLogger("quilt_mcp")

FINISHING_SECONDS: Final = 60.0
"""How long requests may take that are still at work when the client's input ends."""
_LOOK_EVERY: Final = 0.05


async def serve_stdio(settings: Settings) -> None:
    """Returns when the client's input has ended and its requests are answered, or nobody reads the answers any more."""
    session = Session(settings)
    try:
        await _Conversation(Wire(*claim_standard_streams())).run(build(session, lambda _: Asker("stdio")))
    finally:
        await session.close()


class _Conversation:
    """Between a wire and a server of the SDK; knows which requests are not answered yet."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._open: Counter[str] = Counter()

    async def run(self, server: Server[Any]) -> None:
        to_server, requests = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        answers, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as group:

            async def until_unread(work: Callable[[], Awaitable[None]]) -> None:
                try:
                    await work()
                except OSError:
                    # Nobody reads: what is at work has nobody to answer, and cleans up.
                    end_soon(0)
                    group.cancel_scope.cancel()

            group.start_soon(until_unread, partial(self._listen, to_server))
            group.start_soon(until_unread, partial(self._speak, from_server))
            await server.run(requests, answers, server.create_initialization_options())

    async def _listen(self, to_server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Closing ``to_server`` ends the server, which cancels what is at work then."""
        async with to_server:
            while (line := await self._wire.receive()) is not None:
                if line.strip():
                    await self._take(line, to_server)
            with anyio.move_on_after(FINISHING_SECONDS):
                while self._open and self._wire.is_read():  # noqa: ASYNC110 - who reads tells nobody of leaving
                    await anyio.sleep(_LOOK_EVERY)
            end_soon(0)

    async def _take(self, line: bytes, to_server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        try:
            message = read_message(line)
        except Unreadable as refused:
            logger.warning("A line of %d bytes from the client was refused: %s", len(line), refused.why)
            for answer in refused.answers:
                await self._wire.send(answer)
            return
        if isinstance(message, types.JSONRPCRequest):
            self._open[str(message.id)] += 1
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            # The protocol has a cancelled request stay without an answer.
            self._close((message.params or {}).get("requestId"))
        await to_server.send(SessionMessage(message))

    async def _speak(self, from_server: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with from_server:
            async for item in from_server:
                line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                await self._wire.send(line.encode())
                if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
                    self._close(item.message.id)

    def _close(self, number: object) -> None:
        self._open[str(number)] -= 1
        if self._open[str(number)] <= 0:
            del self._open[str(number)]
