"""Pool: the opened backends of a server, one for whom they serve; a bounded number, and none for longer than it is used."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import anyio

from quilt_mcp.ops import QuiltOps
from quilt_mcp.storage.locks import Locks

MOST: Final = 1_000
IDLE_SECONDS: Final = 600.0
OPENING_AT_ONCE: Final = 16

Key = tuple[str, str, str | None, str, bool]
"""Kind, principal, registry, scope, may write. The scope alone tells two users apart: principals are names to show."""


class Pool:
    """Safe between tasks of one event loop. What is dropped while a call works with it ends with that call."""

    def __init__(
        self,
        most: int = MOST,
        idle_seconds: float = IDLE_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._opened: OrderedDict[Key, tuple[float, QuiltOps]] = OrderedDict()
        self._opening: set[Key] = set()
        self.turn = Locks[Key]().held
        """One task at a time for a key."""
        self.limiter = anyio.CapacityLimiter(OPENING_AT_ONCE)
        """Threads that open backends: none that a call of an opened one waits for."""

    def __len__(self) -> int:
        return len(self._opened)

    def get(self, key: Key) -> QuiltOps | None:
        _, found = self._opened.pop(key, (0.0, None))
        if found is not None:
            self._opened[key] = (self._clock(), found)
        return found

    def opened(self) -> list[QuiltOps]:
        return [one for _, one in self._opened.values()]

    def begin(self, key: Key) -> None:
        """Before a backend is opened."""
        self._opening.add(key)

    def put(self, key: Key, opened: QuiltOps) -> None:
        """One whose key was dropped since ``begin`` serves the call that opened it, and is not kept."""
        self._opened.pop(key, None)
        if key not in self._opening:
            return
        self._opening.discard(key)
        self._opened[key] = (self._clock(), opened)
        self.tidy()

    def tidy(self) -> None:
        """Drops those that were used longest ago and are too many, and those that were not used for long."""
        since = self._clock() - self._idle_seconds
        while self._opened:
            used, _ = next(iter(self._opened.values()))
            if len(self._opened) <= self._most and used > since:
                return
            self._opened.popitem(last=False)

    def drop(self, digest: str) -> None:
        """Those of a token, by its hash: it ended, or its user's role changed."""
        for key in [key for key in (*self._opened, *self._opening) if digest in key[3].split(" ")]:
            self._opened.pop(key, None)
            self._opening.discard(key)
