"""The tools for a user whom a Quilt stack gives no AWS credentials: GraphQL and browsing sessions serve them. What is read was
written by quilt3, and what is written is read by quilt3."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parts.quilt3_process import Quilt3Server
from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from parts.stack.faults import bad_gateway, no_credentials, no_listing
from quilt_mcp.backends.through import entry_store, told_store
from quilt_mcp.backends.through import ops as through_ops
from quilt_mcp.catalog import failures
from quilt_mcp.catalog import keys as keys_module
from quilt_mcp.catalog import packages as packages_module
from quilt_mcp.config import Settings
from quilt_mcp.server.watching.log import safe
from quilt_mcp.session import Session

PUSH = """
import os, time, quilt3
package = quilt3.Package()
for path, (text, meta) in arguments["files"].items():
    os.makedirs(os.path.dirname("files/" + path), exist_ok=True)
    with open("files/" + path, "w") as file:
        file.write(text)
    package.set(path, "files/" + path, meta=meta)
package.set_meta(arguments["meta"])
to = {"registry": arguments["registry"], "message": arguments["message"]}
pushed = package.push(arguments["name"], force=True, **to)
result = pushed.top_hash
if arguments["folders"]:  # which a push forgets
    time.sleep(1.1)
    for folder, meta in arguments["folders"].items():
        pushed[folder].set_meta(meta)
    result = pushed.build(arguments["name"], **to)
"""
BROWSE = """
import quilt3
package = quilt3.Package.browse(arguments["name"], registry=arguments["registry"], top_hash=arguments.get("top_hash"))
result = {
    "hash": package.top_hash,
    "meta": package.meta,
    "message": package._meta.get("message"),
    "files": {path: [entry.meta, entry.get_bytes().decode(), str(entry.physical_key)] for path, entry in package.walk()},
}
"""
LOG = """
import quilt3
found = sorted(quilt3.list_package_versions(arguments["name"], arguments["registry"]))
result = [top_hash for tag, top_hash in found if tag != "latest"]
"""
FILES = {
    "README.md": ["# Plants\n", {}],
    "data/reads.csv": ["plate,count\nA,1\nB,2\n", {"unit": "cells", "ratio": 1.0}],
    "data/deep/notes.txt": ["measured in spring\n", {}],
}
"""Each with its metadata."""
STRICT = """version:
  base: "1"
is_workflow_required: false
workflows:
  strict:
    name: Strict
    is_message_required: true
"""


class Lab:
    """One bucket of the stack, quilt3 with AWS keys of its own, and a user without any who calls tools."""

    def __init__(
        self,
        stack: Stack,
        moto: S3Access,
        quilt3: Quilt3Server,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        **more: Any,
    ) -> None:
        self.stack, self.moto, self.folder = stack, moto, tmp_path
        self.bucket = moto.make_bucket()
        self.registry = f"s3://{self.bucket}"
        self.quilt3 = quilt3
        self._pushed: dict[str, int] = {}
        stack.add_bucket(self.bucket)
        stack.add_user("ada", roles=("writer", "reader"))
        stack.fault(no_credentials())
        for name, value in replace(moto, url=stack.s3_url).environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
        self.settings = Settings(
            catalog_url=stack.url,
            api_key=stack.api_key("ada"),
            allow_write=True,
            cache_dir=tmp_path / "cache",
            roots=(tmp_path,),
            **({"default_registry": self.registry} | more),
        )
        self.session = Session(self.settings)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return asyncio.run(self.session.call(tool, arguments)).structured

    def push(self, name: str, message: str = "", **more: Any) -> str:
        given = {"files": FILES, "folders": {}, "meta": {"lot": "B33", "ratio": 2.0}} | more
        # A second line of the same second takes the first one's place, and that is the second in which a push ends.
        while int(time.time()) <= self._pushed.get(name, 0):
            time.sleep(0.05)
        top_hash = self.quilt3.run(PUSH, name=name, registry=self.registry, message=message, **given)
        self._pushed[name] = int(time.time())
        return top_hash

    def browsed(self, name: str, **more: Any) -> dict[str, Any]:
        return self.quilt3.run(BROWSE, name=name, registry=self.registry, **more)

    def log(self, name: str) -> list[str]:
        return self.quilt3.run(LOG, name=name, registry=self.registry)

    def put(self, key: str, content: bytes, **more: Any) -> None:
        with self.moto.boto() as s3:
            s3.put_object(Bucket=self.bucket, Key=key, Body=content, **more)

    def configure(self, workflows: str) -> None:
        self.put(".quilt/workflows/config.yml", workflows.encode())

    def asked(self) -> list[str]:
        """The operations and paths that the stack was asked for, without the sign-in."""
        told = [one["operation"] or one["path"].split("/")[1] for one in self.stack.requests()]
        return [one for one in told if one not in ("config.json", "api", "Me", "Buckets")]


@pytest.fixture(scope="module")
def quilt3(moto: S3Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quilt3Server]:
    made = Quilt3Server(tmp_path_factory.mktemp("quilt3"), moto)
    yield made
    made.close()


@pytest.fixture
def lab(
    stack: Stack, moto: S3Access, quilt3: Quilt3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Lab:
    return Lab(stack, moto, quilt3, tmp_path, monkeypatch)


# -- which way --


def test_status_tells_the_way_and_why_and_what_it_lacks(lab: Lab) -> None:
    told = lab.call("status", detail=True)["data"]
    assert (told["backend"], told["role"], told["registry"]) == ("platform", "writer", lab.registry)
    assert told["abilities"]["way"] == "stack"
    assert told["abilities"]["why_this_way"] == "the stack gives this user no AWS credentials"
    assert told["abilities"]["missing"]


def test_nothing_is_signed_with_the_keys_that_stand_in_the_environment(lab: Lab) -> None:
    lab.push("lab/plants")
    for tool, arguments in [
        ("packages_list", {}),
        ("package_browse", {"package": "lab/plants"}),
        ("object_read", {"package": "lab/plants", "path": "README.md"}),
        ("object_list", {"location": f"{lab.registry}/"}),
        ("object_read", {"path": f"{lab.registry}/lab/plants/README.md"}),
        ("object_put", {"uri": f"{lab.registry}/x", "text": "x"}),
        ("package_create", {"package": "lab/new", "files": [{"path": "a", "text": "x"}]}),
        ("workflow_list", {}),
    ]:
        lab.call(tool, **arguments)
    assert lab.stack.s3_requests() == []


def test_a_user_who_has_credentials_goes_through_the_stack_where_that_is_asked_for(
    stack: Stack, moto: S3Access, quilt3: Quilt3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(stack, moto, quilt3, tmp_path, monkeypatch, through_stack=True)
    stack.clear_faults()
    top_hash = lab.push("lab/plants")
    assert lab.call("package_browse", package="lab/plants")["data"]["top_hash"] == top_hash
    assert (
        lab.call("status", detail=True)["data"]["abilities"]["why_this_way"] == "QUILT_THROUGH_STACK is set"
    )
    assert lab.stack.s3_requests() == []


def test_after_a_switch_of_the_role_the_way_is_found_anew(lab: Lab) -> None:
    assert lab.call("status", detail=True)["data"]["abilities"]["way"] == "stack"
    lab.stack.clear_faults()
    lab.call("role_switch", role="reader")
    assert lab.call("status", detail=True)["data"]["abilities"]["way"] == "direct"


def test_credentials_that_are_given_later_are_found_within_a_minute(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.push("lab/plants")
    lab.call("package_browse", package="lab/plants")
    lab.stack.clear_faults()
    monkeypatch.setattr(through_ops, "ROLE_SECONDS", 0.0)
    monkeypatch.setattr(failures, "_SECONDS", 0.0)
    assert lab.call("status", detail=True)["data"]["abilities"]["way"] == "direct"


def test_a_role_that_lost_its_credentials_goes_through_the_stack_at_the_next_call(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.push("lab/plants")
    lab.stack.clear_faults()
    monkeypatch.setattr(keys_module, "ROLE_SECONDS", 0.0)
    assert lab.call("status", detail=True)["data"]["abilities"]["way"] == "direct"
    lab.stack.fault(no_credentials())
    lab.stack.set_role("ada", "reader")
    asyncio.run(asyncio.sleep(0.2))  # after which obstore asks for keys again
    first = lab.call("package_browse", package="lab/plants")
    assert first.get("error", {}).get("code") in (None, "permission_denied")
    assert lab.call("package_browse", package="lab/plants")["data"]["verified"]


def test_plain_aws_credentials_are_not_taken_for_a_stack(
    moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    session = Session(
        Settings(default_registry="s3://x-bucket", through_stack=True, cache_dir=tmp_path / "cache")
    )
    error = asyncio.run(session.call("packages_list", {})).structured["error"]
    assert error["code"] == "misconfigured" and "--through-stack" in error["next_step"]


# -- reading --


def test_a_folder_is_read_as_quilt3_wrote_it_and_verified(lab: Lab) -> None:
    top_hash = lab.push("lab/plants", "spring", folders={"data": {"site": "north"}})
    root = lab.call("package_browse", package="lab/plants")["data"]
    assert (root["top_hash"], root["verified"], root["message"]) == (top_hash, True, "spring")
    assert root["metadata"] == {"lot": "B33", "ratio": 2.0}
    assert root["readme"] == "# Plants\n"
    assert [one.get("metadata") for one in root["entries"] if one["path"] == "data/"] == [{"site": "north"}]
    whole = lab.call("package_browse", package="lab/plants", recursive=True, detail=True)["data"]["entries"]
    judge = lab.browsed("lab/plants")["files"]
    assert {one["path"]: [one.get("metadata", {}), one["physical_key"]] for one in whole} == {
        path: [meta, place] for path, (meta, _, place) in judge.items()
    }


def test_browsing_asks_once_for_a_revision_and_then_only_which_is_latest(lab: Lab) -> None:
    lab.push("lab/plants")
    lab.call("package_browse", package="lab/plants", path="data/")
    lab.stack.forget()
    lab.call("package_browse", package="lab/plants", path="data/")
    assert lab.asked() == ["Revision"]


def test_files_are_read_through_the_stack_and_verified(lab: Lab) -> None:
    lab.push("lab/plants")
    read = lab.call("object_read", package="lab/plants", path="data/reads.csv")["data"]
    assert (read["text"], read["verified"], read["metadata"]) == (
        *FILES["data/reads.csv"][:1],
        True,
        FILES["data/reads.csv"][1],
    )
    rows = lab.call(
        "object_read", package="lab/plants", path="data/reads.csv", mode="rows", where="count > 1"
    )["data"]
    assert rows["rows"] == [["B", 2]]
    part = lab.call("object_read", package="lab/plants", path="README.md", offset=2, length=3)["data"]
    assert part["text"] == "Pla"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("redirects", [False, True], ids=["the proxy follows", "the client follows"])
def test_a_package_is_verified_and_installed_through_the_stack(
    lab: Lab, redirects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.stack.set_browse_redirects(redirects)
    monkeypatch.setattr(entry_store, "PIECE", 1000)
    big = "0123456789abcdef" * 160
    lab.push("lab/plants", files=FILES | {"big.txt": [big, {}], "empty.txt": ["", {}]})
    report = lab.call("package_verify", package="lab/plants")["data"]
    assert report["ok"] and report["checked"]["entries"] == 5
    lab.call("package_install", package="lab/plants", dest=str(lab.folder / "there"))
    assert (lab.folder / "there/data/reads.csv").read_text() == FILES["data/reads.csv"][0]
    assert (lab.folder / "there/big.txt").read_text() == big
    assert (lab.folder / "there/empty.txt").read_text() == ""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("redirects", [False, True], ids=["the proxy follows", "the client follows"])
def test_a_file_that_names_an_encoding_is_read_as_it_lies(lab: Lab, redirects: bool) -> None:
    lab.stack.set_browse_redirects(redirects)
    lab.push("lab/plants")
    packed = gzip.compress(b"plate,count\nA,1\n")
    lab.put("packed.csv.gz", packed, ContentEncoding="gzip")
    lab.call("package_patch", package="lab/plants", add=[f"{lab.registry}/packed.csv.gz"])
    assert lab.call("package_verify", package="lab/plants")["data"]["ok"]
    lab.call("package_install", package="lab/plants", path="packed.csv.gz", dest=str(lab.folder / "there"))
    assert (lab.folder / "there/packed.csv.gz").read_bytes() == packed


def test_a_page_of_the_catalog_is_linked_without_reading_a_byte(lab: Lab) -> None:
    lab.push("lab/plants")
    lab.stack.change_bucket(lab.bucket, browsable=False)
    link = lab.call("object_link", package="lab/plants", path="README.md")["data"]
    assert link["url"].startswith(f"{lab.stack.url}/b/{lab.bucket}/packages/lab/plants/tree/")


def test_names_with_odd_characters_are_read(lab: Lab) -> None:
    odd = "data/a b+c%41 #1?ü.txt"
    lab.push("lab/plants", files={odd: ["odd\n", {}]})
    assert lab.call("object_read", package="lab/plants", path=odd)["data"]["text"] == "odd\n"


def test_the_log_the_tags_and_short_hashes_are_told(lab: Lab) -> None:
    hashes = [lab.push("lab/plants", message, meta={"n": n}) for n, message in enumerate(["one", "two"])]
    rows = lab.call("package_log", package="lab/plants")
    assert [(one["top_hash"], one["message"]) for one in rows["data"]["revisions"]] == [
        (hashes[1][:10], "two"),
        (hashes[0][:10], "one"),
    ]
    assert rows["page"]["total"] == 2
    old = lab.call("package_browse", package=f"lab/plants@{hashes[0][:8]}")["data"]
    assert (old["top_hash"], old["metadata"]) == (hashes[0], {"n": 0})
    compared = lab.call("package_diff", before=f"lab/plants@{hashes[0][:8]}", after="lab/plants")["data"]
    assert compared["package_metadata"] == [{"field": "/n", "before": 0, "after": 1}]


def test_packages_are_listed_with_totals_by_one_request(lab: Lab) -> None:
    for name in ("lab/a", "lab/b", "other/c"):
        lab.push(name, f"of {name}", meta={"name": name, "n": len(name)})
    lab.call("status")
    lab.stack.forget()
    page = lab.call("packages_list", detail=True, metadata=["n"], limit=2)
    assert lab.asked() == ["Packages"]
    assert [(one["name"], one["metadata"], one["message"]) for one in page["data"]["packages"]] == [
        ("lab/a", {"n": 5}, "of lab/a"),
        ("lab/b", {"n": 5}, "of lab/b"),
    ]
    assert page["data"]["packages"][0]["entries"] == 3
    assert page["page"]["total"] == 3
    rest = lab.call("packages_list", detail=True, metadata=["n"], limit=2, cursor=page["page"]["next_cursor"])
    assert [one["name"] for one in rest["data"]["packages"]] == ["other/c"]
    assert rest["page"]["next_cursor"] is None


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        ({"prefix": "lab/"}, ["lab/a", "lab/b"]),
        ({"match": "/B"}, ["lab/b"]),
        ({"match": "*/c"}, ["other/c"]),
        ({"where": "n > 5"}, ["other/c"]),
        ({"where": "message contains 'lab'"}, ["lab/a", "lab/b"]),
        ({"where": "modified < 2020-01-01"}, []),
        ({"where": "name = 'lab/a'", "prefix": "lab/"}, ["lab/a"]),
    ],
)
def test_a_listing_is_narrowed_as_anywhere(lab: Lab, narrowed: dict[str, str], expected: list[str]) -> None:
    for name in ("lab/a", "lab/b", "other/c"):
        lab.push(name, f"of {name}", meta={"n": len(name)})
    found = lab.call("packages_list", **narrowed)
    assert [one["name"] for one in found["data"]["packages"]] == expected
    assert bool(found.get("warnings")) == (not expected)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("tool", "arguments", "code", "said"),
    [
        ("package_browse", {"package": "lab/plant"}, "package_not_found", "lab/plants"),
        ("package_browse", {"package": "lab/plants@0123456"}, "revision_not_found", "package_log"),
        ("package_browse", {"package": "lab/plants", "path": "dat"}, "entry_not_found", "data"),
        ("object_read", {"package": "lab/plants", "path": "data"}, "not_a_file", "package_browse"),
        ("packages_list", {"registry": "s3://nowhere-at-all"}, "registry_not_found", "registry_list"),
        (
            "package_browse",
            {"package": "a/b", "registry": "s3://nowhere-at-all"},
            "registry_not_found",
            "registry_list",
        ),
        ("object_list", {"location": "s3://{bucket}/"}, "not_supported", "AWS credentials"),
        ("workflow_list", {}, "not_supported", "AWS credentials"),
    ],
)
def test_what_is_not_there_and_what_the_way_lacks_is_told_with_a_way_on(
    lab: Lab, tool: str, arguments: dict[str, str], code: str, said: str
) -> None:
    lab.push("lab/plants")
    given = {name: value.format(bucket=lab.bucket) for name, value in arguments.items()}
    error = lab.call(tool, **given)["error"]
    assert error["code"] == code
    assert said in error["message"] + error["next_step"]


def test_a_bucket_that_is_not_browsable_says_so(lab: Lab) -> None:
    lab.push("lab/plants")
    lab.stack.change_bucket(lab.bucket, browsable=False)
    error = lab.call("object_read", package="lab/plants", path="README.md")["error"]
    assert error["code"] == "not_supported"
    assert "browsable" in error["message"]


def test_what_only_the_allowed_buckets_may_show_is_kept(
    stack: Stack, moto: S3Access, quilt3: Quilt3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(
        stack,
        moto,
        quilt3,
        tmp_path,
        monkeypatch,
        allowed_buckets=("another",),
        default_registry="s3://another",
    )
    assert lab.call("packages_list", registry=lab.registry)["error"]["code"] == "permission_denied"


# -- a revision that is not told whole --


@pytest.fixture
def small_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (packages_module, told_store):
        monkeypatch.setattr(module, "MOST_LISTED", 2)


@pytest.mark.nightly
@pytest.mark.usefixtures("small_listings")
def test_a_revision_too_large_to_be_listed_is_browsed_folder_by_folder_and_not_verified(lab: Lab) -> None:
    lab.push("lab/plants", "spring")
    first = lab.call("package_browse", package="lab/plants", limit=1)
    assert first["data"]["verified"] is False
    assert any(one.startswith("not_verified") for one in first["warnings"])
    rest = lab.call("package_browse", package="lab/plants", cursor=first["page"]["next_cursor"])
    paths = [one["path"] for page in (first, rest) for one in page["data"]["entries"]]
    assert paths == ["README.md", "data/"]
    inner = lab.call("package_browse", package="lab/plants", path="data")["data"]["entries"]
    assert [one["path"] for one in inner] == ["data/deep/", "data/reads.csv"]
    read = lab.call("object_read", package="lab/plants", path="data/reads.csv")["data"]
    assert read["text"] == FILES["data/reads.csv"][0]
    assert not read.get("verified")


@pytest.mark.nightly
def test_a_revision_of_many_files_is_held_in_memory_whatever_its_size(lab: Lab) -> None:
    """The size of its manifest is a guess, by which none is taken for one that changes while it is read."""
    lab.push("lab/plants")
    place = {"physicalKey": f"{lab.registry}/x", "size": 1, "hash": {"type": "SHA256", "value": "0" * 64}}
    many = {f"f{number:05}.txt": place for number in range(40_000)}
    lab.stack.fault(
        Fault("/graphql", field="PackageRevision.contentsFlatMap", value=many),
        Fault("/graphql", field="PackageRevision.totalEntries", value=40_000),
    )
    found = lab.call("package_browse", package="lab/plants")["data"]
    assert (found["totals"]["entries"], found["verified"]) == (40_000, False)


@pytest.mark.nightly
@pytest.mark.usefixtures("small_listings")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("package_browse", {"recursive": True}),
        ("package_verify", {}),
        ("package_install", {"dest": "there"}),
        ("package_patch", {"message": "x"}),
        ("package_copy", {"to": "lab/other"}),
    ],
)
def test_nothing_is_built_on_a_revision_that_is_not_told_whole(
    lab: Lab, tool: str, arguments: dict[str, Any]
) -> None:
    before = lab.push("lab/plants")
    error = lab.call(tool, package="lab/plants", **arguments)["error"]
    assert error["code"] == "not_supported"
    assert "AWS credentials" in error["next_step"]
    assert lab.log("lab/plants") == [before]


@pytest.mark.nightly
@pytest.mark.parametrize(
    "fault",
    [
        no_listing("the index of this bucket is being made"),
        Fault("/graphql", operation="Contents", field="PackageRevision.contentsFlatMap", value={}),
        Fault("/graphql", operation="Contents", field="PackageRevision.contentsFlatMap", value="nothing"),
    ],
    ids=["null with an error", "fewer than are counted", "of another shape"],
)
def test_a_listing_told_in_part_is_an_error_and_a_patch_of_it_writes_nothing(lab: Lab, fault: Fault) -> None:
    before = lab.push("lab/plants")
    lab.stack.fault(fault)
    for tool, arguments in (("package_browse", {}), ("package_patch", {"remove": ["README.md"]})):
        assert lab.call(tool, package="lab/plants", **arguments)["error"]["code"] == "stack_failed"
    assert lab.log("lab/plants") == [before]


@pytest.mark.nightly
@pytest.mark.parametrize("key", ["../up.txt", "/root.txt", "a//b", "./x", "a/../../b"])
def test_a_key_that_would_leave_a_folder_is_refused(lab: Lab, key: str) -> None:
    """C22: it is the stack that may be hostile here."""
    lab.push("lab/plants")
    place = {"physicalKey": f"{lab.registry}/x", "size": 1, "hash": {"type": "SHA256", "value": "0" * 64}}
    told = {
        "PackageRevision.contentsFlatMap": {key: place},
        "PackageRevision.totalEntries": 1,
        "PackageRevision.dir": {"__typename": "PackageDir", "path": "", "children": []},
    }
    lab.stack.fault(*(Fault("/graphql", field=field, value=value) for field, value in told.items()))
    for tool, arguments in (("package_browse", {}), ("package_install", {"dest": str(lab.folder / "there")})):
        error = lab.call(tool, package="lab/plants", **arguments)["error"]
        assert error["code"] in ("corrupt_manifest", "stack_failed")
    assert not (lab.folder / "there").exists()


@pytest.mark.nightly
def test_no_token_and_no_cookie_stands_in_an_answer_or_a_log(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """C25. Whatever the stack answers, and what it repeats of a request."""
    caplog.set_level("DEBUG")
    lab.push("lab/plants")
    key = lab.settings.api_key or ""
    said = [str(lab.call("object_read", package="lab/plants", path="README.md"))]
    for body in (f'{{"errors": [{{"message": "{key}"}}]}}', key):
        lab.stack.clear_faults()
        lab.stack.fault(no_credentials(), Fault("/graphql", status=200, body=body))
        said += [str(lab.call(tool, package="lab/plants")) for tool in ("package_browse", "package_log")]
    cookies = re.findall(r"quilt_browse=([^;\s']+)", caplog.text)
    assert cookies, "what a library logs of an answer holds one"
    shown = "".join(said) + safe(caplog.text)
    assert not [secret for secret in (key, *cookies) if secret in shown]


@pytest.mark.nightly
def test_folders_told_in_part_are_an_error_as_their_metadata_would_be_lost(lab: Lab) -> None:
    lab.push("lab/plants", folders={"data": {"site": "north"}})
    before = lab.log("lab/plants")
    for field, value in (("PackageRevision.dir", None), ("PackageDir.children", [])):
        lab.stack.clear_faults()
        lab.stack.fault(no_credentials(), Fault("/graphql", operation="Contents", field=field, value=value))
        error = lab.call("package_patch", package="lab/plants", message="x")["error"]
        assert error["code"] == "stack_failed"
    assert lab.log("lab/plants") == before


@pytest.mark.nightly
def test_what_was_told_wrong_once_is_asked_for_again(lab: Lab) -> None:
    lab.push("lab/plants")
    lie = {
        path: {"physicalKey": f"{lab.registry}/x", "size": 1, "hash": {"type": "SHA256", "value": "00"}}
        for path in FILES
    }
    lab.stack.fault(
        Fault("/graphql", operation="Contents", field="PackageRevision.contentsFlatMap", value=lie, times=2)
    )
    assert lab.call("package_browse", package="lab/plants")["data"]["verified"] is False
    assert lab.call("package_browse", package="lab/plants")["data"]["verified"] is True
    assert lab.call("object_read", package="lab/plants", path="README.md")["data"]["verified"]


@pytest.mark.nightly
def test_a_listing_that_has_another_hash_is_shown_as_not_verified_and_nothing_is_done_with_it(
    lab: Lab,
) -> None:
    before = lab.push("lab/plants")
    lie = {
        path: {"physicalKey": f"{lab.registry}/x", "size": 1, "hash": {"type": "SHA256", "value": "00"}}
        for path in FILES
    }
    lab.stack.fault(
        Fault("/graphql", operation="Contents", field="PackageRevision.contentsFlatMap", value=lie)
    )
    assert lab.call("package_browse", package="lab/plants")["data"]["verified"] is False
    for tool, arguments in (
        ("object_read", {"path": "README.md"}),
        ("package_patch", {"remove": ["README.md"]}),
        ("package_copy", {"to": "lab/other"}),
    ):
        assert lab.call(tool, package="lab/plants", **arguments)["error"]["code"] == "corrupt_manifest"
    assert lab.log("lab/plants") == [before]


# -- writing --


@pytest.mark.nightly
def test_a_patch_changes_what_it_says_and_keeps_all_else(lab: Lab) -> None:
    before = lab.push("lab/plants", "spring")
    given: dict[str, Any] = {
        "package": "lab/plants",
        "expected_top_hash": before,
        "remove": ["data/deep/"],
        "rename": [{"from": "README.md", "to": "ABOUT.md"}],
        "metadata": {"lot": "B34"},
        "entry_metadata": {"data/reads.csv": {"unit": "colonies"}},
        "message": "summer",
    }
    planned = lab.call("package_patch", **given, dry_run=True)
    assert any(one.startswith("through_stack") for one in planned["warnings"])
    done = lab.call("package_patch", **given)
    told = ("removed", "renamed", "kept", "totals", "changes")
    assert {one: done["data"][one] for one in told} == {one: planned["data"][one] for one in told}
    now = lab.browsed("lab/plants")
    assert now["hash"] == done["data"]["top_hash"]
    assert (now["meta"], now["message"]) == ({"lot": "B34", "ratio": 2.0}, "summer")
    assert {path: (meta, text) for path, (meta, text, _) in now["files"].items()} == {
        "ABOUT.md": ({}, "# Plants\n"),
        "data/reads.csv": ({"unit": "colonies", "ratio": 1.0}, FILES["data/reads.csv"][0]),
    }
    assert lab.log("lab/plants") == [before, now["hash"]]


@pytest.mark.nightly
def test_files_that_stay_keep_the_very_hashes_places_and_full_metadata_that_they_had(lab: Lab) -> None:
    lab.push("lab/plants", "spring")
    judge = "result = {k: [e.as_dict()] for k, e in quilt3.Package.browse(arguments['name'], arguments['registry']).walk()}"
    asked = {"name": "lab/plants", "registry": lab.registry}
    before = lab.quilt3.run(judge, **asked)
    lab.call("package_patch", package="lab/plants", message="the same files")
    assert lab.quilt3.run(judge, **asked) == before


@pytest.mark.nightly
def test_a_package_is_made_of_files_of_others_and_of_objects(lab: Lab) -> None:
    lab.push("lab/plants", "spring")
    lab.put("raw/plate 1.csv", b"x,y\n")
    lab.put("raw/plate2.csv", b"z\n")
    done = lab.call(
        "package_create",
        package="lab/new",
        sources=[
            {"from": "lab/plants@latest/data/", "to": "plants/"},
            {"from": f"{lab.registry}/raw/", "to": "raw/"},
            {"from": f"{lab.registry}/raw/plate2.csv", "to": "one.csv"},
        ],
        metadata={"made": "through"},
        message="new",
    )
    assert any(one.startswith("in_place") for one in done["warnings"])
    now = lab.browsed("lab/new")
    assert {path: text for path, (_, text, _) in now["files"].items()} == {
        "one.csv": "z\n",
        "plants/deep/notes.txt": "measured in spring\n",
        "plants/reads.csv": FILES["data/reads.csv"][0],
        "raw/plate 1.csv": "x,y\n",
        "raw/plate2.csv": "z\n",
    }
    assert now["meta"] == {"made": "through"}
    assert now["hash"] == done["data"]["top_hash"]
    assert lab.call("package_verify", package="lab/new")["data"]["ok"]


@pytest.mark.nightly
@pytest.mark.parametrize(
    "given",
    [
        {"files": [{"path": "a", "text": "x"}]},
        {"sources": ["here.txt"]},
        {"sources": ["s3://{bucket}/no/such"]},
    ],
    ids=["inline", "a local file", "no object"],
)
def test_what_cannot_come_in_is_refused_by_the_plan_already(lab: Lab, given: dict[str, Any]) -> None:
    (lab.folder / "here.txt").write_text("x")
    sources = {
        name: [one.format(bucket=lab.bucket) if isinstance(one, str) else one for one in many]
        for name, many in given.items()
    }
    for dry_run in (True, False):
        error = lab.call("package_create", package="lab/new", **sources, dry_run=dry_run)["error"]
        assert error["code"] in ("not_supported", "source_not_found")
    assert lab.log("lab/new") == []


@pytest.mark.nightly
def test_an_existing_name_is_not_overwritten_unasked(lab: Lab) -> None:
    before = lab.push("lab/plants")
    source = {"package": "lab/plants", "sources": ["lab/plants@latest/README.md"]}
    assert lab.call("package_create", **source)["error"]["code"] == "already_exists"
    done = lab.call("package_create", **source, overwrite=True)["data"]
    assert lab.log("lab/plants") == [before, done["top_hash"]]


@pytest.mark.nightly
def test_a_parent_that_moved_is_a_conflict_and_disjoint_changes_are_merged_when_asked(lab: Lab) -> None:
    first = lab.push("lab/plants")
    second = lab.push("lab/plants", files=FILES | {"more.txt": ["more", {}]})
    patch = {"package": "lab/plants", "expected_top_hash": first, "remove": ["README.md"]}
    error = lab.call("package_patch", **patch)["error"]
    assert error["code"] == "stale_parent"
    assert lab.log("lab/plants") == [first, second]
    lab.call("package_patch", **patch, merge=True)
    assert sorted(lab.browsed("lab/plants")["files"]) == ["data/deep/notes.txt", "data/reads.csv", "more.txt"]


@pytest.mark.nightly
def test_folders_with_metadata_are_not_written_without_it(lab: Lab) -> None:
    lab.push("lab/plants", folders={"data": {"site": "north"}})
    before = lab.log("lab/plants")
    error = lab.call("package_patch", package="lab/plants", message="x")["error"]
    assert error["code"] == "not_supported"
    assert "folder" in error["message"].lower()
    assert lab.log("lab/plants") == before
    done = lab.call("package_patch", package="lab/plants", entry_metadata={"data/": None}, message="x")
    assert lab.log("lab/plants") == [*before, done["data"]["top_hash"]]


@pytest.mark.nightly
def test_a_revision_becomes_latest_again_as_a_new_line(lab: Lab) -> None:
    first = lab.push("lab/plants", "one", meta={"n": 1})
    second = lab.push("lab/plants", "two", meta={"n": 2})
    done = lab.call("package_copy", package=f"lab/plants@{first}")
    assert any(one.startswith("published_again") for one in done["warnings"])
    assert lab.browsed("lab/plants")["hash"] == first
    assert lab.log("lab/plants") == [first, second, first]


@pytest.mark.nightly
def test_a_rollback_tells_the_revision_that_came_of_it(lab: Lab) -> None:
    first = lab.push("lab/plants", "one", meta={"n": 1})
    lab.push("lab/plants", "two", meta={"n": 2})
    lab.configure(f"{STRICT}default_workflow: strict\n")
    planned = lab.call("package_copy", package=f"lab/plants@{first}", dry_run=True)
    assert any(one.startswith("published_again") for one in planned["warnings"])
    done = lab.call("package_copy", package=f"lab/plants@{first}")
    made = lab.log("lab/plants")[-1]
    assert made != first, "it falls under a workflow now"
    assert done["data"]["top_hash"] == made and made in done["uri"]
    assert any(one.startswith("other_hash") for one in done["warnings"])
    lab.call(
        "package_patch", package="lab/plants", expected_top_hash=done["data"]["top_hash"], message="on it"
    )


@pytest.mark.nightly
def test_what_a_stack_does_not_write_of_a_header_is_told(lab: Lab) -> None:
    lab.push("lab/plants", "one")
    extra = """
package = quilt3.Package.browse("lab/plants", registry=arguments["registry"])
package._meta["custom"] = {"k": 1}
result = package.build("lab/plants", registry=arguments["registry"], message="with more")
"""
    lab.quilt3.run(extra, registry=lab.registry)
    done = lab.call("package_copy", package="lab/plants", to="lab/copy")
    assert any(one.startswith("header_fields") and "custom" in one for one in done["warnings"])


@pytest.mark.nightly
def test_writes_one_right_after_the_other_all_stand_in_the_log(lab: Lab) -> None:
    made = [lab.push("lab/plants")]
    for number in range(3):
        done = lab.call("package_patch", package="lab/plants", message=f"m{number}")
        assert not any(one.startswith("overtaken") for one in done["warnings"])
        made.append(done["data"]["top_hash"])
    assert lab.log("lab/plants") == made


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("status", "code"), [(413, "too_large"), (429, "storage_unavailable"), (502, "outcome_unknown")]
)
def test_a_write_that_was_turned_away_is_told_from_one_whose_outcome_is_open(
    lab: Lab, status: int, code: str
) -> None:
    lab.push("lab/plants")
    lab.stack.fault(Fault("/graphql", operation="PackageConstruct", status=status, body="{}"))
    assert lab.call("package_patch", package="lab/plants", message="x")["error"]["code"] == code


@pytest.mark.nightly
def test_a_package_gets_another_name_in_its_bucket(lab: Lab) -> None:
    first = lab.push("lab/plants", "one")
    done = lab.call("package_copy", package="lab/plants", to="lab/copy")["data"]
    assert done["top_hash"] == first
    assert lab.browsed("lab/copy")["hash"] == first


@pytest.mark.nightly
@pytest.mark.parametrize("whole", [False, True])
def test_a_revision_or_all_of_a_package_is_deleted(lab: Lab, whole: bool) -> None:
    first = lab.push("lab/plants", "one", meta={"n": 1})
    second = lab.push("lab/plants", "two", meta={"n": 2})
    sibling = lab.push("lab/plants2", "sibling")
    asked: dict[str, Any] = {"package": "lab/plants" if whole else f"lab/plants@{second}", "all": whole}
    planned = lab.call("package_delete", **asked, dry_run=True)["data"]
    assert lab.log("lab/plants") == [first, second]
    done = lab.call("package_delete", **asked)["data"]
    assert {**planned, "done": True} == done
    assert lab.log("lab/plants") == ([] if whole else [first])
    assert lab.log("lab/plants2") == [sibling]
    if not whole:
        assert lab.call("package_browse", package="lab/plants")["data"]["top_hash"] == first


@pytest.mark.nightly
def test_a_reader_is_refused_and_nothing_is_written(lab: Lab) -> None:
    before = lab.push("lab/plants")
    lab.stack.add_role("looker", {lab.bucket: "READ"})
    lab.stack.add_user("ada", roles=("looker",))
    for tool, arguments in (
        ("package_patch", {"package": "lab/plants", "message": "x"}),
        ("package_delete", {"package": f"lab/plants@{before}"}),
    ):
        assert lab.call(tool, **arguments)["error"]["code"] == "permission_denied"
    assert lab.log("lab/plants") == [before]


@pytest.mark.nightly
def test_a_workflow_that_refuses_is_told_with_its_reason(lab: Lab) -> None:
    before = lab.push("lab/plants", meta={"n": "none"})
    lab.configure(STRICT)
    error = lab.call("package_patch", package="lab/plants", workflow="strict", metadata={"n": 1})["error"]
    assert error["code"] in ("workflow_failed", "stack_refused")
    assert "essage" in error["message"]
    assert lab.log("lab/plants") == [before]
    done = lab.call(
        "package_patch", package="lab/plants", workflow="strict", message="said", metadata={"n": 1}
    )
    assert lab.browsed("lab/plants")["hash"] == done["data"]["top_hash"]


@pytest.mark.nightly
def test_a_stack_that_falls_silent_in_a_write_is_never_asked_twice(lab: Lab) -> None:
    before = lab.push("lab/plants")
    lab.call("package_browse", package="lab/plants")
    lab.stack.fault(replace(bad_gateway(times=None), path="/graphql", operation="PackageConstruct"))
    lab.stack.forget()
    error = lab.call("package_patch", package="lab/plants", message="x")["error"]
    assert (error["code"], error["retryable"]) == ("outcome_unknown", False)
    assert "package_log" in error["next_step"]
    assert lab.asked().count("PackageConstruct") == 1
    assert lab.log("lab/plants") == [before]


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Fault("/graphql", operation="Revision", after=1, field="PackageRevision.totalEntries", value=99),
            "not_as_planned",
        ),
        (Fault("/graphql", operation="RevisionHashes", status=502), "not_read_back"),
        (
            Fault(
                "/graphql",
                operation="RevisionHashes",
                field="Package.revisions",
                value={"total": 0, "page": []},
            ),
            "not_in_log",
        ),
    ],
)
def test_what_is_odd_after_a_write_is_told_and_the_write_is_not_called_undone(
    lab: Lab, fault: Fault, said: str
) -> None:
    lab.push("lab/plants")
    lab.stack.fault(fault)
    done = lab.call("package_patch", package="lab/plants", message="x")
    assert any(one.startswith(said) for one in done["warnings"]), done
    assert lab.log("lab/plants")[-1] == done["data"]["top_hash"]


@pytest.mark.nightly
def test_who_was_overtaken_in_the_moment_of_a_write_is_named(lab: Lab) -> None:
    before = lab.push("lab/plants", meta={"n": 1})
    other = lab.push("lab/plants", meta={"n": 2})
    time.sleep(1.1)
    told = lab.stack.ask(
        f'{{package(bucket: "{lab.bucket}", name: "lab/plants") {{revision(hashOrTag: "{before}") {{hash modified}}}}}}',
        lab.settings.api_key,
    )["data"]["package"]["revision"]
    # The look before the write is told what was latest a moment ago.
    lab.stack.fault(
        Fault(
            "/graphql",
            operation="Revision",
            times=2,
            field="Package.revision",
            value=told | {"metadata": {}, "totalEntries": 3},
        )
    )
    done = lab.call("package_patch", package="lab/plants", expected_top_hash=before, message="x")
    assert any(one.startswith("overtaken") and other in one for one in done["warnings"]), done


@pytest.mark.nightly
def test_a_deletion_that_was_carried_out_is_told_so_whatever_comes_after(lab: Lab) -> None:
    lab.push("lab/plants")
    lab.stack.fault(Fault("/graphql", operation="Revision", after=1, status=502))
    done = lab.call("package_delete", package="lab/plants", all=True)
    assert done["data"]["done"] and any(one.startswith("not_read_back") for one in done["warnings"])
    assert lab.log("lab/plants") == []


@pytest.mark.nightly
def test_a_read_that_the_proxy_fails_once_is_made_again(lab: Lab) -> None:
    lab.push("lab/plants")
    lab.stack.fault(bad_gateway(times=1, path="/browse/*/README.md"))
    assert lab.call("object_read", package="lab/plants", path="README.md")["data"]["verified"]


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_supported"), (403, "permission_denied"), (502, None)]
)
def test_a_proxy_that_gives_no_cookie_is_not_told_as_a_missing_file(
    lab: Lab, status: int, code: str | None
) -> None:
    lab.push("lab/plants")
    lab.stack.fault(Fault("/browse/set_browse_cookie", status=status, times=1))
    read = lab.call("object_read", package="lab/plants", path="README.md")
    assert read.get("error", {}).get("code") == code


@pytest.mark.nightly
def test_sizes_that_a_manifest_spells_as_floats_are_verified(lab: Lab) -> None:
    lab.push("lab/plants", files={"a.txt": ["12", {}]})
    spell = """
package = quilt3.Package.browse("lab/plants", registry=arguments["registry"])
package["a.txt"].size = 2.0
package.build("lab/plants", registry=arguments["registry"])
"""
    lab.quilt3.run(spell, registry=lab.registry)
    assert lab.call("package_browse", package="lab/plants")["data"]["verified"] is True


@pytest.mark.nightly
def test_a_log_and_an_index_that_never_end_are_left(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.push("lab/plants")
    monkeypatch.setattr(packages_module, "_MOST_PAGES", 3)
    lab.stack.fault(Fault("/graphql", field="PackageRevisionList.total", value=2_000_000_000))
    assert lab.call("package_log", package="lab/plants")["error"]["code"] == "stack_failed"
    page = {"__typename": "ObjectsSearchResultSetPage", "cursor": "more", "hits": []}
    lab.stack.clear_faults()
    lab.put("raw/a.csv", b"x")
    lab.stack.fault(
        no_credentials(),
        Fault("/graphql", field="ObjectsSearchResultSet.firstPage", value=page),
    )
    source = {"package": "lab/new", "sources": [f"{lab.registry}/raw/"]}
    assert lab.call("package_create", **source)["error"]["code"] == "stack_failed"


@pytest.mark.nightly
def test_a_browsing_session_that_has_ended_is_had_anew(lab: Lab) -> None:
    lab.push("lab/plants")
    lab.call("object_read", package="lab/plants", path="README.md")
    lab.stack.fault(
        Fault("/browse/*/README.md", times=1, status=404, body='{"message": "Session not found"}')
    )
    assert lab.call("object_read", package="lab/plants", path="README.md")["data"]["verified"]


@pytest.mark.nightly
def test_bytes_that_are_not_the_recorded_ones_are_an_error(lab: Lab) -> None:
    lab.push("lab/plants")
    told = {"Content-Range": "bytes 0-8/9", "Content-Type": "text/markdown"}
    lab.stack.fault(Fault("/browse/*/README.md", status=206, body="# Plantz\n", headers=told))
    assert lab.call("object_read", package="lab/plants", path="README.md")["error"]["code"] == "hash_mismatch"
    report = lab.call("package_verify", package="lab/plants")["data"]
    assert [(one["path"], one["problem"]) for one in report["problems"]] == [("README.md", "hash")]
    error = lab.call("package_install", package="lab/plants", dest=str(lab.folder / "there"))["error"]
    assert error["code"] == "hash_mismatch"
    assert not (lab.folder / "there/README.md").exists()


@pytest.mark.nightly
@pytest.mark.parametrize("told", ["", "bytes 1-9/9", "bytes 0-8/7", "nonsense"])
def test_a_range_that_is_not_the_one_asked_for_is_not_taken(lab: Lab, told: str) -> None:
    lab.push("lab/plants")
    headers = {"Content-Range": told} if told else {}
    lab.stack.fault(Fault("/browse/*/README.md", status=206, body="# Plants\n", headers=headers))
    error = lab.call("object_read", package="lab/plants", path="README.md")["error"]
    assert error["code"] == "storage_unavailable"


@pytest.mark.nightly
def test_pieces_of_two_objects_are_never_joined(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_store, "PIECE", 4)
    lab.push("lab/plants")
    for told, body in (("bytes 4-7/9", "lant"), ("bytes */5", "")):
        lab.stack.clear_faults()
        answer = {"Content-Range": told, "ETag": '"another"'}
        status = 206 if body else 416
        lab.stack.fault(
            no_credentials(), Fault("/browse/*/README.md", after=1, status=status, body=body, headers=answer)
        )
        error = lab.call("object_read", package="lab/plants", path="README.md")["error"]
        assert error["code"] == "hash_mismatch"


@pytest.mark.nightly
def test_a_redirect_to_what_is_not_s3_is_not_followed(lab: Lab) -> None:
    lab.push("lab/plants")
    for target in ("http://169.254.169.254/latest/meta-data", "https://example.org/", "file:///etc/passwd"):
        lab.stack.clear_faults()
        lab.stack.fault(
            no_credentials(), Fault("/browse/*/README.md", status=302, headers={"Location": target})
        )
        error = lab.call("object_read", package="lab/plants", path="README.md")["error"]
        assert error["code"] == "misconfigured"


@pytest.mark.nightly
def test_metadata_of_folders_is_not_lost_by_a_promotion(lab: Lab) -> None:
    lab.push("lab/plants", folders={"data": {"site": "north"}})
    other = lab.moto.make_bucket()
    lab.stack.add_bucket(other)
    lab.stack.add_user("ada", roles=("writer",))
    lab.configure(f"{STRICT}successors:\n  s3://{other}:\n    title: Other\n")
    for dry_run in (True, False):
        given = {"package": "lab/plants", "to_registry": f"s3://{other}", "dry_run": dry_run}
        assert lab.call("package_copy", **given)["error"]["code"] == "not_supported"


@pytest.mark.nightly
def test_another_bucket_is_promoted_to_only_where_the_configuration_says_so(lab: Lab) -> None:
    top_hash = lab.push("lab/plants", "one")
    other = lab.moto.make_bucket()
    lab.stack.add_bucket(other)
    lab.stack.add_user("ada", roles=("writer",))
    given = {"package": "lab/plants", "to_registry": f"s3://{other}"}
    error = lab.call("package_copy", **given)["error"]
    assert error["code"] == "outcome_unknown"
    assert "no workflow configuration" in error["next_step"]
    lab.configure(f"{STRICT}successors:\n  s3://{other}:\n    title: Other\n")
    done = lab.call("package_copy", **given)["data"]
    found = lab.quilt3.run(BROWSE, name="lab/plants", registry=f"s3://{other}")
    assert found["hash"] == done["top_hash"]
    assert all(place.startswith(f"s3://{other}/") for _, _, place in found["files"].values())
    assert found["message"] == "one" and lab.browsed("lab/plants")["hash"] == top_hash
