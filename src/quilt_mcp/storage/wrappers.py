"""Stores around stores. Read-only is kept here, where bytes would leave, and not by hiding tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import ReadOnly
from quilt_mcp.storage.store import (
    FoundFiles,
    HasLocalFiles,
    Listing,
    ListsPages,
    ObjectStat,
    SignsLinks,
    Store,
    Stores,
    Taken,
    TakesFiles,
)


def read_only(store: Store) -> ReadOnlyStore:
    """``store``, without its writes. It keeps the abilities it has (those of a folder's store, or of a bucket's), and gains
    none."""
    if isinstance(store, HasLocalFiles) and isinstance(store, TakesFiles):
        return _ReadOnlyTakingLocalStore(store)
    if isinstance(store, HasLocalFiles):
        return _ReadOnlyLocalStore(store)
    if isinstance(store, SignsLinks) and isinstance(store, ListsPages):
        return _ReadOnlyBucket(store)
    return ReadOnlyStore(store)


class ReadOnlyStore:
    """Reading passes through; every verb that writes raises ReadOnly before anything is done. Made by ``read_only``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def conditional_writes(self) -> bool | None:
        return self._store.conditional_writes

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return self._store.physical_key(key, version)

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        return await self._store.stat(key, version=version)

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        return await self._store.get(key, offset=offset, length=length, version=version)

    def stream(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        version: str | None = None,
        chunk_size: int = 1 << 20,
    ) -> AsyncIterator[bytes | memoryview]:
        return self._store.stream(key, offset=offset, length=length, version=version, chunk_size=chunk_size)

    def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        return self._store.list(prefix, after=after)

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        return await self._store.list_folder(prefix, after=after, limit=limit)

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        raise self._refusal(key)

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        raise self._refusal(key)

    def _refusal(self, key: str) -> ReadOnly:
        return ReadOnly(
            f"{key!r} was not written to {self.url}: this server only reads.",
            next_step="Start the server with --allow-write (or QUILT_ALLOW_WRITE=1), then make the same call again.",
            details={"registry": self.url},
        )


class _ReadOnlyLocalStore(ReadOnlyStore):
    @property
    def _local(self) -> HasLocalFiles:
        if not isinstance(self._store, HasLocalFiles):
            raise AssertionError("made for a store with local files")
        return self._store

    def open_file(self, key: str) -> int:
        return self._local.open_file(key)

    def files_in(self, prefix: str) -> AbstractContextManager[Callable[[str], int]]:
        return self._local.files_in(prefix)


class _ReadOnlyTakingLocalStore(_ReadOnlyLocalStore):
    async def take_file(
        self, source_fd: int, hash_type: str, key_of: Callable[[Hash], str], progress: Progress = no_progress
    ) -> Taken:
        raise self._refusal("A local file")


class _ReadOnlyBucket(ReadOnlyStore):
    async def list_page(self, prefix: str, *, after: str = "") -> Listing:
        if not isinstance(self._store, ListsPages):
            raise AssertionError("made for a store that lists by pages")
        return await self._store.list_page(prefix, after=after)

    async def sign(self, key: str, *, version: str | None, expires_in: int) -> tuple[str, datetime]:
        if not isinstance(self._store, SignsLinks):
            raise AssertionError("made for a store that signs links")
        return await self._store.sign(key, version=version, expires_in=expires_in)


class ReadOnlyStores:
    """Stores that hand out read-only stores."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, key = self._stores.locate(physical_key)
        return read_only(store), key

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, prefix = self._stores.locate_folder(physical_key)
        return read_only(store), prefix

    def registry(self, url: str) -> Store:
        return read_only(self._stores.registry(url))

    async def find(self, origin: str) -> FoundFiles:
        return await self._stores.find(origin)
