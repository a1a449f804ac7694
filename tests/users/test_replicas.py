"""Three servers behind a proxy, restarted one after another while clients write: no write that was told is lost, nobody is
served as another, and what fails says that it may be asked again."""

from __future__ import annotations

import json
import re
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

from parts.quilt3_process import Quilt3Server

_OF_WRITER = re.compile(r"(?:^|/)w(\d+)/p\d+/")
CLIENTS = 50
SECONDS = 40.0
PAUSE = 0.2
"""Between two writes of a client, as the machine is to start servers meanwhile."""
OF_THE_PROXY = {502, 504}
"""What it answers itself, where it lost or did not find a server."""


def wait_until_closed(port: int) -> None:
    for _ in range(400):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    raise AssertionError(port)


class Writer:
    """Makes packages of its own user, one after another, and remembers those that it was told are there. ``failures`` that are in
    ``wrong`` did not say that the same may be asked again."""

    def __init__(self, url: str, number: str, name: str, token: str, bucket: str) -> None:
        self.url, self.number, self.name, self.token, self.bucket = url, number, name, token, bucket
        self.told: dict[str, str] = {}
        """Addresses of revisions, and what stands in their only file."""
        self.again: list[str] = []
        self.wrong: list[str] = []
        self.broken: list[str] = []
        """Connections that ended without an answer."""

    def run(self, stop: threading.Event) -> None:
        number = 0
        with httpx2.Client(timeout=60, trust_env=False) as client:
            while not stop.is_set():
                number += 1
                try:
                    self.write(client, f"w{self.number}/p{number}")
                except httpx2.TransportError as error:
                    self.broken.append(type(error).__name__)
                time.sleep(PAUSE)

    def write(self, client: httpx2.Client, package: str) -> None:
        text = f"{self.name} {package}"
        files = [{"path": "x", "text": text}]
        given = {"package": package, "registry": f"s3://{self.bucket}", "files": files}
        params = {"name": "package_create", "arguments": given}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = HEADERS | {"Authorization": f"Bearer {self.token}"}
        answer = client.post(self.url, content=json.dumps(body), headers=headers)
        if answer.headers["content-type"].startswith("text/html"):
            (self.again if answer.status_code in OF_THE_PROXY else self.wrong).append(answer.text)
            return
        message = read(answer)
        told = message["result"]["structuredContent"] if "result" in message else {}
        error = message["error"].get("data", {}) if "error" in message else told.get("error")
        if error is None:
            self.told[told["uri"]] = text
        elif error.get("retryable") is True or error.get("code") == "outcome_unknown":
            self.again.append(json.dumps(error))
        else:
            self.wrong.append(json.dumps(message))


READ_BACK = """
from concurrent.futures import ThreadPoolExecutor

def read(one):
    uri, text = one
    registry, _, name = uri.removeprefix("quilt+").partition("#package=")
    name, _, top_hash = name.partition("@")
    found = quilt3.Package.browse(name, registry=registry, top_hash=top_hash)
    is_whole = (found.top_hash, [path for path, _ in found.walk()]) == (top_hash, ["x"])
    return None if is_whole and found["x"].get_as_string() == text else uri

with ThreadPoolExecutor(4) as threads:
    result = [one for one in threads.map(read, arguments["told"].items()) if one is not None]
"""


@pytest.mark.nightly
@pytest.mark.parametrize(
    "killed",
    [pytest.param(False, id="told to stop"), pytest.param(True, id="killed")],
)
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
    two.stack.forget()
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
        told = {uri: text for one in writers for uri, text in one.told.items()}
        assert len(told) > CLIENTS
        assert not [text for one in writers for text in one.wrong]
        assert killed or not [text for one in writers for text in one.broken]
        whose = {one.number: one.name for one in writers}
        written = [one for one in two.stack.s3_requests() if one["method"] not in ("GET", "HEAD")]
        signed = Counter(
            (whose[found[1]], one["user"]) for one in written if (found := _OF_WRITER.search(one["key"]))
        )
        assert set(signed) == {(name, name) for name in names}, "nobody is served as another"
        assert sum(signed.values()) >= 3 * len(told), "a file and two pointers each"
        assert {one["user"] for one in two.stack.s3_requests()} == set(names)
        quilt3 = Quilt3Server(tmp_path / "quilt3", two.server)
        started.callback(quilt3.close)
        assert quilt3.run(READ_BACK, told=told) == [], (
            "each that was told is there, whole, and the latest of its package"
        )
