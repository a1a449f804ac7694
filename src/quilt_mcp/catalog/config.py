"""StackConfig: what a catalog's config.json says of its stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from quilt_mcp.auth.stack_http import check_url
from quilt_mcp.catalog.shapes import text_of
from quilt_mcp.errors import InvalidArgument, Misconfigured

_FIX: Final = "Set QUILT_CATALOG_URL to the address at which the stack's catalog opens in a browser."


@dataclass(frozen=True, slots=True)
class StackConfig:
    """URLs are absolute, without a closing slash. ``version``: of the stack, where it tells. ``is_open``: anonymous users may
    read. ``no_download``: the stack wants no links that download."""

    catalog_url: str
    registry_url: str
    s3_proxy: str | None = None
    region: str | None = None
    version: str | None = None
    is_open: bool = False
    no_download: bool = False
    crc64_checksums: bool = False
    package_root: str | None = None

    @classmethod
    def read(cls, catalog_url: str, value: Mapping[str, Any]) -> StackConfig:
        """Relative URLs are the catalog's own. Raises Misconfigured when this is no stack's, or names a place that no secret may
        be sent to."""
        registry = text_of(value.get("registryUrl"))
        if registry is None:
            raise Misconfigured(
                f"{catalog_url} is not the catalog of a Quilt stack: its config.json names no registry.",
                next_step=_FIX,
                details={"catalog_url": catalog_url},
            )

        def absolute(url: str, name: str) -> str:
            try:
                return check_url(urljoin(catalog_url + "/", url), f"{name} of the catalog's config.json")
            except (InvalidArgument, ValueError) as error:
                raise Misconfigured(
                    f"{name} of the catalog's config.json is no URL that secrets may be sent to: https://host.",
                    next_step="Ask an administrator of the stack.",
                    details={"catalog_url": catalog_url},
                ) from error

        proxy = text_of(value.get("s3Proxy"))
        return cls(
            catalog_url,
            absolute(registry, "registryUrl"),
            absolute(proxy, "s3Proxy") if proxy else None,
            text_of(value.get("region")),
            text_of(value.get("stackVersion")),
            is_open=value.get("mode") == "OPEN",
            no_download=value.get("noDownload") is True,
            crc64_checksums=value.get("crc64Checksums") is True,
            package_root=text_of(value.get("packageRoot")),
        )
