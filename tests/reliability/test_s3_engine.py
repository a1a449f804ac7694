"""C3, C4, C5, C8 on S3: pushes through a proxy that fails, loses answers and lets rivals in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from s3_registry import open_ops

from parts import faults
from parts.faults import Fault, Pause
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from quilt_mcp.domain.plan import Commit, InlineFile, PatchRequest
from quilt_mcp.errors import QuiltError, StaleParent
from s3_push import SECOND, change, fresh, make, make_again, package

FAULTS: dict[str, Fault] = {
    "500": faults.INTERNAL_ERROR,
    "503 SlowDown": faults.SLOW_DOWN,
    "400 RequestTimeout": faults.REQUEST_TIMEOUT,
    "403": faults.ACCESS_DENIED,
    "clock skew": faults.CLOCK_SKEW,
    "expired token": faults.EXPIRED_TOKEN,
    "reset while sending": faults.ResetUpload(),
    "lost answer": faults.LoseResponse(),
    "cut answer": faults.CutResponse(),
    "reset while answering": faults.CutResponse(reset=True),
}


def fault_of(kind: str, number: int) -> Fault:
    """``in turn``: another kind at each request."""
    return FAULTS[kind] if kind in FAULTS else list(FAULTS.values())[number * 7 % len(FAULTS)]


ALL_KINDS = pytest.mark.parametrize(
    "kind",
    [
        "in turn",
        *(pytest.param(kind, marks=[pytest.mark.nightly, pytest.mark.timeout(900)]) for kind in FAULTS),
    ],
)


@pytest.mark.nightly
@pytest.mark.anyio
@ALL_KINDS
async def test_a_request_that_fails_ends_in_success_or_a_typed_error_and_the_next_try_completes(
    kind: str, moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """Each request of a push in turn; with the failed one only, so that the clients' own second tries come through."""
    number, struck = 1, True
    while struck:
        with fresh(moto) as registry:
            before = (await make(open_ops(s3, registry.bucket, tmp_path / "first"))).top_hash
            outcome: Commit | QuiltError
            ops = open_ops(s3, registry.bucket, tmp_path / str(number))
            with moto_proxy.injecting(fault_of(kind, number), bucket=registry.bucket, nth=number) as rule:
                try:
                    outcome = await change(ops, tmp_path)
                except QuiltError as error:
                    outcome = error
            registry.check()
            if rule.struck == "CreateMultipartUpload":
                # Where the answer got lost nobody knows the upload's id, so nobody can abort it: lifecycle rules do.
                assert len(registry.uploads()) <= 1
            else:
                assert registry.uploads() == [], "an upload in parts was left behind"
            if isinstance(outcome, Commit):
                assert registry.latest() == outcome.top_hash
                assert registry.files(outcome.top_hash) == SECOND
                assert registry.log() == [before, outcome.top_hash], "told once, logged once"
            else:
                assert outcome.code and outcome.next_step
                assert registry.latest() in (before, *registry.log())
                done = await make_again(ops, tmp_path, registry, before)
                assert registry.files(done) == SECOND
            struck = rule.fired == 1
        number += 1
    assert number > 15, "a push takes more requests than that"


@pytest.mark.anyio
async def test_a_lost_answer_to_any_write_is_told_as_success_exactly_once(
    moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    number, struck = 1, True
    while struck:
        with fresh(moto) as registry:
            before = (await make(open_ops(s3, registry.bucket, tmp_path / "first"))).top_hash
            ops = open_ops(s3, registry.bucket, tmp_path / str(number))
            with moto_proxy.injecting(
                faults.LoseResponse(), bucket=registry.bucket, mutating=True, nth=number
            ) as rule:
                done = await change(ops, tmp_path)
            assert registry.latest() == done.top_hash
            assert registry.log() == [before, done.top_hash]
            assert registry.files(done.top_hash) == SECOND
            struck = rule.fired == 1
        number += 1
    assert number > 6


@pytest.mark.nightly
@pytest.mark.anyio
@ALL_KINDS
async def test_a_server_that_fails_for_good_from_any_write_on_leaves_the_old_revision_or_the_new(
    kind: str, moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    number, struck = 1, True
    while struck:
        with fresh(moto) as registry:
            before = (await make(open_ops(s3, registry.bucket, tmp_path / "first"))).top_hash
            ops = open_ops(s3, registry.bucket, tmp_path / str(number))
            fault = fault_of(kind, number)
            with moto_proxy.injecting(fault, bucket=registry.bucket, since=number, mutating=True) as rule:
                try:
                    done = await change(ops, tmp_path)
                except QuiltError as error:
                    assert error.code and error.next_step
                else:
                    assert registry.latest() == done.top_hash
            registry.check()
            again = await make_again(ops, tmp_path, registry, before)
            assert registry.files(again) == SECOND
            struck = rule.fired > 0
        number += 1
    assert number > 10, "a push writes more often than that"


@pytest.mark.anyio
async def test_a_rival_that_comes_before_our_latest_is_a_stale_parent_naming_both(
    moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    with fresh(moto) as registry:
        ours = open_ops(s3, registry.bucket, tmp_path)
        theirs = open_ops(s3, registry.bucket, tmp_path / "theirs")
        before = (await make(ours)).top_hash
        pause, rivals, caught = Pause("before"), list[Commit](), list[StaleParent]()

        async def push() -> None:
            with pytest.raises(StaleParent) as stale:
                await change(ours, tmp_path, before)
            caught.append(stale.value)

        with moto_proxy.injecting(
            pause, operation="PutObject", key="*/latest", bucket=registry.bucket, times=1
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(push)
                await anyio.to_thread.run_sync(pause.wait_until_reached)
                request = PatchRequest(package(theirs), files=(InlineFile("theirs", b"t"),))
                rivals.append(await theirs.patch(request))
                pause.release()
        assert registry.latest() == rivals[0].top_hash
        assert caught[0].details["expected"] == before
        assert caught[0].details["actual"] == rivals[0].top_hash
        registry.check()


@pytest.mark.anyio
async def test_a_rival_that_the_listing_shows_is_a_stale_parent_before_any_pointer_is_written(
    moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """It came between our look at latest, before the manifest, and the listing, before the timestamp pointer."""
    with fresh(moto) as registry:
        ours = open_ops(replace(s3, access_key="ours"), registry.bucket, tmp_path)
        theirs = open_ops(s3, registry.bucket, tmp_path / "theirs")
        before = (await make(theirs)).top_hash
        pause, rivals = Pause("before"), list[Commit]()

        async def push() -> None:
            with pytest.raises(StaleParent) as stale:
                await change(ours, tmp_path, before)
            assert stale.value.details["expected"] == before
            assert stale.value.details["actual"] == rivals[0].top_hash

        with (
            moto_proxy.injecting(pause, operation="ListObjectsV2", bucket=registry.bucket, times=1),
            moto_proxy.recording() as seen,
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(push)
                await anyio.to_thread.run_sync(pause.wait_until_reached)
                request = PatchRequest(package(theirs), files=(InlineFile("theirs", b"t"),))
                rivals.append(await theirs.patch(request))
                pause.release()
        own = [exchange for exchange in seen.mutating if exchange.access_key == "ours"]
        assert own
        assert not [exchange for exchange in own if "/named_packages/" in exchange.call.key]
        assert registry.log() == [before, rivals[0].top_hash]
        registry.check()


PUSH_BESIDE = """
package = quilt3.Package.browse("a/b", registry=arguments["registry"])
import pathlib
pathlib.Path("theirs").write_text("t")
package.set("theirs", "theirs")
result = package.push("a/b", registry=arguments["registry"], force=True, message="theirs").top_hash
"""


@pytest.mark.sampled(1)
@pytest.mark.anyio
@pytest.mark.parametrize("when", ["before", "after"])
async def test_quilt3_pushing_at_the_same_time_is_detected(
    when: str, moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """quilt3 writes latest without a condition. Before ours: our condition fails. After ours: read back, and warned of."""
    quilt3 = Quilt3(tmp_path / "quilt3", moto)
    with fresh(moto) as registry:
        ours = open_ops(s3, registry.bucket, tmp_path)
        before = (await make(ours)).top_hash
        pause = Pause("before" if when == "before" else "after")
        outcome: list[Commit | StaleParent] = []
        theirs = ""

        async def push() -> None:
            try:
                outcome.append(await change(ours, tmp_path, before))
            except StaleParent as stale:
                outcome.append(stale)

        with moto_proxy.injecting(
            pause, operation="PutObject", key="*/latest", bucket=registry.bucket, times=1
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(push)
                await anyio.to_thread.run_sync(pause.wait_until_reached)
                theirs = await anyio.to_thread.run_sync(
                    lambda: quilt3.run(PUSH_BESIDE, registry=f"s3://{registry.bucket}")
                )
                pause.release()
        assert registry.latest() == theirs
        if when == "before":
            assert isinstance(outcome[0], StaleParent)
            assert outcome[0].details["actual"] == theirs
        else:
            assert isinstance(outcome[0], Commit)
            assert outcome[0].warnings
            assert outcome[0].top_hash in registry.log()
