"""The Quilt3 backend keeps the contract of QuiltOps with a session that quilt3 itself saved; its links lead into the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ops_contract import AnsweringContract, QuiltOpsContract, WritingContract
from s3_ops_contract import BucketContract, OnBuckets, open_ops

from parts.quilt3_process import Quilt3
from parts.quilt_registry import QuiltRegistry
from parts.s3_access import S3Access
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile


@pytest.fixture(scope="module")
def registry() -> Iterator[QuiltRegistry]:
    with QuiltRegistry() as made:
        yield made


def signed_in(home: Path, registry: QuiltRegistry, config: str) -> Path:
    """The folder of quilt3's files after ``quilt3 login``."""
    folder = home / "data" / "Quilt"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(f"registryUrl: {registry.url}\n{config}")
    Quilt3(home).run("quilt3.session.login_with_token(arguments['token'])", token=registry.refresh_token)
    return folder


@pytest.fixture(scope="module")
def session(registry: QuiltRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signed_in(tmp_path_factory.mktemp("signed-in"), registry, f"navigator_url: {registry.url}\n")


class WithSession(OnBuckets):
    backend = "quilt3"

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, session: Path) -> Path:
        return session

    async def test_a_link_to_a_package_file_is_its_page_in_the_catalog(self, registry: QuiltRegistry) -> None:
        made = await self.create("team/data", {"a b/é#.csv": "1"})
        link = await self.ops.link(str(self.uri("team/data", path="a b/é#.csv")))
        page = f"{registry.url}/b/{self.bucket}/packages/team/data/tree/{made.top_hash}/a%20b/%C3%A9%23.csv"
        assert (link.url, link.kind, link.expires) == (page, "catalog", None)


@pytest.mark.nightly
class TestQuilt3Ops(WithSession, BucketContract, WritingContract):
    versioned = False


@pytest.mark.nightly
class TestQuilt3OpsAnswering(WithSession, BucketContract, AnsweringContract):
    versioned = False


@pytest.mark.nightly
class TestQuilt3OpsWithVersions(WithSession, BucketContract, QuiltOpsContract):
    """In CI the IAM backend is held to the contract on buckets of this kind."""


@pytest.mark.anyio
async def test_a_link_to_an_object_names_its_version(
    moto: S3Access, registry: QuiltRegistry, tmp_path: Path, session: Path
) -> None:
    bucket = moto.make_bucket()
    ops = open_ops(
        moto.environment(),
        session,
        "quilt3",
        default_registry=f"s3://{bucket}",
        allow_write=True,
        cache_dir=tmp_path / "cache",
    )
    put = await ops.put_object(f"s3://{bucket}/raw/x.csv", b"1")
    version = (await ops.stat_object(put.uri)).version
    assert version
    link = await ops.link(f"s3://{bucket}/raw/x.csv?versionId={version}")
    assert link.url == f"{registry.url}/b/{bucket}/tree/raw/x.csv?version={version}"


@pytest.mark.anyio
async def test_without_a_catalog_links_are_signed(
    moto: S3Access, registry: QuiltRegistry, tmp_path: Path
) -> None:
    ops = open_ops(
        moto.environment(),
        signed_in(tmp_path / "home", registry, ""),
        "quilt3",
        default_registry=f"s3://{moto.make_bucket()}",
        allow_write=True,
        cache_dir=tmp_path / "cache",
    )
    put = await ops.put_object(f"{ops.default_registry}/x", b"1")
    assert (await ops.link(put.uri)).kind == "presigned"
    package = PackageUri(ops.default_registry, "a/b")
    made = await ops.create(CreateRequest(package, files=(InlineFile("x", b"1"),)))
    assert made.warnings == (), "there is nobody to ask what is wanted of files"
