"""Athena: SQL for one identity, in DuckDB's words over the four tables or in Athena's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from quilt_mcp.athena import cost, results
from quilt_mcp.athena.asking import Asking
from quilt_mcp.athena.definitions import definitions
from quilt_mcp.athena.places import GLUE, AthenaSettings, Places, Workgroup
from quilt_mcp.athena.run import Runs
from quilt_mcp.athena.tables import tables_of
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.sql import SqlRows, SqlTable
from quilt_mcp.errors import InvalidArgument, PermissionDenied
from quilt_mcp.storage.workers import in_thread

Dialect = Literal["duckdb", "athena"]
MOST_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Text:
    """What is sent, and how its answer is read."""

    sql: str
    database: str | None
    headings: tuple[str, ...] = ()
    lists: frozenset[int] = frozenset()
    warnings: tuple[str, ...] = ()
    is_free: bool = False


class Athena:
    """``client``: answers a boto3 client of Athena; may block. ``caller`` tells apart those whose queries are never shared: a
    principal and a role. ``buckets``: whose four tables DuckDB's names stand for.

    Safe for many calls at once on one event loop.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        settings: AthenaSettings | None = None,
        *,
        caller: str = "",
        buckets: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
        pause: float = 0.15,
    ) -> None:
        asking = Asking(client)
        self._asking, self._buckets = asking, tuple(buckets)
        self._places = Places(asking, settings or AthenaSettings())
        self._runs = Runs(asking, caller, clock=clock, pause=pause)

    async def query(
        self,
        sql: str,
        *,
        dialect: Dialect = "duckdb",
        parameters: Mapping[str, Any] | Sequence[Any] = (),
        limit: int = 100,
        cursor: str | None = None,
        progress: Progress = no_progress,
        buckets: Sequence[str] | None = None,
    ) -> SqlRows:
        """One page. ``cursor`` is of the same text and parameters, and costs nothing: the query is not run again.

        Cancelled, it is stopped in Athena. Raises NotSupported (what cannot be translated, and whatever does not only read),
        InvalidArgument, ColumnNotFound, NotFound, TooLarge, TooCostly, PermissionDenied, Misconfigured, AuthenticationError and
        StorageUnavailable, which alone is worth another try.
        """
        if not 1 <= limit <= MOST_ROWS:
            raise InvalidArgument(f"limit is out of range: {limit}.", next_step=f"Give 1 to {MOST_ROWS:,}.")
        workgroup = await self._places.workgroup()
        text = await self._text(sql, dialect, parameters, self._buckets if buckets is None else buckets)
        if cursor is not None:
            return await self._next_page(text, workgroup, cursor, limit)
        execution = await self._runs.run(text.sql, workgroup, self._places.catalog, text.database, progress)
        return await self._page(text, workgroup, execution, limit)

    async def explain(
        self,
        sql: str,
        *,
        dialect: Dialect = "duckdb",
        parameters: Mapping[str, Any] | Sequence[Any] = (),
        progress: Progress = no_progress,
        buckets: Sequence[str] | None = None,
    ) -> SqlRows:
        """Athena's plan, free of charge; ``facts`` has the text that would be sent. Raises as ``query`` does."""
        workgroup = await self._places.workgroup()
        text = await self._text(sql, dialect, parameters, self._buckets if buckets is None else buckets)
        if text.is_free:
            raise InvalidArgument("There is no plan of this.", next_step="Ask for it without explain.")
        plan = _Text(f"EXPLAIN {text.sql}", text.database, warnings=text.warnings, is_free=True)
        execution = await self._runs.run(plan.sql, workgroup, self._places.catalog, plan.database, progress)
        return await self._page(plan, workgroup, execution, MOST_ROWS)

    async def tables(self) -> list[SqlTable]:
        """Every table in reach, named as it is written in a FROM of Athena's SQL. Raises PermissionDenied, NotFound."""
        return await self._places.tables()

    async def define(
        self, bucket: str, database: str, progress: Progress = no_progress
    ) -> list[dict[str, Any]]:
        """Makes the published tables of a bucket known, by the statements of ``definitions`` and no others. A database that
        may not be made may be there already: the tables say. Raises as ``query`` does."""
        workgroup = await self._places.workgroup()
        ran: list[dict[str, Any]] = []
        for at, sql in enumerate(definitions(bucket, database)):
            try:
                execution = await self._runs.run(sql, workgroup, GLUE, None, progress)
            except PermissionDenied:
                if at:
                    raise
                continue
            ran.append(_facts(_Text(sql, database, is_free=True), execution))
        return ran

    async def _text(
        self,
        sql: str,
        dialect: Dialect,
        parameters: Mapping[str, Any] | Sequence[Any],
        buckets: Sequence[str],
    ) -> _Text:
        if dialect == "athena":
            from quilt_mcp.athena.gate import pass_read_only

            catalogs = await self._places.catalogs()
            passed = await in_thread(
                lambda: pass_read_only(sql, catalogs, parameters, bucket=next(iter(buckets), ""))
            )
            return _Text(passed.sql, self._places.database, is_free=passed.is_free)
        from quilt_mcp.athena.translate import translate

        located = tables_of(buckets or ("",))
        made = await in_thread(lambda: translate(sql, located, parameters))
        database = await self._places.database_of(buckets)
        return _Text(made.sql, database, made.headings, made.lists, made.warnings)

    def _call(self, text: _Text, workgroup: Workgroup) -> list[str]:
        return ["sql_query", "athena", text.sql, workgroup.name, self._places.catalog, text.database or ""]

    async def _next_page(self, text: _Text, workgroup: Workgroup, cursor: str, limit: int) -> SqlRows:
        execution_id, token = decode_cursor(cursor, self._call(text, workgroup), str, str)
        execution = await self._runs.look(execution_id)
        # A cursor is not signed: what it names has to be a run of this very text, in this workgroup.
        is_ours = execution.get("Query") == text.sql and execution.get("WorkGroup") == workgroup.name
        if not is_ours or execution["Status"]["State"] != "SUCCEEDED":
            raise InvalidArgument(
                "The cursor does not belong to this query.",
                next_step="Call again without cursor: the query runs anew.",
            )
        return await self._page(text, workgroup, execution, limit, token)

    async def _page(
        self,
        text: _Text,
        workgroup: Workgroup,
        execution: Mapping[str, Any],
        limit: int,
        token: str | None = None,
    ) -> SqlRows:
        page = await results.read(
            self._asking, execution, limit, token, headings=text.headings, lists=text.lists
        )
        after = None
        if page.token is not None:
            after = encode_cursor(self._call(text, workgroup), execution["QueryExecutionId"], page.token)
        return SqlRows(
            page.columns,
            page.rows,
            "athena",
            after,
            warnings=text.warnings,
            facts=_facts(text, execution),
        )


def _facts(text: _Text, execution: Mapping[str, Any]) -> dict[str, Any]:
    statistics: Mapping[str, Any] = execution.get("Statistics", {})
    scanned = int(statistics.get("DataScannedInBytes", 0))
    is_reused = bool(statistics.get("ResultReuseInformation", {}).get("ReusedPreviousResult"))
    is_free = text.is_free or is_reused
    return {
        "sql": text.sql,
        "execution_id": execution["QueryExecutionId"],
        "workgroup": execution.get("WorkGroup"),
        "database": execution.get("QueryExecutionContext", {}).get("Database"),
        "bytes_scanned": scanned,
        "about_usd": cost.about_usd(scanned, is_free=is_free),
        "cost": cost.told(scanned, is_free=is_free),
        "milliseconds": statistics.get("TotalExecutionTimeInMillis"),
        "queued_milliseconds": statistics.get("QueryQueueTimeInMillis"),
    }
