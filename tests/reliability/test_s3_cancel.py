"""C18 on S3: cancelled at any request of a push, or at any turn of the event loop, nothing is left of it, and the same call
again completes it."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from s3_registry import S3Registry, open_ops

from parts.faults import Pause
from parts.proxy import Proxy
from parts.s3_access import S3Access
from quilt_mcp.domain.plan import Commit
from s3_push import SECOND, change, fresh, make, make_again

pytestmark = pytest.mark.anyio

TURNS = 700
SOON = 10.0
"""Seconds; generous, as a loaded machine lets a thread wait."""


def held() -> tuple[frozenset[asyncio.Task[Any]], list[str]]:
    """The tasks of this process, and the files it has open (the proxy's sockets are its, too)."""
    places: list[str] = []
    for number in os.listdir("/proc/self/fd"):
        try:
            places.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue  # the one that listed them, or a socket of the proxy that has just been closed
    files = sorted(place for place in places if place.startswith(("/tmp", "/var")))
    return frozenset(asyncio.all_tasks()), files


def opened_since(started: tuple[Any, list[str]]) -> Counter[str]:
    return Counter(held()[1]) - Counter(started[1])


def temporary(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(("manifest-", "work-", ".tmp"))]


async def hold_and_finish(
    registry: S3Registry, s3: S3Access, root: Path, before: str, done: list[Commit], started: Any
) -> None:
    tasks, _ = held()
    assert tasks == started[0]
    with anyio.move_on_after(SOON):
        while opened_since(started):  # by a thread left behind in mid-read
            await anyio.sleep(0.01)
    assert not opened_since(started)
    assert temporary(root) == []
    assert registry.uploads() == [], "an upload in parts was left behind"
    registry.check()
    assert registry.latest() in (before, *registry.log())
    if done:
        assert registry.latest() == done[0].top_hash
    top_hash = await make_again(open_ops(s3, registry.bucket, root / "again"), root, registry, before)
    assert registry.files(top_hash) == SECOND


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(4, id="every fourth request"),
        pytest.param(1, id="every request", marks=[pytest.mark.nightly, pytest.mark.timeout(1800)]),
    ],
)
async def test_cancelled_at_any_request_of_a_push_nothing_is_left_behind(
    step: int, moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    number, struck, cut_short = 1, True, 0
    while struck:
        root = tmp_path / str(number)
        root.mkdir()
        with fresh(moto) as registry:
            before = (await make(open_ops(s3, registry.bucket, root / "first"))).top_hash
            ops = open_ops(s3, registry.bucket, root / "ours")
            started, pause, done = held(), Pause("after"), list[Commit]()
            ended = anyio.Event()
            with moto_proxy.injecting(pause, bucket=registry.bucket, nth=number) as rule:
                async with anyio.create_task_group() as group:

                    async def push() -> None:
                        done.append(await change(ops, root))  # noqa: B023 - used within this turn of the loop
                        ended.set()  # noqa: B023

                    group.start_soon(push)
                    while not ended.is_set():
                        if await anyio.to_thread.run_sync(reached, pause):
                            group.cancel_scope.cancel()
                            pause.release()
                            break
            moto_proxy.wait_until_idle()
            cut_short += not done
            await hold_and_finish(registry, s3, root, before, done, started)
            struck = rule.fired == 1
        number += step
    assert number > 15, "a push takes more requests than that"
    assert cut_short > 15 // step


def reached(pause: Pause) -> bool:
    try:
        pause.wait_until_reached(timeout=0.2)
    except TimeoutError:
        return False
    return True


@pytest.mark.nightly
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(97, id="every 97th turn"),
        pytest.param(11, id="every 11th turn", marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ],
)
async def test_cancelled_at_any_turn_of_the_event_loop_a_push_leaves_nothing_behind(
    step: int, moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    loop, cut_short = asyncio.get_running_loop(), 0
    for turns in range(1, TURNS, step):
        root = tmp_path / str(turns)
        root.mkdir()
        with fresh(moto) as registry:
            before = (await make(open_ops(s3, registry.bucket, root / "first"))).top_hash
            ops = open_ops(s3, registry.bucket, root / "ours")
            started, done = held(), list[Commit]()
            with anyio.CancelScope() as scope:

                def count(left: int) -> None:
                    if left:
                        loop.call_soon(count, left - 1)
                    else:
                        scope.cancel()

                loop.call_soon(count, turns)
                done.append(await change(ops, root))
            moto_proxy.wait_until_idle()
            cut_short += not done
            await hold_and_finish(registry, s3, root, before, done, started)
    assert cut_short
