"""What the child can be asked, as one literal table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quilt_mcp.preview.decode import image, notebook, text
from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.records import RECORDS
from quilt_mcp.preview.decode.tables import parquet, text_table
from quilt_mcp.preview.decode.tables.delimited import FORMS, Delimited, Layout
from quilt_mcp.preview.decode.tables.json_lines import JsonLines, columns_of
from quilt_mcp.preview.decode.tables.selecting import Selection


def _inside(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    kind, first = str(ask["kind"]), int(ask["first"])
    facts = RECORDS[kind](file) if kind in RECORDS else {}
    if kind == "parquet":
        return parquet.describe(file, first)
    if kind in FORMS or kind == "jsonl":
        return {**facts, **text_table.describe(_opening(file, kind), first)}
    if kind == "image":
        return image.describe(file)
    if kind == "notebook":
        return notebook.describe(file)
    if facts:
        return facts
    from quilt_mcp.preview.decode.headers import HEADERS  # half of what a start would cost

    return HEADERS[kind](file)


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
    "notebook": notebook.part,
    "picture": image.picture,
    "pixels": image.pixels,
}
