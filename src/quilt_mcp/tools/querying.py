"""sql_query and sql_tables: packages and their files as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from quilt_mcp.domain.sql import ENGINES, SqlEngine, SqlRequest, SqlTable
from quilt_mcp.tools.arguments.addresses import package_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import present
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import CURSOR, TEXT, fields, limit, listed

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
) -> Answer:
    request = SqlRequest(
        sql,
        await _addresses(call, packages),
        cast("SqlEngine", engine),
        parameters or {},
        explain,
        all_revisions,
    )
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


async def sql_tables(call: Call, *, packages: Sequence[str] = ()) -> Answer:
    request = SqlRequest("", await _addresses(call, packages))
    found = await call.ops.sql.list_tables(request, call.progress)
    return Answer({"tables": [_table(one) for one in found]}, records=("tables",), paged=False)


async def _addresses(call: Call, packages: Sequence[str]) -> tuple[str, ...]:
    return tuple([str(await package_address(call, one)) for one in packages])


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
    },
    required=("sql",),
    data=fields(columns=listed(TEXT), types=listed(TEXT), rows=listed({}), engine=TEXT, facts={}),
    run=sql_query,
)

SQL_TABLES = ToolSpec(
    name="sql_tables",
    title="Tables for SQL",
    description="Tables that sql_query can name, with columns and types; of packages: their tabular files.",
    arguments={"packages": {**listed(TEXT), "description": "ns/name[@hash]"}},
    required=(),
    data=fields(tables=listed(fields(table=TEXT, columns={}, about=TEXT))),
    run=sql_tables,
)
