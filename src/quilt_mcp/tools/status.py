"""status, registry_list, workflow_list, role_switch: who I am, why, what I can do, what is in reach and what it demands."""

from __future__ import annotations

from typing import Any

from quilt_mcp import __version__
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import AuthenticationError, InvalidArgument, QuiltError
from quilt_mcp.tools.arguments.addresses import registry_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import present, registry_json, workflow_json
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import (
    CURSOR,
    DETAIL,
    DRY_RUN,
    NUMBER,
    REGISTRY,
    SWITCH,
    TEXT,
    fields,
    limit,
    listed,
)


async def status(call: Call, *, detail: bool = False) -> Answer:
    identity, settings = call.identity, call.settings
    signed_in, warnings = await _signed_in(call)
    noted = (f"{one.name}: {one.text} {one.fix}" for one in identity.notes)
    chosen = next((one.reason for one in identity.explanation if one.chosen), None)
    return Answer(
        present(
            principal=identity.principal,
            user=signed_in and (signed_in.name or None),
            administrator=True if signed_in and signed_in.is_admin else None,
            role=signed_in and signed_in.role,
            other_roles=[one for one in signed_in.roles if one != signed_in.role] or None
            if signed_in
            else None,
            backend=call.ops.backend,
            why=chosen,
            registry=call.ops.default_registry,
            writes=settings.allow_write,
            roots=[str(root) for root in settings.local_roots()],
        )
        | (_details(call) if detail else {}),
        warnings=(*settings.notices(), *noted, *warnings),
    )


async def _signed_in(call: Call) -> tuple[SignedIn | None, tuple[str, ...]]:
    """Whom a stack takes the caller for; where it cannot be asked, a warning."""
    if call.ops.roles is None:
        return None, ()
    try:
        return await call.ops.roles.signed_in(), ()
    except AuthenticationError:
        raise
    except QuiltError as error:
        return None, (f"stack_not_asked: {error.message}",)


def _details(call: Call) -> dict[str, Any]:
    passed_over = [
        present(backend=one.kind, reason=one.reason, fix=one.fix or None)
        for one in call.identity.explanation
        if not one.chosen
    ]
    return {
        "version": __version__,
        "passed_over": passed_over,
        "abilities": {**call.ops.describe(), "sql": call.ops.sql.layers()},
        "max_response_tokens": call.settings.max_response_tokens,
    }


async def registry_list(call: Call, *, limit: int = 100, cursor: str | None = None) -> Answer:
    page = await call.ops.list_buckets(limit=limit, cursor=cursor)
    return Answer(
        {"registries": [registry_json(one) for one in page.items]},
        records=("registries",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


STATUS = ToolSpec(
    name="status",
    title="Status",
    description="Who I am, which backend and registry serve me and why, which folders I may read, and whether I may write.",
    arguments={"detail": {**DETAIL, "description": "With the backends passed over and why, and abilities"}},
    required=(),
    data=fields(
        principal=TEXT,
        user=TEXT,
        administrator=SWITCH,
        role=TEXT,
        other_roles=listed(TEXT),
        backend=TEXT,
        why=TEXT,
        registry=TEXT,
        writes=SWITCH,
        roots=listed(TEXT),
        version=TEXT,
        passed_over=listed(fields(backend=TEXT, reason=TEXT, fix=TEXT)),
        abilities={},
        max_response_tokens=NUMBER,
    ),
    run=status,
)
REGISTRY_LIST = ToolSpec(
    name="registry_list",
    title="Registries in reach",
    description="Registries (folders and buckets with packages) and buckets in reach.",
    arguments={"limit": limit(), "cursor": CURSOR},
    required=(),
    data=fields(registries=listed(fields(registry=TEXT, title=TEXT, is_default=SWITCH, writable=SWITCH))),
    run=registry_list,
)


async def workflow_list(call: Call, *, registry: str | None = None) -> Answer:
    where = registry_address(call, registry)
    found = await call.ops.workflows(where)
    return Answer(
        present(
            registry=where,
            config=found.config,
            is_required=found.is_required,
            workflows=[workflow_json(one) for one in found.workflows],
            successors=[present(registry=one.url, title=one.title) for one in found.successors] or None,
        ),
        records=("workflows",),
        paged=False,
        warnings=found.warnings,
    )


WORKFLOW_LIST = ToolSpec(
    name="workflow_list",
    title="Workflows of a registry",
    description="What a registry demands of its packages: workflows, their rules and metadata schemas. Read it before writing.",
    arguments={"registry": REGISTRY},
    required=(),
    data=fields(
        registry=TEXT,
        config=TEXT,
        is_required=SWITCH,
        workflows=listed(
            fields(
                id=TEXT,
                name=TEXT,
                description=TEXT,
                is_default=SWITCH,
                is_message_required=SWITCH,
                handle_pattern=TEXT,
                metadata_schema={},
                entries_schema={},
            )
        ),
        successors=listed(fields(registry=TEXT, title=TEXT)),
    ),
    run=workflow_list,
)


async def role_switch(call: Call, *, role: str, dry_run: bool = False) -> Answer:
    roles = call.ops.roles
    assert roles is not None, "the tool is called where there is this ability"
    before = await roles.signed_in()
    if role not in before.roles:
        raise InvalidArgument(
            f"{before.name} has no role {role[:200]!r}.",
            next_step=f"Take one of {', '.join(before.roles)}.",
            details={"role": before.role, "roles": list(before.roles)},
        )
    after = before if dry_run else await roles.switch_role(role)
    return Answer(
        present(done=not dry_run, user=after.name, before=before.role, role=role if dry_run else after.role),
        warnings=("everywhere: the role holds for all of this user's sessions, a browser's too.",),
    )


ROLE_SWITCH = ToolSpec(
    name="role_switch",
    title="Switch role",
    description="Takes another role in all sessions.",
    arguments={"role": {"type": "string", "description": "Of status's roles"}, "dry_run": DRY_RUN},
    required=("role",),
    data=fields(done=SWITCH, user=TEXT, before=TEXT, role=TEXT),
    run=role_switch,
    writes=True,
    needs=("roles",),
)
