"""A bar for long work, on standard error where that is a terminal: bytes, rate and time left, of a single large file too."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import one_line


@contextmanager
def terminal_progress(*, wanted: bool = True) -> Generator[Progress]:
    """A Progress that draws; one that does nothing when nobody watches. The bar appears with the first report."""
    if not wanted or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, visible=False)

        async def draw(done: float, total: float | None, message: str) -> None:
            words = one_line(message).removeprefix("bytes ")
            bars.update(task, completed=done, total=total, description=words, visible=True)

        yield draw
