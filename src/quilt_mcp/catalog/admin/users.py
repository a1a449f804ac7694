"""The users of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from quilt_mcp.catalog.admin.changing import Action, Kind, gone, inside, missing
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import InvalidArgument


class Users(Kind):
    noun = "user"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType(
            {
                "create": Action(_created, self._create, on="absent"),
                "delete": Action(gone, self._delete),
                "set_email": Action(_with_email, self._set_email),
                "set_role": Action(_with_role, self._set_role),
                "add_roles": Action(_with_more_roles, self._add_roles),
                "remove_roles": Action(_without_roles, self._remove_roles),
                "set_admin": Action(partial(_with_switch, "admin"), self._set_admin),
                "set_active": Action(partial(_with_switch, "active"), self._set_active),
                "reset_password": Action(_with_password, self._reset_password),
            }
        )

    def rows(self, narrowed: Record) -> Sequence[Record]:
        found = inside(self._graph.query("UserList"), "admin", "user", "list")
        return sorted((_user(one) for one in objects_of(found)), key=lambda one: one["name"])

    def look(self, name: str, given: Record) -> Record:
        found = self._get(name)
        if found is None:
            raise self.missing(name, given)
        return _user(found) | {
            "sso_only": found.get("isSsoOnly") is True,
            "service": found.get("isService") is True,
            "role_set_elsewhere": found.get("isRoleAssignmentDisabled") is True,
            "admin_set_elsewhere": found.get("isAdminAssignmentDisabled") is True,
            "joined": text_of(found.get("dateJoined")),
            "last_login": text_of(found.get("lastLogin")),
        }

    def read(self, name: str, given: Record) -> Record | None:
        found = self._get(name)
        return None if found is None else _user(found)

    def _get(self, name: str) -> dict[str, Any] | None:
        found = inside(self._graph.query("UserGet", name=name), "admin", "user", "get")
        return object_of(found) or None

    def _create(self, before: Record, after: Record, request: AdminChange) -> Record:
        asked = {name: after[name] for name in ("name", "email", "role")} | {
            "extraRoles": after["extra_roles"]
        }
        answer = self._graph.once("UserCreate", input=asked)
        return _user(result(inside(answer, "admin", "user", "done"), "User"))

    def _delete(self, before: Record, after: Record, request: AdminChange) -> None:
        result(self._mutate("UserDelete", request), "Ok")

    def _reset_password(self, before: Record, after: Record, request: AdminChange) -> None:
        """What the stack gives for it goes to the user by the stack's own way; nothing of it is asked for."""
        result(self._mutate("UserResetPassword", request), "Ok")

    def _set_email(self, before: Record, after: Record, request: AdminChange) -> Record:
        return self._changed("UserSetEmail", request, email=after["email"])

    def _set_role(self, before: Record, after: Record, request: AdminChange) -> Record:
        return self._changed("UserSetRole", request, role=after["role"], extraRoles=after["extra_roles"])

    def _add_roles(self, before: Record, after: Record, request: AdminChange) -> Record:
        return self._changed("UserAddRoles", request, roles=list(request.given["roles"]))

    def _remove_roles(self, before: Record, after: Record, request: AdminChange) -> Record:
        given = request.given
        return self._changed(
            "UserRemoveRoles", request, roles=list(given["roles"]), fallback=given.get("role")
        )

    def _set_admin(self, before: Record, after: Record, request: AdminChange) -> Record:
        return self._changed("UserSetAdmin", request, admin=after["admin"])

    def _set_active(self, before: Record, after: Record, request: AdminChange) -> Record:
        return self._changed("UserSetActive", request, active=after["active"])

    def _changed(self, document: str, request: AdminChange, **variables: Any) -> Record:
        return _user(result(self._mutate(document, request, **variables), "User"))

    def _mutate(self, document: str, request: AdminChange, **variables: Any) -> object:
        """Of a user who is gone since the look at them, the stack answers nothing."""
        answer = self._graph.once(f"{document}", name=request.name, **variables)
        user = inside(answer, "admin", "user", "mutate")
        if user is None:
            raise missing(self.noun, request.name, ())
        return inside(user, "done")


def _user(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(found.get("name") or ""),
        "email": str(found.get("email") or ""),
        "role": text_of(object_of(found.get("role")).get("name")),
        "extra_roles": sorted(str(one.get("name")) for one in objects_of(found.get("extraRoles"))),
        "admin": found.get("isAdmin") is True,
        "active": found.get("isActive") is True,
    }


def _created(before: Record, request: AdminChange) -> Record:
    given = request.given
    extra = sorted({*(given.get("roles") or ())} - {given["role"]})
    made = {"name": request.name, "email": given["email"], "role": given["role"], "extra_roles": extra}
    return {**made, "admin": False, "active": True}


def _with_email(before: Record, request: AdminChange) -> Record:
    return {**before, "email": request.given["email"]}


def _with_role(before: Record, request: AdminChange) -> Record:
    """Extra roles stay where none are given."""
    role, roles = request.given["role"], request.given.get("roles")
    extra = before["extra_roles"] if roles is None else roles
    return {**before, "role": role, "extra_roles": sorted({*extra} - {role})}


def _with_more_roles(before: Record, request: AdminChange) -> Record:
    extra = {*before["extra_roles"], *request.given["roles"]} - {before["role"]}
    return {**before, "extra_roles": sorted(extra)}


def _without_roles(before: Record, request: AdminChange) -> Record:
    """``role`` is the one that takes the place of the user's, where that goes."""
    taken, role = {*request.given["roles"]}, before["role"]
    extra = {*before["extra_roles"]} - taken
    if role in taken:
        role = request.given.get("role")
        if role is None:
            raise InvalidArgument(
                f"{before['name']} would lose {before['role']}, which is the user's own role.",
                next_step=f"Give role, the one to have in its place{f', as {min(extra)}' if extra else ''}.",
                details={"role": before["role"], "extra_roles": sorted(extra)},
            )
    return {**before, "role": role, "extra_roles": sorted(extra - {role})}


def _with_switch(field: str, before: Record, request: AdminChange) -> Record:
    return {**before, field: request.given["on"]}


def _with_password(before: Record, request: AdminChange) -> Record:
    return {**before, "password": "for the user to set anew"}
