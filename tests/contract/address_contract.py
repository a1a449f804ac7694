"""C32: every address that an answer gives is taken back, as a source, a thing to read and a place to list."""

from __future__ import annotations

import pytest
from ops_base import OpsContract

from quilt_mcp.domain.address import PackageUri, PhysicalKey, parse_package
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, Source

NAMES = (
    "x",
    "é ü",
    "%41",
    "A",
    "x#1",
    "a+b&c=d?",
    "[x]",
    "*",
    "q?versionId=1",
    "a:b@c",
    "~",
    "tab\tx",
    "'\"<>",
)


class AddressContract(OpsContract):
    async def _is_read(self, uri: str, content: bytes) -> None:
        if uri.startswith("quilt+"):
            assert (await self.ops.read(PackageUri.parse(uri))).data == content, uri
            assert (await self.ops.stat(parse_package(uri, "s3://never-asked"))).size == len(content)
        else:
            assert (await self.ops.read_object(uri)).data == content, uri
            assert (await self.ops.stat_object(uri)).size == len(content), uri
        assert (await self.ops.link(uri)).url, uri
        await self._is_source(uri, content)

    async def _is_source(self, uri: str, content: bytes) -> None:
        request = CreateRequest(self.uri("back/one"), sources=(Source(uri, to="taken"),), overwrite=True)
        assert (await self.ops.plan_create(request)).totals == Totals(1, len(content)), uri
        made = await self.ops.create(request)
        assert await self.contents(self.uri("back/one", made.top_hash)) == {"taken": content}, uri

    async def _is_folder(self, uri: str, contents: dict[str, bytes]) -> None:
        """By the paths below it."""
        made = await self.ops.create(
            CreateRequest(self.uri("back/all"), sources=(Source(uri),), overwrite=True)
        )
        assert await self.contents(self.uri("back/all", made.top_hash)) == contents, uri
        if not uri.startswith("quilt+"):
            listed = (await self.ops.list_objects(uri, limit=1000)).items
            assert len(listed) == len({path.partition("/")[0] for path in contents}), uri

    @pytest.mark.parametrize("name", NAMES)
    async def test_every_address_of_a_package_is_taken_back(self, name: str) -> None:
        files = {f"d {name}/f {name}": name.encode(), f"d {name}/g": b"g", "top": b"t"}
        commit = await self.create("a/b", files)
        below = {path.partition("/")[2]: content for path, content in files.items() if "/" in path}
        pinned = PackageUri.parse(commit.uri)
        assert await self.contents(pinned) == files
        assert (await self.ops.browse(pinned)).uri == (await self.ops.browse(self.uri("a/b"))).uri
        for item in [*await self.items(pinned), *await self.items(pinned, recursive=False)]:
            if item.type == "file":
                assert item.physical_key is not None
                await self._is_read(item.uri, files[item.path])
                await self._is_read(item.physical_key, files[item.path])
            else:
                await self._is_folder(item.uri, below)
                again = await self.ops.browse(PackageUri.parse(item.uri))
                assert len(again.page.items) == len(below)
        second = await self.patch("a/b", {f"d {name}/f {name}": b"2"})
        diff = await self.ops.diff(PackageUri.parse(commit.uri), PackageUri.parse(second.uri))
        for uri in (diff.before, diff.after):
            assert (await self.ops.browse(PackageUri.parse(uri))).totals.entries == len(files)
        other = PackageUri(self.other_registry, "c/d")
        copied = await self.ops.copy(CopyRequest(PackageUri.parse(diff.before), other))
        assert copied.top_hash == commit.top_hash

    @pytest.mark.parametrize("name", NAMES)
    async def test_every_address_of_an_object_is_taken_back(self, name: str) -> None:
        key = str(PhysicalKey("bucket", f"o/d {name}/f {name}")).removeprefix("s3://bucket")
        put = await self.ops.put_object(f"{self.registry}{key}", b"1")
        await self._is_read(put.uri, b"1")
        [folder] = (await self.ops.list_objects(f"{self.registry}/o/")).items
        await self._is_folder(folder.uri, {f"f {name}": b"1"})
        [file] = (await self.ops.list_objects(folder.uri, links=True)).items
        await self._is_read(file.uri, b"1")
        found = await self.ops.stat_object(file.uri)
        await self._is_read(found.uri, b"1")
        await self._is_read((await self.ops.read_object(found.uri)).uri, b"1")

    @pytest.mark.parametrize("name", NAMES)
    async def test_where_an_install_put_its_files_is_taken_back(self, name: str) -> None:
        await self.create("a/b", {f"d/f {name}": b"1"})
        done = await self.ops.install(self.uri("a/b"), f"{self.dest}/to {name}")
        assert PackageUri.parse(done.uri)
        place = str(PhysicalKey(None, done.dest))
        await self._is_folder(f"{place}/", {f"d/f {name}": b"1"})
        await self._is_read(str(PhysicalKey(None, f"{done.dest}/d/f {name}")), b"1")
        made = await self.ops.create(
            CreateRequest(self.uri("back/path"), sources=(Source(done.dest),), overwrite=True)
        )
        assert await self.contents(self.uri("back/path", made.top_hash)) == {f"d/f {name}": b"1"}
        assert (await self.ops.verify(self.uri("a/b"), dest=done.dest)).ok

    async def test_what_a_plan_names_as_origin_is_taken_back(self) -> None:
        place = self.write_where_it_may_stay({"s é/a": "1", "s é/b": "22"}, "in/")
        plan = await self.ops.plan_create(CreateRequest(self.uri("a/b"), sources=(Source(place),)))
        for change in plan.changes:
            assert change.origin is not None
            with_origin = CreateRequest(self.uri("a/c"), sources=(Source(change.origin, to="one"),))
            assert [one.size for one in (await self.ops.plan_create(with_origin)).changes] == [change.size]
