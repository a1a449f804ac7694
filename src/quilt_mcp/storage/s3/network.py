"""What goes wrong on the way to an S3 server: out of reach, not trusted, a proxy in between, or something that is not S3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.storage.s3.listings import LISTED

_PAGE: Final = re.compile(r"<!doctype html|<html", re.IGNORECASE)
_WAYS: Final = (
    (
        re.compile(r"CERTIFICATE_VERIFY_FAILED|InvalidCertificate|UnknownIssuer"),
        "shows a certificate that this machine does not trust",
        "Set AWS_CA_BUNDLE to the certificates (PEM) of whoever signed it: your network's proxy, or the server's own authority.",
    ),
    (
        re.compile(r"ProxyConnectionError|TunnelUnsuccessful|tunnel error|ProxyAuth|^407$"),
        "is not let through by the proxy",
        "Check HTTPS_PROXY and HTTP_PROXY (and NO_PROXY for servers of your own), then make the same call again.",
    ),
    (
        re.compile(r"SSLError|SSL validation failed|InvalidMessage|received corrupt message|TLS"),
        "does not speak TLS as it should",
        "Check the address in AWS_ENDPOINT_URL (http or https?) and the proxy (HTTPS_PROXY), then make the same call again.",
    ),
    (
        re.compile(r"EndpointConnectionError|ConnectTimeoutError|kind: Connect\b|ConnectError"),
        "cannot be reached",
        "Check the network, the proxy (HTTPS_PROXY) and AWS_ENDPOINT_URL, then make the same call again.",
    ),
)
"""In this order: each failure to connect fits the last, too."""

_SIGNS: Final = {
    "list_objects_v2": LISTED,
    "list_object_versions": LISTED,
    "head_object": "ETag",
    "get_object": "ETag",
    "put_object": "ETag",
    "upload_part": "ETag",
    "copy_object": "CopyObjectResult",
    "upload_part_copy": "CopyPartResult",
    "create_multipart_upload": "UploadId",
    "complete_multipart_upload": "ETag",
}
"""By boto3's method, what every S3 answers to it."""


def lost_on_the_way(error: Exception, status: int | None, bucket: str) -> StorageUnavailable | None:
    """None: it was S3 that answered, or nothing says that it was not."""
    if status == 511 or _is_page(error):
        return not_s3(bucket)
    text = str(status) if status == 407 else f"{type(error).__name__}: {error}"
    for pattern, what, next_step in _WAYS:
        if pattern.search(text):
            return StorageUnavailable(
                f"The S3 server of s3://{bucket} {what}.", next_step=next_step, details={"bucket": bucket}
            )
    return None


def require_s3(answer: Mapping[str, Any], bucket: str, method: str) -> None:
    """Raises StorageUnavailable when what botocore took for an answer to its ``method`` is no answer of S3's."""
    about = answer["ResponseMetadata"]
    headers = about.get("HTTPHeaders", {})
    is_page = str(headers.get("content-type", "")).startswith("text/html") and about["HTTPStatusCode"] != 204
    if (is_page and "etag" not in headers) or _SIGNS.get(method, "ResponseMetadata") not in answer:
        raise not_s3(bucket)


def not_s3(bucket: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"What answered for s3://{bucket} is not S3: a proxy or a sign-in page of the network stands in the way.",
        next_step="Open a web page in a browser to sign in to the network, or check HTTPS_PROXY, HTTP_PROXY and "
        "AWS_ENDPOINT_URL; then make the same call again.",
        details={"bucket": bucket},
    )


def _is_page(error: Exception) -> bool:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        if str(getattr(error, "operation_name", "")).startswith("Head"):
            return False  # no body, whose type would mean something
        headers: Mapping[str, Any] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})  # pyright: ignore
        return str(headers.get("content-type", "")).startswith("text/html")  # pyright: ignore
    text = str(error)
    return "MissingEtag" in text or _PAGE.search(text) is not None
