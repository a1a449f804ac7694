"""`deploy/server.json`, the entry of a company's own server in a registry of MCP servers.

No package brings the registry's schema. ``DEMANDS`` is what that of 2025-12-11 demands of the fields that are used, read and
written down by hand.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from quilt_mcp.server.http.guard import PATH

ROOT = Path(__file__).parents[2]
TEXT = {"type": "string", "minLength": 1}
INPUT = {
    "type": "object",
    "properties": {"description": TEXT, "isRequired": {"type": "boolean"}, "isSecret": {"type": "boolean"}},
    "additionalProperties": False,
}
HEADER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": TEXT,
        "description": TEXT,
        "value": TEXT,
        "variables": {"type": "object", "additionalProperties": INPUT},
    },
    "additionalProperties": False,
}
REMOTE = {
    "type": "object",
    "required": ["type", "url"],
    "properties": {
        "type": {"enum": ["streamable-http", "sse"]},
        "url": {"type": "string", "pattern": r"^https?://\S+$"},
        "headers": {"type": "array", "items": HEADER},
    },
    "additionalProperties": False,
}
DEMANDS = {
    "type": "object",
    "required": ["name", "description", "version"],
    "properties": {
        "$schema": {"type": "string", "pattern": r"/2025-12-11/server\.schema\.json$"},
        "name": {"type": "string", "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", "maxLength": 200},
        "title": TEXT | {"maxLength": 100},
        "description": TEXT | {"maxLength": 100},
        "version": {"type": "string", "maxLength": 255, "not": {"pattern": r"[\^~<>*]|\.x"}},
        "remotes": {"type": "array", "items": REMOTE},
    },
    "additionalProperties": False,
}


def entry() -> Any:
    return json.loads((ROOT / "deploy" / "server.json").read_text())


def test_it_is_what_the_registry_demands() -> None:
    jsonschema.validate(entry(), DEMANDS)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(entry() | {"description": "x" * 101}, DEMANDS)


def test_it_lists_no_package_until_a_name_is_decided() -> None:
    assert "packages" not in entry()


def test_each_user_is_asked_for_a_key_of_their_own_which_is_kept_secret() -> None:
    [remote] = entry()["remotes"]
    assert remote["url"].endswith(f".example{PATH}"), "a name that is nobody's"
    [header] = remote["headers"]
    assert (header["name"], header["value"]) == ("Authorization", "Bearer {api_key}")
    assert header["variables"]["api_key"]["isSecret"] and header["variables"]["api_key"]["isRequired"]


def test_its_version_is_this_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert entry()["version"] == re.sub(r"\.dev(\d+)$", r"-dev.\1", version)
