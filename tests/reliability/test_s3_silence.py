"""C18 against a server that falls silent: it is given up within a minute, all tries together, and whoever is cancelled meanwhile
waits no longer than two seconds. The limits are set low here, each in the proportion it has."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import pytest
from s3_registry import S3Registry

from parts.faults import Fault, NeverAnswer, Pause, Stall
from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.errors import OutcomeUnknown, QuiltError, StorageUnavailable
from quilt_mcp.registry import pointers
from quilt_mcp.registry.writing import publish
from quilt_mcp.storage.s3 import clients, network

MINUTE = 60 / 15
"""With a fifteenth of each limit; a loaded machine adds its own time."""
ADDED = 4
LARGE = 20 << 20
CANCELLED = 2
"""Seconds within which a cancelled call ends; asserted generously."""

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a large file, which nothing here changes."""
    root = tmp_path_factory.mktemp("silence")
    (root / "large").write_bytes(os.urandom(LARGE))
    return root


@pytest.fixture
def bucket(moto: Server) -> str:
    return moto.make_bucket()


@pytest.fixture(scope="module")
def filled(moto: Server, root: Path) -> str:
    """A bucket with a package of a small and a large file, and objects at keys that only boto3 takes. What is asked of it fails
    or is cancelled, so that one is enough."""
    bucket = moto.make_bucket()
    anyio.run(make_package, moto, bucket, root, (Source(str(root / "large")),))
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key="odd//key", Body=b"2" * LARGE)
    return bucket


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (clients, "CONNECT_SECONDS"),
        (clients, "READ_SECONDS"),
        (clients, "PATIENT_SECONDS"),
        (network, "SILENT_SECONDS"),
        (pointers, "READ_BACK_SECONDS"),
        (publish, "READ_BACK_SECONDS"),
        (publish, "COMMIT_SECONDS"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name) / 15)


def ops_of(server: Server, bucket: str, root: Path, cache: Path) -> IamOps:
    return iam_ops(server, bucket, roots=(root, cache), cache=cache / "cache")


async def make_package(server: Server, bucket: str, root: Path, sources: tuple[Source, ...] = ()) -> None:
    with TemporaryDirectory() as cache:
        ops = ops_of(server, bucket, root, Path(cache))
        await ops.create(CreateRequest(package(bucket), sources=sources, files=(InlineFile("small", b"1"),)))


async def opened(server: Server, bucket: str, root: Path, cache: Path) -> IamOps:
    """Its clients are made, it knows what the server can do, and has read nothing yet."""
    ops = ops_of(server, bucket, root, cache)
    await ops.list_objects(f"s3://{bucket}/nothing/")
    await ops.put_object(f"s3://{bucket}/probed", b"1", overwrite=True)
    return ops


def package(bucket: str, name: str = "a/b") -> PackageUri:
    return PackageUri(f"s3://{bucket}", name)


def reads(ops: IamOps, bucket: str, here: Path) -> dict[str, Callable[[], Awaitable[Any]]]:
    return {
        "list_packages": lambda: ops.list_packages(f"s3://{bucket}"),
        "list_objects": lambda: ops.list_objects(f"s3://{bucket}/"),
        "browse": lambda: ops.browse(package(bucket)),
        "log": lambda: ops.log(package(bucket)),
        "read_object": lambda: ops.read_object(f"s3://{bucket}/probed"),
        "read_odd_object": lambda: ops.read_object(f"s3://{bucket}/odd//key", length=4 << 20),
        "install": lambda: ops.install(package(bucket), str(here / "installed")),
        "verify": lambda: ops.verify(package(bucket)),
    }


def writes(ops: IamOps, bucket: str, root: Path) -> dict[str, Callable[[], Awaitable[Any]]]:
    upload = CreateRequest(package(bucket, "new/large"), sources=(Source(str(root / "large")),))
    inline = PatchRequest(package(bucket), files=(InlineFile("small", b"2"),))
    return {
        "put_object": lambda: ops.put_object(f"s3://{bucket}/put", b"1"),
        "put_large_object": lambda: ops.put_object(f"s3://{bucket}/put", b"1" * (1 << 20)),
        "upload": lambda: ops.create(upload),
        "patch": lambda: ops.patch(inline),
        "delete": lambda: ops.delete(package(bucket), whole=True),
    }


@pytest.mark.sampled(1)
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", [NeverAnswer(), Stall()], ids=["never answers", "stalls"])
async def test_case_E6_a_silent_server_is_given_up_within_a_minute_and_told_as_silent(
    fault: Fault, filled: str, root: Path, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """case_E6, Review R10: obstore waited half an hour, boto3 four minutes."""
    ops = await opened(s3, filled, root, tmp_path)
    calls = reads(ops, filled, tmp_path)
    if isinstance(fault, NeverAnswer):
        calls |= writes(ops, filled, root)
    begun = time.monotonic()

    async def given_up(name: str, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            answer = await call()
        except StorageUnavailable as error:
            assert "answer" in error.message or "cut short" in error.message, (name, error.message)
        else:
            assert name == "verify" and not answer.ok, name
        assert time.monotonic() - begun < MINUTE + ADDED, name

    with moto_proxy.injecting(fault, bucket=filled):
        async with anyio.create_task_group() as group:
            for name, call in calls.items():
                group.start_soon(given_up, name, call)


@pytest.mark.sampled(1)
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("UploadPart", "upload"),
        ("CompleteMultipartUpload", "upload"),
        ("CreateMultipartUpload", "upload"),
        ("PutObject", "patch"),
    ],
)
async def test_a_server_that_takes_writes_and_never_answers_them_is_given_up_too(
    operation: str, call: str, bucket: str, root: Path, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """Review R10."""
    await make_package(s3, bucket, root)
    ops = await opened(s3, bucket, root, tmp_path)
    begun = time.monotonic()
    with (
        moto_proxy.injecting(NeverAnswer(), bucket=bucket, operation=operation) as rule,
        pytest.raises(StorageUnavailable),
    ):
        await writes(ops, bucket, root)[call]()
    assert rule.fired
    assert time.monotonic() - begun < MINUTE + ADDED
    with s3.boto() as raw:
        assert S3Registry(raw, bucket).uploads() == []


async def cancelled(call: Callable[[], Awaitable[Any]], reached: Callable[[], Any]) -> tuple[float, Any]:
    """How long it takes to end from when it is cancelled, which is when ``reached`` returns; and what it raised."""
    raised: list[BaseException] = []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def run() -> None:
                try:
                    await call()
                except QuiltError as error:
                    raised.append(error)

            group.start_soon(run)
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(reached)
            begun = time.monotonic()
            scope.cancel()
    return time.monotonic() - begun, raised


READING = ("list_packages", "list_objects", "browse", "read_object", "read_odd_object", "install", "verify")
WRITING = ("put_object", "put_large_object", "upload", "patch")


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", [*READING, *WRITING])
async def test_whoever_is_cancelled_while_a_server_is_silent_ends_within_two_seconds(
    name: str, filled: str, root: Path, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """Review R11: a request by boto3 ended after 240 seconds."""
    ops = await opened(s3, filled, root, tmp_path)
    call = (reads(ops, filled, tmp_path) | writes(ops, filled, root))[name]
    pause = Pause()
    with moto_proxy.injecting(pause, bucket=filled):
        took, raised = await cancelled(call, pause.wait_until_reached)
        assert took < CANCELLED + ADDED, name
        assert not raised


@pytest.mark.sampled(1)
@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
async def test_a_cancelled_upload_ends_within_two_seconds_and_is_aborted_when_the_server_is_back(
    operation: str, bucket: str, root: Path, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    ops = await opened(s3, bucket, root, tmp_path)
    pause = Pause("after")
    with moto_proxy.injecting(pause, bucket=bucket, operation=operation):
        took, _ = await cancelled(writes(ops, bucket, root)["upload"], pause.wait_until_reached)
        assert took < CANCELLED + ADDED
    moto_proxy.wait_until_idle()
    with s3.boto() as raw:
        registry = S3Registry(raw, bucket)
        for _ in range(100):
            if not registry.uploads():
                break
            await anyio.sleep(0.1)
        assert registry.uploads() == []


@pytest.mark.usefixtures("hasty")
async def test_a_commit_that_gets_no_answer_is_told_as_unknown_with_the_call_that_finds_out(
    bucket: str, root: Path, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    await make_package(s3, bucket, root)
    ops = await opened(s3, bucket, root, tmp_path)
    call = writes(ops, bucket, root)["patch"]
    key = ".quilt/named_packages/a/b/latest"

    with moto_proxy.injecting(pause := Pause(), bucket=bucket, key=key, operation="PutObject"):
        took, raised = await cancelled(call, pause.wait_until_reached)
    [error] = raised
    assert isinstance(error, OutcomeUnknown), error
    assert not error.retryable
    assert "package_log" in error.next_step and error.details["top_hash"][:12] in error.next_step
    assert took < publish.COMMIT_SECONDS + CANCELLED + ADDED


@pytest.mark.usefixtures("hasty")
async def test_a_store_that_dies_at_the_commit_leaves_the_outcome_unknown_and_says_so(
    bucket: str, root: Path, s3: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """The server has acted, and neither the write nor the reading back is answered."""
    await make_package(s3, bucket, root)
    ops = await opened(s3, bucket, root, tmp_path)
    key = ".quilt/named_packages/a/b/latest"
    with (
        moto_proxy.injecting(NeverAnswer(acts=True), bucket=bucket, key=key, operation="PutObject") as rule,
        moto_proxy.injecting(NeverAnswer(), bucket=bucket, key=key, operation="GetObject", since=3),
        pytest.raises(OutcomeUnknown) as caught,
    ):
        await writes(ops, bucket, root)["patch"]()
    assert rule.fired
    with s3.boto() as raw:
        assert S3Registry(raw, bucket).latest() == caught.value.details["top_hash"]
