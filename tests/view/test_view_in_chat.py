"""The view in a chat: what hosts of MCP Apps find of it, on every wire, and what clients without them pay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from viewing import COMMAND, PACKAGE, Lab

from quilt_mcp.server.surface import listed_tool
from quilt_mcp.tools import TOOLS
from quilt_mcp.view.page import page

pytestmark = pytest.mark.anyio
VIEW = "ui://quilt/view"
HTML = "text/html;profile=mcp-app"
EXTENSION = "io.modelcontextprotocol/ui"
MODES = {"modern": "auto", "legacy": "legacy"}


@asynccontextmanager
async def connected(lab: Lab, wire: str) -> AsyncIterator[Client]:
    """Over HTTP: to what ``quilt-mcp view`` serves, by the token that it printed."""
    transport, _, era = wire.partition("-")
    if transport == "stdio":
        environ = {name: one for name, one in lab.environment().items() if not name.startswith("COVERAGE")}
        server = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=environ, cwd=lab.here)
        async with Client(server, mode=MODES[era], read_timeout_seconds=60) as client:
            yield client
        return
    with lab.view("--no-open") as viewed:
        async with create_mcp_http_client(headers=viewed.bearer) as http:
            transport_of = streamable_http_client(viewed.endpoint, http_client=http)
            async with Client(transport_of, mode=MODES[era], read_timeout_seconds=60) as client:
                yield client


def dumped(found: Any) -> dict[str, Any]:
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.sampled(2)  # one of each transport and era: they lie across from each other
@pytest.mark.parametrize("wire", ["stdio-modern", "stdio-legacy", "http-legacy", "http-modern"])
async def test_a_host_finds_the_view_by_four_tools_and_reads_it(lab: Lab, wire: str) -> None:
    async with connected(lab, wire) as client:
        tools = [dumped(one) for one in (await client.list_tools()).tools]
        named = {one["name"]: one["_meta"] for one in tools if "_meta" in one}
        assert set(named) == {"package_browse", "package_log", "package_diff", "object_read"}
        assert all(one == {"ui": {"resourceUri": VIEW}} for one in named.values())
        [listed] = [dumped(one) for one in (await client.list_resources()).resources if one.uri == VIEW]
        [content] = [dumped(one) for one in (await client.read_resource(VIEW)).contents]
        assert (content["uri"], content["mimeType"], content["text"]) == (VIEW, HTML, page())
        # No domain is asked for, so none is there.
        told = {"ui": {"permissions": {"clipboardWrite": {}}, "prefersBorder": True}}
        assert (listed["mimeType"], listed["_meta"], content["_meta"]) == (HTML, told, told)
        extensions = client.server_capabilities.extensions
        assert extensions == ({EXTENSION: {}} if wire.endswith("modern") else None)
        told = await client.call_tool("package_browse", {"package": PACKAGE})
        assert told.structured_content["data"]["entries"][0]["path"] == "reads.csv"


async def test_the_view_is_read_where_no_backend_can_be_had(lab: Lab) -> None:
    """It is there to tell what is wrong; a file cannot be read."""
    environ = lab.environment(QUILT_BACKEND="platform", QUILT_REQUIRE_AUTH="1")
    server = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=environ, cwd=lab.here)
    async with Client(server, mode="auto", read_timeout_seconds=60) as client:
        assert (await client.read_resource(VIEW)).contents[0].text == page()
        with pytest.raises(Exception, match="Next: "):
            await client.read_resource(f"quilt://default/{PACKAGE}/reads.csv")


def test_a_client_without_views_pays_at_most_60_bytes_a_tool() -> None:
    for spec in TOOLS:
        tool = dumped(listed_tool(spec))
        without = {name: one for name, one in tool.items() if name != "_meta"}
        sizes = [len(json.dumps(one, separators=(",", ":"))) for one in (tool, without)]
        assert sizes[0] - sizes[1] <= 60
        assert ("_meta" in tool) == (spec.view is not None)
