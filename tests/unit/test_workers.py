"""Threads: one that a cancelled call left behind keeps its place until it ends, and one user has no more than a share."""

from __future__ import annotations

import threading

import anyio
import pytest

from quilt_mcp.storage.workers import Share, in_thread, share

pytestmark = pytest.mark.anyio


async def test_a_thread_that_was_left_behind_keeps_its_place_until_it_ends() -> None:
    limiter, goes_on, began = anyio.CapacityLimiter(2), threading.Event(), threading.Semaphore(0)

    def act() -> None:
        began.release()
        goes_on.wait(20)

    before = threading.active_count()
    for _ in range(20):
        with anyio.move_on_after(0.02):
            await in_thread(act, limiter=limiter)
    assert limiter.borrowed_tokens == 2
    assert threading.active_count() <= before + 2
    goes_on.set()
    with anyio.fail_after(10):
        while limiter.borrowed_tokens:
            await anyio.sleep(0.01)
        assert await in_thread(lambda: 7, limiter=limiter) == 7


async def test_one_user_has_half_of_the_places_and_another_the_rest() -> None:
    limiter, goes_on = anyio.CapacityLimiter(4), threading.Event()
    ended: list[str] = []

    async def call(own: Share, name: str, waits: bool) -> None:
        share.set(own)
        await in_thread(lambda: goes_on.wait(20) if waits else None, limiter=limiter)
        ended.append(name)

    ada, bob = Share(), Share()
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(call, ada, "ada", True)
        await anyio.sleep(0.1)
        assert limiter.borrowed_tokens == 2
        with anyio.fail_after(10):
            await call(bob, "bob", waits=False)
        assert ended == ["bob"]
        goes_on.set()
    assert ended.count("ada") == 10
    assert limiter.borrowed_tokens == 0


async def test_who_is_cancelled_while_waiting_for_a_place_holds_none() -> None:
    limiter, goes_on = anyio.CapacityLimiter(1), threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: in_thread(lambda: goes_on.wait(20), limiter=limiter))
        await anyio.sleep(0.05)
        with anyio.move_on_after(0.05):
            await in_thread(lambda: None, limiter=limiter)
        goes_on.set()
    assert limiter.borrowed_tokens == 0
