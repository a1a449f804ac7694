"""Spare: a child that waits, so that a query does not wait for one. Made at the first query; it ends when none comes for a while."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import anyio

from quilt_mcp.errors import QuiltError, StorageBusy
from quilt_mcp.sql.child import Child, Layers
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.workers import places_of

TURN_SECONDS: Final = 60.0
logger = logging.getLogger("quilt_mcp")


class Spare:
    """Of one event loop."""

    def __init__(self, layers: Layers = Layers()) -> None:  # noqa: B008 - it is frozen
        self._layers = layers
        self._waiting: Child | None = None
        self._making = anyio.Lock()

    @asynccontextmanager
    async def child(self) -> AsyncGenerator[Child]:
        """A child for one query, which ends with the block; the next one is made meanwhile. Raises StorageBusy where as many queries
        run as may."""
        async with AsyncExitStack() as places:
            with anyio.move_on_after(TURN_SECONDS) as turn:
                for one in places_of(limits().children):
                    await places.enter_async_context(one)
            if turn.cancelled_caught:
                raise StorageBusy(
                    "The query was not run: as many others are running as may be at once.",
                    next_step="Make the same call again in a moment.",
                )
            child = await self._take()
            try:
                yield child
            finally:
                with anyio.CancelScope(shield=True):
                    await child.end()

    async def prepare(self) -> None:
        """Makes one for the next query, where none waits. Raises nothing."""
        async with self._making:
            if self._waiting is not None and self._waiting.is_alive:
                return
            await self._drop()
            with suppress(QuiltError, OSError):
                self._waiting = await Child.start(self._layers)

    async def close(self) -> None:
        async with self._making:
            await self._drop()

    async def _drop(self) -> None:
        if self._waiting is not None:
            child, self._waiting = self._waiting, None
            await child.end()

    async def _take(self) -> Child:
        async with self._making:
            child, self._waiting = self._waiting, None
        if child is not None:
            if child.is_alive:
                return child
            await child.end()
        return await Child.start(self._layers)
