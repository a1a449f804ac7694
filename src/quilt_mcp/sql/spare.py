"""Spare: a child that waits, so that a query does not wait for one. Made at the first query; it ends when none comes for a
while.

A query has a child of its own, and turns with it (``storage.limits``): to be taken apart, and to be run. Between them, while its
files are brought, others have their turns.
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
IDLE_SECONDS: Final = 120.0
"""A child that nobody takes for so long ends."""
MOST_BETWEEN: Final = 4
"""Children that wait for the files of their queries. A query whose child had to go gets another for its next turn."""


class Turns:
    """Of one query. Not safe between tasks."""

    def __init__(self, spare: Spare) -> None:
        self._spare = spare
        self._child: Child | None = None

    @asynccontextmanager
    async def turn(self, *, is_last: bool = False) -> AsyncGenerator[Child]:
        """A child for the length of the block: the one of the turn before, where it is of use still. Nothing is waited for in the
        block but the child. Raises StorageBusy where as many queries run as may."""
        async with AsyncExitStack() as places:
            with anyio.move_on_after(TURN_SECONDS) as turn:
                for one in places_of(limits().children):
                    await places.enter_async_context(one)
            if turn.cancelled_caught:
                raise StorageBusy(
                    "The query was not run: as many others are running as may be at once.",
                    next_step="Make the same call again in a moment.",
                )
            try:
                yield await self._begin()
            finally:
                if is_last or self._child is None or not self._child.is_usable:
                    await self.end()
        if self._child is not None:
            await self._spare.wait_between(self)

    async def end(self) -> None:
        """Of its child, where it has one."""
        self._spare.between.pop(self, None)
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def _begin(self) -> Child:
        self._spare.between.pop(self, None)
        if self._child is not None and self._child.is_usable:
            return self._child
        await self.end()
        self._child = await self._spare.take()
        await self._child.ready()
        return self._child


class Spare:
    """Of one event loop."""

    def __init__(self, layers: Layers = Layers()) -> None:  # noqa: B008 - it is frozen
        self._layers = layers
        self._waiting: Child | None = None
        self._is_starting = False
        self._starting: threading.Thread | None = None
        self._clock: threading.Timer | None = None
        self._taking = threading.Lock()
        self.between: dict[Turns, None] = {}
        """Whose children wait for files, the longest first."""

    @asynccontextmanager
    async def turns(self) -> AsyncGenerator[Turns]:
        """For one query: its child ends with the block."""
        turns = Turns(self)
        try:
            yield turns
        finally:
            await turns.end()

    async def wait_between(self, turns: Turns) -> None:
        self.between[turns] = None
        while len(self.between) > MOST_BETWEEN:
            await next(iter(self.between)).end()

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

    async def take(self) -> Child:
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
            before = self._swap(child)
        if before is not None:
            before.stop()

    def _swap(self, child: Child | None) -> Child | None:
        with self._taking:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None
            if child is not None:
                self._clock = threading.Timer(IDLE_SECONDS, self._let_go, (child,))
                self._clock.daemon = True
                self._clock.start()
            self._waiting, before = child, self._waiting
            return before

    def _let_go(self, child: Child) -> None:
        with self._taking:
            if self._waiting is not child:
                return
            self._waiting = self._clock = None
        child.stop()


_SHARED: Final = RunVar[Spare]("query-processes")


def shared() -> Spare:
    """Of the event loop that runs: a child that waits is nobody's yet, whoever asks next."""
    found = _SHARED.get(None)
    if found is None:
        found = Spare()
        _SHARED.set(found)
    return found
