"""Signed uploads: what the signature holds, and for how long. Nothing is asked of S3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from quilt_mcp.errors import InvalidName, NotSupported, ReadOnly
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.store import SignedUpload
from quilt_mcp.storage.wrappers import ReadOnlyStore

pytestmark = pytest.mark.anyio


OURS = AwsKeys("OURS", "secret", "token")


def store(keys: AwsKeys | None = OURS, **given: Any) -> S3Store:
    """Of a bucket of AWS, whose region is known."""
    clients = S3Clients(None if keys is None else lambda: keys, **given)
    clients.region_of = lambda bucket: "eu-west-1"
    return S3Store("lab", clients)


async def signed(made: S3Store, key: str = "in/x", *, size: int = 3, expires_in: int = 3600) -> SignedUpload:
    return await made.sign_upload(key, size=size, expires_in=expires_in)


def headers_signed(upload: SignedUpload) -> set[str]:
    (names,) = parse_qs(urlsplit(upload.url).query)["X-Amz-SignedHeaders"]
    return set(names.split(";"))


async def test_length_and_condition_are_signed_and_told() -> None:
    upload = await signed(store())
    assert upload.headers == {"Content-Length": "3", "If-None-Match": "*"}
    assert headers_signed(upload) == {"host", "content-length", "if-none-match"}
    assert upload.keeps_others, "AWS keeps conditions"
    assert "secret" not in upload.url and "secret" not in repr(upload)


async def test_links_name_the_host_of_the_buckets_own_region() -> None:
    """The one of all regions sends who asks for a new bucket on to another host, for which nothing is signed."""
    reading, _ = await store().sign("in/x", version=None, expires_in=60)
    for url in (reading, (await signed(store())).url):
        assert urlsplit(url).netloc == "lab.s3.eu-west-1.amazonaws.com"


async def test_who_pays_for_the_request_is_signed_too() -> None:
    upload = await signed(store(requester_pays=True))
    assert upload.headers["x-amz-request-payer"] == "requester"
    assert "x-amz-request-payer" in headers_signed(upload)


async def test_a_link_ends_with_the_credentials_at_the_latest() -> None:
    ends = datetime.now(UTC) + timedelta(minutes=20)
    made = store(AwsKeys("OURS", "secret", "token", ends))
    assert (await signed(made)).expires == ends
    assert (await signed(made, expires_in=60)).expires < ends


async def test_without_credentials_nothing_is_signed() -> None:
    with pytest.raises(NotSupported) as caught:
        await signed(store(None))
    assert "doctor" in caught.value.next_step


async def test_a_store_that_only_reads_signs_what_reads() -> None:
    reading = ReadOnlyStore(store())
    assert reading.signer is not None
    url, _ = await reading.signer.sign("in/x", version=None, expires_in=60)
    assert "X-Amz-Signature" in url
    with pytest.raises(ReadOnly):
        await reading.signer.sign_upload("in/x", size=3, expires_in=60)


async def test_a_key_that_leads_elsewhere_on_the_way_is_not_signed() -> None:
    with pytest.raises(InvalidName):
        await signed(store(s3_proxy="https://stack.example/s3"), "in/../x")
