"""What one user may take, what a slow or gone client holds, what is noted of it, and how the server ends."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from company import Company, Two, company, read, until

from parts.stack import Fault
from parts.stack.faults import bad_gateway


@pytest.fixture(autouse=True)
def no_faults_after(two: Two) -> Iterator[None]:
    yield
    two.stack.clear_faults()


class Slow:
    """``registry_list`` in a thread, which waits until the stack's silence ends. ``answer`` is there after ``wait``."""

    def __init__(self, served: Company, token: str) -> None:
        self._thread = threading.Thread(target=self._run, args=(served, token))
        self.answer: httpx2.Response | None = None
        self._thread.start()

    def _run(self, served: Company, token: str) -> None:
        self.answer = served.post(token, "tools/call", name="registry_list", arguments={})

    def wait(self) -> httpx2.Response:
        self._thread.join(60)
        assert self.answer is not None
        return self.answer


def silence(two: Two, seconds: float, times: int | None = None) -> None:
    two.stack.fault(Fault("/graphql", "Buckets", silence=seconds, times=times))


def asked_for_buckets(two: Two) -> int:
    return sum(one["operation"] == "Buckets" for one in two.stack.requests())


def test_one_user_has_so_many_calls_at_once_and_the_others_theirs(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path, QUILT_MCP_USER_CALLS="2") as served:
        ada, bob = two.token("ada"), two.token("bob")
        for token in (ada, bob):
            served.call(token, "status")
        two.stack.forget()
        silence(two, 3.0)
        slow = [Slow(served, ada), Slow(served, two.token("ada"))]
        until(lambda: asked_for_buckets(two) == 2)
        refused = served.post(ada)
        assert refused.status_code == 429, "two tokens, one user"
        assert "QUILT_MCP_USER_CALLS" in refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert served.post(bob).status_code == 200
        assert [one.wait().status_code for one in slow] == [200, 200]
        assert served.post(ada).status_code == 200
        assert any(one.get("code") == 429 for one in served.audit())


def test_one_user_asks_so_often_and_the_others_as_they_may(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path, QUILT_MCP_USER_RATE="1") as served:
        ada, bob = two.token("ada"), two.token("bob")
        answers = [served.post(ada, "ping") for _ in range(8)]
        assert {one.status_code for one in answers} == {200, 429}
        late = next(one for one in answers if one.status_code == 429)
        assert "QUILT_MCP_USER_RATE" in late.text and late.headers["retry-after"] == "1"
        assert served.post(bob, "ping").status_code == 200


def test_a_stranger_whom_the_stack_does_not_answer_keeps_nobody_waiting(two: Two, served: Company) -> None:
    ada = two.token("ada")
    served.call(ada, "status")
    two.stack.forget()
    two.stack.fault(Fault("/graphql", "Me", silence=5.0, times=1))
    stranger = Slow(served, "qk_stranger")
    until(lambda: any(one["operation"] == "Me" for one in two.stack.requests()))
    assert "error" not in served.call(ada, "package_browse", package="lab/reads")
    assert stranger.answer is None, "still asked about"
    assert stranger.wait().status_code == 401


def test_while_the_stack_is_down_nobody_new_is_let_in_and_told_to_come_again(
    two: Two, served: Company
) -> None:
    ada, bob = two.token("ada"), two.token("bob")
    served.call(ada, "status")
    two.stack.fault(bad_gateway(None, "/graphql"))
    answers = [served.post(token) for token in (bob, "qk_nobody")]
    assert {(one.status_code, one.text, one.headers["retry-after"]) for one in answers} == {
        (503, answers[0].text, "2")
    }
    two.stack.clear_faults()
    assert served.call(two.token("bob"), "status")["data"]["user"] == "bob"


def test_a_call_that_takes_too_long_is_ended_and_says_so(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path, QUILT_MCP_CALL_SECONDS="1") as served:
        ada = two.token("ada")
        served.call(ada, "status")
        silence(two, 8.0)
        told = served.call(ada, "registry_list")
        assert told["error"]["code"] == "too_costly"
        assert "1 s" in told["error"]["message"]


def test_a_call_that_outlives_its_client_is_cancelled(two: Two, served: Company) -> None:
    ada = two.token("ada")
    served.call(ada, "status")
    two.stack.forget()
    silence(two, 4.0)
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "registry_list", "arguments": {}},
    }
    text = json.dumps(body).encode()
    with served.begun(ada, f"Content-Length: {len(text)}") as client:
        client.sendall(text)
        until(lambda: asked_for_buckets(two) == 1)
    until(lambda: [one for one in served.audit() if one["outcome"] == "cancelled"])


def answer_to(connection: socket.socket, pieces: Iterator[bytes]) -> tuple[int, dict[str, Any], int]:
    """The status and the error of the answer that comes while ``pieces`` are sent, and how many bytes were sent until then."""
    sent = 0
    while not select.select([connection], [], [], 0)[0]:
        piece = next(pieces, None)
        assert piece is not None, f"no answer to {sent} bytes"
        sent += len(piece)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is answered by now
            connection.sendall(piece)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["data"], sent


def slowly(piece: bytes) -> Iterator[bytes]:
    for _ in range(300):
        time.sleep(0.1)
        yield piece


def test_a_body_that_does_not_end_counts_against_its_user_and_is_answered_408(
    two: Two, impatient: Company
) -> None:
    """Two of ada's are all that one user may have at work there."""
    ada, bob = two.token("ada"), two.token("bob")
    with (
        impatient.begun(ada, "Content-Length: 100") as half,
        impatient.begun(ada, "Transfer-Encoding: chunked") as trickling,
    ):
        half.sendall(b'{"jsonrpc": "2.0", "id": 1')
        trickling.sendall(b"1\r\n{\r\n")
        until(lambda: impatient.post(ada).status_code == 429)
        assert impatient.post(bob).status_code == 200
        for connection, piece in ((trickling, b"1\r\n \r\n"), (half, b"")):
            status, error, _ = answer_to(connection, slowly(piece))
            assert (status, error) == (408, {"code": "body_too_slow", "retryable": True})
    assert impatient.post(ada).status_code == 200
    noted = [one.get("principal") for one in impatient.audit() if one.get("code") == 408]
    assert noted == ["ada", "ada"]


def test_a_body_without_an_end_is_answered_413_when_it_is_too_large(two: Two, impatient: Company) -> None:
    ada = two.token("ada")
    for _ in range(3):
        with impatient.begun(ada, "Transfer-Encoding: chunked") as endless:
            status, error, sent = answer_to(endless, repeat(b"10000\r\n" + b" " * 0x10000 + b"\r\n", 1_000))
        assert (status, error["code"]) == (413, "body_too_large")
        assert sent < 32 << 20, "what the kernel holds beside the million that is read"
    assert impatient.post(ada).status_code == 200, (
        "of the two requests that she may have at work, none is held"
    )


def test_what_is_noted_of_a_call_holds_no_secret_and_no_content(two: Two, served: Company) -> None:
    ada = two.token("ada")
    pinned = f"quilt+s3://{two.hers}#package=lab/reads@{two.hashes['ada']}"
    served.call(ada, "object_read", uri=f"{pinned}&path=data/reads.csv")
    served.call(ada, "package_browse", package="lab/none")
    secret = f"s3://{two.hers}/x?X-Amz-Signature=0123456789abcdef"
    served.call(ada, "object_read", uri=secret)
    served.post("qk_nobody")
    until(lambda: [one for one in served.audit() if one["outcome"] == "refused" and one.get("code") == 401])
    lines = served.audit()
    done = next(one for one in lines if one.get("tool") == "object_read" and one["outcome"] == "done")
    assert done["principal"] == "ada" and done["target"].endswith("path=data/reads.csv")
    assert done["bytes"] > 0 and done["seconds"] >= 0 and done["time"].endswith("+00:00")
    failed = next(one for one in lines if one.get("target") == "lab/none")
    assert (failed["outcome"], failed["code"]) == ("failed", "package_not_found")
    text = served.log.read_text()
    assert ada not in text and "ada,1" not in text and "0123456789abcdef" not in text


def test_a_flood_of_strangers_does_not_fill_the_log(two: Two, served: Company) -> None:
    for number in range(120):
        assert served.post(f"qk_flood{number}").status_code == 401
    lines = [one for one in served.audit() if one["outcome"] == "refused"]
    assert 0 < len(lines) < 100


def test_told_to_stop_it_lets_what_is_at_work_end_and_takes_nothing_new(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path, QUILT_MCP_DRAIN_SECONDS="10") as served:
        ada = two.token("ada")
        served.call(ada, "status")
        two.stack.forget()
        silence(two, 2.0)
        slow = Slow(served, ada)
        until(lambda: asked_for_buckets(two) == 1)
        served.process.send_signal(signal.SIGTERM)

        def is_closed() -> bool:
            try:
                served.send("GET", "/healthz")
            except httpx2.ConnectError:
                return True
            return False

        until(is_closed)
        answer = slow.wait()
        assert answer.status_code == 200
        assert "error" not in read(answer)["result"]["structuredContent"]
        assert served.process.wait(15) == 143


def test_what_does_not_end_in_time_is_cancelled_and_says_again(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path, QUILT_MCP_DRAIN_SECONDS="1") as served:
        ada = two.token("ada")
        served.call(ada, "status")
        two.stack.forget()
        silence(two, 12.0)
        slow = Slow(served, ada)
        until(lambda: asked_for_buckets(two) == 1)
        served.process.send_signal(signal.SIGTERM)
        answer = slow.wait()
        assert read(answer)["error"]["message"].endswith("Try again.")
        assert served.process.wait(20) == 143


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"QUILT_CATALOG_URL": ""}, "QUILT_CATALOG_URL"),
        ({"QUILT_API_KEY": "qk_somebody"}, "QUILT_API_KEY"),
        ({"QUILT_JWT_TOKEN": "a.b.c"}, "QUILT_JWT_TOKEN"),
        ({"QUILT_ROOT": "/srv"}, "--root"),
        ({"QUILT_BACKEND": "iam"}, "iam"),
        ({"QUILT_DEFAULT_REGISTRY": "/srv/registry"}, "folder"),
        ({"QUILT_MCP_HOST": "0.0.0.0"}, "--public-url"),
        ({"QUILT_MCP_ISSUER": "https://issuer.example"}, "QUILT_MCP_ISSUER_KEYS"),
        ({"QUILT_MCP_PUBLIC_URL": "ftp://x"}, "QUILT_MCP_PUBLIC_URL"),
        ({"QUILT_MCP_AUDIT": "/nowhere/audit"}, "QUILT_MCP_AUDIT"),
        ({"QUILT_MCP_TRUSTED_PROXIES": "everybody"}, "QUILT_MCP_TRUSTED_PROXIES"),
    ],
)
def test_what_a_server_of_many_users_cannot_be_started_with(
    two: Two, tmp_path: Path, given: dict[str, str], said: str
) -> None:
    with pytest.raises(AssertionError) as refused, company(two.stack, two.server, tmp_path, **given):
        pass
    assert said in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_another_origin_may_ask_where_it_is_allowed(two: Two, tmp_path: Path) -> None:
    allowed: dict[str, Any] = {"QUILT_MCP_ALLOWED_ORIGINS": "https://app.example.com"}
    with company(two.stack, two.server, tmp_path, **allowed) as served:
        asked = {
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, mcp-protocol-version",
        }
        allowed = served.send("OPTIONS", headers=asked).headers
        assert allowed["access-control-allow-origin"] == "https://app.example.com"
        assert "authorization" in allowed["access-control-allow-headers"]
        refused = served.post(None, headers={"Origin": "https://app.example.com"})
        assert refused.status_code == 401
        assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
        assert served.post(two.token("ada"), headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_backend_that_is_slow_to_open_keeps_no_other_user_waiting(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path) as served:
        ada, bob = two.token("ada"), two.token("bob")
        served.call(ada, "package_browse", package="lab/reads")
        two.stack.forget()
        two.stack.fault(Fault("/api/auth/get_credentials", silence=4.0, times=1))
        slow = Slow(served, bob)
        until(lambda: two.stack.requests("/api/auth/get_credentials"))
        assert "error" not in served.call(ada, "package_browse", package="lab/reads")
        assert slow.answer is None, "still opening"
        assert slow.wait().status_code == 200
