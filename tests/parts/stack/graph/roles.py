"""Roles and policies: in memory, and what S3 allows of the stack's gate follows them."""

from __future__ import annotations

import re
from typing import Any

from parts.stack.graph import buckets
from parts.stack.graph.asking import OK, Asking, invalid_input, operation_error
from parts.stack.holdings import Failure
from parts.stack.state import EVERY_BUCKET, Policy, Role

_RESERVED = ("admin", "default")
_NAME = re.compile(r"[A-Za-z][\w-]{0,63}")
_MOST_POLICIES = 5


def policy(asking: Asking, kept: Policy) -> dict[str, Any]:
    def permissions(info: Any) -> list[dict[str, Any]]:
        found = []
        for named, level in kept.permissions.items():
            for name in asking.state.buckets if named == EVERY_BUCKET else [named]:
                if name in asking.state.buckets:
                    found.append(
                        {
                            "name": name,
                            "bucket": buckets.described(asking, name),
                            "policy": policy(asking, kept),
                            "level": level,
                        }
                    )
        return found

    def roles(info: Any) -> list[dict[str, Any]]:
        return [role(asking, one) for one in asking.state.roles.values() if kept.id in one.policies]

    return {
        "__typename": "Policy",
        "id": kept.id,
        "title": kept.title,
        "arn": kept.arn,
        "managed": kept.managed,
        "permissions": permissions,
        "roles": roles,
    }


def role(asking: Asking, kept: Role) -> dict[str, Any]:
    plain = {"id": kept.id, "name": kept.name, "arn": kept.arn}
    if not kept.managed:
        return {"__typename": "UnmanagedRole", **plain}
    state = asking.state
    return {
        "__typename": "ManagedRole",
        **plain,
        "policies": [policy(asking, state.policies[id]) for id in kept.policies if id in state.policies],
        "permissions": lambda info: [
            {"bucket": buckets.described(asking, name), "role": role(asking, kept), "level": level}
            for name, level in state.permissions(kept.name).items()
        ],
    }


def _of_sso(asking: Asking, name: str) -> bool:
    return asking.state.sso is not None and name in asking.state.sso["text"]


def _refused(asking: Asking, name: str, policies: list[str], id: str | None = None) -> str | None:
    if name.lower() in _RESERVED:
        return "RoleNameReserved"
    if not _NAME.fullmatch(name):
        return "RoleNameInvalid"
    named = asking.state.role_named(name)
    if named and named.id != id:
        return "RoleNameExists"
    return "RoleHasTooManyPoliciesToAttach" if len(policies) > _MOST_POLICIES else None


def _create(info: Any, input: dict[str, Any], *, managed: bool) -> dict[str, Any]:
    asking: Asking = info.context
    name, policies = input["name"], input.get("policies", [])
    refused = _refused(asking, name, policies)
    if refused:
        return {"__typename": refused}
    made = Role(name, input.get("arn", f"arn:aws:iam::123456789012:role/{name}"), list(policies), managed)
    asking.state.roles[made.id] = made
    return {"__typename": "RoleCreateSuccess", "role": role(asking, made)}


def _update(info: Any, id: str, input: dict[str, Any], *, managed: bool) -> dict[str, Any]:
    asking: Asking = info.context
    kept = asking.state.roles[id]
    if kept.managed is not managed:
        return {"__typename": "RoleIsManaged" if kept.managed else "RoleIsUnmanaged"}
    name, policies = input["name"], input.get("policies", [])
    refused = _refused(asking, name, policies, id)
    if refused is None and name != kept.name and _of_sso(asking, kept.name):
        refused = "RoleNameUsedBySsoConfig"
    if refused:
        return {"__typename": refused}
    for user in asking.state.users.values():
        user.role = name if user.role == kept.name else user.role
        user.extra_roles = [name if one == kept.name else one for one in user.extra_roles]
    kept.name, kept.policies, kept.arn = name, list(policies), input.get("arn", kept.arn)
    return {"__typename": "RoleUpdateSuccess", "role": role(asking, kept)}


def role_delete(info: Any, id: str) -> dict[str, Any]:
    asking: Asking = info.context
    kept = asking.state.roles.get(id)
    if kept is None:
        return {"__typename": "RoleDoesNotExist"}
    if any(kept.name in user.roles for user in asking.state.users.values()):
        return {"__typename": "RoleAssigned"}
    if _of_sso(asking, kept.name):
        return {"__typename": "RoleNameUsedBySsoConfig"}
    del asking.state.roles[id]
    return {"__typename": "RoleDeleteSuccess"}


def role_set_default(info: Any, id: str) -> dict[str, Any]:
    asking: Asking = info.context
    if asking.state.sso is not None:
        return {"__typename": "SsoConfigConflict"}
    if id not in asking.state.roles:
        return {"__typename": "RoleDoesNotExist"}
    asking.state.default_role = id
    return {"__typename": "RoleSetDefaultSuccess", "role": role(asking, asking.state.roles[id])}


def _policy_put(info: Any, input: dict[str, Any], id: str | None = None, *, managed: bool) -> dict[str, Any]:
    asking: Asking = info.context
    state = asking.state
    if not input["title"].strip():
        return invalid_input("input.title", "Empty", "must not be empty")
    for at, one in enumerate(input.get("permissions", [])):
        if one["bucket"] not in state.buckets:
            return invalid_input(f"input.permissions.{at}.bucket", "NotFound", f"there is no {one['bucket']}")
    for at, role_id in enumerate(input["roles"]):
        if role_id not in state.roles or not state.roles[role_id].managed:
            return invalid_input(f"input.roles.{at}", "NotFound", f"{role_id} is no managed role")
    if id is None:
        kept = Policy(input["title"], managed=managed)
        kept.arn = f"arn:aws:iam::123456789012:policy/{kept.id}"
    elif id not in state.policies:
        return operation_error(Failure("PolicyNotFound", f"there is no policy {id}"))
    else:
        kept = state.policies[id]
        if kept.managed is not managed:
            return operation_error(Failure("PolicyKind", f"{id} is {'' if kept.managed else 'not '}managed"))
    kept.title, kept.arn = input["title"], input.get("arn", kept.arn)
    kept.permissions = {one["bucket"]: one["level"] for one in input.get("permissions", [])}
    state.policies[kept.id] = kept
    for one in state.roles.values():
        one.policies = [held for held in one.policies if held != kept.id]
        if one.id in input["roles"]:
            one.policies.append(kept.id)
    return policy(asking, kept)


def policy_delete(info: Any, id: str) -> dict[str, Any]:
    asking: Asking = info.context
    if asking.state.policies.pop(id, None) is None:
        return operation_error(Failure("PolicyNotFound", f"there is no policy {id}"))
    for one in asking.state.roles.values():
        one.policies = [held for held in one.policies if held != id]
    return OK


def _one_role(info: Any, id: str | None) -> dict[str, Any] | None:
    kept = info.context.state.roles.get(id)
    return None if kept is None else role(info.context, kept)


def _one_policy(info: Any, id: str) -> dict[str, Any] | None:
    kept = info.context.state.policies.get(id)
    return None if kept is None else policy(info.context, kept)


ROOT = {
    "roles": lambda info: [role(info.context, one) for one in info.context.state.roles.values()],
    "role": _one_role,
    "defaultRole": lambda info: _one_role(info, info.context.state.default_role),
    "policies": lambda info: [policy(info.context, one) for one in info.context.state.policies.values()],
    "policy": _one_policy,
    "roleCreateManaged": lambda info, input: _create(info, input, managed=True),
    "roleCreateUnmanaged": lambda info, input: _create(info, input, managed=False),
    "roleUpdateManaged": lambda info, id, input: _update(info, id, input, managed=True),
    "roleUpdateUnmanaged": lambda info, id, input: _update(info, id, input, managed=False),
    "roleDelete": role_delete,
    "roleSetDefault": role_set_default,
    "policyCreateManaged": lambda info, input: _policy_put(info, input, managed=True),
    "policyCreateUnmanaged": lambda info, input: _policy_put(info, input, managed=False),
    "policyUpdateManaged": lambda info, id, input: _policy_put(info, input, id, managed=True),
    "policyUpdateUnmanaged": lambda info, id, input: _policy_put(info, input, id, managed=False),
    "policyDelete": policy_delete,
}
