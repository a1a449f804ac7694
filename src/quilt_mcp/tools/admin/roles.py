"""admin_roles, admin_policies: what users may do in which buckets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from quilt_mcp.domain.plan import AdminChange
from quilt_mcp.tools.admin.doing import (
    DRY_RUN,
    EXPECTED,
    Act,
    change,
    choice,
    data,
    for_writing,
    rows,
    taken,
    writing,
)
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import CURSOR, TEXT, limit, listed

ROLE_ACTS = {
    "list": Act(writes=False),
    "get": Act(("name",), writes=False),
    "create": Act(("name",), ("policies", "arn")),
    "update": Act(("name",), ("new_name", "policies", "arn")),
    "delete": Act(("name",)),
    "set_default": Act(("name",)),
}
POLICY_ACTS = {
    "list": Act(writes=False),
    "get": Act(("name",), writes=False),
    "create": Act(("name",), ("permissions", "roles", "arn")),
    "update": Act(("name",), ("title", "permissions", "roles", "arn")),
    "delete": Act(("name",)),
}


async def admin_roles(
    call: Call,
    *,
    action: str,
    name: str | None = None,
    new_name: str | None = None,
    policies: Sequence[str] | None = None,
    arn: str | None = None,
    dry_run: bool = False,
    expected: str | None = None,
) -> Answer:
    given = taken(ROLE_ACTS, action, name=name, new_name=new_name, policies=policies, arn=arn)
    admin = call.ops.admin
    assert admin is not None, "the tool is called where there is this ability"
    if action == "list":
        shown = ("name", "default", "arn", "policies")
        found = await rows(admin, "role", "roles", {}, shown=shown, usual={"default": False})
        return replace(found, paged=False)
    if action == "get":
        return Answer({"role": dict(await admin.get("role", given["name"]))})
    return await change(admin, AdminChange("role", action, given["name"], given, expected), dry_run=dry_run)


async def admin_policies(
    call: Call,
    *,
    action: str,
    name: str | None = None,
    title: str | None = None,
    permissions: Mapping[str, Any] | None = None,
    roles: Sequence[str] | None = None,
    arn: str | None = None,
    dry_run: bool = False,
    expected: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    given = taken(POLICY_ACTS, action, name=name, title=title, permissions=permissions, roles=roles, arn=arn)
    admin = call.ops.admin
    assert admin is not None, "the tool is called where there is this ability"
    if action == "list":
        by, shown = ("title", "id"), ("id", "title", "arn", "permissions")
        return await rows(admin, "policy", "policies", {}, limit=limit, cursor=cursor, by=by, shown=shown)
    if action == "get":
        return Answer({"policy": dict(await admin.get("policy", given["name"]))})
    return await change(admin, AdminChange("policy", action, given["name"], given, expected), dry_run=dry_run)


_ROLE_ARGUMENTS = {
    "action": choice(ROLE_ACTS, "What to do"),
    "name": {"type": "string", "description": "Role"},
    "new_name": {"type": "string", "description": "Of update"},
    "policies": {**listed(TEXT), "description": "All that a managed role has: titles or ids"},
    "arn": {"type": "string", "description": "Of an unmanaged role: AWS's"},
    "dry_run": DRY_RUN,
    "expected": EXPECTED,
}
_POLICY_ARGUMENTS = {
    "action": choice(POLICY_ACTS, "What to do"),
    "name": {"type": "string", "description": "Title or id"},
    "title": {"type": "string", "description": "A new one"},
    "permissions": {
        "type": "object",
        "description": "{bucket: READ, READ_WRITE or null}; other buckets stay",
    },
    "roles": {**listed(TEXT), "description": "All that have it"},
    "arn": {"type": "string", "description": "Of an unmanaged policy: AWS's"},
    "dry_run": DRY_RUN,
    "expected": EXPECTED,
    "limit": limit(),
    "cursor": CURSOR,
}
ADMIN_ROLES = ToolSpec(
    name="admin_roles",
    title="Roles of the stack",
    description="Roles: what users act as. Managed ones are made of policies.",
    arguments=_ROLE_ARGUMENTS,
    required=("action",),
    data=data("roles", "role"),
    run=admin_roles,
    destructive=True,
    idempotent=False,
    needs=("admin",),
    writing=writing(ROLE_ACTS),
    for_writing=for_writing(ROLE_ACTS, _ROLE_ARGUMENTS),
)
ADMIN_POLICIES = ToolSpec(
    name="admin_policies",
    title="Policies of the stack",
    description="Policies: what managed roles may do in buckets.",
    arguments=_POLICY_ARGUMENTS,
    required=("action",),
    data=data("policies", "policy"),
    run=admin_policies,
    destructive=True,
    idempotent=False,
    needs=("admin",),
    writing=writing(POLICY_ACTS),
    for_writing=for_writing(POLICY_ACTS, _POLICY_ARGUMENTS),
)
