"""Where a search goes on: what its cursor holds, each value proven before anything is asked with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.search.entries import After, EntryOrder

_MOST: Final = 1 << 62
_TEXTS: Final = ("h.name", "m.path")


@dataclass(frozen=True, slots=True)
class Place:
    """``pins``: by URL, the digest of the state that each catalog had at the first page. ``at``: how many rows came before, or
    the registry and the place of the last one. ``now``: the moment that relative times are counted from."""

    now: datetime
    pins: Mapping[str, str] = field(default_factory=dict[str, str])
    at: Sequence[Any] = ()
    total: int = 0

    def encode(self, marks: Sequence[str | bool]) -> str:
        pins, at = json.dumps(dict(self.pins)), json.dumps(list(self.at))
        return encode_cursor(marks, pins, at, self.total, self.now.isoformat())

    @classmethod
    def decode(cls, cursor: str, marks: Sequence[str | bool]) -> Place:
        """Raises InvalidArgument for a cursor of another call, or none of ours."""
        pinned, placed, total, since = decode_cursor(cursor, marks, str, str, int, str)
        try:
            pins, at, now = json.loads(pinned), json.loads(placed), datetime.fromisoformat(since)
        except (ValueError, RecursionError):
            raise no_cursor() from None
        if not isinstance(pins, dict) or not isinstance(at, list) or now.tzinfo is None:
            raise no_cursor()
        digests = cast("dict[str, Any]", pins)
        if not all(isinstance(one, str) and one.isascii() and one.isalnum() for one in digests.values()):
            raise no_cursor()
        return cls(now, digests, cast("list[Any]", at), total)

    def start(self) -> int:
        """Raises InvalidArgument where it does not count rows."""
        if not self.at:
            return 0
        if len(self.at) != 1 or not _is_whole(self.at[0]) or self.at[0] < 0:
            raise no_cursor()
        return self.at[0]

    def after(self, order: EntryOrder, url: str) -> After | None:
        """None at the beginning. Equal rows of different registries are in the order of these. Raises InvalidArgument for a
        place that is none in this order."""
        if not self.at:
            return None
        owner, *values = self.at
        columns = [column for column, _ in order.columns()]
        if not _is_text(owner) or len(values) != len(columns):
            raise no_cursor()
        if not all(
            _is_text(value) if column in _TEXTS else _is_whole(value)
            for value, column in zip(values, columns, strict=True)
        ):
            raise no_cursor()
        return After(tuple(values), with_equal=url > owner)


def no_cursor() -> InvalidArgument:
    return InvalidArgument(
        "The cursor does not belong to this call.",
        next_step="Give next_cursor of the last answer with the other arguments as they were, or call again without cursor.",
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MOST <= value <= 2 * _MOST - 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
