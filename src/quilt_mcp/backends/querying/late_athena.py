"""LateAthena: SQL on Athena for one identity, made when it is first asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from quilt_mcp.backends.options import Options
from quilt_mcp.domain.plan import Progress
from quilt_mcp.domain.sql import SqlRequest, SqlRows, SqlTable
from quilt_mcp.errors import InvalidArgument, NotSupported, TableNotFound
from quilt_mcp.storage.s3.clients import KeySource

if TYPE_CHECKING:
    from quilt_mcp.athena.athena import Athena


_SHOWS: Final = re.compile(r"\s*(show|describe)\b", re.I)


class LateAthena:
    """``registries``: whose buckets the names of the four tables stand for. ``endpoint_url``: of another server than AWS's."""

    def __init__(
        self,
        keys: KeySource,
        region: str | None,
        ca_bundle: str | None,
        options: Options,
        registries: Sequence[str],
        endpoint_url: str | None = None,
    ) -> None:
        self._keys = keys
        self._region = region
        self._ca_bundle = ca_bundle
        self._options = options
        self._buckets = [one.removeprefix("s3://") for one in registries if one.startswith("s3://")]
        self.endpoint_url = endpoint_url

    async def query(self, request: SqlRequest, limit: int, cursor: str | None, progress: Progress) -> SqlRows:
        """A query over the four tables is said in Athena's SQL; one over other tables is Athena's own and is sent as it is,
        where it only reads. Raises as ``athena.Athena.query``, InvalidArgument where files of packages are named."""
        if request.packages:
            raise InvalidArgument(
                "Athena knows no files of packages, and the call names packages.",
                next_step="Leave packages out and ask the four tables; files are queried with engine=duckdb.",
            )
        try:
            if _SHOWS.match(request.sql) is None:
                return await self._ask(request, limit, cursor, progress, is_ours=True)
            raise TableNotFound("It shows what Athena has.")
        except TableNotFound as error:
            if error.details.get("near"):
                raise
            if self._options.allowed is not None:
                raise NotSupported(
                    "This server is bound to some buckets (QUILT_ALLOWED_BUCKETS), and it is not known what other tables of "
                    "Athena hold.",
                    next_step="Ask package_entry, package_manifest, package_tag and package_revision.",
                ) from None
        return await self._ask(request, limit, cursor, progress, is_ours=False)

    async def tables(self) -> list[SqlTable]:
        return await self._made.tables()

    @property
    def database(self) -> str | None:
        """The one that is configured."""
        return self._options.athena.database

    async def define(self, bucket: str, database: str, progress: Progress) -> list[dict[str, Any]]:
        return await self._made.define(bucket, database, progress)

    async def _ask(
        self, request: SqlRequest, limit: int, cursor: str | None, progress: Progress, *, is_ours: bool
    ) -> SqlRows:
        given: dict[str, Any] = {
            "dialect": "duckdb" if is_ours else "athena",
            "parameters": request.parameters,
        }
        if request.explain:
            return await self._made.explain(request.sql, progress=progress, **given)
        return await self._made.query(request.sql, limit=limit, cursor=cursor, progress=progress, **given)

    @cached_property
    def _client(self) -> Any:
        from quilt_mcp.athena.clients import athena_client

        return athena_client(
            self._keys, region=self._region, ca_bundle=self._ca_bundle, endpoint_url=self.endpoint_url
        )

    @cached_property
    def _made(self) -> Athena:
        from quilt_mcp.athena.athena import Athena

        return Athena(
            lambda: self._client, self._options.athena, caller=self._options.owner, buckets=self._buckets
        )
