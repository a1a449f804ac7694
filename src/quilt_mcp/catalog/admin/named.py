"""Roles and policies as callers name them (by name or title, or by id), and as the stack does: by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from quilt_mcp.catalog.admin.changing import chosen, inside
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import object_of, objects_of

ROLES: Final = "RoleList"
POLICIES: Final = "PolicyList"


def managed_roles(graph: Graph, names: Sequence[str]) -> Mapping[str, str]:
    """Names by id. Raises InvalidArgument."""
    if not names:
        return {}
    found = objects_of(inside(graph.query(ROLES), "roles"))
    managed = [one for one in found if one.get("__typename") == "ManagedRole"]
    return chosen("managed role", names, {str(one.get("id")): str(one.get("name")) for one in managed})


def policies(graph: Graph, titles: Sequence[str]) -> Mapping[str, str]:
    """Titles by id. Raises InvalidArgument."""
    if not titles:
        return {}
    found = objects_of(inside(graph.query(POLICIES), "policies"))
    return chosen("policy", titles, {str(one.get("id")): str(one.get("title")) for one in found})


def levels(permissions: object) -> dict[str, str]:
    """READ or READ_WRITE, by bucket."""
    return {
        str(object_of(one.get("bucket")).get("name")): str(one.get("level"))
        for one in objects_of(permissions)
    }
