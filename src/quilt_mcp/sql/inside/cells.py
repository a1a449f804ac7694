"""Cells: values of the engine as values of JSON, nothing lost on the way.

Whole numbers beyond 2**53, decimals, times and what floats cannot say (NaN, infinity) become text, bytes become base64. A map is
an object where its keys are texts, else a list of pairs. A text longer than a cell's room is cut, and so is a list or an object
with all that is in it; what was cut is counted.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, cast

_EXACT: Final = 2**53
"""Integers that every reader of JSON keeps."""

_NESTED: Final = 5
_ROOM_OF_ONE: Final = 4
"""Letters that a value in a list takes beside its text."""


class Cells:
    def __init__(self, longest: int) -> None:
        """``longest``: letters of a text; a list or an object has room for ``_NESTED`` times as many."""
        self.longest = longest
        self.cut = 0
        self._room = 0

    def row(self, values: Sequence[Any]) -> list[Any]:
        return [self._whole(value) for value in values]

    def _whole(self, value: Any) -> Any:
        self._room = self.longest * _NESTED
        return self.cell(value)

    def cell(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if -_EXACT <= value <= _EXACT else str(value)
        if isinstance(value, float):
            return (
                value
                if math.isfinite(value)
                else "NaN"
                if math.isnan(value)
                else "Infinity"
                if value > 0
                else "-Infinity"
            )
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, Decimal | timedelta) or type(value).__name__ == "UUID":
            return str(value)
        if isinstance(value, bytes | bytearray):
            return self._text(base64.b64encode(bytes(value)).decode())
        if isinstance(value, dict):
            return self._object(cast("dict[Any, Any]", value))
        if isinstance(value, list | tuple):
            return self._several(cast("list[Any]", value))
        return self._text(str(value))

    def _several(self, values: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for one in values:
            if self._room <= 0:
                self.cut += 1
                return [*found, f"... [{len(values) - len(found):,} left out]"]
            self._room -= _ROOM_OF_ONE
            found.append(self.cell(one))
        return found

    def _object(self, value: dict[Any, Any]) -> Any:
        if not all(isinstance(key, str) for key in value):
            return self._several([*value.items()])
        found: dict[str, Any] = {}
        for key, one in cast("dict[str, Any]", value).items():
            if self._room <= 0:
                self.cut += 1
                found["..."] = f"[{len(value) - len(found):,} left out]"
                break
            self._room -= len(key) + _ROOM_OF_ONE
            found[key] = self.cell(one)
        return found

    def _text(self, text: str) -> str:
        self._room -= min(len(text), self.longest)
        if len(text) <= self.longest:
            return text
        self.cut += 1
        return f"{text[: self.longest]}... [{len(text) - self.longest:,} letters left out]"
