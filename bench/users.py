"""A server of many users beside the least that one can be on the same SDK, at 64 clients: calls a second and how long the slow
ones take; the memory that a thousand users leave.

python bench/users.py [--seconds 4] [--rounds 3] [--users 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import report

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests/users"))

from company import company

from parts.moto_server import moto_server
from parts.quilt3_process import Quilt3
from parts.stack import quilt_stack

CLIENTS = 64
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
PUSH = """
import quilt3
package = quilt3.Package()
for number in range(20):
    with open(f"{number}.csv", "w") as file:
        file.write("a,b\\n" * number)
    package.set(f"data/{number}.csv", f"{number}.csv")
pushed = package.push("lab/reads", registry=arguments["registry"], message="bench", force=True)
result = pushed.top_hash
"""


def request(port: int, token: str | None, tool: str, arguments: dict[str, Any]) -> bytes:
    call = {"name": tool, "arguments": arguments, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode()
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{bearer}Accept: application/json, text/event-stream\r\n"
        f"Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
        f"Mcp-Name: {tool}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def asked(port: int, requests: list[bytes], seconds: float) -> tuple[float, list[float]]:
    """Calls a second, and how long each took, at so many connections at once."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = number
        while (began := time.perf_counter()) < until:
            writer.write(requests[count % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.split(b":")[1]))
            assert b'"error"' not in body, body[:500]
            took.append(time.perf_counter() - began)
            count += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return len(took) / (time.perf_counter() - began), took


@contextmanager
def bare() -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("bare_http.py")), str(port)])
    try:
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def p(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=1_000)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="bench-users-"))
    wide = {"QUILT_MCP_USER_RATE": "10000", "QUILT_MCP_USER_CALLS": "1000", "QUILT_MCP_AUDIT": "off"}
    with moto_server() as server:
        bucket = server.make_bucket()
        top_hash = Quilt3(home / "pusher", server).run(PUSH, registry=f"s3://{bucket}")
        with (
            quilt_stack(server, [bucket]) as stack,
            company(stack, server, home, **wide) as ours,
            bare() as least,
        ):
            tokens = []
            for number in range(10):
                stack.add_user(f"user{number}", roles=("reader",))
                tokens.append(stack.api_key(f"user{number}"))
            port = int(ours.origin.rpartition(":")[2])
            pinned = f"quilt+s3://{bucket}#package=lab/reads@{top_hash}"
            acts = {
                "status": [request(port, one, "status", {}) for one in tokens],
                "browse": [request(port, one, "package_browse", {"package": pinned}) for one in tokens],
            }
            rates: dict[str, list[float]] = {"bare": [], "status": [], "browse": []}
            spread: dict[str, list[float]] = {"bare": [], "status": [], "browse": []}
            for requests in acts.values():  # everybody is known, everything is open
                asyncio.run(asked(port, requests, 1.5))
            for _ in range(given.rounds):
                rate, took = asyncio.run(asked(least, [request(least, None, "nothing", {})], given.seconds))
                rates["bare"].append(rate)
                spread["bare"].append(p(took, 0.99) / p(took, 0.5))
                for name, requests in acts.items():
                    rate, took = asyncio.run(asked(port, requests, given.seconds))
                    rates[name].append(rate)
                    spread[name].append(p(took, 0.99) / p(took, 0.5))
            before = memory(ours.process.pid)
            for number in range(given.users):
                stack.add_user(f"other{number}", roles=("reader",))
                told = ours.call(stack.api_key(f"other{number}"), "package_browse", package=pinned)
                assert "error" not in told
            grown = memory(ours.process.pid) - before
            figures = {
                "clients": CLIENTS,
                "rate_by_bare": {
                    name: round(
                        statistics.median(a / b for a, b in zip(rates[name], rates["bare"], strict=True)), 3
                    )
                    for name in acts
                },
                "p99_by_p50": {name: round(statistics.median(values), 1) for name, values in spread.items()},
                "wanted": {"rate_by_bare": 0.7, "p99_by_p50": 10, "megabytes_of_1000_users": 200},
                "users": given.users,
                "megabytes_of_users": round(grown / 1e6, 1),
                "calls_a_second_here": {
                    name: round(statistics.median(values)) for name, values in rates.items()
                },
            }
    report("users", figures)


if __name__ == "__main__":
    main()
