"""admin_sso, admin_packager: single sign-on, which events make packages, and the stack's own status."""

from __future__ import annotations

from dataclasses import replace

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

SSO_ACTS = {"get": Act(writes=False), "set": Act(("text",)), "remove": Act()}
PACKAGER_ACTS = {
    "list": Act(writes=False),
    "toggle": Act(("name", "on")),
    "status": Act(writes=False),
}
_SSO_NOTES = {
    "set": "roles: the stack gives them by this from each user's next sign-in on.",
    "remove": "roles: they stay as they are, and are set by hand from now on.",
}


async def admin_sso(
    call: Call,
    *,
    action: str,
    text: str | None = None,
    dry_run: bool = False,
    expected: str | None = None,
) -> Answer:
    given = taken(SSO_ACTS, action, text=text)
    admin = call.ops.admin
    assert admin is not None, "the tool is called where there is this ability"
    if action == "get":
        return Answer({"sso": dict(await admin.get("sso", ""))})
    request = AdminChange("sso", action, "of the stack", given, expected)
    return await change(admin, request, dry_run=dry_run, note=_SSO_NOTES[action])


async def admin_packager(
    call: Call, *, action: str, name: str | None = None, on: bool | None = None, dry_run: bool = False
) -> Answer:
    given = taken(PACKAGER_ACTS, action, name=name, on=on)
    admin = call.ops.admin
    assert admin is not None, "the tool is called where there is this ability"
    if action == "status":
        return Answer({"status": dict(await admin.get("status", ""))})
    if action == "list":
        shown = ("name", "enabled")
        found = await rows(admin, "event_rule", "rules", {}, shown=shown)
        return replace(found, paged=False)
    return await change(admin, AdminChange("event_rule", action, given["name"], given), dry_run=dry_run)


_SSO_ARGUMENTS = {
    "action": choice(SSO_ACTS, "What to do"),
    "text": {"type": "string", "description": "YAML: version, default_role, mappings; replaces all"},
    "dry_run": DRY_RUN,
    "expected": EXPECTED,
}
_PACKAGER_ARGUMENTS = {
    "action": choice(PACKAGER_ACTS, "status: of the stack's own tests"),
    "name": {"type": "string", "description": "Rule"},
    "on": {"type": "boolean", "description": "Of toggle"},
    "dry_run": DRY_RUN,
}
ADMIN_SSO = ToolSpec(
    name="admin_sso",
    title="Single sign-on of the stack",
    description="Which roles single sign-on gives.",
    arguments=_SSO_ARGUMENTS,
    required=("action",),
    data=data(None, "sso"),
    run=admin_sso,
    destructive=True,
    needs=("admin",),
    writing=writing(SSO_ACTS),
    for_writing=for_writing(SSO_ACTS, _SSO_ARGUMENTS),
)
ADMIN_PACKAGER = ToolSpec(
    name="admin_packager",
    title="Packager of the stack",
    description="Rules by which events make packages.",
    arguments=_PACKAGER_ARGUMENTS,
    required=("action",),
    data=data("rules", "status"),
    run=admin_packager,
    destructive=True,
    needs=("admin",),
    writing=writing(PACKAGER_ACTS),
    for_writing=for_writing(PACKAGER_ACTS, _PACKAGER_ARGUMENTS),
)
