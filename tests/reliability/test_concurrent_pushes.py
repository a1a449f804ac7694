"""C1: many processes push to one package; every acknowledged revision is in the log, in one line of parents, and none is lost."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
import registry_checks
from racing import hold, pushed_files, race
from s3_registry import NAME, S3Registry, open_ops

from parts.s3_access import S3Access
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile
from quilt_mcp.ops import QuiltOps


async def create(ops: QuiltOps) -> str:
    request = CreateRequest(PackageUri(ops.default_registry, NAME), files=(InlineFile("first", b"1"),))
    return (await ops.create(request)).top_hash


NIGHTLY = [pytest.mark.nightly, pytest.mark.timeout(3_600)]
"""``bench/nightly.py`` does it with 50 pushes each, and keeps the figures."""


@pytest.mark.parametrize(
    ("writers", "pushes"),
    [
        pytest.param(6, 8, id="6 processes, 8 pushes each"),
        pytest.param(32, 20, id="32 processes, 20 pushes each", marks=NIGHTLY),
    ],
)
def test_in_a_folder_no_acknowledged_push_is_lost_and_the_log_is_one_line_of_parents(
    writers: int, pushes: int, tmp_path: Path
) -> None:
    registry = tmp_path / "registry"
    registry.mkdir()
    options = Options(roots=(tmp_path,), writable=True, cache=tmp_path / "cache", cache_bytes=1 << 20)
    ops = LocalOps(str(registry), options)
    first = anyio.run(create, ops)
    told = race([str(tmp_path)], writers, pushes, 100 if writers < 10 else 3_000)
    log = registry_checks.log(registry, NAME)
    hold(told, pushes, first, log, registry_checks.pointers(registry, NAME)["latest"])
    assert registry_checks.files(registry, log[-1]) == {"first": b"1"} | pushed_files(writers, pushes)
    registry_checks.check(registry)
    assert not registry_checks.unfinished(tmp_path)


@pytest.mark.parametrize(
    ("writers", "pushes"),
    [
        pytest.param(8, 4, id="8 processes, 4 pushes each"),
        pytest.param(32, 20, id="32 processes, 20 pushes each", marks=NIGHTLY),
    ],
)
def test_in_a_bucket_no_acknowledged_push_is_lost_and_the_log_is_one_line_of_parents(
    writers: int, pushes: int, moto: S3Access, s3: S3Access, tmp_path: Path
) -> None:
    bucket = moto.make_bucket()
    first = anyio.run(create, open_ops(s3, bucket, tmp_path))
    told = race([str(tmp_path), s3.url, bucket], writers, pushes, 200 if writers < 10 else 3_000)
    with moto.boto() as raw:
        registry = S3Registry(raw, bucket)
        log = registry.log()
        hold(told, pushes, first, log, registry.latest())
        assert registry.files(log[-1]) == {"first": b"1"} | pushed_files(writers, pushes)
        assert registry.uploads() == []
