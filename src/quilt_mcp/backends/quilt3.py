"""The Quilt3 backend: the session of ``quilt3 login``. Data goes straight to S3 with its credentials, as with IAM; links lead
into the session's catalog. What its stack alone can do (search, GraphQL) arrives with the catalog client."""

from __future__ import annotations

from urllib.parse import quote

from quilt_mcp.auth.identity import QuiltAccess
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.listing import Link
from quilt_mcp.storage.store import Place


class Quilt3Ops(IamOps):
    """IamOps with links into a catalog, where quilt3's configuration names one."""

    def __init__(self, access: QuiltAccess, registry: str, options: Options) -> None:
        super().__init__(access.s3, registry, options, backend="quilt3")
        self._catalog_url = access.catalog_url.rstrip("/") if access.catalog_url else None

    async def _link(self, place: Place, uri: str, expires_in: int = 3600) -> Link:
        """The catalog's page of the file: it does not expire, and who opens it signs in there."""
        page = self._page(uri)
        if page is None:
            return await super()._link(place, uri, expires_in)
        return Link(page, "catalog", None, uri)

    def _page(self, uri: str) -> str | None:
        """Source of the paths: the catalog's own routes (``/b/BUCKET/packages/NAME/tree/HASH/PATH``, ``/b/BUCKET/tree/KEY``)."""
        if self._catalog_url is None:
            return None
        if uri.startswith("quilt+"):
            package = PackageUri.parse(uri)
            if not package.registry.startswith("s3://"):
                return None
            bucket = package.registry.removeprefix("s3://")
            path = quote(package.path or "")
            return f"{self._catalog_url}/b/{bucket}/packages/{package.name}/tree/{package.top_hash}/{path}"
        key = PhysicalKey.parse(uri)
        if key.bucket is None:
            return None
        version = f"?version={quote(key.version_id, safe='')}" if key.version_id else ""
        return f"{self._catalog_url}/b/{key.bucket}/tree/{quote(key.path)}{version}"
