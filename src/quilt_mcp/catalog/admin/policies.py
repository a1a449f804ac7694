"""The policies of a stack: what roles may do in which buckets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from quilt_mcp.catalog.admin.changing import Action, Kind, chosen, gone, inside
from quilt_mcp.catalog.admin.named import POLICIES, levels, managed_roles
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import InvalidArgument

_LEVELS: Final = ("READ", "READ_WRITE")


class Policies(Kind):
    """A title may be that of several, an id is not."""

    noun = "policy"
    called = "title"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType(
            {
                "create": Action(self._created, self._create, on="absent"),
                "update": Action(self._updated, self._update),
                "delete": Action(gone, self._delete),
            }
        )

    def rows(self, narrowed: Record) -> Sequence[dict[str, Any]]:
        found = objects_of(inside(self._graph.query(POLICIES), "policies"))
        return sorted(map(_policy, found), key=lambda one: (one["title"], one["id"]))

    def read(self, name: str, given: Record) -> Record | None:
        rows = self.rows({})
        key = next(
            iter(chosen(self.noun, [name], {one["id"]: one["title"] for one in rows}, is_needed=False)), None
        )
        return next((one for one in rows if one["id"] == key), None)

    def _created(self, before: Record, request: AdminChange) -> Record:
        made: dict[str, Any] = {"title": request.name, "managed": "arn" not in request.given}
        return self._merged({**made, "roles": {}, "permissions": {}}, request)

    def _updated(self, before: Record, request: AdminChange) -> Record:
        return self._merged({**before, "title": request.given.get("title") or before["title"]}, request)

    def _merged(self, policy: dict[str, Any], request: AdminChange) -> Record:
        """Permissions bucket by bucket, null takes one away; roles as a whole."""
        given = request.given
        if ("permissions" if not policy["managed"] else "arn") in given:
            raise InvalidArgument(
                f"A managed policy has permissions, another an ARN; {request.name!r} cannot have both.",
                next_step="Give permissions for a managed policy, or arn for one of AWS. One does not become the other.",
            )
        if "roles" in given:
            policy["roles"] = managed_roles(self._graph, given["roles"])
        if not policy["managed"]:
            return policy | {"arn": given.get("arn", policy.get("arn"))}
        asked: Mapping[str, Any] = given.get("permissions") or {}
        for bucket, level in asked.items():
            if level not in (*_LEVELS, None):
                raise InvalidArgument(
                    f"{str(level)[:100]!r} is no level of permission on {bucket[:100]!r}.",
                    next_step='Give {"bucket": "READ"}, "READ_WRITE", or null to take it away.',
                )
        permissions = {**policy["permissions"], **asked}
        return policy | {"permissions": {name: level for name, level in permissions.items() if level}}

    def _create(self, before: Record, after: Record, request: AdminChange) -> Record:
        answer = self._graph.once(f"PolicyCreate{_how(after)}", input=_input(after))
        return _policy(result(answer.get("done"), "Policy"))

    def _update(self, before: Record, after: Record, request: AdminChange) -> Record:
        document = f"PolicyUpdate{_how(after)}"
        answer = self._graph.once(document, id=before["id"], input=_input(after))
        return _policy(result(answer.get("done"), "Policy"))

    def _delete(self, before: Record, after: Record, request: AdminChange) -> None:
        result(self._graph.once("PolicyDelete", id=before["id"]).get("done"), "Ok")


def _how(policy: Record) -> str:
    return "Managed" if policy["managed"] else "Unmanaged"


def _input(policy: Record) -> Record:
    shared = {"title": policy["title"], "roles": list(policy["roles"])}
    if not policy["managed"]:
        return shared | {"arn": policy["arn"]}
    return shared | {
        "permissions": [{"bucket": name, "level": level} for name, level in policy["permissions"].items()]
    }


def _policy(found: Mapping[str, Any]) -> dict[str, Any]:
    """``roles`` are names by id. A managed policy's ARN is the stack's own."""
    is_managed = found.get("managed") is True
    named = {
        "id": str(found.get("id") or ""),
        "title": str(found.get("title") or ""),
        "managed": is_managed,
        "roles": {str(one.get("id")): str(one.get("name")) for one in objects_of(found.get("roles"))},
    }
    if is_managed:
        return named | {"permissions": levels(found.get("permissions"))}
    return named | {"permissions": {}, "arn": text_of(found.get("arn"))}
