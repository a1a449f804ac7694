"""URLs of registries: ``s3://bucket`` and ``file:///folder``."""

from __future__ import annotations

import os
import re
from typing import Final, NoReturn

from quilt_mcp.domain.address.catalog_link import CatalogLink, is_link
from quilt_mcp.domain.address.url import file_url, folded, local_path, lower_scheme, shown, split_url
from quilt_mcp.errors import InvalidUri

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def is_bucket(name: str) -> bool:
    """Whether S3 may have a bucket of this name (old ones have capitals, underscores and more than 63 characters)."""
    return _BUCKET.fullmatch(name) is not None


def parse_registry(text: str) -> str:
    """The canonical URL of a registry: ``s3://bucket`` or ``file:///folder``, no trailing slash. Accepts a plain absolute or ~
    path, the registry part of a quilt+ URI, and a catalog's link to a bucket. Raises InvalidUri."""
    url = lower_scheme(text)
    if is_link(url):
        link = CatalogLink.parse(url)
        url = f"s3://{link.bucket}" if link.uri is None else lower_scheme(link.uri)
    if url.startswith("quilt+"):
        url = url.partition("#")[0].removeprefix("quilt+")
    if "\0" in url:
        _refuse(text, "it holds a NUL character")
    url = os.path.expanduser(url)
    if url.startswith("/"):
        return file_url(folded(text, url, _refuse))
    if url.startswith("s3:"):
        parts = split_url(text, url, _refuse)
        if not url.startswith("s3://") or not parts.netloc:
            _refuse(text, "no bucket follows s3://")
        if not is_bucket(parts.netloc):
            _refuse(text, f"{parts.netloc[:100]!r} is not a bucket name")
        if parts.path.strip("/") or parts.query or parts.fragment:
            _refuse(text, "a registry is a whole bucket, and something follows its name")
        return f"s3://{parts.netloc}"
    if url.startswith("file:"):
        parts = split_url(text, url, _refuse)
        if parts.query or parts.fragment:
            _refuse(text, "a '?' or '#' in a folder's URL is written %3F or %23")
        return file_url(local_path(text, parts, _refuse))
    _refuse(text, "it is neither s3://bucket, nor file:///folder, nor an absolute path")


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{shown(text)} is not a registry: {why}.",
        next_step="Write s3://bucket, file:///folder or an absolute path; registry_list shows the registries in reach.",
        details={"registry": shown(text)},
    )
