"""The local store beside a dictionary: any sequence of calls, from two stores on one folder, gives the same answers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.from_thread
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quilt_mcp.errors import AlreadyExists, NotAFile, ObjectNotFound, PreconditionFailed
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.syscalls import Syscalls
from quilt_mcp.storage.store import ObjectStat

T = TypeVar("T")

NAMES = st.sampled_from(
    ["a", "a-", "a.b", "a0", "b", "é", "\uffff", "\U0001f600", "A", ".h", "a b", "-", "~"]
)
KEYS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TEXTS = st.just("") | KEYS | KEYS.map(lambda key: key + "/") | KEYS.map(lambda key: key[:-1])
CONTENTS = st.binary(max_size=20) | st.integers(65_530, 65_542).map(lambda size: b"x" * size)
STORES = st.integers(0, 1)


class Unsynced(Syscalls):
    def fsync(self, fd: int) -> None:
        """Answers are compared here, and no power is cut."""


class LocalStoreBesideADictionary(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.stores = [LocalStore(self.root, kernel=Unsynced()) for _ in range(2)]
        self.objects: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self._portal = anyio.from_thread.start_blocking_portal("asyncio")
        self.portal = self._portal.__enter__()

    def teardown(self) -> None:
        if hasattr(self, "portal"):
            self._portal.__exit__(None, None, None)
            shutil.rmtree(self.root)

    def run(self, call: Callable[[], Awaitable[T]]) -> T:
        return self.portal.call(call)

    def is_folder(self, key: str) -> bool:
        return any(other.startswith(key + "/") for other in self.objects)

    def is_below_a_file(self, key: str) -> bool:
        return any(key.startswith(other + "/") for other in self.objects)

    @rule(which=STORES, key=KEYS, content=CONTENTS, if_absent=st.booleans())
    def put(self, which: int, key: str, content: bytes, if_absent: bool) -> None:
        try:
            stat = self.run(lambda: self.stores[which].put(key, content, if_absent=if_absent))
        except NotAFile:
            assert self.is_folder(key)
        except AlreadyExists:
            assert self.is_below_a_file(key)
        except PreconditionFailed:
            assert if_absent
            assert key in self.objects
        else:
            assert not (if_absent and key in self.objects)
            assert not self.is_folder(key)
            assert not self.is_below_a_file(key)
            if key in self.objects and self.objects[key] != content:
                assert stat.etag != self.etags[key]
            self.objects[key], self.etags[key] = content, stat.etag

    @rule(which=STORES, key=KEYS, content=CONTENTS, is_stale=st.booleans())
    def swap(self, which: int, key: str, content: bytes, is_stale: bool) -> None:
        if self.is_folder(key) or self.is_below_a_file(key):
            return
        etag = "stale" if is_stale else self.etags.get(key, "nothing")
        try:
            stat = self.run(lambda: self.stores[which].put(key, content, if_match=etag))
        except PreconditionFailed:
            assert is_stale or key not in self.objects
        else:
            assert not is_stale
            self.objects[key], self.etags[key] = content, stat.etag

    @rule(which=STORES, key=KEYS, condition=st.sampled_from(["none", "right", "stale"]))
    def delete(self, which: int, key: str, condition: str) -> None:
        etag = {"none": None, "right": self.etags.get(key, "nothing"), "stale": "stale"}[condition]
        try:
            self.run(lambda: self.stores[which].delete(key, if_match=etag))
        except NotAFile:
            assert self.is_folder(key)
        except PreconditionFailed:
            assert condition == "stale"
            assert key in self.objects
        else:
            assert condition != "stale" or key not in self.objects
            self.objects.pop(key, None)
            self.etags.pop(key, None)

    @rule(which=STORES, key=KEYS, offset=st.integers(0, 25), length=st.none() | st.integers(0, 25))
    def get(self, which: int, key: str, offset: int, length: int | None) -> None:
        try:
            stat, content = self.run(lambda: self.stores[which].get(key, offset=offset, length=length))
        except ObjectNotFound:
            assert key not in self.objects
        except NotAFile:
            assert self.is_folder(key)
        else:
            end = None if length is None else offset + length
            assert content == self.objects[key][offset:end]
            assert (stat.size, stat.etag) == (len(self.objects[key]), self.etags[key])

    @rule(which=STORES, prefix=TEXTS, after=TEXTS)
    def list(self, which: int, prefix: str, after: str) -> None:
        if not _is_well_formed(prefix):
            return

        async def collect() -> list[ObjectStat]:
            return [found async for found in self.stores[which].list(prefix, after=after)]

        expected = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        assert [found.key for found in self.run(collect)] == expected

    @rule(which=STORES, folder=st.just("") | KEYS.map(lambda key: key + "/"), limit=st.integers(1, 4))
    def list_folder(self, which: int, folder: str, limit: int) -> None:
        below = {key[len(folder) :] for key in self.objects if key.startswith(folder)}
        expected = sorted({folder + name.partition("/")[0] + "/" * ("/" in name) for name in below})
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            at = after
            page = self.run(lambda at=at: self.stores[which].list_folder(folder, after=at, limit=limit))
            names = sorted([found.key for found in page.objects] + [*page.folders])
            assert len(names) == limit or page.next_after is None
            seen += names
            after = page.next_after
        assert seen == expected

    @invariant()
    def nothing_is_left_behind(self) -> None:
        if hasattr(self, "root") and (self.root / ".quilt/tmp").exists():
            assert list((self.root / ".quilt/tmp").iterdir()) == []


def _is_well_formed(prefix: str) -> bool:
    folder = prefix.rpartition("/")[0]
    return not prefix.startswith("/") and all(folder.split("/")) if folder else not prefix.startswith("/")


TestLocalStoreBesideADictionary = LocalStoreBesideADictionary.TestCase
