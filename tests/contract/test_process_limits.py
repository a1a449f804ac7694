"""C11: memory is a budget of the process, in bytes, and so are threads, whatever is done at once."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from parts.faults import Pause
from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.plan import CreateRequest, Source
from quilt_mcp.errors import PreconditionFailed
from quilt_mcp.storage.limits import MEMORY, SENDERS, Limits
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.store import S3Store

MIB = 1 << 20
PATIENCE = 20

pytestmark = pytest.mark.anyio


@pytest.fixture
def bucket(moto: Server) -> str:
    return moto.make_bucket()


def large_files(folder: Path, count: int, size: int) -> None:
    folder.mkdir()
    for number in range(count):
        with (folder / f"file{number}").open("wb") as file:
            file.write(b"%d" % number)
            file.truncate(size)


@pytest.mark.nightly
async def test_many_large_files_share_one_budget_and_leave_threads_to_other_calls(
    bucket: str, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """Review R8: eight parts of six files held every thread there was, and a part's memory each."""
    ops = iam_ops(s3, bucket, roots=(tmp_path,), cache=tmp_path / "cache")
    large_files(tmp_path / "files", 6, 72 * MIB)
    await ops.list_objects(f"s3://{bucket}/")
    pause, done = Pause(), anyio.Event()
    with moto_proxy.injecting(pause, operation="UploadPart", bucket=bucket) as rule:
        async with anyio.create_task_group() as group:

            async def push() -> None:
                await ops.create(
                    CreateRequest(
                        PackageUri(f"s3://{bucket}", "a/b"), sources=(Source(f"{tmp_path}/files/"),)
                    )
                )
                done.set()

            group.start_soon(push)
            await anyio.to_thread.run_sync(pause.wait_until_reached, SENDERS)
            with anyio.fail_after(PATIENCE):
                assert await ops.list_objects(f"s3://{bucket}/nothing/")
                assert await ops.list_packages(f"s3://{bucket}") is not None
            assert rule.seen * 8 * MIB <= MEMORY
            pause.release()
    assert done.is_set()


async def test_memory_is_given_in_turn_and_never_beyond_the_budget() -> None:
    """Review R8: a part that is larger than all there is goes alone, and small ones do not pass it for ever."""
    limits, held, most, ended = Limits(), 0, 0, list[int]()

    async def hold(size: int) -> None:
        nonlocal held, most
        async with limits.memory(size):
            held += min(size, MEMORY)
            most = max(most, held)
            await anyio.lowlevel.checkpoint()
            held -= min(size, MEMORY)
            ended.append(size)

    async with anyio.create_task_group() as group:
        for size in (MEMORY // 2, 2 * MEMORY, *[MEMORY // 4] * 8):
            group.start_soon(hold, size)
            await anyio.lowlevel.checkpoint()
    assert most <= MEMORY
    assert ended[:2] == [MEMORY // 2, 2 * MEMORY]


async def test_who_is_cancelled_while_waiting_for_memory_takes_none() -> None:
    limits = Limits()
    async with limits.memory(MEMORY):
        with anyio.move_on_after(0.05) as scope:
            async with limits.memory(1):
                pytest.fail("there was none")
        assert scope.cancelled_caught
    with anyio.fail_after(PATIENCE):
        async with limits.memory(MEMORY):
            pass


@pytest.mark.nightly
@pytest.mark.sampled(1)
@pytest.mark.parametrize("key", ["manifest", "odd//manifest"])
async def test_a_create_only_put_of_a_large_file_is_sent_as_it_is_read(
    key: str, bucket: str, moto: Server, tmp_path: Path
) -> None:
    """Review R9: it came into memory twice."""
    keys = AwsKeys(moto.access_key, moto.secret_key)
    store = S3Store(bucket, S3Clients(lambda: keys, endpoint_url=moto.url, region=moto.region))
    path = tmp_path / "manifest"
    path.write_bytes(os.urandom(96 * MIB))
    await store.put("first", b"which asks whether conditions are kept", if_absent=True)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    stat = await store.put(key, path, if_absent=True)
    assert memory("VmHWM") - before < 48 * MIB
    assert stat.size == 96 * MIB
    with moto.boto() as raw:
        stored = raw.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert hash_bytes(stored) == hash_bytes(path.read_bytes())
    with pytest.raises(PreconditionFailed):
        await store.put(key, path, if_absent=True)


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
