"""Calls of ``files(..)`` in the text of a query: each becomes a table with a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quilt_mcp.errors import InvalidSql
from quilt_mcp.sql import gate
from quilt_mcp.sql.spelling import end_of_call

_FILES_NAME: Final = "files {number}"


def rewritten(text: str, calls: Sequence[gate.FilesCall]) -> tuple[str, dict[str, gate.FilesCall]]:
    """The text with a name for each ``files(..)``, and what each stands for. It is taken apart and judged anew. Raises InvalidSql
    for one that is not found where it should stand."""
    raw = text.encode()
    named: dict[str, gate.FilesCall] = {}
    for number, call in sorted(enumerate(calls, 1), key=lambda one: -one[1].start):
        name = _FILES_NAME.format(number=number)
        place = end_of_call(text, gate.FILES, len(raw[: call.start].decode("utf-8", "ignore")))
        if place is None:
            raise InvalidSql(
                "files(..) is not found where it should stand in the text.",
                next_step="Write it plainly, as FROM files('ns/name', '*.csv'), without comments inside.",
            )
        alias = "" if call.is_named or len(calls) > 1 else f" AS {gate.FILES}"
        text = f'{text[: place[0]]}"{name}"{alias}{text[place[1] :]}'
        named[name] = call
    return text, named
