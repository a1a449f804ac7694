"""Locks: one task at a time for a key, of which there may be any number."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio

K = TypeVar("K")


class Locks(Generic[K]):
    """Safe between tasks of one event loop. A key that nobody holds or waits for takes no room."""

    def __init__(self) -> None:
        self._locks: dict[K, anyio.Lock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def held(self, key: K) -> AsyncGenerator[None]:
        lock = self._locks.setdefault(key, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():  # nobody waited, to whom it would have gone
                self._locks.pop(key, None)
