"""What S3 refuses, through the tools: a stable code, what was wrong, the next step, and nothing half-done.

Ways to S3 that fail before it is reached stand in test_s3_network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from s3_registry import S3Registry

from parts import faults
from parts.aws_endpoints import AwsEndpoints
from parts.faults import Answer
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp import backends
from quilt_mcp.auth.bearer import GivenToken
from quilt_mcp.auth.identity import Asker, Identity, QuiltAccess, S3Access
from quilt_mcp.auth.registry_http import SAVED_SESSION
from quilt_mcp.config import Settings
from quilt_mcp.session import Session
from quilt_mcp.storage.s3.clients import AwsKeys

pytestmark = pytest.mark.anyio
LARGE = b"large" * 2_000_000
TOO_MANY = Answer(429, "TooManyRequests", "Please reduce your request rate.")
FILES = [{"path": "data/one", "text": "1"}, {"path": "two", "text": "2"}]


class Tools:
    """The tools of a server on one bucket. ``raw`` looks at it past the proxy."""

    def __init__(self, session: Session, raw: Any, bucket: str, here: Path) -> None:
        self.session = session
        self.registry = S3Registry(raw, bucket)
        self.bucket = bucket
        self.here = here

    async def result(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        reply = await self.session.call(tool, arguments, asker=Asker("command"))
        assert not reply.is_error, reply.structured
        return reply.structured

    async def failure(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        reply = await self.session.call(tool, arguments, asker=Asker("command"))
        assert reply.is_error, reply.structured
        error = reply.structured["error"]
        assert error["code"] != "internal_error", error
        assert error["message"] and error["next_step"], error
        return error

    async def make(self, **more: Any) -> str:
        made = await self.result("package_create", package="a/b", files=FILES, **more)
        return made["data"]["top_hash"]

    def uri(self, path: str, top_hash: str | None = None) -> str:
        pin = f"@{top_hash}" if top_hash else ""
        return f"quilt+s3://{self.bucket}#package=a/b{pin}&path={path}"

    def refused_reads(self) -> dict[str, dict[str, Any]]:
        return {
            "packages_list": {},
            "package_browse": {"package": "a/b"},
            "package_log": {"package": "a/b"},
            "object_list": {"location": f"s3://{self.bucket}/"},
            "object_read": {"uri": f"s3://{self.bucket}/a/b/two"},
        }

    def refused_writes(self) -> dict[str, dict[str, Any]]:
        return {
            "package_create": {"package": "a/new", "files": FILES},
            "package_patch": {"package": "a/b", "files": [{"path": "three", "text": "3"}]},
            "package_delete": {"package": "a/b", "all": True},
            "package_install": {"package": "a/b", "dest": str(self.here / "installed")},
            "object_put": {"uri": f"s3://{self.bucket}/raw", "text": "x"},
        }


Opener = Callable[..., Tools]


@pytest.fixture
def opener(moto: Server, moto_proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens the tools as the environment says, which holds nothing but what is given."""
    for name in os.environ:
        if name.startswith(("AWS_", "QUILT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    here = tmp_path / "here"
    here.mkdir()
    with moto.boto() as raw:

        def open_(
            bucket: str | None = None, *, versioned: bool = True, keys: bool = True, **settings: Any
        ) -> Tools:
            bucket = bucket or moto.make_bucket(versioned=versioned)
            variables = {
                "HOME": str(tmp_path),
                "AWS_ENDPOINT_URL": moto_proxy.url,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            if keys:
                variables |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            own: dict[str, Any] = {
                "backend": "iam",
                "default_registry": f"s3://{bucket}",
                "allow_write": True,
                "roots": (here,),
                "cache_dir": tmp_path / "cache",
            }
            return Tools(Session(Settings(**own | settings)), raw, bucket, here)

        yield open_


# -- who asks --


async def test_without_credentials_every_tool_says_how_to_sign_in_and_asks_nothing(
    opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener(keys=False)
    with moto_proxy.recording() as seen:
        for tool, arguments in (tools.refused_reads() | tools.refused_writes()).items():
            error = await tools.failure(tool, **arguments)
            assert (error["code"], error["recovery"]) == ("sign_in", "sign_in")
            assert "aws configure" in error["next_step"]
    assert seen.total == 0


IDENTITY = {
    "expired": (faults.EXPIRED_TOKEN, "expired", "quilt-mcp login"),
    "clock skew": (faults.CLOCK_SKEW, "clock", "clock"),
    "unknown key": (Answer(403, "InvalidAccessKeyId"), "not known", "aws sso login"),
    "wrong secret": (Answer(403, "SignatureDoesNotMatch"), "secret key", "aws sso login"),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", IDENTITY)
async def test_an_identity_that_s3_does_not_take_is_told_as_that_by_every_tool(
    case: str, opener: Opener, moto_proxy: Proxy
) -> None:
    """Also where the first request is a HEAD, whose answer has no body to say why in."""
    fault, what, next_step = IDENTITY[case]
    tools = opener()
    await tools.make()
    before = tools.registry.keys()
    with moto_proxy.injecting(fault, bucket=tools.bucket):
        for tool, arguments in (tools.refused_reads() | tools.refused_writes()).items():
            error = await tools.failure(tool, **arguments)
            assert error["code"] == "sign_in", (tool, error)
            assert what in error["message"] and next_step in error["next_step"], (tool, error)
        assert tools.registry.keys() == before
    assert list(tools.here.iterdir()) == []


async def test_static_credentials_that_end_in_mid_push_publish_nothing_and_running_again_completes(
    opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener()
    first = await tools.make()
    (tools.here / "large").write_bytes(LARGE)
    push = {"package": "a/b", "add": [{"from": str(tools.here / "large"), "to": "large"}], "files": FILES}
    with moto_proxy.injecting(faults.EXPIRED_TOKEN, operation="UploadPart", bucket=tools.bucket, since=2):
        error = await tools.failure("package_patch", **push)
    assert error["code"] == "sign_in"
    assert tools.registry.log() == [first]
    with moto_proxy.injecting(
        faults.EXPIRED_TOKEN, bucket=tools.bucket, key=".quilt/named_packages/*", mutating=True
    ):
        assert (await tools.failure("package_patch", **push))["code"] == "sign_in"
    assert (tools.registry.latest(), tools.registry.log()) == (first, [first])
    with moto_proxy.recording() as seen:
        done = await tools.result("package_patch", **push)
    assert not seen.of("UploadPart"), "what was sent already is not sent again"
    assert tools.registry.log() == [first, done["data"]["top_hash"]]
    assert tools.registry.files(done["data"]["top_hash"])["large"] == LARGE
    tools.registry.check()


async def test_refreshable_credentials_that_end_in_mid_push_are_renewed_and_it_goes_on(
    opener: Opener, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = opener(keys=False)
    (tools.here / "large").write_bytes(LARGE)
    with AwsEndpoints() as endpoints:
        endpoints.lasts = timedelta(minutes=1)  # botocore renews what ends so soon at each use
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{endpoints.url}/container")
        await tools.result("status")
        # S3 no longer takes the first keys; a push that kept them would fail.
        ended = ("authorization", "*ASIALOOPBACK00000001/*")
        with (
            moto_proxy.injecting(faults.EXPIRED_TOKEN, bucket=tools.bucket, header=ended),
            moto_proxy.recording() as seen,
        ):
            top_hash = await tools.make(sources=[{"from": str(tools.here / "large")}])
    signed_by = {
        exchange.headers["authorization"].split("Credential=")[1].split("/")[0] for exchange in seen.exchanges
    }
    assert len(signed_by) > 1
    assert tools.registry.files(top_hash)["large"] == LARGE


# -- which bucket --


@pytest.mark.parametrize(
    "bucket",
    ["../x", "..", ".", "a/b", "http://host/x", "host:80", "user@host", "b?x=1", "b#c", "", "/x", "a b", "*", "é"],
)  # fmt: skip
async def test_a_bucket_that_is_a_path_or_an_address_is_refused_before_anything_is_asked(
    bucket: str, opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener()
    url = f"s3://{bucket}"
    calls: dict[str, dict[str, Any]] = {
        "packages_list": {"registry": url},
        "package_browse": {"package": "a/b", "registry": url},
        "package_create": {"package": "a/b", "registry": url, "files": FILES},
        "package_copy": {"package": "a/b", "to_registry": url},
    }
    with moto_proxy.recording() as seen:
        for tool, arguments in calls.items():
            error = await tools.failure(tool, **arguments)
            assert error["code"] == "invalid_uri", (tool, error)
            assert "s3://" in error["next_step"]
    assert seen.total == 0


@pytest.mark.parametrize(
    "address",
    [
        "s3://../x",
        "s3://./x",
        "s3://%2e%2e/x",
        "s3://user@host/x",
        "s3://host:80/x",
        "s3:///x",
        "s3://a b/x",
        "http://host/x",
    ],
)
async def test_an_object_of_no_bucket_is_refused_before_anything_is_asked(
    address: str, opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener()
    with moto_proxy.recording() as seen:
        for tool, arguments in {
            "object_read": {"uri": address},
            "object_link": {"uri": address},
            "object_list": {"location": address},
            "object_put": {"uri": address, "text": "x"},
            "package_create": {"package": "a/b", "sources": [{"from": address}]},
        }.items():
            error = await tools.failure(tool, **arguments)
            assert error["code"] in ("invalid_uri", "invalid_argument", "invalid_name"), (tool, error)
    assert seen.total == 0


async def test_a_bucket_that_does_not_exist_is_named_by_every_tool(opener: Opener, moto: Server) -> None:
    tools = opener(f"{moto.make_bucket()}-gone")
    for tool, arguments in (tools.refused_reads() | tools.refused_writes()).items():
        error = await tools.failure(tool, **arguments)
        assert error["code"] == "registry_not_found", (tool, error)
        assert tools.bucket in error["message"]
    assert list(tools.here.iterdir()) == []


FORBIDDEN = {
    "ListObjectsV2": ("packages_list", {}, "s3:ListBucket"),
    "GetObject": ("package_browse", {"package": "a/b"}, "s3:GetObject"),
    "PutObject": ("package_create", {"package": "a/new", "files": FILES}, "s3:PutObject"),
    "DeleteObject": ("package_delete", {"package": "a/b", "all": True}, "s3:DeleteObject"),
    "CreateMultipartUpload": (
        "package_create",
        {"package": "a/new", "sources": [{"from": "large"}]},
        "s3:PutObject",
    ),
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("operation", FORBIDDEN)
async def test_a_missing_permission_names_the_iam_action(
    operation: str, opener: Opener, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, arguments, action = FORBIDDEN[operation]
    tools = opener()
    monkeypatch.chdir(tools.here)
    (tools.here / "large").write_bytes(LARGE)
    await tools.make()
    before = tools.registry.keys()
    with moto_proxy.injecting(faults.ACCESS_DENIED, operation=operation, bucket=tools.bucket):
        error = await tools.failure(tool, **arguments)
        # Looked at while it is still forbidden: a second file may be on its way when the first is refused.
        assert tools.registry.keys() == before
        assert tools.registry.uploads() == []
    assert (error["code"], error["recovery"]) == ("permission_denied", "ask_access")
    assert action in error["next_step"] and error["details"]["action"] == action
    assert "--requester-pays" in error["next_step"]


async def test_a_bucket_of_another_region_names_what_to_set(opener: Opener, moto_proxy: Proxy) -> None:
    """A server of one's own does not say where its buckets are; AWS does, in test_s3_network."""
    tools = opener()
    with moto_proxy.injecting(faults.moved_to("eu-west-1"), bucket=tools.bucket):
        for tool, arguments in (tools.refused_reads() | tools.refused_writes()).items():
            error = await tools.failure(tool, **arguments)
            assert (error["code"], error["retryable"]) == ("misconfigured", False), (tool, error)
            assert "region" in error["message"] and "AWS_REGION" in error["next_step"]
        assert tools.registry.keys() == []


async def test_a_bucket_whose_reader_pays_is_used_when_that_was_agreed_to(
    opener: Opener, moto_proxy: Proxy, moto: Server
) -> None:
    """Every request that such a bucket asks it of says that it is paid for."""
    source = moto.make_bucket()
    unpaid = ("x-amz-request-payer", "")
    tools = opener(requester_pays=True)
    (tools.here / "large").write_bytes(LARGE)
    tools.registry.raw.put_object(Bucket=source, Key="in/x", Body=b"x")
    with moto_proxy.recording() as seen:
        sources = [{"from": f"s3://{source}/in/"}, {"from": str(tools.here / "large")}]
        await tools.make(sources=sources)
        calls = tools.refused_reads() | tools.refused_writes()
        for tool, arguments in sorted(calls.items(), key=lambda call: call[0] == "package_delete"):
            await tools.result(tool, **arguments)
    asked = {
        exchange.call.operation
        for exchange in seen.exchanges
        if "x-amz-request-payer" not in exchange.headers
    }
    assert asked <= {"GetBucketVersioning"}, "which is not charged, and has no such header"
    refusing = opener(tools.bucket)
    with moto_proxy.injecting(faults.ACCESS_DENIED, bucket=tools.bucket, header=unpaid):
        error = await refusing.failure("packages_list")
    assert error["code"] == "permission_denied" and "--requester-pays" in error["next_step"]


async def test_who_agreed_to_pay_pays_with_a_quilt3_session_too(
    moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    bucket = moto.make_bucket()
    keys = AwsKeys(moto.access_key, moto.secret_key)
    s3 = S3Access(lambda: keys, moto.region, moto_proxy.url)
    access = QuiltAccess(s3, "https://registry.example", None, GivenToken("", SAVED_SESSION), lambda: keys)
    identity = Identity("quilt3", "me", f"s3://{bucket}", (), access)
    ops = backends.open(identity, Settings(requester_pays=True, cache_dir=tmp_path))
    with moto_proxy.recording() as seen:
        await ops.list_packages(f"s3://{bucket}")
    assert {exchange.headers["x-amz-request-payer"] for exchange in seen.exchanges} == {"requester"}


async def test_a_bucket_beside_the_allowed_ones_is_never_asked(
    opener: Opener, moto: Server, moto_proxy: Proxy
) -> None:
    other = moto.make_bucket()
    open_tools = opener()
    open_tools.registry.raw.put_object(Bucket=other, Key="secret", Body=b"secret")
    made = await open_tools.result(
        "package_create", package="a/b", sources=[{"from": f"s3://{other}/secret"}], copy=False
    )
    tools = opener(open_tools.bucket, allowed_buckets=(open_tools.bucket,))
    calls: dict[str, dict[str, Any]] = {
        "object_read": {"uri": tools.uri("secret", made["data"]["top_hash"])},
        "package_install": {"package": "a/b", "dest": str(tools.here / "installed")},
        "package_create": {"package": "a/c", "sources": [{"from": made["uri"]}]},
        "packages_list": {"registry": f"s3://{other}"},
        "object_list": {"location": f"s3://{other}/"},
        "package_copy": {"package": "a/b", "to_registry": f"s3://{other}"},
    }
    before = tools.registry.keys()
    with moto_proxy.recording() as seen:
        for tool, arguments in calls.items():
            error = await tools.failure(tool, **arguments)
            assert error["code"] == "permission_denied", (tool, error)
            assert "QUILT_ALLOWED_BUCKETS" in error["next_step"]
        checked = await tools.result("package_verify", package="a/b")
    assert [one["problem"] for one in checked["data"]["problems"]] == ["unreadable"]
    assert {exchange.call.bucket for exchange in seen.exchanges} == {tools.bucket}
    assert tools.registry.keys() == before
    assert not (tools.here / "installed").exists()


async def test_a_manifest_that_points_to_a_file_of_this_machine_is_corrupt(opener: Opener) -> None:
    tools = opener()
    secret = tools.here / "secret"
    secret.write_text("1")
    top_hash = await tools.make()
    manifest = tools.registry.read(f".quilt/packages/{top_hash}").splitlines()
    record = json.loads(manifest[1]) | {"physical_keys": [secret.as_uri()]}
    forged = b"\n".join([manifest[0], json.dumps(record).encode(), *manifest[2:], b""])
    tools.registry.raw.put_object(Bucket=tools.bucket, Key=f".quilt/packages/{top_hash}", Body=forged)
    for tool, arguments in {
        "object_read": {"uri": tools.uri("data/one")},
        "package_install": {"package": "a/b", "dest": str(tools.here / "installed")},
        "package_create": {"package": "a/c", "sources": [{"from": f"quilt+s3://{tools.bucket}#package=a/b"}]},
    }.items():
        error = await tools.failure(tool, **arguments)
        assert error["code"] == "corrupt_manifest", (tool, error)
    assert not (tools.here / "installed").exists()


# -- what became of the objects --


def object_of(tools: Tools, top_hash: str, path: str) -> tuple[str, str | None]:
    """Key and version of a file, as the manifest has them."""
    lines = tools.registry.read(f".quilt/packages/{top_hash}").splitlines()[1:]
    place = next(one["physical_keys"][0] for one in map(json.loads, lines) if one["logical_key"] == path)
    key, _, version = place.removeprefix(f"s3://{tools.bucket}/").partition("?versionId=")
    return key, version or None


async def broken(tools: Tools, top_hash: str, code: str, problem: str) -> None:
    """Reading, installing and verifying the package each say so, and no file is left half-done."""
    error = await tools.failure("object_read", uri=tools.uri("two", top_hash))
    assert error["code"] == code, error
    dest = tools.here / "installed"
    error = await tools.failure("package_install", package=f"a/b@{top_hash}", dest=str(dest))
    assert error["code"] == code, error
    left = [path.relative_to(dest).as_posix() for path in dest.rglob("*") if path.is_file()]
    assert set(left) <= {"data/one"}, "only whole files that were verified"
    checked = (await tools.result("package_verify", package=f"a/b@{top_hash}"))["data"]
    assert [(one["path"], one["problem"]) for one in checked["problems"]] == [("two", problem)]


async def test_a_pinned_object_outlives_whatever_becomes_of_its_key_and_its_version_gone_is_told(
    opener: Opener,
) -> None:
    tools = opener()
    top_hash = await tools.make()
    key, version = object_of(tools, top_hash, "two")
    raw = tools.registry.raw
    raw.put_object(Bucket=tools.bucket, Key=key, Body=b"overwritten")
    raw.delete_object(Bucket=tools.bucket, Key=key)
    assert (await tools.result("object_read", uri=tools.uri("two")))["data"]["text"] == "2"
    assert (await tools.result("package_verify", package="a/b"))["data"]["ok"]
    raw.delete_object(Bucket=tools.bucket, Key=key, VersionId=version)
    await broken(tools, top_hash, "object_not_found", "missing")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("content", "code", "problem"),
    [
        (b"3", "hash_mismatch", "hash"),
        (b"of another size", "hash_mismatch", "size"),
        (None, "object_not_found", "missing"),
    ],
)
async def test_an_object_without_versions_that_changed_is_never_taken_for_what_was_packaged(
    content: bytes | None, code: str, problem: str, opener: Opener
) -> None:
    tools = opener(versioned=False)
    top_hash = await tools.make()
    key, version = object_of(tools, top_hash, "two")
    assert version is None
    if content is None:
        tools.registry.raw.delete_object(Bucket=tools.bucket, Key=key)
    else:
        tools.registry.raw.put_object(Bucket=tools.bucket, Key=key, Body=content)
    await broken(tools, top_hash, code, problem)


async def test_an_archived_object_is_to_be_restored_first(
    opener: Opener, moto_proxy: Proxy, moto: Server
) -> None:
    tools, elsewhere = opener(), moto.make_bucket()
    top_hash = await tools.make()
    tools.registry.raw.put_object(Bucket=elsewhere, Key="in/archived", Body=b"x")
    before = tools.registry.keys()
    with (
        moto_proxy.injecting(faults.GLACIER, operation="GetObject", key="a/b/two"),
        moto_proxy.injecting(faults.GLACIER, operation="GetObject", bucket=elsewhere),
        moto_proxy.injecting(faults.GLACIER, operation="CopyObject", bucket=tools.bucket),
    ):
        await broken(tools, top_hash, "object_archived", "archived")
        copy = {"package": "a/c", "sources": [{"from": f"s3://{elsewhere}/in/"}]}
        error = await tools.failure("package_create", **copy)
        assert (error["code"], error["retryable"]) == ("object_archived", False)
        assert "object_restore" in error["next_step"]
        assert tools.registry.keys() == before
        # Where it lies it can be packaged: S3 keeps its checksum, so nobody has to read it.
        kept = {"Bucket": elsewhere, "Key": "in/archived", "Body": b"x", "ChecksumAlgorithm": "SHA256"}
        tools.registry.raw.put_object(**kept)
        await tools.result("package_create", **copy, copy=False)


async def test_a_text_is_no_file_because_nobody_may_look_for_the_package(
    opener: Opener, moto_proxy: Proxy
) -> None:
    """A relative path was read, and written, where the package of that name could not be looked for just then."""
    tools = opener()
    await tools.make()
    (tools.here / "a/b").mkdir(parents=True)
    (tools.here / "a/b/two").write_text("another")
    with moto_proxy.injecting(faults.ACCESS_DENIED, bucket=tools.bucket):
        for tool, more in (("object_read", {}), ("object_link", {}), ("object_put", {"text": "x"})):
            error = await tools.failure(tool, uri="a/b/two", **more)
            assert error["code"] == "permission_denied" and "./a/b/two" in error["next_step"], tool
    assert (tools.here / "a/b/two").read_text() == "another"


# -- how often --


@pytest.mark.nightly
@pytest.mark.sampled(1)
@pytest.mark.parametrize("fault", [faults.SLOW_DOWN, TOO_MANY], ids=["503", "429"])
async def test_throttling_that_passes_is_not_noticed(
    fault: Answer, opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener()
    (tools.here / "large").write_bytes(LARGE)
    with moto_proxy.injecting(fault, bucket=tools.bucket, anew=False) as rule:
        top_hash = await tools.make(sources=[{"from": str(tools.here / "large")}])
        await tools.result("package_browse", package="a/b")
    assert rule.fired > 2
    assert tools.registry.log() == [top_hash]
    assert tools.registry.files(top_hash)["large"] == LARGE


@pytest.mark.sampled(1)
@pytest.mark.parametrize("fault", [faults.SLOW_DOWN, TOO_MANY], ids=["503", "429"])
async def test_throttling_that_stays_is_told_as_that_and_publishes_nothing(
    fault: Answer, opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener()
    top_hash = await tools.make()
    calls: Mapping[str, dict[str, Any]] = {
        "packages_list": {},
        "package_patch": {"package": "a/b", "files": [{"path": "three", "text": "3"}]},
    }
    with moto_proxy.injecting(fault, bucket=tools.bucket):
        for tool, arguments in calls.items():
            error = await tools.failure(tool, **arguments)
            assert (error["code"], error["retryable"]) == ("storage_unavailable", True), (tool, error)
            assert "fewer requests" in error["message"] and "Wait" in error["next_step"]
    assert tools.registry.log() == [top_hash]


# -- roles that may do less --


async def test_a_role_that_may_not_list_versions_packages_a_prefix_and_says_what_it_cost(
    opener: Opener, moto_proxy: Proxy, moto: Server
) -> None:
    source = moto.make_bucket()
    tools = opener()
    for key in ("x", "deep/y"):
        tools.registry.raw.put_object(Bucket=source, Key=f"in/{key}", Body=key.encode())
    with moto_proxy.injecting(faults.ACCESS_DENIED, operation="ListObjectVersions"):
        for copy in (False, True):
            made = await tools.result(
                "package_create",
                package="a/b",
                sources=[{"from": f"s3://{source}/in/"}],
                copy=copy,
                overwrite=True,
            )
            assert any("s3:ListBucketVersions" in warning for warning in made["warnings"])
            listed = await tools.result("package_browse", package="a/b", recursive=True, detail=True)
            entries = listed["data"]["entries"]
            assert [one["path"] for one in entries] == ["deep/y", "x"]
            assert all("versionId=" in one["physical_key"] for one in entries)
        again = await tools.result(
            "package_patch", package="a/b", files=[{"path": "x", "text": "x"}], message="again"
        )
    listed = await tools.result("package_browse", package="a/b", recursive=True, detail=True)
    entries = listed["data"]["entries"]
    assert all("versionId=" in one["physical_key"] for one in entries), again


async def test_a_role_that_may_ask_for_neither_versioning_nor_parts_packages_all_the_same(
    opener: Opener, moto_proxy: Proxy, moto: Server
) -> None:
    """Versions not known: files are stored by content. Parts not known: a large object is read to hash it."""
    source = moto.make_bucket()
    tools = opener()
    (tools.here / "large").write_bytes(LARGE)
    elsewhere = opener(source)
    await elsewhere.make(sources=[{"from": str(tools.here / "large")}])
    tools = opener(tools.bucket)
    with (
        moto_proxy.injecting(faults.ACCESS_DENIED, operation="GetBucketVersioning") as versioning,
        moto_proxy.injecting(faults.ACCESS_DENIED, operation="GetObjectAttributes") as parts,
    ):
        made = await tools.result(
            "package_create",
            package="a/b",
            sources=[{"from": f"s3://{source}/a/b/large"}],
            files=FILES,
            copy=False,
        )
        assert any("s3:GetBucketVersioning" in warning for warning in made["warnings"])
        assert (await tools.result("package_verify", package="a/b"))["data"]["ok"]
    assert versioning.fired and parts.fired
    keys = tools.registry.keys("a/") + tools.registry.keys(".quilt/objects/")
    assert len(keys) == 2 and all(key.startswith(".quilt/objects/") for key in keys)


async def test_a_role_that_may_not_list_buckets_is_shown_the_configured_ones(
    opener: Opener, moto_proxy: Proxy
) -> None:
    tools = opener()
    with moto_proxy.injecting(faults.ACCESS_DENIED, operation="ListBuckets"):
        listed = await tools.result("registry_list")
    found = [one["registry"] for one in listed["data"]["registries"]]
    assert found[0] == f"s3://{tools.bucket}"
    assert [one.partition("/")[0] for one in found[1:]] == ["file:"], "the local registry is among them"
    assert any("s3:ListAllMyBuckets" in warning for warning in listed["warnings"])


async def test_a_role_that_may_not_name_versions_reads_and_copies_the_latest_and_is_told_of_the_rest(
    opener: Opener, moto_proxy: Proxy, moto: Server
) -> None:
    source = moto.make_bucket()
    tools = opener()
    tools.registry.raw.put_object(Bucket=source, Key="in/large", Body=LARGE)
    tools.registry.raw.put_object(Bucket=source, Key="in/odd//key", Body=b"odd")
    with (
        moto_proxy.injecting(faults.ACCESS_DENIED, query="versionId", mutating=False) as reading,
        moto_proxy.injecting(faults.ACCESS_DENIED, header=("x-amz-copy-source", "*versionId=*")) as copying,
    ):
        first = await tools.make(sources=[{"from": f"s3://{source}/in/large"}])
        assert (await tools.result("object_read", uri=tools.uri("two")))["data"]["text"] == "2"
        assert (await tools.result("package_verify", package="a/b"))["data"]["ok"]
        await tools.result("package_install", package="a/b", dest=str(tools.here / "installed"))
        assert (tools.here / "installed" / "large").read_bytes() == LARGE
        await tools.result("package_patch", package="a/b", files=[{"path": "two", "text": "newer"}])
        error = await tools.failure("object_read", uri=tools.uri("two", first))
        assert error["code"] == "permission_denied"
        assert "s3:GetObjectVersion" in error["next_step"] and "latest" in error["next_step"]
        checked = (await tools.result("package_verify", package=f"a/b@{first}"))["data"]
        assert [(one["path"], one["problem"]) for one in checked["problems"]] == [("two", "unreadable")]
    assert reading.fired and copying.fired
