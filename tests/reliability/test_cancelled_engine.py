"""C18: cancelled at any storage call, or at any turn of the event loop, a call leaves no task, no temporary file and no open
descriptor; what it had not finished can be done by the same call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
import registry_checks
from faulty_store import Call, Fault, open_faulty

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.ops import QuiltOps

pytestmark = pytest.mark.anyio

NAME = "a/b"
FILES = {f"f{number}": os.urandom(1000 * number) for number in range(1, 7)}
TURNS = 400


def package(ops: QuiltOps) -> PackageUri:
    return PackageUri(ops.default_registry, NAME)


async def create(ops: QuiltOps, root: Path) -> None:
    sources = (Source(str(root / "data"), "d/"),)
    await ops.create(
        CreateRequest(package(ops), sources, (InlineFile("inline", b"1"),), message="m", overwrite=True)
    )


async def patch(ops: QuiltOps, root: Path) -> None:
    await ops.patch(PatchRequest(package(ops), files=(InlineFile("new", b"2"),), merge=True))


async def install(ops: QuiltOps, root: Path) -> None:
    await ops.install(package(ops), str(root / "installed"))


async def verify(ops: QuiltOps, root: Path) -> None:
    assert (await ops.verify(package(ops))).ok


Act = Callable[[QuiltOps, Path], Awaitable[None]]
ACTS: dict[str, Act] = {"create": create, "patch": patch, "install": install, "verify": verify}


@dataclass(frozen=True)
class Held:
    """What this process has going."""

    tasks: frozenset[asyncio.Task[Any]]
    descriptors: int


def held() -> Held:
    descriptors = os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")
    return Held(frozenset(asyncio.all_tasks()), len(descriptors))


async def prepare(root: Path, act: str) -> None:
    (root / "data").mkdir()
    for name, content in FILES.items():
        (root / "data" / name).write_bytes(content)
    if act != "create":
        await create(open_faulty(root).ops, root)


def check(root: Path, before: Held) -> None:
    """Nothing is left of the cancelled call but whole objects and whole files."""
    after = held()
    assert after.tasks == before.tasks
    assert (
        after.descriptors <= before.descriptors
    )  # fewer, when something of an earlier test was collected meanwhile
    assert not registry_checks.unfinished(root)
    registry_checks.check(root / "registry")
    installed = root / "installed"
    for path in installed.rglob("*") if installed.exists() else ():
        if path.is_file():
            assert path.read_bytes() == (FILES.get(path.name) or b"1"), "an installed file is whole"


async def finish(root: Path, act: str) -> None:
    """The same call again does what the cancelled one had not."""
    await ACTS[act](open_faulty(root).ops, root)
    registry_checks.check(root / "registry")
    latest = registry_checks.pointers(root / "registry", NAME)["latest"]
    files = registry_checks.files(root / "registry", latest)
    expected = {"inline": b"1", **{f"d/{name}": content for name, content in FILES.items()}}
    assert files == ({**expected, "new": b"2"} if act == "patch" else expected)
    assert len(registry_checks.log(root / "registry", NAME)) == (2 if act == "patch" else 1)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("act", ACTS)
async def test_cancelled_at_any_storage_call_nothing_is_left_behind(act: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    await prepare(whole, act)
    undisturbed = open_faulty(whole)
    await ACTS[act](undisturbed.ops, whole)
    cancelled = 0
    for number in range(len(undisturbed.stores.calls)):
        root = tmp_path / str(number)
        root.mkdir()
        await prepare(root, act)
        before = held()
        with anyio.CancelScope() as scope:

            async def cancel(call: Call) -> Fault | None:
                if call.number == number:  # noqa: B023 - used within this turn of the loop
                    scope.cancel()
                return None

            await ACTS[act](open_faulty(root, cancel).ops, root)
        cancelled += scope.cancelled_caught
        check(root, before)
        await finish(root, act)
    assert cancelled


@pytest.mark.sampled(1)
@pytest.mark.parametrize("act", ACTS)
async def test_cancelled_at_any_turn_of_the_event_loop_nothing_is_left_behind(
    act: str, tmp_path: Path
) -> None:
    root = tmp_path
    await prepare(root, act)
    loop = asyncio.get_running_loop()
    cancelled = 0
    before = held()
    for turns in range(0, TURNS, 7):
        with anyio.CancelScope() as scope:

            def count(left: int) -> None:
                if left:
                    loop.call_soon(count, left - 1)
                else:
                    scope.cancel()

            count(turns)
            await ACTS[act](open_faulty(root).ops, root)
        cancelled += scope.cancelled_caught
        check(root, before)
    assert cancelled
