"""Uploads by a signed link, sent by a plain HTTP client, as a backend with AWS credentials keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from s3_ops_contract import OnBuckets

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from quilt_mcp.domain.listing import UploadLink
from quilt_mcp.domain.plan import CreateRequest, Source
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidArgument,
    NotSupported,
    ReadOnly,
    RegistryNotFound,
    TooLarge,
)

BODY = b"a,b\n1,2\n"
READ = """
package = quilt3.Package.browse("lab/sent", registry=arguments["registry"])
result = package["reads.csv"].get_bytes().decode()
"""


def send(link: UploadLink, body: bytes, **headers: str | None) -> int:
    """A header of None is left out. The status of the answer."""
    given = {name: value for name, value in (dict(link.headers) | headers).items() if value is not None}
    given.pop("Content-Length", None)  # the client's own
    with httpx2.Client(trust_env=False, timeout=30) as client:
        return client.put(link.url, content=body, headers=given).status_code


class UploadContract(OnBuckets):
    checks_signatures = False
    """Whether the server does."""

    def key(self, name: str = "in/reads é.csv") -> str:
        return f"{self.registry}/{name}"

    async def test_what_is_sent_becomes_a_package_that_quilt3_reads(self, server: S3Access) -> None:
        link = await self.ops.upload_link(self.key(), size=len(BODY))
        assert send(link, BODY) == 200
        assert self.raw_get("in/reads é.csv") == BODY
        made = await self.ops.create(
            CreateRequest(self.uri("lab/sent"), sources=(Source(link.uri, to="reads.csv"),))
        )
        assert made.plan.totals.bytes == len(BODY)
        quilt3 = Quilt3(self.outside / "quilt3", server)
        assert quilt3.run(READ, registry=self.registry) == BODY.decode()

    async def test_so_many_bytes_are_taken_and_no_others(self) -> None:
        """moto checks no signatures: there it is only shown that the length is signed."""
        link = await self.ops.upload_link(self.key(), size=len(BODY))
        (signed,) = parse_qs(urlsplit(link.url).query)["X-Amz-SignedHeaders"]
        assert signed.split(";") == ["content-length", "host", "if-none-match"]
        assert link.headers == {"Content-Length": str(len(BODY)), "If-None-Match": "*"}
        if self.checks_signatures:
            assert {send(link, one) for one in (BODY + b"3", BODY[:-1], b"")} == {403}
            assert send(link, BODY, **{"If-None-Match": None}) == 403
            assert self.raw_keys("in/") == []
        assert send(link, BODY) == 200
        empty = await self.ops.upload_link(self.key("in/empty"), size=0)
        assert send(empty, b"") == 200

    async def test_an_object_that_is_there_is_never_replaced(self) -> None:
        """Where the server keeps no conditions (Ceph in a bucket with versions), the link is made with a warning."""
        early, late = [await self.ops.upload_link(self.key(), size=len(BODY)) for _ in range(2)]
        assert send(early, BODY) == 200
        if self.keeps_conditions:
            assert send(early, BODY) == send(late, BODY[::-1]) == 412
        assert self.raw_get("in/reads é.csv") == BODY
        with pytest.raises(AlreadyExists) as caught:
            await self.ops.upload_link(self.key(), size=1)
        assert "another key" in caught.value.next_step and "overwrite" not in caught.value.next_step
        assert [one.partition(":")[0] for one in late.warnings] == (
            [] if self.keeps_conditions else ["not_known_to_keep"]
        )

    async def test_a_link_ends_when_it_says_so(self) -> None:
        before = datetime.now(UTC)
        link = await self.ops.upload_link(self.key(), size=1, expires_in=60)
        assert timedelta(seconds=59) < link.expires - before < timedelta(seconds=90)
        assert parse_qs(urlsplit(link.url).query)["X-Amz-Expires"] == ["60"]

    async def test_an_upload_goes_where_an_object_may_be_written(self) -> None:
        refused = {
            f"{self.registry}/.quilt/named_packages/a/b/latest": InvalidArgument,
            f"{self.registry}/a/.Quilt/x": InvalidArgument,
            f"{self.registry}/in/x?versionId=1": InvalidArgument,
            f"{self.registry}/in/": InvalidArgument,
            f"{self.registry}/": InvalidArgument,
            f"{self.registry}-not-there/x": RegistryNotFound,
            (self.folder / "x").as_uri(): NotSupported,
        }
        for uri, error in refused.items():
            with pytest.raises(error) as caught:
                await self.ops.upload_link(uri, size=1)
            assert caught.value.next_step, uri
        for size, error in ((5 * 1024**3 + 1, TooLarge), (-1, InvalidArgument)):
            with pytest.raises(error):
                await self.ops.upload_link(self.key(), size=size)
        assert (await self.ops.upload_link(self.key(), size=5 * 1024**3)).size == 5 * 1024**3
        with pytest.raises(ReadOnly):
            await self.reader.upload_link(self.key(), size=1)
        assert self.raw_keys("in/") == []
