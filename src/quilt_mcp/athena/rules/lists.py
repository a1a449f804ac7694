"""Rules for lists: elements, slices, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    call,
    coalesce,
    either,
    is_list_of_text,
    is_null,
    kind_of,
    literal_text,
    number,
    require,
    text,
    whole,
)
from quilt_mcp.athena.rules.refusal import refusal

_LIST: Final = {"list"}


def element(source: Any, place: Any) -> Any:
    """NULL where there is none; Athena's brackets raise an error."""
    at = whole(place)
    if not at:
        raise refusal(
            "A list's element at 0 or at a place that is not written out",
            "it is an error there",
            "Write the place",
        )
    require(source, _LIST, "An element")
    return call("ELEMENT_AT", source, number(at), kind="text" if is_list_of_text(source) else "unknown")


def bracket(node: exp.Bracket) -> Any:
    [inner] = node.expressions
    is_text = kind_of(node.this) == "text"
    if isinstance(inner, exp.Slice):
        return _slice(node.this, inner, is_text)
    counted = whole(inner)
    if counted is None:
        raise refusal(
            "An element at a place that is not written out", "it may be an error there", "Write the place"
        )
    place = counted + 1  # sqlglot counts from 0, from the end too
    if not is_text:
        return element(node.this, number(place))
    if place < 1:
        raise refusal("A letter counted from the end", "it is '' or an error there", "Use right(.., 1)")
    return call("SUBSTR", node.this, number(place), number(1), kind="text")


def _slice(source: Any, inner: exp.Slice, is_text: bool) -> Any:
    first = 1 if inner.this is None else whole(inner.this)
    last = None if inner.expression is None else whole(inner.expression)
    if (
        first is None
        or first < 1
        or inner.args.get("step") is not None
        or (inner.expression is not None and (last is None or last < first - 1))
    ):
        raise refusal(
            "A slice with a step, or between places that are negative or not written out",
            "places are counted otherwise there",
            "Write both places, from 1 up",
        )
    if is_text:
        size = [] if last is None else [number(last - first + 1)]
        return call("SUBSTR", source, number(first), *size, kind="text")
    rest = call("CARDINALITY", require(source, _LIST, "A slice"), kind="int")
    many = rest if last is None else number(last - first + 1)
    return call("SLICE", source, number(first), many, kind="list")


def list_contains(node: Any) -> Any:
    """Athena answers NULL where a list without the value has a NULL in it; DuckDB false."""
    source, wanted = require(node.this, _LIST, "list_contains"), node.expression
    found = call("CONTAINS", source, wanted, kind="bool")
    if isinstance(source, exp.Anonymous) and source.name == "SPLIT":
        return found
    missing: Any = is_null(source)
    if not isinstance(wanted, exp.Literal):
        missing = exp.Or(this=missing, expression=is_null(wanted))
    return either(missing, exp.Null(), coalesce(found, exp.false(), kind="bool"), "bool")


def size(source: Any) -> Any:
    return call("CARDINALITY", require(source, _LIST, "A list's length"), kind="int")


def array_to_string(node: exp.ArrayToString) -> Any:
    separator = literal_text(node.expression)
    if separator is None or node.args.get("null") is not None:
        raise refusal("array_to_string by what is not written out", "it is not known to be equal there")
    return call("ARRAY_JOIN", require(node.this, _LIST, "array_to_string"), text(separator), kind="text")


def list_sort(node: Any) -> Any:
    order = node.args.get("nulls_first")
    if node.args.get("expression") is not None or (order is not None and getattr(order, "this", False)):
        raise refusal("list_sort in another order", "there is none there", "Sort rising")
    return call("ARRAY_SORT", require(node.this, _LIST, "list_sort"), kind="list")


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.Bracket: bracket,
    exp.ArrayContains: list_contains,
    exp.ArraySize: lambda node: size(node.this),
    exp.ArrayToString: array_to_string,
    exp.ArraySort: list_sort,
}
NAMED: Final[Mapping[str, Callable[..., Any]]] = {
    "list_extract": element,
    "element_at": element,
    "array_extract": element,
}
