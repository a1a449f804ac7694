"""LateSearch: a RegistrySearch that is made, and imported, when it is first asked: a server that never searches pays nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.search.request import Found, SearchRequest
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.cached import CacheBound
from quilt_mcp.storage.private import PrivateFolder
from quilt_mcp.storage.store import ObjectStat

if TYPE_CHECKING:
    from quilt_mcp.backends.searching.registry_search import RegistrySearch


class LateSearch:
    """See ``RegistrySearch``."""

    def __init__(
        self,
        registry: Callable[[str], Registry],
        registries: Callable[[], Sequence[str]],
        private: PrivateFolder,
        *,
        owner: Callable[[str], str],
        bound: CacheBound | None,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._registries = registries
        self._private = private
        self._owner = owner
        self._bound = bound
        self._clock = clock
        self._made: RegistrySearch | None = None

    def made(self) -> RegistrySearch:
        if self._made is None:
            from quilt_mcp.backends.searching.registry_search import RegistrySearch

            self._made = RegistrySearch(
                self._registry,
                self._registries,
                self._private,
                owner=self._owner,
                bound=self._bound,
                clock=self._clock,
            )
        return self._made

    def doubt(self, url: str) -> None:
        """Of one that was not made yet nothing is held to be doubted."""
        if self._made is not None:
            self._made.doubt(url)

    async def search(
        self,
        request: SearchRequest,
        *,
        limit: int = 30,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> Found:
        return await self.made().search(request, limit=limit, cursor=cursor, progress=progress)

    async def learn_columns(self, uri: str, columns: Sequence[str]) -> None:
        await self.made().learn_columns(uri, columns)

    async def recall(self, url: str, seen: Mapping[str, ObjectStat]) -> Mapping[str, tuple[str, Header]]:
        return await self.made().recall(url, seen)
