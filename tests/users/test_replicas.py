"""Three servers behind a proxy, restarted one after another while clients write: no write that was told is lost, nobody is
served as another, and what fails says again."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from company import HEADERS, Company, Two, company, free_port, read
from nginx import balanced, nginx

CLIENTS = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 12
SECONDS = 40.0 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 5.0
AGAIN = {502, 503, 504}


def wait_until_closed(port: int) -> None:
    for _ in range(400):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    raise AssertionError(port)


class Writer:
    """Makes packages of its own user, one after another, and remembers those that it was told are there."""

    def __init__(self, url: str, number: str, name: str, token: str, bucket: str) -> None:
        self.url, self.number, self.name, self.token, self.bucket = url, number, name, token, bucket
        self.told: list[str] = []
        self.failures: list[tuple[int, str]] = []

    def run(self, stop: threading.Event) -> None:
        count = 0
        with httpx2.Client(timeout=60, trust_env=False) as client:
            while not stop.is_set():
                count += 1
                package = f"w{self.number}/p{count}"
                try:
                    self.write(client, package)
                except httpx2.TransportError as error:
                    self.failures.append((0, type(error).__name__))
                    time.sleep(0.05)

    def write(self, client: httpx2.Client, package: str) -> None:
        given = {
            "package": package,
            "registry": f"s3://{self.bucket}",
            "files": [{"path": "x", "text": f"{self.name} {package}"}],
        }
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "package_create", "arguments": given},
        }
        headers = HEADERS | {"Authorization": f"Bearer {self.token}"}
        answer = client.post(self.url, content=json.dumps(body), headers=headers)
        if answer.status_code != 200:
            self.failures.append((answer.status_code, answer.text[:200]))
            time.sleep(0.05)
            return
        message = read(answer)
        if "error" in message:
            self.failures.append((503, message["error"]["message"]))
            return
        told = message["result"]["structuredContent"]
        if "error" in told:
            retryable = told["error"]["retryable"] or told["error"]["code"] == "outcome_unknown"
            self.failures.append((503 if retryable else 500, json.dumps(told["error"])))
            return
        self.told.append(told["uri"])


@pytest.mark.parametrize("killed", [False, True], ids=["told to stop", "killed"])
def test_a_rolling_restart_loses_no_write_that_was_told(two: Two, tmp_path: Path, killed: bool) -> None:
    outside, *ports = (free_port() for _ in range(4))
    url = f"http://127.0.0.1:{outside}"
    settings = {
        "QUILT_MCP_PUBLIC_URL": url,
        "QUILT_MCP_DRAIN_SECONDS": "10",
        "QUILT_MCP_USER_RATE": "1000",
        "QUILT_MCP_USER_CALLS": "100",
    }
    tokens = {"ada": two.token("ada"), "bob": two.token("bob")}
    buckets = {"ada": two.hers, "bob": two.his}
    names = [*tokens]
    writers = [
        Writer(f"{url}/mcp", f"{killed:d}{number}", name, tokens[name], buckets[name])
        for number in range(CLIENTS)
        for name in [names[number % 2]]
    ]
    stop = threading.Event()
    with ExitStack() as started:

        def start(port: int) -> Company:
            home = tmp_path / f"{port}-{time.monotonic_ns()}"
            made = company(two.stack, two.server, home, "--allow-write", port=port, **settings)
            return started.enter_context(made)

        replicas = [start(port) for port in ports]
        started.enter_context(nginx(tmp_path / "nginx", outside, balanced(outside, ports)))
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in writers]
        for thread in threads:
            thread.start()
        try:
            for number, port in enumerate(ports):
                time.sleep(SECONDS / 6)
                replicas[number].process.send_signal(signal.SIGKILL if killed else signal.SIGTERM)
                wait_until_closed(port)
                replicas[number] = start(port)
            time.sleep(SECONDS / 6)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        told = [(one, uri) for one in writers for uri in one.told]
        assert len(told) > CLIENTS
        failures = Counter(status for one in writers for status, _ in one.failures)
        assert set(failures) <= (AGAIN | {0} if killed else AGAIN), [one.failures for one in writers]
        survivor = replicas[0]
        for name in names:
            listed = survivor.call(
                tokens[name], "packages_list", registry=f"s3://{buckets[name]}", limit=1000
            )
            there = {row["name"] for row in listed["data"]["packages"]}
            own = {uri.partition("#package=")[2].partition("@")[0] for one, uri in told if one.name == name}
            assert own <= there
        for writer, uri in told[:: len(told) // 20 + 1]:
            found = survivor.call(writer.token, "object_read", uri=f"{uri}&path=x")
            assert found["data"]["text"].startswith(writer.name), found
