"""Arguments as clients spell them, made into what a tool's schema says, before ``schema.check`` looks at them.

Taken is what can mean one thing only (decision 025):

    null for an optional argument      as if it was not given, inside lists of objects too
    "10", "true"                       where a number or a boolean is wanted, spelled exactly so
    '["a"]', '{"k": 1}'                JSON text, where a list or an object is wanted
    "data/", {"from": "data/"}         one item where a list is wanted; a text for an item whose one required field is a text
    ""                                 for an optional address or choice of rows, as if it was not given
    0.01                               for a text that spells an amount (tolerance)
    sessionId and the like             what hosts add to each call, ignored with a warning

Nothing is looked for inside a free object (metadata): there a null, and a text that looks like a number, are data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, cast

from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.vocabulary import Schema

HOST_EXTRAS: Final = ("toolCallId", "sessionId", "action", "chatInput", "_meta")
"""What hosts are known to add to the arguments of every call (n8n the first four). Any other unknown argument is refused."""
ADDRESSES: Final = frozenset(
    {
        "registry",
        "package",
        "uri",
        "path",
        "location",
        "dest",
        "before",
        "after",
        "prefix",
        "cursor",
        "find",
        "rows",
        "where",
        "columns",
    }
)
"""Arguments that name something: empty, they name nothing, as if they were not given. Not the name that a copy is made under: a
copy that is given none is a rollback of its source, so an empty one is refused there."""
AMOUNTS: Final = frozenset({"tolerance"})
"""Texts that may be a number alone."""
NEVER_EMPTY: Final = {
    "expected_top_hash": "An empty guard would guard nothing: give the top hash that you have seen, or leave it out.",
    "from": "An empty source would be the whole root: name a file or folder, or '.' if the root is meant.",
}
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_SWITCHES: Final = {"true": True, "false": False, "True": True, "False": False}


def coerce(
    schema: Schema, arguments: Mapping[str, Any], former: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments as the schema has them, and what to warn of. ``former``: old names of arguments, to their new ones.

    Raises InvalidArgument for what could mean two things, and for an empty guard or source. What it does not know how to read
    it leaves as it is, for the check to refuse.
    """
    properties: Mapping[str, Schema] = schema["properties"]
    given = {key: value for key, value in arguments.items() if key in properties}
    ignored: list[str] = []
    for key, value in arguments.items():
        if key in properties:
            continue
        if key in HOST_EXTRAS:
            ignored.append(key)
        elif key not in former:
            given[key] = value
        elif value is not None:
            if given.get(former[key]) is not None:
                _refuse(
                    key,
                    f"is the former name of {former[key]}, and both are given",
                    f"Give {former[key]} alone.",
                )
            given[former[key]] = value
    said = f"ignored: {', '.join(ignored)}: no argument of this tool; the client adds it to each call."
    return _of_object(schema, given, ""), (said,) if ignored else ()


def _of_object(schema: Schema, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    properties: Mapping[str, Schema] = schema["properties"]
    taken: dict[str, Any] = {}
    for key, one in value.items():
        if key not in properties:
            taken[key] = one
            continue
        at = f"{path}.{key}" if path else key
        if isinstance(one, str) and not one.strip() and key in NEVER_EMPTY:
            _refuse(at, "is empty", NEVER_EMPTY[key])
        if one is None or (one == "" and key in ADDRESSES):
            continue
        taken[key] = _of(properties[key], one, at)
    return taken


def _of(schema: Schema, value: Any, path: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return _of_list(schema, value, path)
    if kind == "object":
        found = _json(value) if isinstance(value, str) else value
        if not isinstance(found, Mapping):
            return value
        fields = cast("Mapping[str, Any]", found)
        return _of_object(schema, fields, path) if "properties" in schema else fields
    if (
        kind == "string"
        and path in AMOUNTS
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        return repr(value)
    if not isinstance(value, str):
        return value
    if kind == "boolean":
        return _SWITCHES.get(value, value)
    if kind == "integer" and _INTEGER.fullmatch(value):
        return int(value)
    if kind == "number" and _NUMBER.fullmatch(value):
        return float(value)
    return value


def _of_list(schema: Schema, value: Any, path: str) -> Any:
    item: Schema = schema["items"]
    many: Sequence[Any]
    if isinstance(value, str):
        if not value.strip():
            _refuse(path, "is empty", f"Give {path} as a list, or leave it out.")
        found = _json(value)
        if isinstance(found, list):
            items = cast("list[Any]", found)
            if item.get("type") == "string" and not all(isinstance(one, str) for one in items):
                _refuse(
                    path,
                    "could be a list written as JSON text, or one text that looks like it",
                    f"Give a list of texts: {json.dumps([value[:100]])} if the text itself is meant.",
                )
            many = items
        else:
            many = [value]
    elif isinstance(value, Mapping) and item.get("type") == "object":
        many = [value]
    elif isinstance(value, list | tuple):
        many = cast("Sequence[Any]", value)
    else:
        return cast("Any", value)
    return [_of_item(item, one, f"{path}[{number}]") for number, one in enumerate(many)]


def _of_item(schema: Schema, value: Any, path: str) -> Any:
    field = _sole_text(schema)
    if field is not None and isinstance(value, str) and not isinstance(_json(value), Mapping):
        return _of_object(schema, {field: value}, path)
    return _of(schema, value, path)


def _sole_text(schema: Schema) -> str | None:
    """The one required field of an object, when it is a text."""
    required = schema.get("required", ())
    if len(required) == 1 and schema["properties"][required[0]].get("type") == "string":
        return str(required[0])
    return None


def _json(text: str) -> Any:
    """The list or object that a JSON text holds; None for any other text, one that names a key twice included."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _refuse(path: str, fault: str, next_step: str) -> NoReturn:
    raise InvalidArgument(f"The argument {path} {fault}.", next_step=next_step, details={"argument": path})
