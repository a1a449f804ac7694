"""Rules for comparisons and casts, where a wrong type says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    MICROSECONDS,
    NUMBERS,
    a_kind,
    call,
    cast,
    kind_of,
    kind_of_type,
    literal_text,
    require,
    typed,
)
from quilt_mcp.athena.rules.refusal import refusal

_CAST_TO: Final = {"date": "DATE", "timestamp": MICROSECONDS, "timestamptz": "TIMESTAMP WITH TIME ZONE"}
_ROUNDING: Final = ("ROUND", "CEIL", "FLOOR", "TRUNCATE")
_UNSIGNED: Final = ("UTINYINT", "USMALLINT", "UINT", "UBIGINT", "UINT128")
_SPELLED_ALIKE: Final = ("text", "int", "bool", "date", "decimal", "null")


def compared(node: Any) -> Any:
    if isinstance(node.right, exp.Any | exp.All):
        if (
            isinstance(node, exp.EQ)
            and isinstance(node.right, exp.Any)
            and isinstance(node.right.this, exp.Subquery)
        ):
            return typed(exp.In(this=node.left.copy(), query=node.right.this.copy()), "bool")
        raise refusal(
            "ANY and ALL",
            "but for = ANY (SELECT ..) they are not known to be equal",
            "Compare with min(..) or max(..)",
        )
    left, right = _alike(node.left, node.right), _alike(node.right, node.left)
    _check(left, right)
    node.set("this", left)
    node.set("expression", right)
    return typed(node, "bool")


def between(node: exp.Between) -> Any:
    for name in ("low", "high"):
        bound = _alike(node.args[name], node.this)
        _check(node.this, bound)
        node.set(name, bound)
    return typed(node, "bool")


def among(node: exp.In) -> Any:
    if node.args.get("unnest") is not None or node.args.get("field") is not None:
        raise refusal(
            "IN a list", "there is none there", "Write list_contains(list, x), or the values in parentheses"
        )
    given = [_alike(one, node.this) for one in node.expressions]
    for one in given:
        if not isinstance(node.this, exp.Tuple):
            _check(node.this, one)
    node.set("expressions", given)
    return typed(node, "bool")


def _alike(side: Any, other: Any) -> Any:
    """A time that is written as text is cast to what it is compared with."""
    if literal_text(side) is not None and kind_of(other) in _CAST_TO:
        return cast(side, _CAST_TO[kind_of(other)], kind_of(other))
    return side


def _check(left: Any, right: Any) -> None:
    if isinstance(left, exp.Subquery) or isinstance(right, exp.Subquery):
        return
    kinds = {kind_of(left), kind_of(right)} - {"null"}
    if len(kinds) <= 1 and not kinds & {"json", "interval"}:
        return
    if kinds <= NUMBERS or kinds <= {"date", "timestamp", "timestamptz"}:
        return
    if "json" in kinds:
        raise refusal("A comparison of JSON", "there is none there", "Compare text: metadata->>'key'")
    if "unknown" in kinds:
        return
    first, second = (a_kind(kind_of(one)) for one in (left, right))
    raise refusal(
        f"A comparison of {first} and {second}",
        "one is made the other here, and none there",
        "CAST one of them",
    )


def joined(node: Any) -> Any:
    """AND, OR, WHERE and HAVING, and what CASE asks: of truth alone."""
    for one in (node.this, node.args.get("expression")):
        if one is not None:
            _true_or_false(one)
    return node


def negated(node: exp.Not) -> Any:
    _true_or_false(node.this)
    return typed(node, "bool")


def chosen(node: exp.If) -> Any:
    if not (isinstance(node.parent, exp.Case) and node.parent.this is not None):
        _true_or_false(node.this)
    return node


def _true_or_false(node: Any) -> None:
    if kind_of(node) not in ("bool", "null", "unknown"):
        raise refusal(
            f"A condition that is {a_kind(kind_of(node))}", "there is none there", "Compare it with something"
        )


def casted(node: Any) -> Any:
    """CAST and TRY_CAST."""
    name, to = node.to.this.name, kind_of_type(node.to)
    source, kind = node.this, kind_of(node.this)
    tries = isinstance(node, exp.TryCast)
    if name in _UNSIGNED:
        raise refusal("Unsigned whole numbers", "there are none there", "CAST to BIGINT")
    if name == "INT128":
        return (
            _cast(source, "DECIMAL(38, 0)", "decimal", tries)
            if kind == "int"
            else _whole(source, kind, "BIGINT", tries)
        )
    extracted = _bare(source)
    if (
        kind == "json"
        and to != "json"
        and isinstance(extracted, exp.Anonymous)
        and extracted.name == "JSON_EXTRACT"
    ):
        if to == "text":
            raise refusal(
                "A CAST of JSON to text", "text keeps its quotes in one of them", "Take it with ->>"
            )
        source, kind = call("JSON_EXTRACT_SCALAR", *extracted.expressions, kind="text"), "text"
    match to:
        case "text":
            return _spelled(source, kind)
        case "int":
            return _whole(source, kind, name, tries)
        case "float":
            require(source, NUMBERS | {"text"}, "A CAST to a double")
            return _cast(source, "REAL" if name == "FLOAT" else "DOUBLE", "float", tries)
        case "decimal":
            require(source, NUMBERS | {"text"}, "A CAST to a decimal")
            sizes = [int(str(one.this)) for one in node.to.expressions] or [18, 3]
            return _cast(source, f"DECIMAL({', '.join(map(str, sizes))})", "decimal", tries)
        case "date" | "timestamp":
            require(
                source,
                {"date", "timestamp", "text"} | ({"timestamptz"} if not tries else set()),
                "A CAST to a time",
            )
            return (
                source if kind == to else _cast(source, "DATE" if to == "date" else MICROSECONDS, to, tries)
            )
        case "json":
            return (
                source
                if kind == "json"
                else call("JSON_PARSE", require(source, {"text"}, "A CAST to JSON"), kind="json")
            )
        case "bool" if kind == "bool":
            return source
        case _:
            raise refusal(
                f"A CAST of {a_kind(kind)} to {name}", "it is not known to be equal there", "Use CASE"
            )


def _cast(source: Any, to: str, kind: Any, tries: bool) -> Any:
    made = exp.TryCast if tries else exp.Cast
    return typed(made(this=source.copy(), to=exp.DataType.build(to, dialect="trino")), kind)


def _spelled(source: Any, kind: str) -> Any:
    """The length of VARCHAR(n) means nothing here."""
    if kind not in _SPELLED_ALIKE:
        raise refusal(
            f"A CAST of {a_kind(kind)} to text",  # pyright: ignore[reportArgumentType]
            "it is spelled otherwise there",
            "Spell it with strftime, or CAST(round(..) AS BIGINT) first",
        )
    return source if kind == "text" else cast(source, "VARCHAR", "text")


def _whole(source: Any, kind: str, name: str, tries: bool) -> Any:
    """Halves of a double go to the even number here, and up there; text with a fraction is rounded here, and an error there."""
    to = {"INT": "INTEGER"}.get(name, name)
    if kind in ("int", "bool", "null"):
        return _cast(source, to, "int", tries)
    if kind == "decimal":
        return _cast(call("ROUND", source, kind="decimal"), to, "int", tries)
    if kind == "float":
        if not (isinstance(_bare(source), exp.Anonymous) and _bare(source).name in _ROUNDING):
            raise refusal(
                "A CAST of a double to a whole number",
                "halves are rounded otherwise there",
                "Write CAST(round(x) AS BIGINT)",
            )
        return _cast(source, to, "int", tries)
    require(source, {"text"}, "A CAST to a whole number")
    exact = _cast(call("TRIM", source, kind="text"), "DECIMAL(38, 9)", "decimal", tries)
    return _cast(call("ROUND", exact, kind="decimal"), to, "int", tries)


def _bare(node: Any) -> Any:
    return _bare(node.this) if isinstance(node, exp.Paren) else node


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.EQ: compared,
    exp.NEQ: compared,
    exp.GT: compared,
    exp.GTE: compared,
    exp.LT: compared,
    exp.LTE: compared,
    exp.NullSafeNEQ: compared,
    exp.Between: between,
    exp.In: among,
    exp.And: joined,
    exp.Or: joined,
    exp.Where: joined,
    exp.Having: joined,
    exp.Not: negated,
    exp.If: chosen,
    exp.Cast: casted,
    exp.TryCast: casted,
}
