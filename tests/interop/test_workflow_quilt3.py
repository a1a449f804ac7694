"""Workflow configuration and checks against quilt3's own validator, on a registry of files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import packages
import pytest
import quilt3
import yaml
from quilt3.backends import get_package_registry
from quilt3.workflows import ConfigurationError, WorkflowValidationError
from quilt3.workflows import validate as quilt3_validate

from parts.workflows import check
from quilt_mcp.domain.plan import UNSET
from quilt_mcp.domain.workflows.rules import header_value, parse_config, select
from quilt_mcp.errors import QuiltError, WorkflowConfigInvalid, WorkflowFailed

_W: dict[str, Any] = {"name": "W"}
_OBJECT = {"type": "object"}


class Registry:
    """A registry folder that only has workflows, asked through quilt3 and through us."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / ".quilt" / "workflows" / "config.yml"
        self.config.parent.mkdir(parents=True)

    def schema(self, name: str, schema: Any) -> str:
        path = self.root / name
        path.write_text(schema if isinstance(schema, str) else json.dumps(schema))
        return path.as_uri()

    def theirs(self, spec: packages.PackageSpec, workflow: Any, message: str | None) -> Any:
        package = packages.quilt3_package(spec)
        registry = get_package_registry(self.root.as_uri())
        return quilt3_validate(
            registry=registry,
            workflow=... if workflow is UNSET else workflow,
            name=spec.name,
            pkg=package,
            message=message,
        )

    def ours(self, spec: packages.PackageSpec, workflow: Any, message: str | None) -> Any:
        config = parse_config(self.config.read_bytes()) if self.config.exists() else None
        rules = select(config, workflow)
        if rules is None:
            return None
        keys = dict(rules.schemas)
        try:
            schemas = {
                schema_id: Path(quilt3.util.PhysicalKey.from_url(url).path).read_bytes()
                for schema_id, url in keys.items()
            }
        except OSError as error:
            raise WorkflowConfigInvalid(str(error)) from error
        check(
            rules,
            name=spec.name,
            message=message,
            user_meta=UNSET if spec.user_meta is packages.ABSENT else spec.user_meta,
            entries=packages.entries(spec),
            schemas=schemas,
        )
        return header_value(rules, self.config.as_uri(), keys)

    def compare(self, spec: packages.PackageSpec, workflow: Any = UNSET, message: str | None = "m") -> str:
        """The kind of outcome, the same by both."""
        try:
            expected = self.theirs(spec, workflow, message)
        except WorkflowValidationError as error:
            with pytest.raises(WorkflowFailed) as ours:
                self.ours(spec, workflow, message)
            fault = error.schema_validation_error
            if fault is not None:
                pointer = "".join(
                    f"/{str(p).replace('~', '~0').replace('/', '~1')}" for p in fault.absolute_path
                )
                rule = "".join(
                    f"/{str(p).replace('~', '~0').replace('/', '~1')}" for p in fault.absolute_schema_path
                )
                told = [
                    (fault.get("pointer"), fault.get("keyword")) for fault in ours.value.details["faults"]
                ]
                # Which of several additional properties jsonschema meets first changes from run to run.
                assert (pointer, rule) in (told if "/additionalProperties/" in rule else told[:1])
            return f"rejected by {ours.value.details['faults'][0]['rule']}"
        except ConfigurationError:
            with pytest.raises(WorkflowConfigInvalid):
                self.ours(spec, workflow, message)
            return "configuration"
        except Exception as error:  # noqa: BLE001 - whatever quilt3 falls over
            assert not isinstance(error, Warning)
            with pytest.raises(QuiltError) as ours:
                self.ours(spec, workflow, message)
            return f"{type(error).__name__} -> {type(ours.value).__name__}"
        got = self.ours(spec, workflow, message)
        assert got == expected
        assert json.dumps(got) == json.dumps(expected)
        return "accepted"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def spec_of(name: str = "a/b", user_meta: Any = packages.ABSENT, **sizes: int) -> packages.PackageSpec:
    entries = {key: packages.EntrySpec(b"x" * size, url="s3://bucket/x") for key, size in sizes.items()}
    return packages.PackageSpec(1, name, entries, user_meta=user_meta)


@pytest.mark.parametrize(
    ("workflow", "outcome"), [(UNSET, "accepted"), (None, "InvalidArgument"), ("w", "InvalidArgument")]
)
def test_a_registry_without_configuration(registry: Registry, workflow: Any, outcome: str) -> None:
    assert outcome in registry.compare(spec_of(), workflow)


@pytest.mark.parametrize("required", [True, False, None])
@pytest.mark.parametrize("default", ["w", "nope", None])
@pytest.mark.parametrize("workflow", [UNSET, None, "w", "zz"])
def test_which_workflow_applies(registry: Registry, required: Any, default: Any, workflow: Any) -> None:
    config: dict[str, Any] = {"version": "1", "workflows": {"w": _W}}
    if required is not None:
        config["is_workflow_required"] = required
    if default is not None:
        config["default_workflow"] = default
    registry.config.write_text(yaml.safe_dump(config))
    registry.compare(spec_of(), workflow)


_BASE = 'version: "1"\nworkflows:\n  w: {name: W}\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "a: b: c",
        "\t",
        "version: 1\nworkflows: {w: {name: W}}",
        'version: "1"',
        'version: "1"\nworkflows: {}',
        'version: "1"\nworkflows: {w: {}}',
        'version: "1"\nworkflows: {w: {name: ""}}',
        'version: "1"\nworkflows: {w: {name: W, other: 1}}',
        'version: "1"\nworkflows: {"1w": {name: W}}',
        'version: "1"\nworkflows: {"' + "w" * 65 + '": {name: W}}',
        'version: "1"\nworkflows: {w: null}',
        'version: "1"\nworkflows: {1: {name: W}}',
        _BASE + "5: 1",
        _BASE + "other: 1",
        _BASE + "catalog: anything",
        _BASE + "schemas: {}",
        _BASE + "schemas: {s: {}}",
        _BASE + "schemas: {s: {url: 5}}",
        _BASE + "schemas: {s: {url: x, more: 1}}",
        _BASE + "successors: {}",
        _BASE + "successors: {s3://b: {title: T, copy_data: maybe}}",
        _BASE + "successors: {s3://b: {title: T, copy_data: false}}",
        _BASE + "is_workflow_required: 'yes'",
        _BASE.replace('"1"', '"1.1"'),
        _BASE.replace('"1"', '"1.1.0"'),
        _BASE.replace('"1"', '"1.1.1"'),
        _BASE.replace('"1"', '"1.2"'),
        _BASE.replace('"1"', '"2"'),
        _BASE.replace('"1"', '"01"'),
        _BASE.replace('"1"', '"1.01"'),
        _BASE.replace('"1"', '"1.1.0.0"'),
        _BASE.replace('"1"', '{base: "1", catalog: "1"}'),
        _BASE.replace('"1"', '{base: "1.5"}'),
        _BASE.replace('"1"', '{catalog: "1"}'),
        _BASE + "is_workflow_required: false\nis_workflow_required: true",
        "a: &a [1]\n" + _BASE,
        "!!python/object:os.system {}",
        "!!int ''",
        "!!bool maybe",
        "!!timestamp never",
        "? [a]\n: b",
        "\x07",
        _BASE + "---\n" + _BASE,
        "{version: &v '1', workflows: {w: {name: *v}}}",
    ],
)
def test_configurations_are_accepted_or_refused_as_by_quilt3(registry: Registry, text: str) -> None:
    registry.config.write_text(text)
    registry.compare(spec_of(), "w")


@pytest.mark.parametrize(
    ("pattern", "name"), [("^a/", "a/b"), ("^a/", "b/a"), ("b", "a/b"), ("(", "a/b"), (r"^\w+/\w+$", "é/ü")]
)
def test_handle_patterns_are_searched_for(registry: Registry, pattern: str, name: str) -> None:
    registry.config.write_text(
        yaml.safe_dump({"version": "1", "workflows": {"w": {**_W, "handle_pattern": pattern}}})
    )
    registry.compare(spec_of(name), "w")


@pytest.mark.parametrize("message", [None, "", "m"])
@pytest.mark.parametrize("required", [True, False])
def test_a_message_may_be_required(registry: Registry, required: bool, message: str | None) -> None:
    workflow = {**_W, "is_message_required": required}
    registry.config.write_text(yaml.safe_dump({"version": "1", "workflows": {"w": workflow}}))
    registry.compare(spec_of(), "w", message)


_SCHEMAS: list[Any] = [
    True,
    False,
    {},
    _OBJECT,
    {"type": "object", "required": ["x"]},
    {"properties": {"x": {"type": "integer", "minimum": 3}, "a/b~c": {"type": "string"}}},
    {"additionalProperties": False, "properties": {"x": {}}},
    {"additionalProperties": {"type": "string"}, "patternProperties": {"^x": {"type": "integer"}}},
    {"additionalProperties": False, "patternProperties": {"^x": True, "y$": False}},
    {"propertyNames": {"pattern": "^[a-z]$", "maxLength": 1}},
    {"properties": {"s": {"pattern": "^a+$", "format": "date"}}},
    {"properties": {"l": {"type": "array", "items": {"type": "number"}, "uniqueItems": True}}},
    {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
    {"oneOf": [{"type": "object"}, {"required": ["y"]}]},
    {"not": {"required": ["x"]}},
    {"if": {"required": ["x"]}, "then": {"required": ["y"]}},
    {"dependencies": {"x": ["y"]}},
    {"const": {"x": 1}},
    {"enum": [{}, None]},
    {"minProperties": 2, "type": "object"},
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
    {"$schema": "http://json-schema.org/draft-07/schema", "type": "object"},
    {"$schema": "http://json-schema.org/draft-04/schema#"},
    {"$schema": 7},
    {"properties": {"x": {"$ref": "#"}}},
    {"properties": {"$ref": {"type": "string"}}},
    {"type": "nonsense"},
    {"properties": 5},
    {"properties": {"x": {"pattern": "("}}},
    [],
    5,
    "{",
    "",
    "nul",
    '{"type": "object", "type": "array"}',
]
_METAS: list[Any] = [
    packages.ABSENT,
    None,
    {},
    {"x": 1},
    {"x": 5, "y": None},
    {"x": "text", "a/b~c": 1},
    {"s": "aaa"},
    {"s": "b", "xx": 1},
    {"l": [1, 1]},
    {"l": ["a"]},
    {"y": [], "long name": 1},
    [1],
    "text",
]


@pytest.mark.sampled(8)
@pytest.mark.parametrize("schema", _SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_metadata_is_held_against_schemas_as_by_quilt3(registry: Registry, schema: Any) -> None:
    """Equal causes: the same place in the metadata and the same rule of the schema, where there are any."""
    url = registry.schema("schema.json", schema)
    config = {
        "version": "1",
        "workflows": {"w": {**_W, "metadata_schema": "s"}},
        "schemas": {"s": {"url": url}},
    }
    registry.config.write_text(yaml.safe_dump(config))
    for meta in _METAS:
        registry.compare(spec_of(user_meta=meta), "w")


_ENTRIES_SCHEMAS: list[Any] = [
    {"type": "array", "minItems": 2},
    {"items": {"properties": {"size": {"maximum": 3}}}},
    {"items": {"properties": {"logical_key": {"pattern": "^[a-m/]+$"}}}},
    {"items": {"properties": {"meta": {"type": "object", "required": ["x"]}}}},
    {"contains": {"properties": {"logical_key": {"const": "README.md"}}}},
    {"items": {"additionalProperties": False, "properties": {"logical_key": {}, "size": {}, "meta": {}}}},
    {"items": [{"properties": {"logical_key": {"const": "a"}}}], "additionalItems": False},
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("schema", _ENTRIES_SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_entries_are_held_against_schemas_as_by_quilt3(registry: Registry, schema: Any) -> None:
    url = registry.schema("entries.json", schema)
    config = {
        "version": "1",
        "workflows": {"w": {**_W, "entries_schema": "e"}},
        "schemas": {"e": {"url": url}},
    }
    registry.config.write_text(yaml.safe_dump(config))
    outcomes = {registry.compare(packages.generate(seed), "w") for seed in range(40)}
    outcomes |= {
        registry.compare(spec, "w") for spec in (spec_of(), spec_of(a=1), spec_of(a=1, b=9), spec_of(z=1))
    }
    assert "accepted" in outcomes or "rejected by entries_schema" in outcomes


def test_both_schemas_are_noted_in_the_header_in_quilt3s_order(registry: Registry) -> None:
    schemas = {name: {"url": registry.schema(f"{name}.json", {})} for name in ("a", "b")}
    workflows = {
        "ab": {**_W, "metadata_schema": "a", "entries_schema": "b"},
        "ba": {**_W, "metadata_schema": "b", "entries_schema": "a"},
        "aa": {**_W, "metadata_schema": "a", "entries_schema": "a"},
        "none": _W,
        "nope": {**_W, "metadata_schema": "a", "entries_schema": "nope"},
    }
    registry.config.write_text(yaml.safe_dump({"version": "1", "workflows": workflows, "schemas": schemas}))
    outcomes = [registry.compare(spec_of(a=1), workflow) for workflow in workflows]
    assert outcomes == ["accepted"] * 4 + ["configuration"]


@pytest.mark.parametrize(
    "url", ["http://x/y", "relative.json", "s3://", "file:///nowhere/at/all.json", "s3:///key"]
)
def test_schemas_that_cannot_be_reached_are_a_fault_of_the_configuration(
    registry: Registry, url: str
) -> None:
    config = {
        "version": "1",
        "workflows": {"w": {**_W, "metadata_schema": "s"}},
        "schemas": {"s": {"url": url}},
    }
    registry.config.write_text(yaml.safe_dump(config))
    assert registry.compare(spec_of(), "w") == "configuration"


def test_random_workflows_end_as_with_quilt3(registry: Registry) -> None:
    rng = random.Random(5)
    outcomes = set()
    for seed in range(150):
        schemas = {
            "m": {"url": registry.schema("m.json", rng.choice(_SCHEMAS[3:20]))},
            "e": {"url": registry.schema("e.json", rng.choice(_ENTRIES_SCHEMAS))},
        }
        workflow: dict[str, Any] = {"name": "W", "is_message_required": rng.random() < 0.3}
        if rng.random() < 0.5:
            workflow["metadata_schema"] = "m"
        if rng.random() < 0.5:
            workflow["entries_schema"] = "e"
        if rng.random() < 0.3:
            workflow["handle_pattern"] = rng.choice(("^interop/", "p[0-5]", "nothing"))
        config = {"version": "1", "workflows": {"w": workflow}, "schemas": schemas, "default_workflow": "w"}
        registry.config.write_text(yaml.safe_dump(config))
        spec = packages.generate(seed)
        spec.user_meta = rng.choice(_METAS)
        outcomes.add(registry.compare(spec, rng.choice((UNSET, "w")), rng.choice((None, "m"))))
    assert outcomes >= {
        "accepted",
        "rejected by is_message_required",
        "rejected by handle_pattern",
        "rejected by metadata_schema",
        "rejected by entries_schema",
    }
