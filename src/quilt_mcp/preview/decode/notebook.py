"""A notebook as text: its cells in order, what they printed cut short, pictures named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.text import Text, part_of

_MOST = 64 << 20
_MOST_OUTPUT = 1_500
"""Characters of what one cell printed."""


def part(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    """As ``text.part``, of the notebook's cells. Raises Fault (undecodable) for what is none."""
    text = Text(file, _MOST)
    shown = "\n\n".join(_parts(_read(text))) + "\n"
    notes = [
        *text.notes(),
        "notebook: its cells as text, what they printed cut short; mode text reads the file as it is.",
    ]
    return {**part_of([shown], int(ask["offset"]), int(ask["length"])), "notes": notes}


def describe(file: File) -> dict[str, Any]:
    """How many cells of which kind, and in what language."""
    found = _read(Text(file, _MOST))
    cells = _cells(found)
    kinds = [str(_get(one, "cell_type")) for one in cells]
    return {"cells": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}, "language": _language(found)}


def _read(text: Text) -> dict[str, Any]:
    written = text.stream.read()
    if text.plain.is_cut:
        raise Fault("too_costly", f"A notebook of more than {_MOST >> 20} MiB is not put in order.")
    try:
        found: Any = json.loads(written)
    except ValueError as error:
        raise Fault(
            "undecodable", f"It is no notebook: no JSON: {error}. Mode text reads it as it is."
        ) from None
    if not isinstance(found, dict):
        raise Fault("undecodable", "It is no notebook: no object. Mode text reads it as it is.")
    return cast("dict[str, Any]", found)


def _parts(notebook: dict[str, Any]) -> Iterator[str]:
    cells = _cells(notebook)
    if not cells:
        yield "[no cells]"
    language = _language(notebook)
    for number, one in enumerate(cells, 1):
        source = _joined(_get(one, "source") or _get(one, "input")).rstrip()
        match _get(one, "cell_type"):
            case "markdown" | "heading":
                yield source
            case "code":
                count = _get(one, "execution_count") or _get(one, "prompt_number") or " "
                yield f"In [{count}]:\n```{language}\n{source}\n```"
                yield from _outputs(_get(one, "outputs"))
            case kind:
                yield f"[cell {number}, {kind}]\n{source}"


def _outputs(outputs: Any) -> Iterator[str]:
    for one in _list(outputs):
        kind = _get(one, "output_type")
        if kind == "stream":
            yield f"Out ({_get(one, 'name') or 'stdout'}):\n{_cut(_joined(_get(one, 'text')))}"
        elif kind in ("error", "pyerr"):
            yield f"Error: {_get(one, 'ename')}: {_cut(str(_get(one, 'evalue')))}"
        else:
            yield from _displayed(_get(one, "data") or one)


def _displayed(data: Any) -> Iterator[str]:
    if not isinstance(data, dict):
        return
    forms = cast("dict[str, Any]", data)
    for name, value in forms.items():
        if str(name).startswith("image/") or name in ("png", "jpeg"):
            size = len(_joined(value)) * 3 // 4
            yield f"[picture: {name}, about {size} bytes]"
    plain = forms.get("text/plain", forms.get("text"))
    if plain is not None:
        yield f"Out:\n{_cut(_joined(plain))}"
    elif "text/html" in forms:
        yield "[HTML]"


def _cells(notebook: Any) -> list[Any]:
    """Those of format 4; of format 3, those of its worksheets."""
    found = _list(_get(notebook, "cells"))
    sheets = _list(_get(notebook, "worksheets"))
    return found or [one for sheet in sheets for one in _list(_get(sheet, "cells"))]


def _language(notebook: Any) -> str:
    metadata = _get(notebook, "metadata")
    found = _get(_get(metadata, "kernelspec"), "language") or _get(_get(metadata, "language_info"), "name")
    return str(found or "")[:40]


def _get(value: Any, name: str) -> Any:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _joined(value: Any) -> str:
    return "".join(map(str, _list(value))) if isinstance(value, list) else "" if value is None else str(value)


def _cut(text: str) -> str:
    text = text.rstrip()
    return (
        text
        if len(text) <= _MOST_OUTPUT
        else f"{text[:_MOST_OUTPUT]}\n[{len(text) - _MOST_OUTPUT} characters left out]"
    )
