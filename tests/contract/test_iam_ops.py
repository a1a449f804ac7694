"""The IAM backend keeps the contract of QuiltOps, on moto through the proxy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ops_base import record
from ops_contract import QuiltOpsContract
from test_s3_store import S3Objects

from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.iam import open_iam
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, Source
from quilt_mcp.errors import CorruptManifest, NotSupported, RegistryNotFound
from quilt_mcp.storage.s3_clients import AwsKeys


class TestIamOps(S3Objects, QuiltOpsContract):
    @pytest.fixture(autouse=True)
    def open_backend(self, tmp_path: Path, moto: Server, moto_proxy: Proxy) -> Iterator[None]:
        allowed = tmp_path / "allowed"
        self.folder, self.dest = allowed / "sources", allowed / "installed"
        self.outside = tmp_path / "outside"
        for folder in (self.folder, self.outside):
            folder.mkdir(parents=True)
        self.bucket = moto.make_bucket(versioned=False)
        self.registry = f"s3://{self.bucket}"
        self.other_registry = f"s3://{moto.make_bucket(versioned=False)}"
        keys = AwsKeys(moto.access_key, moto.secret_key)
        access = S3Access(lambda: keys, moto.region, moto_proxy.url)
        self.ops, self.reader = (
            open_iam(
                access,
                self.registry,
                roots=(allowed,),
                writable=writable,
                cache=tmp_path / f"cache-{writable}",
                cache_bytes=1 << 20,
            )
            for writable in (True, False)
        )
        with moto.boto() as self.raw:
            yield
        shutil.rmtree(tmp_path)

    def raw_delete(self, key: str) -> None:
        self.raw.delete_object(Bucket=self.bucket, Key=key)

    def raw_keys(self, prefix: str = "") -> list[str]:
        pages = self.raw.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def raw_change(self, physical_key: str, content: bytes | None) -> None:
        key = PhysicalKey.parse(physical_key)
        if content is None:
            self.raw.delete_object(Bucket=key.bucket, Key=key.path)
        else:
            self.raw.put_object(Bucket=key.bucket, Key=key.path, Body=content)

    # -- where a bucket differs from a folder --

    async def test_packages_are_listed_with_their_latest_revision(self) -> None:
        """Not in a bucket: each top hash would be a request. ``resolve`` tells one."""
        await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        (found,) = (await self.ops.list_packages(self.registry)).items
        assert (found.name, found.top_hash) == ("a/b", None)
        assert found.modified is not None
        assert await self.latest("a/b") == second.top_hash

    async def test_what_stands_among_packages_and_is_none_is_warned_of_and_passed_over(self) -> None:
        """A malformed pointer's content is not seen, as pointers are not read."""
        await self.create("a/good", {"f": "1"})
        self.raw_set(".quilt/named_packages/stray", b"x")
        self.raw_set(".quilt/named_packages/a/stray", b"x")
        self.raw_set(".quilt/named_packages/a/not a name/1700000000", b"0" * 64)
        self.raw_set(".quilt/named_packages/a/no-latest/1700000000", b"0" * 64)
        self.raw_set(".quilt/named_packages/a/broken/latest", b"not a hash")
        page = await self.ops.list_packages(self.registry)
        assert {package.name for package in page.items} == {"a/good", "a/no-latest", "a/broken"}
        codes = sorted(warning.partition(":")[0] for warning in page.warnings)
        assert codes == ["malformed_name", "malformed_name", "malformed_name", "missing_latest"]

    async def test_without_copy_files_are_referred_to_where_they_lie(self) -> None:
        await self._refuses_local_files_in_place()

    async def test_with_and_without_copy_the_top_hash_is_the_same(self) -> None:
        await self._refuses_local_files_in_place()

    async def _refuses_local_files_in_place(self) -> None:
        """Nobody but this machine could read them."""
        folder = self.write_files({"f": "1"}, "data")
        before = self.snapshot()
        with pytest.raises(NotSupported):
            await self.ops.create(CreateRequest(self.uri("a/b"), sources=(Source(str(folder)),), copy=False))
        assert self.snapshot() == before

    async def test_an_entry_outside_the_roots_is_listed_and_not_read(self) -> None:
        await self._refuses_entries_of_this_machine(self.outside / "secret")

    async def test_a_link_below_the_roots_that_leads_out_is_not_read(self) -> None:
        """Not even a file below the roots: a manifest in a bucket is data that others wrote."""
        await self._refuses_entries_of_this_machine(self.folder / "own")

    async def _refuses_entries_of_this_machine(self, secret: Path) -> None:
        secret.write_text("1")
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        local = record(item, logical_key="secret", physical_keys=[secret.as_uri()])
        self.set_package("h/h", "e" * 64, record(item), local)
        assert await self.paths(self.uri("h/h")) == ["f", "secret"]
        for call in (
            self.ops.read(self.uri("h/h", path="secret")),
            self.ops.link(str(self.uri("h/h", path="secret"))),
            self.ops.install(self.uri("h/h"), str(self.dest)),
            self.ops.create(
                CreateRequest(self.uri("a/c"), sources=(Source(str(self.uri("h/h", path="secret"))),))
            ),
            self.ops.copy(CopyRequest(self.uri("h/h"), PackageUri(self.other_registry, "a/c"))),
        ):
            with pytest.raises(CorruptManifest):
                await call
        assert not (self.dest / "secret").exists()
        report = await self.ops.verify(self.uri("h/h"))
        assert [(one.path, one.problem) for one in report.problems] == [("secret", "unreadable")]

    @pytest.mark.parametrize("path", ["../outside", "a/../../outside"])
    async def test_an_address_does_not_climb_out_of_its_registry(self, path: str) -> None:
        """In a bucket '..' is a name like any other."""
        await self.ops.put_object(f"{self.registry}/{path}", b"x")
        assert self.raw_keys() == [path]

    async def test_a_configured_bucket_that_does_not_exist_is_an_error(self) -> None:
        self.raw.delete_bucket(Bucket=self.bucket)
        with pytest.raises(RegistryNotFound, match=self.bucket):
            await self.ops.list_packages(self.registry)
