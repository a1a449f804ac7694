"""Refusal: a request that is answered before any tool sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import Send


_CODE: Final = -32000
"""JSON-RPC's first for what a server defines itself."""
_NAMES: Final = {
    400: "bad_request",
    401: "sign_in",
    403: "forbidden",
    404: "no_such_page",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
    421: "wrong_host",
    429: "too_many",
    503: "unavailable",
}
_AGAIN: Final = frozenset({408, 429, 503})


@dataclass(frozen=True, slots=True)
class Refusal:
    """``headers`` beside those of every answer. Its body is an error of JSON-RPC, as clients show the text of no other."""

    status: int
    why: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        """A request that is refused may have a body that nobody reads, so its connection ends."""
        data = {"code": _NAMES[self.status], "retryable": self.status in _AGAIN}
        error = {"code": _CODE, "message": self.why, "data": data}
        body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}, ensure_ascii=False).encode()
        own = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": [*own, *self.headers]})
        await send({"type": "http.response.body", "body": body})


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    return b"retry-after", str(max(1, round(seconds))).encode()
