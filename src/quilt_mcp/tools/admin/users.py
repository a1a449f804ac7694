"""admin_users: who may sign in to the stack, in which roles."""

from __future__ import annotations

from collections.abc import Sequence

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

ACTS = {
    "list": Act(writes=False),
    "get": Act(("name",), writes=False),
    "create": Act(("name", "email", "role"), ("roles",)),
    "delete": Act(("name",)),
    "set_email": Act(("name", "email")),
    "set_role": Act(("name", "role"), ("roles",)),
    "add_roles": Act(("name", "roles")),
    "remove_roles": Act(("name", "roles"), ("role",)),
    "set_admin": Act(("name", "on")),
    "set_active": Act(("name", "on")),
    "reset_password": Act(("name",)),
}
_NOTES = {
    "create": "invited: the stack writes to the user's address.",
    "reset_password": "told: the stack writes to the user's address; nothing secret is shown here.",
}


async def admin_users(
    call: Call,
    *,
    action: str,
    name: str | None = None,
    email: str | None = None,
    role: str | None = None,
    roles: Sequence[str] | None = None,
    on: bool | None = None,
    dry_run: bool = False,
    expected: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    given = taken(ACTS, action, name=name, email=email, role=role, roles=roles, on=on)
    admin = call.ops.admin
    assert admin is not None, "the tool is called where there is this ability"
    if action == "list":
        usual = {"admin": False, "active": True}
        return await rows(admin, "user", "users", {}, limit=limit, cursor=cursor, usual=usual)
    if action == "get":
        return Answer({"user": dict(await admin.get("user", given["name"]))})
    request = AdminChange("user", action, given["name"], given, expected)
    return await change(admin, request, dry_run=dry_run, note=_NOTES.get(action))


_ARGUMENTS = {
    "action": choice(ACTS, "What to do"),
    "name": {"type": "string", "description": "User"},
    "email": {"type": "string", "description": "Of create, set_email"},
    "role": {"type": "string", "description": "The one in use; remove_roles: in its place"},
    "roles": {**listed(TEXT), "description": "Extra ones; set_role without keeps them"},
    "on": {"type": "boolean", "description": "Of set_admin, set_active"},
    "dry_run": DRY_RUN,
    "expected": EXPECTED,
    "limit": limit(),
    "cursor": CURSOR,
}
ADMIN_USERS = ToolSpec(
    name="admin_users",
    title="Users of the stack",
    description="Users of the stack and their roles.",
    arguments=_ARGUMENTS,
    required=("action",),
    data=data("users", "user"),
    run=admin_users,
    destructive=True,
    idempotent=False,
    needs=("admin",),
    writing=writing(ACTS),
    for_writing=for_writing(ACTS, _ARGUMENTS),
)
