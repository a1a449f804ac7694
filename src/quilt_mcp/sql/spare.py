"""Spare: a child that waits, so that a query does not wait for one. Made at the first query; it ends when none comes for a
while.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

from quilt_mcp.errors import QuiltError, StorageBusy
from quilt_mcp.sql.child import Child, Layers
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.workers import places_of

TURN_SECONDS: Final = 60.0


class Spare:
    """Of one event loop."""

    def __init__(self, layers: Layers = Layers()) -> None:  # noqa: B008 - it is frozen
        self._layers = layers
        self._waiting: Child | None = None
        self._is_starting = False
        self._starting: threading.Thread | None = None
        self._taking = threading.Lock()

    @asynccontextmanager
    async def child(self) -> AsyncGenerator[Child]:
        """A child for one query, which ends with the block; the next one is made meanwhile. Raises StorageBusy where as many
        queries run as may."""
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
                await child.ready()
                yield child
            finally:
                await child.end()

    def prepare(self) -> None:
        """Has one started for the next query, where none waits; nothing waits for it."""
        with self._taking:
            if self._is_starting or (self._waiting is not None and self._waiting.is_alive):
                return
            self._is_starting = True
        self._starting = threading.Thread(target=self._start, name="spare-query-process", daemon=True)
        self._starting.start()

    async def close(self) -> None:
        if self._starting is not None:
            await to_thread.run_sync(self._starting.join)
        if (child := self._swap(None)) is not None:
            await child.end()

    async def _take(self) -> Child:
        child = self._swap(None)
        if child is not None:
            if child.is_alive:
                return child
            await child.end()
        return await to_thread.run_sync(Child.start, self._layers)

    def _start(self) -> None:
        child: Child | None = None
        try:
            with suppress(QuiltError, OSError):  # the next query meets it, and says it
                child = Child.start(self._layers)
        finally:
            with self._taking:
                self._is_starting = False
                self._waiting, child = child, self._waiting
        if child is not None:
            child.stop()

    def _swap(self, child: Child | None) -> Child | None:
        with self._taking:
            self._waiting, before = child, self._waiting
            return before


_SHARED: Final = RunVar[Spare]("query-processes")


def shared() -> Spare:
    """Of the event loop that runs: a child that waits is nobody's yet, whoever asks next."""
    found = _SHARED.get(None)
    if found is None:
        found = Spare()
        _SHARED.set(found)
    return found
