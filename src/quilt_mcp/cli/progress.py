"""A bar for long work, on standard error and only when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import one_line


@contextmanager
def terminal_progress() -> Generator[Progress]:
    """A Progress that draws; one that does nothing when nobody watches. The bar appears with the first report."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, visible=False)

        async def draw(done: float, total: float | None, message: str) -> None:
            bars.update(task, completed=done, total=total, description=one_line(message), visible=True)

        yield draw
