"""What the child can be asked, as one literal table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quilt_mcp.preview.decode import parquet, text, text_table
from quilt_mcp.preview.decode.delimited import FORMS, Delimited, Layout
from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.json_lines import JsonLines, columns_of
from quilt_mcp.preview.decode.selecting import Selection


def _inside(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    kind, first = ask["kind"], int(ask["first"])
    if kind == "parquet":
        return parquet.describe(file, first)
    return text_table.describe(_opening(file, kind), first)


def _rows(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    selection = Selection.of(ask)
    if ask["kind"] == "parquet":
        return parquet.select(file, selection)
    return text_table.select(_opening(file, ask["kind"]), selection)


def _opening(file: File, kind: str) -> text_table.Open:
    if kind in FORMS:
        layout = Layout.of(file, FORMS[kind])
        return lambda most: Delimited(file, layout, most)
    if kind == "jsonl":
        columns = columns_of(file)
        return lambda most: JsonLines(file, columns, most)
    raise Fault("not_a_table", "It is no table that can be read here.")


QUESTIONS: Mapping[str, Callable[[File, dict[str, Any]], dict[str, Any]]] = {
    "inside": _inside,
    "rows": _rows,
    "text": text.part,
    "find": text.find,
}
