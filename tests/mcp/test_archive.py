"""Objects in an archive storage class (Glacier), met by every tool and restored, over moto and over the stack of the tests."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from parts import faults
from parts.faults import Answer
from parts.proxy import Proxy
from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from quilt_mcp.config import Settings
from quilt_mcp.domain.listing import Archive
from quilt_mcp.errors import ReadOnly
from quilt_mcp.session import Session
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.wrappers import ReadOnlyStore

FILES = (
    ("a.csv", b"x,y\n1,2\n", "GLACIER"),
    ("b.bin", b"x,y\n3,4\n", "DEEP_ARCHIVE"),
    ("warm.csv", b"x,y\n5,6\n", "STANDARD"),
)
UNDER_WAY = Answer(409, "RestoreAlreadyInProgress", "Object restore is already in progress")
NO_ROOM = Answer(
    503, "GlacierExpeditedRetrievalNotAvailable", "Glacier expedited retrievals are not available"
)


@pytest.fixture
def bucket(moto: S3Access) -> str:
    """With two archived objects and a warm one, of all of which S3 keeps the checksum."""
    bucket = moto.make_bucket()
    with moto.boto() as raw:
        for name, body, storage_class in FILES:
            kept = {"StorageClass": storage_class, "ChecksumAlgorithm": "SHA256"}
            raw.put_object(Bucket=bucket, Key=f"raw/{name}", Body=body, **kept)
    return bucket


@pytest.fixture
def slowly(moto: S3Access) -> Callable[[], AbstractContextManager[None]]:
    """While a restore takes an hour. It is done at once, and what is under way ends, otherwise."""

    def set_transition(**transition: Any) -> None:
        body = json.dumps({"model_name": "s3::keyrestore", "transition": transition}).encode()
        url = f"{moto.url}/moto-api/state-manager/set-transition"
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST")).close()

    @contextmanager
    def slow() -> Iterator[None]:
        set_transition(progression="time", seconds=3600)
        try:
            yield
        finally:
            set_transition(progression="immediate")

    return slow


class User:
    """Calls tools as a server that was started with these variables does."""

    def __init__(self, url: str, here: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("XDG_DATA_HOME", str(here / "nobody"))
        given = {"allow_write": True, "roots": (here,), "cache_dir": here / "cache"} | settings
        self.session, self.here = Session(Settings(**given)), here

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return asyncio.run(self.session.call(tool, arguments)).structured

    def error(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.call(tool, **arguments)
        assert "error" in answer, answer
        return answer["error"]


@pytest.fixture
def opened(
    moto_proxy: Proxy, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., User]:
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)

    def open_(**settings: Any) -> User:
        given = {"backend": "iam", "default_registry": f"s3://{bucket}"} | settings
        return User(moto_proxy.url, tmp_path, monkeypatch, **given)

    return open_


@pytest.fixture
def user(opened: Callable[..., User]) -> User:
    return opened()


def package_in_place(user: User, bucket: str) -> None:
    """Of the objects where they lie; nobody has to read them, as S3 keeps their checksums."""
    source = {"from": f"s3://{bucket}/raw/", "to": "raw"}
    made = user.call("package_create", package="lab/cold", sources=[source], copy=False)
    assert "error" not in made, made


def called(next_step: str) -> str:
    """The uri of the call that an error names."""
    found = re.search(r"object_restore with uri='([^']+)'", next_step)
    assert found is not None, next_step
    return found[1]


def test_who_reads_an_archived_object_is_told_the_call_that_restores_it_and_then_reads_it(
    user: User, bucket: str
) -> None:
    package_in_place(user, bucket)
    for asked in ({"uri": f"s3://{bucket}/raw/a.csv"}, {"package": "lab/cold", "path": "raw/a.csv"}):
        for more in ({}, {"mode": "bytes"}, {"rows": "0:1"}, {"find": "x"}):
            error = user.error("object_read", **asked, **more)
            assert error["code"] == "object_archived", (asked, more)
            assert (error["recovery"], error["retryable"]) == ("restore", False)
            assert (error["details"]["storage_class"], error["details"]["state"]) == ("GLACIER", "archived")
    done = user.call("object_restore", uri=called(error["next_step"]), days=2)
    assert (done["data"]["done"], done["data"]["state"]) == (True, "asked")
    assert done["data"]["takes"] == "3 to 5 hours"
    assert user.call("object_read", package="lab/cold", path="raw/a.csv")["data"]["text"] == "x,y\n1,2\n"


def test_a_restore_under_way_is_told_and_not_asked_for_again(
    user: User, bucket: str, moto_proxy: Proxy, slowly: Callable[[], AbstractContextManager[None]]
) -> None:
    asked = {"uri": f"s3://{bucket}/raw/b.bin"}
    with slowly(), moto_proxy.recording() as seen:
        assert user.call("object_restore", **asked, tier="bulk")["data"]["takes"] == "within 48 hours"
        again = user.call("object_restore", **asked)
        assert (again["data"]["done"], again["data"]["state"]) == (False, "restoring")
        assert seen.counts["RestoreObject"] == 1
        error = user.error("object_read", **asked)
        assert error["code"] == "object_archived" and "under way" in error["message"]
        assert "object_restore" not in error["next_step"]
        info = user.call("object_read", **asked, mode="info")
        assert info["data"]["archive"] == {"storage_class": "DEEP_ARCHIVE", "state": "restoring"}
    assert user.call("object_read", **asked)["data"]["size"] == 8


def test_a_restored_object_is_told_until_when_and_is_kept_longer_where_that_is_asked(
    user: User, bucket: str, moto_proxy: Proxy
) -> None:
    asked = {"uri": f"s3://{bucket}/raw/a.csv"}
    assert user.call("object_restore", **asked, days=7)["data"]["state"] == "asked"
    with moto_proxy.recording() as seen:
        shorter = user.call("object_restore", **asked, days=3)["data"]
        assert (shorter["done"], shorter["state"]) == (False, "restored")
        assert seen.counts == {"HeadObject": 1}
    longer = user.call("object_restore", **asked, days=30)["data"]
    assert (longer["done"], longer["state"]) == (True, "restored")
    assert longer["until"] > shorter["until"]
    info = user.call("object_read", **asked, mode="info")
    assert info["data"]["archive"]["state"] == "restored"
    assert info["data"]["archive"]["until"][:16] == longer["until"][:16]
    assert info["data"]["inside"]["rows"] == 1


def test_info_costs_an_object_that_is_not_archived_no_request_more(
    user: User, bucket: str, moto_proxy: Proxy, moto: S3Access
) -> None:
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key="raw/plain.dat", Body=b"1")
    with moto_proxy.recording() as seen:
        info = user.call("object_read", uri=f"s3://{bucket}/raw/plain.dat", mode="info")
    assert "archive" not in info["data"] and not info.get("warnings")
    assert seen.counts == {"HeadObject": 1}
    assert user.call("object_restore", uri=f"s3://{bucket}/raw/plain.dat")["data"] == {
        "done": False,
        "state": "plain",
    }


def test_info_of_an_entry_tells_how_its_object_is_archived(user: User, bucket: str) -> None:
    package_in_place(user, bucket)
    cold = user.call("object_read", package="lab/cold", path="raw/b.bin", mode="info")
    assert cold["data"]["archive"] == {"storage_class": "DEEP_ARCHIVE", "state": "archived"}
    assert "object_restore" in cold["warnings"][0]
    assert (
        "archive"
        not in user.call("object_read", package="lab/cold", path="raw/warm.csv", mode="info")["data"]
    )
    assert "archive" not in user.call("object_read", package="lab/cold", path="raw/", mode="info")["data"]


def test_an_entry_is_described_where_nobody_may_ask_about_its_object(
    user: User, bucket: str, moto_proxy: Proxy
) -> None:
    package_in_place(user, bucket)
    with moto_proxy.injecting(faults.ACCESS_DENIED, operation="*Object", key="raw/*"):
        info = user.call("object_read", package="lab/cold", path="raw/b.bin", mode="info")
    assert info["data"]["size"] == 8 and "archive" not in info["data"]


def test_an_installation_names_all_that_is_archived_and_leaves_whole_files_alone(
    user: User, bucket: str, tmp_path: Path
) -> None:
    package_in_place(user, bucket)
    dest = tmp_path / "installed"
    error = user.error("package_install", package="lab/cold", dest=str(dest))
    assert error["code"] == "object_archived"
    assert {uri.partition("?")[0] for uri in error["details"]["uris"]} == {
        f"s3://{bucket}/raw/a.csv",
        f"s3://{bucket}/raw/b.bin",
    }
    assert "details.uris" in error["next_step"]
    left = [path.relative_to(dest).as_posix() for path in dest.rglob("*") if path.is_file()]
    assert set(left) <= {"raw/warm.csv"}
    for uri in error["details"]["uris"]:
        assert user.call("object_restore", uri=uri)["data"]["done"]
    assert user.call("package_install", package="lab/cold", dest=str(dest))["data"]["installed"] >= 2


def test_a_verification_calls_archived_files_no_damage(user: User, bucket: str) -> None:
    package_in_place(user, bucket)
    found = user.call("package_verify", package="lab/cold")
    problems = {one["path"]: (one["problem"], one["found"]) for one in found["data"]["problems"]}
    assert problems == {
        "raw/a.csv": ("archived", "GLACIER, archived"),
        "raw/b.bin": ("archived", "DEEP_ARCHIVE, archived"),
    }
    assert not found["data"]["ok"]
    assert any(one.startswith("archived: 2 files") and "object_restore" in one for one in found["warnings"])


def test_a_listing_and_a_plan_tell_what_is_archived(user: User, bucket: str, moto_proxy: Proxy) -> None:
    rows = user.call("object_list", location=f"s3://{bucket}/raw/")["data"]["objects"]
    classes = {row["path"]: row.get("storage_class") for row in rows}
    assert classes == {"a.csv": "GLACIER", "b.bin": "DEEP_ARCHIVE", "warm.csv": None}
    with moto_proxy.recording() as seen:
        plan = user.call(
            "package_create", package="lab/x", sources=[{"from": f"s3://{bucket}/raw/"}], dry_run=True
        )
    [told] = [one for one in plan["warnings"] if one.startswith("archived:")]
    assert "2 objects" in told and "raw/a.csv, raw/b.bin" in told and "object_restore" in told
    assert not seen.counts["HeadObject"], "the listing that is made anyway tells it"


def test_no_link_is_made_that_opens_nothing(user: User, bucket: str) -> None:
    asked = {"uri": f"s3://{bucket}/raw/a.csv"}
    assert user.error("object_link", **asked)["code"] == "object_archived"
    assert user.call("object_restore", **asked)["data"]["done"]
    assert user.call("object_link", **asked)["data"]["kind"] == "presigned"


def test_the_hash_of_an_archived_object_is_not_made_up(user: User, bucket: str) -> None:
    assert user.error("object_read", uri=f"s3://{bucket}/raw/a.csv", hash=True)["code"] == "object_archived"


@pytest.mark.parametrize("versioned", [True, False])
def test_a_package_is_not_made_of_archived_objects_and_all_are_named(
    user: User, bucket: str, moto: S3Access, versioned: bool
) -> None:
    other = moto.make_bucket(versioned=versioned)
    with moto.boto() as raw:
        source = {"from": f"s3://{bucket}/raw/"}
        error = user.error("package_create", package="lab/copied", registry=f"s3://{other}", sources=[source])
        kept = [one["Key"] for one in raw.list_objects_v2(Bucket=other).get("Contents", ())]
        kept = [key for key in kept if not key.startswith(".quilt/objects/")]
        uploads = raw.list_multipart_uploads(Bucket=other).get("Uploads", [])
    assert error["code"] == "object_archived"
    assert {uri.partition("?")[0].rpartition("/")[2] for uri in error["details"]["uris"]} == {
        "a.csv",
        "b.bin",
    }
    assert not uploads and not [key for key in kept if key.startswith(".quilt/")], "no revision, no manifest"


def test_a_large_archived_object_leaves_no_upload_open(
    user: User, bucket: str, moto: S3Access, moto_proxy: Proxy
) -> None:
    """moto copies parts of what it archived; S3 does not."""
    other = moto.make_bucket()
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key="large", Body=bytes(9 << 20), StorageClass="GLACIER")
        with moto_proxy.injecting(faults.GLACIER, operation="UploadPartCopy", bucket=other):
            error = user.error(
                "package_create",
                package="lab/large",
                registry=f"s3://{other}",
                sources=[{"from": f"s3://{bucket}/large"}],
            )
        assert not raw.list_multipart_uploads(Bucket=other).get("Uploads")
        assert not raw.list_objects_v2(Bucket=other).get("Contents")
    assert error["code"] == "object_archived" and error["details"]["uri"].startswith(f"s3://{bucket}/large")


def test_nothing_comes_out_of_the_deepest_archive_at_once(user: User, bucket: str, moto_proxy: Proxy) -> None:
    with moto_proxy.recording() as seen:
        error = user.error("object_restore", uri=f"s3://{bucket}/raw/b.bin", tier="expedited")
    assert error["code"] == "invalid_argument" and "standard or bulk" in error["next_step"]
    assert not seen.counts["RestoreObject"]


def test_a_dry_run_tells_what_would_be_asked_and_asks_nothing(
    opened: Callable[..., User], bucket: str, moto_proxy: Proxy
) -> None:
    reader = opened(allow_write=False)
    with moto_proxy.recording() as seen:
        plan = opened().call("object_restore", uri=f"s3://{bucket}/raw/a.csv", dry_run=True, tier="bulk")
        assert reader.error("object_restore", uri=f"s3://{bucket}/raw/a.csv")["code"] == "read_only"
    assert plan["data"] == {
        "done": False, "state": "archived", "storage_class": "GLACIER", "takes": "5 to 12 hours"
    }  # fmt: skip
    assert not seen.counts["RestoreObject"]


def test_what_another_has_asked_in_between_is_under_way(user: User, bucket: str, moto_proxy: Proxy) -> None:
    with moto_proxy.injecting(UNDER_WAY, operation="RestoreObject"):
        done = user.call("object_restore", uri=f"s3://{bucket}/raw/a.csv")["data"]
    assert (done["done"], done["state"]) == (False, "restoring")


def test_no_room_for_an_expedited_restore_names_another_tier(
    user: User, bucket: str, moto_proxy: Proxy
) -> None:
    with moto_proxy.injecting(NO_ROOM, operation="RestoreObject"):
        error = user.error("object_restore", uri=f"s3://{bucket}/raw/a.csv", tier="expedited")
    assert error["code"] == "storage_unavailable" and "tier='standard'" in error["next_step"]


def test_a_local_file_is_not_archived(user: User, tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("1")
    assert user.error("object_restore", uri=str(tmp_path / "here.txt"))["code"] == "not_supported"


def test_days_and_tiers_are_checked_before_anything_is_asked(
    user: User, bucket: str, moto_proxy: Proxy
) -> None:
    with moto_proxy.recording() as seen:
        for wrong in ({"days": 0}, {"days": 91}):
            error = user.error("object_restore", uri=f"s3://{bucket}/raw/a.csv", **wrong)
            assert error["code"] == "invalid_argument" and "1 to 90" in error["message"]
    assert not seen.total


@pytest.mark.anyio
async def test_a_store_that_only_reads_restores_nothing(moto: S3Access, bucket: str) -> None:
    keys = AwsKeys(moto.access_key, moto.secret_key)
    store = ReadOnlyStore(S3Store(bucket, S3Clients(lambda: keys, endpoint_url=moto.url)))
    assert store.archive is not None
    _, archive = await store.archive.stat("raw/a.csv")
    assert archive is not None
    with pytest.raises(ReadOnly):
        await store.archive.restore("raw/a.csv", version=None, archive=archive, tier="bulk", days=1)


@pytest.mark.anyio
async def test_an_object_that_moves_by_itself_is_asked_for_without_days(moto: S3Access, bucket: str) -> None:
    """S3 refuses them then. moto restores what it is told days of, and has no such class."""
    keys = AwsKeys(moto.access_key, moto.secret_key)
    archives = S3Store(bucket, S3Clients(lambda: keys, endpoint_url=moto.url)).archives
    moving = Archive("INTELLIGENT_TIERING", "ARCHIVE_ACCESS")
    for archive, state in ((moving, "archived"), (Archive("GLACIER"), "restored")):
        assert await archives.restore("raw/a.csv", version=None, archive=archive, tier="bulk", days=1)
        _, found = await archives.stat("raw/a.csv")
        assert found is not None and found.state == state


def test_a_package_of_this_machine_has_no_archive(user: User, tmp_path: Path) -> None:
    local = tmp_path / "registry"
    local.mkdir()
    given = {"package": "lab/local", "registry": str(local)}
    assert "error" not in user.call("package_create", **given, files=[{"path": "x", "text": "1"}])
    info = user.call("object_read", **given, path="x", mode="info")
    assert info["data"]["size"] == 1 and "archive" not in info["data"]


# -- on a stack --


@pytest.fixture
def ada(stack: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    stack.add_bucket(bucket)
    stack.add_user("ada", roles=("writer", "reader"))
    return User(
        stack.s3_url,
        tmp_path,
        monkeypatch,
        catalog_url=stack.url,
        api_key=stack.api_key("ada"),
        backend="platform",
    )


def of_restores(stack: Stack) -> list[str]:
    return [one["operation"] for one in stack.requests() if one["operation"] == "RestoreObject"]


def restored_by_keys(stack: Stack) -> list[str]:
    return [one["key"] for one in stack.s3_requests() if one["method"] == "POST"]


def test_a_stack_is_asked_to_restore(
    ada: User, stack: Stack, bucket: str, slowly: Callable[[], AbstractContextManager[None]]
) -> None:
    with slowly():
        done = ada.call("object_restore", uri=f"s3://{bucket}/raw/a.csv")
        assert (done["data"]["state"], done.get("warnings")) == ("asked", None)
        assert of_restores(stack) and not restored_by_keys(stack)
        assert ada.call("object_restore", uri=f"s3://{bucket}/raw/a.csv")["data"]["state"] == "restoring"
    assert ada.call("object_read", uri=f"s3://{bucket}/raw/a.csv")["data"]["text"]
    longer = ada.call("object_restore", uri=f"s3://{bucket}/raw/a.csv", days=60)["data"]
    assert (longer["done"], longer["state"]) == (True, "restored")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("profile", ["2025-autumn", "1.69"])
def test_a_stack_of_an_older_release_is_passed_by_and_that_is_told(
    ada: User, stack: Stack, bucket: str, profile: str
) -> None:
    stack.set_profile(profile)
    done = ada.call("object_restore", uri=f"s3://{bucket}/raw/a.csv")
    assert done["data"]["state"] == "asked"
    assert done["warnings"][0].startswith("by_own_keys:")
    assert restored_by_keys(stack) == ["raw/a.csv"]


@pytest.mark.parametrize(
    ("code", "state", "error"),
    [("RestoreAlreadyInProgress", "restoring", None), ("InvalidObjectState", None, "stack_refused")],
)
def test_what_s3_answers_the_stack_is_told_as_by_s3_itself(
    ada: User, stack: Stack, bucket: str, code: str, state: str | None, error: str | None
) -> None:
    context = {"status_code": 409, "error_code": code, "error_message": "as S3 says"}
    said = {"__typename": "OperationError", "name": "AWSError", "message": "as S3 says", "context": context}
    stack.fault(Fault("/graphql", field="Mutation.restoreObject", value=said))
    answer = ada.call("object_restore", uri=f"s3://{bucket}/raw/a.csv")
    assert answer.get("data", {}).get("state") == state
    assert answer.get("error", {}).get("code") == error


def test_a_page_of_the_catalog_is_where_an_archived_object_can_be_looked_at(ada: User, bucket: str) -> None:
    assert ada.call("object_link", uri=f"s3://{bucket}/raw/a.csv")["data"]["kind"] == "catalog"


def test_what_a_stack_refuses_is_not_asked_of_s3(ada: User, stack: Stack, bucket: str) -> None:
    stack.set_role("ada", "reader")
    error = ada.error("object_restore", uri=f"s3://{bucket}/raw/a.csv")
    assert error["code"] == "permission_denied"
    assert not restored_by_keys(stack)
