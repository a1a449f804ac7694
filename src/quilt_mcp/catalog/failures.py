"""SharedFailure: what many wait for, one after another, fails once and not once for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from quilt_mcp.errors import QuiltError

_SECONDS: Final = 2.0


class SharedFailure:
    """Not safe by itself: whoever asks holds the lock that the others wait for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[float, QuiltError] | None = None

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Around an attempt. Raises the failure of the one before, where that is only a moment ago."""
        if self._last is not None and self._clock() - self._last[0] < _SECONDS:
            raise self._last[1]
        try:
            yield
        except QuiltError as error:
            self._last = (self._clock(), error)
            raise

    def forget(self) -> None:
        """The next attempt is made, whatever happened before."""
        self._last = None
