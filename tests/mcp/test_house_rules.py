"""What a stack's config.json wants of files: where they are placed, how they are hashed, and that nothing is downloaded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from parts import faults
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

LOG_IN = "quilt3.config(arguments['url']); quilt3.session.login_with_token(arguments['code'])"
LOOK = """
package = quilt3.Package.browse("lab/made", registry=arguments["registry"])
package.fetch(arguments["dest"])
result = {"hash": package.top_hash, "same": package.verify(arguments["dest"]),
          "entries": {key: [entry.hash["type"], str(entry.physical_key)] for key, entry in package.walk()}}
"""
LARGE = bytes(range(256)) * (36 << 10)
"""9 MiB: what goes in parts."""


class User:
    def __init__(self, here: Path, **settings: Any) -> None:
        given: dict[str, Any] = {"allow_write": True, "roots": (here,), "cache_dir": here / "cache"}
        self.session, self.here = Session(Settings(**given | settings)), here

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return asyncio.run(self.session.call(tool, arguments)).structured

    def done(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.call(tool, **arguments)
        assert "error" not in answer, answer
        return answer


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    (folder / "files" / "deep").mkdir(parents=True)
    (folder / "files" / "small.csv").write_text("a,b\n1,2\n")
    (folder / "files" / "deep" / "empty").write_bytes(b"")
    (folder / "files" / "large.bin").write_bytes(LARGE)
    return folder


@pytest.fixture
def bucket(moto: S3Access, stack: Stack) -> str:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    stack.add_user("ada")
    return bucket


@pytest.fixture
def environment(stack: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in replace(moto, url=stack.s3_url).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))


@pytest.fixture
def opened(stack: Stack, bucket: str, here: Path, environment: None) -> Callable[[], User]:
    """Once the stack's config.json is as the test wants it."""
    given = {"catalog_url": stack.url, "api_key": stack.api_key("ada"), "default_registry": f"s3://{bucket}"}
    return lambda: User(here, **given)


@pytest.fixture
def with_session(
    stack: Stack, bucket: str, here: Path, environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> User:
    quilt3 = Quilt3(tmp_path / "home")
    quilt3.run(LOG_IN, url=stack.url, code=stack.code("ada"))
    monkeypatch.setenv("XDG_DATA_HOME", quilt3.environment["XDG_DATA_HOME"])
    stack.forget()
    return User(here, default_registry=f"s3://{bucket}")


def asked_for_config(stack: Stack) -> int:
    return len(stack.requests("/config.json"))


def looked_at(bucket: str, moto: S3Access, tmp_path: Path) -> dict[str, Any]:
    quilt3 = Quilt3(tmp_path / "quilt3", moto)
    return quilt3.run(LOOK, registry=f"s3://{bucket}", dest=str(tmp_path / "fetched"))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("root", ["packages/files", "/packages/files/"])
def test_files_go_below_the_stacks_folder_and_are_found_there_again(
    opened: Callable[[], User], stack: Stack, bucket: str, moto: S3Access, tmp_path: Path, root: str
) -> None:
    stack.set_config(packageRoot=root)
    user = opened()
    made = user.done("package_create", package="lab/made", sources=[{"from": "files/"}])
    found = looked_at(bucket, moto, tmp_path)
    assert found["same"] and found["hash"] == made["data"]["top_hash"]
    for key, (_, address) in found["entries"].items():
        assert address.startswith(f"s3://{bucket}/packages/files/lab/made/{key}?versionId="), address
    again = user.done("package_create", package="lab/made", sources=[{"from": "files/"}], overwrite=True)
    assert again["data"]["bytes_copied"] == 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize("root", [".quilt/packages", "a/../b", "a//b"])
def test_a_folder_that_is_none_is_told_and_files_go_to_the_root(
    opened: Callable[[], User], stack: Stack, bucket: str, moto: S3Access, root: str
) -> None:
    stack.set_config(packageRoot=root)
    made = opened().done("package_create", package="lab/made", files=[{"path": "x", "text": "1"}])
    assert any(one.startswith("package_root:") for one in made["warnings"])
    with moto.boto() as raw:
        assert raw.head_object(Bucket=bucket, Key="lab/made/x")["ContentLength"] == 1


def test_entries_are_hashed_as_the_stack_wants_and_quilt3_verifies_them(
    opened: Callable[[], User], stack: Stack, bucket: str, moto: S3Access, tmp_path: Path
) -> None:
    stack.set_config(crc64Checksums=True)
    user = opened()
    other = moto.make_bucket()
    stack.add_bucket(other)
    with moto.boto() as raw:
        raw.put_object(Bucket=other, Key="in/small", Body=b"from S3")
        raw.put_object(Bucket=other, Key="in/large", Body=LARGE[1:])
    given: dict[str, Any] = {
        "package": "lab/made",
        "sources": [{"from": "files/"}, {"from": f"s3://{other}/in/", "to": "copied"}],
        "files": [{"path": "inline", "text": "1"}],
    }
    made = user.done("package_create", **given)
    found = looked_at(bucket, moto, tmp_path)
    assert found["same"] and found["hash"] == made["data"]["top_hash"]
    assert set(found["entries"]) == {
        "small.csv", "deep/empty", "large.bin", "copied/small", "copied/large", "inline"
    }  # fmt: skip
    assert {kind for kind, _ in found["entries"].values()} == {"CRC64NVME"}
    verified = user.done("package_verify", package="lab/made")
    assert verified["data"]["ok"] and verified["data"]["checks"] == {"CRC64NVME": 6}


def test_a_plan_knows_the_hash_that_the_stack_wants_and_a_push_again_sends_nothing(
    opened: Callable[[], User], stack: Stack, bucket: str, moto: S3Access
) -> None:
    stack.set_config(crc64Checksums=True)
    user = opened()
    given: dict[str, Any] = {"package": "lab/made", "sources": [{"from": "files/"}]}
    planned = user.done("package_create", **given, dry_run=True)["data"]["top_hash"]
    assert user.done("package_create", **given)["data"]["top_hash"] == planned
    with moto.boto() as raw:
        before = len(raw.list_object_versions(Bucket=bucket, Prefix="lab/")["Versions"])
        assert user.done("package_create", **given, overwrite=True)["data"]["bytes_copied"] == 0
        # Without the parent's word for it, what stands there is compared.
        again = user.done("package_delete", package="lab/made", all=True)
        again = user.done("package_create", **given)
        assert again["data"]["top_hash"] == planned
        after = len(raw.list_object_versions(Bucket=bucket, Prefix="lab/")["Versions"])
    assert after == before


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "unseen", ["versions may not be listed", "the first page of the listing ends before"]
)
def test_what_a_listing_does_not_show_is_compared_by_itself_and_not_sent_again(
    opened: Callable[[], User],
    stack: Stack,
    bucket: str,
    moto: S3Access,
    monkeypatch: pytest.MonkeyPatch,
    unseen: str,
) -> None:
    """S3 keeps another checksum of small files than the stack wants; their etag tells them."""
    stack.set_config(crc64Checksums=True)
    given: dict[str, Any] = {"package": "lab/made", "sources": [{"from": "files/"}]}
    with Proxy(stack.s3_url) as proxy, ExitStack() as held:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        user = opened()
        user.done("package_create", **given)
        user.done("package_delete", package="lab/made", all=True)
        if unseen.startswith("versions"):
            held.enter_context(proxy.injecting(faults.ACCESS_DENIED, operation="ListObjectVersions"))
        else:
            raw = held.enter_context(moto.boto())
            put = partial(raw.put_object, Bucket=bucket, Key="lab/made/", Body=b"1")
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: put(), range(1001)))
        assert user.done("package_create", **given)["data"]["bytes_copied"] == 0


def test_objects_in_place_are_not_read_where_s3_keeps_a_checksum_that_quilt_knows(
    opened: Callable[[], User], stack: Stack, bucket: str, moto: S3Access
) -> None:
    stack.set_config(crc64Checksums=True)
    user = opened()
    with moto.boto() as raw:
        for algorithm in ("CRC64NVME", "SHA256"):
            raw.put_object(Bucket=bucket, Key=f"raw/{algorithm}", Body=b"12", ChecksumAlgorithm=algorithm)
        raw.put_object(Bucket=bucket, Key="raw/CRC32", Body=b"12", ChecksumAlgorithm="CRC32")
    stack.forget()
    user.done("package_create", package="lab/made", sources=[{"from": f"s3://{bucket}/raw/"}], copy=False)
    rows = user.done("package_browse", package="lab/made", recursive=True, detail=True)["data"]["entries"]
    kinds = {row["path"]: row["hash"]["type"] for row in rows}
    assert kinds == {"CRC64NVME": "CRC64NVME", "SHA256": "sha2-256-chunked", "CRC32": "CRC64NVME"}
    read = {
        one["key"] for one in stack.s3_requests() if one["method"] == "GET" and one["key"].startswith("raw/")
    }
    assert read == {"raw/CRC32"}


def test_what_another_package_recorded_is_kept_as_it_is(
    opened: Callable[[], User], stack: Stack, bucket: str, moto: S3Access
) -> None:
    opened().done("package_create", package="lab/before", sources=[{"from": "files/"}])
    stack.set_config(crc64Checksums=True)
    other = moto.make_bucket()
    stack.add_bucket(other)
    user = opened()
    stack.forget()
    user.done("package_copy", package="lab/before", to="lab/after", to_registry=f"s3://{other}")
    read = [one for one in stack.s3_requests() if one["method"] == "GET" and one["key"].startswith("lab/")]
    assert not read, "S3 has copied and hashed"
    verified = user.done("package_verify", package="lab/after", registry=f"s3://{other}")
    assert verified["data"]["ok"] and verified["data"]["checks"] == {"sha2-256-chunked": 3}


def test_a_bucket_without_versions_names_files_by_quilts_own_hash(
    opened: Callable[[], User], stack: Stack, moto: S3Access
) -> None:
    stack.set_config(crc64Checksums=True)
    loose = moto.make_bucket(versioned=False)
    stack.add_bucket(loose)
    user = opened()
    given: dict[str, Any] = {
        "package": "lab/made",
        "registry": f"s3://{loose}",
        "sources": [{"from": "files/"}],
    }
    planned = user.done("package_create", **given, dry_run=True)["data"]["top_hash"]
    assert user.done("package_create", **given)["data"]["top_hash"] == planned
    verified = user.done("package_verify", package="lab/made", registry=f"s3://{loose}")
    assert verified["data"]["checks"] == {"sha2-256-chunked": 3}


def test_nothing_is_downloaded_where_the_stack_wants_no_downloads_and_all_is_read(
    opened: Callable[[], User], stack: Stack, bucket: str, here: Path
) -> None:
    opened().done("package_create", package="lab/made", sources=[{"from": "files/"}])
    stack.set_config(noDownload=True)
    user = opened()
    for dry_run in (False, True):
        error = user.call("package_install", package="lab/made", dest="copy", dry_run=dry_run)["error"]
        assert (error["code"], error["details"]["setting"]) == ("permission_denied", "noDownload")
        assert "object_read" in error["next_step"]
    assert not (here / "copy").exists()
    assert user.done("object_read", package="lab/made", path="small.csv")["data"]["text"] == "a,b\n1,2\n"
    objects = user.done("object_list", location=f"s3://{bucket}/lab/made/", links=True)["data"]["objects"]
    linked = [one["link"] for one in objects if "link" in one]
    for asked in ({"package": "lab/made", "path": "small.csv"}, {"uri": f"s3://{bucket}/lab/made/small.csv"}):
        linked.append(user.done("object_link", **asked)["data"]["url"])
    assert len(linked) == 4 and all(one.startswith(stack.url) for one in linked)
    assert "X-Amz-" not in json.dumps(linked)
    local = here / "registry"
    local.mkdir()
    user.done("package_create", package="lab/local", registry=str(local), files=[{"path": "x", "text": "1"}])
    user.done("package_install", package="lab/local", registry=str(local), dest="copy")


def test_a_session_of_quilt3_asks_for_the_rules_at_its_first_write_and_once(
    with_session: User, stack: Stack, bucket: str
) -> None:
    stack.set_config(packageRoot="files")
    with_session.done("packages_list")
    with_session.done("object_list", location=f"s3://{bucket}/")
    assert asked_for_config(stack) == 0
    for text in "12":
        with_session.done(
            "package_create", package="lab/made", files=[{"path": "x", "text": text}], overwrite=True
        )
    assert asked_for_config(stack) == 1
    rows = with_session.done("package_browse", package="lab/made", detail=True)["data"]["entries"]
    assert rows[0]["physical_key"].startswith(f"s3://{bucket}/files/lab/made/x")


def test_a_catalog_that_cannot_be_asked_keeps_no_session_from_writing(
    with_session: User, stack: Stack
) -> None:
    stack.fault(Fault("/config.json", status=500))
    for dry_run in (True, False):
        made = with_session.done(
            "package_create", package="lab/made", files=[{"path": "x", "text": "1"}], dry_run=dry_run
        )
        assert any(one.startswith("stack_not_asked:") and "packageRoot" in one for one in made["warnings"])
    done = with_session.done("package_install", package="lab/made", dest="copy")
    assert any(one.startswith("stack_not_asked:") for one in done["warnings"])
    assert asked_for_config(stack) == 1, "no write after another waits for it"
