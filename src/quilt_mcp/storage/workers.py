"""Workers: one act for many items, a few at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def for_each(items: Iterable[T], at_once: int, act: Callable[[T], Awaitable[None]]) -> None:
    """Awaits ``act`` for every item, ``at_once`` of them at a time, taking items only as they are needed.

    The first failure stops the rest and is raised as itself, not in a group. Cancellation stops all.
    """
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await act(item)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(work)
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from None


def first_failure(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of a task group's bundle: what the caller is told."""
    first = failures.exceptions[0]
    return first_failure(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]
