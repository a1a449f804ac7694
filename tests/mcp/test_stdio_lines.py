"""Every request line gets an answer, also one that cannot be parsed or was the last (C19)."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any

from raw_stdio import INITIALIZED, OPENING, SERVER, call, raw_server
from serving import Place

SURROGATE = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"packages_list","arguments":{"prefix":"a\\ud83d"}}}'
IN_KEYS = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"status","arguments":{"\\udc00":"\\ud83d\\ude00"}}}'


def nested(depth: int) -> bytes:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    return (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"status","arguments":{"x":%s}}}'
        % deep
    )


def test_case_P1_half_a_surrogate_is_served_as_a_replacement_character(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        server.say(SURROGATE)
        assert server.hear_answer(7)["result"]["isError"] is False
        server.say(IN_KEYS)
        error = server.hear_answer(7)["result"]["structuredContent"]["error"]
        assert "\ufffd" in error["message"]
        server.say(b'{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"status\xff"}}')
        assert "\ufffd" in server.hear_answer(8)["error"]["message"]


REFUSED: dict[str, tuple[bytes, int, Any]] = {
    "nested 300 deep": (nested(300), -32600, 7),
    "nested 100,000 deep": (nested(100_000), -32700, 7),
    "not JSON": (b"hello", -32700, None),
    "cut short": (nested(2)[:-3], -32700, 7),
    "cut short, another id within": (b'{"params":{"id":3},"jsonrpc":"2.0","id":"x","method":"a', -32700, "x"),
    "cut within the id": (b'{"jsonrpc":"2.0","id":12', -32700, None),
    "an endless text": (b'{"jsonrpc":"2.0","method":"' + b'\\"' * 500_000, -32700, None),
    "params a list": (b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[]}', -32600, 7),
    "JSON, but no request": (b'"text"', -32600, None),
    "no method": (b'{"jsonrpc":"2.0","id":"seven"}', -32600, "seven"),
    "another version": (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600, 7),
    "id null": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
    "id an object": (b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}', -32600, None),
    "id a fraction": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, 1.5),
    "id true": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600, None),
    "an empty batch": (b"[]", -32600, None),
    "a digit too many": (
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":%s}}' % (b"1" * 5_000),
        -32700,
        7,
    ),
}


def test_case_P1_a_line_that_is_no_request_is_answered_and_logged(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        for name, (line, code, number) in REFUSED.items():
            server.say(line)
            answer = server.hear()
            assert (answer["error"]["code"], answer["id"]) == (code, number), name
        server.say(b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]')
        refused = [server.hear(), server.hear()]
        assert {one["id"]: one["error"]["code"] for one in refused} == {1: -32600, 2: -32600}
        server.say(b"", b"   ", {"jsonrpc": "2.0", "id": 9, "method": "ping"})
        assert server.hear() == {"jsonrpc": "2.0", "id": 9, "result": {}}
        server.input.close()
        log = server.ended()
    assert server.process.returncode == 0
    assert log.count("from the client") >= len(REFUSED), log
    assert "hello" not in log


def test_case_P1_a_broken_answer_or_notification_of_the_client_is_only_logged(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        server.say(
            b'{"jsonrpc":"2.0","id":7,"result":3}',
            b'{"jsonrpc":"2.0","method":"notifications/progress","params":[]}',
            {"jsonrpc": "2.0", "id": 9, "method": "ping"},
        )
        assert server.hear()["id"] == 9
        server.input.close()
        assert server.ended().count("from the client") == 2


def test_case_P2_what_was_accepted_is_answered_before_the_exit(place: Place) -> None:
    for _ in range(3):
        asked = [OPENING, INITIALIZED, call(1, "packages_list"), call(2, "status")]
        done = subprocess.run(
            SERVER,
            input="\n".join(json.dumps(one) for one in asked).encode(),  # the last line has no line feed
            env=place.environment(),
            cwd=place.here,
            capture_output=True,
            timeout=60,
            check=False,
        )
        answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines()) if "id" in one}
        assert {one for one in answers if "result" in answers[one]} == {0, 1, 2}, done.stderr
        assert (done.returncode, done.stderr) == (0, b"")


def test_case_P2_a_long_call_is_finished_after_the_end_of_input(place: Place) -> None:
    folder = place.here / "ending"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number}.txt").write_text(f"{number}")
    with raw_server(place, "--allow-write") as server:
        server.open()
        server.say(call(5, "package_create", package="ends/early", sources=[{"from": f"{folder}/"}]))
        server.input.close()
        assert server.hear_answer(5)["result"]["structuredContent"]["data"]["done"] is True
        assert server.ended() == ""
    assert server.process.returncode == 0


def test_case_P2_a_cancelled_request_holds_up_no_exit(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        for number in range(20):
            server.say(
                call(number, "packages_list"),
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}},
            )
        server.input.close()
        began = time.monotonic()
        while server.output.readline():
            pass
        assert server.ended() == ""
        assert time.monotonic() - began < 20


def test_many_requests_at_once_are_all_answered_by_id(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        wanted = set(range(1, 301))
        writer = threading.Thread(target=lambda: server.say(*(call(number, "status") for number in wanted)))
        writer.start()
        assert {server.hear()["id"] for _ in wanted} == wanted
        writer.join()


def test_a_long_line_arrives_whole(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        server.say(call(1, "packages_list", prefix="x" * (1 << 20)))
        assert "result" in server.hear_answer(1)
