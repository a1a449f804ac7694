"""Real clients on real servers: stdio and HTTP, both protocol eras."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

ALL_WIRES = ("stdio-modern", "stdio-legacy", "http-modern", "http-legacy")
WIRES = ALL_WIRES if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else ("stdio-modern", "http-legacy")
"""Each test runs on one wire of each transport and era; test_every_tool and the nightly job take all four."""
TOKEN = "the-token-of-these-tests"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
MODES = {"modern": "auto", "legacy": "legacy"}


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Nothing of the person who runs the tests, but coverage of the processes that are started and the checkout they run."""
    kept = {key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "PYTHONPATH"))}
    return kept | {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | variables


@dataclass(frozen=True)
class Place:
    """A home with a registry made by quilt3 in it; servers run in ``here``, which so is their root."""

    home: Path
    registry: Path
    here: Path
    hashes: dict[str, list[str]]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.registry.as_uri()

    def environment(self, **variables: str) -> dict[str, str]:
        own = {"QUILT_DEFAULT_REGISTRY": str(self.registry), "QUILT_MCP_CACHE_DIR": str(self.home / "cache")}
        return environment(self.home, **{**own, **self.variables, **variables})

    def uri(self, package: str, path: str | None = None, *, revision: int = -1) -> str:
        pinned = f"quilt+{self.url}#package={package}@{self.hashes[package][revision]}"
        return pinned if path is None else f"{pinned}&path={path}"


@dataclass(frozen=True)
class PlaceOnS3(Place):
    """The registry is the bucket of ``variables``; the folder of that name stands empty."""

    @property
    def url(self) -> str:
        return self.variables["QUILT_DEFAULT_REGISTRY"]

    @property
    def bucket(self) -> str:
        return self.url.removeprefix("s3://")


Connect = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def connected(place: Place, wire: str, *flags: str, **variables: str) -> AsyncIterator[Client]:
    """Coverage is measured of the shared HTTP server: to measure each process that a client starts over stdio, which is asked
    the same, would take half as much time again."""
    transport, _, era = wire.partition("-")
    if transport == "stdio":
        environ = place.environment(**variables)
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "quilt_mcp", *flags],
            env={name: value for name, value in environ.items() if not name.startswith("COVERAGE")},
            cwd=place.here,
        )
        async with Client(server, mode=MODES[era], read_timeout_seconds=60) as client:
            yield client
    else:
        async with http_client(shared_url(place, *flags, **variables), era) as client:
            yield client


@asynccontextmanager
async def connected_alone(place: Place, wire: str, *flags: str) -> AsyncIterator[Client]:
    """A client of a server of its own, which has ended afterwards."""
    if wire.startswith("stdio"):
        async with connected(place, wire, *flags) as client:
            yield client
        return
    with http_server(place, *flags) as url:
        async with http_client(url, wire.partition("-")[2]) as client:
            yield client


@asynccontextmanager
async def http_client(url: str, era: str) -> AsyncIterator[Client]:
    async with create_mcp_http_client(headers=AUTHORIZED) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=MODES[era], read_timeout_seconds=60) as client:
            yield client


_shared: dict[object, tuple[http_server, str]] = {}


def shared_url(place: Place, *flags: str, **variables: str) -> str:
    """One HTTP server for all tests that want the same: it keeps no sessions, so none can see another's."""
    key = (place.home, flags, frozenset(variables.items()))
    if key not in _shared:
        server = http_server(place, *flags, **variables)
        _shared[key] = server, server.__enter__()
    return _shared[key][1]


def stop_shared() -> None:
    while _shared:
        server, _ = _shared.popitem()[1]
        server.__exit__()
        assert server.stdout == ""


IMPATIENT = """
from quilt_mcp.server.http import connections, guard
connections.REQUEST_SECONDS, guard.BODY_SECONDS = 1.0, 2.0
from quilt_mcp.cli import main
main()
"""
"""A server that waits a second or two for what a client does not send."""


class http_server:
    """``with http_server(place) as url``: a server process on a free loopback port, ended with SIGTERM."""

    def __init__(
        self,
        place: Place,
        *flags: str,
        descriptors: int | None = None,
        impatient: bool = False,
        **variables: str,
    ) -> None:
        limit = [] if descriptors is None else ["prlimit", f"--nofile={descriptors}"]
        self.process = subprocess.Popen(
            [
                *limit,
                sys.executable,
                *(("-c", IMPATIENT) if impatient else ("-m", "quilt_mcp")),
                "serve",
                "--http",
                "--single-user",
                "--port",
                "0",
                *flags,
            ],
            cwd=place.here,
            env=place.environment(**{"QUILT_MCP_HTTP_TOKEN": TOKEN, **variables}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout = ""

    def __enter__(self) -> str:
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "http://" in line, line + self.process.stderr.read()
        return line.rpartition(" ")[2].strip()

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.stdout, self.stderr = self.process.communicate(timeout=30)


async def result(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that succeeds."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content[0].text
    return answer.structured_content


async def failure(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The error of a call that fails; every failure has a code, a message and a next step."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    error = answer.structured_content["error"]
    assert error["code"] and error["message"] and error["next_step"], error
    assert answer.content[0].text.startswith(f"{error['code']}: ")
    return error
