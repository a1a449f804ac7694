"""C12, Review R4 and R5: what a deletion in a bucket does when a push, a policy or the network comes in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from s3_registry import NAME, S3Registry, open_ops

from parts.faults import ACCESS_DENIED, DropHeader, LoseResponse, Pause
from parts.proxy import Proxy
from parts.s3_access import S3Access
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, DeleteOutcome, InlineFile
from quilt_mcp.errors import PermissionDenied, StaleParent
from quilt_mcp.ops import QuiltOps

pytestmark = pytest.mark.anyio
POINTERS = f".quilt/named_packages/{NAME}/*"
LATEST = f".quilt/named_packages/{NAME}/latest"


class Bucket:
    def __init__(self, server: S3Access, past: S3Access, registry: S3Registry, root: Path) -> None:
        self.registry = registry
        self.name = registry.bucket
        self.uri = PackageUri(f"s3://{self.name}", NAME)
        self.ops = open_ops(server, self.name, root / "ours")
        self.rival = open_ops(past, self.name, root / "theirs")

    async def push(self, ops: QuiltOps, content: bytes) -> str:
        request = CreateRequest(self.uri, files=(InlineFile("f", content),), overwrite=True)
        return (await ops.create(request)).top_hash

    async def delete(self, top_hash: str | None = None) -> DeleteOutcome:
        return await self.ops.delete(
            PackageUri(self.uri.registry, NAME, top_hash=top_hash), whole=top_hash is None
        )


@pytest.fixture(params=[True, False], ids=["versions", "no versions"])
def bucket(request: pytest.FixtureRequest, moto: S3Access, s3: S3Access, tmp_path: Path) -> Iterator[Bucket]:
    with moto.boto() as raw:
        registry = S3Registry(raw, moto.make_bucket(versioned=request.param))
        yield Bucket(s3, moto, registry, tmp_path)


@pytest.mark.sampled(1)
async def test_a_push_between_the_check_and_the_deletion_is_kept(bucket: Bucket, moto_proxy: Proxy) -> None:
    """The condition is the server's: there is no moment between."""
    made = [await bucket.push(bucket.ops, content) for content in (b"1", b"2")]
    pause = Pause("before")
    refused: list[StaleParent] = []

    async def delete() -> None:
        with pytest.raises(StaleParent) as caught:
            await bucket.delete()
        refused.append(caught.value)

    with moto_proxy.injecting(pause, operation="DeleteObject", bucket=bucket.name, key=LATEST):
        async with anyio.create_task_group() as group:
            group.start_soon(delete)
            await anyio.to_thread.run_sync(pause.wait_until_reached)
            theirs = await bucket.push(bucket.rival, b"3")
            pause.release()
    assert (bucket.registry.latest(), bucket.registry.log()) == (theirs, [*made, theirs])
    assert "merge" not in refused[0].next_step and "package_log" in refused[0].next_step


@pytest.mark.sampled(1)
async def test_where_the_server_knows_no_conditional_deletion_the_window_is_told(
    bucket: Bucket, moto_proxy: Proxy
) -> None:
    await bucket.push(bucket.rival, b"1")
    with moto_proxy.injecting(DropHeader("if-match"), operation="DeleteObject", bucket=bucket.name):
        outcome = await bucket.delete()
    assert [warning.partition(":")[0] for warning in outcome.warnings] == ["unconditional_store"]
    assert bucket.ops.describe()["conditional_writes"] is True
    assert bucket.registry.pointers() == {}


@pytest.mark.sampled(1)
async def test_a_role_that_may_not_delete_changes_nothing(bucket: Bucket, moto_proxy: Proxy) -> None:
    top_hash = [await bucket.push(bucket.rival, content) for content in (b"1", b"2")][-1]
    before = bucket.registry.pointers()
    with moto_proxy.injecting(ACCESS_DENIED, operation="DeleteObject", bucket=bucket.name, key=POINTERS):
        for victim in (None, top_hash):
            with pytest.raises(PermissionDenied):
                await bucket.delete(victim)
            assert bucket.registry.pointers() == before, victim


async def test_a_role_that_may_delete_and_not_write_deletes(bucket: Bucket, moto_proxy: Proxy) -> None:
    await bucket.push(bucket.rival, b"1")
    with moto_proxy.injecting(ACCESS_DENIED, operation="PutObject", bucket=bucket.name):
        outcome = await bucket.delete()
    assert bucket.registry.pointers() == {}
    assert [warning.partition(":")[0] for warning in outcome.warnings] == ["unconditional_store"]


@pytest.mark.sampled(1)
async def test_a_deletion_whose_answer_is_lost_is_done(bucket: Bucket, moto_proxy: Proxy) -> None:
    await bucket.push(bucket.rival, b"1")
    with moto_proxy.injecting(
        LoseResponse(), operation="DeleteObject", bucket=bucket.name, key=LATEST, nth=1
    ) as rule:
        assert (await bucket.delete()).done
    assert rule.fired == 1
    assert bucket.registry.pointers() == {}


@pytest.mark.sampled(1)
async def test_a_deletion_cut_short_is_told_and_a_second_one_completes_it(
    bucket: Bucket, moto_proxy: Proxy
) -> None:
    for content in (b"1", b"2"):
        await bucket.push(bucket.rival, content)
    pause = Pause("before")
    with moto_proxy.injecting(pause, operation="DeleteObject", bucket=bucket.name, key=POINTERS, nth=2):
        async with anyio.create_task_group() as group:
            group.start_soon(bucket.delete)
            await anyio.to_thread.run_sync(pause.wait_until_reached)
            listed = await bucket.rival.list_packages(bucket.uri.registry)
            group.cancel_scope.cancel()
            pause.release()
    assert [warning.partition(":")[0] for warning in listed.warnings] == ["missing_latest"]
    assert "package_delete" in listed.warnings[0]
    await bucket.rival.delete(bucket.uri, whole=True)
    assert bucket.registry.pointers() == {}
