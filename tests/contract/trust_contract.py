"""Trust (claim C31): a manifest is checked against the hash that names it, before anything acts on it, by every verb."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from ops_base import OpsContract, inline, record

from parts.manifests import true_hash
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, PatchRequest, Rename, Source
from quilt_mcp.errors import CorruptManifest, HashMismatch

FILES = {"a": "1", "b": "22", "d/c": "333"}


def _cut_the_last_line(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _exchange_the_files_of_two_keys(lines: list[bytes]) -> list[bytes]:
    header, one, other, *rest = map(json.loads, lines)
    for name in ("physical_keys", "hash", "size"):
        one[name], other[name] = other[name], one[name]
    return [json.dumps(line).encode() for line in (header, one, other, *rest)]


def _say_something_else(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"v0"', b'"v0", "approved": true'), *lines[1:]]


DAMAGES = [_cut_the_last_line, _exchange_the_files_of_two_keys, _say_something_else]


class TrustContract(OpsContract):
    async def damaged(self, damage: Callable[[list[bytes]], list[bytes]] = _cut_the_last_line) -> PackageUri:
        """A revision whose manifest is no more what was written, pinned."""
        commit = await self.create("t/p", FILES)
        key = f".quilt/packages/{commit.top_hash}"
        lines = damage((self.raw_get(key) or b"").splitlines())
        self.raw_set(key, b"\n".join([*lines, b""]))
        return self.uri("t/p", commit.top_hash)

    @pytest.mark.parametrize("lie", ["hash", "size", None])
    async def test_what_another_registry_records_of_an_object_of_ones_own_is_not_taken_on_trust(
        self, lie: str | None
    ) -> None:
        """Review R20. Both manifests are what their hashes say."""
        mine = PackageUri(self.other_registry, "t/mine")
        await self.ops.create(CreateRequest(mine, files=inline({"f": "truth"})))
        claim = record(await self.ops.stat(replace(mine, path="f")))
        if lie == "hash":
            claim["hash"]["value"] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        if lie == "size":
            claim["size"] = 4
        body = b"".join(json.dumps(line).encode() + b"\n" for line in ({"version": "v0"}, claim))
        top_hash = true_hash(body)
        self.raw_set(f".quilt/packages/{top_hash}", body)
        for tag in ("1700000000", "latest"):
            self.raw_set(f".quilt/named_packages/t/claim/{tag}", top_hash.encode())
        copied = PackageUri(self.other_registry, "t/copied")
        sources = (Source(str(self.uri("t/claim"))),)
        for copy in (True, False):
            request = CreateRequest(copied, sources=sources, copy=copy, overwrite=True)
            if lie is None:
                await self.ops.create(request)
                assert (await self.ops.verify(copied)).ok
            else:
                with pytest.raises(HashMismatch):
                    await self.ops.create(request)
        if lie is not None:
            with pytest.raises(HashMismatch):
                await self.ops.copy(CopyRequest(self.uri("t/claim"), copied))

    @pytest.mark.parametrize("damage", DAMAGES)
    async def test_a_manifest_that_lies_is_refused_by_every_verb(
        self, damage: Callable[[list[bytes]], list[bytes]]
    ) -> None:
        """case_T1, case_T2."""
        pinned = await self.damaged(damage)
        await self.create("t/other", {"a": "1"})
        before = self.snapshot()
        by_name = self.uri("t/p")
        file = self.uri("t/p", pinned.top_hash, path="a")
        for call in (
            lambda: self.ops.browse(pinned),
            lambda: self.ops.browse(by_name),
            lambda: self.ops.stat(file),
            lambda: self.ops.read(file),
            lambda: self.ops.read(file, offset=0, length=1),
            lambda: self.ops.link(str(file)),
            lambda: self.ops.diff(pinned, self.uri("t/other")),
            lambda: self.ops.diff(self.uri("t/other"), pinned),
            lambda: self.ops.install(pinned, str(self.dest)),
            lambda: self.ops.install(pinned, str(self.dest), dry_run=True),
            lambda: self.ops.rollback(pinned),
            lambda: self.ops.plan_patch(PatchRequest(by_name, files=inline({"n": "1"}))),
            lambda: self.ops.patch(PatchRequest(by_name, files=inline({"n": "1"}))),
            lambda: self.ops.patch(PatchRequest(by_name, rename=(Rename("a", "z"),))),
            lambda: self.ops.copy(CopyRequest(pinned, self.uri("t/copied"))),
            lambda: self.ops.plan_copy(CopyRequest(pinned, self.uri("t/copied"))),
            lambda: self.ops.create(CreateRequest(self.uri("t/new"), sources=(Source(str(pinned)),))),
            lambda: self.ops.create(CreateRequest(self.uri("t/new"), sources=(Source(str(file)),))),
        ):
            with pytest.raises(CorruptManifest) as caught:
                await call()
            assert caught.value.details["expected"] == pinned.top_hash
            assert len(caught.value.details["found"]) == 64
        assert self.snapshot() == before
        assert not self.dest.exists() or not any(self.dest.iterdir())

    async def test_verify_names_a_manifest_that_lies(self) -> None:
        """case_T3."""
        pinned = await self.damaged()
        report = await self.ops.verify(pinned)
        assert (report.ok, report.manifest_ok, report.problem_count) == (False, False, 1)
        (problem,) = report.problems
        assert (problem.path, problem.problem) == (f".quilt/packages/{pinned.top_hash}", "manifest")
        assert problem.expected == pinned.top_hash and problem.found not in (None, pinned.top_hash)
        assert report.checked.entries == 2

    async def test_lines_in_another_order_than_quilt3s_walk_are_the_same_revision(self) -> None:
        """case_T4: quilt3 sorts before it hashes."""
        await self.create("a/src", FILES)
        lines = [record(item) for item in await self.items(self.uri("a/src"))]
        top_hash = self.set_package("t/p", *reversed(lines))
        found = await self.ops.browse(self.uri("t/p"))
        assert (found.top_hash, found.verified) == (top_hash, True)
        report = await self.ops.verify(self.uri("t/p"))
        assert (report.ok, report.manifest_ok, report.problems) == (True, True, ())
        assert (await self.ops.read(self.uri("t/p", path="b"))).verified

    async def test_a_verdict_that_is_known_is_told_by_log_and_list(self) -> None:
        pinned = await self.damaged()
        with pytest.raises(CorruptManifest):
            await self.ops.browse(pinned)
        assert [revision.verified for revision in (await self.ops.log(self.uri("t/p"))).items] == [False]

    async def test_what_is_damaged_can_be_replaced_and_deleted(self) -> None:
        await self.damaged()
        commit = await self.create("t/p", {"a": "1"}, overwrite=True)
        assert any(warning.startswith("unreadable_manifest") for warning in commit.plan.warnings)
        await self.ops.delete(self.uri("t/p"), whole=True)
        assert "t/p" not in await self.names()
