"""case_C7: what is listed is plain enough for the clients that turn schemas into another dialect.

The rules are those that the makers document, written out, as their converters come with whole SDKs: Gemini's ``Schema`` and
``FunctionDeclaration`` (REST reference of the Gemini API and of Vertex AI: one upper-case type, a select subset of OpenAPI 3.0,
``items`` for each array, enums of texts, names of up to 64 characters) and OpenAI's function calling guide (an object at the top,
names of letters, digits, '_' and '-', at most 100 properties and 5 levels where it is strict).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from quilt_mcp.tools import TOOLS

GEMINI_TYPES = {"string", "number", "integer", "boolean", "array", "object"}
GEMINI_KEYWORDS = {
    "type",
    "format",
    "description",
    "nullable",
    "default",
    "items",
    "minItems",
    "maxItems",
    "enum",
    "properties",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
}
GEMINI_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
OPENAI_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def parts(schema: dict[str, Any], level: int = 0) -> Iterator[tuple[str, dict[str, Any], int]]:
    """(name, schema, level) of a schema and of all in it."""
    yield "", schema, level
    for name, part in schema.get("properties", {}).items():
        for below, found, depth in parts(part, level + 1):
            yield below or name, found, depth
    if "items" in schema:
        yield from parts(schema["items"], level + 1)


def gemini_faults(name: str, schema: dict[str, Any]) -> list[str]:
    faults = [f"{name}: a name"] if not GEMINI_NAME.fullmatch(name) else []
    for part, found, _ in parts(schema):
        kind = found.get("type")
        faults += [f"{part}: {word}" for word in set(found) - GEMINI_KEYWORDS]
        if not isinstance(kind, str) or kind not in GEMINI_TYPES:
            faults.append(f"{part}: type {kind}")
        if part and not GEMINI_NAME.fullmatch(part):
            faults.append(f"{part}: a name")
        if (kind == "array") != ("items" in found):
            faults.append(f"{part}: items")
        if "enum" in found and (
            kind != "string" or not all(isinstance(one, str) and one for one in found["enum"])
        ):
            faults.append(f"{part}: enum")
        if set(found.get("required", ())) - set(found.get("properties", ())):
            faults.append(f"{part}: required")
    return faults


def openai_faults(name: str, schema: dict[str, Any]) -> list[str]:
    faults = [f"{name}: a name"] if not OPENAI_NAME.fullmatch(name) else []
    if schema.get("type") != "object" or {"oneOf", "anyOf", "allOf", "enum", "not", "$ref"} & set(schema):
        faults.append("the top is no plain object")
    every = list(parts(schema))
    if sum(len(found.get("properties", ())) for _, found, _ in every) > 100:
        faults.append("too many properties")
    if max(level for _, _, level in every) > 5:
        faults.append("too deep")
    return faults + [
        f"{part}: items"
        for part, found, _ in every
        if found.get("type") == "array" and not found.get("items")
    ]


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
def test_input_schemas_are_plain(spec: Any) -> None:
    schema = spec.input_schema()
    assert gemini_faults(spec.name, schema) == []
    assert openai_faults(spec.name, schema) == []
    for validator in (jsonschema.Draft7Validator, jsonschema.Draft202012Validator):
        validator.check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"properties": {}}}}},
        {"type": "object", "properties": {"a b": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "integer", "enum": [1]}}},
        {"type": "object", "properties": {"a": {"type": "null"}}},
        {"type": "object", "properties": {}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "const": "x"}}},
    ],
)
def test_what_these_dialects_do_not_know_is_found(schema: dict[str, Any]) -> None:
    assert gemini_faults("tool", schema)


def test_what_openai_does_not_take_is_found() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(7):
        deep = {"type": "array", "items": deep}
    for name, schema in (
        ("a.b", {"type": "object"}),
        ("a", {"type": "string"}),
        ("a", {"type": "object", "anyOf": []}),
        ("a", {"type": "object", "properties": {"x": deep}}),
        ("a", {"type": "object", "properties": {f"x{i}": {"type": "string"} for i in range(101)}}),
        ("a", {"type": "object", "properties": {"x": {"type": "array"}}}),
    ):
        assert openai_faults(name, schema)
