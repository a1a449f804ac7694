"""Narrowing: what a WHERE says that texts of a table have to be, so that files of others need not be brought.

Only what holds whatever else the query says: ``column = 'text'`` and ``column IN ('a', 'b')``, joined by AND, of a table that
stands alone in its FROM. A name before the column may be another table's, and is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

Only = Mapping[str, frozenset[str]]
"""By columns in lower case, the texts that one of them has to be."""


def only_of(node: Mapping[str, Any]) -> Only:
    """``node``: a SELECT of the parser's tree, in whose FROM one thing stands. Nothing where the columns have other names there,
    or a sample of the rows is taken first."""
    if {"column_name_alias", "sample"} & node["from_table"].keys():
        return {}
    found: dict[str, frozenset[str]] = {}
    for one in _conjuncts(node.get("where_clause")):
        match one.get("type"):
            case "COMPARE_EQUAL":
                sides = [one.get("left"), one.get("right")]
            case "COMPARE_IN":
                sides = cast("list[Any]", one.get("children", []))
            case _:
                continue
        column = _column(sides[0]) if sides else None
        texts = [_text(side) for side in sides[1:]]
        if column is not None and texts and None not in texts:
            wanted = frozenset(one for one in texts if one is not None)
            found[column] = found.get(column, wanted) & wanted
    return found


def _conjuncts(where: Any) -> list[dict[str, Any]]:
    if not isinstance(where, dict):
        return []
    part = cast("dict[str, Any]", where)
    if part.get("type") != "CONJUNCTION_AND":
        return [part]
    return [each for one in part.get("children", ()) for each in _conjuncts(one)]


def _column(side: Any) -> str | None:
    if not isinstance(side, dict) or cast("dict[str, Any]", side).get("class") != "COLUMN_REF":
        return None
    names = cast("dict[str, Any]", side).get("column_names", ())
    return str(names[0]).lower() if len(names) == 1 else None


def _text(side: Any) -> str | None:
    if not isinstance(side, dict) or cast("dict[str, Any]", side).get("class") != "CONSTANT":
        return None
    literal = cast("dict[str, Any]", side).get("literal", {})
    return str(literal.get("text", "")) if literal.get("kind") == "STRING" else None
