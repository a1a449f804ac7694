"""StackConfig: what a catalog's config.json says of its stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from quilt_mcp.auth.stack_http import StackHttp, check_url
from quilt_mcp.catalog.shapes import text_of
from quilt_mcp.errors import InvalidArgument, Misconfigured, StorageUnavailable

_FIX: Final = (
    "Name the catalog (QUILT_CATALOG_URL, or after login) by the address at which it opens in a browser."
)
_LOOK: Final = f"Try again; if it stays so: {_FIX[0].lower()}{_FIX[1:]}"


@dataclass(frozen=True, slots=True)
class StackConfig:
    """URLs are absolute, without a closing slash. ``version``: of the stack, where it tells. ``is_open``: anonymous users may
    read. ``no_download``: the stack wants no links that download."""

    catalog_url: str
    registry_url: str
    s3_proxy: str | None = None
    api_gateway: str | None = None
    region: str | None = None
    version: str | None = None
    is_open: bool = False
    no_download: bool = False
    crc64_checksums: bool = False
    package_root: str | None = None

    @classmethod
    def ask(cls, http: StackHttp, catalog_url: str) -> StackConfig:
        """One request. Raises InvalidArgument for a URL that no secret may be sent to, Misconfigured where no stack's catalog
        answers, StorageUnavailable."""
        url = check_url(catalog_url, "The catalog's URL")
        answer = http.send("GET", f"{url}/config.json")
        try:
            value = answer.json(_LOOK)
        except (Misconfigured, StorageUnavailable):
            if answer.status in {429, 500, 502, 503, 504}:
                raise
            raise Misconfigured(
                f"{url} is not the catalog of a Quilt stack: it answers config.json with "
                f"{'what is not JSON' if answer.status == 200 else f'status {answer.status}'}.",
                next_step=_FIX,
                details={"catalog_url": url},
            ) from None
        return cls.read(url, value)

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

        proxy, gateway = text_of(value.get("s3Proxy")), text_of(value.get("apiGatewayEndpoint"))
        return cls(
            catalog_url,
            absolute(registry, "registryUrl"),
            absolute(proxy, "s3Proxy") if proxy else None,
            urljoin(catalog_url + "/", gateway) if gateway else None,
            text_of(value.get("region")),
            text_of(value.get("stackVersion")),
            is_open=value.get("mode") == "OPEN",
            no_download=value.get("noDownload") is True,
            crc64_checksums=value.get("crc64Checksums") is True,
            package_root=text_of(value.get("packageRoot")),
        )
