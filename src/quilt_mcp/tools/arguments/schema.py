"""JSON Schemas of tool arguments: written by hand as dicts, and checked here.

The subset that tools use: type (one), enum, properties, required, items, minimum, maximum, minLength, maxLength, maxItems. An
object that has ``properties`` has no others: that is checked here and not told on the wire, as some clients' dialects know no
``additionalProperties`` (decision 025). A test holds ``check`` equal to a full validator on that subset. Written out
rather than imported because a validator library costs start-up time and its messages are not meant for an agent.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.vocabulary import Schema

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": Mapping,
    "array": (list, tuple),
}
_NAMES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "array": "a list",
}


def check(schema: Schema, value: Any, *, path: str = "", unlisted: Collection[str] = ()) -> Any:
    """The value with defaults filled in at the top level of each object. Raises InvalidArgument at the first fault. ``unlisted``:
    properties of the value that are not told of."""
    _check_type(schema, value, path)
    if "enum" in schema and value not in schema["enum"]:
        _fail(path, f"is {_shown(value)}", f"Use one of {', '.join(map(_shown, schema['enum']))}.")
    if isinstance(value, str):
        _check_length(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(schema, value, path)
        if schema.get("type") == "integer":
            return int(value)
    elif isinstance(value, list | tuple):
        return _check_items(schema, cast("Sequence[Any]", value), path)
    elif isinstance(value, Mapping) and "properties" in schema:
        return _check_object(schema, cast("Mapping[str, Any]", value), path, unlisted)
    return cast("Any", value)


def _check_object(
    schema: Schema, value: Mapping[str, Any], path: str, unlisted: Collection[str]
) -> dict[str, Any]:
    properties: Mapping[str, Schema] = schema["properties"]
    for key in value:
        if key not in properties:
            told = [one for one in properties if one not in unlisted]
            near = suggest(str(key), told)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            known = ", ".join(told) or "none"
            raise InvalidArgument(
                f"{_at(path, 'The argument', str(key)[:100])} is not known.{meant}",
                next_step=f"Use only these{' in ' + path if path else ''}: {known}.",
                details={"unknown": str(key)[:100], "known": told},
            )
    for key in schema.get("required", ()):
        if key not in value:
            said = properties[key].get("description", "")
            raise InvalidArgument(
                f"{_at(path, 'The argument', key)} is missing.",
                next_step=f"Give {key}: {said}",
                details={"missing": key},
            )
    checked: dict[str, Any] = {}
    for key, part in properties.items():
        if key in value:
            checked[key] = check(part, value[key], path=f"{path}.{key}" if path else key)
        elif "default" in part:
            checked[key] = part["default"]
    return checked


def _check_items(schema: Schema, value: Sequence[Any], path: str) -> list[Any]:
    most = schema.get("maxItems")
    if most is not None and len(value) > most:
        _fail(path, f"has {len(value)} items", f"Give at most {most} at once.")
    item = schema.get("items")
    if item is None:
        return list(value)
    return [check(item, one, path=f"{path}[{number}]") for number, one in enumerate(value)]


def _check_type(schema: Schema, value: Any, path: str) -> None:
    wanted = schema.get("type")
    if wanted is None:
        return
    if not _is(wanted, value):
        name = _NAMES.get(wanted, f"an {wanted}" if wanted == "object" else f"a {wanted}")
        hint = f" {schema['description']}." if "description" in schema else ""
        if "properties" in schema:
            hint += f" It holds {', '.join(schema['properties'])}."
        _fail(
            path, f"must be {name}, not {_shown(value)}", f"Give {path or 'the arguments'} as {name}.{hint}"
        )


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _check_length(schema: Schema, value: str, path: str) -> None:
    if len(value) < schema.get("minLength", 0):
        _fail(path, "is empty", f"Give {path}: {schema.get('description', 'some text')}")
    most = schema.get("maxLength")
    if most is not None and len(value) > most:
        _fail(path, f"has {len(value)} characters", f"Give at most {most}.")


def _check_range(schema: Schema, value: float, path: str) -> None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high) or math.isnan(value):
        span = f"from {low} to {high}" if high is not None else f"of at least {low}"
        _fail(path, f"is {_shown(value)}", f"Give a number {span}.")


def _fail(path: str, fault: str, next_step: str) -> None:
    subject = f"The argument {path}" if path else "The arguments"
    raise InvalidArgument(f"{subject} {fault}.", next_step=next_step, details={"argument": path})


def _at(path: str, subject: str, key: str) -> str:
    return f"{subject} {path + '.' if path else ''}{key}"


def _shown(value: Any) -> str:
    """A value as a message may carry it: short, and with nothing a terminal would act on."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    try:
        text = repr(value)
    except ValueError:
        # Python refuses to write out integers of more than some thousand digits.
        return "a huge number"
    return text if len(text) <= 80 else text[:77] + "..."


def either(first: str, second: str, *, given: Mapping[str, Any]) -> str:
    """The one of two arguments that was given. Raises InvalidArgument for both or none."""
    present = [name for name in (first, second) if given.get(name) is not None]
    if len(present) != 1:
        raise InvalidArgument(
            f"{'Both' if present else 'Neither'} of {first} and {second} {'are' if present else 'is'} given.",
            next_step=f"Give exactly one of {first} and {second}.",
        )
    return present[0]
