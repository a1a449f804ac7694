"""admin_buckets: which buckets the stack has, and how it treats each."""

from __future__ import annotations

from collections.abc import Mapping
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
from quilt_mcp.tools.vocabulary import CURSOR, limit

ACTS = {
    "list": Act(writes=False),
    "get": Act(("name",), writes=False),
    "add": Act(("name",), ("config",)),
    "update": Act(("name", "config")),
    "remove": Act(("name",)),
}
_NOTES = {
    "remove": "kept: the bucket and its objects stay on S3; the stack forgets it, its tables and its index."
}


async def admin_buckets(
    call: Call,
    *,
    action: str,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    expected: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    given = taken(ACTS, action, name=name, config=config)
    admin = call.ops.admin
    assert admin is not None, "the tool is called where there is this ability"
    if action == "list":
        return await rows(admin, "bucket", "buckets", {}, limit=limit, cursor=cursor)
    bucket = given["name"].removeprefix("s3://").rstrip("/")
    if action == "get":
        return Answer({"bucket": dict(await admin.get("bucket", bucket))})
    request = AdminChange("bucket", action, bucket, given, expected)
    return await change(admin, request, dry_run=dry_run, note=_NOTES.get(action))


_ARGUMENTS = {
    "action": choice(ACTS, "What to do"),
    "name": {"type": "string", "description": "Bucket"},
    "config": {
        "type": "object",
        "description": "Fields as get has them; those left out stay, null empties. add: delay_scan too",
    },
    "dry_run": DRY_RUN,
    "expected": EXPECTED,
    "limit": limit(),
    "cursor": CURSOR,
}
ADMIN_BUCKETS = ToolSpec(
    name="admin_buckets",
    title="Buckets of the stack",
    description="Buckets of the stack: title, indexing, prefixes, notifications.",
    arguments=_ARGUMENTS,
    required=("action",),
    data=data("buckets", "bucket"),
    run=admin_buckets,
    destructive=True,
    idempotent=False,
    needs=("admin",),
    writing=writing(ACTS),
    for_writing=for_writing(ACTS, _ARGUMENTS),
)
