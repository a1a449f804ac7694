"""S3Store keeps the Store contract on moto, with versions and without, and on Ceph as far as Ceph goes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from s3_objects import S3Objects
from store_contract import StoreContract

from parts.ceph import CephCluster
from parts.faults import ACCESS_DENIED, Pause
from parts.proxy import Proxy
from parts.s3_access import S3Access
from quilt_mcp.domain.checksums import SHA256_CHUNKED
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import (
    AuthenticationError,
    HashMismatch,
    InvalidName,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    RegistryNotFound,
)
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.s3.uploads import S3Uploads
from quilt_mcp.storage.store import ObjectStat


def clients_of(access: S3Access) -> S3Clients:
    keys = AwsKeys(access.access_key, access.secret_key, access.session_token)
    return S3Clients(lambda: keys, endpoint_url=access.url, region=access.region)


@pytest.fixture(scope="module")
def moto_clients(moto: S3Access, moto_proxy: Proxy) -> S3Clients:
    return clients_of(moto.via(moto_proxy.url))


ODD_KEYS = (
    "/", "/abs", "a//b", "a/", "./a", "a/./b", "..a", "a..", ".", "+", "%41", "a%2Fb", "a b", " ", "#?&=", "'\"<>",
    "~!@$^*()[]{}|;,\\`", "\x01", "\t", "\x7f", "é", "e\u0301", "\U0001f600", "\ue000", "\ufffd", "x" * 1024,
)  # fmt: skip


class S3Contract(S3Objects, StoreContract):
    """The contract as any S3 server can keep it."""

    versioned = True
    odd_keys = ODD_KEYS

    def comparable(self, stat: ObjectStat) -> object:
        """S3 tells no time of its own when it takes an object, and no version when it lists."""
        return (stat.key, stat.size, stat.etag)

    @pytest.mark.sampled(3)
    @pytest.mark.anyio
    @pytest.mark.parametrize("key", ["", "x" * 1025, "é" * 513, "../a", "a/../b", ".."])
    async def test_a_malformed_key_is_refused_by_every_verb(self, key: str) -> None:
        for read in (self.store.stat, self.store.get):
            with pytest.raises(InvalidName) as caught:
                await read(key)
            assert caught.value.next_step
        for conditions in ({}, {"if_absent": True}, {"if_match": '"0"'}):
            with pytest.raises(InvalidName):
                await self.store.put(key, b"x", **conditions)

    @pytest.mark.anyio
    async def test_every_verb_takes_any_key_that_s3_allows(self) -> None:
        for key in self.odd_keys:
            self.raw_set(key, b"first")
            assert (await self.store.get(key))[1] == b"first", key
            assert (await self.store.get(key, offset=2, length=2))[1] == b"rs", key
            assert b"".join([chunk async for chunk in self.store.stream(key)]) == b"first", key
            stat = await self.store.put(key, b"second")
            assert self.raw_get(key) == b"second", key
            assert await self.keys(key) == [key], key
            await self.store.delete(key, if_match=stat.etag)
            assert self.raw_get(key) is None, key

    @pytest.mark.sampled(2)
    @pytest.mark.anyio
    @pytest.mark.parametrize("odd", [(), ("p/b//c",), ("p/\x01", "p/./x")])
    async def test_pages_are_the_listing_whatever_key_stands_among_the_others(
        self, odd: tuple[str, ...]
    ) -> None:
        keys = ["p/a", "p/ab", "p/b/d", "p/c", "p/é #%", "p-x/a", "other", *odd]
        for key in keys:
            self.raw_set(key, b"1")
        store = self.store
        assert store.pages is not None
        for prefix in ("p/", "p/a", "p/b", "p/b/", "p-", "", "none/"):
            for after in ("", "p/ab", "p/b\U0010ffff"):
                page = await store.pages.list_page(prefix, after=after)
                expected = [key for key in keys if key.startswith(prefix) and key > after]
                assert [stat.key for stat in page.objects] == sorted(expected), (prefix, after)
                assert page.next_after is None

    @pytest.mark.anyio
    async def test_a_version_is_read_whatever_became_of_the_key(self) -> None:
        if not self.versioned:
            assert (await self.store.put("k", b"1")).version is None
            return
        first = await self.store.put("k", b"first")
        second = await self.store.put("k", b"second!")
        await self.store.delete("k")
        for stat, content in ((first, b"first"), (second, b"second!")):
            assert stat.version
            assert await self.store.get("k", version=stat.version) == (
                await self.store.stat("k", version=stat.version),
                content,
            )
            assert (await self.store.get("k", version=stat.version, offset=1, length=3))[1] == content[1:4]
            streamed = [chunk async for chunk in self.store.stream("k", version=stat.version)]
            assert b"".join(streamed) == content
        with pytest.raises(ObjectNotFound):
            await self.store.get("k")

    @pytest.mark.anyio
    async def test_a_file_of_another_size_than_it_had_is_not_stored(self) -> None:
        """As one that grows while it is read. The kernel's own files have more bytes than they say, always."""
        with open("/proc/version", "rb") as file, pytest.raises(HashMismatch, match="changed while"):
            await S3Uploads(self.store).put_file("k", file.fileno())
        with pytest.raises(ObjectNotFound):
            await self.store.stat("k")

    @pytest.mark.sampled(1)
    @pytest.mark.anyio
    @pytest.mark.parametrize("size", [10, 9 << 20])
    async def test_a_file_with_another_hash_than_expected_leaves_what_is_there(
        self, size: int, tmp_path: Path
    ) -> None:
        """Where the key is made of the hash, a file that was written to meanwhile would put other bytes there."""
        await self.store.put("k", b"as it was")
        (tmp_path / "f").write_bytes(bytes(size))
        expected = Hash(SHA256_CHUNKED, "of other bytes")
        with open(tmp_path / "f", "rb") as file, pytest.raises(HashMismatch, match="written to"):
            await S3Uploads(self.store).put_file("k", file.fileno(), expected=expected)
        assert (await self.store.get("k"))[1] == b"as it was"

    @pytest.mark.anyio
    async def test_a_version_that_never_was_is_object_not_found(self) -> None:
        stat = await self.store.put("k", b"1")
        if stat.version:
            gone = await self.store.put("other", b"1")
            for read in (self.store.get, self.store.stat):
                with pytest.raises(ObjectNotFound):
                    await read("k", version=gone.version)

    @pytest.mark.anyio
    async def test_a_bucket_that_does_not_exist_is_a_registry_that_was_not_found(self) -> None:
        assert isinstance(self.store, S3Store)
        nowhere = S3Store(self.bucket + "-gone", self.store.clients)
        for act in (
            lambda: nowhere.put("k", b"x"),
            lambda: nowhere.get("k"),
            lambda: nowhere.list_folder(),
            lambda: anext(nowhere.list()),
        ):
            with pytest.raises(RegistryNotFound) as caught:
                await act()
            assert caught.value.next_step


class S3StoreContract(S3Contract):
    """On a server that keeps conditions."""

    @pytest.mark.anyio
    async def test_conditions_are_kept_at_any_key_that_s3_allows(self) -> None:
        for key in ODD_KEYS:
            first = await self.store.put(key, b"first", if_absent=True)
            with pytest.raises(PreconditionFailed):
                await self.store.put(key, b"second", if_absent=True)
            await self.store.put(key, b"third", if_match=first.etag)
            with pytest.raises(PreconditionFailed):
                await self.store.put(key, b"fourth", if_match=first.etag)
            assert self.raw_get(key) == b"third", key

    @pytest.mark.anyio
    async def test_it_finds_that_the_server_keeps_conditions_and_leaves_nothing_behind(self) -> None:
        await self.store.put("k", b"1", if_absent=True)
        assert self.store.conditional_writes is True
        assert self.raw_versions() == ["k"]

    @pytest.mark.anyio
    async def test_where_versions_may_not_be_deleted_the_object_that_asked_is(
        self, moto_proxy: Proxy
    ) -> None:
        with moto_proxy.injecting(
            ACCESS_DENIED, operation="DeleteObject", bucket=self.bucket, query="versionId"
        ) as rule:
            await self.store.put("k", b"1", if_absent=True)
        assert rule.fired == 1
        assert (self.store.conditional_writes, self.store.conditional_deletes) == (True, True)
        assert await self.keys() == ["k"]

    @pytest.mark.anyio
    async def test_two_that_ask_at_once_whether_conditions_are_kept_do_not_mislead_each_other(
        self, moto_proxy: Proxy
    ) -> None:
        assert isinstance(self.store, S3Store)
        other = S3Store(self.bucket, self.store.clients)
        pause = Pause("before")
        with moto_proxy.injecting(pause, operation="PutObject", bucket=self.bucket, nth=4):
            async with anyio.create_task_group() as group:
                group.start_soon(functools.partial(self.store.put, "a", b"1", if_absent=True))
                await anyio.to_thread.run_sync(
                    pause.wait_until_reached
                )  # before its write with the right etag
                await other.put("b", b"1", if_absent=True)
                pause.release()
        assert (self.store.conditional_writes, other.conditional_writes) == (True, True)

    @pytest.fixture(autouse=True)
    def _open(self, moto: S3Access, moto_clients: S3Clients) -> Iterator[None]:
        self.bucket = moto.make_bucket(versioned=self.versioned)
        self.store = S3Store(self.bucket, moto_clients)
        with moto.boto() as self.raw:
            yield


class TestS3Store(S3StoreContract):
    pass


class TestS3StoreWithoutVersions(S3StoreContract):
    versioned = False


@pytest.fixture(scope="module")
def ceph_clients(ceph: CephCluster, ceph_proxy: Proxy) -> S3Clients:
    return clients_of(ceph.access.via(ceph_proxy.url))


@pytest.mark.xdist_group("ceph")
@pytest.mark.timeout(300)  # the server starts in the first
class TestS3StoreOnCeph(S3Contract):
    """Ceph 16.2 ignores ``If-None-Match`` and refuses every ``If-Match``: there the store checks by reading, and says so.
    What it cannot promise there are races."""

    odd_keys = tuple(key for key in ODD_KEYS if key != "\x01")  # which it takes, and then fails to list

    test_of_many_create_only_writers_exactly_one_wins = None
    test_increments_by_compare_and_swap_lose_none = None

    @pytest.fixture(autouse=True)
    def _open(self, ceph: CephCluster, ceph_clients: S3Clients) -> Iterator[None]:
        self.bucket = ceph.access.make_bucket(versioned=self.versioned)
        self.store = S3Store(self.bucket, ceph_clients)
        with ceph.access.boto() as self.raw:
            yield

    @pytest.mark.anyio
    async def test_it_finds_that_the_server_keeps_no_conditions_and_leaves_nothing_behind(self) -> None:
        await self.store.put("k", b"1", if_absent=True)
        assert (self.store.conditional_writes, self.store.conditional_deletes) == (False, False)
        assert self.raw_versions() == ["k"]

    @pytest.mark.anyio
    async def test_a_wrong_secret_is_refused_and_not_repeated(
        self, ceph: CephCluster, ceph_proxy: Proxy
    ) -> None:
        stranger = replace(ceph.access.via(ceph_proxy.url), secret_key="wrong")
        store = S3Store(self.bucket, clients_of(stranger))
        self.raw_set("k", b"1")
        for act in (
            lambda: store.get("k"),
            lambda: store.put("k", b"2"),
            lambda: anext(store.list()),
            lambda: store.get("a//b"),
        ):
            with pytest.raises((AuthenticationError, PermissionDenied)) as caught:
                await act()
            assert caught.value.next_step
            assert "wrong" not in str(caught.value) + caught.value.next_step + str(caught.value.details)

    @pytest.mark.anyio
    async def test_a_bucket_of_somebody_else_names_the_action_that_is_missing(
        self, ceph: CephCluster, ceph_proxy: Proxy
    ) -> None:
        self.raw_set("k", b"1")
        store = S3Store(self.bucket, clients_of(ceph.user(f"not-of-{self.bucket}").via(ceph_proxy.url)))
        for act, action in (
            (lambda: store.stat("k"), "s3:GetObject"),
            (lambda: store.get("k"), "s3:GetObject"),
            (lambda: store.get("a//b"), "s3:GetObject"),
            (lambda: anext(store.list()), "s3:ListBucket"),
            (lambda: store.put("k", b"2"), "s3:PutObject"),
            (lambda: store.put("k", b"2", if_absent=True), "s3:PutObject"),
            (lambda: store.delete("k"), "s3:DeleteObject"),
        ):
            with pytest.raises(PermissionDenied) as caught:
                await act()
            assert caught.value.details["action"] == action
            assert action in caught.value.next_step
        assert self.raw_versions() == ["k"]

    @pytest.mark.anyio
    async def test_the_keys_of_an_assumed_role_do_what_the_role_may_and_no_more(
        self, ceph: CephCluster, ceph_proxy: Proxy
    ) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["s3:GetObject", "s3:ListBucket"],
                    "Resource": [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"],
                }
            ],
        }
        role = ceph.role(f"reader-of-{self.bucket}", trusts=ceph.access.access_key, policy=policy)
        assumed = ceph.assume(role, ceph.access)
        assert assumed.session_token
        store = S3Store(self.bucket, clients_of(assumed.via(ceph_proxy.url)))
        self.raw_set("k", b"1")
        assert (await store.get("k"))[1] == b"1"
        assert [found.key async for found in store.list()] == ["k"]
        for act in (lambda: store.put("k", b"2"), lambda: store.put("a//b", b"2"), lambda: store.delete("k")):
            with pytest.raises(PermissionDenied) as caught:
                await act()
            assert caught.value.details["action"] in ("s3:PutObject", "s3:DeleteObject")
        assert self.raw_get("k") == b"1"
