"""From conditions to the stack's filters. What its search lacks is an error, never a condition left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search import Condition, Scope
from quilt_mcp.errors import InvalidArgument

_FIELDS: Final[Mapping[Scope, Mapping[str, str]]] = {
    "packages": {
        "name": "keyword",
        "hash": "keyword",
        "workflow": "keyword",
        "size": "number",
        "entries": "number",
        "modified": "datetime",
        "comment": "text",
    },
    "objects": {
        "key": "keyword",
        "ext": "keyword",
        "size": "number",
        "modified": "datetime",
        "content": "text",
        "deleted": "boolean",
    },
}
_ALSO: Final = {"message": "comment", "path": "key", "extension": "ext"}


def filters(scope: Scope, conditions: Iterable[Condition]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Those of the stack's fields, and those of packages' metadata. Raises InvalidArgument."""
    own: dict[str, Any] = {}
    metadata: dict[str, dict[str, Any]] = {}
    for one in conditions:
        if one.field.startswith("/"):
            if scope != "packages":
                raise InvalidArgument(
                    f"{one.field} is metadata of packages, and objects are searched.",
                    next_step='Search with scope="packages".',
                )
            kind = _kind_of(one)
            place = metadata.setdefault(f"{one.field} {kind}", {"path": one.field, kind: {}})
            _add(place[kind], kind, one)
            continue
        name = _ALSO.get(one.field, one.field)
        kind = _FIELDS[scope].get(name)
        if kind is None:
            raise _unknown(scope, one.field)
        _add(own.setdefault(name, {}), kind, one)
    return own, list(metadata.values())


def _unknown(scope: Scope, field: str) -> InvalidArgument:
    near = suggest(field, list(_FIELDS[scope]))
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return InvalidArgument(
        f"Search over {scope} has no field {field!r}.",
        next_step=f"{meant}The fields are {', '.join(_FIELDS[scope])}; metadata of packages is named by a JSON pointer, as /lot.",
    )


def _kind_of(condition: Condition) -> str:
    """The type under which the stack has indexed such a value: text that is a date counts as one."""
    if condition.operator == "contains":
        return "text"
    value = condition.values[0] if condition.values else ""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "datetime" if _moment(value) is not None else "keyword"


def _add(predicate: dict[str, Any], kind: str, condition: Condition) -> None:
    operator, values = condition.operator, condition.values
    match kind, operator:
        case "keyword", "=" | "in":
            _put(predicate, "terms", [str(value) for value in values], condition)
        case "keyword", "like":
            _put(predicate, "wildcard", str(values[0]).replace("%", "*").replace("_", "?"), condition)
        case "text", "contains" | "=":
            _put(predicate, "queryString", str(values[0]), condition)
        case "boolean", "=" if isinstance(values[0], bool):
            _put(predicate, "true" if values[0] else "false", True, condition)
        case "number" | "datetime", ">=" | "<=" | "=":
            value = _bound(kind, condition)
            for name in {">=": ("gte",), "<=": ("lte",), "=": ("gte", "lte")}[operator]:
                _put(predicate, name, value, condition)
        case "number", ">" | "<" if isinstance(values[0], int) and not isinstance(values[0], bool):
            step, name = (1, "gte") if operator == ">" else (-1, "lte")
            _put(predicate, name, values[0] + step, condition)
        case _:
            raise _lacks(condition, kind)


def _bound(kind: str, condition: Condition) -> object:
    value = condition.values[0]
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if kind == "datetime" and (moment := _moment(value)) is not None:
        return moment
    wanted = "a number" if kind == "number" else "a date, as 2026-01-31 or 2026-01-31T12:00:00Z"
    raise InvalidArgument(
        f"{condition.field} {condition.operator} {value!r}: {wanted} should stand there.",
        next_step=f"Compare {condition.field} with {wanted}.",
    )


def _put(predicate: dict[str, Any], name: str, value: object, condition: Condition) -> None:
    if name in predicate:
        raise InvalidArgument(
            f"{condition.field} has two conditions of the same kind.",
            next_step="Give one; several values stand in a list: name in ('a/b', 'a/c').",
        )
    predicate[name] = value


def _moment(value: object) -> str | None:
    if not isinstance(value, str) or len(value) < 8:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.isoformat() if found.tzinfo is not None else f"{found.isoformat()}Z"


def _lacks(condition: Condition, kind: str) -> InvalidArgument:
    can = {
        "keyword": "=, in and like",
        "text": "contains",
        "number": "=, >= and <=",
        "datetime": "=, >= and <=",
        "boolean": "= true or = false",
    }[kind]
    return InvalidArgument(
        f"The stack's search cannot compare {condition.field} by {condition.operator!r} with such a value.",
        next_step=f"Use {can}.",
    )
