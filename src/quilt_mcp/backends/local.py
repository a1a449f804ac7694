"""The local backend: registries that are folders of this machine, no account at all."""

from __future__ import annotations

from pathlib import Path

from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.domain.address import PhysicalKey, parse_registry
from quilt_mcp.registry.install import Destination
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.wrappers import ReadOnlyStores


def open_local(
    registry: str, *, roots: tuple[Path, ...], writable: bool, cache: Path, cache_bytes: int
) -> DirectOps:
    """``registry``: URL or folder of the default registry, which need not exist yet. ``roots``: the other folders in reach.

    A read-only backend has no store that could write, whatever is called.
    """
    url = parse_registry(registry)
    folder = Path(PhysicalKey.parse(url).path)
    local = LocalStores([folder], roots, create=writable)

    def open_folder(path: str) -> Destination:
        return Destination(*local.folder(path))

    stores = local if writable else ReadOnlyStores(local)
    return DirectOps(
        "local",
        stores,
        ManifestCache(cache, cache_bytes),
        default_registry=url,
        registries=(url,),
        writable=writable,
        scratch=cache / "scratch",
        open_folder=open_folder,
    )
