"""HTTP without users' tokens serves the person at this machine and nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from serving import Place, http_server

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


def post(url: str, body: Any = INITIALIZE, **headers: str) -> httpx2.Response:
    with httpx2.Client(timeout=30, trust_env=False) as client:
        return client.post(url, content=json.dumps(body), headers={**HEADERS, **headers})


def test_only_loopback_hosts_and_origins_are_answered_and_bodies_are_bounded(place: Place) -> None:
    server = http_server(place, "--max-body-bytes", "20000")
    with server as url:
        assert post(url).status_code == 200
        assert post(url, Origin="http://localhost:3000").status_code == 200
        assert post(url, Host="evil.example").status_code == 421
        assert post(url, Origin="https://evil.example").status_code == 403
        assert post(url, {**INITIALIZE, "padding": "x" * 30_000}).status_code == 413
        assert post(url, [INITIALIZE]).status_code == 400
        assert post(url.replace("/mcp", "/other")).status_code == 404
        assert "mcp-session-id" not in post(url).headers
    assert server.stdout == ""
    assert server.process.returncode in (0, -15)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--http"], "--single-user"),
        (["--http", "--single-user", "--host", "0.0.0.0"], "loopback"),
        (["--http", "--single-user", "--host", "::"], "loopback"),
        (["--http", "--host", "0.0.0.0"], "--single-user"),
        (["--http", "--single-user", "--port", "99999"], "--port"),
    ],
)
def test_an_exposed_server_does_not_start_and_says_what_to_do(
    flags: list[str], said: str, place: Place
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quilt_mcp", "serve", *flags],
        env=place.environment(),
        cwd=place.here,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_told(place: Place) -> None:
    with http_server(place) as url:
        port = url.rpartition(":")[2].partition("/")[0]
        done = subprocess.run(
            [sys.executable, "-m", "quilt_mcp", "serve", "--http", "--single-user", "--port", port],
            env=place.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert f"port {port}" in done.stderr
