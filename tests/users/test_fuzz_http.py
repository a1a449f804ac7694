"""Whatever is sent, each answer is one of HTTP's, nobody is let in who has no token, and the server goes on."""

from __future__ import annotations

import json
import socket

from company import Company, Two
from hypothesis import given
from hypothesis import strategies as st

STATUSES = {200, 202, 400, 401, 403, 404, 405, 406, 408, 411, 413, 415, 421, 429, 431, 501, 503}
names = st.sampled_from(
    [
        "Host",
        "Origin",
        "Authorization",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Type",
        "Accept",
        "MCP-Protocol-Version",
        "Mcp-Method",
        "Mcp-Name",
        "Mcp-Session-Id",
        "Mcp-Param-Package",
        "X-Forwarded-For",
        "Forwarded",
        "Expect",
        "Upgrade",
        "Connection",
        "X-Odd",
    ]
)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
values = st.one_of(
    texts,
    st.sampled_from(
        [
            "chunked",
            "gzip, chunked",
            "0",
            "-1",
            "99999999999999999999",
            "Bearer qk_nobody",
            "Bearer",
            "null",
            "2026-07-28",
            "2025-11-25",
            "2099-01-01",
            "application/json",
            "text/event-stream",
            "100-continue",
            "h2c",
            "http://127.0.0.1",
        ]
    ),
)
bodies = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda method, params: json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        ).encode(),
        st.sampled_from(["tools/list", "tools/call", "resources/read", "initialize", "ping", "x", ""]),
        st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers() | st.none(), max_size=3),
    ),
)


def sent(served: Company, raw: bytes) -> bytes:
    host, _, port = served.origin.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as one:
        one.sendall(raw)
        one.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := one.recv(65_536):
            answer += piece
        return answer


@given(
    method=st.sampled_from(["POST", "POST", "POST", "GET", "OPTIONS", "DELETE", "HEAD", "PRI", "x"]),
    path=st.sampled_from(
        ["/mcp", "/mcp/", "/", "//mcp", "/mcp/../x", "/healthz", "/.well-known/x", "*", "/\xff"]
    ),
    headers=st.lists(st.tuples(names, values), max_size=5),
    body=bodies,
    has_token=st.booleans(),
)
def test_any_request_has_an_answer_and_lets_nobody_in(
    two: Two,
    served: Company,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes,
    has_token: bool,
) -> None:
    own = [("Host", served.origin.removeprefix("http://"))]
    if has_token:
        own.append(("Authorization", f"Bearer {token(two)}"))
    if method == "POST" and not any(name in ("Content-Length", "Transfer-Encoding") for name, _ in headers):
        own.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (*own, *headers)), "", ""]
    answer = sent(served, "\r\n".join(lines).encode("latin-1") + body)
    if answer:  # a request that is cut short may have none
        start = answer.split(b"\r\n", 1)[0].split(b" ")
        assert int(start[1]) in {*STATUSES, *((204,) if method == "OPTIONS" else ())}, answer[:500]
        is_call = method == "POST" and path in ("/mcp", "/mcp/")
        if is_call and not has_token:
            assert start[1] not in (b"200", b"202"), answer[:500]
        assert b"Traceback" not in answer
    assert served.send("GET", "/healthz").status_code == 200


_tokens: dict[str, str] = {}


def token(two: Two) -> str:
    if two.stack.url not in _tokens:
        _tokens[two.stack.url] = two.token("ada")
    return _tokens[two.stack.url]
