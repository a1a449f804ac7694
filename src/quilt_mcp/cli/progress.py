"""A bar for long work, on standard error where that is a terminal: bytes, rate and time left, of a single large file too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import one_line


@contextmanager
def terminal_progress(*, wanted: bool = True) -> Generator[Progress]:
    """A Progress that draws; one that does nothing when nobody watches. The bar appears with the first report."""
    if not wanted or not sys.stderr.isatty():
        yield no_progress
        return
    bars = _Bars()
    try:
        yield bars.draw
    finally:
        bars.stop()


class _Bars:
    """Nothing is drawn, and nothing imported, before there is something to tell."""

    def __init__(self) -> None:
        self._stop: Callable[[], None] | None = None
        self._update: Callable[..., None] | None = None

    async def draw(self, done: float, total: float | None, message: str) -> None:
        update = self._update or self._start()
        update(completed=done, total=total, description=one_line(message).removeprefix("bytes "))

    def stop(self) -> None:
        if self._stop is not None:
            self._stop()

    def _start(self) -> Callable[..., None]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        bars = Bars(*columns, console=Console(stderr=True), transient=True, expand=True)
        self._update = partial(bars.update, bars.add_task(""))
        self._stop = bars.stop
        bars.start()
        return self._update
