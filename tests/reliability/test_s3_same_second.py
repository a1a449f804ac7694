"""C2 on S3: pushes in one second of the clock keep each their revision pointer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from s3_registry import S3Registry

from parts.faults import Pause
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.plan import Commit, InlineFile, PatchRequest
from quilt_mcp.storage.s3.clients import AwsKeys
from s3_push import fresh, make, package

pytestmark = pytest.mark.anyio

NOON = 1_700_000_000.9


def at_noon(server: Server, registry: S3Registry, root: Path, clock: Callable[[], float]) -> IamOps:
    keys = AwsKeys(server.access_key, server.secret_key)
    access = S3Access(lambda: keys, server.region, server.url)
    options = Options(roots=(), writable=True, cache=root, cache_bytes=1 << 20)
    return IamOps(access, f"s3://{registry.bucket}", options, clock=clock)


def adding(ops: IamOps, name: str, **more: object) -> PatchRequest:
    return PatchRequest(package(ops), files=(InlineFile(name, name.encode()),), **more)  # type: ignore[arg-type]


async def test_pushes_one_after_the_other_take_the_next_free_second(moto: Server, tmp_path: Path) -> None:
    with fresh(moto) as registry:
        ops = at_noon(moto, registry, tmp_path, lambda: NOON)
        made = [(await make(ops)).top_hash]
        made += [(await ops.patch(adding(ops, name))).top_hash for name in "abc"]
        assert registry.log() == made
        assert sorted(registry.pointers()) == [*(str(int(NOON) + number) for number in range(4)), "latest"]
        assert registry.latest() == made[-1]


async def test_of_two_that_want_the_same_second_one_takes_the_next(
    moto: Server, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """A rival's whole push comes between our choice of a second and our pointer."""
    with fresh(moto) as registry:
        ours = at_noon(s3, registry, tmp_path / "ours", lambda: NOON)
        theirs = at_noon(s3, registry, tmp_path / "theirs", lambda: NOON)
        first = (await make(ours)).top_hash
        pause, done = Pause("before"), list[Commit]()

        async def push() -> None:
            done.append(await ours.patch(adding(ours, "ours", expected_top_hash=first, merge=True)))

        wanted = f"*/{int(NOON) + 1}"
        with moto_proxy.injecting(
            pause, operation="PutObject", key=wanted, bucket=registry.bucket, times=1
        ) as rule:
            async with anyio.create_task_group() as group:
                group.start_soon(push)
                await anyio.to_thread.run_sync(pause.wait_until_reached)
                rival = (await theirs.patch(adding(theirs, "theirs"))).top_hash
                pause.release()
        assert rule.fired == 1
        assert done[0].merged_onto == rival
        assert registry.log() == [first, rival, done[0].top_hash]
        assert registry.latest() == done[0].top_hash
        registry.check()
