"""HTTP without users' tokens serves the person at this machine and nobody else."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import TOKEN, Place, http_server

PATIENCE = 120
"""Seconds for one answer: on a loaded machine, that to a request behind a thousand connections took more than 30."""
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "Authorization": f"Bearer {TOKEN}",
}
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
    with httpx2.Client(timeout=PATIENCE, trust_env=False) as client:
        return client.post(url, content=json.dumps(body), headers={**HEADERS, **headers})


def ask(url: str, method: str, **headers: str) -> httpx2.Response:
    with httpx2.Client(timeout=PATIENCE, trust_env=False) as client:
        return client.request(method, url, headers=headers)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def test_only_loopback_hosts_and_origins_are_answered_and_bodies_are_bounded(place: Place) -> None:
    server = http_server(place, "--max-body-bytes", "20000")
    with server as url:
        assert post(url).status_code == 200
        assert post(f"{url}/").status_code == 200
        assert post(url, {**INITIALIZE, "padding": "x" * 30_000}).status_code == 413
        assert post(url, [INITIALIZE]).status_code == 400
        assert post(url.replace("/mcp", "/other")).status_code == 404
        assert ask(url.replace("/mcp", "/view"), "GET").status_code == 404, "it was not switched on"
        assert "mcp-session-id" not in post(url).headers
    assert (server.stdout, server.stderr) == ("", "")
    assert server.process.returncode == 143


def test_case_X14_host_and_origin_are_compared_whole_and_first_of_all(place: Place) -> None:
    with http_server(place) as url:
        port = port_of(url)
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
            assert post(url, Host=host).status_code == 200, host
            assert post(url, Host=host, Origin=f"http://{host}".lower()).status_code == 200, host
        foreign = [
            "evil.example",
            "localhost",
            f"localhost:{port + 1}",
            f"localhost:{port}.evil.example",
            f"localhost.evil.example:{port}",
            f"me@localhost:{port}",
            "localhost:x.evil.example",
        ]
        for host in foreign:
            for path in ("", "/", "/other"):
                assert post(url + path, Host=host).status_code == 421, host
        for origin in (
            "http://localhost:x.evil.example",
            "",
            "null",
            f"https://localhost:{port}",
            f"http://localhost:{port + 1}",
            f"http://localhost:{port}/",
            *(f"http://{one}" for one in foreign),
        ):
            for path in ("", "/", "/other"):
                refused = post(url + path, Origin=origin)
                assert refused.status_code == 403, origin
                assert "QUILT_MCP_ALLOWED_ORIGINS" in refused.text
                assert "access-control-allow-origin" not in refused.headers
        assert "QUILT_MCP_ALLOWED_HOSTS=evil.example" in post(url, Host="evil.example").text


def test_case_P7_origins_and_hosts_that_are_set_are_served_and_preflights_answered(place: Place) -> None:
    origin = "https://app.example"
    names = {
        "QUILT_MCP_ALLOWED_ORIGINS": f"{origin}, http://localhost:6274",
        "QUILT_MCP_ALLOWED_HOSTS": "quilt.example",
    }
    with http_server(place, **names) as url:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, mcp-method",
        }
        allowed = ask(url, "OPTIONS", Origin=origin, **asked)
        assert (allowed.status_code, allowed.content) == (204, b"")
        assert allowed.headers["access-control-allow-origin"] == origin
        assert allowed.headers["access-control-allow-headers"] == "authorization, mcp-method"
        assert allowed.headers["access-control-allow-methods"] == "POST"
        answered = post(url, Origin=origin)
        assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (200, origin)
        assert answered.headers["vary"] == "Origin"
        assert post(url, Origin="http://localhost:6274").status_code == 200
        assert ask(url, "OPTIONS", Origin="https://app.example.evil").status_code == 403
        assert post(url, Host="quilt.example").status_code == 200
        assert post(url, Host="quilt.example:81").status_code == 421


@pytest.mark.sampled(1)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD"])
def test_case_P7_methods_other_than_POST_are_refused(method: str, place: Place) -> None:
    with http_server(place) as url:
        refused = ask(url, method, Authorization=f"Bearer {TOKEN}", Accept="text/event-stream")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST, OPTIONS")


def test_case_X8_another_account_without_the_token_reads_and_writes_nothing(place: Place) -> None:
    """The token is made at start and printed with what a client's configuration needs."""
    server = http_server(place, "--log-level", "info", QUILT_MCP_HTTP_TOKEN="")
    with server as url:
        assert server.process.stderr is not None
        server.process.stderr.readline()
        while not (line := server.process.stderr.readline()).startswith("{"):
            pass
        entry = json.loads(line)["mcpServers"]["quilt"]
        assert entry["url"] == url
        good = entry["headers"]["Authorization"]
        assert len(good) > 30
        assert post(url, Authorization=good).status_code == 200
        modern = {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
        for bad in (
            "",
            "Bearer",
            good[:-1],
            good + "x",
            good.lower(),
            good.removeprefix("Bearer "),
        ):
            for more in ({}, modern):
                refused = post(url, Authorization=bad, **more)
                assert refused.status_code == 401, bad
                assert refused.headers["www-authenticate"] == "Bearer"
    assert good.removeprefix("Bearer ") not in server.stderr
    again = http_server(place, QUILT_MCP_HTTP_TOKEN="")
    with again:
        assert again.process.stderr is not None
        while not (line := again.process.stderr.readline()).startswith("{"):
            pass
        assert json.loads(line)["mcpServers"]["quilt"]["headers"]["Authorization"] != good


@pytest.mark.parametrize("token", ["2short", "with a space in it", "with-ünicode-in-it"])
def test_a_token_that_a_header_cannot_carry_or_that_can_be_guessed_is_refused(
    token: str, place: Place
) -> None:
    command = [sys.executable, "-m", "quilt_mcp", "serve", "--http", "--single-user", "--port", "0"]
    variables = place.environment(QUILT_MCP_HTTP_TOKEN=token)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "QUILT_MCP_HTTP_TOKEN" in done.stderr
    assert token not in done.stderr


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(url)), timeout=60)


def head(url: str, *, length: int, method: str = "POST", token: str = TOKEN) -> bytes:
    lines = [
        f"{method} /mcp HTTP/1.1",
        f"Host: 127.0.0.1:{port_of(url)}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_case_X10_connections_are_bounded_and_the_log_does_not_grow(place: Place) -> None:
    """1,050 connections that say nothing, half a request, or listen, on a server of few descriptors."""
    server = http_server(place, descriptors=256)
    with server as url, contextlib.ExitStack() as open_ones:
        wrong = head(url, length=5, token="x")
        kinds = (b"", head(url, length=5), wrong, head(url, length=0, method="GET"))
        for number in range(1_050):
            one = open_ones.enter_context(connect(url))
            with contextlib.suppress(OSError):
                one.sendall(kinds[number % len(kinds)])
        for _ in range(5):
            assert post(url).status_code == 200
    assert len(server.stderr) < 10_000, server.stderr[:2_000]


def test_case_P7_a_connection_that_only_waits_is_closed(place: Place) -> None:
    with http_server(place, impatient=True) as url, connect(url) as silent, connect(url) as half:
        half.sendall(head(url, length=0)[:40])
        assert (silent.recv(1), half.recv(1)) == (b"", b"")


def test_case_P7_a_body_that_does_not_come_is_given_up(place: Place) -> None:
    with http_server(place, impatient=True) as url, connect(url) as half:
        half.sendall(head(url, length=100) + b'{"jsonrpc"')
        assert half.recv(100).startswith(b"HTTP/1.1 408 ")


def unread(url: str, **headers: str) -> socket.socket:
    """A connection whose client asks again and again and reads nothing, until the server takes no more."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
    lines = {**HEADERS, "Host": f"127.0.0.1:{port_of(url)}", "Content-Length": str(len(body)), **headers}
    request = "".join(("POST /mcp HTTP/1.1\r\n", *(f"{k}: {v}\r\n" for k, v in lines.items()), "\r\n", body))
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    held.connect(("127.0.0.1", port_of(url)))
    held.settimeout(3)
    with contextlib.suppress(TimeoutError):
        while True:
            held.sendall(request.encode())
    return held


@pytest.mark.nightly  # half a minute of waiting
def test_case_P7_a_client_that_does_not_read_is_given_up_and_one_that_reads_slowly_is_not(
    place: Place,
) -> None:
    with http_server(place) as url:
        with unread(url) as silent, unread(url) as slow:
            deadline = time.monotonic() + 90
            slow.settimeout(30)
            while time.monotonic() < deadline:
                assert slow.recv(64 << 10), "who reads is served"
                try:
                    silent.setblocking(False)
                    silent.send(b"x")
                except BlockingIOError:
                    time.sleep(1)
                except OSError:
                    break
            else:
                pytest.fail("the connection is still held")
        assert post(url).status_code == 200


@pytest.mark.sampled(1)
@pytest.mark.parametrize("era", [{}, {"Mcp-Protocol-Version": "2026-07-28"}])
def test_case_P7_a_client_that_leaves_in_mid_call_makes_at_most_a_line(
    era: dict[str, str], place: Place
) -> None:
    folder = place.here / f"leaving-{len(era)}"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.txt").write_text("x" * 1_000)
    arguments = {"package": f"leaving/{len(era)}", "sources": [{"from": f"{folder}/"}]}
    meta = {
        "progressToken": 1,
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {
        "name": "package_create",
        "arguments": arguments,
        "_meta": meta if era else {"progressToken": 1},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in era.items())
    if era:
        more += "Mcp-Method: tools/call\r\nMcp-Name: package_create\r\n"
    server = http_server(place, "--allow-write")
    with server as url:
        for _ in range(5):
            with connect(url) as leaving:
                leaving.sendall(head(url, length=len(body))[:-2] + more.encode() + b"\r\n" + body)
                assert leaving.recv(12) == b"HTTP/1.1 200"
        assert post(url).status_code == 200
    assert server.stderr.count("\n") <= 5, server.stderr
    assert "Traceback" not in server.stderr


def test_case_P4_a_signal_in_mid_create_over_http_removes_unfinished_files(place: Place) -> None:
    big = place.here / "big-over-http.bin"
    with big.open("wb") as file:
        file.truncate(3 << 30)
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "package_create",
            "arguments": {"package": "http/never", "sources": [{"from": str(big)}]},
        },
    }
    content = json.dumps(body).encode()

    def unfinished() -> list[Path]:
        return [
            path for path in place.home.rglob(".quilt-mcp-tmp-*") if path.is_file() and path.stat().st_size
        ]

    server = http_server(place, "--allow-write")
    with server as url, connect(url) as asking:
        asking.sendall(head(url, length=len(content)) + content)
        bound = time.monotonic() + 60
        while not unfinished():
            assert time.monotonic() < bound
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
    big.unlink()
    assert (server.process.returncode, server.stderr) == (143, "")
    assert unfinished() == []


@pytest.mark.sampled(1)
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
