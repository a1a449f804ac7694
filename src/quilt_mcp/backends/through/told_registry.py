"""ToldRegistry: a Registry over a ToldStore, which has to know of which package a revision is."""

from __future__ import annotations

from quilt_mcp.backends.through.told_store import DIRECT, ToldStore
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.errors import CorruptManifest
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.named import NamedRevisions
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.store import Stores


class ToldRegistry(Registry):
    def __init__(
        self, store: ToldStore, stores: Stores, manifests: ManifestCache, named: NamedRevisions
    ) -> None:
        super().__init__(store, stores, manifests, named)
        self._told = store

    async def resolve(self, package: PackageUri) -> str:
        self._told.about(package.name)
        return await super().resolve(package)

    def forget_pointers(self) -> None:
        """What latest is, and the log, are asked for again."""
        self._told.forget_pointers()

    async def way_past_damage(self, name: str) -> str:
        """What a stack tells wrong now it may tell right in a moment; no other revision is looked at for that."""
        return (
            f"Try once more; if it stays so, tell an administrator of the stack, or call package_log of {name} for another "
            f"revision. package_browse shows it as not verified. {DIRECT}"
        )

    async def open(self, package: PackageUri) -> tuple[PackageUri, Manifest]:
        try:
            return await super().open(package)
        except CorruptManifest as error:
            error.next_step = await self.way_past_damage(package.name)
            raise

    async def open_ahead(self, package: PackageUri) -> tuple[PackageUri, Manifest]:
        """As ``Registry.open_ahead``, but a listing that does not hash to the revision's name is shown as not verified: it may
        be whole and only told in another spelling. Nothing else is done with it."""
        try:
            return await super().open_ahead(package)
        except CorruptManifest as error:
            if error.details.get("found") is None:
                raise
            return await self.read_anew(package)
