"""Listings of a bucket, read from their XML in one pass.

botocore makes its answers by a walk over its model of S3, which for a page of a thousand objects costs some forty times what
reading the XML does. Here the objects are taken out of the XML before botocore sees it; the rest is left to botocore, and so are
signing, retries and errors.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from quilt_mcp.domain.listing import ARCHIVES
from quilt_mcp.storage.store import ObjectStat

LISTED: Final = "Listed"
"""Where an answer has its objects: a list of ObjectStat. Of versions only the latest of each object are among them."""

_ANSWERS: Final = {"ListBucketResult", "ListVersionsResult"}
_OBJECTS: Final = {"Contents", "Version", "DeleteMarker"}


def read_listings(client: Any) -> None:
    """Listings of this boto3 client answer ``LISTED`` from now on, in place of Contents, Versions and DeleteMarkers;
    an answer without it is no listing of S3, whatever botocore makes of it."""
    for operation in ("ListObjectsV2", "ListObjectVersions"):
        client.meta.events.register(f"before-parse.s3.{operation}", _take_objects)


def _take_objects(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """botocore's event: ``response_dict`` is the answer as it came, ``customized_response_dict`` what is added to the parsed."""
    if response_dict["status_code"] != 200:
        return
    try:
        page = ElementTree.fromstring(response_dict["body"])  # noqa: S314 - as botocore reads it: expat bounds entities
    except ElementTree.ParseError:
        return  # botocore says what it makes of it
    namespace = page.tag[: page.tag.find("}") + 1]
    if page.tag[len(namespace) :] not in _ANSWERS:
        return
    is_encoded = page.findtext(f"{namespace}EncodingType") == "url"
    objects: list[ObjectStat] = []
    rest: list[ElementTree.Element] = []
    for element in page:
        kind = element.tag[len(namespace) :]
        if kind not in _OBJECTS:
            rest.append(element)
        elif kind == "Contents" or (kind == "Version" and element.findtext(f"{namespace}IsLatest") == "true"):
            objects.append(_stat(element, namespace, is_encoded))
    page[:] = rest
    response_dict["body"] = ElementTree.tostring(page)
    customized_response_dict[LISTED] = objects


def _stat(element: ElementTree.Element, namespace: str, is_encoded: bool) -> ObjectStat:
    """Raises ValueError for what is no listing of S3."""
    text = element.findtext
    key, etag = text(f"{namespace}Key"), text(f"{namespace}ETag")
    if not key or not etag:
        raise ValueError("a listing of S3 names the key and the etag of each object")
    storage_class = text(f"{namespace}StorageClass")
    return ObjectStat(
        unquote_plus(key) if is_encoded else key,
        int(text(f"{namespace}Size") or ""),
        etag,
        datetime.fromisoformat(text(f"{namespace}LastModified") or ""),
        text(f"{namespace}VersionId"),
        storage_class if storage_class in ARCHIVES else None,
    )
