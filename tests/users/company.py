"""A server of many users in a process of its own, on the tests' stack, and what asks it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from parts.s3_access import S3Access
from parts.stack import Stack

MODES = {"modern": "auto", "legacy": "legacy"}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_STARTS_WITHIN = 60.0


@dataclass(frozen=True)
class Company:
    """``log``: the file of its standard error."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    @asynccontextmanager
    async def client(self, token: str, era: str = "modern") -> AsyncIterator[Client]:
        async with create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=MODES[era], read_timeout_seconds=60) as client:
                yield client

    def call(self, token: str | None, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured content of a tool's answer, by a bare POST."""
        answer = self.post(token, "tools/call", name=tool, arguments=arguments)
        assert answer.status_code == 200, answer.text
        return read(answer)["result"]["structuredContent"]

    def post(
        self, token: str | None, method: str = "tools/list", /, headers: Any = None, **params: Any
    ) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.send("POST", content=json.dumps(body), headers=HEADERS | bearer | dict(headers or {}))

    def send(self, method: str, path: str = "/mcp", **given: Any) -> httpx2.Response:
        with httpx2.Client(
            timeout=60, trust_env=False, verify=False
        ) as client:  # no certificate, no file of authorities
            return client.request(method, f"{self.origin}{path}", **given)

    @contextmanager
    def begun(self, token: str, *framing: str) -> Iterator[socket.socket]:
        """A connection on which the head of a POST was sent, with ``framing`` as headers, and nothing of its body."""
        host, _, port = self.origin.removeprefix("http://").partition(":")
        own = [f"Host: {host}:{port}", f"Authorization: Bearer {token}"]
        head = [
            "POST /mcp HTTP/1.1",
            *own,
            *(f"{name}: {value}" for name, value in HEADERS.items()),
            *framing,
        ]
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            yield connection

    def audit(self) -> list[dict[str, Any]]:
        """The calls that were noted."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@dataclass(frozen=True)
class Two:
    """ada sees ``hers``, bob ``his``: buckets with a package of the same name each, pushed by quilt3."""

    stack: Stack
    server: S3Access
    hers: str
    his: str
    hashes: dict[str, str]

    def token(self, name: str) -> str:
        return self.stack.api_key(name)

    def bucket(self, name: str) -> str:
        return {"ada": self.hers, "bob": self.his}[name]


def read(answer: httpx2.Response) -> dict[str, Any]:
    """The message of an answer, whether it came alone or at the end of a stream."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        return json.loads(events[-1])
    return answer.json()


def until(holds: Callable[[], object], looks: int = 600) -> None:
    for _ in range(looks):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(holds)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


IMPATIENT = """
from quilt_mcp.catalog import keys
from quilt_mcp.server.http import guard
from quilt_mcp.server.users import known_users
assert min(known_users.KNOWN_SECONDS, keys.ROLE_SECONDS, guard.BODY_SECONDS) >= 30
known_users.KNOWN_SECONDS, keys.ROLE_SECONDS, guard.BODY_SECONDS = 1.0, 1.0, 2.0
from quilt_mcp.cli import main
main()
"""
"""A server whose door believes the stack for a second, as long as AWS keys are believed, and which waits two for a body. What is
remembered for each user (``backends.stack.BELIEVED_SECONDS``, ``registry.manifests.cache.STAT_SECONDS``) is for as long as ever:
the door's word ends it."""


@contextmanager
def company(
    stack: Stack,
    server: S3Access,
    home: Path,
    *flags: str,
    port: int = 0,
    impatient: bool = False,
    **variables: str,
) -> Iterator[Company]:
    """Its environment holds AWS keys that open everything: nobody may ever be served with them."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    kept = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "PYTHONPATH"))}
    environ = kept | {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "QUILT_CATALOG_URL": stack.url,
        "QUILT_MCP_CACHE_DIR": str(home / "cache"),
        **replace(server, url=stack.s3_url).environment(),
        **variables,
    }
    program = ("-c", IMPATIENT) if impatient else ("-m", "quilt_mcp")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, *program, "serve", "--http", "--port", str(port), *flags],
            cwd=home,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        told = _told_url(process, log)
        yield Company(f"http://127.0.0.1:{port}/mcp" if port else told, log, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        assert process.stdout is not None
        assert process.stdout.read() == b"", "standard output is nobody's log"
        process.stdout.close()


def _told_url(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    for _ in range(int(_STARTS_WITHIN / 0.05)):
        for line in log.read_text().splitlines():
            if " at http" in line:
                return line.rpartition(" at ")[2].rstrip(")")
        if process.poll() is not None:
            break
        select.select([], [], [], 0.05)
    raise AssertionError(log.read_text())
