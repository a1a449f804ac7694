"""The IAM backend: plain AWS credentials, straight to S3, no Quilt stack needed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from anyio import to_thread

from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.domain.address import PhysicalKey, parse_registry
from quilt_mcp.domain.listing import Page, RegistryListing
from quilt_mcp.errors import PermissionDenied
from quilt_mcp.registry.install import Destination
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.errors import s3_errors
from quilt_mcp.storage.s3.stores import S3Stores
from quilt_mcp.storage.wrappers import ReadOnlyStores


class IamOps(DirectOps):
    """DirectOps over buckets. ``list_buckets`` asks S3 what the credentials reach."""

    def __init__(self, clients: S3Clients, allowed: Collection[str] | None, **given: Any) -> None:
        super().__init__(**given)
        self._clients = clients
        self._allowed = allowed

    async def list_buckets(self, *, limit: int = 100, cursor: str | None = None) -> Page[RegistryListing]:
        """The configured registries, and every bucket that s3:ListAllMyBuckets shows (where it is allowed)."""
        warnings: tuple[str, ...] = ()
        try:
            names = await to_thread.run_sync(self._bucket_names)
        except PermissionDenied:
            names = []
            warnings = (
                "buckets_not_listed: s3:ListAllMyBuckets is not allowed; only configured registries are shown.",
            )
        found = [f"s3://{name}" for name in names if self._allowed is None or name in self._allowed]
        urls = tuple(dict.fromkeys((*self.registries, *found)))
        writable = None if self.writable else False
        return self.registry_page(urls, limit, cursor, writable=writable, warnings=warnings)

    def _bucket_names(self) -> list[str]:
        if self._clients.is_anonymous:
            return []
        with s3_errors("", None, "s3:ListAllMyBuckets"):
            answer = self._clients.boto().list_buckets()
        return [bucket["Name"] for bucket in answer["Buckets"]]


def open_iam(
    access: S3Access,
    registry: str,
    *,
    roots: tuple[Path, ...],
    writable: bool,
    cache: Path,
    cache_bytes: int,
    allowed: Collection[str] | None = None,
    requester_pays: bool = False,
) -> IamOps:
    """``allowed``: the only buckets that may be used, None for whatever the credentials open. Asks nothing of S3 yet."""
    clients, given = open_buckets(
        access,
        registry,
        backend="iam",
        roots=roots,
        writable=writable,
        cache=cache,
        cache_bytes=cache_bytes,
        allowed=allowed,
        requester_pays=requester_pays,
    )
    return IamOps(clients, allowed, **given)


def open_buckets(
    access: S3Access,
    registry: str,
    *,
    backend: str,
    roots: tuple[Path, ...],
    writable: bool,
    cache: Path,
    cache_bytes: int,
    allowed: Collection[str] | None,
    requester_pays: bool = False,
) -> tuple[S3Clients, dict[str, Any]]:
    """The clients, and what DirectOps takes, for a backend over buckets."""
    url = parse_registry(registry)
    clients = S3Clients(
        access.keys,
        endpoint_url=access.endpoint_url,
        region=access.region,
        ca_bundle=access.ca_bundle,
        requester_pays=requester_pays,
    )
    folders = [Path(PhysicalKey.parse(url).path)] if url.startswith("file:") else []
    local = LocalStores(folders, roots, create=writable)
    buckets = S3Stores(clients, local, allowed=allowed)

    def open_folder(path: str) -> Destination:
        return Destination(*local.folder(path))

    return clients, {
        "backend": backend,
        "stores": buckets if writable else ReadOnlyStores(buckets),
        "manifests": ManifestCache(cache, cache_bytes),
        "default_registry": url,
        "registries": (url,),
        "writable": writable,
        "scratch": cache / "scratch",
        "open_folder": open_folder,
    }
