"""Moving revisions about: copy, rollback, delete."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ops_base import NOWHERE, OpsContract, inline

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, PatchRequest
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidArgument,
    PackageNotFound,
    RevisionNotFound,
    WorkflowFailed,
)

SIBLINGS = ("a/b", "a/b-2", "a/bc", "a/b_", "ab/b", "a-b/b")


class RevisionContract(OpsContract):
    # -- copy --

    async def test_a_copy_has_the_same_top_hash_files_and_metadata(self) -> None:
        first = await self.create("a/b", {"f": "1", "d/g": "2"}, metadata={"k": 1}, message="m")
        await self.patch("a/b", entry_metadata={"d/": {"dir": 1}}, message="m")
        request = CopyRequest(self.uri("a/b"), self.uri("c/d"))
        plan = await self.ops.plan_copy(request)
        assert await self.names() == ["a/b"]
        commit = await self.ops.copy(request)
        assert commit.plan == plan
        assert (plan.parent, plan.added, plan.removed) == (None, 2, 0)
        assert commit.top_hash == first.top_hash
        assert await self.contents(self.uri("c/d")) == {"f": b"1", "d/g": b"2"}
        found = await self.ops.browse(self.uri("c/d"))
        assert (found.metadata, found.message) == ({"k": 1}, "m")
        assert (await self.ops.stat(self.uri("c/d", path="d/"))).metadata == {"dir": 1}

    async def test_a_copy_to_another_registry_stands_on_its_own(self) -> None:
        commit = await self.create("a/b", {"f": "1", "d/g": "2"}, message="m")
        target = PackageUri(self.other_registry, "c/d")
        copied = await self.ops.copy(CopyRequest(self.uri("a/b"), target))
        assert copied.top_hash == commit.top_hash
        assert copied.bytes_copied == 2
        for key in self.raw_keys():
            self.raw_delete(key)
        assert await self.contents(target) == {"f": b"1", "d/g": b"2"}
        again = await self.ops.stat(PackageUri(self.other_registry, "c/d", path="f"))
        assert again.physical_key is not None
        assert again.physical_key.startswith(self.other_registry)

    async def test_without_copy_the_bytes_stay_in_the_first_registry(self) -> None:
        await self.create("a/b", {"f": "1"})
        target = PackageUri(self.other_registry, "c/d")
        commit = await self.ops.copy(CopyRequest(self.uri("a/b"), target, copy=False))
        assert commit.bytes_copied == 0
        item = await self.ops.stat(PackageUri(self.other_registry, "c/d", path="f"))
        assert item.physical_key is not None
        assert item.physical_key.startswith(self.registry)

    async def test_without_copy_the_manifest_of_a_package_with_its_own_bytes_is_kept(self) -> None:
        """Its top hash is the same, and its files would lie in another registry from then on."""
        await self.create("a/b", {"f": "1"})
        there = PackageUri(self.other_registry, "x/y")
        await self.ops.copy(CopyRequest(self.uri("a/b"), there))
        before = (await self.ops.stat(replace(there, path="f"))).physical_key
        target = PackageUri(self.other_registry, "p/q")
        commit = await self.ops.copy(CopyRequest(self.uri("a/b"), target, copy=False))
        assert [warning.partition(":")[0] for warning in commit.warnings if "manifest" in warning] == [
            "manifest_kept"
        ]
        assert (await self.ops.stat(replace(there, path="f"))).physical_key == before

    async def test_a_new_message_makes_a_new_revision(self) -> None:
        first = await self.create("a/b", {"f": "1"}, message="old")
        commit = await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("c/d"), message="new"))
        assert commit.top_hash != first.top_hash
        assert (await self.ops.browse(self.uri("c/d"))).message == "new"

    async def test_an_existing_name_is_copied_over_only_when_asked(self) -> None:
        await self.create("a/b", {"f": "1", "same": "s"})
        there = await self.create("c/d", {"g": "2", "same": "s"})
        with pytest.raises(AlreadyExists) as caught:
            await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("c/d")))
        assert caught.value.details["top_hash"] == there.top_hash
        commit = await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("c/d"), overwrite=True))
        plan = commit.plan
        assert (plan.parent, plan.added, plan.removed, plan.kept) == (there.top_hash, 1, 1, 1)
        assert await self.paths(self.uri("c/d")) == ["f", "same"]

    async def test_the_latest_copied_onto_itself_changes_nothing(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        commit = await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("a/b")))
        assert (commit.top_hash, commit.created) == (first.top_hash, False)
        assert len(await self.log("a/b")) == 1

    async def test_a_copy_of_nothing_and_to_a_revision_is_refused(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("c/d")))
        commit = await self.create("a/b", {"f": "1"})
        with pytest.raises(InvalidArgument):
            await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("c/d", commit.top_hash)))

    async def test_a_copy_of_a_path_alone_is_refused(self) -> None:
        await self.create("a/b", {"d/f": "1", "g": "2"})
        with pytest.raises(InvalidArgument):
            await self.ops.copy(CopyRequest(self.uri("a/b", path="d/"), self.uri("c/d")))

    # -- rollback: a revision copied onto its own name --

    async def test_a_rollback_writes_the_latest_pointer_and_nothing_else(self) -> None:
        """case_W2. The plan tells what changes against the revision that was latest."""
        first = await self.create("a/b", {"f": "1", "g": "g"}, metadata={"k": 1}, message="m")
        second = await self.patch("a/b", {"f": "2"})
        request = CopyRequest(self.uri("a/b", first.top_hash[:10]), self.uri("a/b"))
        plan = await self.ops.plan_copy(request)
        before = self.snapshot()
        commit = await self.ops.copy(request)
        assert (commit.top_hash, commit.created, commit.plan) == (first.top_hash, True, plan)
        assert (plan.parent, plan.added, plan.replaced, plan.kept) == (second.top_hash, 0, 1, 1)
        assert (commit.bytes_copied, plan.bytes_to_copy) == (0, 0)
        assert await self.latest("a/b") == first.top_hash
        after = self.snapshot()
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        assert changed == {".quilt/named_packages/a/b/latest"}
        revisions = await self.log("a/b")
        assert [(revision.top_hash, revision.tags) for revision in revisions] == [
            (second.top_hash, ()), (first.top_hash, ("latest",)),
        ]  # fmt: skip

    async def test_a_patch_after_a_rollback_builds_on_the_old_revision(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        await self.patch("a/b", {"f": "2", "extra": "x"})
        await self.roll_back(self.uri("a/b", first.top_hash))
        commit = await self.patch("a/b", {"g": "3"})
        assert commit.plan.parent == first.top_hash
        assert await self.paths(self.uri("a/b")) == ["f", "g"]

    async def test_rollback_of_an_unknown_package_is_not_found(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.roll_back(self.uri("a/b"))
        assert self.raw_keys() == []

    async def test_a_rollback_asks_no_workflow_and_encodes_nothing_anew(self) -> None:
        """case_W2. The revision fails the registry's workflow, which is younger, and is spelled as nobody writes today."""
        made = await self.create("a/src", {"f": "1"})
        odd = (self.raw_get(f".quilt/packages/{made.top_hash}") or b"").replace(b'": ', b'" :  ')
        first = self.set_package("a/b", body=odd)
        second = await self.patch("a/b", {"g": "2"}, message="m")
        config = "version: '1'\nis_workflow_required: true\nworkflows:\n  strict:\n    name: S\n    is_message_required: true\n"
        self.raw_set(".quilt/workflows/config.yml", config.encode())
        commit = await self.roll_back(self.uri("a/b", first))
        assert (commit.top_hash, commit.plan.workflow) == (first, None)
        assert self.raw_get(f".quilt/packages/{first}") == odd
        assert self.pointers("a/b")["latest"] == first != second.top_hash

    @pytest.mark.parametrize(
        ("argument", "value"), [("message", "new"), ("message", None), ("workflow", "w")]
    )
    async def test_a_rollback_takes_no_message_and_no_workflow_but_the_revisions_own(
        self, argument: str, value: str | None
    ) -> None:
        first = await self.create("a/b", {"f": "1"}, message="old")
        await self.patch("a/b", {"f": "2"})
        before = self.snapshot()
        own = CopyRequest(self.uri("a/b", first.top_hash), self.uri("a/b"), message="old", workflow=None)
        for call in (self.ops.plan_copy, self.ops.copy):
            with pytest.raises(InvalidArgument) as caught:
                await call(replace(own, **{argument: value}))
            assert caught.value.details["argument"] == argument
        assert self.snapshot() == before
        assert (await self.ops.copy(own)).top_hash == first.top_hash

    async def test_a_hash_that_no_pointer_of_the_package_names_is_no_rollback_but_a_copy(self) -> None:
        """A mistyped hash replaced a dataset by another package's, past the workflow and without being asked to overwrite."""
        first = await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        foreign = await self.create("c/d", {"g": "3"})
        await self.ops.delete(self.uri("a/b", first.top_hash))
        for top_hash in (first.top_hash, foreign.top_hash, foreign.top_hash[:10]):
            request = CopyRequest(self.uri("a/b", top_hash), self.uri("a/b"))
            for call in (self.ops.plan_copy, self.ops.copy):
                with pytest.raises(RevisionNotFound, match="No revision of a/b has the hash"):
                    await call(request)
        assert await self.latest("a/b") == second.top_hash
        again = CopyRequest(self.uri("a/b", first.top_hash), self.uri("a/b"), overwrite=True)
        for done in (await self.ops.plan_copy(again), await self.ops.copy(again)):
            assert any(one.startswith("unnamed_revision: ") for one in done.warnings)
        assert [one.top_hash for one in await self.log("a/b")] == [first.top_hash, second.top_hash]
        config = "version: '1'\nis_workflow_required: true\nworkflows:\n  never:\n    name: N\n    handle_pattern: ^never/x$\n"
        self.raw_set(".quilt/workflows/config.yml", config.encode())
        for name in ("a/b", "brand/new"):
            with pytest.raises(WorkflowFailed):
                await self.ops.copy(
                    CopyRequest(self.uri(name, foreign.top_hash), self.uri(name), overwrite=True)
                )

    async def test_a_rollback_finds_its_line_among_many(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        for second in range(40):
            self.set_pointer("a/b", str(2_000_000_000 + second), NOWHERE)
        before = set(self.pointers("a/b"))
        self.set_pointer("a/b", "latest", NOWHERE)
        await self.roll_back(self.uri("a/b", first.top_hash))
        assert (set(self.pointers("a/b")), self.pointers("a/b")["latest"]) == (before, first.top_hash)

    # -- delete --

    @pytest.mark.parametrize("name", SIBLINGS)
    async def test_deleting_a_package_never_touches_a_sibling(self, name: str) -> None:
        for sibling in SIBLINGS:
            await self.create(sibling, {"f": "1"}, message=sibling)
        before = self.snapshot()
        outcome = await self.ops.delete(self.uri(name), whole=True)
        assert (outcome.done, outcome.latest) == (True, None)
        after = self.snapshot()
        assert set(before) - set(after) == {f".quilt/named_packages/{name}/{tag}" for tag in outcome.removed}
        assert sorted(await self.names()) == sorted(set(SIBLINGS) - {name})
        for sibling in set(SIBLINGS) - {name}:
            assert (await self.ops.browse(self.uri(sibling))).message == sibling

    async def test_deleting_a_revision_never_touches_a_siblings_revision(self) -> None:
        for sibling in SIBLINGS:
            commit = await self.create(sibling, {"f": "1"})
        before = self.snapshot()
        await self.ops.delete(self.uri("a/b", commit.top_hash))
        gone = set(before) - set(self.snapshot())
        assert gone
        assert all(key.startswith(".quilt/named_packages/a/b/") for key in gone)

    async def test_a_dry_run_deletes_nothing_and_says_what_would_go(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        before = self.snapshot()
        plan = await self.ops.delete(self.uri("a/b", second.top_hash), dry_run=True)
        assert (plan.done, plan.latest) == (False, first.top_hash)
        assert self.snapshot() == before
        outcome = await self.ops.delete(self.uri("a/b", second.top_hash))
        assert (outcome.removed, outcome.latest) == (plan.removed, plan.latest)

    async def test_latest_moves_to_the_newest_revision_that_remains(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        third = await self.patch("a/b", {"f": "3"})
        outcome = await self.ops.delete(self.uri("a/b", third.top_hash[:12]))
        assert outcome.latest == second.top_hash
        assert await self.latest("a/b") == second.top_hash
        assert [revision.top_hash for revision in await self.log("a/b")] == [second.top_hash, first.top_hash]

    async def test_deleting_an_old_revision_leaves_latest_where_it_is(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        outcome = await self.ops.delete(self.uri("a/b", first.top_hash))
        assert outcome.latest == second.top_hash
        assert await self.latest("a/b") == second.top_hash

    async def test_deleting_the_only_revision_deletes_the_package(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        outcome = await self.ops.delete(self.uri("a/b", commit.top_hash))
        assert outcome.latest is None
        assert await self.names() == []
        with pytest.raises(PackageNotFound):
            await self.ops.browse(self.uri("a/b"))

    async def test_a_revision_is_deleted_by_its_tag_and_with_all_its_timestamps(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        await self.patch("a/b", {"f": "2"})
        self.set_pointer("a/b", "2000000000", first.top_hash)
        oldest = min(self.pointers("a/b"))
        outcome = await self.ops.delete(self.uri("a/b", tag=oldest))
        assert len(outcome.removed) == 2 and "latest" not in outcome.removed, (
            "latest moves, and is not removed"
        )
        assert len(await self.log("a/b")) == 1

    async def test_the_data_of_a_deleted_package_stays_for_the_others(self) -> None:
        await self.create("a/b", {"f": "shared"})
        await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("c/d")))
        await self.ops.delete(self.uri("a/b"), whole=True)
        assert await self.contents(self.uri("c/d")) == {"f": b"shared"}

    async def test_deleting_what_is_not_there_is_not_found(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.ops.delete(self.uri("a/b"), whole=True)
        await self.create("a/b", {"f": "1"})
        other = await self.create("c/d", {"g": "other"})
        for top_hash in (other.top_hash, other.top_hash[:10]):
            with pytest.raises(RevisionNotFound):
                await self.ops.delete(self.uri("a/b", top_hash))
        with pytest.raises(RevisionNotFound):
            await self.ops.delete(self.uri("a/b", tag="1234567890"))

    async def test_a_path_is_refused_where_it_could_be_taken_for_a_file_to_delete(self) -> None:
        await self.create("a/b", {"f": "1"})
        before = self.snapshot()
        with pytest.raises(InvalidArgument):
            await self.ops.delete(self.uri("a/b", path="f"))
        assert self.snapshot() == before

    async def test_a_package_with_broken_pointers_can_be_deleted(self) -> None:
        await self.create("a/b", {"f": "1"})
        self.set_pointer("a/b", "latest", "nonsense")
        self.set_pointer("a/b", "1500000000", "nonsense")
        outcome = await self.ops.delete(self.uri("a/b"), whole=True)
        assert len(outcome.removed) == 3
        assert self.raw_keys(".quilt/named_packages/") == []

    async def test_a_patch_on_a_revision_deleted_from_the_top_builds_on_what_remains(self) -> None:
        await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        await self.ops.delete(self.uri("a/b", second.top_hash))
        await self.ops.patch(PatchRequest(self.uri("a/b"), files=inline({"g": "3"})))
        assert await self.contents(self.uri("a/b")) == {"f": b"1", "g": b"3"}
        await self.ops.create(CreateRequest(self.uri("a/b"), files=inline({"h": "4"}), overwrite=True))
        assert await self.contents(self.uri("a/b")) == {"h": b"4"}
