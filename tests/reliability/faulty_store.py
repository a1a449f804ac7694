"""FaultyStore: a store whose every call a test may watch, fail, lose, do twice, or die at. It stands between the engine and
a real store, and keeps that store's abilities."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.store import FileIntake, FoundFiles, Listing, LocalFiles, ObjectStat, Store, Taken

T = TypeVar("T")


class Fault(Enum):
    FAIL = "fail"
    """Nothing is done, and the call fails."""
    LOSE = "lose"
    """It is done, and the answer never comes."""
    TWICE = "twice"
    """It is done, the answer is lost, and the client tries again by itself."""
    DIE_BEFORE = "die before"
    DIE_AFTER = "die after"


@dataclass(frozen=True, slots=True)
class Call:
    """The ``number``-th call (from 0) to any store of one ``FaultyStores``."""

    number: int
    verb: str
    key: str

    @property
    def writes(self) -> bool:
        return self.verb in ("put", "delete", "take_file")


Script = Callable[[Call], Awaitable["Fault | None"]]
"""Awaited ahead of each call: may wait, act in between, and say what goes wrong."""


async def nothing(call: Call) -> Fault | None:
    return None


def at(number: int, fault: Fault, *, writes: bool = False) -> Script:
    """The fault at one call; counted among writes only, if so asked."""
    seen = -1

    async def script(call: Call) -> Fault | None:
        nonlocal seen
        seen += call.writes or not writes
        return fault if seen == number and (call.writes or not writes) else None

    return script


class FaultyStores:
    """A ``Stores`` around local stores. ``calls`` is what was asked of them, in order."""

    def __init__(self, stores: LocalStores, script: Script = nothing) -> None:
        self._stores = stores
        self.script = script
        self.calls: list[Call] = []

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, key = self._stores.locate(physical_key)
        return self._around(store), key

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, prefix = self._stores.locate_folder(physical_key)
        return self._around(store), prefix

    def registry(self, url: str) -> Store:
        return self._around(self._stores.registry(url))

    async def find(self, origin: str) -> FoundFiles:
        return await self._stores.find(origin)

    def _around(self, store: Store) -> Store:
        assert isinstance(store, LocalStore)
        return FaultyStore(store, self)

    async def meet(self, verb: str, key: str) -> Fault | None:
        call = Call(len(self.calls), verb, key)
        self.calls.append(call)
        return await self.script(call)


class FaultyStore:
    def __init__(self, store: LocalStore, stores: FaultyStores) -> None:
        self._store = store
        self._stores = stores

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def conditional_writes(self) -> bool | None:
        return self._store.conditional_writes

    @property
    def conditional_deletes(self) -> bool | None:
        return self._store.conditional_deletes

    @property
    def local_files(self) -> LocalFiles:
        return self

    @property
    def intake(self) -> FileIntake:
        return self

    @property
    def signer(self) -> None:
        return None

    @property
    def pages(self) -> None:
        return None

    @property
    def entries(self) -> None:
        return None

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return self._store.physical_key(key, version)

    def open_file(self, key: str) -> int:
        return self._store.open_file(key)

    def stat_file(self, key: str) -> os.stat_result:
        return self._store.stat_file(key)

    def files_in(self, prefix: str) -> AbstractContextManager[Callable[[str], int]]:
        return self._store.files_in(prefix)

    async def _do(self, verb: str, key: str, act: Callable[[], Awaitable[T]]) -> T:
        fault = await self._stores.meet(verb, key)
        if fault is Fault.DIE_BEFORE:
            die()
        if fault is Fault.FAIL:
            raise StorageUnavailable(f"{verb} {key}: a fault of the test.", next_step="Try again.")
        try:
            result = await act()
        finally:
            if fault is Fault.DIE_AFTER:
                die()
        if fault is Fault.LOSE:
            raise StorageUnavailable(f"{verb} {key}: the answer was lost.", next_step="Try again.")
        return await act() if fault is Fault.TWICE else result

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        return await self._do("stat", key, lambda: self._store.stat(key, version=version))

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        return await self._do(
            "get", key, lambda: self._store.get(key, offset=offset, length=length, version=version)
        )

    async def stream(self, key: str, **asked: Any) -> AsyncIterator[bytes]:
        await self._do("stream", key, _done)
        async for chunk in self._store.stream(key, **asked):
            yield chunk

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        await self._do("list", prefix, _done)
        async for stat in self._store.list(prefix, after=after):
            yield stat

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        return await self._do(
            "list_folder", prefix, lambda: self._store.list_folder(prefix, after=after, limit=limit)
        )

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        return await self._do(
            "put", key, lambda: self._store.put(key, body, if_absent=if_absent, if_match=if_match)
        )

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        await self._do("delete", key, lambda: self._store.delete(key, if_match=if_match))

    async def take_file(
        self,
        source_fd: int,
        hash_type: str,
        key_of: Callable[[Hash], str],
        progress: Progress = no_progress,
    ) -> Taken:
        return await self._do(
            "take_file", "", lambda: self._store.take_file(source_fd, hash_type, key_of, progress)
        )


async def _done() -> None:
    return None


def die() -> None:
    """As the kernel would have it: no handler runs, no buffer is written."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Opened:
    ops: DirectOps
    stores: FaultyStores


def open_faulty(root: Path, script: Script = nothing, *, clock: Callable[[], float] = time.time) -> Opened:
    """The local backend over ``root/registry``, with all of ``root`` in reach, and a test's script between it and the disk."""
    registry = root / "registry"
    registry.mkdir(parents=True, exist_ok=True)
    local = LocalStores([registry], [root])
    stores = FaultyStores(local, script)
    options = Options(roots=(root,), writable=True, cache=root / "cache", cache_bytes=1 << 30)
    ops = DirectOps("local", (registry.as_uri(),), stores, local, options, clock=clock)
    return Opened(ops, stores)
