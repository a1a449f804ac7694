"""Stacks and S3 servers of private networks: one rule of proxies and one of certificate authorities for all clients, and no host
that receives a secret because data names it (C23)."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import obstore
import pytest

from parts.aws_front import AwsFront
from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from quilt_mcp.auth.aws.credentials import AwsCredentials
from quilt_mcp.auth.stack_http import StackHttp
from quilt_mcp.config import Settings
from quilt_mcp.errors import Misconfigured, QuiltError, StorageUnavailable
from quilt_mcp.session import Session
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.errors import s3_errors

VARIABLES = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name in (*VARIABLES, "SSL_CERT_DIR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))


class Server:
    """Answers everything with one byte, or sends it to ``location``. ``seen`` are paths and headers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                for name, value in (
                    ("ETag", '"1"'),
                    ("Last-Modified", "Thu, 26 Nov 2026 10:00:00 GMT"),
                    ("Content-Length", "1"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(b"1")

            do_GET = do_HEAD = do_POST = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def clients_of(url: str) -> dict[str, Callable[[], object]]:
    """A request by each of the clients, made as the environment says."""
    access = AwsCredentials(os.environ).access(anonymous=True)
    clients = S3Clients(lambda: AwsKeys("testing", "secret"), endpoint_url=url, ca_bundle=access.ca_bundle)

    def by_boto() -> None:
        with s3_errors("bucket", "key", "s3:GetObject"):
            clients.boto("bucket").head_object(Bucket="bucket", Key="key")

    def by_obstore() -> None:
        with s3_errors("bucket", "key", "s3:GetObject"):
            obstore.get(clients.fast("bucket"), "key").bytes()

    ways = {"StackHttp": lambda: StackHttp().send("GET", f"{url}/bucket/key"), "boto3": by_boto}
    return ways if clients.by_boto_alone else {**ways, "obstore": by_obstore}


# -- certificates --


@pytest.fixture
def front(moto: S3Access, tmp_path: Path) -> Iterator[AwsFront]:
    with moto.boto() as raw:
        if "bucket" not in [one["Name"] for one in raw.list_buckets()["Buckets"]]:
            raw.create_bucket(Bucket="bucket")
        raw.put_object(Bucket="bucket", Key="key", Body=b"1")
    with AwsFront(moto.url, tmp_path, {}) as front:
        yield front


@pytest.mark.sampled(1)
@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("bundled", [False, True])
def test_each_variable_opens_the_stack_and_s3_alike(
    front: AwsFront, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, bundled: bool
) -> None:
    file = front.authority
    if bundled:
        file = tmp_path / "bundle.pem"
        file.write_text(Path(certifi.where()).read_text() + front.authority.read_text())
    monkeypatch.setenv(variable, str(file))
    asked = clients_of(front.direct)
    assert set(asked) == {"StackHttp", "boto3", "obstore"}
    for ask in asked.values():
        ask()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl names the files of such a folder")
def test_a_folder_of_authorities_is_trusted_by_the_stacks_client(
    front: AwsFront, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    (folder / "own.pem").write_bytes(front.authority.read_bytes())
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True, timeout=30)
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert StackHttp().send("GET", f"{front.direct}/bucket/key").status in (200, 403)


def test_a_certificate_that_nobody_vouches_for_is_told_by_each_and_does_not_pass(front: AwsFront) -> None:
    for name, ask in clients_of(front.direct).items():
        with pytest.raises(Misconfigured, match="certificate") as caught:
            ask()
        assert "SSL_CERT_FILE" in caught.value.next_step or "AWS_CA_BUNDLE" in caught.value.next_step, name


@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_a_file_that_holds_no_authorities_is_named(
    front: AwsFront, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "none.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(Misconfigured, match=r"SSL_CERT_FILE names .*none\.pem"):
        StackHttp().send("GET", front.direct)


def test_one_variable_is_enough_for_a_whole_stack_behind_an_authority_of_its_own(
    stack: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catalog and S3 by https on loopback: addresses that the settings name are used wherever they lie."""
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    stack.add_user("ada")
    with AwsFront(stack.url, tmp_path, {}) as catalog, AwsFront(stack.s3_url, tmp_path, {}) as s3:
        for name, value in replace(moto, url=s3.direct).environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SSL_CERT_FILE", str(s3.authority))
        given = {
            "catalog_url": catalog.direct,
            "api_key": stack.api_key("ada"),
            "default_registry": f"s3://{bucket}",
        }
        session = Session(Settings(allow_write=True, cache_dir=tmp_path / "cache", **given))

        def call(tool: str, **arguments: Any) -> dict[str, Any]:
            return asyncio.run(session.call(tool, arguments)).structured

        made = call("package_create", package="lab/made", files=[{"path": "x", "text": "1"}])
        assert "error" not in made, made
        assert call("object_read", package="lab/made", path="x")["data"]["text"] == "1"
        assert call("search", query="made").get("error") is None


# -- proxies --


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("host", "excepted", "is_direct"),
    [
        ("127.0.0.1", None, False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1:{port}", True),
        ("127.0.0.1", "127.0.0.1:1", False),
        ("127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", True),
        ("127.0.0.1", "10.0.0.0/8", False),
        ("127.0.0.1", "localhost", False),
        ("127.0.0.1", "*", True),
        ("localhost", "localhost", True),
        ("localhost", "elsewhere, LOCALHOST", True),
        ("localhost", ".localhost", True),
        ("localhost", "127.0.0.0/8", False),
        ("localhost", "host", False),
    ],
)
def test_no_proxy_means_the_same_to_every_client(
    server: Server, monkeypatch: pytest.MonkeyPatch, host: str, excepted: str | None, is_direct: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", CLOSED)
    if excepted is not None:
        monkeypatch.setenv("NO_PROXY", excepted.format(port=server.port))
    asked = clients_of(f"http://{host}:{server.port}")
    assert ("obstore" in asked) is is_direct, "it would go by no proxy before a server of one's own"
    for ask in asked.values():
        if is_direct:
            ask()
        else:
            with pytest.raises(StorageUnavailable):
                ask()
    assert len(server.seen) == (len(asked) if is_direct else 0)


@pytest.mark.parametrize("spelled", ["{url}", "127.0.0.1:{port}"])
def test_a_proxy_carries_what_is_asked_of_a_stack_out_of_reach(
    server: Server, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    """An address of documentation, which nobody has."""
    monkeypatch.setenv("HTTP_PROXY", spelled.format(url=server.url, port=server.port))
    assert StackHttp().send("GET", "http://192.0.2.1/config.json").status == 200
    assert [path for path, _ in server.seen] == ["http://192.0.2.1/config.json"]


def test_a_proxy_that_refuses_is_told_as_that(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers CONNECT with 501."""
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    with pytest.raises(StorageUnavailable, match="proxy") as caught:
        StackHttp().send("GET", "https://192.0.2.1/config.json")
    assert "NO_PROXY" in caught.value.next_step


def test_a_proxy_of_another_kind_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(Misconfigured, match="proxy"):
        StackHttp().send("GET", "https://192.0.2.1/config.json")


# -- hosts that receive a secret --


@pytest.fixture
def opened(
    stack: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Callable[..., dict[str, Any]]]:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    stack.add_user("ada")
    for name, value in replace(moto, url=stack.s3_url).environment().items():
        monkeypatch.setenv(name, value)
    given = {"catalog_url": stack.url, "api_key": stack.api_key("ada"), "default_registry": f"s3://{bucket}"}

    def open_() -> Callable[..., dict[str, Any]]:
        session = Session(Settings(allow_write=True, cache_dir=tmp_path / "cache", **given))
        return lambda tool, **arguments: asyncio.run(session.call(tool, arguments)).structured

    return open_


@pytest.mark.sampled(3)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("path", ["/config.json", "/graphql", "/api/auth/get_credentials"])
def test_no_redirect_of_a_stack_is_followed(
    opened: Callable[[], Callable[..., dict[str, Any]]], stack: Stack, server: Server, path: str, status: int
) -> None:
    """Whoever may answer for one path of the stack would else be sent the bearer, or answer in its place."""
    stack.fault(Fault(path, status=status, headers={"Location": f"{server.url}{path}"}))
    call = opened()
    answers = {
        tool: call(tool, **given) for tool, given in (("packages_list", {}), ("search", {"query": "x"}))
    }
    assert "error" in answers["search" if path == "/graphql" else "packages_list"]
    assert server.seen == []


def test_the_registry_that_the_catalog_names_gets_the_bearer_and_no_other_host_does(
    opened: Callable[[], Callable[..., dict[str, Any]]], stack: Stack, server: Server
) -> None:
    """That is how Quilt is made: the catalog is believed, and its registry has a host of its own. What it names beside (the
    gateway, the S3 proxy) gets none, and nor does the catalog itself."""
    stack.set_config(apiGatewayEndpoint=server.url, s3Proxy=server.url)
    call = opened()
    assert "error" not in call("package_create", package="lab/made", files=[{"path": "x", "text": "1"}])
    assert "error" not in call("search", query="made")
    told = {one["host"] for one in stack.requests() if one["bearer"]}
    assert told == {"registry"}
    assert server.seen == []


@pytest.mark.parametrize(
    "url", ["http://registry.example", "ftp://127.0.0.1", "https://user@registry.example"]
)
@pytest.mark.parametrize("name", ["registryUrl", "s3Proxy"])
def test_a_place_that_no_secret_may_be_sent_to_is_refused_in_config_json_too(
    opened: Callable[[], Callable[..., dict[str, Any]]], stack: Stack, name: str, url: str
) -> None:
    stack.set_config(**{name: url})
    assert opened()("packages_list")["error"]["code"] == "misconfigured"
    assert not [one for one in stack.requests() if one["bearer"]]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("address", ["{url}/x", "s3://bucket@{host}/x", "https://{host}/bucket/x"])
def test_a_manifest_leads_to_no_host(
    opened: Callable[[], Callable[..., dict[str, Any]]],
    stack: Stack,
    server: Server,
    moto: S3Access,
    address: str,
) -> None:
    call = opened()
    made = call("package_create", package="lab/made", files=[{"path": "x", "text": "1"}])
    bucket = made["uri"].removeprefix("quilt+s3://").partition("#")[0]
    key = f".quilt/packages/{made['data']['top_hash']}"
    named = address.format(url=server.url, host=f"127.0.0.1:{server.port}")
    with moto.boto() as raw:
        manifest = raw.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        start = manifest.index("s3://")
        raw.put_object(
            Bucket=bucket,
            Key=key,
            Body=(manifest[:start] + named + manifest[manifest.index('"', start) :]).encode(),
        )
    stack.forget()
    opened_anew = opened()
    for tool, given in (
        ("object_read", {"path": "x"}),
        ("package_verify", {}),
        ("object_link", {"path": "x"}),
    ):
        answer = opened_anew(tool, package="lab/made", **given)
        assert "error" in answer or (tool == "package_verify" and not answer["data"]["ok"]), answer
    assert server.seen == []
    assert {one["bucket"] for one in stack.s3_requests()} <= {bucket}


def test_errors_of_the_way_carry_nothing_that_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://name:canary-secret@127.0.0.1:9")
    with pytest.raises(QuiltError) as caught:
        StackHttp().send("GET", "http://192.0.2.1/x", bearer="canary-token")
    assert "canary" not in f"{caught.value} {caught.value.next_step} {caught.value.details}"
