"""S3 through the stack's own proxy: each request is signed for AWS, and sent to the stack."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack
from quilt_mcp.config import Settings
from quilt_mcp.session import Session
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients

NAMES = ("plain.csv", "a b & c+d=é#1%.csv", "deep/ü/x", "empty")
LARGE = bytes(range(256)) * (36 << 10)


class User:
    def __init__(self, here: Path, **settings: Any) -> None:
        given: dict[str, Any] = {"allow_write": True, "roots": (here,), "cache_dir": here.parent / "cache"}
        self.session = Session(Settings(**given | {"s3_proxy": True} | settings))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return asyncio.run(self.session.call(tool, arguments)).structured

    def done(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.call(tool, **arguments)
        assert "error" not in answer, answer
        return answer


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    for name in NAMES:
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_text("" if name == "empty" else f"a,b\n{name},1\n")
    (folder / "files" / "large.bin").write_bytes(LARGE)
    return folder


@pytest.fixture
def bucket(moto: S3Access, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nothing but the stack is in reach: AWS itself is asked through a proxy that is not there."""
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    stack.add_user("ada", roles=("writer", "reader"))
    for name, value in moto.environment().items():
        if name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return bucket


def by_key(stack: Stack, here: Path, bucket: str, **more: Any) -> User:
    given = {"catalog_url": stack.url, "api_key": stack.api_key("ada"), "default_registry": f"s3://{bucket}"}
    return User(here, **given | more)


def by_session(stack: Stack, here: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> User:
    quilt3 = Quilt3(here.parent / "home")
    login = "quilt3.config(arguments['url']); quilt3.session.login_with_token(arguments['code'])"
    quilt3.run(login, url=stack.url, code=stack.code("ada"))
    monkeypatch.setenv("XDG_DATA_HOME", quilt3.environment["XDG_DATA_HOME"])
    return User(here, default_registry=f"s3://{bucket}")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("way", ["key", "session"])
def test_packages_are_written_and_read_through_the_stack_alone(
    stack: Stack, bucket: str, here: Path, moto: S3Access, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    openers: dict[str, Callable[[], User]] = {
        "key": lambda: by_key(stack, here, bucket),
        "session": lambda: by_session(stack, here, bucket, monkeypatch),
    }
    user = openers[way]()
    made = user.done("package_create", package="lab/made", sources=[{"from": "files/"}])
    assert made["data"]["bytes_copied"] > len(LARGE)
    user.done("package_patch", package="lab/made", files=[{"path": "more", "text": "1"}])
    user.done("package_copy", package="lab/made", to="lab/copied")
    assert user.done("package_verify", package="lab/copied")["data"]["ok"]
    for name in NAMES[:3]:
        read = user.done("object_read", package="lab/made", path=name)
        assert read["data"]["text"] == f"a,b\n{name},1\n"
    user.done("package_install", package="lab/made", dest="installed")
    assert (here / "installed" / "large.bin").read_bytes() == LARGE
    assert user.done("object_list", location=f"s3://{bucket}/lab/")["data"]["objects"]
    user.done("package_delete", package="lab/copied", all=True)
    proxied = [one for one in stack.requests() if one["host"] == "s3proxy"]
    assert len(proxied) == len(stack.s3_requests()) > 30
    assert {one["user"] for one in stack.s3_requests()} == {"ada"}
    assert "S3 proxy" in user.done("status", detail=True)["data"]["abilities"]["way"]
    browse = "result = sorted(quilt3.Package.browse('lab/made', registry=arguments['registry']).keys())"
    found = Quilt3(here.parent / "quilt3", moto).run(browse, registry=f"s3://{bucket}")
    assert "more" in found and "large.bin" in found


def test_the_signature_is_that_of_a_request_to_aws() -> None:
    """Computed anew by botocore, over the host and the path that AWS would have seen."""
    seen: list[tuple[str, str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            seen.append(
                (self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            )
            self.send_response(200)
            for name, value in (
                ("x-amz-bucket-region", "eu-west-1"),
                ("ETag", '"1"'),
                ("Content-Length", "0"),
            ):
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    keys = AwsKeys("AKIATEST", "secret", "session")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        proxy = f"http://127.0.0.1:{server.server_address[1]}/here"
        clients = S3Clients(lambda: keys, region="us-east-1", s3_proxy=proxy)
        clients.boto("lab-data").head_object(Bucket="lab-data", Key="a b/ü+%.csv", VersionId="v/1")
        server.shutdown()
    assert [path for _, path, _ in seen] == [
        "/here/lab-data.s3.us-east-1.amazonaws.com/",
        "/here/lab-data.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B%25.csv?versionId=v%2F1",
    ]
    method, path, headers = seen[1]
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    again = AWSRequest(method, f"https://{path.removeprefix('/here/')}")
    for name in signed:
        if name != "host":
            again.headers[name] = headers[name]
    again.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials(keys.access_key, keys.secret_key, keys.token), "s3", "eu-west-1")
    wanted = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert headers["authorization"].endswith(f"Signature={wanted}")


def test_a_key_that_would_lead_elsewhere_on_the_way_is_refused(stack: Stack, bucket: str, here: Path) -> None:
    answer = by_key(stack, here, bucket).call("object_read", uri=f"s3://{bucket}/a/../../other/x")
    assert answer["error"]["code"] == "invalid_name"


def test_what_the_role_may_not_do_is_refused_as_by_s3_itself(stack: Stack, bucket: str, here: Path) -> None:
    stack.set_role("ada", "reader")
    user = by_key(stack, here, bucket)
    answer = user.call("object_put", uri=f"s3://{bucket}/x", text="1")
    assert answer["error"]["code"] == "permission_denied"


def test_a_stack_without_the_proxy_is_told_of(stack: Stack, bucket: str, here: Path) -> None:
    stack.set_config(s3Proxy="")
    error = by_key(stack, here, bucket).call("packages_list")["error"]
    assert error["code"] == "misconfigured" and "QUILT_S3_PROXY" in error["next_step"]


def test_plain_aws_credentials_have_no_stack_to_go_through(bucket: str, here: Path) -> None:
    error = User(here, default_registry=f"s3://{bucket}", backend="iam").call("packages_list")["error"]
    assert error["code"] == "misconfigured" and "no stack" in error["message"]
