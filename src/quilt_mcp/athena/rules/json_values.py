"""Rules for JSON: the metadata of packages and entries is JSON text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    call,
    coalesce,
    either,
    is_null,
    kind_of,
    literal_text,
    number,
    require,
    text,
    typed,
    whole,
)
from quilt_mcp.athena.rules.refusal import refusal

_STEP: Final = re.compile(
    r"""\.([A-Za-z0-9_\-@]+) | \."((?:[^"\\])*)" | \[(\d+)\] | \["([^"\\]*)"\]""", re.VERBOSE
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def path_of(node: Any) -> str:
    """Athena's path for a key, a pointer (``/a/b``), a place in a list or a path (``$.a.b[0]``), as DuckDB takes them."""
    place = whole(node)
    if place is not None:
        if place < 0:
            raise refusal("A place in JSON counted from the end", "there is none there", "Count from 0")
        return f"$[{place}]"
    written = literal_text(node)
    if written is None:
        raise refusal(
            "A path into JSON that is not written out",
            "it has to be read to be translated",
            "Write it as a literal",
        )
    if written.startswith("/"):
        steps = [one.replace("~1", "/").replace("~0", "~") for one in written[1:].split("/")]
        return "$" + "".join(f"[{one}]" if one.isdigit() else _key(one) for one in steps)
    return _path(written) if written.startswith("$") else "$" + _key(written)


def _path(written: str) -> str:
    found, at = ["$"], 1
    while at < len(written):
        step = _STEP.match(written, at)
        if step is None:
            raise refusal(
                f"The JSON path {written!r}",
                "wildcards and places from the end differ there",
                "Write keys and places alone",
            )
        plain, quoted, place, bracketed = step.groups()
        found.append(
            f"[{place}]"
            if place is not None
            else _key(next(k for k in (plain, quoted, bracketed) if k is not None))
        )
        at = step.end()
    return "".join(found)


def _key(name: str) -> str:
    if '"' in name or "\\" in name:
        raise refusal(f"The key {name!r} of JSON", "quotes and backslashes are read otherwise there")
    return f".{name}" if _NAME.fullmatch(name) else f'["{name}"]'


def _source(node: Any) -> Any:
    if isinstance(node.this, exp.DPipe):
        raise refusal("->> after ||", "text that is no JSON is NULL there", "Put x->>'key' in parentheses")
    return require(node.this, {"text", "json"}, "JSON")


def extract(node: exp.JSONExtract) -> Any:
    return call("JSON_EXTRACT", _source(node), text(path_of(node.expression)), kind="json")


def extract_text(node: exp.JSONExtractScalar) -> Any:
    """Objects and lists are text here, and NULL to Athena's scalars: so they are asked for as JSON, unless what the text is used
    for can hold of neither."""
    source, path = _source(node), text(path_of(node.expression))
    scalar = call("JSON_EXTRACT_SCALAR", source, path, kind="text")
    if _is_scalar_anyway(node):
        return scalar
    formatted = call("JSON_FORMAT", call("JSON_EXTRACT", source, path, kind="json"), kind="text")
    return coalesce(scalar, call("NULLIF", formatted, text("null"), kind="text"), kind="text")


def _is_scalar_anyway(node: Any) -> bool:
    """Whether NULL does as well as the text of an object would: as what cannot be a number, or beside a literal that no object is
    equal to, where what is not true is left out."""
    user, inner = _above(node), node
    while isinstance(inner.parent, exp.Paren):
        inner = inner.parent
    match user:
        case exp.EQ():
            other = literal_text(user.right if user.left is inner else user.left)
            return other is not None and other[:1] not in ("", "{", "[") and _only_true_counts(user)
        case exp.In():
            given = [literal_text(one) for one in user.expressions]
            is_plain = all(one is not None and one[:1] not in ("", "{", "[") for one in given)
            return bool(given) and is_plain and _only_true_counts(user)
        case exp.TryCast():
            return user.to.this.name not in ("VARCHAR", "TEXT", "JSON")
        case _:
            return False


def _above(node: Any) -> Any:
    above = node.parent
    while isinstance(above, exp.Paren):
        above = above.parent
    return above


def _only_true_counts(condition: Any) -> bool:
    above = _above(condition)
    while isinstance(above, exp.And | exp.Or):
        above = _above(above)
    return isinstance(above, exp.Where | exp.Having)


def array_length(source: Any, path: Any = None) -> Any:
    """0 for what is no list, as here; NULL where there is nothing."""
    require(source, {"text", "json"}, "json_array_length")
    is_whole = path is None and kind_of(source) == "json"
    found = (
        source
        if is_whole
        else call("JSON_EXTRACT", source, text("$" if path is None else path_of(path)), kind="json")
    )
    length = coalesce(call("JSON_ARRAY_LENGTH", found, kind="int"), number(0), kind="int")
    return either(is_null(found), exp.Null(), length, "int")


def exists(source: Any, path: Any) -> Any:
    require(source, {"text", "json"}, "json_exists")
    found = call("JSON_EXTRACT", source, text(path_of(path)), kind="json")
    there = typed(exp.Paren(this=exp.Not(this=is_null(found))), "bool")
    return either(is_null(source), exp.Null(), there, "bool")


def parse(node: Any) -> Any:
    return call("JSON_PARSE", require(node.this, {"text"}, "JSON"), kind="json")


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.JSONExtract: extract,
    exp.JSONExtractScalar: extract_text,
    exp.ParseJSON: parse,
}
NAMED: Final[Mapping[str, Callable[..., Any]]] = {"json_array_length": array_length, "json_exists": exists}
