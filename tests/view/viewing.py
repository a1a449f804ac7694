"""``quilt-mcp view`` in a process of its own, on a registry with one package, and what asks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2

COMMAND = (sys.executable, "-m", "quilt_mcp")
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
PACKAGE = "lab/plates"


@dataclass(frozen=True)
class Lab:
    """``here`` is the working folder, with a file ``reads.csv`` that is also in the package."""

    home: Path
    here: Path

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "PYTHONPATH"))}
        own = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "QUILT_DEFAULT_REGISTRY": str(self.home / "registry"),
            "QUILT_MCP_CACHE_DIR": str(self.home / "cache"),
        }
        return kept | own | variables

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.here,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def view(self, *arguments: str, before: tuple[str, ...] = (), **variables: str) -> Iterator[Viewed]:
        process = subprocess.Popen(
            [*COMMAND, *before, "view", *arguments],
            cwd=self.here,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("http://127.0.0.1:"), line + process.stderr.read()
            yield Viewed(line.strip(), process)
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=30)


@dataclass(frozen=True)
class Viewed:
    """``address``: what was printed."""

    address: str
    process: subprocess.Popen[str]

    @property
    def page(self) -> str:
        return self.address.partition("#")[0]

    @property
    def endpoint(self) -> str:
        return self.page.removesuffix("/view") + "/mcp"

    @property
    def fragment(self) -> dict[str, str]:
        """As the page reads it."""
        return {name: one for name, [one] in parse_qs(self.address.partition("#")[2]).items()}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.fragment['token']}"}

    def ask(self, tool: str, headers: Any = None, /, **arguments: Any) -> httpx2.Response:
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        given = HEADERS | self.bearer | dict(headers or {})
        return send("POST", self.endpoint, content=json.dumps(body), headers=given)


def send(method: str, url: str, **given: Any) -> httpx2.Response:
    with httpx2.Client(timeout=60, trust_env=False) as client:
        return client.request(method, url, **given)
