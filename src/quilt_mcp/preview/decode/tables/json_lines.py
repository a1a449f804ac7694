"""JSON lines as a table: an object a line, its keys the columns in the order in which they come up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.tables.text_table import Row
from quilt_mcp.preview.decode.text import Text

_NAMING = 1 << 20
"""Bytes whose keys become columns."""
_MOST_COLUMNS = 10_000
_MOST_FAULTS = 20


class JsonLines:
    """See ``text_table.Reading``."""

    def __init__(self, file: File, columns: list[str], most: int | None) -> None:
        self.faults: list[str] = []
        self.columns = columns
        self._text = Text(file, most)

    @property
    def is_cut(self) -> bool:
        return self._text.plain.is_cut

    def notes(self) -> list[str]:
        return self._text.notes()

    def rows(self) -> Iterator[Row]:
        for number, line in _whole_lines(self._text):
            if not line.strip():
                continue
            try:
                value = _parsed(line)
            except ValueError as error:
                self._tell(f"line {number}: no JSON: {error}")
                continue
            if not isinstance(value, dict):
                self._tell(f"line {number}: no object")
                continue
            cells = cast("dict[str, Any]", value)
            yield number, [_flat(cells.get(name)) for name in self.columns]

    def _tell(self, said: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(said[:200])


def columns_of(file: File) -> list[str]:
    """Raises Fault when the first line is no JSON, or no line is an object."""
    names: dict[str, None] = {}
    text = Text(file, _NAMING)
    for number, line in _whole_lines(text):
        if not line.strip():
            continue
        try:
            value = _parsed(line)
        except ValueError as error:
            if not names:
                raise Fault("not_a_table", f"Line {number} is no JSON: {error}.") from None
            continue
        if isinstance(value, dict):
            names |= dict.fromkeys(cast("dict[str, Any]", value))
        if len(names) > _MOST_COLUMNS:
            raise Fault("not_a_table", f"Its objects have more than {_MOST_COLUMNS:,} keys between them.")
    if not names:
        raise Fault("not_a_table", "It has no line that is an object.")
    return list(names)


def _whole_lines(text: Text) -> Iterator[tuple[int, str]]:
    """The last line of a beginning is left out, as it may be half a one."""
    waiting: str | None = None
    number = 0
    for line in text.stream:
        if waiting is not None:
            yield number, waiting
        waiting, number = line, number + 1
    if number == 1 and text.plain.is_cut:
        raise Fault("too_costly", f"Its first line is longer than {_NAMING >> 20} MiB.")
    if waiting is not None and not text.plain.is_cut:
        yield number, waiting


def _parsed(line: str) -> Any:
    """Raises ValueError, of what is nested too deeply too."""
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _flat(value: Any) -> Any:
    """Objects and lists as compact JSON, which a cell may shorten."""
    return (
        json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if isinstance(value, dict | list)
        else value
    )
