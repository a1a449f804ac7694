"""JSON Schema (draft 7) as workflows use it: no ``$ref``, faults as (where, rule, message), patterns within bounded time."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import Any, Final, NoReturn, cast

from quilt_mcp.domain.workflows.patterns import UnsafePattern, check_pattern, search
from quilt_mcp.domain.workflows.yaml import check_extent
from quilt_mcp.errors import WorkflowConfigInvalid

MAX_SCHEMA_BYTES: Final = 1_000_000
MAX_SCHEMA_DEPTH: Final = 100
MAX_FAULTS: Final = 50
"""Of one value."""
_MAX_MESSAGE: Final = 400
_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


def never() -> None:
    """The checkpoint of what nobody can cancel."""


def _object(required: tuple[str, ...], *, closed: bool = True, **properties: Any) -> dict[str, Any]:
    rules: dict[str, Any] = {"type": "object", "required": required}
    if closed:
        rules["additionalProperties"] = False
    return {**rules, "properties": properties}


def _named(values: Any, **names: Any) -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, **names, "additionalProperties": values}


_STRING: Final = {"type": "string"}
_TEXT: Final = {"type": "string", "minLength": 1}
_FLAG: Final = {"type": "boolean"}
_VERSION: Final = {"type": "string", "pattern": r"^[1-9][0-9]*(\.(0|[1-9][0-9]*)){0,2}$", "maxLength": 64}
_WORKFLOW: Final = _object(
    ("name",),
    catalog=True,
    name=_TEXT,
    description=_TEXT,
    handle_pattern=_STRING,
    metadata_schema=_STRING,
    entries_schema=_STRING,
    is_message_required=_FLAG,
)
_CONFIG: Final = _object(
    ("version", "workflows"),
    catalog=True,
    version={"oneOf": [_VERSION, _object(("base",), base=_VERSION, catalog=_VERSION)]},
    is_workflow_required=_FLAG,
    default_workflow=_STRING,
    workflows=_named(_WORKFLOW, propertyNames={"pattern": "^[A-Za-z_-][A-Za-z0-9_-]*$", "maxLength": 64}),
    schemas=_named(_object(("url",), closed=False, url=_STRING)),
    successors=_named(_object(("title",), closed=False, title=_TEXT, copy_data=_FLAG)),
)
"""What Quilt's workflow configuration (version 1.1.0) must be; the order of the keys is the order faults are told in."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a value breaks. ``pointer`` (RFC 6901) is where in the value, ``rule`` where in the schema."""

    message: str
    path: tuple[str | int, ...]
    rule: str

    @property
    def pointer(self) -> str:
        return _json_pointer(self.path)

    def details(self) -> dict[str, Any]:
        return {"pointer": self.pointer, "rule": self.rule, "message": self.message}


def config_faults(value: Any) -> Iterator[Fault]:
    """The faults of a workflow configuration, in the order quilt3 meets them."""
    return map(_fault, _validator_class(never)(_CONFIG).iter_errors(value))


def load_schema(schema_id: str, data: bytes) -> Any:
    """The schema in ``data``. Raises WorkflowConfigInvalid, among others for ``$ref``, which workflows do not have."""
    import jsonschema

    def refuse_reference(fields: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in fields:
            _invalid(schema_id, "uses $ref, which workflow schemas cannot")
        return fields

    if len(data) > MAX_SCHEMA_BYTES:
        _invalid(schema_id, f"is {len(data):,} bytes long, and at most {MAX_SCHEMA_BYTES:,} are read")
    try:
        schema = json.loads(data.decode(), object_hook=refuse_reference)
    except RecursionError:
        _invalid(schema_id, "is nested too deeply")
    except ValueError as error:
        _invalid(schema_id, f"is not JSON ({error})")
    try:
        check_extent(schema, MAX_SCHEMA_DEPTH, MAX_SCHEMA_BYTES)
    except ValueError as error:
        _invalid(schema_id, f"cannot be used: {error}")
    if (draft := _draft(schema)) != _DRAFT_7:
        _invalid(schema_id, f"has the $schema {str(draft)[:200]!r}; only {_DRAFT_7!r} is supported")
    try:
        jsonschema.Draft7Validator.check_schema(schema, _formats())
    except jsonschema.SchemaError as error:
        fault = _fault(error)
        why = f"{fault.message}: {error.cause}" if error.cause else fault.message
        _invalid(schema_id, f"is not a JSON Schema at {fault.pointer or '/'}: {why}")
    return schema


def _draft(schema: Any) -> Any:
    return cast("dict[str, Any]", schema).get("$schema", _DRAFT_7) if isinstance(schema, dict) else _DRAFT_7


def schema_faults(
    schema_id: str, schema: Any, value: Any, checkpoint: Callable[[], None] = never
) -> list[Fault]:
    """The first faults of a value, quilt3's one at the head. ``checkpoint`` is called before each keyword and may raise.

    Takes time by the product of the schema's size and the value's. Raises WorkflowConfigInvalid for an unusable pattern.
    """
    errors = _validator_class(checkpoint)(schema).iter_errors(value)
    try:
        return [_fault(error) for error in islice(errors, MAX_FAULTS)]
    except UnsafePattern as error:
        _invalid(schema_id, f"has a pattern that is not used: {error}")
    except OverflowError as error:
        _invalid(schema_id, f"has a number that the value's cannot be compared with ({error})")
    except RecursionError:
        _invalid(schema_id, "and the value are nested too deeply to be compared")


def _fault(error: Any) -> Fault:
    message = str(error.message)
    if len(message) > _MAX_MESSAGE:
        message = f"{message[: _MAX_MESSAGE // 2]} ... {message[-_MAX_MESSAGE // 2 :]}"
    return Fault(message, tuple(error.absolute_path), _json_pointer(error.absolute_schema_path))


def _json_pointer(path: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


@cache
def _formats() -> Any:
    """What a schema is checked for besides the draft's own schema: that its patterns can be used."""
    import jsonschema

    checker = jsonschema.FormatChecker(())

    def is_pattern(value: object) -> bool:
        if isinstance(value, str):
            check_pattern(value)
        return True

    checker.checks("regex", raises=UnsafePattern)(is_pattern)
    return checker


@cache
def _validator_class(checkpoint: Callable[[], None]) -> Any:
    """jsonschema's draft 7, cancellable, with keywords of ours where its own take time without bound."""
    from jsonschema import Draft7Validator, validators

    def cancellable(keyword: Any) -> Any:
        def checked(*given: Any) -> Any:
            checkpoint()
            return keyword(*given)

        return checked

    keywords = {
        **Draft7Validator.VALIDATORS,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": partial(_unique_items, checkpoint),
    }
    return cast("Any", validators).extend(
        Draft7Validator, {name: cancellable(keyword) for name, keyword in keywords.items()}
    )


def _pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Exception]:
    if validator.is_type(instance, "string") and not search(wanted, instance):
        yield _error(f"{instance!r} does not match {wanted!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[Exception]:
    if not validator.is_type(instance, "object"):
        return
    for wanted, subschema in patterns.items():
        for name, value in instance.items():
            if search(wanted, name):
                yield from validator.descend(value, subschema, path=name, schema_path=wanted)


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[Exception]:
    """In the order of the instance; jsonschema's own goes by a set, and so changes from run to run."""
    if not validator.is_type(instance, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extras = [
        name
        for name in instance
        if name not in known and not any(search(wanted, name) for wanted in patterns)
    ]
    if validator.is_type(allowed, "object"):
        for name in extras:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and extras:
        names = ", ".join(repr(name) for name in extras)
        yield _error(f"no properties are allowed but those it names, and there is {names}")


def _unique_items(
    checkpoint: Callable[[], None], validator: Any, wanted: bool, instance: Any, schema: Any
) -> Iterator[Exception]:
    """In time that grows with the number of items; jsonschema's own compares each with each."""
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: set[Hashable] = set()
    for item in instance:
        checkpoint()
        key = _comparable(item)
        if key in seen:
            yield _error(f"{instance!r} has non-unique elements")
            return
        seen.add(key)


def _comparable(value: Any) -> Hashable:
    """Equal for JSON values that jsonschema holds equal: 1 and 1.0 are, true and 1 are not."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return frozenset((name, _comparable(member)) for name, member in fields.items())
    if isinstance(value, list):
        return tuple(map(_comparable, cast("list[Any]", value)))
    return value


def _error(message: str) -> Exception:
    from jsonschema import ValidationError

    return ValidationError(message)


def _invalid(schema_id: str, why: str) -> NoReturn:
    raise WorkflowConfigInvalid(
        f"The workflow schema {schema_id!r} {why}.",
        next_step="Ask the registry's owner to correct the schema, or choose another workflow.",
        details={"schema": schema_id},
    )
