"""Rules for what is told of many rows: aggregates and windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    NUMBERS,
    as_double,
    call,
    cast,
    is_null,
    kind_of,
    number,
    require,
    text,
    typed,
    whole,
)
from quilt_mcp.athena.rules.refusal import refusal

_NEEDS_ORDER: Final = (
    exp.RowNumber,
    exp.Ntile,
    exp.Lag,
    exp.Lead,
    exp.FirstValue,
    exp.LastValue,
    exp.NthValue,
)
WINDOWS: Final = (*_NEEDS_ORDER, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist)


def count(node: exp.Count) -> Any:
    if node.this is None:
        return typed(exp.Count(this=exp.Star()), "int")
    if isinstance(node.this, exp.Distinct):
        given = node.this.expressions
        if len(given) != 1 or isinstance(given[0], exp.Tuple):
            raise refusal(
                "count(DISTINCT ..) of several",
                "NULLs count otherwise there",
                "Count the rows of SELECT DISTINCT a, b",
            )
    elif node.expressions:
        raise refusal("count of several", "there is none there", "Count one")
    return typed(exp.Count(this=node.this.copy()), "int")


def _inside(node: Any, rule: Callable[[Any], Any]) -> Any:
    """As the aggregate of what ``rule`` makes of its argument, behind a DISTINCT too."""
    if isinstance(node.this, exp.Distinct):
        if len(node.this.expressions) != 1:
            raise refusal("DISTINCT of several in an aggregate", "there is none there")
        return exp.Distinct(expressions=[rule(node.this.expressions[0]).copy()])
    return rule(node.this).copy()


def total(node: exp.Sum) -> Any:
    def of(one: Any) -> Any:
        require(one, NUMBERS | {"bool"}, "sum")
        return cast(one, "BIGINT", "int") if kind_of(one) == "bool" else one

    kind = kind_of(_argument(node))
    return typed(exp.Sum(this=_inside(node, of)), "int" if kind == "bool" else kind)


def average(node: exp.Avg) -> Any:
    """Of decimals a decimal of as many places there."""

    def of(one: Any) -> Any:
        require(one, NUMBERS, "avg")
        return one if kind_of(one) == "int" else as_double(one)

    return typed(exp.Avg(this=_inside(node, of)), "float")


def _argument(node: Any) -> Any:
    return node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this


def extreme(node: Any) -> Any:
    if node.args.get("count") is not None:
        raise refusal(
            "min and max of the first few", "there is a list of them here and an array there in another order"
        )
    require(node.this, NUMBERS | {"text", "date", "timestamp", "timestamptz", "bool"}, "min and max")
    return typed(type(node)(this=node.this.copy()), kind_of(node.this))


def _of_number(name: str) -> Callable[[Any], Any]:
    return lambda node: call(name, as_double(require(node.this, NUMBERS, name.lower())), kind="float")


def _of_truth(name: str) -> Callable[[Any], Any]:
    return lambda node: call(name, require(node.this, {"bool"}, name.lower()), kind="bool")


def count_if(node: exp.CountIf) -> Any:
    """A sum: NULL where no row is true or false."""
    condition = require(node.this, {"bool"}, "count_if")
    ifs = [
        exp.If(this=condition.copy(), true=number(1)),
        exp.If(this=exp.Not(this=exp.Paren(this=condition.copy())), true=number(0)),
    ]
    return typed(exp.Sum(this=exp.Case(ifs=ifs)), "int")


def best(name: str) -> Callable[[Any], Any]:
    """Rows whose value is NULL are passed over here."""

    def rule(node: Any) -> Any:
        if node.args.get("count") is not None or isinstance(node.this, exp.Distinct):
            raise refusal(
                f"{name.lower()} of the first few",
                "it is not known to be equal there",
                "Use row_number() and QUALIFY",
            )
        found = call(name, node.this, node.expression, kind=kind_of(node.this))
        there = exp.Not(this=is_null(node.this))
        return typed(exp.Filter(this=found, expression=exp.Where(this=there)), kind_of(node.this))

    return rule


def filtered(node: exp.Filter) -> Any:
    """One FILTER of two: that of arg_max, and the query's."""
    if isinstance(node.this, exp.GroupConcat | exp.WithinGroup):
        raise refusal(
            "string_agg with FILTER",
            "there is none of it there",
            "Write string_agg(CASE WHEN .. THEN .. END, ..)",
        )
    if isinstance(node.this, exp.Filter):
        both = exp.And(
            this=exp.Paren(this=node.this.expression.this.copy()),
            expression=exp.Paren(this=node.expression.this.copy()),
        )
        return typed(
            exp.Filter(this=node.this.this.copy(), expression=exp.Where(this=both)), kind_of(node.this)
        )
    return typed(node, kind_of(node.this))


def joined(node: exp.GroupConcat) -> Any:
    """LISTAGG, which has to have an order: that of the values where the query has none."""
    values, order = node.this, None
    if isinstance(values, exp.Order):
        values, order = values.this, values
    is_distinct = isinstance(values, exp.Distinct)
    if is_distinct and isinstance(values.expressions[0], exp.Order):
        order = values.expressions[0]
        values = exp.Distinct(expressions=[order.this.copy()])
    value = values.expressions[0] if is_distinct else values
    if kind_of(value) != "text":
        raise refusal("string_agg of what is not text", "there is none of it there", "CAST it to VARCHAR")
    if isinstance(node.parent, exp.Window):
        raise refusal("string_agg over a window", "there is none there", "Group instead")
    ordered = (
        order.copy()
        if order is not None
        else exp.Order(expressions=[exp.Ordered(this=value.copy(), nulls_first=False)])
    )
    ordered.set("this", None)
    separator = node.args.get("separator") or text(",")
    if not (isinstance(separator, exp.Literal) and separator.is_string):
        raise refusal(
            "string_agg with a separator that is not written out",
            "it has to be there",
            "Write it as a literal",
        )
    listed = call("LISTAGG", values, separator, kind="text")
    return typed(exp.WithinGroup(this=listed, expression=ordered), "text")


def listed(node: exp.ArrayAgg) -> Any:
    return typed(node, "list")


def any_value(node: exp.IgnoreNulls) -> Any:
    if not isinstance(node.this, exp.AnyValue):
        raise refusal("IGNORE NULLS", "it stands elsewhere there", "Leave rows with NULL out with WHERE")
    return call("ARBITRARY", node.this.this, kind=kind_of(node.this.this))


def window(node: exp.Window) -> Any:
    function, order = node.this, node.args.get("order")
    inner = function.this if isinstance(function, exp.Filter) else function
    if node.args.get("alias") or node.args.get("first"):
        raise refusal(
            "A window by its name", "it is not known to be equal there", "Write the window in OVER (..)"
        )
    if isinstance(inner, _NEEDS_ORDER) and order is None:
        raise refusal(
            f"{inner.sql_name().lower()} without ORDER BY in its window",
            "any row may come first",
            "Give it an order",
        )
    spec = node.args.get("spec")
    if spec is not None and (spec.args.get("exclude") or spec.args.get("kind") == "GROUPS"):
        raise refusal(
            "GROUPS and EXCLUDE in a window", "they are not known to be equal there", "Use ROWS or RANGE"
        )
    return typed(node, kind_of(function))


def nth(node: Any) -> Any:
    offset = node.args.get("offset")
    if offset is not None and (whole(offset) or 0) < 1:
        raise refusal(
            f"{node.sql_name().lower()} by a number below 1 or not written out", "it is an error there"
        )
    return typed(node, kind_of(node.this))


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.Count: count,
    exp.Sum: total,
    exp.Avg: average,
    exp.Min: extreme,
    exp.Max: extreme,
    exp.CountIf: count_if,
    exp.LogicalAnd: _of_truth("BOOL_AND"),
    exp.LogicalOr: _of_truth("BOOL_OR"),
    exp.Stddev: _of_number("STDDEV_SAMP"),
    exp.StddevSamp: _of_number("STDDEV_SAMP"),
    exp.StddevPop: _of_number("STDDEV_POP"),
    exp.Variance: _of_number("VAR_SAMP"),
    exp.VariancePop: _of_number("VAR_POP"),
    exp.ApproxDistinct: lambda node: call("APPROX_DISTINCT", node.this, kind="int"),
    exp.ArgMax: best("MAX_BY"),
    exp.ArgMin: best("MIN_BY"),
    exp.GroupConcat: joined,
    exp.ArrayAgg: listed,
    exp.IgnoreNulls: any_value,
    exp.Filter: filtered,
    exp.Window: window,
    exp.Lag: nth,
    exp.Lead: nth,
    exp.NthValue: nth,
    exp.FirstValue: nth,
    exp.LastValue: nth,
}
