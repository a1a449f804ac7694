"""A bar for long work, on standard error where that is a terminal: bytes, rate, time left, files; of a single large file too."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio

from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import one_line

PATIENCE: Final = 1.5
"""Seconds without a report after which a person is told that something is being done."""


@asynccontextmanager
async def terminal_progress(*, wanted: bool = True) -> AsyncGenerator[Progress]:
    """A Progress that draws; one that does nothing when nobody watches. The bar appears with the first report, or when there has
    been none for a while."""
    if not wanted or not sys.stderr.isatty():
        yield no_progress
        return
    bar = _Bar()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(bar.wait)
            yield bar.draw
            group.cancel_scope.cancel()
    finally:
        bar.stop()


class _Bar:
    """Nothing is drawn, and nothing imported, before there is something to tell."""

    def __init__(self) -> None:
        self._stop: Callable[[], None] | None = None
        self._update: Callable[[float, float | None, str], None] | None = None
        self._is_broken = False

    async def draw(self, done: float, total: float | None, message: str) -> None:
        """A terminal that cannot show it (its encoding, its end) is no reason for the work to fail: nothing is drawn any more."""
        if self._is_broken:
            return
        try:
            (self._update or self._start())(done, total, one_line(message).removeprefix("bytes "))
        except (OSError, ValueError):
            self._is_broken = True

    async def wait(self) -> None:
        await anyio.sleep(PATIENCE)
        if self._update is None:
            await self.draw(0, None, "at work")

    def stop(self) -> None:
        if self._stop is not None:
            with suppress(OSError, ValueError):
                self._stop()

    def _start(self) -> Callable[[float, float | None, str], None]:
        from quilt_mcp.cli.bars import start

        self._update, self._stop = start()
        return self._update
