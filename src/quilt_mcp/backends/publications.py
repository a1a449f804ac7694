"""Publications: the publishing ability over registries that this process reads itself. What it needs is imported when it is
asked."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from quilt_mcp.backends.querying.late import LateSql
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.domain.address import parse_registry
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.publication import PublishOutcome
from quilt_mcp.errors import NotSupported, RegistryNotFound, StorageBusy, TooLarge
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.private import SCRATCH, UNFINISHED, PrivateFolder

if TYPE_CHECKING:
    from quilt_mcp.publishing.publisher import Publisher
    from quilt_mcp.search.catalog import Catalog
    from quilt_mcp.search.state import State

_CUT: Final = "listing_cut"


class Publications:
    """See ``domain.publication.SupportsPublishing``."""

    def __init__(
        self,
        registry: Callable[[str], Registry],
        searching: LateSearch,
        private: PrivateFolder,
        require_writes: Callable[[str], None],
        queries: LateSql,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._searching = searching
        self._private = private
        self._require_writes = require_writes
        self._queries = queries
        self._clock = clock

    async def plan(self, registry: str, progress: Progress = no_progress) -> PublishOutcome:
        return await (await self._publisher(registry, progress)).plan()

    async def publish(self, registry: str, progress: Progress = no_progress) -> PublishOutcome:
        self._require_writes("tables publish")
        return await (await self._publisher(registry, progress)).publish()

    def statements(self, registry: str, database: str | None = None) -> Sequence[str]:
        from quilt_mcp.athena.definitions import DATABASE, definitions
        from quilt_mcp.publishing.views import views

        url = parse_registry(registry)
        if not url.startswith("s3://"):
            return views(self._registry(url).store)
        return definitions(url.removeprefix("s3://"), database or self._database or DATABASE)

    async def define(
        self, registry: str, database: str | None = None, progress: Progress = no_progress
    ) -> Sequence[Mapping[str, Any]]:
        from quilt_mcp.athena.definitions import DATABASE

        self._require_writes("tables publish")
        url = parse_registry(registry)
        if not url.startswith("s3://") or self._queries.athena is None:
            raise NotSupported(
                f"Athena cannot be told of the tables of {url}: it reads buckets, by AWS credentials.",
                next_step="Leave out --run.",
            )
        bucket = url.removeprefix("s3://")
        return await self._queries.athena.define(bucket, database or self._database or DATABASE, progress)

    @property
    def _database(self) -> str | None:
        return None if self._queries.athena is None else self._queries.athena.database

    async def _publisher(self, url: str, progress: Progress) -> Publisher:
        """Raises RegistryNotFound for a folder that nobody has made yet: it would be made by publishing."""
        from quilt_mcp.publishing.publisher import Publisher

        registry = self._registry(url)
        folder = registry.store.physical_key("").path
        if registry.store.local_files is not None and not await to_thread.run_sync(os.path.isdir, folder):
            raise RegistryNotFound(
                f"The folder {folder} does not exist.",
                next_step="Check the path, or make a package in it first.",
                details={"registry": registry.url},
            )
        onward = _Onward(progress)
        scratch = self._private.path() / SCRATCH / f"{UNFINISHED}tables-{secrets.token_hex(8)}"

        async def bring() -> tuple[Catalog, State, tuple[str, ...]]:
            brought = await self._brought(registry.url, onward)
            onward.begin_pass()
            return brought

        return Publisher(registry, bring, scratch, onward, self._clock)

    async def _brought(self, url: str, progress: Progress) -> tuple[Catalog, State, tuple[str, ...]]:
        """A registry is published whole or not at all: what a listing or a catalog leaves out would be taken for deleted."""
        search, begun = self._searching.made(), time.monotonic()
        search.doubt(url)
        [(catalog, brought)] = await search.brought((url,), progress, all_revisions=True, build=True)
        state = brought.state
        if catalog.looked_at < begun or state.waiting:
            why = next((one for one in brought.warnings if one.startswith(("busy", "not_refreshed"))), "")
            raise StorageBusy(
                f"The catalog of {url} is not up to date, so nothing was published. {why}".rstrip(),
                next_step="Type it again in a minute.",
                details={"registry": url},
            )
        if any(one.startswith(_CUT) for one in state.notices):
            raise TooLarge(
                f"{url} has more revisions than a catalog holds: {state.notices[0]}",
                next_step="A Quilt stack keeps these tables of registries as large as this.",
                details={"registry": url},
            )
        return catalog, state, brought.warnings


class _Onward:
    """A Progress of several passes, one after another, none of which begins before the last ended."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._base = self._last = 0.0

    def begin_pass(self) -> None:
        self._base = self._last

    async def __call__(self, done: float, total: float | None, message: str) -> None:
        self._last = max(self._last, self._base + done)
        await self._progress(self._last, None if total is None else self._base + total, message)
