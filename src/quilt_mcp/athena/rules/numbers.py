"""Rules for numbers, and for what chooses between values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    NUMBERS,
    Kind,
    as_double,
    binary,
    call,
    cast,
    coalesce,
    kind_of,
    require,
    typed,
    whole,
)
from quilt_mcp.athena.rules.refusal import refusal

_INT: Final = {"int"}


def multiply(node: exp.Mul) -> Any:
    for side in (node.left, node.right):
        require(side, NUMBERS, "*")
    return node


def divide(node: exp.Div) -> Any:
    """Always of doubles, so that a division by zero is infinity in both."""
    for side in (node.left, node.right):
        require(side, NUMBERS, "/")
    found = exp.Div(
        this=as_double(node.left).copy(), expression=as_double(node.right).copy(), typed=True, safe=False
    )
    return typed(found, "float")


def divide_whole(node: exp.IntDiv) -> Any:
    for side in (node.left, node.right):
        require(side, _INT, "//", "Write trunc(a / b)")
    found = exp.Div(this=node.left.copy(), expression=node.right.copy(), typed=True, safe=False)
    return typed(exp.Paren(this=found), "int")


def modulo(node: exp.Mod) -> Any:
    for side in (node.left, node.right):
        require(side, NUMBERS, "%")
    found = exp.Mod(this=node.left.copy(), expression=node.right.copy())
    return typed(exp.Paren(this=found), kind_of(node.left))


def negate(node: exp.Neg) -> Any:
    require(node.this, NUMBERS, "-")
    return node


def power(node: exp.Pow) -> Any:
    return call(
        "POWER", *(as_double(require(one, NUMBERS, "power")) for one in (node.left, node.right)), kind="float"
    )


def rounded(node: exp.Round) -> Any:
    require(node.this, NUMBERS, "round")
    places = node.args.get("decimals")
    if places is not None and whole(places) is None:
        raise refusal(
            "round to a number of places that is not written out", "it is not known to be equal there"
        )
    if places is not None and kind_of(node.this) == "int":
        raise refusal(
            "round of a whole number to places", "it is not known to be equal there", "Leave the places out"
        )
    return call("ROUND", node.this, *([] if places is None else [places]), kind=kind_of(node.this))


def _of_double(name: str) -> Callable[[Any], Any]:
    def rule(node: Any) -> Any:
        source = require(node.this, NUMBERS, name.lower())
        is_exact = kind_of(source) == "decimal"
        return call(name, source if is_exact else as_double(source), kind="decimal" if is_exact else "float")

    return rule


def _kept(name: str) -> Callable[[Any], Any]:
    return lambda node: call(name, require(node.this, NUMBERS, name.lower()), kind=kind_of(node.this))


def _function(name: str) -> Callable[[Any], Any]:
    return lambda node: call(name, as_double(require(node.this, NUMBERS, name.lower())), kind="float")


def sign(node: exp.Sign) -> Any:
    return cast(call("SIGN", require(node.this, NUMBERS, "sign"), kind="float"), "BIGINT", "int")


def logarithm(node: exp.Log) -> Any:
    base, source = (10, node.this) if node.expression is None else (whole(node.this), node.expression)
    if base not in (2, 10):
        raise refusal(
            "log to another base than 2 and 10",
            "its arguments stand in another order",
            "Write ln(x) / ln(base)",
        )
    return call(f"LOG{base}", as_double(require(source, NUMBERS, "log")), kind="float")


def _choosing(name: str) -> Callable[[Any], Any]:
    """DuckDB passes over NULLs; to Athena one NULL is enough."""

    def rule(node: Any) -> Any:
        given = [node.this, *node.expressions]
        kinds: list[Kind] = [kind_of(one) for one in given if kind_of(one) != "null"]
        kind: Kind = kinds[0] if kinds else "null"
        if any(kind_of(one) in ("unknown", "json", "list") for one in given):
            raise refusal(
                f"{name.lower()} of values of a type that is not known",
                "it is not known to be equal",
                "CAST them",
            )
        found = given[0]
        for one in given[1:]:
            found = coalesce(call(name, found, one, kind=kind), found, one, kind=kind)
        found.meta["least"] = max((whole(one) or 0 for one in given), default=0) if name == "GREATEST" else 0
        return found

    return rule


def is_(node: exp.Is) -> Any:
    truth = node.expression
    if isinstance(truth, exp.Null):
        return node
    if not isinstance(truth, exp.Boolean):
        raise refusal(
            "IS with anything but NULL, TRUE and FALSE", "there is none there", "Write IS NOT DISTINCT FROM"
        )
    require(node.this, {"bool"}, "IS TRUE")
    said = node.this.copy() if truth.this else exp.Not(this=exp.Paren(this=node.this.copy()))
    return coalesce(said, exp.false(), kind="bool")


def same(node: exp.NullSafeEQ) -> Any:
    return typed(exp.Not(this=binary(exp.NullSafeNEQ, node.left, node.right)), "bool")


def coalesced(node: exp.Coalesce) -> Any:
    given = [node.this, *node.expressions]
    return given[0] if len(given) == 1 else call("COALESCE", *given, kind=_first_kind(given))


def nulled(node: exp.Nullif) -> Any:
    return call("NULLIF", node.this, node.expression, kind=kind_of(node.this))


def _first_kind(given: list[Any]) -> Any:
    kinds = {kind_of(one) for one in given} - {"null"}
    if kinds <= NUMBERS and kinds:
        return "float" if "float" in kinds else "decimal" if "decimal" in kinds else "int"
    return next(iter(kinds)) if len(kinds) == 1 else "unknown"


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.Mul: multiply,
    exp.Div: divide,
    exp.IntDiv: divide_whole,
    exp.Mod: modulo,
    exp.Neg: negate,
    exp.Pow: power,
    exp.Round: rounded,
    exp.Ceil: _of_double("CEIL"),
    exp.Floor: _of_double("FLOOR"),
    exp.Trunc: _of_double("TRUNCATE"),
    exp.Abs: _kept("ABS"),
    exp.Sign: sign,
    exp.Sqrt: _function("SQRT"),
    exp.Cbrt: _function("CBRT"),
    exp.Exp: _function("EXP"),
    exp.Ln: _function("LN"),
    exp.Log: logarithm,
    exp.Greatest: _choosing("GREATEST"),
    exp.Least: _choosing("LEAST"),
    exp.Is: is_,
    exp.NullSafeEQ: same,
    exp.Coalesce: coalesced,
    exp.Nullif: nulled,
}
LOUD_HERE: Final = (exp.Sqrt, exp.Ln, exp.Log)
"""What raises an error here, and is NaN or an infinity there, for arguments that they have no value for."""
