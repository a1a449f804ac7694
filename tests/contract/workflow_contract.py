"""A registry's workflows: listed, chosen, recorded, and held against what is written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import anyio
import pytest
from ops_base import OpsContract, inline

from quilt_mcp.domain.plan import CopyRequest, CreateRequest, InlineFile, PatchRequest
from quilt_mcp.errors import InvalidArgument, WorkflowConfigInvalid, WorkflowFailed

CONFIG = """\
version: "1"
is_workflow_required: {required}
default_workflow: plain
workflows:
  plain: {{name: Plain, description: demands nothing}}
  strict:
    name: Strict
    handle_pattern: ^team/
    is_message_required: true
    metadata_schema: meta
    entries_schema: entries
schemas:
  meta: {{url: "{base}/schemas/meta.json"}}
  entries: {{url: "{base}/schemas/entries.json"}}
"""
META = {
    "type": "object",
    "required": ["owner"],
    "properties": {"owner": {"type": "object", "properties": {"age": {"type": "integer"}}}},
}
ENTRIES = {"type": "array", "items": {"properties": {"size": {"maximum": 10}}}}


class WorkflowContract(OpsContract):
    def configure(self, *, required: bool = True) -> None:
        text = CONFIG.format(base=self.registry, required=str(required).lower())
        self.raw_set(".quilt/workflows/config.yml", text.encode())
        self.raw_set("schemas/meta.json", json.dumps(META).encode())
        self.raw_set("schemas/entries.json", json.dumps(ENTRIES).encode())

    def strict(self, **edits: Any) -> CreateRequest:
        fields: dict[str, Any] = {
            "package": self.uri("team/p"),
            "files": inline({"f": "1"}),
            "metadata": {"owner": {"age": 1}},
            "message": "m",
            "workflow": "strict",
        }
        return CreateRequest(**{**fields, **edits})

    async def test_a_registry_without_configuration_has_no_workflows(self) -> None:
        assert (await self.ops.workflows(self.registry)).workflows == ()
        await self.create("a/b", {"f": "1"})
        assert (await self.ops.browse(self.uri("a/b"))).workflow is None

    async def test_the_workflows_are_listed_with_what_they_demand(self) -> None:
        self.configure()
        plain, strict = (await self.ops.workflows(self.registry)).workflows
        assert (plain.id, plain.name, plain.is_default, plain.description) == (
            "plain", "Plain", True, "demands nothing",
        )  # fmt: skip
        assert (strict.is_default, strict.is_message_required, strict.handle_pattern) == (
            False,
            True,
            "^team/",
        )
        assert strict.metadata_schema is not None and strict.entries_schema is not None
        assert (strict.metadata_schema.id, strict.metadata_schema.content) == ("meta", META)
        assert strict.metadata_schema.url is not None
        assert strict.metadata_schema.url.startswith(f"{self.registry}/schemas/meta.json")
        assert (strict.entries_schema.id, strict.entries_schema.content) == ("entries", ENTRIES)

    async def test_a_large_configuration_is_read_beside_the_event_loop(self) -> None:
        """It takes a second to parse; others go on in the meantime."""
        many = "".join(f"  w{n}: {{name: N{n}}}\n" for n in range(2_000))
        self.raw_set(".quilt/workflows/config.yml", f'version: "1"\nworkflows:\n{many}'.encode())
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.sleep(0.001)

        async with anyio.create_task_group() as others:
            others.start_soon(take_turns)
            assert len((await self.ops.workflows(self.registry)).workflows) == 2_000
            others.cancel_scope.cancel()
        assert turns > 20

    async def test_the_default_workflow_applies_when_none_is_named(self) -> None:
        self.configure()
        await self.create("a/b", {"f": "1"})
        found = (await self.ops.browse(self.uri("a/b"))).workflow
        assert found is not None
        assert found["id"] == "plain"
        assert found["config"].startswith(f"{self.registry}/.quilt/workflows/config.yml")

    async def test_a_named_workflow_is_checked_and_recorded_with_its_schemas(self) -> None:
        self.configure()
        commit = await self.ops.create(self.strict())
        found = (await self.ops.browse(self.uri("team/p"))).workflow
        assert found is not None
        assert found["id"] == "strict"
        assert list(found["schemas"]) == ["meta", "entries"]
        assert commit.plan.workflow == found

    async def test_no_workflow_at_all_is_chosen_where_the_registry_allows_it(self) -> None:
        self.configure(required=False)
        await self.create("a/b", {"f": "1"}, workflow=None)
        found = (await self.ops.browse(self.uri("a/b"))).workflow
        assert found is not None
        assert found["id"] is None

    async def test_no_workflow_is_refused_where_one_is_required(self) -> None:
        self.configure()
        with pytest.raises(WorkflowFailed):
            await self.create("a/b", {"f": "1"}, workflow=None)

    async def test_an_unknown_workflow_is_refused_and_the_known_named(self) -> None:
        self.configure()
        with pytest.raises(InvalidArgument) as caught:
            await self.ops.create(self.strict(workflow="strikt"))
        assert "strict" in caught.value.message + caught.value.next_step

    async def test_a_workflow_where_there_are_none_is_refused(self) -> None:
        with pytest.raises(InvalidArgument):
            await self.ops.create(self.strict())

    @pytest.mark.parametrize(
        ("edits", "rule", "pointer"),
        [
            ({"message": None}, "is_message_required", None),
            ({"message": ""}, "is_message_required", None),
            ({"metadata": {}}, "metadata_schema", ""),
            ({"metadata": {"owner": {"age": "old"}}}, "metadata_schema", "/owner/age"),
            ({"files": (InlineFile("big", b"x" * 11),)}, "entries_schema", "/0/size"),
        ],
    )
    async def test_a_revision_that_breaks_a_rule_is_refused_saying_which_and_where(
        self, edits: dict[str, Any], rule: str, pointer: str | None
    ) -> None:
        self.configure()
        before = self.snapshot()
        [fault] = (await self.ops.plan_create(self.strict(**edits))).faults
        with pytest.raises(WorkflowFailed) as caught:
            await self.ops.create(self.strict(**edits))
        for told in (asdict(fault), caught.value.details["faults"][0]):
            assert (told["rule"], told.get("pointer")) == (rule, pointer)
        assert self.snapshot() == before

    async def test_a_name_that_does_not_fit_the_pattern_is_refused(self) -> None:
        self.configure()
        with pytest.raises(WorkflowFailed) as caught:
            await self.ops.create(self.strict(package=self.uri("other/p")))
        assert caught.value.details["faults"][0]["rule"] == "handle_pattern"
        takes = "Choose a name that matches the pattern; or pass workflow= one that takes this name: 'plain'"
        assert caught.value.next_step == f"{takes}. workflow_list tells of them."
        self.configure(required=False)
        with pytest.raises(WorkflowFailed) as caught:
            await self.ops.create(self.strict(package=self.uri("other/p")))
        assert caught.value.next_step.startswith(
            f"{takes}; or pass workflow=':none', as the registry demands none."
        )

    async def test_a_patch_is_held_against_the_workflow_as_a_whole_revision(self) -> None:
        self.configure()
        await self.ops.create(self.strict())
        patch = PatchRequest(self.uri("team/p"), message="m", workflow="strict", metadata={"owner": None})
        with pytest.raises(WorkflowFailed):
            await self.ops.patch(patch)
        with pytest.raises(WorkflowFailed):
            await self.ops.patch(
                PatchRequest(self.uri("team/p"), files=inline({"g": "2"}), workflow="strict")
            )
        await self.ops.patch(
            PatchRequest(self.uri("team/p"), files=inline({"g": "2"}), workflow="strict", message="m")
        )
        assert await self.paths(self.uri("team/p")) == ["f", "g"]

    async def test_a_copy_is_held_against_the_workflow_of_where_it_goes(self) -> None:
        await self.create("a/b", {"f": "1"})
        self.configure()
        with pytest.raises(WorkflowFailed):
            await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("team/p"), workflow="strict"))
        await self.ops.copy(CopyRequest(self.uri("a/b"), self.uri("team/p")))
        found = (await self.ops.browse(self.uri("team/p"))).workflow
        assert found is not None
        assert found["id"] == "plain"

    @pytest.mark.parametrize(
        "text",
        ["", "no: [", "version: 1", "version: '1'\nworkflows: {}", "version: '2'\nworkflows: {w: {name: W}}"],
    )
    async def test_a_broken_configuration_is_told_and_stops_writes_only(self, text: str) -> None:
        await self.create("a/b", {"f": "1"})
        self.raw_set(".quilt/workflows/config.yml", text.encode())
        with pytest.raises(WorkflowConfigInvalid):
            await self.ops.workflows(self.registry)
        with pytest.raises(WorkflowConfigInvalid):
            await self.create("a/c", {"f": "1"})
        assert await self.contents(self.uri("a/b")) == {"f": b"1"}

    async def test_a_missing_schema_is_the_configurations_fault(self) -> None:
        self.configure()
        self.raw_delete("schemas/meta.json")
        with pytest.raises(WorkflowConfigInvalid):
            await self.ops.create(self.strict())
        assert await self.names() == []
