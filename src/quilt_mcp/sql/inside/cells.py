"""Cells: values of the engine as values of JSON, nothing lost on the way.

Whole numbers beyond 2**53, decimals, times and what floats cannot say (NaN, infinity) become text, bytes become base64. A map is
an object where its keys are texts, else a list of pairs. A text longer than a cell's room is cut, which is counted.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID

_EXACT: Final = 2**53
"""Integers that every reader of JSON keeps."""


class Cells:
    def __init__(self, longest: int) -> None:
        """``longest``: letters of a cell."""
        self._longest = longest
        self.cut = 0

    def row(self, values: Sequence[Any]) -> list[Any]:
        return [self.cell(value) for value in values]

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
        if isinstance(value, Decimal | UUID | timedelta):
            return str(value)
        if isinstance(value, bytes | bytearray):
            return self._text(base64.b64encode(bytes(value)).decode())
        if isinstance(value, dict):
            return self._object(cast("dict[Any, Any]", value))
        if isinstance(value, list | tuple):
            return [self.cell(one) for one in cast("list[Any]", value)]
        return self._text(str(value))

    def _object(self, value: dict[Any, Any]) -> Any:
        if all(isinstance(key, str) for key in value):
            return {key: self.cell(one) for key, one in value.items()}
        return [[self.cell(key), self.cell(one)] for key, one in value.items()]

    def _text(self, text: str) -> str:
        if len(text) <= self._longest:
            return text
        self.cut += 1
        return f"{text[: self._longest]}... [{len(text) - self._longest:,} letters left out]"
