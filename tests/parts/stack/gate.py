"""S3 as the stack's keys may use it: each request is let through to the S3 of the tests by the role its keys were made for."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any
from urllib.parse import unquote

import httpx2

from parts.stack.state import READ_WRITE, Keys, State

_CREDENTIAL = re.compile(rb"Credential=([^/,]+)/")
_PRESIGNED = re.compile(rb"X-Amz-Credential=([^%/&]+)")
_PROXIED = re.compile(rb"(?:/__s3proxy)?/([^/]+)\.s3\.[\w-]+\.amazonaws\.com(/.*)?")
_OWN = (b"host", b"connection", b"expect", b"transfer-encoding", b"keep-alive")
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'


class Gate:
    """ASGI. ``requests`` are those that came: method, bucket, key, access key, and whose it is. Signatures are not checked."""

    def __init__(self, state: State, upstream: str) -> None:
        self.state = state
        self.upstream = httpx2.URL(upstream)
        self.client: httpx2.AsyncClient | None = None
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.silence = 0.0
        """Seconds before each answer begins."""

    @staticmethod
    def is_proxied(path: str) -> bool:
        """Whether it is an address behind the stack's s3Proxy."""
        return _PROXIED.fullmatch(path.encode()) is not None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = scope["raw_path"].split(b"?")[0]
        proxied = _PROXIED.fullmatch(raw)
        if proxied:
            raw = b"/" + proxied[1] + (proxied[2] or b"")
        bucket, _, key = unquote(raw.decode().lstrip("/")).partition("/")
        headers = dict(scope["headers"])
        refused = self._refused(scope, headers, bucket, key)
        await asyncio.sleep(self.silence)
        if refused:
            status, code, message = refused
            body = b"" if scope["method"] == "HEAD" else _ERROR.format(code, message).encode()
            kind = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": kind})
            await send({"type": "http.response.body", "body": body})
            return
        await self._forward(scope, raw, receive, send)

    def _refused(
        self, scope: Any, headers: dict[bytes, bytes], bucket: str, key: str
    ) -> tuple[int, str, str] | None:
        said = _CREDENTIAL.search(headers.get(b"authorization", b"")) or _PRESIGNED.search(
            scope["query_string"]
        )
        access_key = said[1].decode() if said else None
        keys = self.state.keys.get(access_key or "")
        noted = {"method": scope["method"], "bucket": bucket, "key": key, "access_key": access_key}
        with self.lock:
            self.requests.append(noted | {"user": keys.user if keys else None})
        if access_key is None:
            return 403, "AccessDenied", "Access Denied"
        if keys is None:
            return (
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        if keys.expires < time.time():
            return 400, "ExpiredToken", "The provided token has expired."
        source = headers.get(b"x-amz-copy-source")
        if not self._may(keys, bucket, scope["method"] not in ("GET", "HEAD")) or (
            source and not self._may(keys, unquote(source.decode()).lstrip("/").split("/")[0], False)
        ):
            return 403, "AccessDenied", "Access Denied"
        return None

    def _may(self, keys: Keys, bucket: str, writes: bool) -> bool:
        level = self.state.permissions(keys.role).get(bucket)
        return level == READ_WRITE if writes else level is not None

    async def _forward(self, scope: Any, raw: bytes, receive: Any, send: Any) -> None:
        if self.client is None:
            limits = httpx2.Limits(max_connections=100)
            self.client = httpx2.AsyncClient(timeout=60, limits=limits, trust_env=False)
        query = scope["query_string"]
        url = self.upstream.copy_with(raw_path=raw + (b"?" + query if query else b""))
        headers = [(name, value) for name, value in scope["headers"] if name not in _OWN]
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        request = self.client.build_request(
            scope["method"], url, headers=headers, content=_sent(receive) if has_body else None
        )
        if not has_body:
            request.headers.pop("content-length", None)
        elif "content-length" in request.headers:
            request.headers.pop("transfer-encoding", None)
        answer = await self.client.send(request, stream=True)
        try:
            kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _OWN]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()


async def _sent(receive: Any) -> Any:
    while True:
        message = await receive()
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return
