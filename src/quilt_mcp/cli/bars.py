"""The bar itself. Imported when there is something to draw, as rich costs a verb more than most of them take."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column


class _OfTotal(ProgressColumn):
    """What only a known total gives a meaning to."""

    def __init__(self, column: ProgressColumn, otherwise: ProgressColumn | None = None) -> None:
        super().__init__(Column(no_wrap=True))
        self._column = column
        self._otherwise = otherwise

    def render(self, task: Task) -> RenderableType:
        if task.total is not None:
            return self._column.render(task)
        return self._otherwise.render(task) if self._otherwise else ""


def start() -> tuple[Callable[[float, float | None, str], None], Callable[[], None]]:
    """Draws a bar from now on. Answers what tells it how far the work is (a message, and after a comma what is counted beside
    bytes), and what removes it."""
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        _OfTotal(TextColumn("{task.percentage:>3.0f}%")),
        _OfTotal(DownloadColumn()),
        _OfTotal(TransferSpeedColumn()),
        _OfTotal(TimeRemainingColumn(compact=True), TimeElapsedColumn()),
        TextColumn("{task.fields[counted]}", markup=False, table_column=Column(no_wrap=True)),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
    task = bars.add_task("", total=None, counted="")

    def update(done: float, total: float | None, message: str) -> None:
        what, _, count = message.partition(", ")
        bars.update(task, completed=done, total=total, description=what, counted=count)

    bars.start()
    return update, bars.stop
