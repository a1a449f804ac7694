"""The layer around the stack that notes each request and carries out the faults planned for it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from parts.stack.faults import Fault, Plan
from parts.stack.graph.profiles import PROFILES
from parts.stack.state import State

CONTROL = "/_control"
REGISTRY = "/__reg"
S3_PROXY = "/__s3proxy"


class Struck:
    """ASGI around the ASGI of each host, which is told by its port. What strikes a request is in ``scope["faults"]``."""

    def __init__(
        self, hosts: dict[str, Any], ports: dict[int, str], control: Any, state: State, plan: Plan
    ) -> None:
        self.hosts, self.ports, self.control = hosts, ports, control
        self.state, self.plan = state, plan
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        host = self.ports[scope["server"][1]]
        if scope["type"] != "http" or scope["path"] == CONTROL:
            await self.control(scope, receive, send)
            return
        body = await _whole(receive)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].removeprefix(REGISTRY).removeprefix(S3_PROXY)
        operation = _operation(body) if path == "/graphql" else None
        query = scope["query_string"].decode("latin-1")
        self._note(host, scope["method"], path, query, headers, operation)
        faults = self.plan.strike(path, operation)
        for fault in faults:
            self._change(fault)
            await asyncio.sleep(fault.silence)
        scope["faults"] = faults
        answered = next((fault for fault in faults if fault.status is not None), None)
        cut = next((fault.cut for fault in faults if fault.cut is not None), None)
        if answered is not None:
            await _send(answered, send)
            return
        await self.hosts[host](scope, _again(body, receive), send if cut is None else _Cut(send, cut))

    def _note(
        self, host: str, method: str, path: str, query: str, headers: dict[str, str], operation: str | None
    ) -> None:
        noted = {
            "host": host,
            "method": method,
            "path": path,
            "query": query,
            "operation": operation,
            "bearer": "authorization" in headers,
            "headers": {
                name: value for name, value in headers.items() if name not in ("authorization", "cookie")
            },
        }
        with self.lock:
            self.requests.append(noted)

    def _change(self, fault: Fault) -> None:
        if fault.profile is not None:
            assert fault.profile in PROFILES
            self.state.profile = fault.profile
        if fault.removed_bucket is not None:
            self.state.buckets.pop(fault.removed_bucket, None)


async def _whole(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Any) -> Any:
    given = False

    async def receive_again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _operation(body: bytes) -> str | None:
    """As it is sent, or by the name in the document."""
    try:
        said = json.loads(body)
        name = said.get("operationName")
        if name:
            return name
        word = said["query"].split("(")[0].split("{")[0].split()
        return word[1] if len(word) > 1 else None
    except (ValueError, AttributeError, KeyError):
        return None


async def _send(fault: Fault, send: Any) -> None:
    headers = {"Content-Type": "application/json"} | fault.headers
    content = fault.body.encode()
    headers["Content-Length"] = str(len(content))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": raw})
    await send({"type": "http.response.body", "body": content if fault.cut is None else content[: fault.cut]})


class _Cut:
    def __init__(self, send: Any, left: int) -> None:
        self.send, self.left = send, left

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")[: self.left]
            self.left -= len(body)
            message = {**message, "body": body}
        await self.send(message)
