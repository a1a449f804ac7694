"""Conditions: ``where`` of a search over files, as terms of a query."""

from __future__ import annotations

import re
from datetime import datetime

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.query.field import Field, fields_of, named
from quilt_mcp.domain.search.query.term import And, Between, Bound, Exists, Not, Or, Query, Regex, Term
from quilt_mcp.domain.search.query.value import number_of, span_of
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument, InvalidWhere


def as_query(conditions: tuple[Condition, ...], scope: Scope, now: datetime) -> Query:
    """Raises InvalidArgument for a field that there is not, InvalidWhere for a value of another type than the field's."""
    return And(tuple(_term(one, scope, now) for one in conditions))


def _term(condition: Condition, scope: Scope, now: datetime) -> Query:
    field, pointer = _field(condition.column, scope)
    operator = condition.operator

    def term(test: Between | Exists | Regex) -> Term:
        return Term(field, test, pointer, f"{condition.column} {operator}")

    match operator:
        case "is null":
            return Not(term(Exists()))
        case "is not null":
            return term(Exists())
        case "contains":
            return term(Regex(re.escape(condition.written[0])))
        case "like":
            parts = re.split(r"([%_])", condition.written[0])
            body = "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in parts)
            return term(Regex(f"(?s-i)^(?:{body})$"))
        case "in":
            return Or(tuple(term(Between(*_span(field, pointer, one, now))) for one in condition.written))
        case _:
            pass
    low, high = _span(field, pointer, condition.written[0], now)
    match operator:
        case "<":
            return term(Between(None, low, with_high=False))
        case "<=":
            return term(Between(None, high))
        case ">":
            return term(Between(high, None, with_low=False))
        case ">=":
            return term(Between(low, None))
        case "!=":
            return And((term(Exists()), Not(term(Between(low, high)))))
        case _:
            return term(Between(low, high))


def _field(column: str, scope: Scope) -> tuple[Field, str]:
    known = named(scope)
    if column.startswith("/") and "meta" in known:
        return known["meta"], column
    if (found := known.get(column.lower())) is not None:
        return found, ""
    names = [one.name for one in fields_of(scope)]
    near = suggest(column, names)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise InvalidArgument(
        f"Searches over {scope} have no field {column[:80]!r}.",
        next_step=f"{meant}The fields are {', '.join(names)}.",
        details={"near": near},
    )


def _span(field: Field, pointer: str, written: str, now: datetime) -> tuple[Bound, Bound]:
    if field.holds in ("number", "size") or pointer:
        number = number_of(written, with_unit=field.holds == "size")
        if number is not None:
            return number, number
        if not pointer:
            raise _mistyped(field, written, "a number")
    if field.holds == "time" or pointer:
        span = span_of(written, now)
        if span is not None:
            return span
        if not pointer:
            raise _mistyped(field, written, "a time, as 2026-01-31")
    if field.name == "ext":
        written = written.lower().lstrip(".")
    return (written.lower(), written.lower()) if pointer else (written, written)


def _mistyped(field: Field, written: str, what: str) -> InvalidWhere:
    return InvalidWhere(
        f"where compares {field.name} with {written[:80]!r}, which is not {what}.",
        next_step=f"Give {what} to compare {field.name} with.",
    )
