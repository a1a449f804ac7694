"""The parts that the schemas of arguments and results are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

VIEW: Final = "ui://quilt/view"
"""The resource that shows a person what a tool found, in clients that can."""

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
SWITCH: Schema = {"type": "boolean"}
PAGE: Schema = {"type": "object", "properties": {"next_cursor": {"type": ["string", "null"]}}}
"""``total`` stands beside it, null where counting would mean reading every page; told in the server's instructions."""


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def fields(**parts: Schema) -> Schema:
    """An object; its type is left to ``properties`` to tell, as the listing has a size to keep."""
    return {"properties": parts}


PACKAGE: Schema = {"type": "string", "description": "ns/name[@hash or :tag] or quilt+ URI"}
REGISTRY: Schema = {"type": "string", "description": "Registry URL or folder"}
DETAIL: Schema = {
    "type": "boolean",
    "default": False,
    "description": "With hashes, physical keys, all there is",
}
DRY_RUN: Schema = {"type": "boolean", "default": False, "description": "Only plan; says what would happen"}
CURSOR: Schema = {"type": "string", "description": "The last page.next_cursor"}


def limit(default: int = 100) -> Schema:
    return {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": default,
        "description": "Page size",
    }
