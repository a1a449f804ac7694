"""The IAM backend: plain AWS credentials, straight to S3, no Quilt stack needed."""

from __future__ import annotations

import time
from collections.abc import Callable

from anyio import to_thread

from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.backends.options import Options
from quilt_mcp.backends.querying.late_athena import LateAthena
from quilt_mcp.backends.restores import Restores
from quilt_mcp.domain.listing import Page, RegistryListing
from quilt_mcp.errors import PermissionDenied
from quilt_mcp.option import BackendName
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.errors import s3_errors
from quilt_mcp.storage.s3.stores import S3Stores


class IamOps(DirectOps):
    """DirectOps over buckets, and the folders beside them. ``list_buckets`` asks S3 what the credentials reach."""

    def __init__(
        self,
        access: S3Access,
        registry: str,
        options: Options,
        *,
        backend: BackendName = "iam",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Asks nothing of S3 yet."""
        registries = options.registries(registry)
        local = options.local_stores(registries)
        self._clients = S3Clients(
            access.keys,
            endpoint_url=access.endpoint_url,
            region=access.region,
            ca_bundle=access.ca_bundle,
            s3_proxy=access.s3_proxy,
            requester_pays=options.requester_pays,
        )
        self._allowed = options.allowed
        stores = S3Stores(self._clients, local, allowed=options.allowed)
        super().__init__(backend, registries, stores, local, options, clock=clock)
        self.restores = Restores(self.locate, self._require_writes)
        if access.keys is not None:
            self.queries.athena = LateAthena(
                access.keys, access.region, access.ca_bundle, options, self.registries
            )

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
        return self.registry_page(urls, limit, cursor, warnings=warnings)

    def _bucket_names(self) -> list[str]:
        if self._clients.keys is None:
            return []
        with s3_errors("", None, "s3:ListAllMyBuckets"):
            answer = self._clients.boto().list_buckets()
        return [bucket["Name"] for bucket in answer["Buckets"]]
