"""A query's text, taken apart by the engine's own parser: its tree as JSON, and the text without what ends a statement."""

from __future__ import annotations

import json
from typing import Any, Final

from quilt_mcp.sql.inside.fault import Fault

WRAPPED: Final = ("SELECT * FROM (\n", "\n) AS result")
"""What stands around the text when it is run. The parent judges the tree of the whole, so that it judges what is run."""
_ENDS_TRIED: Final = 20
_TREE: Final = (
    "SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, skip_default := true)"
)


def parse(engine: Any, text: str) -> dict[str, Any]:
    """``tree`` of the wrapped text as JSON text, and the ``text`` that stands in it. Raises Fault."""
    _, told = _tree(engine, text)
    if told.get("error"):
        raise _fault(told)
    count = len(told.get("statements", ()))
    if count != 1:
        raise Fault("not_one", f"There are {count} statements, and one is run at a time.", count=count)
    for end in _ends(text):
        whole, told = _tree(engine, WRAPPED[0] + text[:end] + WRAPPED[1])
        if not told.get("error") and len(told["statements"]) == 1:
            return {"tree": whole, "text": text[:end]}
    raise _fault(told)


def _tree(engine: Any, text: str) -> tuple[str, dict[str, Any]]:
    [[found]] = engine.execute(_TREE, [text]).fetchall()
    return found, json.loads(found)


def _ends(text: str) -> list[int]:
    """Where the statement may end: at the end, or at one of the last semicolons."""
    ends, at = [len(text)], len(text)
    while len(ends) < _ENDS_TRIED and (at := text.rfind(";", 0, at)) >= 0:
        ends.append(at)
    return ends


def _fault(told: dict[str, Any]) -> Fault:
    said = str(told.get("error_message", ""))[:500]
    if told.get("error_type") == "not implemented":
        return Fault("not_a_query", said)
    position = str(told.get("position", ""))
    return Fault("syntax", said, position=int(position) if position.isdigit() else None)
