"""sql_query and sql_tables: packages and their files as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from quilt_mcp.domain.address import names_packages
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest
from quilt_mcp.domain.sql import ENGINES, SqlEngine, SqlRequest, SqlTable
from quilt_mcp.errors import InvalidArgument, PackageNotFound
from quilt_mcp.tools.arguments.addresses import package_address, written_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.changes import committed, planned
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import present
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import CURSOR, DRY_RUN, TEXT, fields, limit, listed

MOST_SAVED: Final = 64 << 20
"""Bytes of a result that becomes a file."""
NOTES: Final = (
    "Names are pasted into FROM as they stand; those of files without a package take the call's packages.",
    'Files have further columns, which * leaves out: "$logical_key" (path), "$pkg_name", "$top_hash", in double quotes. A '
    'table of several files shows "$logical_key".',
    "Several files are one table: files('*.csv') of all packages of the call, packages=['lab/a', 'lab/b'] or ['lab/*']; "
    "files('lab/*', '*.csv'), files(['a.csv', 'b.csv']), 'data/*.csv', files('s3://bucket/folder/*.csv').",
    "A revision: 'ns/name@hash/x.csv'. Another registry: 'quilt+s3://bucket#package=ns/name@hash&path=x.csv'.",
)
_ENVELOPE: Final = 2_000
"""Bytes of an answer beside its rows."""


async def sql_query(
    call: Call,
    *,
    sql: str,
    packages: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    engine: str = "auto",
    all_revisions: bool = False,
    explain: bool = False,
    limit: int = 100,
    cursor: str | None = None,
    to: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
) -> Answer:
    given = {"sql": sql, "packages": packages, "parameters": parameters, "engine": engine}
    request = await request_of(call, {**given, "all_revisions": all_revisions, "explain": explain})
    if to is not None:
        check_saved(request, "to", cursor)
        return await _saved(call, request, to, message, dry_run=dry_run)
    # The text block repeats the rows with their quotes escaped once more.
    room = max((call.settings.response_bytes() - _ENVELOPE) * 2 // 3, 1_000)
    found = await call.ops.sql.query(request, limit=limit, room=room, cursor=cursor, progress=call.progress)
    return Answer(
        present(
            columns=[one.name for one in found.columns],
            types=None if cursor else [one.type for one in found.columns],
            rows=[list(row) for row in found.rows],
            engine=None if found.engine == "duckdb" else found.engine,
            facts=dict(found.facts) or None,
        ),
        records=("rows",),
        next_cursor=found.next_cursor,
        total=found.total,
        warnings=found.warnings,
    )


def check_saved(request: SqlRequest, by: str, cursor: str | None = None) -> None:
    """``by``: the argument or flag that wants the rows as a file. Raises InvalidArgument."""
    if request.engine == "athena" or request.explain or cursor is not None:
        raise InvalidArgument(
            f"{by} saves the rows of a query that runs here, and goes with none of engine=athena, explain and cursor.",
            next_step="Leave those out.",
        )


async def request_of(call: Call, given: Mapping[str, Any]) -> SqlRequest:
    """What the arguments ask. Raises as ``package_address``."""
    return SqlRequest(
        given["sql"],
        await _addresses(call, given.get("packages", ())),
        cast("SqlEngine", given.get("engine", "auto")),
        given.get("parameters") or {},
        given.get("explain", False),
        given.get("all_revisions", False),
    )


async def _saved(call: Call, request: SqlRequest, to: str, message: str | None, *, dry_run: bool) -> Answer:
    """The result as a file of a new revision, with the query and what it was made of in the file's metadata."""
    address = await written_address(call, to)
    path = address.path or ""
    form = path.rpartition(".")[2].casefold()
    if form not in ("parquet", "csv"):
        raise InvalidArgument(
            f"to is {to[:200]!r}, which names no file of a package that ends in .parquet or .csv.",
            next_step="As to='ns/name/results/table.parquet'.",
        )
    saved = await call.ops.sql.save(
        replace(request, to=address), form, most=MOST_SAVED, progress=call.progress
    )
    metadata: dict[str, Any] = {"sql": request.sql, "engine": "duckdb", "inputs": list(saved.inputs)}
    if saved.as_of:
        metadata["as_of"] = dict(saved.as_of)
    if request.parameters:
        metadata["parameters"] = request.parameters
    package, files = replace(address, path=None), (InlineFile(path, saved.content, metadata, form),)
    said = message or f"{path} by SQL"
    patch = PatchRequest(package, files=files, message=said)
    try:
        plan = await call.ops.plan_patch(patch)
    except PackageNotFound:
        create = CreateRequest(package, files=files, message=said)
        answer = (
            planned(await call.ops.plan_create(create))
            if dry_run
            else committed(await call.ops.create(create, call.progress))
        )
    else:
        answer = planned(plan) if dry_run else committed(await call.ops.patch(patch, call.progress))
    return replace(answer, warnings=(*answer.warnings, *saved.warnings))


async def sql_tables(call: Call, *, packages: Sequence[str] = (), engine: str = "auto") -> Answer:
    request = SqlRequest("", await _addresses(call, packages), cast("SqlEngine", engine))
    found = await call.ops.sql.list_tables(request, call.progress)
    notes = None if request.engine == "athena" else [*NOTES]
    return Answer(
        present(notes=notes, tables=[_table(one) for one in found]), records=("tables",), paged=False
    )


async def _addresses(call: Call, packages: Sequence[str]) -> tuple[str, ...]:
    return tuple([one if names_packages(one) else str(await package_address(call, one)) for one in packages])


def _table(one: SqlTable) -> dict[str, Any]:
    return present(
        table=one.name,
        columns={column.name: column.type for column in one.columns} or None,
        about=one.comment,
    )


SQL_QUERY = ToolSpec(
    name="sql_query",
    title="Query in SQL",
    description="SQL (DuckDB's, read only) over packages. FROM 'data/x.csv' with packages=['ns/name'], FROM "
    "'ns/name@hash/x.parquet', FROM files('ns/name', '*.csv'). Over all packages: package_entry (top_hash, logical_key, size, "
    "metadata..), package_manifest, package_tag, package_revision. CSV, TSV, Parquet, JSON lines, .gz.",
    arguments={
        "sql": {"type": "string", "description": "One query"},
        "packages": {**listed(TEXT), "description": "ns/name[@hash]: their files by path"},
        "parameters": {"type": "object", "description": "For $name in sql"},
        "engine": {"type": "string", "enum": list(ENGINES), "default": "auto", "description": "auto: here"},
        "all_revisions": {"type": "boolean", "default": False, "description": "In package_*: old ones too"},
        "explain": {"type": "boolean", "default": False, "description": "The plan"},
        "limit": {**limit(100), "description": "Rows a page"},
        "cursor": CURSOR,
        "to": {"type": "string", "description": "Save all as ns/name/path.parquet or .csv"},
        "message": {"type": "string", "description": "For its log"},
        "dry_run": DRY_RUN,
    },
    required=("sql",),
    data=fields(columns=listed(TEXT), types=listed(TEXT), rows=listed({}), engine=TEXT, facts={}),
    run=sql_query,
    for_writing=("to", "message", "dry_run"),
)

SQL_TABLES = ToolSpec(
    name="sql_tables",
    title="Tables for SQL",
    description="Tables that sql_query can name, with columns and types; of packages: their tabular files.",
    arguments={
        "packages": {**listed(TEXT), "description": "ns/name[@hash]"},
        "engine": {"type": "string", "enum": list(ENGINES), "default": "auto", "description": "Whose"},
    },
    required=(),
    data=fields(notes=listed(TEXT), tables=listed(fields(table=TEXT, columns={}, about=TEXT))),
    run=sql_tables,
)
