"""Standard output carries JSON-RPC and nothing else, whatever goes wrong (C19)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

from serving import Place

CRASHING = """
import os, subprocess, sys, warnings
from quilt_mcp import backends
from quilt_mcp.config import Settings
from quilt_mcp.server import serve

def open_badly(identity, settings, common=None):
    print("printed by a library")
    sys.stdout.write("written\\n")
    os.write(1, b"written to the descriptor\\n")
    subprocess.run(["echo", "said by a child"])
    warnings.warn("warned")
    raise RuntimeError("the secret path /canary/of/this/machine")

backends.open = open_badly
serve(Settings.load(os.environ))
"""


def talk(
    command: list[str], place: Place, messages: list[Any], **variables: str
) -> tuple[dict[Any, Any], str]:
    """Every line of standard output, each of which must be JSON-RPC, by id; and standard error. The client stays until
    each request is answered, as the end of its input would cancel those that are not."""
    with tempfile.TemporaryFile() as log:  # a pipe that nobody reads would stop the server once it is full
        process = subprocess.Popen(
            command,
            env=place.environment(**variables),
            cwd=place.here,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        found = _talk(process, messages)
        log.seek(0)
        said = log.read().decode()
    assert process.returncode == 0, said
    return found, said


def _talk(process: subprocess.Popen[bytes], messages: list[Any]) -> dict[Any, Any]:
    assert process.stdin is not None and process.stdout is not None
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
    process.stdin.write(b"\n".join(lines) + b"\n")
    process.stdin.flush()
    waiting = {one["id"] for one in messages if isinstance(one, dict) and "id" in one}
    found: dict[Any, Any] = {}
    while waiting:
        line = process.stdout.readline()
        assert line, f"ended before answering {waiting}"
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        found[message.get("id")] = message
        waiting.discard(message.get("id"))
    out, _ = process.communicate(timeout=30)
    for line in out.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    return found


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


OPENING = [
    {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


def test_rubbish_and_refused_calls_are_answered_on_a_clean_wire(place: Place) -> None:
    messages = [
        b"not json",
        b"\xff\xfe\x00",
        b'{"jsonrpc": "2.0", "id": 7}',
        b"[]",
        b"{" * 5_000,
        *OPENING,
        call(1, "package_browse", package="no/such"),
        call(2, "package_browse", pakage=1),
        call(3, "nothing"),
        call(4, "package_create", package="a/b"),
        call(5, "status"),
        {"jsonrpc": "2.0", "id": 6, "method": "no/such/method"},
    ]
    found, _ = talk([sys.executable, "-m", "quilt_mcp", "--log-level", "debug"], place, messages)
    assert found[5]["result"]["structuredContent"]["data"]["backend"] == "local"
    assert all(found[number]["result"]["isError"] for number in (1, 2, 4))
    assert found[3]["error"]["code"] == -32602
    assert found[6]["error"]["code"] == -32601


def test_what_nobody_foresaw_is_an_error_with_a_number_and_no_secret(place: Place) -> None:
    """A library that prints, writes to the descriptor, starts a noisy child and crashes."""
    asked = [*OPENING, call(1, "status"), call(2, "packages_list")]
    found, log = talk([sys.executable, "-c", CRASHING], place, asked)
    for number in (1, 2):
        answer = found[number]["result"]
        error = answer["structuredContent"]["error"]
        assert (answer["isError"], error["code"], error["recovery"]) == (True, "internal_error", "report")
        assert error["details"]["error_id"] in log
        assert "canary" not in json.dumps(answer)
        assert "Traceback" not in json.dumps(answer)
    assert "canary" in log


def test_a_client_that_goes_away_ends_the_server_quietly(place: Place) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "quilt_mcp"],
        env=place.environment(),
        cwd=place.here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write(json.dumps(OPENING[0]).encode() + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == 0
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    assert process.stdout.read() == b""
    process.stdout.close()
    process.stderr.close()


def test_secrets_of_the_environment_appear_in_no_answer_and_no_log(place: Place) -> None:
    """Tokens and keys, at the loudest log level, through answers, refusals and a token that no stack would take (C25)."""
    secrets = {
        "QUILT_JWT_TOKEN": "canary-jwt-eyJhbGciOi",
        "QUILT_API_KEY": "qk_canary-api-key",
        "AWS_ACCESS_KEY_ID": "AKIACANARY",
        "AWS_SECRET_ACCESS_KEY": "canary-aws-secret",
        "AWS_SESSION_TOKEN": "canary-aws-session",
    }
    messages = [
        *OPENING,
        call(1, "status"),
        call(2, "package_browse", package="no/such"),
        call(3, "packages_list"),
        call(4, "object_read", uri="quilt+file:///nowhere#package=a/b&path=c"),
        {"jsonrpc": "2.0", "id": 5, "method": "resources/read", "params": {"uri": "quilt://status"}},
    ]
    for backend in ("local", "platform"):
        command = [sys.executable, "-m", "quilt_mcp", "--log-level", "debug", "--backend", backend]
        found, log = talk(command, place, messages, **secrets)
        assert "canary" not in (json.dumps(found) + log).lower()
