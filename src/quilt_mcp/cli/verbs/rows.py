"""The rows of a tool that pages: where they stand in its result, and how they are written as they arrive."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from quilt_mcp.cli.people import HIDDEN, columns_of, is_rows, table
from quilt_mcp.cli.screen import Screen
from quilt_mcp.tools.spec import ToolSpec

KIND = "change"
"""The column that says which list a row is from, where a tool has several."""

Row = dict[str, Any]


def rows_of(tool: ToolSpec, data: Mapping[str, Any]) -> list[Row]:
    """All rows of a page, in the order of its lists."""
    own = [name for name, schema in _parts(tool).items() if "items" in schema]
    if own:
        return [row for name in own for row in data.get(name, ()) if isinstance(row, dict)]
    lists = {name: value for name, value in data.items() if name not in _parts(tool) and is_rows(value)}
    return [{KIND: name.replace("_", " "), **row} for name, rows in lists.items() for row in rows]


def facts_of(tool: ToolSpec, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a result says beside its rows."""
    parts = _parts(tool)
    return {
        name: value
        for name, value in data.items()
        if not is_rows(value) and "items" not in parts.get(name, {}) and value != []
    }


def merged(pages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One result with the rows of all pages; the rest is as the first says it."""
    first: dict[str, Any] = {**pages[0], "data": dict(pages[0].get("data", {}))}
    for page in pages[1:]:
        for name, value in page.get("data", {}).items():
            if isinstance(value, list):
                first["data"][name] = [*first["data"].get(name, []), *cast("list[Any]", value)]
    if "page" in first:
        first["page"] = pages[-1].get("page")
    warnings = list(dict.fromkeys(one for page in pages for one in page.get("warnings", ())))
    return {**first, "warnings": warnings} if warnings else first


def next_cursor(structured: Mapping[str, Any]) -> str | None:
    page = cast("Mapping[str, Any]", structured.get("page") or {})
    return page.get("next_cursor")


class Writer(Protocol):
    def write(self, rows: Sequence[Row]) -> None:
        """One page; the first may be empty."""
        ...


@dataclass(slots=True)
class Table:
    """Columns for people. Their names stand above the first page; later pages keep the columns of the first."""

    screen: Screen
    _keys: list[str] = field(default_factory=list[str])

    def write(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        is_first = not self._keys
        self._keys = self._keys or columns_of(rows)
        head, lines = table(rows, self._keys, self.screen.width, head=is_first)
        for line in head:
            self.screen.line(self.screen.dim(line))
        for line in lines:
            self.screen.line(line)


@dataclass(slots=True)
class JsonLines:
    screen: Screen

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.screen.line(json_of(row, self.screen))


@dataclass(slots=True)
class Separated:
    """Values as programs read them, in the same columns whatever the rows hold. ``mark`` None: commas, quoted as CSV is."""

    tool: ToolSpec
    screen: Screen
    mark: str | None
    head: bool
    addresses: bool
    _keys: list[str] = field(default_factory=list[str])

    def write(self, rows: Sequence[Row]) -> None:
        if not self._keys:
            self._keys = self._columns(rows)
            if self.head and self._keys:
                self._line(self._keys)
        for row in rows:
            self._line([machine(row.get(key)) for key in self._keys])

    def _columns(self, rows: Sequence[Row]) -> list[str]:
        declared = declared_columns(self.tool)
        found = dict.fromkeys([*declared, *(key for row in rows for key in row)])
        if KIND in found:
            found = {KIND: None, **found}
        return [key for key in found if self.addresses or key not in HIDDEN]

    def _line(self, values: Sequence[str]) -> None:
        if self.mark is None:
            csv.writer(self.screen.out, lineterminator="\n").writerow(values)
        else:
            self.screen.line(self.mark.join(_unbroken(value) for value in values))


def declared_columns(tool: ToolSpec) -> list[str]:
    """The fields of the tool's rows, as its schema names them."""
    lists = [schema for schema in _parts(tool).values() if "items" in schema]
    more = tool.data.get("additionalProperties")
    if not lists and isinstance(more, Mapping):
        lists = [cast("Mapping[str, Any]", more)]
    return list(dict.fromkeys(name for one in lists for name in one["items"].get("properties", ())))


def writer_for(form: str | None, tool: ToolSpec, screen: Screen) -> Writer:
    """``form`` None: a table on a terminal, else the table's columns between tabs without a header."""
    match form:
        case "nl":
            return JsonLines(screen)
        case "csv":
            return Separated(tool, screen, None, head=True, addresses=True)
        case "tsv":
            return Separated(tool, screen, "\t", head=True, addresses=True)
        case _ if screen.width is None:
            return Separated(tool, screen, "\t", head=False, addresses=False)
        case _:
            return Table(screen)


def json_of(value: Any, screen: Screen) -> str:
    """Compact JSON of what has been cleaned; in ASCII where the locale has not all of Unicode."""
    is_utf8 = (getattr(screen.out, "encoding", None) or "utf-8").lower().replace("_", "-") in (
        "utf-8",
        "utf8",
    )
    return json.dumps(value, ensure_ascii=not is_utf8, separators=(",", ":"), allow_nan=False)


def machine(value: Any) -> str:
    """Bytes as digits, times as ISO 8601 in UTC, nested values as JSON, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unbroken(text: str) -> str:
    return text.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _parts(tool: ToolSpec) -> Mapping[str, Any]:
    return tool.data.get("properties", {})
