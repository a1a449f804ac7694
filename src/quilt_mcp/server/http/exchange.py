"""Exchange: a request and how far its answer has come, so that one that is cut off still ends with words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from quilt_mcp.server.http.refusal import Refusal, retry_after

if TYPE_CHECKING:
    from starlette.types import Message, Send

_STOPPED: Final = "The server was told to stop, and has cancelled this call. Try again."
_STOPPING_CODE: Final = -32000


class Exchange:
    """``asked``: the body of the request, once it is there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = self._is_complete = self._is_stream = False
        self.asked = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_begun = True
            self._is_stream = any(
                name == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in message.get("headers", [])
            )
        self._is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def end(self) -> None:
        """After what was at work on it was cancelled: an answer, the last event of a stream, or the end of what was begun."""
        if not self._has_begun:
            await Refusal(503, _STOPPED, (retry_after(1),)).send(self._send)
        elif not self._is_complete:
            await self._send({"type": "http.response.body", "body": self._last_event()})

    def _last_event(self) -> bytes:
        number = _id_of(self.asked)
        if not self._is_stream or number is None:
            return b""
        error = {"code": _STOPPING_CODE, "message": _STOPPED, "data": {"code": "stopped", "retryable": True}}
        text = json.dumps({"jsonrpc": "2.0", "id": number, "error": error})
        return f"event: message\r\ndata: {text}\r\n\r\n".encode()


def _id_of(body: bytes) -> str | int | None:
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    number: Any = cast("dict[str, Any]", asked).get("id") if isinstance(asked, dict) else None
    return number if isinstance(number, str | int) and not isinstance(number, bool) else None
