"""MCP Inspector's command line: a client of other authors, on another SDK, in another language, drives the real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from serving import TOKEN, Place, http_server

from parts.node_tools import node_command
from quilt_mcp.tools import available

pytestmark = pytest.mark.nightly

INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
TOOL_ERROR = 5
"""The Inspector's own exit code for a tool that answers isError."""


def inspect(place: Place, target: list[str], *arguments: str, code: int = 0) -> Any:
    command = [*node_command(INSPECTOR), "--cli", *target, *arguments]
    variables = place.environment(MCP_AUTO_OPEN_ENABLED="false")
    result = subprocess.run(
        command, cwd=place.here, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


def stdio(place: Place, *flags: str) -> list[str]:
    """The Inspector hands a server only the variables it is told to, so what matters is said in flags."""
    return [sys.executable, "-m", "quilt_mcp", "--registry", str(place.registry), *flags]


def tool_call(tool: str, **arguments: str) -> list[str]:
    pairs = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value}")]
    return ["--method", "tools/call", "--tool-name", tool, *pairs]


def test_the_inspector_lists_every_tool_and_finds_no_schema_it_cannot_carry(place: Place) -> None:
    listed = inspect(place, stdio(place, "--allow-write"), "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in listed["tools"]] == [tool.name for tool in available(writes=True)]


def test_the_inspector_makes_changes_and_reads_a_package_over_stdio(place: Place) -> None:
    writing = stdio(place, "--allow-write")
    files = json.dumps([{"path": "note.txt", "text": "from the inspector"}])
    made = inspect(place, writing, *tool_call("package_create", package="other/client", files=files))
    top_hash = made["structuredContent"]["data"]["top_hash"]

    more = json.dumps([{"path": "more.txt", "text": "and more"}])
    inspect(
        place,
        writing,
        *tool_call("package_patch", package="other/client", files=more, expected_top_hash=top_hash),
    )

    seen = inspect(place, stdio(place), *tool_call("package_browse", package="other/client"))
    entries = seen["structuredContent"]["data"]["entries"]
    assert [entry["path"] for entry in entries] == ["more.txt", "note.txt"]
    read = inspect(
        place,
        stdio(place),
        *tool_call("object_read", uri=f"{seen['structuredContent']['uri']}&path={entries[1]['path']}"),
    )
    assert read["structuredContent"]["data"]["text"] == "from the inspector"


def test_the_inspector_works_over_http_as_over_stdio(place: Place) -> None:
    with http_server(place) as url:
        over_http = inspect(
            place,
            [url],
            "--transport",
            "http",
            "--header",
            f"Authorization: Bearer {TOKEN}",
            *tool_call("packages_list"),
        )
    over_stdio = inspect(place, stdio(place), *tool_call("packages_list"))
    assert over_http["structuredContent"] == over_stdio["structuredContent"]
    assert over_http["structuredContent"]["data"]["packages"]


def test_the_inspector_takes_a_failure_as_a_tool_error(place: Place) -> None:
    answer = inspect(place, stdio(place), *tool_call("package_browse", package="no/such"), code=TOOL_ERROR)
    assert answer["isError"] is True
    assert answer["structuredContent"]["error"]["code"] == "package_not_found"


@pytest.mark.parametrize("method", ["resources/list", "resources/templates/list", "prompts/list"])
def test_the_inspector_lists_what_else_there_is(place: Place, method: str) -> None:
    [listed] = [
        value
        for value in inspect(place, stdio(place), "--method", method).values()
        if isinstance(value, list)
    ]
    assert listed


def test_the_inspector_reads_the_status_resource(place: Place, tmp_path: Path) -> None:
    listed = inspect(place, stdio(place), "--method", "resources/list")
    uri = next(one["uri"] for one in listed["resources"] if "status" in one["uri"])
    answer = inspect(place, stdio(place), "--method", "resources/read", "--uri", uri)
    assert json.loads(answer["contents"][0]["text"])
