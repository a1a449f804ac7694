"""Lines: what is written to a place that may be slow, full or read by nobody: by a thread, so that nothing waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

MOST: Final = 10_000
"""Lines that wait for their place; what comes beyond is lost, and counted."""


class Lines:
    """``write`` takes one line; ``lost`` makes the one that tells how many were lost. Safe between threads."""

    def __init__(self, write: Callable[[str], object], lost: Callable[[int], str]) -> None:
        self._write = write
        self._say_lost = lost
        self._waiting: queue.Queue[str | None] = queue.Queue(MOST)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Never waits."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self, seconds: float) -> None:
        """Waits so long for what is still to be written."""
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                self._write(self._say_lost(lost))
            self._write(line)
