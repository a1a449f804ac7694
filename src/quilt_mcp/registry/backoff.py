"""Backoff: how long to wait before trying again for what several want at once."""

from __future__ import annotations

import random
from collections.abc import Callable

_DOUBLINGS = 5
_LONGEST_SECONDS = 30.0


class Backoff:
    """The waits of one caller that keeps losing a swap to others: random, under a bound that doubles with each loss.

    The bound is counted in lost attempts, not in seconds: an attempt takes milliseconds in a folder and seconds in a bucket far
    away, and longer the more of them are under way, so writers slow down where they crowd each other and not elsewhere. The
    first wait is at most one attempt long: against one other writer that is enough. The bound stops at 32 attempts: then 32
    writers have about two attempts under way between them, and the one that lost most still comes as often as any other.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._lost = 0

    def wait(self, took: float) -> float:
        """Seconds to wait after one more lost attempt, that took ``took`` seconds."""
        bound = min(took * 2 ** min(self._lost, _DOUBLINGS), max(took, _LONGEST_SECONDS))
        self._lost += 1
        return self._uniform(0, bound)
