"""Kinds: types of columns, as the engine parsed them. Where a file or Python has not all values of one, it is kept as text.

What is exact is a list: a type that a later engine brings becomes text until somebody has looked at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

IN_PYTHON: Final = frozenset(
    (
        "null", "boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "float",
        "double", "decimal", "varchar", "blob", "uuid", "enum", "time",
    )
)  # fmt: skip
"""Python has no infinite date, no nanoseconds and few years."""
IN_PARQUET: Final = IN_PYTHON | {
    *("date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"),
}
WIDE: Final = frozenset(("hugeint", "uhugeint"))
"""Whole numbers that Parquet writes as floats."""
NESTED: Final = frozenset(("list", "array", "struct", "tuple", "map", "union", "variant"))
_UNHASHABLE: Final = frozenset(("list", "array", "struct", "map", "tuple"))
_BEFORE_TIME: Final = re.compile(r" (?=\d\d:)")
_PARTS: Final = re.compile(r"\.\d+")
_ZONE: Final = re.compile(r"([+-]\d\d)$")


def _moment(said: str) -> str:
    """As ISO 8601 has it, with six digits of a second's parts at least."""
    return _PARTS.sub(lambda found: found[0].ljust(7, "0"), _BEFORE_TIME.sub("T", said, count=1))


def _zoned(said: str) -> str:
    return _ZONE.sub(r"\1:00", _moment(said))


_REVIVED: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("hugeint", "uhugeint"), int),
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"), _moment),
    "timestamp with time zone": _zoned,
}


def kept_as(kind: Any, exact: frozenset[str]) -> str | None:
    """The type, as it is written in a CAST, that has all values of ``kind`` where ``exact`` is what is kept by itself; None
    where that is ``kind``. ``kind`` is a DuckDBPyType, or None for one that is not known."""
    if kind is None:
        return "VARCHAR"
    name = str(kind.id)
    if name in exact:
        return None
    try:
        match name:
            case "list":
                return _around(kind, exact, "{}[]")
            case "array":
                return _around(kind, exact, f"{{}}[{kind.children[1][1]}]")
            case "struct" | "tuple":
                return _struct(kind, exact)
            case "map":
                parts = [(one, kept_as(one, exact)) for _, one in kind.children]
                if all(made is None for _, made in parts):
                    return None
                return f"MAP({', '.join(made or str(one) for one, made in parts)})"
            case _:
                return "VARCHAR"
    except (ValueError, TypeError, IndexError, AttributeError):
        return "VARCHAR"


def reviver(kind: Any) -> Callable[[Any], Any] | None:
    """What makes a value of what was read as ``kept_as(kind, IN_PYTHON)`` says, None where it is that value."""
    made = kept_as(kind, IN_PYTHON)
    if made is None or kind is None:
        return None
    match str(kind.id) if made != "VARCHAR" else "":
        case "list" | "array":
            inner = reviver(kind.children[0][1]) or _same
            return lambda value: None if value is None else [inner(one) for one in value]
        case "struct" | "tuple":
            parts = {name: reviver(one) or _same for name, one in _fields(kind)}
            return lambda value: (
                None if value is None else {name: part(value[name]) for name, part in parts.items()}
            )
        case "map":
            (_, keys), (_, values) = kind.children
            return _map_of(
                reviver(keys) or _same, reviver(values) or _same, has_lists=str(keys.id) in _UNHASHABLE
            )
        case _:
            revived = _REVIVED.get(str(kind.id))
            return None if revived is None else lambda value: None if value is None else revived(value)


def _map_of(
    key: Callable[[Any], Any], part: Callable[[Any], Any], *, has_lists: bool
) -> Callable[[Any], Any]:
    """Python has a map whose keys are no keys of a dictionary as two lists."""

    def revived(value: Any) -> Any:
        if value is None:
            return None
        if has_lists:
            return {"key": [key(one) for one in value["key"]], "value": [part(one) for one in value["value"]]}
        return {key(one): part(of) for one, of in value.items()}

    return revived


def _around(kind: Any, exact: frozenset[str], form: str) -> str | None:
    inner = kept_as(kind.children[0][1], exact)
    return None if inner is None else form.format(inner)


def _struct(kind: Any, exact: frozenset[str]) -> str | None:
    parts = [(name, one, kept_as(one, exact)) for name, one in _fields(kind)]
    if all(made is None for _, _, made in parts):
        return None
    return f"STRUCT({', '.join(f'{_quoted(name)} {made or one}' for name, one, made in parts)})"


def _fields(kind: Any) -> list[tuple[str, Any]]:
    """A tuple's have no names, and are named as the engine names them in a file."""
    return [(name or f"element{number}", one) for number, (name, one) in enumerate(kind.children, 1)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _same(value: Any) -> Any:
    return value
