"""Values as cells of a compact table: JSON, short, and true to what stands in the file."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

LONGEST = 300
"""Characters of a cell; a longer one says how many are left out."""
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
        items = list(value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return {str(cell(key)): cell(one, longest) for key, one in items[:50]}
    if isinstance(value, list | tuple):
        kept = [cell(one, longest) for one in value[:50]]  # pyright: ignore[reportUnknownVariableType]
        left = len(value) - len(kept)  # pyright: ignore[reportUnknownArgumentType]
        return [*kept, f"[{left} more]"] if left else kept
    return shortened(str(value), longest)


def shortened(text: str, longest: int = LONGEST) -> str:
    return (
        text if len(text) <= longest else f"{text[:longest]}... [{len(text) - longest} characters left out]"
    )
