"""admin_keys: API keys, with which programs sign in as a person."""

from __future__ import annotations

from dataclasses import replace

from quilt_mcp.domain.plan import AdminChange
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.admin.doing import (
    DRY_RUN,
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
from quilt_mcp.tools.spec import ToolSpec, administrators_only
from quilt_mcp.tools.vocabulary import CURSOR, limit

ACTS = {
    "list": Act((), ("name", "status"), writes=False),
    "create": Act(("name", "dest"), ("days",)),
    "revoke": Act(("name",)),
    "list_all": Act((), ("name", "status", "email"), writes=False),
    "revoke_any": Act(("name",)),
}
_DAYS = 90
_MOST_DAYS = 365
_OF_ALL = {"list_all": "list", "revoke_any": "revoke"}
_SHOWN = ("id", "name", "email", "status", "expires", "last_used")
_NOTES = {
    "create": "secret: it goes into the file alone, for the person; no tool reads it. QUILT_API_KEY_FILE may name that file.",
    "revoke": "at_once: the stack refuses a revoked key from that moment on.",
}


async def admin_keys(
    call: Call,
    *,
    action: str,
    name: str | None = None,
    dest: str | None = None,
    days: int | None = None,
    status: str | None = None,
    email: str | None = None,
    dry_run: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    given = taken(ACTS, action, name=name, dest=dest, days=days, status=status, email=email)
    desk = call.ops.admin if action in _OF_ALL else call.ops.keys
    if desk is None:
        raise administrators_only(f"admin_keys with action={action}")
    done = _OF_ALL.get(action, action)
    if done == "list":
        by = ("name", "id")
        return await rows(desk, "key", "keys", given, limit=limit, cursor=cursor, by=by, shown=_SHOWN)
    if done == "create":
        given.setdefault("days", _DAYS)
        if not given["name"].strip():
            raise InvalidArgument("The name of a key is blank.", next_step="Give name: what the key is for.")
    told = await change(
        desk, AdminChange("key", done, given["name"], given), dry_run=dry_run, note=_NOTES[done]
    )
    # A key is made or revoked and never changed, so there is nothing to expect of one.
    return replace(told, data={name: value for name, value in told.data.items() if name != "state"})


_ARGUMENTS = {
    "action": choice(ACTS, "Own keys; all, any: administrators only"),
    "name": {"type": "string", "description": "To revoke: or the id"},
    "dest": {"type": "string", "description": "New local file for the secret, which no tool shows"},
    "days": {"type": "integer", "minimum": 1, "maximum": _MOST_DAYS, "description": "Default 90"},
    "status": {"type": "string", "enum": ["ACTIVE", "EXPIRED"], "description": "Only these"},
    "email": {"type": "string", "description": "Only this user's"},
    "dry_run": DRY_RUN,
    "limit": limit(),
    "cursor": CURSOR,
}
ADMIN_KEYS = ToolSpec(
    name="admin_keys",
    title="API keys",
    description="API keys, each with its owner's role of the moment.",
    arguments=_ARGUMENTS,
    required=("action",),
    data=data("keys", "key"),
    run=admin_keys,
    destructive=True,
    idempotent=False,
    needs=("keys",),
    writing=writing(ACTS),
    for_writing=for_writing(ACTS, _ARGUMENTS),
)
