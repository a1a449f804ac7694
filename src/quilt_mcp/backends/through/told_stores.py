"""ToldStores: local folders as they are, and of a stack's buckets what the stack tells."""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from quilt_mcp.backends.through.told_store import DIRECT, ToldStore
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.catalog.sessions import BrowsingSessions
from quilt_mcp.domain.address import PhysicalKey, parse_registry
from quilt_mcp.errors import NotSupported, PermissionDenied
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.store import FoundFiles, Store


class ToldStores:
    """See ``store.Stores``. ``allowed``: the only buckets that may be used."""

    def __init__(
        self,
        packages: StackPackages,
        sessions: BrowsingSessions,
        local: LocalStores,
        allowed: Collection[str] | None,
    ) -> None:
        self._packages = packages
        self._sessions = sessions
        self._local = local
        self._allowed = allowed

    def registry(self, url: str) -> Store:
        canonical = parse_registry(url)
        if canonical.startswith("file:"):
            return self._local.registry(canonical)
        return self.bucket(canonical.removeprefix("s3://"))

    def bucket(self, name: str) -> ToldStore:
        """A new one: it is for one call. Raises PermissionDenied for one that the allow-list leaves out."""
        if self._allowed is not None and name not in self._allowed:
            raise PermissionDenied(
                f"Bucket {name} is not among those this server may use.",
                next_step="Use one that registry_list shows, or ask for it to be added to QUILT_ALLOWED_BUCKETS.",
                details={"bucket": name},
            )
        return ToldStore(self._packages, self._sessions, name)

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        if physical_key.bucket is None:
            return self._local.locate(physical_key)
        _no_objects(str(physical_key))

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        if physical_key.bucket is None:
            return self._local.locate_folder(physical_key)
        _no_objects(str(physical_key))

    async def find(self, origin: str) -> FoundFiles:
        if origin.startswith("s3://"):
            _no_objects(origin)
        return await self._local.find(origin)


def _no_objects(what: str) -> NoReturn:
    raise NotSupported(
        f"{what} is an object, and the stack gives this user no AWS credentials: it tells of packages alone.",
        next_step=f"Name the file by its package and path, where it is in one (search finds it). {DIRECT}",
        details={"way": "stack"},
    )
