"""The Quilt3 backend is the IAM backend with a session's credentials and links into its catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.s3_access import S3Access as Server
from quilt_mcp.auth.identity import QuiltAccess, S3Access
from quilt_mcp.backends.quilt3 import open_quilt3
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile
from quilt_mcp.errors import EntryNotFound, ObjectNotFound
from quilt_mcp.ops import QuiltOps
from quilt_mcp.storage.s3_clients import AwsKeys

CATALOG = "https://catalog.example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bucket(moto: Server) -> str:
    return moto.make_bucket()


def opened(moto: Server, bucket: str, folder: Path, catalog_url: str | None = CATALOG) -> QuiltOps:
    keys = AwsKeys(moto.access_key, moto.secret_key)
    access = QuiltAccess(
        S3Access(lambda: keys, moto.region, moto.url),
        "https://registry.example",
        catalog_url,
        lambda: "token",
    )
    return open_quilt3(
        access, f"s3://{bucket}", roots=(folder,), writable=True, cache=folder / "cache", cache_bytes=1 << 20
    )


@pytest.mark.anyio
async def test_a_link_to_a_package_file_is_its_page_in_the_catalog(
    moto: Server, bucket: str, tmp_path: Path
) -> None:
    ops = opened(moto, bucket, tmp_path)
    package = PackageUri(f"s3://{bucket}", "team/data")
    made = await ops.create(CreateRequest(package, files=(InlineFile("a b/é#.csv", b"1"),)))
    link = await ops.link(str(PackageUri(f"s3://{bucket}", "team/data", path="a b/é#.csv")))
    assert link.url == f"{CATALOG}/b/{bucket}/packages/team/data/tree/{made.top_hash}/a%20b/%C3%A9%23.csv"
    assert (link.kind, link.expires) == ("catalog", None)


@pytest.mark.anyio
async def test_a_link_to_an_object_names_its_version(moto: Server, bucket: str, tmp_path: Path) -> None:
    ops = opened(moto, bucket, tmp_path)
    put = await ops.put_object(f"s3://{bucket}/raw/x.csv", b"1")
    version = (await ops.stat_object(put.uri)).version
    link = await ops.link(f"s3://{bucket}/raw/x.csv?versionId={version}")
    assert link.url == f"{CATALOG}/b/{bucket}/tree/raw/x.csv?version={version}"


@pytest.mark.anyio
async def test_a_link_to_nothing_is_refused_as_by_s3_itself(
    moto: Server, bucket: str, tmp_path: Path
) -> None:
    ops = opened(moto, bucket, tmp_path)
    await ops.create(CreateRequest(PackageUri(f"s3://{bucket}", "a/b"), files=(InlineFile("f", b"1"),)))
    with pytest.raises(ObjectNotFound):
        await ops.link(f"s3://{bucket}/nothing")
    with pytest.raises(EntryNotFound):
        await ops.link(str(PackageUri(f"s3://{bucket}", "a/b", path="g")))


@pytest.mark.anyio
async def test_without_a_catalog_links_are_signed(moto: Server, bucket: str, tmp_path: Path) -> None:
    ops = opened(moto, bucket, tmp_path, catalog_url=None)
    await ops.put_object(f"s3://{bucket}/x", b"1")
    assert (await ops.link(f"s3://{bucket}/x")).kind == "presigned"
