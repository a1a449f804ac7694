"""tools/list: what every conversation of every user pays for, so it is small, exact and reviewed like code."""

from __future__ import annotations

import inspect
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client
from serving import Connect, Place, result

from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import Settings
from quilt_mcp.domain.plan import UNSET
from quilt_mcp.server.surface import build, listed_tool
from quilt_mcp.session import Session
from quilt_mcp.tools import TOOLS
from quilt_mcp.tools.spec import ToolSpec

pytestmark = pytest.mark.anyio
GOLDEN = Path(__file__).with_name("golden")
SPECS = {one.name: one for one in TOOLS}
READING = {
    "search",
    "sql_query",
    "sql_tables",
    "status",
    "registry_list",
    "packages_list",
    "package_browse",
    "package_log",
    "package_diff",
    "package_verify",
    "object_list",
    "object_read",
    "object_link",
    "workflow_list",
}
WRITING = {
    "package_create",
    "package_patch",
    "package_copy",
    "package_delete",
    "package_install",
    "object_put",
}


WITH_ABILITIES = {"role_switch": 300, "object_restore": 450}
"""Tools that not every backend has, and how many bytes a model may read of each."""
ADMINISTRATION = [name for name in SPECS if name.startswith("admin_")]
"""At most eight, which a model reads in 6 KB together."""


def as_listed(name: str, *, writes: bool = True) -> dict[str, Any]:
    return listed_tool(SPECS[name], writes=writes).model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    ("name", "most"), [("search", 1_500), ("sql_query", 1_500), ("sql_tables", 400), *WITH_ABILITIES.items()]
)
async def test_what_a_model_reads_of_a_tool_of_some_backends_stays_below_its_limit(
    name: str, most: int
) -> None:
    tool = as_listed(name)
    shown = {part: tool[part] for part in ("name", "description", "inputSchema")}
    assert len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()) <= most


async def test_what_a_model_reads_of_administration_stays_below_its_limit() -> None:
    tools = [as_listed(name) for name in ADMINISTRATION]
    shown = [{part: tool[part] for part in ("name", "description", "inputSchema")} for tool in tools]
    assert len(tools) <= 8
    assert len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()) <= 6_000


@pytest.fixture(autouse=True)
def nobody_signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor by what whoever runs the tests has in the environment."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in os.environ:
        if name.startswith(("AWS_", "QUILT_")):
            monkeypatch.delenv(name)


async def listing(*, writes: bool) -> list[dict[str, Any]]:
    server = build(Session(Settings(allow_write=writes)), lambda _: Asker())
    async with Client(server) as client:
        found = await client.list_tools()
        return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in found.tools]


@pytest.mark.sampled(1)
async def test_the_instructions_tell_the_flow_with_tools_and_arguments_that_there_are(
    connect: Connect,
) -> None:
    """In the order of work: find, browse, read; plan, write with the guard, verify."""
    async with connect() as client:
        said = client.instructions or ""
    order = [
        "packages_list", "package_browse", "object_read", "dry_run=true", "expected_top_hash", "package_verify",
        "error.next_step",
    ]  # fmt: skip
    places = [said.index(one) for one in order]
    assert places == sorted(places) and len(said) < 1_800
    known = {name for spec in TOOLS for name in (spec.name, *spec.arguments)}
    words = set(re.findall(r"(?<![.\w])[a-z]+(?:_[a-z]+)+", said)) | {"detail", "cursor", "match"}
    assert words - {"next_cursor"} <= known


@pytest.mark.sampled(1)
async def test_the_row_of_a_folder_is_named_as_the_instructions_say(connect: Connect, place: Place) -> None:
    async with connect() as client:
        for path in ("", "data", "data/"):
            found = await result(client, "package_browse", package="demo/flowers", path=path)
            for row in found["data"]["entries"]:
                again = await result(client, "package_browse", package=found["uri"], path=row["path"])
                assert again["data"]["shown"]["entries"] == row.get("entries", 1)
        listed = await result(client, "object_list", location=f"{place.here.as_uri()}/source/1")
        joined = listed["uri"] + listed["data"]["objects"][0]["path"]
        assert (await result(client, "object_read", uri=joined))["data"]["size"] == 10


async def test_each_listed_tool_is_the_one_that_was_reviewed() -> None:
    """One file a tool below ``golden``. UPDATE_GOLDEN=1 writes them anew."""
    found = {
        f"{tool['name']}.json": json.dumps(tool, indent=1, ensure_ascii=False) + "\n"
        for tool in [*await listing(writes=True), *map(as_listed, [*WITH_ABILITIES, *ADMINISTRATION])]
    }
    if os.environ.get("UPDATE_GOLDEN"):
        for stale in GOLDEN.glob("*.json"):
            stale.unlink()
        for name, text in found.items():
            (GOLDEN / name).write_text(text)
    assert found == {file.name: file.read_text() for file in GOLDEN.glob("*.json")}
    without = [
        as_listed(tool["name"], writes=False)
        for tool in await listing(writes=True)
        if tool["name"] in READING
    ]
    assert await listing(writes=False) == without


async def test_what_writes_in_a_tool_that_reads_is_listed_where_writes_are_on() -> None:
    """An upload is a write of whoever holds its link."""
    off, on = as_listed("object_link", writes=False), as_listed("object_link")
    assert set(on["inputSchema"]["properties"]) - set(off["inputSchema"]["properties"]) == {"upload", "size"}
    assert off["annotations"]["readOnlyHint"] and not on["annotations"]["readOnlyHint"]
    assert not on["annotations"]["destructiveHint"], "it replaces nothing"
    assert {**on, "inputSchema": None, "annotations": None} == {
        **off,
        "inputSchema": None,
        "annotations": None,
    }
    same = [name for name in READING if name not in ("object_link", "sql_query")]
    assert all(as_listed(name, writes=False) == as_listed(name) for name in same)


@pytest.mark.parametrize(("writes", "most"), [(False, 11_900), (True, 19_900)])
async def test_what_a_model_reads_of_the_listing_stays_below_its_limit(writes: bool, most: int) -> None:
    tools = await listing(writes=writes)
    shown = [{part: tool[part] for part in ("name", "description", "inputSchema")} for tool in tools]
    assert len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()) <= most
    assert len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")).encode()) <= most + 2_000


async def test_write_tools_are_listed_only_when_writes_are_on() -> None:
    assert {tool["name"] for tool in await listing(writes=False)} == READING
    assert {tool["name"] for tool in await listing(writes=True)} == READING | WRITING


@pytest.mark.sampled(1)
async def test_the_listing_is_the_same_on_every_wire(connect: Connect) -> None:
    async with connect() as client:
        found = await client.list_tools()
        dumped = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in found.tools]
        assert dumped == await listing(writes=False)
        assert found.next_cursor is None


async def test_every_tool_and_parameter_is_described_and_schemas_are_sound() -> None:
    for tool in await listing(writes=True):
        assert tool["description"]
        assert "outputSchema" not in tool
        for schema in (tool["inputSchema"], SPECS[tool["name"]].output_schema()):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
            assert '"title": "' not in json.dumps(schema)
        for name, parameter in tool["inputSchema"]["properties"].items():
            assert parameter.get("description"), f"{tool['name']}.{name}"


async def test_every_tool_is_annotated_and_every_write_tool_has_a_dry_run() -> None:
    for tool in await listing(writes=True):
        hints = tool["annotations"]
        assert hints["readOnlyHint"] == (tool["name"] in READING - {"object_link", "sql_query"})
        assert hints["openWorldHint"] is False
        if not hints["readOnlyHint"] and tool["name"] != "object_link":
            assert {"destructiveHint", "idempotentHint"} <= set(hints)
            assert tool["inputSchema"]["properties"]["dry_run"]["default"] is False
    destructive = {tool.name for tool in TOOLS if tool.destructive}
    assert destructive == {"package_delete", "package_install", "object_put", *ADMINISTRATION}


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
def test_what_is_listed_is_what_runs(spec: ToolSpec) -> None:
    """The function takes the listed arguments, by name, and its defaults are the listed ones."""
    parameters = list(inspect.signature(spec.run).parameters.values())[1:]
    assert [one.name for one in parameters if one.default is inspect.Parameter.empty] == list(spec.required)
    assert {one.name for one in parameters} == set(spec.arguments)
    for one in parameters:
        schema = spec.arguments[one.name]
        if "default" in schema:
            assert one.default == schema["default"]
        elif one.name not in spec.required:
            assert one.default in (None, "", (), UNSET), one.name


@pytest.mark.sampled(1)
async def test_listings_may_be_cached_by_anyone_and_results_say_how_long(connect: Connect, wire: str) -> None:
    """2026-07-28 asks for ttlMs and cacheScope; older eras do not know them."""
    async with connect() as client:
        for listed, scope in (
            (await client.list_tools(), "private"),
            (await client.list_prompts(), "public"),
            (await client.list_resources(), "public"),
            (await client.list_resource_templates(), "public"),
        ):
            if wire.endswith("modern"):
                assert (listed.ttl_ms, listed.cache_scope) == (300_000, scope)
