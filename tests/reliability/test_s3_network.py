"""The way to S3: AWS itself through a proxy, buckets of other regions, certificates, and what is not S3 at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from s3_registry import NAME, S3Registry

from parts.aws_front import AwsFront
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.auth.aws.credentials import AwsCredentials
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile
from quilt_mcp.errors import InvalidArgument, Misconfigured, QuiltError, StorageUnavailable

pytestmark = pytest.mark.anyio
CLOSED = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""
LARGE = b"large" * 2_000_000


Opener = Callable[..., IamOps]


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Opens the IAM backend as the environment says, which holds no variable but those given."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "REQUESTS_CA_BUNDLE":
            monkeypatch.delenv(name)

    def open_(bucket: str, **variables: str) -> IamOps:
        own = {
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for name, value in (own | variables).items():
            monkeypatch.setenv(name, value)
        options = Options(roots=(tmp_path,), writable=True, cache=tmp_path / "cache", cache_bytes=1 << 24)
        return IamOps(AwsCredentials(os.environ).access(), f"s3://{bucket}", options)

    return open_


@pytest.fixture
def front(moto: Server, tmp_path: Path) -> Iterator[AwsFront]:
    with AwsFront(moto.url, tmp_path, {}, "eu-central-1", "ap-southeast-2") as front:
        yield front


async def push(ops: IamOps, bucket: str) -> str:
    files = (InlineFile("large", LARGE), InlineFile("small", b"2"))
    commit = await ops.create(CreateRequest(PackageUri(f"s3://{bucket}", NAME), files=files))
    return commit.top_hash


MISLEADING = {
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL": CLOSED,
    "AWS_ENDPOINT_URL_S3": CLOSED,
    "AWS_ENDPOINT": CLOSED,
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_S3_EXPRESS": "true",
    "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
}
"""What obstore would act on by itself."""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("region", [None, "eu-central-1", "ap-southeast-2"])
async def test_on_aws_itself_each_bucket_is_asked_in_its_own_region_and_nothing_else_is_asked(
    region: str | None, opener: Opener, front: AwsFront, moto: Server
) -> None:
    """Whichever region is configured, and whatever else the environment says of endpoints."""
    here, there = moto.make_bucket(), moto.make_bucket()
    front.regions[there] = "eu-central-1"
    variables = front.environment() | MISLEADING | ({"AWS_REGION": region} if region else {})
    ops = opener(here, **variables)
    with moto.boto() as raw:
        for bucket in (here, there):
            top_hash = await push(ops, bucket)
            registry = S3Registry(raw, bucket)
            assert registry.latest() == top_hash
            assert registry.files(top_hash) == {"large": LARGE, "small": b"2"}
            page = await ops.browse(PackageUri(f"s3://{bucket}", NAME))
            assert page.page.total == 2
    assert all(host.endswith(".amazonaws.com") for host in front.hosts), front.hosts
    wrong = region or "us-east-1"
    assert set(front.sent_away) == {
        (bucket, wrong) for bucket in (here, there) if wrong != front.regions.get(bucket, "us-east-1")
    }
    assert len(front.sent_away) <= 2, "each bucket's region is found out once"


async def test_a_server_of_ones_own_is_trusted_by_its_authority_alone(
    opener: Opener, front: AwsFront, moto: Server, tmp_path: Path
) -> None:
    bucket = moto.make_bucket()
    ops = opener(bucket, AWS_ENDPOINT_URL=front.direct, AWS_ALLOW_INVALID_CERTIFICATES="true")
    for error in await all_refused(ops, bucket):
        assert "certificate" in error.message and "AWS_CA_BUNDLE" in error.next_step
    missing = opener(bucket, AWS_ENDPOINT_URL=front.direct, AWS_CA_BUNDLE=str(tmp_path / "none.pem"))
    for call in calls(missing, bucket):
        with pytest.raises(InvalidArgument, match=r"none\.pem") as caught:
            await call()
        assert "AWS_CA_BUNDLE" in caught.value.next_step
    with moto.boto() as raw:
        assert S3Registry(raw, bucket).keys() == []
        trusting = opener(bucket, AWS_ENDPOINT_URL=front.direct, AWS_CA_BUNDLE=str(front.authority))
        assert await push(trusting, bucket) == S3Registry(raw, bucket).latest()


async def test_an_http_proxy_is_honoured_by_every_request(
    opener: Opener, moto: Server, moto_proxy: Proxy
) -> None:
    """Nobody has the server's address (it is one for documentation), so without the proxy nothing would come."""
    bucket = moto.make_bucket()
    ops = opener(bucket, AWS_ENDPOINT_URL="http://192.0.2.1:9000", HTTP_PROXY=moto_proxy.url)
    with moto.boto() as raw:
        assert await push(ops, bucket) == S3Registry(raw, bucket).latest()


UNREACHABLE: dict[str, tuple[dict[str, str], str, str]] = {
    "connection refused": ({"AWS_ENDPOINT_URL": CLOSED}, "cannot be reached", "AWS_ENDPOINT_URL"),
    "no such name": ({"AWS_ENDPOINT_URL": "http://s3.lab.invalid"}, "cannot be reached", "AWS_ENDPOINT_URL"),
    "a proxy that is not there": ({"HTTPS_PROXY": CLOSED}, "not let through by the proxy", "HTTPS_PROXY"),
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("case", UNREACHABLE)
async def test_a_server_out_of_reach_is_told_as_that(case: str, opener: Opener) -> None:
    variables, what, next_step = UNREACHABLE[case]
    ops = opener("bucket", **variables)
    for error in await all_refused(ops, "bucket"):
        assert what in error.message and next_step in error.next_step, error.message


async def test_tls_at_a_port_without_it_is_told_as_that(opener: Opener, moto: Server) -> None:
    ops = opener("bucket", AWS_ENDPOINT_URL=moto.url.replace("http:", "https:"))
    for error in await all_refused(ops, "bucket"):
        assert "TLS" in error.message and "http or https" in error.next_step


class Page:
    """A sign-in page of a network, in place of whatever was asked for."""

    def __init__(self, status: int, location: bool, kind: str = "text/html; charset=utf-8") -> None:
        page = self
        self.seen = list[str]()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                page.seen.append(f"{self.command} {self.path}")
                body = b"<!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'><body>Sign in to the network</body></html>"
                self.send_response(200 if self.path == "/sign-in" else status)
                if location:
                    self.send_header("Location", f"{page.url}/sign-in")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    page = Page(*request.param)
    threading.Thread(target=page.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield page
    page.server.shutdown()
    page.server.server_close()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "page",
    [
        (200, False),
        (200, False, "application/xhtml+xml"),
        (302, False),
        (302, True),
        (403, False),
        (407, False),
        (511, False),
    ],
    indirect=True,
)
async def test_a_page_in_place_of_s3_is_never_taken_for_an_answer(page: Page, opener: Opener) -> None:
    """Not for an empty listing, an object's bytes, a write that was done, nor for a missing permission that one could ask for."""
    ops = opener("bucket", AWS_ENDPOINT_URL=page.url)
    for error in await all_refused(ops, "bucket"):
        assert "AWS_ENDPOINT_URL" in error.next_step or "PROXY" in error.next_step, error.next_step
    assert page.seen


def calls(ops: IamOps, bucket: str) -> list[Callable[[], Any]]:
    """By both clients: listings, reads and writes."""
    return [
        lambda: ops.list_packages(f"s3://{bucket}"),
        lambda: ops.list_objects(f"s3://{bucket}/"),
        lambda: ops.read_object(f"s3://{bucket}/key"),
        lambda: ops.read_object(f"s3://{bucket}/odd//key"),
        lambda: ops.put_object(f"s3://{bucket}/key", b"1"),
        lambda: push(ops, bucket),
    ]


async def all_refused(ops: IamOps, bucket: str) -> list[QuiltError]:
    """At once: each waits before it tries again."""
    found: list[QuiltError] = []

    async def refused(call: Callable[[], Any]) -> None:
        with pytest.raises(QuiltError) as caught:
            await call()
        assert isinstance(caught.value, StorageUnavailable | Misconfigured), caught.value
        found.append(caught.value)

    async with anyio.create_task_group() as group:
        for call in calls(ops, bucket):
            group.start_soon(refused, call)
    return found
