"""Cursors: where a page ended, as an opaque text that a caller hands back unread."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from quilt_mcp.errors import InvalidArgument


def encode_cursor(verb: str, *position: str | int) -> str:
    """``verb`` ties the cursor to the call it came from."""
    text = json.dumps([verb, *position], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_cursor(cursor: str, verb: str, *kinds: type[str] | type[int]) -> tuple[Any, ...]:
    """The position, checked against ``kinds``. Raises InvalidArgument for a cursor of another call or a made-up one."""
    refusal = InvalidArgument(
        "The cursor does not belong to this call.",
        next_step="Call again without cursor, or with the next_cursor of the same call's last answer.",
    )
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded).decode("utf-8", "surrogatepass"))
    except (ValueError, binascii.Error, RecursionError):
        raise refusal from None
    if not isinstance(found, list):
        raise refusal
    position: list[Any] = found[1:]  # pyright: ignore[reportUnknownVariableType]
    if found[:1] != [verb] or len(position) != len(kinds):
        raise refusal
    for value, kind in zip(position, kinds, strict=True):
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            raise refusal
    return tuple(position)
