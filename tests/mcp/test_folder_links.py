"""A folder of a package as links, one for each file, as who has no folder here takes it."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from parts import faults
from parts.proxy import Proxy
from parts.s3_access import S3Access
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

FILES = {f"data/{number:02}.csv": f"{number}\n" for number in range(12)} | {
    "data/é ü/x": "odd",
    "README.md": "#",
}


class User:
    def __init__(self, **settings: Any) -> None:
        self.session = Session(Settings(**{"allow_write": True} | settings))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return asyncio.run(self.session.call(tool, arguments)).structured

    def done(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.call(tool, **arguments)
        assert "error" not in answer, answer
        return answer

    def error(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.call(tool, **arguments)["error"]

    def pages(self, **asked: Any) -> list[dict[str, Any]]:
        found = [self.done("object_link", **asked)]
        while cursor := found[-1]["page"]["next_cursor"]:
            found.append(self.done("object_link", **asked, cursor=cursor))
        return found


@pytest.fixture
def bucket(moto: S3Access) -> str:
    return moto.make_bucket()


@pytest.fixture
def opened(
    moto: S3Access, moto_proxy: Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., User]:
    for name, value in moto.via(moto_proxy.url).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    given = {"backend": "iam", "default_registry": f"s3://{bucket}", "cache_dir": tmp_path / "cache"}
    return lambda **more: User(**given | more)


@pytest.fixture
def user(opened: Callable[..., User]) -> User:
    user = opened()
    files = [{"path": path, "text": text} for path, text in FILES.items()]
    user.done("package_create", package="lab/made", files=files)
    return user


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def below(folder: str) -> dict[str, str]:
    return {path: text for path, text in FILES.items() if path.startswith(folder)}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("asked", "folder"),
    [
        ({"package": "lab/made"}, ""),
        ({"package": "lab/made", "path": "data/"}, "data/"),
        ({"uri": "lab/made/data"}, "data/"),
        ({"uri": "lab/made/data/é ü"}, "data/é ü/"),
    ],
)
def test_each_file_of_a_folder_has_a_link_that_brings_it(
    user: User, asked: dict[str, str], folder: str
) -> None:
    pages = user.pages(**asked, limit=5)
    rows = [row for page in pages for row in page["data"]["links"]]
    assert {row["path"]: fetched(row["url"]) for row in rows} == below(folder)
    assert [row["size"] for row in rows] == [len(FILES[row["path"]]) for row in rows]
    assert {page["page"]["total"] for page in pages} == {len(rows)}
    assert pages[0]["data"]["kind"] == "presigned" and pages[0]["data"]["expires"]
    assert all(not page.get("warnings") for page in pages)


def test_a_file_has_one_link_as_ever(user: User) -> None:
    found = user.done("object_link", package="lab/made", path="README.md")
    assert fetched(found["data"]["url"]) == "#"
    assert set(found) == {"data", "uri"} and set(found["data"]) == {"url", "kind", "expires"}
    assert user.error("object_link", package="lab/made", path="dat")["code"] == "entry_not_found"


def test_no_file_is_asked_for(user: User, moto_proxy: Proxy) -> None:
    user.done("package_browse", package="lab/made")
    with moto_proxy.recording() as opening:
        user.done("package_browse", package="lab/made")
    with moto_proxy.recording() as seen:
        found = user.done("object_link", package="lab/made")
    assert len(found["data"]["links"]) == len(FILES)
    assert seen.counts - opening.counts == {"ListObjectsV2": 1}, "what is archived"


def test_pages_stay_on_the_revision_that_they_began_on(user: User) -> None:
    first = user.done("object_link", package="lab/made", path="data", limit=3)
    user.done("package_patch", package="lab/made", remove=["data/"])
    cursor = first["page"]["next_cursor"]
    rest = user.done("object_link", package="lab/made", path="data", cursor=cursor)
    rows = [*first["data"]["links"], *rest["data"]["links"]]
    assert {row["path"] for row in rows} == set(below("data/"))
    assert rest["uri"] == first["uri"]
    other = user.error("object_link", package="lab/made", path="data", cursor=cursor, download=True)
    assert other["code"] == "invalid_argument"


def test_a_page_is_cut_to_what_is_read_at_once_and_goes_on(opened: Callable[..., User], user: User) -> None:
    pages = opened(max_response_tokens=1_000).pages(package="lab/made")
    assert len(pages) > 1
    assert [row["path"] for page in pages for row in page["data"]["links"]] == [
        row["path"] for row in user.done("object_link", package="lab/made")["data"]["links"]
    ]


def test_archived_files_are_told_as_such(user: User, bucket: str, moto: S3Access, moto_proxy: Proxy) -> None:
    other = moto.make_bucket()
    with moto.boto() as raw:
        for where, name, kind in (
            (other, "a", "GLACIER"),
            (other, "b", "STANDARD"),
            (bucket, "c", "DEEP_ARCHIVE"),
        ):
            raw.put_object(
                Bucket=where, Key=f"raw/{name}", Body=b"1", StorageClass=kind, ChecksumAlgorithm="SHA256"
            )
    sources = [{"from": f"s3://{one}/raw/"} for one in (other, bucket)]
    user.done("package_create", package="lab/cold", sources=sources, copy=False)
    with moto_proxy.recording() as seen:
        found = user.done("object_link", package="lab/cold")
    told = {row["path"]: row.get("storage_class") for row in found["data"]["links"]}
    assert told == {"a": "GLACIER", "b": None, "c": "DEEP_ARCHIVE"}
    (warning,) = found["warnings"]
    assert "2 files of this page" in warning and "object_restore" in warning
    assert seen.counts["ListObjectsV2"] == 2 and seen.counts["HeadObject"] <= 1, "that of the manifest"
    with moto_proxy.injecting(faults.ACCESS_DENIED, operation="ListObjectsV2"):
        unseen = user.done("object_link", package="lab/cold")
    assert len(unseen["data"]["links"]) == 3 and "warnings" not in unseen, "a role that may not list"


def test_files_that_lie_apart_are_looked_for_in_a_second_listing(
    user: User, bucket: str, moto: S3Access, moto_proxy: Proxy
) -> None:
    with moto.boto() as raw:
        put = partial(raw.put_object, Bucket=bucket, ChecksumAlgorithm="SHA256")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: put(Key=f"raw/m/{number:04}", Body=b"1"), range(1000)))
        for name in "az":
            put(Key=f"raw/{name}/x", Body=b"1", StorageClass="GLACIER")
    ends = [{"from": f"s3://{bucket}/raw/{name}/x", "to": name} for name in "az"]
    user.done("package_create", package="lab/apart", sources=ends, copy=False)
    with moto_proxy.recording() as seen:
        found = user.done("object_link", package="lab/apart")
    assert {row.get("storage_class") for row in found["data"]["links"]} == {"GLACIER"}
    assert seen.counts["ListObjectsV2"] == 2


def test_a_file_out_of_reach_has_no_link_and_the_others_have(
    opened: Callable[..., User], user: User, bucket: str, moto: S3Access
) -> None:
    far = moto.make_bucket()
    with moto.boto() as raw:
        for number in range(5):
            raw.put_object(Bucket=far, Key=f"raw/{number}", Body=b"1", ChecksumAlgorithm="SHA256")
    sources = [{"from": f"s3://{far}/raw/", "to": "far"}]
    user.done(
        "package_create",
        package="lab/far",
        sources=sources,
        files=[{"path": "near", "text": "1"}],
        copy=False,
    )
    found = opened(allowed_buckets=(bucket,)).done("object_link", package="lab/far")
    linked = {row["path"] for row in found["data"]["links"] if "url" in row}
    assert linked == {"near"} and len(found["data"]["links"]) == 6
    assert [one.partition(":")[0] for one in found["warnings"]] == ["no_link"] * 4
    assert "2 more files" in found["warnings"][-1]


def test_a_folder_here_has_links_to_its_files(tmp_path: Path) -> None:
    user = User(default_registry=str(tmp_path / "registry"), roots=(tmp_path,), cache_dir=tmp_path / "cache")
    user.done("package_create", package="lab/made", files=[{"path": "a/x", "text": "1"}])
    found = user.done("object_link", uri="lab/made/a/")
    assert found["data"]["kind"] == "file" and fetched(found["data"]["links"][0]["url"]) == "1"
    refused = user.error("object_link", uri=(tmp_path / "new").as_uri(), upload=True, size=1)
    assert refused["code"] == "not_supported" and "source" in refused["next_step"]


# -- uploads, as the tool tells of them --


def test_an_upload_tells_how_to_send_and_what_comes_then(user: User, bucket: str) -> None:
    uri = f"s3://{bucket}/in/new.csv"
    found = user.done("object_link", uri=uri, upload=True, size=4, expires_in=60)
    data = found["data"]
    assert (data["kind"], data["method"], found["uri"]) == ("upload", "PUT", uri)
    assert data["headers"] == {"Content-Length": "4", "If-None-Match": "*"}
    assert "curl -f -T FILE -H 'If-None-Match: *' 'URL'" in data["next_step"]
    assert uri in data["next_step"] and "package_create" in data["next_step"]
    with httpx2.Client(trust_env=False) as client:
        assert client.put(data["url"], content=b"a,b\n", headers=data["headers"]).status_code == 200
    user.done("package_create", package="lab/sent", sources=[{"from": uri}])
    assert user.done("object_read", uri="lab/sent/new.csv")["data"]["text"] == "a,b\n"


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "asked",
    [{"upload": True}, {"size": 3}, {"upload": True, "size": 3, "path": "x"}, {"upload": False, "size": 3}],
)
def test_what_is_no_whole_upload_is_refused(user: User, bucket: str, asked: dict[str, Any]) -> None:
    error = user.error("object_link", uri=f"s3://{bucket}/in/x", **asked)
    assert error["code"] == "invalid_argument" and "upload=true" in error["next_step"]


def test_an_upload_into_a_package_is_told_the_tool_for_that(user: User) -> None:
    error = user.error("object_link", uri="lab/made/new.csv", upload=True, size=1)
    assert error["code"] == "invalid_argument" and "package_patch" in error["next_step"]


def test_no_upload_is_signed_where_writes_are_off(opened: Callable[..., User], bucket: str) -> None:
    reader = opened(allow_write=False)
    error = reader.error("object_link", uri=f"s3://{bucket}/in/x", upload=True, size=1)
    assert error["code"] == "read_only" and "--allow-write" in error["next_step"]
    assert error["message"].startswith("object_link with upload writes"), "before anything is looked at"


def test_no_upload_is_signed_into_a_bucket_that_is_not_allowed(
    opened: Callable[..., User], bucket: str, moto: S3Access
) -> None:
    narrow = opened(allowed_buckets=(bucket,))
    error = narrow.error("object_link", uri=f"s3://{moto.make_bucket()}/x", upload=True, size=1)
    assert error["code"] == "permission_denied"


def test_nobody_without_credentials_signs_an_upload(
    opened: Callable[..., User], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = opened(anonymous=True)
    error = user.error("object_link", uri=f"s3://{bucket}/in/x", upload=True, size=1)
    assert error["code"] == "not_supported" and "credentials" in error["message"]
