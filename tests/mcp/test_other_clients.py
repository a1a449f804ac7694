"""Clients of other authors: the TypeScript SDK's over both wires, and mcp-remote, which hosts that speak stdio alone put before
a server on HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from serving import AUTHORIZED, TOKEN, Place, failure, http_server, result

from parts.node_tools import MODULES, node_command
from quilt_mcp.tools import available

SCRIPT = Path(__file__).with_name("typescript_client.mjs")


def converse(**how: Any) -> dict[str, Any]:
    node = node_command("@modelcontextprotocol/sdk/package.json")[0]
    done = subprocess.run(
        [node, str(SCRIPT)],
        input=json.dumps({"modules": str(MODULES), **how}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(seen: dict[str, Any]) -> None:
    assert seen["tools"] == [one.name for one in available(writes=False)]
    assert "data from others" in seen["instructions"]
    assert seen["resources"] and seen["prompts"]
    browsed = seen["browse"]["structuredContent"]["data"]
    assert "docs/" in [row["path"] for row in browsed["entries"]]
    assert seen["failure"]["isError"]
    assert seen["failure"]["structuredContent"]["error"]["code"] == "package_not_found"


def test_the_typescript_sdk_converses_over_stdio(place: Place) -> None:
    arguments = ["-m", "quilt_mcp", "--registry", str(place.registry)]
    check(converse(command=sys.executable, args=arguments, env=place.environment()))


def test_the_typescript_sdk_converses_over_http(place: Place) -> None:
    with http_server(place) as url:
        check(converse(url=url, headers=AUTHORIZED))


@pytest.mark.anyio
async def test_mcp_remote_carries_a_conversation_from_stdio_to_http(place: Place, tmp_path: Path) -> None:
    node, script = node_command("mcp-remote/dist/proxy.js")
    with http_server(place, "--allow-write") as url:
        remote = StdioServerParameters(
            command=node,
            args=[
                script,
                url,
                "--allow-http",
                "--transport",
                "http-only",
                "--header",
                f"Authorization:Bearer {TOKEN}",
            ],
            env=place.environment(MCP_REMOTE_CONFIG_DIR=str(tmp_path)),
        )
        async with Client(stdio_client(remote)) as client:
            listed = [one.name for one in (await client.list_tools()).tools]
            assert listed == [one.name for one in available(writes=True)]
            browsed = await result(client, "package_browse", package="demo/flowers")
            assert "docs/" in [row["path"] for row in browsed["data"]["entries"]]
            files = [{"path": "f", "text": "by way of mcp-remote"}]
            await result(client, "package_create", package="remote/made", files=files)
            read = await result(client, "object_read", uri="remote/made/f")
            assert read["data"]["text"] == files[0]["text"]
            assert (await failure(client, "package_browse", package="no/such"))["code"] == "package_not_found"
