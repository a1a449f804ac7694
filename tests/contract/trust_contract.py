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
from quilt_mcp.errors import AlreadyExists, CorruptManifest, HashMismatch, QuiltError

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
            lambda: self.ops.copy(CopyRequest(pinned, by_name)),
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

    async def test_a_line_that_cannot_be_read_is_known_to_log_and_list_once_it_was_met(self) -> None:
        pinned = await self.damaged(lambda lines: [*lines[:-1], lines[-1][:-9]])
        assert [revision.verified for revision in (await self.ops.log(pinned)).items] == [None]
        with pytest.raises(CorruptManifest):
            await self.ops.browse(pinned)
        assert [revision.verified for revision in (await self.ops.log(pinned)).items] == [False]
        listed = (await self.ops.list_packages(self.registry)).items
        assert [(one.name, one.top_hash, one.verified) for one in listed] == [("t/p", pinned.top_hash, False)]

    @pytest.mark.parametrize("damage", [_cut_the_last_line, lambda _: [b"{"], None])
    async def test_on_a_damaged_latest_the_next_step_is_a_call_that_helps(
        self, damage: Callable[[list[bytes]], list[bytes]] | None
    ) -> None:
        """Of a manifest that lies, cannot be read or is gone. The newest revision but one is damaged likewise."""
        whole = await self.create("t/p", {"a": "0"})
        bad = [await self.patch("t/p", {"a": str(number)}) for number in (1, 2)]
        for one in bad:
            key = f".quilt/packages/{one.top_hash}"
            if damage is None:
                self.raw_delete(key)
            else:
                self.raw_set(key, b"\n".join([*damage((self.raw_get(key) or b"").splitlines()), b""]))
        name = self.uri("t/p")
        step = f"package_copy with package='{self.uri('t/p', whole.top_hash)}'"
        copy = CopyRequest(self.uri("t/p", whole.top_hash), name)
        await self.create("t/other", {"b": "1"})
        for call in (
            lambda: self.ops.browse(name),
            lambda: self.ops.read(self.uri("t/p", path="a")),
            lambda: self.ops.patch(PatchRequest(name, files=inline({"n": "1"}))),
            lambda: self.ops.patch(PatchRequest(name, bad[-1].top_hash, files=inline({"n": "1"}))),
            lambda: self.ops.create(CreateRequest(name, files=inline({"n": "1"}))),
            lambda: self.ops.copy(CopyRequest(self.uri("t/other"), name)),
        ):
            with pytest.raises(QuiltError) as caught:
                await call()
            assert step in caught.value.next_step, caught.value
        commit = await self.ops.copy(copy)
        assert any(warning.startswith("unreadable_manifest") for warning in commit.warnings)
        await self.patch("t/p", {"n": "1"})
        assert await self.contents(name) == {"a": b"0", "n": b"1"}

    async def test_a_latest_pointer_that_holds_no_hash_is_got_past_likewise(self) -> None:
        whole = await self.create("t/p", {"a": "0"})
        self.set_pointer("t/p", "latest", "nonsense")
        with pytest.raises(CorruptManifest) as caught:
            await self.patch("t/p", {"n": "1"})
        assert str(self.uri("t/p", whole.top_hash)) in caught.value.next_step
        await self.roll_back(self.uri("t/p", whole.top_hash))
        await self.patch("t/p", {"n": "1"})

    async def test_where_no_revision_is_whole_files_can_be_put_in_their_place(self) -> None:
        await self.damaged()
        with pytest.raises(CorruptManifest) as caught:
            await self.patch("t/p", {"n": "1"})
        assert "package_create with overwrite=true" in caught.value.next_step
        assert "package_delete" in caught.value.next_step
        with pytest.raises(AlreadyExists) as taken:
            await self.create("t/p", {"n": "1"})
        assert taken.value.next_step == caught.value.next_step

    async def unnamed(self, revision: PackageUri) -> list[bool]:
        """Whether each verb that reads a revision warns that it is none of the package's."""
        file = replace(revision, path="f")
        answers = [
            (await self.ops.browse(revision)).page,
            await self.ops.read(file),
            await self.ops.install(revision, str(self.dest), dry_run=True),
            await self.ops.verify(revision),
            await self.ops.diff(revision, revision),
        ]
        return [any(one.startswith("unnamed_revision") for one in answer.warnings) for answer in answers]

    async def test_a_hash_that_is_none_of_the_packages_revisions_is_told(self) -> None:
        """As with quilt3, whose browse opens any manifest of the registry by its hash, it can be read."""
        first = await self.create("t/p", {"f": "1"})
        second = await self.patch("t/p", {"f": "2"})
        other = await self.create("t/other", {"f": "3"})
        assert await self.unnamed(self.uri("t/p", first.top_hash)) == [False] * 5
        assert await self.unnamed(self.uri("t/p", second.top_hash[:12])) == [False] * 5
        assert await self.unnamed(self.uri("t/p")) == [False] * 5
        assert await self.unnamed(self.uri("t/p", other.top_hash)) == [True] * 5
        assert await self.unnamed(self.uri("no/package", other.top_hash)) == [True] * 5
        await self.ops.delete(self.uri("t/p", first.top_hash))
        assert await self.unnamed(self.uri("t/p", first.top_hash)) == [True] * 5
        await self.ops.copy(CopyRequest(self.uri("t/other"), self.uri("t/p"), overwrite=True))
        assert await self.unnamed(self.uri("t/p", other.top_hash)) == [False] * 5

    async def test_what_is_damaged_can_be_replaced_and_deleted(self) -> None:
        await self.damaged()
        commit = await self.create("t/p", {"a": "1"}, overwrite=True)
        assert any(warning.startswith("unreadable_manifest") for warning in commit.plan.warnings)
        await self.ops.delete(self.uri("t/p"), whole=True)
        assert "t/p" not in await self.names()
