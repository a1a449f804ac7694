"""Cursors: where a page ended, as an opaque text that a caller hands back unread."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

from quilt_mcp.errors import InvalidArgument

_END: Final = 1 << 63
"""No position is as far; engines count by so many bits."""


def encode_cursor(call: Sequence[str | bool], *position: str | int) -> str:
    """``call`` ties the cursor to the call it came from: the verb, and the arguments that its pages have in common."""
    text = json.dumps([_mark(call), *position], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_cursor(cursor: str, call: Sequence[str | bool], *kinds: type[str] | type[int]) -> tuple[Any, ...]:
    """The position, checked against ``kinds``. Raises InvalidArgument for a cursor of another call or a made-up one."""
    refusal = InvalidArgument(
        "The cursor does not belong to this call.",
        next_step="Give next_cursor of the last answer with the other arguments as they were, or call again without cursor.",
    )
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded).decode("utf-8", "surrogatepass"))
    except (ValueError, binascii.Error, RecursionError):
        raise refusal from None
    if not isinstance(found, list):
        raise refusal
    position: list[Any] = found[1:]  # pyright: ignore[reportUnknownVariableType]
    is_ours = found[:1] == [_mark(call)] and [*map(type, position)] == [*kinds]
    if not is_ours or any(isinstance(value, int) and not 0 <= value < _END for value in position):
        raise refusal
    return tuple(position)


def _mark(call: Sequence[str | bool]) -> str:
    return blake2b(json.dumps(call).encode(), digest_size=6).hexdigest()
