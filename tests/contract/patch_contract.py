"""Changing a package: plan_patch, patch."""

from __future__ import annotations

from typing import Any

import pytest
from ops_base import NOWHERE, OpsContract, inline

from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest, Rename, Source
from quilt_mcp.errors import (
    AmbiguousHash,
    DuplicateKey,
    EntryNotFound,
    InvalidArgument,
    InvalidMetadata,
    InvalidName,
    NotAFile,
    PackageNotFound,
    RevisionNotFound,
    StaleParent,
)

FILES = {"a/x": "1", "a/y": "2", "a/deep/z": "3", "a-b/x": "4", "ab": "5", "top": "6"}


class PatchContract(OpsContract):
    async def patched(self, **changes: Any) -> dict[str, str]:
        """The files of a package of FILES after one patch; its plan was the outcome's."""
        await self.create("a/b", FILES)
        files = inline(changes.pop("files", {}))
        request = PatchRequest(self.uri("a/b"), files=files, **changes)
        before = self.snapshot()
        plan = await self.ops.plan_patch(request)
        assert self.snapshot() == before
        commit = await self.ops.patch(request)
        assert commit.plan == plan
        found = await self.contents(self.uri("a/b"))
        assert plan.added + plan.replaced + plan.renamed + plan.kept == len(found)
        return {key: content.decode() for key, content in found.items()}

    # -- what a patch does --

    async def test_files_are_added_and_replaced_and_the_rest_is_kept(self) -> None:
        found = await self.patched(files={"new": "7", "a/x": "changed"})
        assert found == {**FILES, "new": "7", "a/x": "changed"}

    async def test_the_plan_counts_and_lists_what_changes(self) -> None:
        await self.create("a/b", FILES)
        parent = await self.latest("a/b")
        plan = await self.ops.plan_patch(
            PatchRequest(
                self.uri("a/b"),
                files=inline({"new": "77", "a/x": "changed"}),
                remove=("top",),
                rename=(Rename("ab", "abc"),),
            )
        )
        assert (plan.added, plan.replaced, plan.removed, plan.renamed, plan.kept) == (1, 1, 1, 1, 3)
        assert plan.parent == parent
        assert plan.changes_total == 4
        assert {(change.action, change.path, change.old_path) for change in plan.changes} == {
            ("add", "new", None), ("replace", "a/x", None), ("remove", "top", None), ("rename", "abc", "ab"),
        }  # fmt: skip

    async def test_sources_are_added_as_in_create(self) -> None:
        folder = self.write_files({"f": "1", "d/g": "2"}, "data")
        found = await self.patched(add=(Source(str(folder), "in/"),))
        assert found == {**FILES, "in/f": "1", "in/d/g": "2"}

    async def test_files_and_folders_are_removed_and_no_sibling_with_them(self) -> None:
        found = await self.patched(remove=("a/", "top"))
        assert found == {"a-b/x": "4", "ab": "5"}

    async def test_a_file_is_renamed_and_keeps_its_bytes_hash_and_metadata(self) -> None:
        await self.ops.create(
            CreateRequest(self.uri("a/b"), files=(InlineFile("old", b"1", metadata={"k": 1}),))
        )
        before = await self.ops.stat(self.uri("a/b", path="old"))
        commit = await self.patch("a/b", rename=(Rename("old", "d/new"),))
        after = await self.ops.stat(self.uri("a/b", path="d/new"))
        assert (after.hash, after.metadata, after.physical_key) == (
            before.hash, before.metadata, before.physical_key,
        )  # fmt: skip
        assert commit.bytes_copied == 0
        assert await self.paths(self.uri("a/b")) == ["d/new"]

    @pytest.mark.parametrize(
        ("old", "new", "moved"),
        [
            ("a/", "z/", {"z/x": "1", "z/y": "2", "z/deep/z": "3"}),
            ("a/", "", {"x": "1", "y": "2", "deep/z": "3"}),
            ("a/", "a/b/", {"a/b/x": "1", "a/b/y": "2", "a/b/deep/z": "3"}),
        ],
    )
    async def test_a_folder_is_renamed_with_all_below_it(
        self, old: str, new: str, moved: dict[str, str]
    ) -> None:
        found = await self.patched(rename=(Rename(old, new),))
        assert found == {"a-b/x": "4", "ab": "5", "top": "6", **moved}

    async def test_two_files_are_exchanged_in_one_patch(self) -> None:
        found = await self.patched(rename=(Rename("top", "ab"), Rename("ab", "top")))
        assert found == {**FILES, "top": "5", "ab": "6"}

    async def test_remove_comes_before_rename_and_rename_before_add(self) -> None:
        found = await self.patched(remove=("top",), rename=(Rename("ab", "top"),), files={"ab": "new"})
        assert found == {**FILES, "top": "5", "ab": "new"}

    async def test_a_folder_replaces_a_file_that_is_removed_with_it(self) -> None:
        found = await self.patched(remove=("top",), files={"top/inside": "7"})
        assert "top" not in found
        assert found["top/inside"] == "7"

    # -- metadata --

    async def test_metadata_is_merged_key_by_key_and_null_removes(self) -> None:
        await self.create("a/b", {"f": "1"}, metadata={"keep": 1, "gone": 2, "deep": {"x": 1, "y": 2}})
        await self.patch("a/b", metadata={"gone": None, "deep": {"y": 3}, "new": [1]})
        found = (await self.ops.browse(self.uri("a/b"))).metadata
        assert found == {"keep": 1, "deep": {"x": 1, "y": 3}, "new": [1]}

    async def test_metadata_is_replaced_whole_when_asked(self) -> None:
        await self.create("a/b", {"f": "1"}, metadata={"old": 1})
        await self.patch("a/b", metadata=[1, 2], metadata_mode="replace")
        assert (await self.ops.browse(self.uri("a/b"))).metadata == [1, 2]

    async def test_metadata_not_given_is_kept(self) -> None:
        await self.create("a/b", {"f": "1"}, metadata={"k": 1})
        commit = await self.patch("a/b", {"f": "2"})
        assert not commit.plan.metadata_changed
        assert (await self.ops.browse(self.uri("a/b"))).metadata == {"k": 1}

    async def test_metadata_of_entries_and_folders_is_set_and_taken_away(self) -> None:
        await self.create("a/b", FILES)
        first = await self.patch("a/b", entry_metadata={"a/x": {"k": 1}, "a/": {"folder": True}})
        assert first.created
        assert (await self.ops.stat(self.uri("a/b", path="a/x"))).metadata == {"k": 1}
        assert (await self.ops.stat(self.uri("a/b", path="a/"))).metadata == {"folder": True}
        assert (await self.ops.stat(self.uri("a/b", path="a/y"))).metadata is None
        await self.patch("a/b", entry_metadata={"a/x": None, "a/": None})
        assert (await self.ops.stat(self.uri("a/b", path="a/x"))).metadata is None
        assert (await self.ops.stat(self.uri("a/b", path="a/"))).metadata is None
        assert {
            key: content.decode() for key, content in (await self.contents(self.uri("a/b"))).items()
        } == FILES

    async def test_a_metadata_change_of_an_entry_stands_in_the_plan(self) -> None:
        await self.create("a/b", FILES)
        plan = await self.ops.plan_patch(PatchRequest(self.uri("a/b"), entry_metadata={"a/x": {"k": 1}}))
        assert [(change.action, change.path) for change in plan.changes] == [("metadata", "a/x")]
        assert (plan.changes_total, plan.kept, plan.replaced) == (1, 6, 0)

    async def test_metadata_of_folders_moves_and_goes_with_its_folder(self) -> None:
        await self.create("a/b", FILES)
        await self.patch("a/b", entry_metadata={"a/": {"n": 1}, "a-b/": {"n": 2}})
        await self.patch("a/b", rename=(Rename("a/", "z/"),), remove=("a-b/",))
        assert (await self.ops.stat(self.uri("a/b", path="z/"))).metadata == {"n": 1}
        await self.patch("a/b", {"a-b/again": "1"})
        assert (await self.ops.stat(self.uri("a/b", path="a-b/"))).metadata is None

    async def test_metadata_that_gives_way_to_a_folders_own_is_a_change_of_the_plan(self) -> None:
        await self.create("a/b", FILES)
        await self.patch("a/b", entry_metadata={"a/": {"n": 1}, "a-b/": {"n": 2}})
        for rename in (
            Rename("a-b/", "a/deep/"),
            Rename("a/", "a-b/in/"),
            Rename("a/", ""),
            Rename("a-b/", "a/"),
        ):
            plan = await self.ops.plan_patch(PatchRequest(self.uri("a/b"), rename=(rename,), remove=("a/x",)))
            lost = [change.path for change in plan.changes if change.action == "metadata"]
            assert lost == ([rename.old] if rename.new in ("", "a/") else []), rename
        await self.patch("a/b", rename=(Rename("a/", ""),), remove=("a-b/x",))
        found = await self.ops.browse(self.uri("a/b"))
        assert [item.path for item in found.page.items] == ["a-b/", "ab", "deep/", "top", "x", "y"]
        assert [item.metadata for item in found.page.items if item.path == "a-b/"] == [{"n": 2}]

    async def test_metadata_of_folders_alone_is_changed_in_place_and_told(self) -> None:
        first = await self.create("a/b", FILES)
        for number, copy in enumerate((True, False)):
            commit = await self.patch("a/b", entry_metadata={"a/": {"n": number}}, copy=copy)
            assert (commit.top_hash, commit.created, commit.plan.changes_total) == (first.top_hash, False, 1)
            assert [warning.partition(":")[0] for warning in commit.warnings] == ["manifest_replaced"]
            assert (await self.ops.stat(self.uri("a/b", path="a/"))).metadata == {"n": number}

    @pytest.mark.parametrize("folder", ["/", "//", "a//", "/a/", "/a//"])
    async def test_a_folder_has_one_spelling(self, folder: str) -> None:
        first = await self.create("a/b", FILES)
        await self.patch("a/b", {"a/new": "theirs"})
        before = self.snapshot()
        for changes in (
            {"remove": (folder,)},
            {"entry_metadata": {folder: {"x": 1}}},
            {"rename": (Rename(folder, "z/"),)},
        ):
            with pytest.raises(InvalidName):
                await self.patch("a/b", expected_top_hash=first.top_hash, merge=True, **changes)
        assert self.snapshot() == before

    # -- the expected parent --

    @pytest.mark.parametrize("digits", [6, 12, 64])
    async def test_the_expected_parent_is_given_by_its_full_or_short_hash(self, digits: int) -> None:
        first = await self.create("a/b", FILES)
        commit = await self.patch("a/b", {"new": "1"}, expected_top_hash=first.top_hash[:digits])
        assert commit.plan.parent == first.top_hash

    async def test_a_stale_parent_is_a_conflict_with_both_hashes_and_the_plan(self) -> None:
        first = await self.create("a/b", FILES)
        second = await self.patch("a/b", {"theirs": "1"})
        before = self.snapshot()
        for call in (self.ops.patch, self.ops.plan_patch):
            with pytest.raises(StaleParent) as caught:
                await call(
                    PatchRequest(
                        self.uri("a/b"),
                        expected_top_hash=first.top_hash,
                        files=inline({"ours": "2"}),
                        remove=("top",),
                    )
                )
            details = caught.value.details
            assert (details["expected"], details["actual"]) == (first.top_hash, second.top_hash)
            assert (details["plan"]["added"], details["plan"]["removed"]) == (1, 1)
            assert sorted(details["plan"]["paths"]) == ["ours", "top"]
        assert self.snapshot() == before

    async def test_disjoint_changes_are_merged_on_request(self) -> None:
        first = await self.create("a/b", FILES)
        second = await self.patch("a/b", {"theirs": "1"}, remove=("ab",), metadata={"theirs": 1})
        request = PatchRequest(
            self.uri("a/b"),
            expected_top_hash=first.top_hash,
            files=inline({"ours": "2"}),
            remove=("top",),
            rename=(Rename("a/", "z/"),),
            merge=True,
        )
        plan = await self.ops.plan_patch(request)
        commit = await self.ops.patch(request)
        assert commit.plan == plan
        assert commit.merged_onto == second.top_hash
        assert set(await self.paths(self.uri("a/b"))) == {"theirs", "ours", "a-b/x", "z/x", "z/y", "z/deep/z"}
        assert (await self.ops.browse(self.uri("a/b"))).metadata == {"theirs": 1}
        assert [revision.top_hash for revision in await self.log("a/b")] == [
            commit.top_hash, second.top_hash, first.top_hash,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ({"files": {"a/x": "theirs"}}, {"files": {"a/x": "ours"}}),
            ({"files": {"new": "theirs"}}, {"files": {"new": "ours"}}),
            ({"remove": ("a/x",)}, {"files": {"a/x": "ours"}}),
            ({"files": {"a/x": "theirs"}}, {"remove": ("a/x",)}),
            ({"files": {"a/new": "theirs"}}, {"remove": ("a/",)}),
            ({"files": {"a/new": "theirs"}}, {"rename": (Rename("a/", "z/"),)}),
            ({"rename": (Rename("ab", "abc"),)}, {"remove": ("ab",)}),
            ({"rename": (Rename("ab", "abc"),)}, {"rename": (Rename("top", "abc"),)}),
            ({"metadata": {"k": 1}}, {"metadata": {"k": 2}}),
            ({"metadata": {"d": {"k": 1}}}, {"metadata": {"d": {"j": 1, "k": 2}}}),
            ({"metadata": {"k": 1}}, {"metadata": {"j": 2}, "metadata_mode": "replace"}),
            ({"entry_metadata": {"a/x": {"k": 1}}}, {"entry_metadata": {"a/x": {"k": 2}}}),
            ({"entry_metadata": {"a/": {"k": 1}}}, {"entry_metadata": {"a/": {"k": 2}}}),
            ({"entry_metadata": {"a/": {"k": 1}}}, {"remove": ("a/",)}),
        ],
    )
    async def test_changes_of_the_same_thing_are_not_merged(self, theirs: Any, ours: Any) -> None:
        first = await self.create("a/b", FILES)
        theirs = dict(theirs)
        second = await self.patch("a/b", theirs.pop("files", {}), message="theirs", **theirs)
        before = self.snapshot()
        with pytest.raises(StaleParent) as caught:
            ours = dict(ours)
            await self.patch(
                "a/b", ours.pop("files", {}), expected_top_hash=first.top_hash, merge=True, **ours
            )
        assert caught.value.details["actual"] == second.top_hash
        assert caught.value.details["changed_by_both"]
        assert self.snapshot().keys() >= before.keys()
        assert await self.latest("a/b") == second.top_hash

    async def test_a_file_of_ours_where_their_folder_stands_is_not_merged(self) -> None:
        first = await self.create("a/b", FILES)
        await self.patch("a/b", {"clash/inside": "theirs"})
        with pytest.raises((StaleParent, DuplicateKey)):
            await self.patch("a/b", {"clash": "ours"}, expected_top_hash=first.top_hash, merge=True)

    async def test_a_parent_deleted_meanwhile_is_a_conflict_even_when_merging(self) -> None:
        first = await self.create("a/b", FILES)
        await self.ops.delete(self.uri("a/b"), whole=True)
        with pytest.raises((StaleParent, PackageNotFound)):
            await self.patch("a/b", {"f": "1"}, expected_top_hash=first.top_hash, merge=True)
        assert await self.names() == []

    # -- what is refused --

    async def test_a_patch_that_asks_for_nothing_is_refused(self) -> None:
        await self.create("a/b", FILES)
        for call in (self.ops.patch, self.ops.plan_patch):
            with pytest.raises(InvalidArgument):
                await call(PatchRequest(self.uri("a/b")))

    async def test_a_patch_whose_result_is_the_parent_writes_no_line_of_log(self) -> None:
        first = await self.create("a/b", FILES, metadata={"k": 1}, message="m")
        commit = await self.patch("a/b", {"a/x": "1"}, metadata={"k": 1}, message="m")
        assert (commit.top_hash, commit.created) == (first.top_hash, False)
        assert (commit.plan.replaced, commit.plan.kept) == (0, 6)
        assert len(await self.log("a/b")) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"remove": ("a/nothing",)},
            {"remove": ("nothing/",)},
            {"rename": (Rename("nothing", "x"),)},
            {"rename": (Rename("nothing/", "x/"),)},
            {"entry_metadata": {"nothing": {"k": 1}}},
            {"entry_metadata": {"nothing/": {"k": 1}}},
        ],
    )
    async def test_what_is_not_in_the_parent_cannot_be_changed(self, changes: Any) -> None:
        await self.create("a/b", FILES)
        before = self.snapshot()
        with pytest.raises(EntryNotFound):
            await self.patch("a/b", **changes)
        assert self.snapshot() == before

    async def test_a_near_key_is_suggested(self) -> None:
        await self.create("a/b", {"data/table.csv": "1"})
        with pytest.raises(EntryNotFound) as caught:
            await self.patch("a/b", remove=("data/tabel.csv",))
        assert caught.value.details["suggestions"] == ["data/table.csv"]

    @pytest.mark.parametrize(
        "changes",
        [{"remove": ("a",)}, {"rename": (Rename("a", "z"),)}, {"entry_metadata": {"a": {"k": 1}}}],
    )
    async def test_a_folder_named_as_a_file_is_told_apart(self, changes: Any) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(NotAFile) as caught:
            await self.patch("a/b", **changes)
        assert "'a/'" in caught.value.next_step

    @pytest.mark.parametrize(
        "changes",
        [
            {"rename": (Rename("top", "ab"),)},
            {"rename": (Rename("top", "new"), Rename("ab", "new"))},
            {"rename": (Rename("top", "new"),), "files": {"new": "1"}},
            {"rename": (Rename("a/", "a-b/"),)},
            {"rename": (Rename("top", "a"),)},
            {"files": {"top/inside": "1"}},
            {"files": {"a": "1"}},
        ],
    )
    async def test_two_things_cannot_stand_at_one_key(self, changes: Any) -> None:
        await self.create("a/b", FILES)
        before = self.snapshot()
        with pytest.raises(DuplicateKey):
            changes = dict(changes)
            await self.patch("a/b", changes.pop("files", {}), **changes)
        assert self.snapshot() == before

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"rename": (Rename("top", "../up"),)}, InvalidName),
            ({"rename": (Rename("top", ""),)}, InvalidName),
            ({"rename": (Rename("a/", "../"),)}, InvalidName),
            ({"rename": (Rename("a/", "/abs/"),)}, InvalidName),
            ({"rename": (Rename("a/", "file"),)}, InvalidArgument),
            ({"files": {"top": "1"}, "entry_metadata": {"top": {"k": 1}}}, InvalidArgument),
            ({"files": {"new": "1"}, "entry_metadata": {"new": {"k": 1}}}, InvalidArgument),
            ({"metadata": {"k": float("nan")}}, InvalidMetadata),
            ({"entry_metadata": {"top": {"k": float("nan")}}}, InvalidMetadata),
            ({"entry_metadata": {"a/": {"k": float("nan")}}}, InvalidMetadata),
            ({"entry_metadata": {"a/": [1]}}, InvalidMetadata),
        ],
    )
    async def test_malformed_changes_are_refused_and_nothing_is_written(
        self, changes: Any, error: type[Exception]
    ) -> None:
        await self.create("a/b", FILES)
        before = self.snapshot()
        changes = dict(changes)
        with pytest.raises(error):
            await self.patch("a/b", changes.pop("files", {}), **changes)
        assert self.snapshot() == before

    async def test_a_package_or_parent_that_is_not_there_cannot_be_patched(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.patch("a/nothing", {"f": "1"})
        await self.create("a/b", FILES)
        with pytest.raises(RevisionNotFound):
            await self.patch("a/b", {"f": "1"}, expected_top_hash=NOWHERE)
        with pytest.raises(RevisionNotFound):
            await self.patch("a/b", {"f": "1"}, expected_top_hash=NOWHERE[:8])

    async def test_an_ambiguous_expected_parent_is_refused(self) -> None:
        self.set_package("a/b", top_hash="abcdef" + "1" * 58, tag="1700000001")
        self.set_package("a/b", top_hash="abcdef" + "2" * 58, tag="1700000002")
        with pytest.raises(AmbiguousHash):
            await self.patch("a/b", {"f": "1"}, expected_top_hash="abcdef")

    async def test_unknown_fields_of_a_header_and_of_entries_are_kept(self) -> None:
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        from ops_base import record

        header = {"version": "v0", "extra": {"x": [1]}}
        self.set_package("a/b", record(item, meta={"user_meta": {"k": 1}, "target": "json"}), header=header)
        commit = await self.patch("a/b", {"g": "2"}, message="m")
        lines = (self.raw_get(f".quilt/packages/{commit.top_hash}") or b"").splitlines()
        assert lines[0] == b'{"version": "v0", "extra": {"x": [1]}, "message": "m"}'
        assert b'"meta": {"user_meta": {"k": 1}, "target": "json"}' in lines[1]
