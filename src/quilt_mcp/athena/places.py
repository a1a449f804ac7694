"""Places: the workgroup, catalog and database that queries run in, as configured or as found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.athena.asking import NO_OUTPUT, Asking
from quilt_mcp.athena.tabulator import CATALOG
from quilt_mcp.domain.sql import SqlColumn, SqlTable
from quilt_mcp.errors import InvalidArgument, Misconfigured, NotFound, PermissionDenied, QuiltError

GLUE: Final = "AwsDataCatalog"


@dataclass(frozen=True, slots=True)
class AthenaSettings:
    """What is configured; None: found, or the workgroup's. ``output``: s3://bucket/prefix/ for results, no caller's choice."""

    workgroup: str | None = None
    database: str | None = None
    catalog: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Workgroup:
    """``output``: to be sent with a query; None where the workgroup has its own."""

    name: str
    output: str | None = None


class Places:
    """Found once, then kept: make another for another identity or role."""

    def __init__(self, asking: Asking, settings: AthenaSettings) -> None:
        self._asking, self._settings = asking, settings
        self._workgroup: Workgroup | None = None
        self._catalogs: tuple[str, ...] | None = None
        self._databases: dict[tuple[str, ...], str] = {}

    @property
    def catalog(self) -> str:
        """That names without a catalog are of."""
        return self._settings.catalog or GLUE

    @property
    def database(self) -> str | None:
        return self._settings.database

    async def workgroup(self) -> Workgroup:
        """The one that is configured, else the first that may be used: those named for Quilt come first. Raises PermissionDenied
        (none may be seen), Misconfigured (none there, or none has a place for results)."""
        if self._workgroup is None:
            self._workgroup = await self._find_workgroup()
        return self._workgroup

    async def _find_workgroup(self) -> Workgroup:
        if (name := self._settings.workgroup) is not None:
            return self._usable(name, await self._described(name, is_configured=True), is_configured=True)
        listed = self._asking.pages("ListWorkGroups", "WorkGroups")
        names = [str(one["Name"]) async for one in listed if one.get("State", "ENABLED") == "ENABLED"]
        denied, unusable = 0, None
        for name in sorted(names, key=_by_likelihood):
            try:
                return self._usable(name, await self._described(name))
            except PermissionDenied:
                denied += 1
            except Misconfigured as error:
                unusable = error
        if unusable is not None:
            raise unusable
        if denied:
            raise PermissionDenied(
                f"None of the {denied} workgroups of Athena may be used (athena:GetWorkGroup).",
                next_step="Ask for a workgroup, and set QUILT_MCP_ATHENA_WORKGROUP to its name; or ask with engine='duckdb'.",
            )
        raise Misconfigured(
            "There is no workgroup of Athena that is switched on in this region.",
            next_step="Check AWS_REGION, or set QUILT_MCP_ATHENA_WORKGROUP; or ask with engine='duckdb'.",
        )

    async def _described(self, name: str, *, is_configured: bool = False) -> Mapping[str, Any]:
        """Without leave to look at the one that is configured, it is taken as it is."""
        try:
            return (await self._asking.ask("GetWorkGroup", WorkGroup=name))["WorkGroup"]
        except PermissionDenied:
            if not is_configured:
                raise
            return {"Configuration": {"ResultConfiguration": {"OutputLocation": "unknown"}}}

    def _usable(self, name: str, found: Mapping[str, Any], *, is_configured: bool = False) -> Workgroup:
        if found.get("State", "ENABLED") != "ENABLED":
            raise Misconfigured(
                f"The workgroup {name} is switched off.",
                next_step="Set QUILT_MCP_ATHENA_WORKGROUP to another.",
            )
        configuration: Mapping[str, Any] = found.get("Configuration") or {}
        result: Mapping[str, Any] = configuration.get("ResultConfiguration") or {}
        managed: Mapping[str, Any] = configuration.get("ManagedQueryResultsConfiguration") or {}
        own = bool(result.get("OutputLocation") or managed.get("Enabled"))
        if own and (
            configuration.get("EnforceWorkGroupConfiguration", True) or self._settings.output is None
        ):
            return Workgroup(name)
        if self._settings.output is None:
            message = f"The workgroup {name} has no place for results." if is_configured else NO_OUTPUT[0]
            raise Misconfigured(message, next_step=NO_OUTPUT[1], details={"workgroup": name})
        return Workgroup(name, self._settings.output)

    async def catalogs(self) -> tuple[str, ...]:
        """Those that a query may name: Glue's, the configured one, and the stack's Tabulator. Others may run code of somebody
        else's."""
        if self._catalogs is None:
            try:
                listed = self._asking.pages("ListDataCatalogs", "DataCatalogsSummary")
                names = [str(one["CatalogName"]) async for one in listed]
            except PermissionDenied:
                names = []
            found = [one for one in names if CATALOG.fullmatch(one)]
            self._catalogs = tuple(dict.fromkeys([self.catalog, GLUE, *found]))
        return self._catalogs

    async def database_of(self, buckets: Sequence[str]) -> str:
        """The one with the four tables of all ``buckets``: as configured, else looked for. Raises NotFound, and InvalidArgument
        without a bucket."""
        if not buckets:
            raise InvalidArgument(
                "No bucket is named whose tables are asked about.", next_step="Name a registry: s3://bucket."
            )
        if self._settings.database is not None:
            return self._settings.database
        key = tuple(buckets)
        if key not in self._databases:
            self._databases[key] = await self._find_database(buckets)
        return self._databases[key]

    async def _find_database(self, buckets: Sequence[str]) -> str:
        wanted = {f"{one}_package_entry".lower() for one in buckets}
        databases = await self._names_of_databases(self.catalog)
        for name in sorted(databases, key=lambda one: ("iceberg" not in one.lower(), one)):
            try:
                tables = {
                    str(one["Name"]).lower()
                    async for one in self._tables(self.catalog, name, "package_entry")
                }
            except PermissionDenied:
                continue
            if wanted <= tables:
                return name
        raise NotFound(
            f"No database in reach has the tables {', '.join(sorted(wanted))}.",
            next_step="They come with a Quilt stack from 1.70 on. Set QUILT_MCP_ATHENA_DATABASE where they have another place, "
            "or ask with engine='duckdb'.",
            details={"databases": sorted(databases)[:50]},
        )

    async def _names_of_databases(self, catalog: str) -> list[str]:
        listed = self._asking.pages("ListDatabases", "DatabaseList", CatalogName=catalog)
        return [str(one["Name"]) async for one in listed]

    def _tables(self, catalog: str, database: str, expression: str | None = None) -> Any:
        more = {} if expression is None else {"Expression": f".*{expression}"}
        return self._asking.pages(
            "ListTableMetadata", "TableMetadataList", CatalogName=catalog, DatabaseName=database, **more
        )

    async def tables(self) -> list[SqlTable]:
        """Of every catalog that may be named, all pages: of the configured database where there is one. What may not be seen is
        passed over. Raises what the last refusal was when nothing may be seen."""
        found: list[SqlTable] = []
        refused: QuiltError | None = None
        for catalog in await self.catalogs():
            try:
                given = self._settings.database if catalog == self.catalog else None
                databases = [given] if given else await self._names_of_databases(catalog)
                for database in databases:
                    found += [_table(catalog, database, one) async for one in self._tables(catalog, database)]
            except (PermissionDenied, NotFound) as error:
                refused = error
        if refused is not None and not found:
            raise refused
        return found


def _by_likelihood(name: str) -> tuple[int, str]:
    return (0 if "quilt" in name.lower() else 2 if name == "primary" else 1, name)


def _table(catalog: str, database: str, found: Mapping[str, Any]) -> SqlTable:
    parts = [database, str(found["Name"])] if catalog == GLUE else [catalog, database, str(found["Name"])]
    columns = [*found.get("Columns", ()), *found.get("PartitionKeys", ())]
    return SqlTable(
        ".".join('"' + one.replace('"', '""') + '"' for one in parts),
        tuple(SqlColumn(str(one["Name"]), str(one.get("Type", ""))) for one in columns),
        comment=found.get("Parameters", {}).get("comment") or None,
    )
