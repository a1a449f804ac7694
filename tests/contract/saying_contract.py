"""Writes do what was asked, and say what they did: section 2 of the cases."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from ops_base import UNSET, OpsContract, inline

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.plan import (
    CHANGES_SHOWN,
    CopyRequest,
    CreateRequest,
    InlineFile,
    PatchRequest,
    Plan,
    Rename,
    Source,
)
from quilt_mcp.errors import (
    EntryNotFound,
    InvalidArgument,
    InvalidMetadata,
    SourceNotFound,
    StaleParent,
    TooLarge,
    WorkflowFailed,
)
from quilt_mcp.registry.writing import foresight

FILES = {"raw/a.csv": "1", "raw/deep/b.csv": "22", "raw/c.txt": "333", "top.csv": "4444"}
CONFIG = """\
version: "1"
is_workflow_required: {required}
{default}
workflows:
  plain: {{name: Plain}}
  strict:
    name: Strict
    handle_pattern: ^team/
    is_message_required: true
    metadata_schema: meta
    entries_schema: entries
schemas:
  meta: {{url: "{base}/schemas/meta.json"}}
  entries: {{url: "{base}/schemas/entries.json"}}
successors:
  "s3://next": {{title: Next, copy_data: false}}
"""


def actions(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action, change.path) for change in plan.changes]


class SayingContract(OpsContract):
    def with_workflows(self, *, required: bool = False, default: str | None = None) -> None:
        line = f"default_workflow: {default}" if default else ""
        text = CONFIG.format(base=self.registry, required=str(required).lower(), default=line)
        self.raw_set(".quilt/workflows/config.yml", text.encode())
        meta = {"required": ["owner", "date"], "properties": {"n": {"type": "integer"}}}
        self.raw_set("schemas/meta.json", json.dumps(meta).encode())
        entries = {"items": {"properties": {"size": {"maximum": 2}}}}
        self.raw_set("schemas/entries.json", json.dumps(entries).encode())

    async def workflow_of(self, package: PackageUri) -> Any:
        found = (await self.ops.browse(package)).workflow
        return UNSET if found is None else found["id"]

    # -- what is not given stays --

    @pytest.mark.parametrize("given", [UNSET, {}, {"k": 2}])
    async def test_case_W1_a_package_written_over_keeps_its_metadata_unless_it_is_given(
        self, given: Any
    ) -> None:
        await self.create("a/b", {"f": "1"}, metadata={"old": 1})
        request = CreateRequest(self.uri("a/b"), files=inline({"f": "2"}), metadata=given, overwrite=True)
        plan = await self.ops.plan_create(request)
        commit = await self.ops.create(request)
        assert plan.metadata_changed is commit.plan.metadata_changed is (given is not UNSET)
        assert (await self.ops.browse(self.uri("a/b"))).metadata == ({"old": 1} if given is UNSET else given)

    @pytest.mark.parametrize("verb", ["create", "patch"])
    async def test_case_W1_a_file_that_is_replaced_keeps_its_metadata_unless_it_is_given(
        self, verb: str
    ) -> None:
        names = ["kept", "emptied", "changed", "same"]
        await self.ops.create(
            CreateRequest(
                self.uri("a/b"), files=tuple(InlineFile(f"d/{name}", b"1", {"old": 1}) for name in names)
            )
        )
        await self.patch("a/b", entry_metadata={"d/": {"dir": 1}})
        files = (
            InlineFile("d/kept", b"2"),
            InlineFile("d/emptied", b"2", {}),
            InlineFile("d/changed", b"2", {"new": 2}),
            InlineFile("d/same", b"1"),
        )
        if verb == "create":
            request = CreateRequest(self.uri("a/b"), files=files, overwrite=True)
            plan = (await self.ops.create(request)).plan
        else:
            plan = (await self.ops.patch(PatchRequest(self.uri("a/b"), files=files))).plan
        assert (plan.replaced, plan.kept) == (3, 1)
        found = {item.path: item.metadata for item in await self.items(self.uri("a/b"))}
        assert found == {
            "d/kept": {"old": 1}, "d/emptied": {}, "d/changed": {"new": 2}, "d/same": {"old": 1},
        }  # fmt: skip
        assert (await self.ops.stat(self.uri("a/b", path="d/"))).metadata == {"dir": 1}

    async def test_a_file_removed_and_added_by_one_call_is_a_new_one(self) -> None:
        await self.ops.create(CreateRequest(self.uri("a/b"), files=(InlineFile("f", b"1", {"old": 1}),)))
        await self.patch("a/b", {"f": "2", "g": "3"}, remove=("f",))
        assert (await self.ops.stat(self.uri("a/b", path="f"))).metadata is None

    async def test_a_package_keeps_its_workflow_unless_another_is_named(self) -> None:
        self.with_workflows(default="plain")
        strict = {"workflow": "strict", "message": "m", "metadata": {"owner": "me", "date": "d"}}
        await self.create("team/p", {"f": "1"}, **strict)
        with pytest.raises(WorkflowFailed):  # it still demands a message
            await self.patch("team/p", {"g": "2"})
        await self.patch("team/p", {"g": "2"}, message="m")
        assert await self.workflow_of(self.uri("team/p")) == "strict"
        await self.create("team/p", {"h": "2"}, message="m", overwrite=True)
        assert await self.workflow_of(self.uri("team/p")) == "strict"
        await self.ops.copy(CopyRequest(self.uri("team/p"), self.uri("team/q")))
        assert await self.workflow_of(self.uri("team/q")) == "strict"
        await self.patch("team/p", {"g": "3"}, workflow="plain")
        assert await self.workflow_of(self.uri("team/p")) == "plain"
        await self.patch("team/p", {"g": "4"}, workflow=None)
        assert await self.workflow_of(self.uri("team/p")) is None
        await self.patch("team/p", {"g": "5"})
        assert await self.workflow_of(self.uri("team/p")) is None
        self.with_workflows(required=True, default="plain")
        await self.patch("team/p", {"g": "6"})
        assert await self.workflow_of(self.uri("team/p")) == "plain"

    async def test_a_workflow_that_the_registry_has_no_more_gives_way_with_a_warning(self) -> None:
        self.with_workflows()
        await self.create("a/b", {"f": "1"}, workflow="plain")
        text = 'version: "1"\nis_workflow_required: false\ndefault_workflow: new\nworkflows: {new: {name: N}}'
        self.raw_set(".quilt/workflows/config.yml", text.encode())
        for expected, told in (("new", "falls under 'new'"), (UNSET, "nothing is demanded")):
            commit = await self.patch("a/b", {"f": "2"}, workflow=UNSET)
            (warning,) = [one for one in commit.warnings if one.startswith("workflow_gone")]
            assert told in warning
            assert await self.workflow_of(self.uri("a/b")) == expected
            if expected == "new":
                self.raw_delete(".quilt/workflows/config.yml")

    # -- metadata of entries --

    @pytest.mark.parametrize(
        ("mode", "given", "expected"),
        [
            ("merge", {"unit": "g"}, {"unit": "g", "plate": "P1"}),
            ("merge", {"unit": None}, {"plate": "P1"}),
            ("merge", {}, {"unit": "kg", "plate": "P1"}),
            ("merge", None, None),
            ("replace", {"unit": "g"}, {"unit": "g"}),
            ("replace", {}, {}),
        ],
    )
    async def test_case_W3_metadata_of_entries_changes_by_the_mode_of_the_packages(
        self, mode: Any, given: Any, expected: Any
    ) -> None:
        meta = {"unit": "kg", "plate": "P1"}
        await self.ops.create(CreateRequest(self.uri("a/b"), files=(InlineFile("d/f", b"1", meta),)))
        await self.patch("a/b", entry_metadata={"d/": meta})
        await self.patch("a/b", entry_metadata={"d/f": given, "d/": given}, metadata_mode=mode)
        assert (await self.ops.stat(self.uri("a/b", path="d/f"))).metadata == expected
        assert (await self.ops.stat(self.uri("a/b", path="d/"))).metadata == (expected or None)

    async def test_a_merge_of_nothing_into_no_metadata_changes_nothing(self) -> None:
        first = await self.create("a/b", {"f": "1"}, message="m")
        commit = await self.patch("a/b", entry_metadata={"f": {}}, metadata={}, message="m")
        assert (commit.top_hash, commit.created, commit.plan.changes_total) == (first.top_hash, False, 0)

    # -- what was done --

    @pytest.mark.parametrize("verb", ["create", "patch"])
    async def test_case_W4_a_file_given_again_with_the_same_content_is_kept_and_not_listed(
        self, verb: str
    ) -> None:
        folder = self.write_files({"same": "1", "other": "22"}, "data")
        sources = (Source(str(folder)),)
        files = (InlineFile("inline", b"3"),)
        await self.ops.create(CreateRequest(self.uri("a/b"), sources, files))
        self.write_files({"other": "changed"}, "data")
        files = (InlineFile("inline", b"3", {"k": 1}),)
        if verb == "create":
            request: Any = CreateRequest(self.uri("a/b"), sources, files, overwrite=True)
            plan, commit = await self.ops.plan_create(request), await self.ops.create(request)
        else:
            request = PatchRequest(self.uri("a/b"), add=sources, files=files)
            plan, commit = await self.ops.plan_patch(request), await self.ops.patch(request)
        assert plan == commit.plan
        assert (plan.added, plan.replaced, plan.kept, plan.changes_total) == (0, 1, 2, 2)
        assert actions(plan) == [("metadata", "inline"), ("replace", "other")]
        assert plan.actions["replace"] == Totals(1, 7)
        assert plan.totals == (await self.ops.browse(self.uri("a/b"))).totals == Totals(3, 9)
        assert plan.bytes_to_copy == commit.bytes_copied == 7
        assert plan.top_hash == commit.top_hash

    async def test_case_W5_a_message_alone_makes_a_revision(self) -> None:
        first = await self.create("a/b", {"f": "1"}, message="old")
        plan = await self.ops.plan_patch(PatchRequest(self.uri("a/b"), message="new"))
        commit = await self.patch("a/b", message="new")
        assert plan == commit.plan
        assert (plan.changes_total, plan.kept, commit.created) == (0, 1, True)
        assert [one.message for one in await self.log("a/b")] == ["new", "old"]
        assert commit.top_hash != first.top_hash

    async def test_case_W7_a_package_of_nothing_is_made_only_when_that_is_meant(self) -> None:
        for call in (self.ops.plan_create, self.ops.create):
            with pytest.raises(InvalidArgument) as caught:
                await call(CreateRequest(self.uri("a/b"), metadata={"k": 1}))
            assert "allow_empty" in caught.value.next_step
        commit = await self.ops.create(CreateRequest(self.uri("a/b"), allow_empty=True))
        assert commit.plan.totals == Totals(0, 0)

    async def test_case_W8_the_plan_counts_the_bytes_that_will_be_copied(self) -> None:
        folder = self.write_files({"a": "one", "b": "one", "c": "three"}, "data")
        for origin in ("folder", "registry"):
            if origin == "registry":
                for path in ("a", "b", "c"):
                    await self.ops.put_object(
                        f"{self.registry}/lake/{path}", (folder / path).read_bytes()[::-1]
                    )
            place = str(folder) if origin == "folder" else f"{self.registry}/lake/"
            for name in ("w/one", "w/two", "w/one"):
                request = CreateRequest(
                    self.uri(f"{name}-{origin}"), sources=(Source(place),), overwrite=True
                )
                plan = await self.ops.plan_create(request)
                copied = (await self.ops.create(request)).bytes_copied
                assert plan.bytes_to_copy == copied or (plan.top_hash is None and plan.bytes_to_copy > copied)
        for name in ("w/copy", "w/again"):
            asked = CopyRequest(self.uri("w/one-folder"), PackageUri(self.other_registry, name))
            plan, commit = await self.ops.plan_copy(asked), await self.ops.copy(asked)
            assert (plan.bytes_to_copy, plan.top_hash) == (commit.bytes_copied, commit.top_hash)

    @pytest.mark.parametrize("bound", [Totals(10, 1), Totals(1, 100)])
    async def test_above_a_bound_local_files_are_not_read_ahead_and_counts_are_upper_bounds(
        self, bound: Totals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = self.write_files({"a": "1", "b": "2"}, "data")
        request = CreateRequest(self.uri("a/b"), sources=(Source(str(folder)),), overwrite=True)
        await self.ops.create(request)
        monkeypatch.setattr(foresight, "HASHED_AHEAD", bound)
        plan, commit = await self.ops.plan_create(request), await self.ops.create(request)
        assert (plan.top_hash, plan.replaced, plan.kept, plan.bytes_to_copy) == (None, 2, 0, 2)
        assert (commit.plan.replaced, commit.plan.kept, commit.bytes_copied) == (0, 2, 0)

    async def test_a_plan_lists_some_changes_and_counts_all(self) -> None:
        names = [f"f{number:03}" for number in range(3 * CHANGES_SHOWN)]
        await self.create("a/b", dict.fromkeys(names, "22"))
        commit = await self.patch("a/b", {**dict.fromkeys(names[1::2], "333"), "new": "1"}, remove=("f000",))
        plan = commit.plan
        assert len(plan.changes) == CHANGES_SHOWN
        assert plan.actions == {
            "add": Totals(1, 1),
            "replace": Totals(30, 90),
            "remove": Totals(1, 2),
            "rename": Totals(0, 0),
            "metadata": Totals(0, 0),
        }
        assert plan.changes_total == 32
        assert plan.totals == Totals(60, 60 * 2 - 2 + 1 + 30)
        again = await self.create("a/b", {"new": "1"}, overwrite=True)
        assert (again.plan.actions["remove"], again.plan.changes_total) == (Totals(59, 148), 59)
        assert again.plan.totals == Totals(1, 1)

    # -- the workflow --

    async def test_a_plan_tells_every_fault_at_once_and_the_write_raises_them_all(self) -> None:
        self.with_workflows()
        files = inline({"ok": "1", "big": "333"})
        request = CreateRequest(self.uri("a/b"), files=files, metadata={"n": "x"}, workflow="strict")
        plan = await self.ops.plan_create(request)
        assert (plan.added, plan.totals) == (2, Totals(2, 4))
        assert [(one.rule, one.pointer, one.path) for one in plan.faults] == [
            ("is_message_required", None, None),
            ("handle_pattern", None, None),
            ("metadata_schema", "", None),
            ("metadata_schema", "", None),
            ("metadata_schema", "/n", None),
            ("entries_schema", "/0/size", "big"),
        ]
        assert plan.faults[-1].schema_url == f"{self.registry}/schemas/entries.json"
        assert ["owner" in one.message or "date" in one.message for one in plan.faults[2:4]] == [True, True]
        assert [one for one in plan.warnings if one.startswith("workflow_rejects: ") and "(6)" in one]
        before = self.snapshot()
        with pytest.raises(WorkflowFailed, match="5 more") as caught:
            await self.ops.create(request)
        told = [
            {key: value for key, value in asdict(one).items() if value is not None} for one in plan.faults
        ]
        first = told[0].pop("message")
        assert first in caught.value.message
        assert caught.value.details == {"workflow": "strict", "faults": told}
        assert self.snapshot() == before

    async def test_a_plan_without_the_workflow_that_is_required_says_so(self) -> None:
        self.with_workflows(required=True)
        request = CreateRequest(self.uri("a/b"), files=inline({"f": "1"}))
        assert [one.rule for one in (await self.ops.plan_create(request)).faults] == ["is_workflow_required"]
        with pytest.raises(WorkflowFailed, match="demands a workflow"):
            await self.ops.create(request)

    async def test_the_workflows_are_listed_with_the_registrys_own_demands(self) -> None:
        empty = await self.ops.workflows(self.registry)
        assert (empty.config, empty.workflows, empty.is_required) == (None, (), False)
        assert empty.warnings[0].startswith("no_workflows")
        self.with_workflows(required=True)
        self.raw_set("schemas/meta.json", json.dumps({"title": "x" * 10_000}).encode())
        self.raw_set("schemas/entries.json", b"no json")
        found = await self.ops.workflows(self.registry)
        assert found.config is not None and found.config.startswith(f"{self.registry}/.quilt/workflows/")
        assert (found.is_required, found.warnings) == (True, ())
        assert [(one.url, one.title, one.copy_data) for one in found.successors] == [
            ("s3://next", "Next", False)
        ]
        meta, entries = found.workflows[1].metadata_schema, found.workflows[1].entries_schema
        assert meta is not None and entries is not None
        assert (meta.content, meta.problem) == (None, None)
        assert entries.content is None
        assert entries.problem is not None and "not JSON" in entries.problem

    async def test_many_schemas_are_shown_up_to_a_bound(self) -> None:
        schemas = {f"s{number}": f"{self.registry}/schemas/{number}.json" for number in range(22)}
        for number in range(22):
            self.raw_set(f"schemas/{number}.json", json.dumps({"title": "x" * 7_000}).encode())
        config = {
            "version": "1",
            "workflows": {f"w{name}": {"name": name, "metadata_schema": name} for name in schemas},
            "schemas": {name: {"url": url} for name, url in schemas.items()},
        }
        self.raw_set(".quilt/workflows/config.yml", json.dumps(config).encode())
        found = (await self.ops.workflows(self.registry)).workflows
        shown = [one.metadata_schema for one in found if one.metadata_schema]
        assert len(shown) == 22
        assert [one.content is not None for one in shown] == [True] * 4 + [False] * 18
        assert all(one.url and one.url.startswith(f"{self.registry}/schemas/") for one in shown)

    # -- patterns and folders --

    @pytest.mark.parametrize(
        ("remove", "expected"),
        [
            (("*.csv",), {"raw/c.txt"}),
            (("raw/*.csv",), {"raw/deep/b.csv", "raw/c.txt", "top.csv"}),
            (("raw/**/*.csv", "raw/deep/"), {"raw/c.txt", "top.csv"}),
            (("./*.csv",), {"raw/a.csv", "raw/deep/b.csv", "raw/c.txt"}),
            (("de*",), {"raw/a.csv", "raw/c.txt", "top.csv"}),
            (("raw/", "*.txt"), {"top.csv"}),
        ],
    )
    async def test_patterns_are_removed_by_the_one_rule_of_globs(
        self, remove: tuple[str, ...], expected: set[str]
    ) -> None:
        await self.create("a/b", FILES)
        request = PatchRequest(self.uri("a/b"), remove=remove)
        plan, commit = await self.ops.plan_patch(request), await self.ops.patch(request)
        assert plan == commit.plan
        assert set(await self.paths(self.uri("a/b"))) == expected
        gone = [content for path, content in FILES.items() if path not in expected]
        assert plan.actions["remove"] == Totals(len(gone), sum(map(len, gone)))

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("raw/", "data/", {"data/a.csv", "data/deep/b.csv", "data/c.txt", "top.csv"}),
            ("raw/*.csv", "t/", {"t/a.csv", "raw/deep/b.csv", "raw/c.txt", "top.csv"}),
            ("raw/**/*.csv", "t/", {"t/a.csv", "t/deep/b.csv", "raw/c.txt", "top.csv"}),
            ("*.csv", "t/", {"t/raw/a.csv", "t/raw/deep/b.csv", "raw/c.txt", "t/top.csv"}),
            ("raw/*.txt", "", {"raw/a.csv", "raw/deep/b.csv", "c.txt", "top.csv"}),
            ("raw/a.csv", "t/", {"t/a.csv", "raw/deep/b.csv", "raw/c.txt", "top.csv"}),
        ],
    )
    async def test_folders_and_patterns_are_renamed_into_a_folder(
        self, old: str, new: str, expected: set[str]
    ) -> None:
        await self.create("a/b", FILES)
        request = PatchRequest(self.uri("a/b"), rename=(Rename(old, new),))
        plan, commit = await self.ops.plan_patch(request), await self.ops.patch(request)
        assert plan == commit.plan
        assert set(await self.paths(self.uri("a/b"))) == expected
        assert plan.renamed == len(expected - FILES.keys())

    async def test_a_name_with_a_wildcards_character_is_that_file_where_there_is_one(self) -> None:
        await self.create("a/b", {"a[1].csv": "1", "a1.csv": "2", "b*": "3", "bc": "4"})
        await self.patch("a/b", remove=("a[1].csv",), rename=(Rename("b*", "b"),))
        assert await self.paths(self.uri("a/b")) == ["a1.csv", "b", "bc"]

    async def test_metadata_of_a_folder_goes_with_a_pattern_that_takes_all_of_it(self) -> None:
        await self.create("a/b", {"tmp1/x": "1", "tmp2/x": "2", "top": "3"})
        await self.patch("a/b", entry_metadata={"tmp1/": {"n": 1}, "tmp2/": {"n": 2}})
        await self.patch("a/b", remove=("tmp1*",), rename=(Rename("tmp2*", "old/"),))
        assert await self.paths(self.uri("a/b"), recursive=False) == ["old/", "top"]
        assert (await self.ops.stat(self.uri("a/b", path="old/tmp2/"))).metadata == {"n": 2}

    @pytest.mark.parametrize(
        "changes", [{"remove": ("*.cvs", "top.csv")}, {"rename": (Rename("raw/*.cvs", "t/"),)}]
    )
    async def test_a_pattern_that_matches_nothing_is_an_error_that_names_near_paths(
        self, changes: Any
    ) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(EntryNotFound, match="Nothing matches") as caught:
            await self.patch("a/b", **changes)
        assert caught.value.details["suggestions"]

    async def test_all_that_matches_a_pattern_is_not_renamed_to_one_file(self) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(InvalidArgument) as caught:
            await self.patch("a/b", rename=(Rename("*.csv", "all"),))
        assert "'all/'" in caught.value.next_step
        with pytest.raises(EntryNotFound, match="removed"):
            await self.patch("a/b", remove=("*.csv",), rename=(Rename("top*", "t/"),))

    async def test_what_a_pattern_takes_is_not_merged_with_what_others_put_there(self) -> None:
        first = await self.create("a/b", FILES)
        await self.patch("a/b", {"new.csv": "theirs"})
        for changes in ({"remove": ("*.csv",)}, {"rename": (Rename("*.csv", "t/"),)}):
            with pytest.raises(StaleParent):
                await self.patch("a/b", expected_top_hash=first.top_hash, merge=True, **changes)

    # -- merging --

    async def test_disjoint_keys_of_the_metadata_are_merged_and_what_changed_meanwhile_is_told(self) -> None:
        first = await self.create("a/b", FILES, metadata={"n": 0, "deep": {"a": 1}}, message="first")
        theirs = {"theirs": 1, "deep": {"b": 2}, "n": 5}
        await self.patch("a/b", {"new": "1"}, remove=("top.csv",), metadata=theirs, message="second")
        await self.patch("a/b", message="third")
        request = PatchRequest(
            self.uri("a/b"),
            expected_top_hash=first.top_hash,
            metadata={"ours": 1, "deep": {"c": 3}, "n": 5},
            merge=True,
        )
        plan, commit = await self.ops.plan_patch(request), await self.ops.patch(request)
        assert plan == commit.plan
        told = plan.changed_meanwhile
        assert told is not None
        assert [(one.action, one.path) for one in told.changes] == [("add", "new"), ("remove", "top.csv")]
        assert (told.changes_total, [(one.field, one.before, one.after) for one in told.metadata]) == (
            2,
            [("/deep/b", None, 2), ("/n", 0, 5), ("/theirs", None, 1)],
        )
        assert [one.message for one in told.revisions] == ["third", "second"]
        assert (await self.ops.browse(self.uri("a/b"))).metadata == {
            "n": 5, "deep": {"a": 1, "b": 2, "c": 3}, "theirs": 1, "ours": 1,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("theirs", "ours", "field"),
        [
            ({"a": 2}, {"a": 1, "c": 1}, "/a"),
            ({"b": 5}, {"b": None}, "/b"),
            ({"a": 2}, {"a": True}, "/a"),
            ({"deep": {"x": 2}}, {"deep": {"x": 1, "y": 1}}, "/deep/x"),
            ({"deep": None}, {"deep": {"y": 1}}, "/deep"),
        ],
    )
    async def test_a_merge_never_undoes_what_others_set(self, theirs: Any, ours: Any, field: str) -> None:
        """Who gives the whole metadata again as it was read has not asked for the old values."""
        first = await self.create("a/b", {"f": "1"}, metadata={"a": 1, "deep": {"x": 1}})
        second = await self.patch("a/b", metadata=theirs)
        with pytest.raises(StaleParent) as caught:
            await self.patch("a/b", metadata=ours, expected_top_hash=first.top_hash, merge=True)
        assert caught.value.details["changed_by_both"] == [f"(package metadata) {field}"]
        assert await self.latest("a/b") == second.top_hash

    async def test_values_that_json_spells_otherwise_are_changes(self) -> None:
        """To Python 1 is true is 1.0: such an edit of a file's metadata was dropped without a word."""
        await self.create("a/b", {"f": "1"}, metadata={"k": 1})
        made = await self.patch("a/b", entry_metadata={"f": {"k": 1}})
        done = await self.patch("a/b", entry_metadata={"f": {"k": True}}, metadata={"k": 1.0})
        assert (done.created, done.plan.metadata_changed) == (True, True)
        assert [(one.path, one.action) for one in done.plan.changes] == [("f", "metadata")]
        assert (await self.ops.stat(self.uri("a/b", path="f"))).metadata["k"] is True
        diff = await self.ops.diff(self.uri("a/b", made.top_hash), self.uri("a/b"))
        assert (diff.totals.metadata, [one.field for one in diff.fields]) == (1, ["/k"])

    @pytest.mark.parametrize("merge", [True, False])
    async def test_a_conflict_tells_what_changed_meanwhile(self, merge: bool) -> None:
        first = await self.create("a/b", FILES, metadata={"k/1": 0})
        await self.patch("a/b", {"new": "1"}, metadata={"k/1": 1}, message="second")
        for call in (self.ops.plan_patch, self.ops.patch):
            with pytest.raises(StaleParent) as caught:
                await call(
                    PatchRequest(
                        self.uri("a/b"),
                        expected_top_hash=first.top_hash,
                        metadata={"k/1": 2},
                        merge=merge,
                    )
                )
            assert caught.value.details["changed_meanwhile"] == {
                "changes": [{"path": "new", "action": "add"}],
                "changes_total": 1,
                "metadata": [{"field": "/k~11", "before": 0, "after": 1}],
                "messages": ["second"],
            }
            if merge:
                assert caught.value.details["changed_by_both"] == ["(package metadata) /k~11"]

    # -- deletion --

    async def test_case_W6_a_package_named_alone_is_deleted_only_as_a_whole(self) -> None:
        first = await self.create("a/b", {"f": "1"}, message="first")
        second = await self.patch("a/b", {"f": "2"}, message="second")
        before = self.snapshot()
        for package, whole in ((self.uri("a/b"), False), (self.uri("a/b", first.top_hash), True)):
            for dry_run in (True, False):
                with pytest.raises(InvalidArgument) as caught:
                    await self.ops.delete(package, whole=whole, dry_run=dry_run)
                assert f"a/b@{second.top_hash[:12]}" in caught.value.next_step
                assert "all=true" in caught.value.next_step
        assert self.snapshot() == before
        plan = await self.ops.delete(self.uri("a/b"), whole=True, dry_run=True)
        done = await self.ops.delete(self.uri("a/b"), whole=True)
        assert plan.revisions == done.revisions
        assert [(one.top_hash, one.message) for one in done.revisions] == [
            (second.top_hash, "second"), (first.top_hash, "first"),
        ]  # fmt: skip
        assert all(one.timestamp for one in done.revisions)
        assert done.revisions_total == 2

    # -- metadata from a file --

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("m.json", '{"n": 1, "on": "2024-01-02", "deep": {"k": [true, null]}}'),
            ("m.yaml", "n: 1\non: 2024-01-02\ndeep: {k: [true, null]}\n"),
            ("m.yml", "n: 1\n'on': 2024-01-02\ndeep: &d {k: [true, null]}\n"),
        ],
    )
    async def test_metadata_is_read_from_a_file_of_the_package_or_elsewhere(
        self, name: str, text: str
    ) -> None:
        text = text.replace("\non:", "\n'on':")
        expected = {"n": 1, "on": "2024-01-02", "deep": {"k": [True, None]}}
        folder = self.write_files({name: text, "f": "1"}, "data")
        await self.ops.put_object(f"{self.registry}/raw/{name}", text.encode())
        sources = (Source(str(folder), "in/"),)
        await self.ops.create(CreateRequest(self.uri("a/src"), sources))
        for number, (files, wanted) in enumerate(
            [
                ((), f"in/{name}"),
                ((InlineFile(f"own-{name}", text.encode()),), f"own-{name}"),
                ((), str(folder / name)),
                ((), f"{self.registry}/raw/{name}"),
                ((), str(self.uri("a/src", path=f"in/{name}"))),
            ]
        ):
            request = CreateRequest(self.uri(f"a/{number}"), sources, files, metadata_from=wanted)
            assert (await self.ops.plan_create(request)).metadata_changed
            await self.ops.create(request)
            assert (await self.ops.browse(self.uri(f"a/{number}"))).metadata == expected, wanted
        await self.create("a/b", {"f": "1"}, metadata={"kept": 1, "n": 0})
        await self.patch("a/b", add=sources, metadata_from=f"in/{name}")
        assert (await self.ops.browse(self.uri("a/b"))).metadata == {"kept": 1, **expected}
        again = PatchRequest(self.uri("a/b"), metadata_from=str(self.uri("a/src", path=f"in/{name}")))
        assert (await self.ops.patch(again)).plan.changes_total == 0

    @pytest.mark.parametrize(
        ("name", "text", "why"),
        [
            ("m.json", '{"a": 1, "a": 2}', "twice"),
            ("m.json", '{"a": NaN}', "NaN"),
            ("m.json", "[1]", "no object"),
            ("m.json", "{", "JSON|Expecting"),
            ("m.json", "[" * 100_000, "deeply"),
            ("m.yaml", "a: 1\na: 2\n", "twice"),
            ("m.yaml", "a: .nan\n", "no JSON"),
            ("m.yaml", "1: a\n", "quotes"),
            ("m.yaml", "a: !!binary aGk=\n", "bytes"),
            ("m.yaml", "a: [", "expected"),
            ("m.txt", "a: 1", "ends neither"),
        ],
    )
    async def test_a_file_that_holds_no_metadata_is_refused_saying_why(
        self, name: str, text: str, why: str
    ) -> None:
        before = self.snapshot()
        for call in (self.ops.plan_create, self.ops.create):
            with pytest.raises(InvalidMetadata, match=why):
                await call(CreateRequest(self.uri("a/b"), files=inline({name: text}), metadata_from=name))
        assert self.snapshot() == before

    async def test_metadata_given_twice_too_large_or_nowhere_is_refused(self) -> None:
        folder = self.write_files({"large.json": json.dumps({"x": "y" * 300_000})}, "data")
        files = inline({"f": "1"})
        with pytest.raises(InvalidArgument, match="twice"):
            await self.ops.create(CreateRequest(self.uri("a/b"), files=files, metadata={}, metadata_from="f"))
        for wanted in (str(folder / "no.json"), str(folder), f"{folder}/*.json"):
            with pytest.raises(SourceNotFound):
                await self.ops.create(CreateRequest(self.uri("a/b"), files=files, metadata_from=wanted))
        large = CreateRequest(self.uri("a/b"), files=files, metadata_from=str(folder / "large.json"))
        with pytest.raises(TooLarge):
            await self.ops.create(large)

    # -- who wrote it --

    async def test_what_wrote_a_revision_is_noted_in_its_metadata_when_asked(self) -> None:
        note = {"version": "1", "timestamp": "2026-11-26T00:00:00Z", "client": "c/1"}
        files = inline({"f": "1"})
        request = CreateRequest(self.uri("a/b"), files=files, metadata={"k": 1}, agent_context=note)
        assert (await self.ops.plan_create(request)).top_hash is None
        await self.ops.create(request)
        assert (await self.ops.browse(self.uri("a/b"))).metadata == {"k": 1, "agent_context": {"quilt": note}}
        beside = {"agent_context": {"agent": "a", "quilt": {"old": 1}}}
        commit = await self.ops.patch(
            PatchRequest(self.uri("a/b"), metadata=beside, agent_context={"version": "2"})
        )
        found = await self.ops.browse(self.uri("a/b"))
        assert found.metadata == {"k": 1, "agent_context": {"quilt": {"version": "2"}, "agent": "a"}}
        assert commit.plan.metadata_changed
        commit = await self.ops.patch(PatchRequest(self.uri("a/b"), message="m", agent_context=note))
        assert not commit.plan.metadata_changed
        await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("a/c"), agent_context={"version": "3"}))
        found = await self.ops.browse(self.uri("a/c"))
        assert found.metadata["agent_context"]["quilt"] == {"version": "3"}
