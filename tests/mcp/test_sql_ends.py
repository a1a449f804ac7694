"""However a query ends, its process ends with it, and whoever comes next removes what a killed server could not (C18, C24)."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from raw_stdio import call, raw_server
from serving import AUTHORIZED, Place, http_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up as Linux shows them")
ENDLESS = "SELECT count(*) FROM range(100000000000)"
BUSY = 70
"""Hundredths of a second of a processor: no child takes so long to start."""


def children(number: int) -> list[int]:
    found = Path(f"/proc/{number}/task").glob("*/children")
    return [int(one) for each in found for one in each.read_text().split()]


def stat_of(number: int) -> list[str]:
    """Its fields from the state on; those of one that is gone."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X"] + ["0"] * 20


def at_work(server: int) -> int:
    """The process that runs the query."""

    def busy() -> list[int]:
        return [one for one in children(server) if sum(map(int, stat_of(one)[11:13])) > BUSY]

    until(busy)
    return busy()[0]


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    bound = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < bound
        time.sleep(0.01)


def is_gone(number: int) -> bool:
    return stat_of(number)[0] in "ZX"


def test_a_query_that_is_cancelled_or_whose_server_is_killed_leaves_no_process_and_no_folder(
    place: Place, tmp_path: Path
) -> None:
    variables = {"TMPDIR": str(tmp_path), "QUILT_MCP_CACHE_DIR": str(tmp_path / "cache")}

    def folders() -> list[str]:
        return [one for one in os.listdir(tmp_path) if one.startswith("quilt-mcp-")]

    def answer(server: Any, number: int) -> dict[str, Any]:
        return server.hear_answer(number)["result"]["structuredContent"]

    with raw_server(place, **variables) as server:
        server.open()
        server.say(call(2, "sql_query", sql=ENDLESS))
        child = at_work(server.process.pid)
        server.say(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}},
            call(3, "sql_query", sql="SELECT 7 AS n"),
        )
        assert answer(server, 3)["data"]["rows"] == [[7]]
        until(lambda: is_gone(child), 2)
        until(lambda: len(folders()) <= 1, 2)  # that of the one that waits for the next query
        server.say(call(4, "sql_query", sql=ENDLESS))
        left = [at_work(server.process.pid), *children(server.process.pid)]
        server.process.kill()
        server.process.wait()
        until(lambda: all(map(is_gone, left)), 5)
        killed = folders()
        assert killed
    with raw_server(place, **variables) as server:
        server.open()
        server.say(call(1, "sql_query", sql="SELECT 1"))
        answer(server, 1)
        assert not {*killed} & {*folders()}


def test_a_client_that_hangs_up_over_http_ends_its_query(place: Place) -> None:
    started = http_server(place)
    with started as url:
        where, body = urlsplit(url), json.dumps(call(1, "sql_query", sql=ENDLESS)).encode()
        headers = AUTHORIZED | {
            "Host": where.netloc,
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        head = [f"POST {where.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
            child = at_work(started.process.pid)
        until(lambda: is_gone(child), 5)
