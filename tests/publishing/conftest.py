"""A bucket for each module, pushed to by one process of quilt3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from published_bucket import Bucket, opened
from publishing_lab import local_ops, write_some

from parts.proxy import Proxy
from parts.quilt3_process import Quilt3Server
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.local import LocalOps


@pytest.fixture(scope="session")
def quilt3(moto: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quilt3Server]:
    server = Quilt3Server(tmp_path_factory.mktemp("quilt3"), moto)
    yield server
    server.close()


@pytest.fixture(scope="module")
def pushed(moto: Server, quilt3: Quilt3Server) -> Iterator[Bucket]:
    """Nobody but one test at a time changes it; each goes on where the last ended."""
    with moto.boto() as raw:
        yield Bucket(moto.make_bucket(), raw, quilt3)


@pytest.fixture
def bucket_ops(pushed: Bucket, moto: Server, moto_proxy: Proxy, tmp_path: Path) -> IamOps:
    return opened(pushed, moto, moto_proxy, tmp_path / "cache")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    write_some(tmp_path / "registry")
    return tmp_path / "registry"


@pytest.fixture
def ops(registry: Path, tmp_path: Path) -> LocalOps:
    return local_ops(registry, tmp_path / "cache")
