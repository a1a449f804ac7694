"""Backoff: how long to wait before trying again for what several want at once."""

from __future__ import annotations

import random
from collections.abc import Callable

_GROWTH = 4
_MOST_ATTEMPTS = 32
_LONGEST_SECONDS = 30.0


class Backoff:
    """The waits of one caller that keeps losing a swap to others: random, under a bound that grows with each loss.

    The bound is counted in attempts, not in seconds: an attempt takes milliseconds in a folder and seconds in a bucket far away,
    and longer the more of them are under way, so writers slow down where they crowd each other and not elsewhere. The first wait
    is at most one attempt long: against one other writer that is enough. Then the bound is 4 attempts, 16, and 32, where it
    stays: 32 writers have a few attempts under way between them then, and one that lost often waits no longer than others.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._lost = 0

    def wait(self, took: float) -> float:
        """Counts one more lost attempt, which took ``took`` seconds, and answers how many seconds to wait."""
        attempts = min(_GROWTH**self._lost, _MOST_ATTEMPTS)
        bound = min(took * attempts, max(took, _LONGEST_SECONDS))
        self._lost += 1
        return self._uniform(0, bound)
