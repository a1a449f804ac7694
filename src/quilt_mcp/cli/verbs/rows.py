"""The rows of a tool that pages: where they stand in its result, and how they are written as they arrive."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from quilt_mcp.cli.people import HIDDEN, cell, columns_of, is_rows, table
from quilt_mcp.cli.screen import Screen
from quilt_mcp.tools.spec import ToolSpec

KIND = "change"
"""The column that says which list a row is from, where a tool has several."""

Row = dict[str, Any]
_ABSENT: Final = object()
_SPECIAL: Final = re.compile(r'[",\r\n]')


def rows_of(tool: ToolSpec, data: Mapping[str, Any]) -> list[Row]:
    """All rows of a page, in the order of its lists; of a tool with several, each says which it is from."""
    if is_grid(tool):
        return [dict(zip(data.get("columns", ()), row, strict=True)) for row in data.get("rows", ())]
    own = row_list(tool)
    if own is not None:
        return list(data.get(own, ()))
    names = [name for name in data if _is_row_list(tool, name, data)]
    return [{KIND: name.replace("_", " "), **row} for name in names for row in data[name]]


def facts_of(tool: ToolSpec, structured: Mapping[str, Any]) -> dict[str, Any]:
    """What a result says beside its rows. Of a comparison, what is compared with what."""
    data: Mapping[str, Any] = structured["data"]
    facts = {name: value for name, value in data.items() if not _is_row_list(tool, name, data)}
    if is_grid(tool):
        facts = {name: value for name, value in facts.items() if name not in ("columns", "types")}
    if "before" not in facts or "uri" not in structured:
        return facts
    return {"before": short_address(facts.pop("before")), "after": short_address(structured["uri"]), **facts}


def is_grid(tool: ToolSpec) -> bool:
    """Whether its rows are lists of values, in the order of ``columns``."""
    return {"columns", "rows"} <= _parts(tool).keys()


def short_address(uri: str) -> str:
    """Of a revision, as ``ns/name@hash``, which every verb takes; anything else as it is."""
    found = re.fullmatch(r"quilt\+[^#]*#package=([^&@]+)@([0-9a-f]{10})[0-9a-f]*", uri)
    return f"{found[1]}@{found[2]}" if found else uri


def merged(tool: ToolSpec, pages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One result with the rows of all pages; the rest is as the first says it."""
    first: dict[str, Any] = {**pages[0], "data": dict(pages[0].get("data", {}))}
    for page in pages[1:]:
        data: Mapping[str, Any] = page.get("data", {})
        for name in data:
            if _is_row_list(tool, name, data):
                first["data"][name] = [*first["data"].get(name, []), *data[name]]
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
class Links:
    """For people: each file with its size, and below it the link, whole, as it is what is copied."""

    screen: Screen

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            told = [cell(key, row[key]) for key in ("size", "storage_class") if key in row]
            self.screen.line(f"{self.screen.bold(row['path'])}  {'  '.join(told)}")
            self.screen.line(f"  {row.get('url', '(no link)')}")


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
    columns: Sequence[str] = ()
    """Where they are known; else those of the tool's rows."""
    tells_null: bool = False
    """What is NULL is told from an empty text: they are nothing and ``""`` in CSV, ``\\N`` and nothing between tabs."""
    _keys: list[str] = field(default_factory=list[str])

    def write(self, rows: Sequence[Row]) -> None:
        if not self._keys:
            self._keys = self._columns(rows)
            if self.head and self._keys:
                self._line(self._keys)
        for row in rows:
            if self.tells_null:
                self._told_line([row.get(key, _ABSENT) for key in self._keys])
            else:
                self._line([machine(row.get(key)) for key in self._keys])

    def _columns(self, rows: Sequence[Row]) -> list[str]:
        if self.columns:
            return [*self.columns]
        declared = declared_columns(self.tool)
        found = dict.fromkeys([*declared, *(key for row in rows for key in row)])
        if KIND in found and row_list(self.tool) is None:
            found = {KIND: None, **found}
        return [key for key in found if self.addresses or key not in HIDDEN]

    def _told_line(self, values: Sequence[Any]) -> None:
        if self.mark is None:
            told = ('""' if one == "" else machine(None if one is _ABSENT else one) for one in values)
            parts = [one if one == '""' or not _SPECIAL.search(one) else _in_quotes(one) for one in told]
            self.screen.out.write(",".join(parts) + "\n")
        else:
            told = (
                "" if one is _ABSENT else "\\N" if one is None else _unbroken(machine(one)) for one in values
            )
            self.screen.line(self.mark.join(told))

    def _line(self, values: Sequence[str]) -> None:
        if self.mark is None:
            csv.writer(self.screen.out, lineterminator="\n").writerow(values)
        else:
            self.screen.line(self.mark.join(_unbroken(value) for value in values))


def row_list(tool: ToolSpec) -> str | None:
    """The one list of objects that the tool's schema names; the last where it names several, as rows end a result. None where
    the lists have no names of their own, but those of the kinds of rows."""
    if "additionalProperties" in tool.data:
        return None
    named = [name for name, schema in _parts(tool).items() if "properties" in schema.get("items", {})]
    return named[-1] if named else None


def declared_columns(tool: ToolSpec) -> list[str]:
    """The fields of the tool's rows, as its schema names them."""
    if is_grid(tool):
        return []
    own = row_list(tool)
    schema: Mapping[str, Any] = (
        tool.data.get("additionalProperties", {}) if own is None else _parts(tool)[own]
    )
    return list(schema.get("items", {}).get("properties", ()))


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
        case _ if row_list(tool) == "links":
            return Links(screen)
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


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _unbroken(text: str) -> str:
    return text.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _is_row_list(tool: ToolSpec, name: str, data: Mapping[str, Any]) -> bool:
    own = row_list(tool)
    if is_grid(tool):
        return name == "rows"
    return (
        name == own
        if own is not None
        else name not in _parts(tool) and (data[name] == [] or is_rows(data[name]))
    )


def _parts(tool: ToolSpec) -> Mapping[str, Any]:
    return tool.data.get("properties", {})
