"""A server process and the shortest possible client of it: JSON lines on its pipes, nothing between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROTOCOL = "2025-11-25"
BARE = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
OURS = [str(Path(sys.executable).with_name("quilt-mcp"))]


class Peer:
    """Runs ``command`` with an empty home and an empty local registry, so that it works for nobody in particular."""

    def __init__(
        self, command: list[str], *, arguments: tuple[str, ...] = (), registry: Path | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-")
        home = Path(self._folder.name)
        folder = registry or home / "registry"
        folder.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "QUILT_DEFAULT_REGISTRY": folder.as_uri(),
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env=environment,
        )
        self._next_id = 0

    def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result; raises RuntimeError on an error or a closed pipe."""
        self._next_id += 1
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params or {}})
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            message = json.loads(line)
            if message.get("id") == self._next_id:
                if "error" in message:
                    raise RuntimeError(message["error"])
                return message["result"]
        raise RuntimeError(f"{method}: the server closed its pipe")

    def initialize(self) -> float:
        """Shakes hands and answers the seconds since the process was started."""
        client = {"name": "bench", "version": "1"}
        self.request("initialize", {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client})
        seconds = time.perf_counter() - self.started
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return seconds

    def call(self, tool: str, arguments: dict[str, Any] | None = None) -> Any:
        return self.request("tools/call", {"name": tool, "arguments": arguments or {}})

    def rss(self) -> int:
        """Resident memory in bytes."""
        command = ["ps", "-o", "rss=", "-p", str(self.process.pid)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) * 1024

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._folder.cleanup()
