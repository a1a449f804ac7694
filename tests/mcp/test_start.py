"""What a client waits for: a server imports nothing heavy before it answers, and speaks every revision there is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from serving import Place

HEAVY = (
    "duckdb",
    "re2",
    "jsonschema",
    "yaml",
    "awscrt",
    "rich",
    "boto3",
    "botocore",
    "obstore",
    "PIL",
    "quilt3",
    "pyarrow",
    "fsspec",
    "sqlglot",
    "platformdirs",
)

LISTING = """
import asyncio, json, sys
from mcp import Client
before = set(sys.modules)
from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import Settings
from quilt_mcp.server.surface import build
from quilt_mcp.session import Session
server = build(Session(Settings()), lambda _: Asker())
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_nothing_heavy_is_imported_to_build_the_server(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTING],
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not imported & set(HEAVY)
    assert not {"quilt_mcp.backends.local", "quilt_mcp.view"} & set(json.loads(done.stdout))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_clients_of_every_older_revision_are_served(revision: str, place: Place) -> None:
    """Those that know no structured content have all of it as text."""
    process = subprocess.Popen(
        [sys.executable, "-m", "quilt_mcp"],
        env=place.environment(),
        cwd=place.here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None

    def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())["result"]

    client = {"name": "t", "version": "1"}
    opened = ask(0, "initialize", protocolVersion=revision, capabilities={}, clientInfo=client)
    assert opened["protocolVersion"] == revision
    assert opened["serverInfo"]["name"] == "quilt-mcp"
    assert "status" in opened["instructions"]
    process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    assert len(ask(1, "tools/list")["tools"]) == 14
    answer = ask(2, "tools/call", name="package_browse", arguments={"package": "demo/flowers"})
    told = json.loads(answer["content"][0]["text"])
    assert told["data"]["top_hash"] == place.hashes["demo/flowers"][-1]
    if revision >= "2025-06-18":
        assert answer["structuredContent"] == told
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()
