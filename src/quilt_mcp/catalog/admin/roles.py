"""The roles of a stack: managed ones, made of its policies, and those that are roles of AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from quilt_mcp.catalog.admin.changing import Action, Kind, gone, inside
from quilt_mcp.catalog.admin.named import ROLES, levels, policies
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import InvalidArgument


class Roles(Kind):
    noun = "role"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType(
            {
                "create": Action(self._created, self._create, on="absent"),
                "update": Action(self._updated, self._update),
                "delete": Action(gone, self._delete),
                "set_default": Action(_as_default, self._set_default),
            }
        )

    def rows(self, narrowed: Record) -> Sequence[dict[str, Any]]:
        answer = self._graph.query(ROLES)
        default = text_of(object_of(answer.get("defaultRole")).get("id"))
        found = [_role(one, default) for one in objects_of(inside(answer, "roles"))]
        return sorted(found, key=lambda one: one["name"])

    def look(self, name: str, given: Record) -> Record:
        found = self._find(name)
        if found is None:
            raise self.missing(name, given)
        return found

    def read(self, name: str, given: Record) -> Record | None:
        """What its policies permit is theirs to tell, and no part of the role."""
        found = self._find(name)
        return None if found is None else {one: found[one] for one in found if one != "permissions"}

    def _find(self, name: str) -> dict[str, Any] | None:
        rows = self.rows({})
        by_id = [one for one in rows if one["id"] == name]
        return next(iter(by_id or [one for one in rows if one["name"] == name]), None)

    def _created(self, before: Record, request: AdminChange) -> Record:
        given = request.given
        made: dict[str, Any] = {"name": request.name, "managed": "arn" not in given, "default": False}
        if "arn" not in given:
            return {**made, "policies": policies(self._graph, given.get("policies") or ())}
        if given.get("policies"):
            raise _either(request.name)
        return {**made, "arn": given["arn"]}

    def _updated(self, before: Record, request: AdminChange) -> Record:
        given = request.given
        after = {**before, "name": given.get("new_name") or before["name"]}
        if ("arn" in given) if before["managed"] else ("policies" in given):
            raise _either(request.name)
        if "policies" in given:
            after["policies"] = policies(self._graph, given["policies"])
        if "arn" in given:
            after["arn"] = given["arn"]
        return after

    def _create(self, before: Record, after: Record, request: AdminChange) -> Record:
        answer = self._graph.once(f"RoleCreate{_how(after)}", input=_input(after))
        return self._made(result(answer.get("done"), "RoleCreateSuccess"), after)

    def _update(self, before: Record, after: Record, request: AdminChange) -> Record:
        answer = self._graph.once(f"RoleUpdate{_how(after)}", id=before["id"], input=_input(after))
        return self._made(result(answer.get("done"), "RoleUpdateSuccess"), after)

    def _made(self, done: Mapping[str, Any], after: Record) -> Record:
        found = _role(object_of(done.get("role")), None) | {"default": after["default"]}
        return {one: found[one] for one in found if one != "permissions"}

    def _delete(self, before: Record, after: Record, request: AdminChange) -> None:
        result(self._graph.once("RoleDelete", id=before["id"]).get("done"), "RoleDeleteSuccess")

    def _set_default(self, before: Record, after: Record, request: AdminChange) -> None:
        answer = self._graph.once("RoleSetDefault", id=before["id"])
        result(answer.get("done"), "RoleSetDefaultSuccess")


def _as_default(before: Record, request: AdminChange) -> Record:
    return {**before, "default": True}


def _how(role: Record) -> str:
    return "Managed" if role["managed"] else "Unmanaged"


def _input(role: Record) -> Record:
    if role["managed"]:
        return {"name": role["name"], "policies": list(role["policies"])}
    return {"name": role["name"], "arn": role["arn"]}


def _role(found: Mapping[str, Any], default: str | None) -> dict[str, Any]:
    """``policies`` are titles by id, ``permissions`` levels by bucket. A managed role's ARN is the stack's own."""
    key = str(found.get("id") or "")
    named = {"id": key, "name": str(found.get("name") or ""), "default": key == default}
    if found.get("__typename") != "ManagedRole":
        return {**named, "managed": False, "arn": text_of(found.get("arn"))}
    return {
        **named,
        "managed": True,
        "policies": {str(one.get("id")): str(one.get("title")) for one in objects_of(found.get("policies"))},
        "permissions": levels(found.get("permissions")),
    }


def _either(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"A managed role has policies, another an ARN; {name!r} cannot have both.",
        next_step="Give policies for a managed role, or arn for a role of AWS. One does not become the other: make a new one.",
    )
