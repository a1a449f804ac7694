"""QUALIFY, which Athena has none of: a query around the query."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.refusal import refusal

_ROWS: Final = "_rows"
_KEPT: Final = "_kept"


def without_qualify(tree: Any) -> Any:
    for select in list(tree.find_all(exp.Select)):
        if select.args.get("qualify") is not None:
            outer = _around(select)
            if select is tree:
                tree = outer
    return tree


def _around(select: Any) -> Any:
    if select.args.get("distinct") is not None:
        raise refusal(
            "DISTINCT with QUALIFY", "there is no QUALIFY there", "Put one into a query around the other"
        )
    condition = select.args["qualify"].this
    order, limit, offset, ctes = (select.args.get(name) for name in ("order", "limit", "offset", "with_"))
    inner = select.copy()
    for name in ("qualify", "order", "limit", "offset", "with_"):
        inner.set(name, None)
    names = [one.alias_or_name for one in inner.expressions]
    inner.append("expressions", _named(_projected(condition, inner), _KEPT))
    terms: list[Any] = []
    given: list[Any] = [] if order is None else order.expressions
    for number, one in enumerate(given):
        term = one.copy()
        known = str(one.this.name) if isinstance(one.this, exp.Column) and not one.this.table else ""
        if known not in names:
            known = f"_order_{number}"
            inner.append("expressions", _named(one.this, known))
        term.set("this", _column(known))
        terms.append(term)
    rows = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(_ROWS, quoted=True)))
    outer = exp.Select(
        expressions=[_named(_column(name), name) for name in names],
        from_=exp.From(this=rows),
        where=exp.Where(this=_column(_KEPT)),
        order=exp.Order(expressions=terms) if terms else None,
        limit=limit and limit.copy(),
        offset=offset and offset.copy(),
        with_=ctes and ctes.copy(),
    )
    if select.parent is not None:
        select.replace(outer)
    return outer


def _projected(condition: Any, inner: Any) -> Any:
    """Names of projections in the condition are what they stand for."""
    by_name = {one.alias: one.this for one in inner.expressions if isinstance(one, exp.Alias)}

    def spelled(node: Any) -> Any:
        if isinstance(node, exp.Column) and not node.table and node.name in by_name:
            return exp.Paren(this=by_name[node.name].copy())
        return node

    return condition.copy().transform(spelled)


def _named(node: Any, name: str) -> Any:
    return exp.Alias(this=node.copy(), alias=exp.to_identifier(name, quoted=True))


def _column(name: str) -> Any:
    return exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(_ROWS, quoted=True))
