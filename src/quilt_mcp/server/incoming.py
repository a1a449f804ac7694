"""A line of a client as a message, or as the error that answers it.

The SDK drops what it cannot read, and its caller waits for ever. Here half a surrogate is served as U+FFFD, and every other
line that is no message is refused with the id of the request where one can be found.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, cast

import mcp_types as types
from pydantic import ValidationError

_PART = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_WHOLE = re.compile(r"-?\d{1,300}")


class Unreadable(Exception):
    """``ids``: whom to answer; a None among them answers nobody in particular, and none at all is for what is no request."""

    def __init__(self, code: int, why: str, ids: list[Any]) -> None:
        super().__init__(why)
        self.why = why
        self.answers = [_error(code, why, one) for one in ids]


def read_message(line: bytes) -> types.JSONRPCMessage:
    """Raises Unreadable. What is not UTF-8 is read as U+FFFD."""
    text = line.decode("utf-8", "replace")
    try:
        message = types.jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        return _read_repaired(text)
    if isinstance(message, types.JSONRPCNotification) and "id" in json.loads(text):
        # The SDK takes a request whose id is null or an object for a notification.
        raise _no_message(json.loads(text))
    return message


def _read_repaired(text: str) -> types.JSONRPCMessage:
    try:
        value = json.loads(text)
        whole = (
            json.dumps(value, ensure_ascii=False)
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise Unreadable(types.PARSE_ERROR, f"The line is {why}.", [_find_id(text)]) from None
    try:
        message = types.jsonrpc_message_adapter.validate_json(whole, by_name=False)
    except ValidationError:
        raise _no_message(value) from None
    if isinstance(message, types.JSONRPCNotification) and "id" in value:
        raise _no_message(value)
    return message


def _no_message(value: Any) -> Unreadable:
    if isinstance(value, list):
        members = cast("list[Any]", value)
        ids = [
            one
            for member in members
            if isinstance(member, dict)
            for one in _ids(cast("dict[str, Any]", member))
        ]
        why = "A batch is no message of this protocol: send each request on a line of its own."
        return Unreadable(types.INVALID_REQUEST, why, ids or [None])
    if not isinstance(value, dict):
        return Unreadable(types.INVALID_REQUEST, "The line is JSON, but no object.", [None])
    message = cast("dict[str, Any]", value)
    return Unreadable(types.INVALID_REQUEST, _fault(message), _ids(message))


def _ids(message: dict[str, Any]) -> list[Any]:
    """Empty for a notification or an answer: neither is ever answered."""
    if "id" not in message:
        return [] if isinstance(message.get("method"), str) else [None]
    if "method" not in message and ("result" in message or "error" in message):
        return []
    number = message["id"]
    whole = isinstance(number, str | int) and not isinstance(number, bool)
    return [number if whole or (isinstance(number, float) and math.isfinite(number)) else None]


def _fault(message: dict[str, Any]) -> str:
    number = message.get("id", 0)
    if message.get("jsonrpc") != "2.0":
        return 'The message has no "jsonrpc": "2.0".'
    if "result" in message or "error" in message:
        return "The message is neither a request nor an answer."
    if not isinstance(message.get("method"), str):
        return "The message has no method."
    if not isinstance(number, str | int) or isinstance(number, bool):
        return "The id of a request is a text or a whole number."
    if not isinstance(message.get("params", {}), dict | None):
        return "The params of a message are an object."
    return "The message is nested too deeply."


def _find_id(text: str) -> str | int | None:
    """The ``id`` of the outermost object of a text that is not JSON as a whole."""
    depth, before, last = 0, "", ""
    for found in _PART.finditer(text):
        part = found[0]
        if depth == 1 and last == ":" and before == '"id"':
            return _as_id(part) if found.end() < len(text) else None
        if part in "{[":
            depth += 1
        elif part in "}]":
            depth -= 1
        before, last = last, part
    return None


def _as_id(written: str) -> str | int | None:
    if _WHOLE.fullmatch(written):
        return int(written)
    try:
        text: Any = json.loads(written)
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def _error(code: int, why: str, number: Any) -> bytes:
    # Escaped to ASCII: an id may hold half a surrogate too, and comes back as it was.
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": why}}).encode()
