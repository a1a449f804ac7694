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
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from obstore import get_async
from obstore.store import S3Store

from harness import report

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests/users"))

from company import company

from parts.moto_server import moto_server
from parts.quilt3_process import Quilt3
from parts.stack import Fault, Stack, quilt_stack

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


async def asked_of_the_store(stack: Stack, token: str, bucket: str, seconds: float) -> float:
    """Requests a second for the pointer that a call by name reads, with the keys that the stack gives, at as many clients."""
    asked_keys = urllib.request.Request(
        f"{stack.registry_url}/api/auth/get_credentials", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(asked_keys) as answer:
        keys = json.load(answer)
    store = S3Store(
        bucket,
        endpoint=stack.s3_url,
        region="us-east-1",
        access_key_id=keys["AccessKeyId"],
        secret_access_key=keys["SecretAccessKey"],
        token=keys["SessionToken"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    count, until = 0, time.perf_counter() + seconds

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await (await get_async(store, ".quilt/named_packages/lab/reads/latest")).bytes_async()
            count += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return count / (time.perf_counter() - began)


async def delayed(port: int, stack: Stack, open_user: bytes, stranger: bytes) -> float:
    """Milliseconds by which a call of an open user takes longer (median of 40) while a stranger waits to be let in."""

    async def one(asking: bytes) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(asking)
        await reader.readuntil(b"\r\n\r\n")
        took = time.perf_counter() - began
        writer.close()
        return took

    before = [await one(open_user) for _ in range(40)]
    stack.fault(Fault("/graphql", "Me", silence=3.0, times=1))
    waiting = asyncio.create_task(one(stranger))
    await asyncio.sleep(0.2)
    during = [await one(open_user) for _ in range(40)]
    assert not waiting.done(), "the stranger was let in too soon"
    await waiting
    stack.clear_faults()
    return (statistics.median(during) - statistics.median(before)) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, default=1_000)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="bench-users-"))
    wide = {"QUILT_MCP_USER_RATE": "10000", "QUILT_MCP_USER_CALLS": "1000", "QUILT_MCP_MOST_USERS": "2000"}
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
            by_name = {"package": "lab/reads", "registry": f"s3://{bucket}"}
            acts = {
                "status": [request(port, one, "status", {}) for one in tokens],
                "browse": [request(port, one, "package_browse", {"package": pinned}) for one in tokens],
                "by_name": [request(port, one, "package_browse", by_name) for one in tokens],
            }
            rates: dict[str, list[float]] = {name: [] for name in ("bare", "store", *acts)}
            spread: dict[str, list[float]] = {name: [] for name in ("bare", *acts)}
            for requests in acts.values():  # everybody is known, everything is open
                asyncio.run(asked(port, requests, 1.5))
            for _ in range(given.rounds):
                rate, took = asyncio.run(asked(least, [request(least, None, "nothing", {})], given.seconds))
                rates["bare"].append(rate)
                spread["bare"].append(p(took, 0.99) / p(took, 0.5))
                rates["store"].append(
                    asyncio.run(asked_of_the_store(stack, tokens[0], bucket, given.seconds))
                )
                for name, requests in acts.items():
                    rate, took = asyncio.run(asked(port, requests, given.seconds))
                    rates[name].append(rate)
                    spread[name].append(p(took, 0.99) / p(took, 0.5))
            stranger = request(port, "qk_a_stranger", "status", {})
            late = asyncio.run(delayed(port, stack, acts["browse"][0], stranger))
            before = memory(ours.process.pid)
            for number in range(given.users):
                stack.add_user(f"other{number}", roles=("reader",))
                told = ours.call(stack.api_key(f"other{number}"), "package_browse", package=pinned)
                assert "error" not in told
            grown = memory(ours.process.pid) - before

            def by(name: str, other: str) -> float:
                pairs = zip(rates[name], rates[other], strict=True)
                return round(statistics.median(a / b for a, b in pairs), 3)

            figures = {
                "clients": CLIENTS,
                "status_by_bare": by("status", "bare"),
                "status_by_bare_limit": 0.7,
                "browse_by_bare": by("browse", "bare"),
                "browse_by_bare_limit": 0.7,
                "browse_by_name_by_store": by("by_name", "store"),
                "browse_by_name_by_store_limit": 0.8,
                "p99_by_p50": {name: round(statistics.median(values), 1) for name, values in spread.items()},
                "p99_by_p50_limit": 10,
                "milliseconds_later_while_a_stranger_is_let_in": round(late, 1),
                "milliseconds_later_while_a_stranger_is_let_in_limit": 50,
                "users": given.users,
                "megabytes_of_users": round(grown / 1e6, 1),
                "megabytes_of_users_limit": 200,
                "calls_a_second_here": {
                    name: round(statistics.median(values)) for name, values in rates.items()
                },
            }
    report("users", figures)


if __name__ == "__main__":
    main()
