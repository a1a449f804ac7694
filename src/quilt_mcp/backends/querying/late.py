"""LateSql: a RegistrySql that is made, and imported, when it is first asked: a server that never queries pays nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from quilt_mcp.backends.querying.tabulator_configs import TabulatorConfigs
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.sql import SqlFile, SqlRequest, SqlRows, SqlTable
from quilt_mcp.domain.table_diff import TableDiff, TableDiffRequest
from quilt_mcp.errors import NotSupported
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.cached import CacheBound
from quilt_mcp.storage.private import PrivateFolder
from quilt_mcp.storage.store import Stores

if TYPE_CHECKING:
    from quilt_mcp.backends.querying.late_athena import LateAthena
    from quilt_mcp.backends.querying.registry_sql import RegistrySql


class LateSql:
    """See ``RegistrySql``."""

    def __init__(
        self,
        registry: Callable[[str], Registry],
        registries: Callable[[], Sequence[str]],
        stores: Stores,
        searching: LateSearch | None,
        private: PrivateFolder,
        bound: CacheBound | None,
        owner: str,
        tabulator: TabulatorConfigs,
    ) -> None:
        self._registry = registry
        self._registries = registries
        self._stores = stores
        self._searching = searching
        self._private = private
        self._bound = bound
        self._owner = owner
        self.tabulator = tabulator
        self._made: RegistrySql | None = None
        self.athena: LateAthena | None = None
        """Where the backend has AWS keys."""

    def made(self) -> RegistrySql:
        if self._made is None:
            from quilt_mcp.backends.querying.registry_sql import RegistrySql
            from quilt_mcp.storage.content import ContentCache

            content = ContentCache(self._private, self._bound, self._owner)
            self._made = RegistrySql(
                self._registry,
                self._registries,
                self._stores,
                self._searching,
                content,
                tabulator=self.tabulator,
            )
        return self._made

    async def query(
        self,
        request: SqlRequest,
        *,
        limit: int = 100,
        room: int = 1 << 20,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> SqlRows:
        if request.engine == "athena":
            if self.athena is None:
                raise NotSupported(
                    "Athena takes AWS credentials, and there are none here.",
                    next_step="Leave engine out: the query runs here.",
                )
            return await self.athena.query(request, limit, cursor, progress)
        return await self.made().query(request, limit=limit, room=room, cursor=cursor, progress=progress)

    async def save(
        self, request: SqlRequest, form: str, *, most: int, progress: Progress = no_progress
    ) -> SqlFile:
        return await self.made().save(request, form, most=most, progress=progress)

    async def list_tables(self, request: SqlRequest, progress: Progress = no_progress) -> list[SqlTable]:
        if request.engine == "athena":
            return await self.athena.tables() if self.athena is not None else []
        return await self.made().list_tables(request, progress)

    async def compare(self, request: TableDiffRequest, progress: Progress = no_progress) -> TableDiff:
        return await self.made().compare(request, progress)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    def layers(self) -> Mapping[str, bool] | None:
        return None if self._made is None else self._made.layers()
