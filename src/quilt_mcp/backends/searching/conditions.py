"""Conditions: ``where`` of a search over files, as terms of a query."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.query.field import Field, fields_of, named
from quilt_mcp.domain.search.query.term import And, Between, Exists, Not, Or, Query, Regex, Term
from quilt_mcp.domain.search.query.value import number_of, span_of
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument, InvalidWhere


def as_query(conditions: tuple[Condition, ...], scope: Scope, now: datetime) -> Query:
    """Raises InvalidArgument for a field that there is not, InvalidWhere for a value of another type than the field's."""
    return And(tuple(_term(one, scope, now) for one in conditions))


_NOT_COMPARED = ("meta", "file_meta", "readme", "column")
"""Fields that hold many texts."""


def _term(condition: Condition, scope: Scope, now: datetime) -> Query:
    field, pointer = _field(condition.column, scope)

    def term(test: Between | Exists | Regex) -> Term:
        return Term(field, test, pointer, f"{condition.column} {condition.operator}")

    if condition.operator in ("contains", "like") and field.holds in ("number", "size", "time"):
        what = "a time" if field.holds == "time" else "a number"
        raise InvalidWhere(
            f"where compares {field.name} by {condition.operator}, and it is {what}.",
            next_step=f"Compare {field.name} by =, <, <=, > or >=.",
        )
    match condition.operator:
        case "is null":
            return Not(term(Exists()))
        case "is not null":
            return term(Exists())
        case "contains":
            return term(Regex(re.escape(condition.written[0])))
        case "like":
            parts = re.split(r"([%_])", condition.written[0])
            body = "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in parts)
            return term(Regex(f"(?s)^(?:{body})$", exact=True))
        case "in":
            values = zip(condition.values, condition.written, strict=True)
            return Or(tuple(term(_span(field, pointer, *one, now)) for one in values))
        case operator:
            span = _span(field, pointer, condition.values[0], condition.written[0], now)
            return _compared(operator, span, term)


def _compared(operator: str, span: Between, term: Callable[[Between | Exists | Regex], Term]) -> Query:
    low, high = span.low, span.high
    match operator:
        case "<":
            return term(Between(None, low, with_high=False, exact=True))
        case "<=":
            return term(Between(None, high, exact=True))
        case ">":
            return term(Between(high, None, with_low=False, exact=True))
        case ">=":
            return term(Between(low, None, exact=True))
        case "!=":
            return And((term(Exists()), Not(term(span))))
        case _:
            return term(span)


def _field(column: str, scope: Scope) -> tuple[Field, str]:
    known = named(scope)
    if column.startswith("/") and "meta" in known:
        return known["meta"], column
    names = [one.name for one in fields_of(scope) if one.name not in _NOT_COMPARED]
    found = known.get(column.lower())
    if found is not None and found.name in names:
        return found, ""
    near = suggest(column, names)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    of_meta = (
        " A field of the package's metadata is named by its pointer, as /lot." if "meta" in known else ""
    )
    raise InvalidArgument(
        f"Searches over {scope} compare no field {column[:80]!r}.",
        next_step=f"{meant}The fields are {', '.join(names)}.{of_meta} Words of others are looked for by query.",
        details={"near": near},
    )


def _span(field: Field, pointer: str, value: object, written: str, now: datetime) -> Between:
    """What equals the value: of a time its whole day, of metadata what is of the same type."""
    if pointer:
        if isinstance(value, bool):
            return Between(str(value).lower(), str(value).lower(), exact=True)
        if isinstance(value, int | float):
            return Between(value, value, exact=True)
        return Between(written, written, exact=True)
    if field.holds in ("number", "size"):
        number = number_of(written, with_unit=field.holds == "size")
        if number is None:
            raise _mistyped(field, written, "a number")
        return Between(number, number, exact=True)
    if field.holds == "time":
        span = span_of(written, now)
        if span is None:
            raise _mistyped(field, written, "a time, as 2026-01-31")
        return Between(*span, exact=True)
    if field.name == "ext":
        written = written.lower().lstrip(".")
    return Between(written, written, exact=True)


def _mistyped(field: Field, written: str, what: str) -> InvalidWhere:
    return InvalidWhere(
        f"where compares {field.name} with {written[:80]!r}, which is not {what}.",
        next_step=f"Give {what} to compare {field.name} with.",
    )
