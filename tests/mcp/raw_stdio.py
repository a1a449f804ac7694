"""A server over raw pipes: lines that no client library would write, ends that no library makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from serving import Place

SERVER = [sys.executable, "-m", "quilt_mcp"]
OPENING = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"name": tool, "arguments": arguments, "_meta": {"progressToken": number}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


class RawServer:
    """One process; what it says on standard error is gathered, so that its pipe never fills."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._said: list[bytes] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    @property
    def input(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            while part := os.read(stream.fileno(), 1 << 16):
                self._said.append(part)

    def say(self, *messages: Any) -> None:
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
        self.input.write(b"\n".join(lines) + b"\n")
        self.input.flush()

    def hear(self) -> dict[str, Any]:
        """The next message; pytest's own limit bounds the wait."""
        line = self.output.readline()
        assert line, self.ended()
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def hear_answer(self, number: Any) -> dict[str, Any]:
        while True:
            message = self.hear()
            if message.get("id") == number and "method" not in message:
                return message

    def open(self) -> None:
        self.say(OPENING, INITIALIZED)
        self.hear_answer(0)

    def ended(self, within: float = 30) -> str:
        """Waits for the end; answers what was said on standard error."""
        self.process.wait(within)
        self._listener.join(within)
        return b"".join(self._said).decode()


@contextmanager
def raw_server(place: Place, *flags: str, **variables: str) -> Iterator[RawServer]:
    process = subprocess.Popen(
        [*SERVER, *flags],
        env=place.environment(**variables),
        cwd=place.here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    server = RawServer(process)
    try:
        yield server
    finally:
        process.kill()
        server.ended()
        for stream in (server.input, server.output):
            with suppress(BrokenPipeError):
                stream.close()
