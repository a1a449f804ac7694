"""What goes wrong on the way to an S3 server: out of reach, not trusted, a proxy in between, or something that is not S3."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import anyio

from quilt_mcp.errors import Misconfigured, QuiltError, StorageUnavailable

NOWHERE: Final = "http://127.0.0.1:0"
"""No port: where obstore is sent for any host but the configured server's, as it would follow a redirect with the token."""
_PAGE: Final = re.compile(r"<!doctype html|<html", re.IGNORECASE)
SILENT_SECONDS = 55.0
_SILENT: Final = (
    "takes requests and does not answer",
    "Look whether the server is well (and the way to it: HTTPS_PROXY, AWS_ENDPOINT_URL), then make the same call again.",
)
_WAYS: Final = (
    (
        Misconfigured,
        re.compile(rf"{re.escape(NOWHERE.removeprefix('http://'))}\b"),
        "sends its requests away to another host, which was not followed",
        "Check AWS_ENDPOINT_URL: name the server itself, by the address that it answers at.",
    ),
    (
        Misconfigured,
        re.compile(r"CERTIFICATE_VERIFY_FAILED|InvalidCertificate|UnknownIssuer"),
        "shows a certificate that this machine does not trust",
        "Set AWS_CA_BUNDLE to the certificates (PEM) of whoever signed it: your network's proxy, or the server's own authority.",
    ),
    (
        StorageUnavailable,
        re.compile(r"ProxyConnectionError|TunnelUnsuccessful|tunnel error|ProxyAuth|^407$"),
        "is not let through by the proxy",
        "Check HTTPS_PROXY and HTTP_PROXY (and NO_PROXY for servers of your own), then make the same call again.",
    ),
    (
        Misconfigured,
        re.compile(r"SSLError|SSL validation failed|InvalidMessage|received corrupt message|TLS"),
        "does not speak TLS as it should",
        "Check the address in AWS_ENDPOINT_URL (http or https?) and the proxy (HTTPS_PROXY), then make the same call again.",
    ),
    (
        StorageUnavailable,
        re.compile(r"EndpointConnectionError|ConnectTimeoutError|kind: Connect\b|ConnectError"),
        "cannot be reached",
        "Check the network, the proxy (HTTPS_PROXY) and AWS_ENDPOINT_URL, then make the same call again.",
    ),
    (StorageUnavailable, re.compile(r"ReadTimeoutError|TimedOut|operation timed out"), *_SILENT),
)
"""In this order: each failure to connect fits the last, too."""


def lost_on_the_way(error: Exception, status: int | None, bucket: str) -> QuiltError | None:
    """None: it was S3 that answered, or nothing says that it was not."""
    if status == 511 or _is_page(error):
        return not_s3(bucket)
    text = str(status) if status == 407 else f"{type(error).__name__}: {error}"
    for kind, pattern, what, next_step in _WAYS:
        if pattern.search(text):
            return _lost(kind, bucket, what, next_step)
    return None


@contextmanager
def fails_when_silent(bucket: str) -> Generator[None]:
    """Around one request that may take long: gives it up after ``SILENT_SECONDS`` in all."""
    try:
        with anyio.fail_after(SILENT_SECONDS):
            yield
    except TimeoutError as error:
        raise _lost(StorageUnavailable, bucket, *_SILENT) from error


def _lost(kind: type[QuiltError], bucket: str, what: str, next_step: str) -> QuiltError:
    details = {"bucket": bucket, "silent": what == _SILENT[0]}
    return kind(f"The S3 server of s3://{bucket} {what}.", next_step=next_step, details=details)


def not_s3(bucket: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"What answered for s3://{bucket} is not S3: a proxy or a sign-in page of the network stands in the way.",
        next_step="Open a web page in a browser to sign in to the network, or check HTTPS_PROXY, HTTP_PROXY and "
        "AWS_ENDPOINT_URL; then make the same call again.",
        details={"bucket": bucket},
    )


def is_page(response: Mapping[str, Any]) -> bool:
    """Whether what botocore took for an answer is a web page."""
    about = response.get("ResponseMetadata", {})
    kind = about.get("HTTPHeaders", {}).get("content-type", "")
    return kind.startswith("text/html") and about.get("HTTPStatusCode") != 204


def _is_page(error: Exception) -> bool:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        # The answer to a HEAD has no body, whose type would mean something.
        is_head = str(getattr(error, "operation_name", "")).startswith("Head")
        return not is_head and is_page(cast("dict[str, Any]", response))
    text = str(error)
    return "MissingEtag" in text or _PAGE.search(text) is not None
