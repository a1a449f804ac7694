"""Workers: one act for many items, a few at a time; items of a blocking iterator, a page at a time; acts that outlast a
cancellation, for a bounded time."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from itertools import islice
from typing import TypeVar

import anyio
from anyio import to_thread

T = TypeVar("T")
R = TypeVar("R")

_MOST_IN_GROUP = 32
_GROUP_BYTES = 1 << 20
_GROUPS_A_WORKER = 4
_UNDOING_SECONDS = 0.5
_MOST_OF_A_USER = 24
_NO_LIMIT = anyio.CapacityLimiter(math.inf)
share: ContextVar[Share | None] = ContextVar("share", default=None)
"""Of whoever's call is at work, where many users share a process."""


class Share:
    """What the calls of one user may take of what all share: half of the places, and no more than 24. Of one event loop."""

    def __init__(self) -> None:
        self._own: dict[int, anyio.CapacityLimiter] = {}

    def of(self, limiter: anyio.CapacityLimiter) -> anyio.CapacityLimiter:
        """The user's own limiter for that of all, to be asked first."""
        if id(limiter) not in self._own:
            half = max(1, min(_MOST_OF_A_USER, int(min(limiter.total_tokens, 1_000)) // 2))
            self._own[id(limiter)] = anyio.CapacityLimiter(half)
        return self._own[id(limiter)]


def places_of(limiter: anyio.CapacityLimiter) -> tuple[anyio.CapacityLimiter, ...]:
    """The limiters to ask for a place of ``limiter``, in their order."""
    own = share.get()
    return (limiter,) if own is None else (own.of(limiter), limiter)


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


async def collect(items: Sequence[T], at_once: int, ask: Callable[[T], Awaitable[R]]) -> list[R]:
    """What ``ask`` answers for every item, in their order. Fails and is cancelled as ``for_each``."""
    answers: dict[int, R] = {}

    async def ask_one(number: int) -> None:
        answers[number] = await ask(items[number])

    await for_each(range(len(items)), at_once, ask_one)
    return [answers[number] for number in range(len(items))]


async def overlapped(chunks: AsyncIterator[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Awaits ``act`` for each chunk in order, while the next one is on its way. Fails and is cancelled as ``for_each``."""
    sending, receiving = anyio.create_memory_object_stream[T](0)

    async def fetch() -> None:
        async with sending:
            async for chunk in chunks:
                await sending.send(chunk)

    try:
        async with anyio.create_task_group() as group, receiving:
            group.start_soon(fetch)
            async for chunk in receiving:
                await act(chunk)
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from None


async def in_pages(items: Iterator[T], size: int) -> AsyncIterator[Sequence[T]]:
    """What a blocking iterator brings, ``size`` items at a time, each page in a worker thread; a page is cancelled only where the
    iterator itself checks for that."""
    while page := await to_thread.run_sync(lambda: tuple(islice(items, size))):
        yield page


async def in_thread(
    act: Callable[[], R],
    *,
    patience: float = 0,
    undo: Callable[[R], object] | None = None,
    limiter: anyio.CapacityLimiter | None = None,
) -> R:
    """What ``act`` answers, from a thread. Cancelled, waits ``patience`` seconds for the thread and then leaves it behind, to end
    when it may: until then it keeps its place in ``limiter`` (the event loop's own by default), and in the ``share`` of whose
    call it is. ``undo`` is called, in a thread, with an answer that nobody takes any more."""
    answers: list[R] = []
    ended = threading.Event()
    has_begun = is_left = False
    places = _Places(*places_of(limiter or to_thread.current_default_thread_limiter()))

    def work() -> R:
        nonlocal has_begun
        has_begun = True
        try:
            answers.append(act())
            if is_left and undo is not None:
                undo(answers[0])
            return answers[0]
        finally:
            ended.set()
            places.give_back()

    await places.take()
    try:
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=_NO_LIMIT)
    except anyio.get_cancelled_exc_class():
        if not has_begun:
            places.give_back()
        with anyio.CancelScope(shield=True):
            if patience and has_begun:
                await to_thread.run_sync(ended.wait, patience, limiter=anyio.CapacityLimiter(1))
        is_left = True
        if answers and undo is not None:
            with anyio.move_on_after(_UNDOING_SECONDS, shield=True):
                undoing = anyio.CapacityLimiter(1)
                await to_thread.run_sync(undo, answers[0], abandon_on_cancel=True, limiter=undoing)
        raise


class _Places:
    """Places of some limiters: taken by a task, given back once, by whichever thread is done with them."""

    def __init__(self, *limiters: anyio.CapacityLimiter) -> None:
        self._limiters = limiters
        self._taken: list[anyio.CapacityLimiter] = []
        self._loop = asyncio.get_running_loop()

    async def take(self) -> None:
        try:
            for one in self._limiters:
                await one.acquire_on_behalf_of(self)
                self._taken.append(one)
        except BaseException:
            self._release()
            raise

    def give_back(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        while self._taken:
            self._taken.pop().release_on_behalf_of(self)


async def to_its_end(act: Callable[[], Awaitable[R]], seconds: float) -> R:
    """Awaits ``act`` even while this is cancelled, though no longer than ``seconds`` from then on: raises TimeoutError after
    that."""
    shield = anyio.CancelScope(shield=True)
    answers: list[R] = []

    async def shorten() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            shield.deadline = anyio.current_time() + seconds

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(shorten)
            with shield:
                answers.append(await act())
            if not answers:
                raise TimeoutError
            group.cancel_scope.cancel()
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from None
    return answers[0]


def groups(
    items: Iterable[T], count: int, at_once: int, size_of: Callable[[T], int]
) -> Iterator[Sequence[T]]:
    """Neighbours among ``count`` items that one worker takes together, so that small files share a step on another thread: what
    that costs is more than what a small file does. Few where there are few, so that no worker of ``at_once`` ends long after
    the others; together at most 1 MiB, and a larger item is alone. Items are taken only as they are needed.
    """
    most = max(1, min(_MOST_IN_GROUP, count // (at_once * _GROUPS_A_WORKER)))
    group: list[T] = []
    size = 0
    for item in items:
        if group and (len(group) == most or size + size_of(item) > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(item)
        size += size_of(item)
    if group:
        yield group


def first_failure(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of a task group's bundle: what the caller is told."""
    first = failures.exceptions[0]
    return first_failure(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]
