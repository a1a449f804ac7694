"""Limits of the process, whatever is done at once: bytes of files on their way in memory, threads that are busy for long, and
processes that look into files.

Each file bounds itself; sixteen at once would have sixteen times that, and every thread that other calls wait for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.lowlevel import RunVar

MEMORY: Final = 64 << 20
"""Bytes of all parts under way together, up and down."""
SENDERS: Final = 8
"""Threads that send parts or wait for a copy inside S3."""
READERS: Final = 10
"""Threads that hash or copy large files of this machine. As many as quilt3 uses: on a busy machine fewer threads get a smaller
share of it."""
CHILDREN: Final = 2
"""Processes that look into files. Each may take two gigabytes, and who asks waits for a turn."""


class Limits:
    def __init__(self) -> None:
        self.children = anyio.CapacityLimiter(CHILDREN)
        self.senders = anyio.CapacityLimiter(SENDERS)
        self.readers = anyio.CapacityLimiter(READERS)
        self._free = MEMORY
        self._turn = anyio.Lock()
        self._freed = anyio.Event()

    @asynccontextmanager
    async def memory(self, size: int) -> AsyncGenerator[None]:
        """Holds ``size`` bytes for the length of the block, all there are for more than that. Whoever came first gets them first.

        Held twice by one caller, two callers may wait for each other for ever: a block asks for no more memory.
        """
        size = min(size, MEMORY)
        if not size:
            yield
            return
        async with self._turn:
            while self._free < size:
                self._freed = anyio.Event()
                await self._freed.wait()
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._freed.set()


_LIMITS: Final = RunVar[Limits]("limits")


def limits() -> Limits:
    """Those of the event loop that runs: a process has one at a time."""
    found = _LIMITS.get(None)
    if found is None:
        found = Limits()
        _LIMITS.set(found)
    return found
