"""Values as cells of a compact table: JSON, short, and true to what stands in the file."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, cast

LONGEST = 300
"""Characters of a cell; a longer one says how many are left out."""
_LONGEST_LIST = 50
_EXACT = 1 << 53
"""Integers up to here are numbers to every JSON reader; larger ones are shown as text."""


def cell(value: Any, longest: int = LONGEST) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return shortened(value, longest)
    if isinstance(value, bytes):
        return shortened(f"base64:{base64.b64encode(value[:longest]).decode()}", longest)
    if isinstance(value, Mapping):
        items = list(cast("Mapping[Any, Any]", value).items())
        return {str(cell(key)): cell(one, longest) for key, one in items[:_LONGEST_LIST]}
    if isinstance(value, list | tuple):
        parts = cast("list[Any]", value)
        kept = [cell(one, longest) for one in parts[:_LONGEST_LIST]]
        return kept if len(kept) == len(parts) else [*kept, f"[{len(parts) - len(kept)} more]"]
    return shortened(str(value), longest)


def shortened(text: str, longest: int = LONGEST) -> str:
    return (
        text if len(text) <= longest else f"{text[:longest]}... [{len(text) - longest} characters left out]"
    )
