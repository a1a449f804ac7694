"""Content given inside a call: text or base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from quilt_mcp.errors import InvalidArgument, TooLarge
from quilt_mcp.tools.spec import either

MAX_INLINE = 16 << 20
"""What a client can sensibly send in one JSON message; more comes from files."""


def inline_bytes(what: str, given: Mapping[str, Any]) -> bytes:
    """The bytes of exactly one of ``text`` (UTF-8) and ``base64``. Raises InvalidArgument, TooLarge."""
    kind = either("text", "base64", given=given)
    content: str = given[kind]
    if len(content) > MAX_INLINE * 4 // 3 + 4:
        raise TooLarge(
            f"{what}: the {kind} has {len(content)} characters.",
            next_step=f"Write it to a file and name that as a source; inline content holds at most {MAX_INLINE} bytes.",
        )
    try:
        return content.encode() if kind == "text" else base64.b64decode(content, validate=True)
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"{what}: the text holds a lone surrogate, which UTF-8 cannot write.",
            next_step="Send it as base64.",
        ) from None
    except (binascii.Error, ValueError):
        raise InvalidArgument(
            f"{what}: the base64 cannot be decoded.",
            next_step="Send standard base64 with padding and no line breaks, or send text.",
        ) from None
