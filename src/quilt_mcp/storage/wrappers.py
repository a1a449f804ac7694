"""Stores around stores. Read-only is kept here, where bytes would leave, and not by hiding tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import ReadOnly
from quilt_mcp.storage.store import (
    FileIntake,
    FoundFiles,
    LinkSigner,
    Listing,
    LocalFiles,
    ObjectStat,
    PageLister,
    Store,
    Stores,
    Taken,
)


class ReadOnlyStore:
    """Reading passes through; every verb that writes raises ReadOnly before anything is done. Abilities that read are those of
    the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def conditional_writes(self) -> bool | None:
        return self._store.conditional_writes

    @property
    def local_files(self) -> LocalFiles | None:
        return self._store.local_files

    @property
    def intake(self) -> FileIntake | None:
        return None if self._store.intake is None else self

    @property
    def signer(self) -> LinkSigner | None:
        return self._store.signer

    @property
    def pages(self) -> PageLister | None:
        return self._store.pages

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

    async def take_file(
        self, source_fd: int, hash_type: str, key_of: Callable[[Hash], str], progress: Progress = no_progress
    ) -> Taken:
        raise self._refusal("A local file")

    def _refusal(self, key: str) -> ReadOnly:
        return ReadOnly(
            f"{key!r} was not written to {self.url}: this server only reads.",
            next_step="Start the server with --allow-write (or QUILT_ALLOW_WRITE=1), then make the same call again.",
            details={"registry": self.url},
        )


class ReadOnlyStores:
    """Stores that hand out read-only stores."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, key = self._stores.locate(physical_key)
        return ReadOnlyStore(store), key

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, prefix = self._stores.locate_folder(physical_key)
        return ReadOnlyStore(store), prefix

    def registry(self, url: str) -> Store:
        return ReadOnlyStore(self._stores.registry(url))

    async def find(self, origin: str) -> FoundFiles:
        return await self._stores.find(origin)
