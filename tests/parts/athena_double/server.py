"""The double's HTTP: a request a POST, the operation in X-Amz-Target, answers in JSON 1.1."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from parts.athena_double.account import Account, Refused


class Served:
    """``account``: whose requests are answered; a test puts its own there."""

    def __init__(self, url: str, account: Account) -> None:
        self.url, self.account = url, account


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet
    disable_nagle_algorithm = True
    served: Served

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
        try:
            if "AWS4-HMAC-SHA256" not in self.headers.get("Authorization", ""):
                raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
            self._send(200, self.served.account.answer(operation, body))
        except Refused as refused:
            self._send(refused.status, {"__type": refused.code, "Message": refused.message})

    def _send(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """A server under test has nothing to say for each request."""


@contextmanager
def athena_double(account: Account) -> Iterator[Served]:
    """On a free port of the loopback address, served by threads of this process."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    served = handler.served = Served(f"http://127.0.0.1:{server.server_address[1]}", account)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
