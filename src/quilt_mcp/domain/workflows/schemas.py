"""JSON Schema (draft 7) as workflows use it: no ``$ref``, faults as (where, rule, message), patterns within bounded time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Final, NoReturn, cast

from quilt_mcp.errors import WorkflowConfigInvalid

MAX_SCHEMA_BYTES: Final = 1_000_000
MAX_SCHEMA_DEPTH: Final = 100
_MAX_FAULTS: Final = 5
_MAX_MESSAGE: Final = 400
_META_SCHEMA: Final = "http://json-schema.org/draft-07/schema#"

_VERSION: Final = {"type": "string", "pattern": r"^[1-9][0-9]*(\.(0|[1-9][0-9]*)){0,2}$"}
_TEXT: Final = {"type": "string", "minLength": 1}
_CONFIG: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["version", "workflows"],
    "additionalProperties": False,
    "properties": {
        "catalog": True,
        "version": {
            "oneOf": [
                _VERSION,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["base"],
                    "properties": {"base": _VERSION, "catalog": _VERSION},
                },
            ]
        },
        "is_workflow_required": {"type": "boolean"},
        "default_workflow": {"type": "string"},
        "workflows": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z_-][A-Za-z0-9_-]*$", "maxLength": 64},
            "additionalProperties": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "catalog": True,
                    "name": _TEXT,
                    "description": _TEXT,
                    "handle_pattern": {"type": "string"},
                    "metadata_schema": {"type": "string"},
                    "entries_schema": {"type": "string"},
                    "is_message_required": {"type": "boolean"},
                },
            },
        },
        "schemas": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["url"],
                "properties": {"url": {"type": "string"}},
            },
        },
        "successors": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["title"],
                "properties": {"title": _TEXT, "copy_data": {"type": "boolean"}},
            },
        },
    },
}
"""What Quilt's workflow configuration (version 1.1.0) must be; the order of the keys is the order faults are told in."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a value breaks. ``pointer`` (RFC 6901) is where in the value, ``rule`` where in the schema."""

    message: str
    path: tuple[str | int, ...]
    rule: str

    @property
    def pointer(self) -> str:
        return json_pointer(self.path)

    def details(self) -> dict[str, Any]:
        return {"pointer": self.pointer, "rule": self.rule, "message": self.message}


def json_pointer(path: tuple[str | int, ...]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def config_faults(value: Any) -> Iterator[Fault]:
    """The faults of a workflow configuration, in the order quilt3 meets them."""
    return _faults(_validator_class()(_CONFIG), value)


def load_schema(schema_id: str, data: bytes) -> Any:
    """The schema in ``data``. Raises WorkflowConfigInvalid, among others for ``$ref``, which workflows do not have."""
    if len(data) > MAX_SCHEMA_BYTES:
        _invalid(schema_id, f"is {len(data):,} bytes long, and at most {MAX_SCHEMA_BYTES:,} are read")
    schema: Any = None
    try:
        schema = json.loads(data.decode(), object_hook=_without_ref)
    except _HasRef:
        _invalid(schema_id, "uses $ref, which workflow schemas cannot")
    except RecursionError:
        _invalid(schema_id, "is nested too deeply")
    except ValueError as error:
        _invalid(schema_id, f"is not JSON ({error})")
    if _depth_exceeds(schema, MAX_SCHEMA_DEPTH):
        _invalid(schema_id, f"is nested more than {MAX_SCHEMA_DEPTH} deep")
    if isinstance(schema, dict) and "$schema" in schema:
        meta_schema = cast("dict[str, Any]", schema)["$schema"]
        if not isinstance(meta_schema, str):
            _invalid(schema_id, "has a $schema that is not a string")
        if meta_schema != _META_SCHEMA:
            _invalid(schema_id, f"has the $schema {meta_schema[:200]!r}; only {_META_SCHEMA!r} is supported")
    _check_schema(schema_id, schema)
    return cast("Any", schema)


def schema_faults(schema_id: str, schema: Any, value: Any) -> Iterator[Fault]:
    """The first faults of a value, quilt3's one at the head. Raises WorkflowConfigInvalid for an unusable pattern."""
    from quilt_mcp.domain.workflows.patterns import UnsafePattern

    try:
        yield from islice(_faults(_validator_class()(schema), value), _MAX_FAULTS)
    except UnsafePattern as error:
        _invalid(schema_id, f"has a pattern that is not used: {error}")
    except (re.error, OverflowError) as error:
        _invalid(schema_id, f"has a pattern that is not a regular expression ({error})")
    except RecursionError:
        _invalid(schema_id, "and the value are nested too deeply to be compared")


class _HasRef(Exception):
    pass


def _without_ref(fields: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in fields:
        raise _HasRef
    return fields


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(cast("dict[str, Any]", node).values())
            elif isinstance(node, list):
                below.extend(cast("list[Any]", node))
        if not below:
            return False
        level = below
    return True


def _check_schema(schema_id: str, schema: Any) -> None:
    import jsonschema

    try:
        jsonschema.Draft7Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        fault = _fault(error)
        _invalid(schema_id, f"is not a JSON Schema at {fault.pointer or '/'}: {fault.message}")


def _faults(validator: Any, value: Any) -> Iterator[Fault]:
    for error in validator.iter_errors(value):
        yield _fault(error)


def _fault(error: Any) -> Fault:
    message = str(error.message)
    if len(message) > _MAX_MESSAGE:
        message = f"{message[: _MAX_MESSAGE // 2]} ... {message[-_MAX_MESSAGE // 2 :]}"
    return Fault(message, tuple(error.absolute_path), json_pointer(tuple(error.absolute_schema_path)))


@cache
def _validator_class() -> Any:
    """jsonschema's draft 7, its three keywords that search for patterns replaced by bounded ones."""
    import jsonschema.validators
    from jsonschema import Draft7Validator, ValidationError

    from quilt_mcp.domain.workflows.patterns import search

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, "string") and not search(wanted, instance):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(
        validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        if not validator.is_type(instance, "object"):
            return
        for wanted, subschema in patterns.items():
            for name, value in instance.items():
                if search(wanted, name):
                    yield from validator.descend(value, subschema, path=name, schema_path=wanted)

    def additional_properties(
        validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        """In the order of the instance; jsonschema's own goes by a set, and so changes from run to run."""
        if not validator.is_type(instance, "object"):
            return
        known = schema.get("properties", {})
        patterns = "|".join(schema.get("patternProperties", {}))
        extras = [
            name for name in instance if name not in known and not (patterns and search(patterns, name))
        ]
        if validator.is_type(allowed, "object"):
            for name in extras:
                yield from validator.descend(instance[name], allowed, path=name)
        elif not allowed and extras:
            names = ", ".join(repr(name) for name in extras)
            yield ValidationError(f"no properties are allowed but those it names, and there is {names}")

    return cast("Any", jsonschema.validators).extend(
        Draft7Validator,
        {
            "pattern": pattern,
            "patternProperties": pattern_properties,
            "additionalProperties": additional_properties,
        },
    )


def _invalid(schema_id: str, why: str) -> NoReturn:
    raise WorkflowConfigInvalid(
        f"The workflow schema {schema_id!r} {why}.",
        next_step="Ask the registry's owner to correct the schema, or choose another workflow.",
        details={"schema": schema_id},
    )
