"""Lines on two descriptors: what a client sends and is sent.

A thread of its own reads and another writes, both daemons: a read that never returns and a write that nobody takes hold up
neither the cancelling of a call nor the end of the process.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_PIECE = 1 << 16


class Wire:
    """To be made in the event loop that uses it."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._reader = _Worker()
        self._writer = _Worker()
        self._rest = bytearray()
        self._searched = 0

    async def receive(self) -> bytes | None:
        """The next line without its line feed, the last also where it has none; None at the end of input."""
        while (end := self._rest.find(b"\n", self._searched)) < 0:
            self._searched = len(self._rest)
            piece = await self._reader.do(_read, self._reading)
            if not piece:
                line, self._rest, self._searched = bytes(self._rest), bytearray(), 0
                return line or None
            self._rest += piece
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        self._searched = 0
        return line

    async def send(self, line: bytes) -> None:
        """Returns when the line is written, whole. Raises OSError once nobody reads. Lines never mix; a cancelled caller's line
        may still go out."""
        await self._writer.do(_write, self._writing, line + b"\n")

    def is_read(self) -> bool:
        """Whether somebody can still read what is sent; True where the system does not tell."""
        if not hasattr(select, "poll"):
            return True
        poll = select.poll()
        poll.register(self._writing, 0)
        return not poll.poll(0)


def claim_standard_streams() -> tuple[int, int]:
    """Descriptors of standard input and output for the protocol alone: from here on, whatever else reads finds nothing, and
    whatever else writes (a library, a child) is said on standard error."""
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return reading, writing


class _Worker:
    """One thread that does blocking work in turn."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, daemon=True).start()

    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        """Cancelling leaves the work to be finished unseen."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._work.put((future, function, arguments))
        return await future

    def _run(self) -> None:
        while True:
            future, function, arguments = self._work.get()
            try:
                settle, outcome = future.set_result, function(*arguments)
            except OSError as error:
                settle, outcome = future.set_exception, error
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(_settle, future, settle, outcome)


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        settle(outcome)


def _read(descriptor: int) -> bytes:
    """Empty at the end, and where reading fails: either way nothing more will come."""
    try:
        return _when_ready(descriptor, select.POLLIN, lambda: os.read(descriptor, _PIECE))
    except OSError:
        return b""


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        piece = rest
        rest = rest[
            _when_ready(descriptor, select.POLLOUT, lambda piece=piece: os.write(descriptor, piece)) :
        ]


def _when_ready(descriptor: int, event: int, act: Callable[[], T]) -> T:
    """Does it, also where whoever made the descriptor has it not block."""
    while True:
        try:
            return act()
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, event)
            poll.poll()
