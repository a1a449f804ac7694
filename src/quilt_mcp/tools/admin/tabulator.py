"""admin_tabulator: tables over the packages of a bucket, and who may query them."""

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
from quilt_mcp.tools.spec import ToolSpec, administrators_only
from quilt_mcp.tools.vocabulary import SWITCH

ACTS = {
    "list": Act(("bucket",), writes=False),
    "get": Act(("bucket", "table"), writes=False),
    "set": Act(("bucket", "table", "config")),
    "rename": Act(("bucket", "table", "new_name")),
    "delete": Act(("bucket", "table")),
    "get_open_query": Act(writes=False),
    "set_open_query": Act(("on",)),
}


async def admin_tabulator(
    call: Call,
    *,
    action: str,
    bucket: str | None = None,
    table: str | None = None,
    config: str | None = None,
    new_name: str | None = None,
    on: bool | None = None,
    dry_run: bool = False,
    expected: str | None = None,
) -> Answer:
    given = taken(ACTS, action, bucket=bucket, table=table, config=config, new_name=new_name, on=on)
    if action.endswith("open_query"):
        return await _open_query(call, action, given, dry_run, expected)
    tables = call.ops.tables
    assert tables is not None, "the tool is called where there is this ability"
    given["bucket"] = given["bucket"].removeprefix("s3://").rstrip("/")
    if action == "list":
        found = await rows(tables, "table", "tables", given, shown=("name",))
        return replace(found, paged=False)
    if action == "get":
        return Answer({"table": dict(await tables.get("table", given["table"], given))})
    request = AdminChange("table", action, given["table"], given, expected)
    return await change(tables, request, dry_run=dry_run)


async def _open_query(
    call: Call, action: str, given: dict[str, object], dry_run: bool, expected: str | None
) -> Answer:
    admin = call.ops.admin
    if admin is None:
        raise administrators_only(f"admin_tabulator with action={action}")
    if action == "get_open_query":
        return Answer(dict(await admin.get("open_query", "")))
    request = AdminChange("open_query", "set", "open query", given, expected)
    return await change(admin, request, dry_run=dry_run)


_ARGUMENTS = {
    "action": choice(ACTS, "open_query: administrators only"),
    "bucket": {"type": "string", "description": "Its name"},
    "table": {"type": "string", "description": "Its name"},
    "config": {"type": "string", "description": "YAML: schema, source, parser; replaces all"},
    "new_name": {"type": "string", "description": "Of rename"},
    "on": {"type": "boolean", "description": "Open query"},
    "dry_run": DRY_RUN,
    "expected": EXPECTED,
}
ADMIN_TABULATOR = ToolSpec(
    name="admin_tabulator",
    title="Tabulator tables",
    description="SQL tables over the files of a bucket's packages. Whoever may write to it may change them.",
    arguments=_ARGUMENTS,
    required=("action",),
    data=data("tables", "table", open_query=SWITCH),
    run=admin_tabulator,
    destructive=True,
    needs=("tables",),
    writing=writing(ACTS),
    for_writing=for_writing(ACTS, _ARGUMENTS),
)
