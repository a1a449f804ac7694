"""case_C7: what is listed comes whole through the converters of the clients that turn schemas into another dialect.

The converters are those of the hosts: google-genai, which makes a ``FunctionDeclaration`` of each tool of an MCP session, and the
OpenAI Agents SDK, which makes a function tool of each. What they let pass and the services refuse is checked by hand, as their
makers document it (REST reference of the Gemini API, OpenAI's function calling guide): names, ``items`` of each array, enums of
texts, one type a value, at most 100 properties and 5 levels.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pydantic
import pytest
from agents.exceptions import UserError
from agents.mcp import MCPServerStdio, MCPUtil
from agents.strict_schema import ensure_strict_json_schema
from google.genai import _mcp_utils as gemini_sessions
from google.genai import types as gemini
from mcp.types import Tool

from quilt_mcp.tools import TOOLS

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


def from_gemini(schema: gemini.Schema) -> dict[str, Any]:
    """A Gemini schema as the JSON Schema it says."""

    def plain(part: dict[str, Any]) -> dict[str, Any]:
        said = {key: value for key, value in part.items() if key not in ("properties", "items")}
        if "type" in said:
            said["type"] = said["type"].lower()
        if "properties" in part:
            said["properties"] = {name: plain(one) for name, one in part["properties"].items()}
        if "items" in part:
            said["items"] = plain(part["items"])
        return said

    return plain(schema.model_dump(mode="json", exclude_none=True, by_alias=True))


def gemini_faults(name: str, schema: dict[str, Any]) -> list[str]:
    faults = [f"{name}: a name"] if not GEMINI_NAME.fullmatch(name) else []
    try:
        for api in ("GEMINI_API", "VERTEX_AI"):
            converted = gemini.Schema.from_json_schema(
                json_schema=gemini.JSONSchema(**schema),
                api_option=api,
                raise_error_on_unsupported_field=True,
            )
            if from_gemini(converted) != schema:
                faults.append(f"{api}: something is lost")
    except (ValueError, TypeError, pydantic.ValidationError) as error:
        faults.append(f"not converted: {error}")
    for part, found, _ in parts(schema):
        kind = found.get("type")
        if not isinstance(kind, str) or kind == "null":
            faults.append(f"{part}: type {kind}")
        if part and not GEMINI_NAME.fullmatch(part):
            faults.append(f"{part}: a name")
        if (kind == "array") != ("items" in found):
            faults.append(f"{part}: items")
        if "enum" in found and (kind != "string" or not all(found["enum"])):
            faults.append(f"{part}: enum")
        if set(found.get("required", ())) - set(found.get("properties", ())):
            faults.append(f"{part}: required")
    return faults


def openai_faults(name: str, schema: dict[str, Any]) -> list[str]:
    faults = [f"{name}: a name"] if not OPENAI_NAME.fullmatch(name) else []
    if schema.get("type") != "object" or {"oneOf", "anyOf", "allOf", "enum", "not", "$ref"} & set(schema):
        faults.append("the top is no plain object")
    try:
        strict = ensure_strict_json_schema(copy.deepcopy(schema))
    except (UserError, TypeError, ValueError) as error:
        return [*faults, f"not converted: {error}"]
    if open_again(strict, schema) != schema:
        faults.append("something is lost")
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


def open_again(strict: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A strict schema without what strict adds to ``before``: every argument required, and no other one."""
    said = {key: value for key, value in strict.items() if key not in ("additionalProperties", "required")}
    said |= {key: before[key] for key in ("additionalProperties", "required") if key in before}
    assert set(before.get("required", ())) <= set(strict.get("required", before.get("required", ())))
    if "properties" in said:
        said["properties"] = {
            name: open_again(part, before.get("properties", {}).get(name, {}))
            for name, part in said["properties"].items()
        }
    if "items" in said:
        said["items"] = open_again(said["items"], before.get("items", {}))
    return said


@pytest.fixture(params=TOOLS, ids=lambda spec: spec.name)
def tool(request: pytest.FixtureRequest) -> Tool:
    spec = request.param
    return Tool(name=spec.name, description=spec.description, input_schema=spec.input_schema())


def test_input_schemas_come_whole_through_both_converters(tool: Tool) -> None:
    """No property, description, enum, default, bound or required argument is lost."""
    assert gemini_faults(tool.name, tool.input_schema) == []
    assert openai_faults(tool.name, tool.input_schema) == []
    for validator in (jsonschema.Draft7Validator, jsonschema.Draft202012Validator):
        validator.check_schema(tool.input_schema)


def test_a_gemini_session_declares_each_tool_as_it_is_listed(tool: Tool) -> None:
    """What the SDK makes of the tools of an MCP session that is given to it."""
    [declared] = gemini_sessions.mcp_to_gemini_tool(tool).function_declarations or []
    assert (declared.name, declared.description) == (tool.name, tool.description)
    assert declared.parameters is not None
    assert from_gemini(declared.parameters) == tool.input_schema


@pytest.mark.parametrize("strict", [False, True])
def test_an_openai_agent_gets_each_tool_as_it_is_listed(tool: Tool, strict: bool) -> None:
    """Where strict is wanted, a tool that takes metadata of any keys stays as it is: strict knows no open object."""
    server = MCPServerStdio(params={"command": "quilt-mcp"})  # never started
    made = MCPUtil.to_function_tool(tool, server, convert_schemas_to_strict=strict)
    assert (made.name, made.description) == (tool.name, tool.description)
    is_open = any(
        part.get("type") == "object" and "properties" not in part for _, part, _ in parts(tool.input_schema)
    )
    assert made.strict_json_schema == (strict and not is_open)
    if made.strict_json_schema:
        assert open_again(made.params_json_schema, tool.input_schema) == tool.input_schema
    else:
        assert made.params_json_schema == tool.input_schema


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of an enum of numbers
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
        {"type": "object", "properties": {"a": {"type": "string", "examples": ["x"]}}},
        {"type": "object", "patternProperties": {"a": {"type": "string"}}},
    ],
)
def test_what_gemini_does_not_know_is_found(schema: dict[str, Any]) -> None:
    assert gemini_faults("tool", schema)


def test_what_openai_does_not_take_is_found() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(7):
        deep = {"type": "array", "items": deep}
    for name, schema in (
        ("a.b", {"type": "object"}),
        ("a", {"type": "string"}),
        ("a", {"type": "object", "anyOf": []}),
        ("a", {"type": "object", "additionalProperties": True}),
        ("a", {"type": "object", "properties": {"x": {"type": "string", "default": None}}}),
        ("a", {"type": "object", "properties": {"x": deep}}),
        ("a", {"type": "object", "properties": {f"x{i}": {"type": "string"} for i in range(101)}}),
        ("a", {"type": "object", "properties": {"x": {"type": "array"}}}),
    ):
        assert openai_faults(name, schema), schema
