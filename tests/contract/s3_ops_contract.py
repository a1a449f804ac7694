"""The contract of QuiltOps as a backend over buckets keeps it: each test on two fresh buckets of a real S3 server, opened as a
user would: from an environment (and quilt3's files), through the decision.

A backend's test subclasses ``OnBuckets``, and of the contract what it is held to, with ``BucketContract`` before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from ops_base import OpsContract, record
from s3_objects import S3Objects

from parts.s3_access import S3Access, make_bucket
from quilt_mcp import backends
from quilt_mcp.auth.decision import Decider
from quilt_mcp.auth.identity import Asker
from quilt_mcp.auth.sources import Sources
from quilt_mcp.config import Settings
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, Source
from quilt_mcp.errors import (
    CorruptManifest,
    InvalidName,
    InvalidUri,
    NotSupported,
    RegistryNotFound,
)
from quilt_mcp.ops import QuiltOps


def open_ops(environ: Mapping[str, str], session: Path, expected: str, **settings: Any) -> QuiltOps:
    """``session``: the folder of quilt3's files. ``expected``: the backend that must come of it."""
    given = Settings(**settings)
    decider = Decider(given, environ, sources=Sources(environ, folder=session))
    identity = decider.decide(Asker())
    assert identity.kind == expected, identity.explanation
    return backends.open(identity, given)


class OnBuckets(S3Objects, OpsContract):
    """``server`` says where the buckets are."""

    versioned = True
    backend = "iam"
    keeps_conditions = True
    """Whether the server does, on writes."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, moto: S3Access) -> S3Access:
        return moto

    @pytest.fixture(scope="class")
    @classmethod
    def client(cls, server: S3Access) -> Iterator[Any]:
        with server.boto() as client:
            yield client

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Nobody is signed in."""
        return tmp_path_factory.mktemp("signed-out")

    @pytest.fixture(autouse=True)
    def open_backend(self, tmp_path: Path, server: S3Access, client: Any, session: Path) -> None:
        allowed = tmp_path / "allowed"
        self.folder, self.dest = allowed / "sources", allowed / "installed"
        self.outside = tmp_path / "outside"
        for folder in (self.folder, self.outside):
            folder.mkdir(parents=True)
        self._moved: dict[str, PhysicalKey] = {}
        self.raw = client
        self.bucket = make_bucket(self.raw, versioned=self.versioned)
        self.registry = f"s3://{self.bucket}"
        self.ops, self.reader = (
            open_ops(
                self.environment(server),
                session,
                self.backend,
                **self.signed_in_by(),
                default_registry=self.registry,
                roots=(allowed,),
                allow_write=writable,
                cache_dir=tmp_path / f"cache-{writable}",
                cache_bytes=1 << 20,
            )
            for writable in (True, False)
        )

    def environment(self, server: S3Access) -> dict[str, str]:
        """What the backend's process would see."""
        return server.environment()

    def signed_in_by(self) -> dict[str, Any]:
        """Settings that say who the user is; called when the bucket is there."""
        return {}

    @cached_property
    def other_registry(self) -> str:  # type: ignore[override]
        return f"s3://{make_bucket(self.raw, versioned=self.versioned)}"

    def write_where_it_may_stay(self, files: Mapping[str, str | bytes], below: str) -> str:
        for path, content in files.items():
            self.raw.put_object(
                Bucket=self.other_registry.removeprefix("s3://"), Key=below + path, Body=content
            )
        return f"{self.other_registry}/{below}"

    def raw_change(self, physical_key: str, content: bytes | None) -> None:
        """Nobody can change a version: there a new one is written, and the manifests are made to name that instead (which a
        top hash does not tell)."""
        key = self._moved.get(physical_key) or PhysicalKey.parse(physical_key)
        version = {} if key.version_id is None else {"VersionId": key.version_id}
        if content is None:
            self.raw.delete_object(Bucket=key.bucket, Key=key.path, **version)
            return
        put = self.raw.put_object(Bucket=key.bucket, Key=key.path, Body=content)
        if not version:
            return
        moved = PhysicalKey(key.bucket, key.path, put["VersionId"])
        self._moved[physical_key] = moved
        for manifest in self.raw_keys(".quilt/packages/"):
            before = self.raw_get(manifest) or b""
            after = before.replace(f'"{key}"'.encode(), f'"{moved}"'.encode())
            if after != before:
                self.raw_set(manifest, after)

    test_packages_are_listed_with_their_latest_revision = None
    """In a bucket each top hash would be a request."""


class BucketContract(OnBuckets):
    """Where a bucket differs from a folder."""

    async def test_packages_are_listed_without_their_top_hash_which_resolve_tells(self) -> None:
        await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        (found,) = (await self.ops.list_packages(self.registry)).items
        assert (found.name, found.top_hash) == ("a/b", None)
        assert found.modified is not None
        assert await self.latest("a/b") == second.top_hash

    async def test_what_stands_among_packages_and_is_none_is_warned_of_and_passed_over(self) -> None:
        """A malformed pointer's content is not seen, as pointers are not read."""
        await self.create("a/good", {"f": "1"})
        self.raw_set(".quilt/named_packages/stray", b"x")
        self.raw_set(".quilt/named_packages/a/stray", b"x")
        self.raw_set(".quilt/named_packages/a/not a name/1700000000", b"0" * 64)
        self.raw_set(".quilt/named_packages/a/no-latest/1700000000", b"0" * 64)
        self.raw_set(".quilt/named_packages/a/broken/latest", b"not a hash")
        page = await self.ops.list_packages(self.registry)
        assert {package.name for package in page.items} == {"a/good", "a/no-latest", "a/broken"}
        codes = sorted(warning.partition(":")[0] for warning in page.warnings)
        assert codes == ["malformed_name", "malformed_name", "malformed_name", "missing_latest"]

    @pytest.mark.parametrize("size", [3, 9 << 20])
    async def test_case_T8_objects_of_the_same_bucket_are_pinned_or_it_is_said_that_they_are_not(
        self, size: int
    ) -> None:
        """By their versions where the bucket keeps them, else by their hash; referred to in place on purpose, with a warning."""
        self.raw_set("data/f", b"1" * size)
        source = Source(f"{self.registry}/data/")
        request = CreateRequest(self.uri("a/pinned"), sources=(source,))
        plan, pinned = await self.ops.plan_create(request), await self.ops.create(request)
        assert plan.bytes_to_copy == pinned.bytes_copied == (0 if self.versioned else size)
        assert not any("not_pinned" in warning for warning in pinned.warnings)
        in_place = CreateRequest(self.uri("a/place"), sources=(source,), copy=False)
        planned = [one for one in (await self.ops.plan_create(in_place)).warnings if "not_pinned" in one]
        told = [warning for warning in (await self.ops.create(in_place)).warnings if "not_pinned" in warning]
        assert len(told) == (0 if self.versioned else 1)
        assert planned == told
        if told:
            assert "data/f" in told[0] and "copy" in told[0]
        self.raw_set("data/f", b"2" * size)
        assert await self.contents(self.uri("a/pinned")) == {"f": b"1" * size}
        entry = await self.ops.stat(self.uri("a/pinned", path="f"))
        assert entry.physical_key is not None
        assert ("/data/f?versionId=" if self.versioned else "/.quilt/objects/") in entry.physical_key
        again = await self.ops.copy(CopyRequest(self.uri("a/pinned"), self.uri("a/again")))
        assert again.bytes_copied == 0

    async def test_equal_bytes_are_stored_once(self) -> None:
        """Under one name, that is, where a bucket keeps versions."""
        if not self.versioned:
            return await super().test_equal_bytes_are_stored_once()  # CreateContract's
        await self.create("a/b", {"f": "same"})
        keys = set(self.raw_keys())
        commit = await self.create("a/b", {"f": "same"}, overwrite=True, metadata={"v": 2})
        assert commit.created
        assert commit.bytes_copied == 0
        added = set(self.raw_keys()) - keys
        assert {key for key in added if "/named_packages/" not in key} == {
            f".quilt/packages/{commit.top_hash}"
        }
        assert len(self.raw.list_object_versions(Bucket=self.bucket, Prefix="a/b/f")["Versions"]) == 1

    async def test_files_of_this_machine_are_not_referred_to_where_they_lie(self) -> None:
        """Nobody but this machine could read them."""
        folder = self.write_files({"f": "1"}, "data")
        before = self.snapshot()
        with pytest.raises(NotSupported):
            await self.ops.create(CreateRequest(self.uri("a/b"), sources=(Source(str(folder)),), copy=False))
        assert self.snapshot() == before

    async def test_whether_the_server_keeps_conditions_is_told_once_a_write_has_found_out(self) -> None:
        assert self.ops.describe()["conditional_writes"] is None
        commit = await self.create("a/b", {"f": "1"})
        assert self.ops.describe()["conditional_writes"] is self.keeps_conditions
        warned = any(warning.startswith("unconditional_store: ") for warning in commit.warnings)
        assert warned is not self.keeps_conditions

    async def test_an_entry_outside_the_roots_is_listed_and_not_read(self) -> None:
        await self._refuses_entries_of_this_machine(self.outside / "secret")

    async def test_a_link_below_the_roots_that_leads_out_is_not_read(self) -> None:
        """Not even a file below the roots: a manifest in a bucket is data that others wrote."""
        await self._refuses_entries_of_this_machine(self.folder / "own")

    async def _refuses_entries_of_this_machine(self, secret: Path) -> None:
        secret.write_text("1")
        await self.create("a/src", {"f": "1"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        local = record(item, logical_key="secret", physical_keys=[secret.as_uri()])
        self.set_package("h/h", record(item), local)
        assert await self.paths(self.uri("h/h")) == ["f", "secret"]
        for call in (
            self.ops.read(self.uri("h/h", path="secret")),
            self.ops.link(str(self.uri("h/h", path="secret"))),
            self.ops.install(self.uri("h/h"), str(self.dest)),
            self.ops.create(
                CreateRequest(self.uri("a/c"), sources=(Source(str(self.uri("h/h", path="secret"))),))
            ),
            self.ops.copy(CopyRequest(self.uri("h/h"), PackageUri(self.other_registry, "a/c"))),
        ):
            with pytest.raises(CorruptManifest):
                await call
        assert not (self.dest / "secret").exists()
        report = await self.ops.verify(self.uri("h/h"))
        assert [(one.path, one.problem) for one in report.problems] == [("secret", "unreadable")]

    async def test_a_folder_with_a_consoles_marker_is_a_source_and_a_place(self) -> None:
        """case_A1, Review R3."""
        for key, content in (("mk/", b""), ("mk/a.txt", b"1"), ("mk/sub/", b""), ("mk/sub/b.txt", b"2")):
            self.raw_set(key, content)
        for origin in ("mk", "mk/"):
            made = await self.ops.create(
                CreateRequest(self.uri("a/b"), sources=(Source(f"{self.registry}/{origin}"),), overwrite=True)
            )
            assert await self.contents(self.uri("a/b", made.top_hash)) == {"a.txt": b"1", "sub/b.txt": b"2"}
        first = await self.ops.list_objects(f"{self.registry}/mk/", limit=1)
        assert [item.uri for item in first.items] == [f"{self.registry}/mk/a.txt"]
        rest = await self.ops.list_objects(f"{self.registry}/mk/", limit=1, cursor=first.next_cursor)
        assert [item.uri for item in rest.items] == [f"{self.registry}/mk/sub/"]

    async def test_two_slashes_in_a_key_are_a_folder_without_a_name(self) -> None:
        """case_A3: listing what a listing has named leads on, not in a circle."""
        for key in ("dbl/a", "dbl//x/b.txt", "dbl//c", "/top"):
            self.raw_set(key, key.encode())
        seen: set[str] = set()
        places, read = [f"{self.registry}/"], set[bytes]()
        while places:
            place = places.pop()
            assert place not in seen
            seen.add(place)
            for item in (await self.ops.list_objects(place)).items:
                if item.type == "folder":
                    places.append(item.uri)
                else:
                    read.add((await self.ops.read_object(item.uri)).data)
        assert read == {b"dbl/a", b"dbl//x/b.txt", b"dbl//c", b"/top"}

    async def test_a_registrys_own_folder_is_not_installed_into(self) -> None:
        """It is no folder of this machine."""
        await self.create("a/b", {"f": "1"})
        before = self.snapshot()
        with pytest.raises(InvalidUri):
            await self.ops.install(self.uri("a/b"), f"{self.registry}/.quilt/named_packages")
        assert self.snapshot() == before

    @pytest.mark.parametrize(
        "key", ["%2e%2e/BUCKET/secret", "../BUCKET/secret", "a/%2E./../BUCKET/secret", "a/.."]
    )
    async def test_a_key_does_not_climb_into_another_bucket(self, key: str) -> None:
        """case_X5: the server is asked by paths, and what folds them on the way answers the other bucket's object."""
        await self.create("a/src", {"f": "1"})
        key = key.replace("BUCKET", self.other_registry.removeprefix("s3://"))
        uri = f"{self.registry}/{key}"
        item = await self.ops.stat(self.uri("a/src", path="f"))
        self.set_package("h/h", record(item, logical_key="secret", physical_keys=[uri]))
        entry = self.uri("h/h", path="secret")
        before = self.snapshot()
        for call in (
            lambda: self.ops.stat_object(uri),
            lambda: self.ops.read_object(uri),
            lambda: self.ops.link(uri),
            lambda: self.ops.put_object(uri, b"x", overwrite=True),
            lambda: self.ops.create(CreateRequest(self.uri("a/c"), sources=(Source(uri),))),
            lambda: self.ops.read(entry),
            lambda: self.ops.link(str(entry)),
            lambda: self.ops.install(self.uri("h/h"), str(self.dest)),
            lambda: self.ops.copy(CopyRequest(self.uri("h/h"), PackageUri(self.other_registry, "a/c"))),
        ):
            with pytest.raises(InvalidName) as caught:
                await call()
            assert caught.value.next_step
        assert self.snapshot() == before
        report = await self.ops.verify(self.uri("h/h"))
        assert [(one.path, one.problem) for one in report.problems] == [("secret", "unreadable")]

    async def test_a_configured_bucket_that_does_not_exist_is_an_error(self) -> None:
        self.raw.delete_bucket(Bucket=self.bucket)
        with pytest.raises(RegistryNotFound, match=self.bucket):
            await self.ops.list_packages(self.registry)
