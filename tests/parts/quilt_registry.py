"""A Quilt registry's two calls for credentials, on loopback: refresh tokens that work once, AWS keys for a good bearer. It is its
own catalog, as far as config.json goes.

What the real one answers was recorded from quilt3 8.0; how long tokens last, whom it refuses and when it is slow is the test's.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs


def jwt(number: int, user: str = "ada") -> str:
    parts = ({"alg": "HS256"}, {"id": user, "n": number})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return f"{coded[0]}.{coded[1]}.signature"


class QuiltRegistry:
    """``refresh_token`` and ``access_token`` are the ones good now; ``requests`` counts by path."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.reused: list[str] = []
        self.number = 0
        self.refresh_token = "refresh-0"
        self.access_token = jwt(0)
        self.seconds = 3600.0
        self.keys_for = timedelta(hours=1)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        """By path: answer this (status, headers, body) instead."""
        self.arrived = threading.Event()
        self.refused = threading.Event()
        self.held: threading.Event | None = None
        """When set: /api/token waits for it after the old token is used up, before it answers."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                registry.serve(self, self.rfile.read(length).decode())

            def do_GET(self) -> None:
                registry.serve(self, "")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> QuiltRegistry:
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.held is not None:
            self.held.set()
        self.server.shutdown()
        self.server.server_close()

    def entry(self, expires_in: float = 3600.0) -> dict[str, Any]:
        """What auth.json holds for this registry."""
        return {
            "refresh_token": self.refresh_token,
            "access_token": self.access_token,
            "expires_at": time.time() + expires_in,
        }

    def serve(self, request: BaseHTTPRequestHandler, body: str) -> None:
        path = request.path
        with self.lock:
            self.requests[path] += 1
        if path in self.answers:
            status, headers, content = self.answers[path]
        else:
            status, headers, content = self.answer(request, path, body)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def answer(
        self, request: BaseHTTPRequestHandler, path: str, body: str
    ) -> tuple[int, dict[str, str], bytes]:
        kind = {"Content-Type": "application/json"}
        if path == "/api/token":
            given = parse_qs(body).get("refresh_token", [""])[0]
            with self.lock:
                if given != self.refresh_token:
                    self.reused.append(given)
                    self.refused.set()
                    return 200, kind, b'{"error": "Invalid refresh token"}'
                self.number += 1
                self.refresh_token = f"refresh-{self.number}"
                self.access_token = jwt(self.number)
                answer = self.entry(self.seconds)
            self.arrived.set()
            if self.held is not None:
                self.held.wait(60)
            return 200, kind, json.dumps(answer).encode()
        if path == "/api/auth/get_credentials":
            if request.headers.get("Authorization") != f"Bearer {self.access_token}":
                return 401, kind, b'{"message": "Invalid token"}'
            answer = {
                "AccessKeyId": f"ASIAQUILTKEY{self.number:08d}",
                "SecretAccessKey": f"secret-{self.number}",
                "SessionToken": f"session-{self.number}",
                "Expiration": (datetime.now(UTC) + self.keys_for).isoformat(),
            }
            return 200, kind, json.dumps(answer).encode()
        if path == "/config.json":
            return 200, kind, json.dumps({"registryUrl": self.url, "mode": "PRODUCT"}).encode()
        return 404, kind, b"{}"
