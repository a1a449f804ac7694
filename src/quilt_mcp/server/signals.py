"""What a signal does to a process of ours: cancels its work, which cleans up after itself, and ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any, Final, TypeVar

import anyio

T = TypeVar("T")

CLEANING_SECONDS: Final = 5.0
"""How long work may take to clean up; then the process ends without."""
_ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def run(work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Runs ``work`` in an event loop, in the main thread. The first signal cancels it and raises SystemExit(128 + signal) when it
    has cleaned up, after ``CLEANING_SECONDS`` at the latest; a second one ends the process as it is.

    Cancelled is the scope, not the task: a task that is cancelled from outside leaves its threads at work, a scope waits for
    them. The time is kept by a thread, so that neither a busy event loop nor a thread that never ends can hold the process.
    """

    async def unasked(stopping: anyio.Event) -> T:
        return await work(*arguments)

    return _run(unasked, 0.0)


def run_patiently(work: Callable[..., Awaitable[T]], *arguments: Any, patience: float) -> T:
    """As ``run``, but ``work`` is first asked to end, by its argument ``stopping``, and cancelled ``patience`` seconds later."""
    return _run(partial(work, *arguments), patience)


def _run(work: Callable[..., Awaitable[T]], patience: float) -> T:
    told: list[int] = []

    async def until_told() -> T | None:
        loop, stopping = asyncio.get_running_loop(), anyio.Event()
        with anyio.CancelScope() as scope:

            def stop(number: int, frame: FrameType | None) -> None:
                if told:
                    os._exit(128 + number)
                told.append(number)
                end_soon(128 + number, patience)
                loop.call_soon_threadsafe(stopping.set)
                loop.call_soon_threadsafe(loop.call_later, patience, scope.cancel)

            for one in _ENDING:
                if one != getattr(signal, "SIGHUP", None) or signal.getsignal(one) != signal.SIG_IGN:  # nohup
                    signal.signal(one, stop)
            return await work(stopping=stopping)

    try:
        result = anyio.run(until_told)
    except BaseException:
        if told:
            raise SystemExit(128 + told[0]) from None
        raise
    if told:
        raise SystemExit(128 + told[0])
    return result  # type: ignore[return-value]


def end_soon(code: int, patience: float = 0.0) -> None:
    """The process ends with ``code`` in ``CLEANING_SECONDS`` (after so much patience), whatever then is still at work in it."""
    deadline = threading.Timer(patience + CLEANING_SECONDS, os._exit, (code,))
    deadline.daemon = True
    deadline.start()
