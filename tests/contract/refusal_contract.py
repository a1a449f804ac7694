"""What is kept from happening: writes of a read-only server, reads outside the roots, and manifests made to do harm."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ops_base import OpsContract, inline, record

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, PatchRequest, Source
from quilt_mcp.errors import CorruptManifest, OutsideRoots, QuiltError, ReadOnly, RegistryNotFound

HOSTILE_KEYS = (
    "../up", "../../up", "/etc/cron.d/x", "a/../../up", "a//b", "./a", "a/.", "", "a\0b", "a/..", "..", "ok/../../up",
)  # fmt: skip


class RefusalContract(OpsContract):
    # -- read-only --

    async def test_a_read_only_server_reads_and_plans_everything(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        reader = self.reader
        assert not reader.writable
        before = self.snapshot()
        assert (await reader.read(self.uri("a/b", path="f"))).data == b"1"
        assert (await reader.verify(self.uri("a/b"))).ok
        assert (await reader.plan_create(CreateRequest(self.uri("a/c"), files=inline({"g": "2"})))).added == 1
        assert (await reader.plan_patch(PatchRequest(self.uri("a/b"), files=inline({"g": "2"})))).added == 1
        assert (await reader.plan_copy(CopyRequest(self.uri("a/b"), self.uri("a/c")))).added == 1
        assert not (await reader.delete(self.uri("a/b"), whole=True, dry_run=True)).done
        assert not (await reader.install(self.uri("a/b"), str(self.dest), dry_run=True)).done
        assert not (await reader.put_object(f"{self.registry}/x", b"1", dry_run=True)).done
        assert (await reader.resolve(self.uri("a/b"))).top_hash == commit.top_hash
        assert self.snapshot() == before

    async def test_a_read_only_server_writes_nothing_and_says_how_to_allow_it(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        reader = self.reader
        before = self.snapshot()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: reader.create(CreateRequest(self.uri("a/c"), files=inline({"g": "2"}))),
            lambda: reader.patch(PatchRequest(self.uri("a/b"), files=inline({"g": "2"}))),
            lambda: reader.copy(CopyRequest(self.uri("a/b"), self.uri("a/c"))),
            lambda: reader.copy(CopyRequest(self.uri("a/b", commit.top_hash), self.uri("a/b"))),
            lambda: reader.delete(self.uri("a/b"), whole=True),
            lambda: reader.install(self.uri("a/b"), str(self.dest)),
            lambda: reader.put_object(f"{self.registry}/x", b"1"),
        ]
        for call in calls:
            with pytest.raises(ReadOnly) as caught:
                await call()
            assert "--allow-write" in caught.value.next_step
        assert self.snapshot() == before
        assert not self.dest.exists()

    # -- registries --

    async def test_an_unknown_registry_is_refused(self) -> None:
        nowhere = f"{self.registry}-that-is-not-there"
        with pytest.raises((RegistryNotFound, OutsideRoots)):
            await self.ops.list_packages(nowhere)
        with pytest.raises((RegistryNotFound, OutsideRoots)):
            await self.ops.browse(PackageUri(nowhere, "a/b"))
        with pytest.raises((RegistryNotFound, OutsideRoots)):
            await self.ops.create(CreateRequest(PackageUri(nowhere, "a/b"), files=inline({"f": "1"})))

    # -- roots --

    async def test_an_entry_outside_the_roots_is_listed_and_not_read(self) -> None:
        (self.outside / "secret").write_text("1")
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        place = (self.outside / "secret").as_uri()
        self.set_package("h/h", record(item), record(item, logical_key="secret", physical_keys=[place]))
        assert await self.paths(self.uri("h/h")) == ["f", "secret"]
        assert (await self.ops.stat(self.uri("h/h", path="secret"))).physical_key == place
        for call in (
            self.ops.read(self.uri("h/h", path="secret")),
            self.ops.link(str(self.uri("h/h", path="secret"))),
            self.ops.install(self.uri("h/h"), str(self.dest)),
            self.ops.create(
                CreateRequest(self.uri("a/c"), sources=(Source(str(self.uri("h/h", path="secret"))),))
            ),
            self.ops.copy(CopyRequest(self.uri("h/h"), PackageUri(self.other_registry, "a/c"))),
        ):
            with pytest.raises(OutsideRoots) as caught:
                await call
            assert str(self.outside) in caught.value.message + caught.value.next_step
            assert "--root" in caught.value.next_step
        assert not (self.dest / "secret").exists()
        assert (await self.ops.read(self.uri("h/h", path="f"))).verified

    async def test_a_link_below_the_roots_that_leads_out_is_not_read(self) -> None:
        (self.outside / "secret").write_text("1")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "link").symlink_to(self.outside / "secret")
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        self.set_package("h/h", record(item, physical_keys=[(self.folder / "link").as_uri()]))
        with pytest.raises(OutsideRoots):
            await self.ops.read(self.uri("h/h", path="f"))
        with pytest.raises(OutsideRoots):
            await self.ops.create(CreateRequest(self.uri("a/b"), sources=(Source(str(self.folder)),)))

    # -- hostile manifests --

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    async def test_a_manifest_whose_key_leads_out_is_refused_whole(self, key: str) -> None:
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        self.set_package("h/h", record(item), record(item, logical_key=key))
        for call in (self.ops.browse, self.ops.stat, self.ops.verify):
            with pytest.raises(CorruptManifest):
                await call(self.uri("h/h"))
        with pytest.raises(CorruptManifest):
            await self.ops.install(self.uri("h/h"), str(self.dest))
        assert not self.dest.exists()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\n",
            b"not json\n",
            b'{"version": "v0"',
            b"[]\n",
            b'{"version": "v1"}\n{"logical_key": "f"}\n',
            b'{"version": "v0"}\n{"logical_key": "f"}\n',
            b'{"version": "v0"}\n[1]\n',
            b'{"version": "v0"}\n{"logical_key": "f", "physical_keys": ["file:///x"], "size": -1, "hash": null, "meta": {}}\n',
            b'{"version": "v0"}\n{"logical_key": "f", "physical_keys": "file:///x", "size": 1, "hash": {}, "meta": {}}\n',
            b'{"version": "v0"}\n' + b'{"a":' * 10_000 + b"\n",
            b"\xff\xfe\x00",
            b'{"version": "v0"}\n' + b"x" * 1_100_000,
        ],
    )
    async def test_a_manifest_that_is_none_is_corrupt_and_the_rest_of_the_registry_stands(
        self, body: bytes
    ) -> None:
        await self.create("a/good", {"f": "1"})
        self.set_package("h/h", body=body, top_hash="e" * 64)
        with pytest.raises(CorruptManifest):
            await self.ops.browse(self.uri("h/h"))
        assert sorted(await self.names()) == ["a/good", "h/h"]
        assert (await self.ops.verify(self.uri("a/good"))).ok
        await self.ops.delete(self.uri("h/h"), whole=True)
        assert await self.names() == ["a/good"]

    async def test_a_key_given_twice_and_a_file_with_files_below_are_corrupt(self) -> None:
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        for keys in (("f", "f"), ("f", "f/g"), ("f/g", "f")):
            self.set_package("h/h", *(record(item, logical_key=key) for key in keys))
            with pytest.raises(CorruptManifest):
                await self.ops.browse(self.uri("h/h"))

    @pytest.mark.parametrize(
        "place",
        [
            "file:///etc/passwd",
            "http://localhost/x",
            "nonsense",
            "file://host/x",
            "s3:///x",
            "file:///a/../etc/x",
        ],
    )
    async def test_a_physical_key_that_names_nothing_of_ours_is_never_read(self, place: str) -> None:
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        size = os.path.getsize("/etc/passwd") if place.endswith("passwd") else 1
        self.set_package("h/h", record(item, physical_keys=[place], size=size))
        with pytest.raises(QuiltError):
            await self.ops.read(self.uri("h/h", path="f"))
        with pytest.raises(QuiltError):
            await self.ops.install(self.uri("h/h"), str(self.dest))
        assert not (self.dest / "f").exists()

    async def test_a_broken_latest_revision_can_be_replaced_by_a_new_one(self) -> None:
        await self.create("a/b", {"f": "1"})
        self.set_package("a/b", body=b"broken\n", top_hash="e" * 64, tag="1700000009")
        commit = await self.create("a/b", {"f": "2"}, overwrite=True)
        assert commit.plan.warnings or commit.warnings
        assert await self.contents(self.uri("a/b")) == {"f": b"2"}
