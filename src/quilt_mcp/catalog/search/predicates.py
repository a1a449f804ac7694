"""From conditions to the stack's filters. What its search lacks is an error, never a condition left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from quilt_mcp.catalog.shapes import number_of
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.facet import Kind
from quilt_mcp.domain.search.filter import span_of
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument

_FIELDS: Final[Mapping[Scope, Mapping[str, str]]] = {
    "packages": {
        "name": "keyword",
        "hash": "keyword",
        "workflow": "keyword",
        "size": "number",
        "entries": "number",
        "modified": "datetime",
    },
    "objects": {
        "key": "keyword",
        "ext": "keyword",
        "size": "number",
        "modified": "datetime",
        "deleted": "boolean",
    },
}
_ALSO: Final[Mapping[Scope, Mapping[str, str]]] = {
    "packages": {"package": "name", "top_hash": "hash"},
    "objects": {"name": "key", "path": "key", "extension": "ext"},
}
_WORDS: Final = {"message": "mnfst_message", "comment": "mnfst_message", "content": "content"}
"""Texts that the stack searches by words only, so by its query, in which they have these names."""
WORDS: Final = "words"
WILDCARD: Final = "wildcard"
"""Operators of conditions that a query was written to (``query_writer``); ``where`` has none of them."""
_WHOLE_NUMBERS: Final = frozenset({"size", "entries"})
_WILD: Final = re.compile(r"[\\*?]")


def filters(scope: Scope, conditions: Iterable[Condition]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Those of the stack's fields, and those of packages' metadata. Raises InvalidArgument."""
    own: dict[str, Any] = {}
    metadata: dict[str, dict[str, Any]] = {}
    for one in conditions:
        if one.operator == WORDS:
            words = {"queryString": one.values[0]}
            if one.column.startswith("/"):
                metadata[f"{one.column} {WORDS}"] = {"path": one.column, "text": words}
            else:
                own["comment"] = words
            continue
        if one.column.startswith("/"):
            if scope != "packages":
                raise InvalidArgument(
                    f"{one.column} is metadata of packages, and objects are searched.",
                    next_step='Search with scope="packages".',
                )
            kind = kind_of(one)
            place = metadata.setdefault(f"{one.column} {kind}", {"path": one.column, kind: {}})
            _add(place[kind], kind, one)
            continue
        name = field_of(one.column, scope)
        kind = _FIELDS[scope].get(name)
        if kind is None:
            raise _unknown(scope, one.column)
        _add(own.setdefault(name, {}), kind, one)
    return own, list(metadata.values())


def as_metadata(scope: Scope, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """A name that is no field of packages, nor near to one, is one of their metadata, as in a listing of packages."""
    if scope != "packages":
        return tuple(conditions)
    return tuple(
        replace(one, column=f"/{one.column}") if _is_metadata(one.column) else one for one in conditions
    )


def _is_metadata(name: str) -> bool:
    known = {*_FIELDS["packages"], *_ALSO["packages"], *_WORDS, "path", "key", "ext", "extension", "content"}
    return not (name.startswith("/") or name in known or suggest(name, [*known]))


def field_of(column: str, scope: Scope) -> str:
    """As the stack calls it."""
    return _ALSO[scope].get(column, column)


def _unknown(scope: Scope, field: str) -> InvalidArgument:
    if field in _WORDS:
        return InvalidArgument(
            f"{field} is searched by its words, not compared.",
            next_step=f"Put it into query, as query='{_WORDS[field]}:word'.",
        )
    if scope == "packages" and field in ("path", "key", "ext", "extension"):
        return InvalidArgument(
            f"A package has no {field}: its files have.",
            next_step="Put it into query, as query='entry_lk:*.csv'; or search with scope=objects.",
        )
    near = suggest(field, list(_FIELDS[scope]))
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return InvalidArgument(
        f"Search over {scope} has no field {field!r}.",
        next_step=f"{meant}The fields are {', '.join(_FIELDS[scope])}; metadata of packages is named by a JSON pointer, as /lot.",
    )


def kind_of(condition: Condition) -> Kind:
    """The type under which the stack has indexed such a value: text that is a date counts as one."""
    value = condition.values[0] if condition.values else ""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    is_date = condition.operator not in ("contains", "like") and span_of(value) is not None
    return "datetime" if is_date else "keyword"


def _add(predicate: dict[str, Any], kind: str, condition: Condition) -> None:
    operator, values = condition.operator, condition.values
    match kind, operator:
        case "keyword", "=" | "in":
            _put(predicate, "terms", [str(value) for value in values], condition)
        case "keyword", "like":
            pattern = _literal(values[0]).replace("%", "*").replace("_", "?")
            _put(predicate, "wildcard", pattern, condition)
        case "keyword", "wildcard":
            _put(predicate, "wildcard", values[0], condition)
        case "keyword", "contains":
            _put(predicate, "wildcard", f"*{_literal(values[0])}*", condition)
        case "boolean", "=" if isinstance(values[0], bool):
            _put(predicate, "true" if values[0] else "false", True, condition)
        case "number" | "datetime", ">=" | "<=" | "=":
            first, last = _bounds(kind, condition)
            if operator != "<=":
                _put(predicate, "gte", first, condition)
            if operator != ">=":
                _put(predicate, "lte", last, condition)
        case "number", ">" | "<" if condition.column in _WHOLE_NUMBERS and type(values[0]) is int:
            step, name = (1, "gte") if operator == ">" else (-1, "lte")
            _put(predicate, name, values[0] + step, condition)
        case _:
            raise _lacks(condition, kind)


def _literal(value: object) -> str:
    return _WILD.sub(r"\\\g<0>", str(value))


def _bounds(kind: str, condition: Condition) -> tuple[object, object]:
    """The first and the last value that equal the condition's: of a date alone, its whole day."""
    value = condition.values[0]
    if kind == "number" and number_of(value) is not None:
        return value, value
    if kind == "datetime" and isinstance(value, str) and (span := span_of(value)) is not None:
        return _spelled(span[0]), _spelled(span[1])
    wanted = "a number" if kind == "number" else "a date, as 2026-01-31 or 2026-01-31T12:00:00Z"
    raise InvalidArgument(
        f"{condition.column} {condition.operator} {value!r}: {wanted} should stand there.",
        next_step=f"Compare {condition.column} with {wanted}.",
    )


def _put(predicate: dict[str, Any], name: str, value: object, condition: Condition) -> None:
    if name in predicate:
        raise InvalidArgument(
            f"{condition.column} has two conditions of the same kind.",
            next_step="Give one; several values stand in a list: name in ('a/b', 'a/c').",
        )
    predicate[name] = value


def _spelled(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _lacks(condition: Condition, kind: str) -> InvalidArgument:
    can = {
        "keyword": "=, in, like and contains",
        "number": "=, >= and <=",
        "datetime": "=, >= and <=",
        "boolean": "= true or = false",
    }[kind]
    return InvalidArgument(
        f"The stack's search cannot compare {condition.column} by {condition.operator!r} with such a value.",
        next_step=f"Use {can}.",
    )
