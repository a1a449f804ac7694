"""A plan and its commit name what changes in metadata, in the words of the diff that follows; so do conflicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ops_base import OpsContract, inline

from quilt_mcp.domain.diff import FieldChange
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, InlineFile, PatchRequest, Plan, Rename
from quilt_mcp.errors import EntryNotFound, InvalidArgument, NotAFile, StaleParent

FILES = ("d/a.csv", "d/b.csv", "d/c.txt", "e/f.csv")


def rows(plan: Plan) -> list[tuple[Any, ...]]:
    return [
        (one.action, one.path, *((field.field, field.before, field.after) for field in one.fields))
        for one in plan.changes
    ]


class PlanContract(OpsContract):
    async def make_labelled(self) -> str:
        """A package of which every file has metadata; its top hash."""
        files = tuple(InlineFile(path, path.encode(), {"unit": "kg", "n": 1}) for path in FILES)
        request = CreateRequest(self.uri("a/b"), files=files, metadata={"site": {"id": 1}, "old": 1})
        return (await self.ops.create(request)).top_hash

    async def plan_carried_out(self, **asked: Any) -> Plan:
        """The plan of a patch, which its commit repeats."""
        request = PatchRequest(self.uri("a/b"), **asked)
        plan, commit = await self.ops.plan_patch(request), await self.ops.patch(request)
        assert commit.plan == plan
        return plan

    # -- what changes in metadata --

    async def test_a_plan_names_the_fields_of_package_metadata_that_change_as_the_diff_does(self) -> None:
        first = await self.make_labelled()
        plan = await self.plan_carried_out(metadata={"site": {"id": 2}, "old": None, "new": [1]})
        assert plan.metadata_changed
        assert plan.fields == (
            FieldChange("/new", "added", None, [1]),
            FieldChange("/old", "removed", 1, None),
            FieldChange("/site/id", "modified", 1, 2),
        )
        assert (await self.ops.diff(self.uri("a/b", first), self.uri("a/b"))).fields == plan.fields

    async def test_a_package_written_over_or_copied_over_names_them_too_and_a_new_one_none(self) -> None:
        await self.make_labelled()
        files = inline({"f": "1"})
        request = CreateRequest(self.uri("a/b"), files=files, metadata={"old": 2}, overwrite=True)
        plan, commit = await self.ops.plan_create(request), await self.ops.create(request)
        assert commit.plan.fields == plan.fields
        assert [(one.field, one.kind) for one in plan.fields] == [("/old", "modified"), ("/site", "removed")]
        fresh = CreateRequest(self.uri("a/new"), files=files, metadata={"k": 1})
        assert (await self.ops.create(fresh)).plan.fields == ()
        over = CopyRequest(self.uri("a/b"), self.uri("a/new"), overwrite=True)
        plan = await self.ops.plan_copy(over)
        assert [(one.field, one.kind) for one in plan.fields] == [("/k", "removed"), ("/old", "added")]
        assert (await self.ops.copy(over)).plan.fields == plan.fields

    async def test_an_entry_tells_how_its_metadata_changes_whatever_else_does(self) -> None:
        first = await self.make_labelled()
        plan = await self.plan_carried_out(
            files=(InlineFile("e/f.csv", b"other", {"unit": "kg", "n": 2}),),
            rename=(Rename("d/b.csv", "d/z.csv"),),
            entry_metadata={"d/a.csv": {"unit": "g"}, "d/b.csv": {"n": None}, "d/": {"owner": "me"}},
        )
        assert rows(plan) == [
            ("rename", "d/z.csv", ("/n", 1, None)),
            ("metadata", "d/a.csv", ("/unit", "kg", "g")),
            ("metadata", "d/", ("/owner", None, "me")),
            ("replace", "e/f.csv", ("/n", 1, 2)),
        ]
        assert (plan.metadata, plan.renamed, plan.replaced, plan.kept) == (2, 1, 1, 2)
        diff = await self.ops.diff(self.uri("a/b", first), self.uri("a/b"))
        told = {one.path: one.fields for one in plan.changes if not one.path.endswith("/")}
        assert {one.path: one.fields for one in diff.changes} == told
        assert diff.totals.metadata == 1

    # -- metadata of many files --

    async def metadata(self) -> dict[str, Any]:
        return {item.path: item.metadata for item in await self.items(self.uri("a/b"))}

    @pytest.mark.parametrize(
        ("pattern", "taken"),
        [
            ("*.csv", ["d/a.csv", "d/b.csv", "e/f.csv"]),
            ("d/**", ["d/a.csv", "d/b.csv", "d/c.txt"]),
            ("d/[ab].csv", ["d/a.csv", "d/b.csv"]),
            ("./d/a*", ["d/a.csv"]),
            ("?/", list(FILES)),
        ],
    )
    async def test_a_pattern_sets_metadata_of_each_file_that_it_takes(
        self, pattern: str, taken: list[str]
    ) -> None:
        first = await self.make_labelled()
        plan = await self.plan_carried_out(entry_metadata={pattern: {"n": 2}})
        assert [one.path for one in plan.changes] == taken
        assert (plan.metadata, plan.kept, plan.changes_total) == (len(taken), 4, len(taken))
        found = await self.metadata()
        assert {path for path, one in found.items() if one == {"unit": "kg", "n": 2}} == {*taken}
        assert {path for path, one in found.items() if one == {"unit": "kg", "n": 1}} == {*FILES} - {*taken}
        assert (await self.ops.diff(self.uri("a/b", first), self.uri("a/b"))).totals.metadata == len(taken)

    @pytest.mark.parametrize("mode", ["merge", "replace"])
    async def test_of_several_that_mean_a_file_its_own_path_counts_last(self, mode: Any) -> None:
        await self.make_labelled()
        given = {"d/a.csv": {"own": 1}, "*.csv": {"own": 0, "csv": 1}, "d/*": {"csv": 2}, "d/b.csv": None}
        plan = await self.plan_carried_out(
            entry_metadata=given, metadata_mode=mode, rename=(Rename("d/c.txt", "c.txt"),)
        )
        assert (plan.metadata, plan.renamed) == (3, 1)
        before = {"unit": "kg", "n": 1} if mode == "merge" else {}
        both = {"own": 0, "csv": 2} if mode == "merge" else {}
        assert await self.metadata() == {
            "c.txt": {**before, "csv": 2},
            "d/a.csv": {**before, **both, "own": 1},
            "d/b.csv": None,
            "e/f.csv": {**before, "own": 0, "csv": 1},
        }

    async def test_a_name_with_such_characters_wins_over_the_pattern_and_a_folder_is_itself(self) -> None:
        await self.create("a/b", {"x[1].csv": "1", "x1.csv": "2", "d/f": "3"})
        plan = await self.plan_carried_out(entry_metadata={"x[1].csv": {"k": 1}, "d/": {"k": 2}})
        assert [one.path for one in plan.changes] == ["x[1].csv", "d/"]
        assert await self.metadata() == {"d/f": None, "x1.csv": None, "x[1].csv": {"k": 1}}

    async def test_a_pattern_that_means_no_file_that_stays_is_refused_with_what_is_near(self) -> None:
        await self.make_labelled()
        for asked, error, told in (
            ({"entry_metadata": {"d/*.cvs": {}}}, EntryNotFound, "d/a.csv"),
            (
                {"entry_metadata": {"*.txt": {"k": 1}}, "remove": ("d/c.txt",)},
                EntryNotFound,
                "one of the two",
            ),
            (
                {"entry_metadata": {"*.csv": {"k": 1}}, "files": inline({"d/b.csv": "2"})},
                InvalidArgument,
                "file",
            ),
            ({"entry_metadata": {"d": {"k": 1}}}, NotAFile, "'d/'"),
        ):
            for call in (self.ops.plan_patch, self.ops.patch):
                with pytest.raises(error) as caught:
                    await call(PatchRequest(self.uri("a/b"), **asked))
                assert told in caught.value.next_step

    async def test_a_pattern_and_what_others_changed_below_it_do_not_merge(self) -> None:
        first = await self.make_labelled()
        await self.patch("a/b", {"d/b.csv": "theirs", "x.txt": "theirs"})
        request = PatchRequest(
            self.uri("a/b"), expected_top_hash=first, entry_metadata={"d/*": {"n": 2}}, merge=True
        )
        with pytest.raises(StaleParent) as caught:
            await self.ops.patch(request)
        assert caught.value.details["changed_by_both"] == ["d/b.csv"]
        await self.patch("a/b", entry_metadata={"e/": {"their": "folder"}})
        request = replace(request, entry_metadata={"e/**": {"n": 2}})
        assert (await self.ops.patch(request)).plan.metadata == 1

    # -- what changes nothing --

    @pytest.mark.parametrize("verb", ["patch", "create"])
    async def test_case_W5_what_changes_nothing_but_the_message_is_done_and_said(self, verb: str) -> None:
        files = inline({"d/f": "1", "g": "2"})
        await self.ops.create(CreateRequest(self.uri("a/b"), files=files, metadata={"k": 1}, message="old"))
        await self.patch("a/b", entry_metadata={"d/": {"k": 1}}, message="old")
        told: list[list[str]] = []
        for message in ("new", "new"):
            if verb == "patch":
                request: Any = PatchRequest(
                    self.uri("a/b"), files=files, metadata={"k": 1}, message=message, remove=()
                )
                plan, commit = await self.ops.plan_patch(request), await self.ops.patch(request)
            else:
                request = CreateRequest(self.uri("a/b"), files=files, message=message, overwrite=True)
                plan, commit = await self.ops.plan_create(request), await self.ops.create(request)
            assert commit.plan == plan
            told.append([one for one in commit.warnings if one.startswith("nothing_changed: ")])
            assert set(told[-1]) == set(plan.warnings)
        (made,), (kept,) = told
        assert made.endswith("another message alone.") and kept.endswith("no revision is made.")
        assert [one.message for one in await self.log("a/b")] == ["new", "old"]

    async def test_what_changes_anything_is_not_said_to_change_nothing(self) -> None:
        await self.make_labelled()
        for asked in (
            {"metadata": {"old": 2}},
            {"entry_metadata": {"d/a.csv": {"n": 2}}},
            {"entry_metadata": {"d/": {"n": 2}}},
            {"rename": (Rename("d/b.csv", "d/z.csv"),)},
            {"remove": ("d/z.csv",)},
        ):
            warnings = (await self.plan_carried_out(**asked)).warnings
            assert not [one for one in warnings if one.startswith("nothing_changed")]
        # a folder that holds no file has metadata no more when the package is written over
        await self.patch("a/b", remove=("d/a.csv", "d/c.txt"), message="m")
        files = (InlineFile("e/f.csv", b"e/f.csv"),)
        request = CreateRequest(self.uri("a/b"), files=files, message="m", overwrite=True)
        commit = await self.ops.create(request)
        assert not [one for one in commit.warnings if one.startswith("nothing_changed")]

    # -- conflicts --

    @pytest.mark.parametrize("merge", [True, False])
    async def test_a_conflict_tells_old_paths_and_the_values_of_metadata(self, merge: bool) -> None:
        first = await self.make_labelled()
        long = "x" * 1000
        await self.patch(
            "a/b",
            rename=(Rename("d/b.csv", "d/z.csv"),),
            entry_metadata={"d/a.csv": {"unit": "g"}},
            metadata={"site": {"id": 2}, "long": long},
        )
        request = PatchRequest(
            self.uri("a/b"), expected_top_hash=first, metadata={"site": {"id": 3}}, merge=merge
        )
        with pytest.raises(StaleParent) as caught:
            await self.ops.patch(request)
        told = caught.value.details["changed_meanwhile"]
        assert told["changes"] == [
            {
                "path": "d/a.csv",
                "action": "metadata",
                "fields": [{"field": "/unit", "before": "kg", "after": "g"}],
            },
            {"path": "d/z.csv", "action": "rename", "old_path": "d/b.csv"},
        ]
        assert told["metadata"] == [
            {"field": "/long", "after": "x" * 200 + "... [800 characters left out]"},
            {"field": "/site/id", "before": 1, "after": 2},
        ]
