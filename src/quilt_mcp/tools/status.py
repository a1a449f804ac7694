"""status and bucket_list: who I am, why, what I can do, and what is in reach."""

from __future__ import annotations

from quilt_mcp import __version__
from quilt_mcp.tools.envelope import Answer
from quilt_mcp.tools.shapes import present, registry_json
from quilt_mcp.tools.spec import CURSOR, SWITCH, TEXT, Call, ToolSpec, fields, limit, listed


async def status(call: Call) -> Answer:
    decision = [
        present(backend=one.kind, chosen=one.chosen, reason=one.reason, fix=one.fix or None)
        for one in call.identity.explanation
    ]
    return Answer(
        {
            "version": __version__,
            "backend": call.ops.backend,
            "principal": call.identity.principal,
            "registry": call.ops.default_registry,
            "writes": call.settings.allow_write,
            "decision": decision,
            "abilities": call.ops.describe(),
            "limits": {
                "roots": [str(root) for root in call.settings.local_roots()],
                "max_response_tokens": call.settings.max_response_tokens,
            },
        },
        warnings=call.settings.notices(),
    )


async def bucket_list(call: Call, *, limit: int = 100, cursor: str | None = None) -> Answer:
    page = await call.ops.list_buckets(limit=limit, cursor=cursor)
    return Answer(
        {"buckets": [registry_json(one) for one in page.items]},
        records=("buckets",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


STATUS = ToolSpec(
    name="status",
    title="Status",
    description="Who I am, which backend and registry serve me and why, and whether I may write.",
    arguments={},
    required=(),
    data=fields(
        version=TEXT,
        backend=TEXT,
        principal=TEXT,
        registry=TEXT,
        writes=SWITCH,
        decision=listed(fields(backend=TEXT, chosen=SWITCH, reason=TEXT, fix=TEXT)),
        abilities={},
        limits={},
    ),
    run=status,
)
BUCKET_LIST = ToolSpec(
    name="bucket_list",
    title="Registries in reach",
    description="Registries and buckets I can use.",
    arguments={"limit": limit(), "cursor": CURSOR},
    required=(),
    data=fields(buckets=listed(fields(registry=TEXT, title=TEXT, is_default=SWITCH, writable=SWITCH))),
    run=bucket_list,
)
