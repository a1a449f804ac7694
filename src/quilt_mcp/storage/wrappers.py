"""Stores around stores. Read-only is kept here, where bytes would leave, and not by hiding tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import ReadOnly
from quilt_mcp.storage.store import ArchiveKeeper, FileIntake, LinkSigner, Store, Stores


class ReadOnlyStore:
    """Reading is the store's own; every verb that writes raises ReadOnly before anything is done. Abilities that read are those
    of the store."""

    def __init__(self, store: Store) -> None:
        self.read_from = store
        """For questions that only the store itself can answer; nothing is to be written by way of it."""
        self.conditional_writes = store.conditional_writes
        self.conditional_deletes = store.conditional_deletes
        self.url = store.url
        self.local_files = store.local_files
        self.intake: FileIntake | None = None if store.intake is None else self
        self.signer: LinkSigner | None = store.signer and ReadOnlySigner(store.signer, self.url)
        self.pages = store.pages
        self.entries = store.entries
        self.archive: ArchiveKeeper | None = store.archive and ReadOnlyArchive(store.archive, self.url)
        self.physical_key = store.physical_key
        self.stat = store.stat
        self.get = store.get
        self.stream = store.stream
        self.list = store.list
        self.list_folder = store.list_folder

    async def put(self, key: str, *_: object, **__: object) -> NoReturn:
        self._refuse(repr(key))

    async def delete(self, key: str, *, if_match: str | None = None) -> NoReturn:
        self._refuse(repr(key))

    async def take_file(
        self,
        source_fd: int,
        hash_type: str,
        key_of: Callable[[Hash], str],
        progress: Progress = no_progress,
    ) -> NoReturn:
        self._refuse("A local file")

    def _refuse(self, what: str) -> NoReturn:
        raise _read_only(f"{what} was not written to {self.url}", self.url)


class ReadOnlyArchive:
    """Tells of what is archived, and restores nothing."""

    def __init__(self, archive: ArchiveKeeper, url: str) -> None:
        self.stat = archive.stat
        self._url = url

    async def restore(self, key: str, **_: object) -> NoReturn:
        raise _read_only(f"{key!r} in {self._url} was not restored", self._url)


class ReadOnlySigner:
    """Signs links that read."""

    def __init__(self, signer: LinkSigner, url: str) -> None:
        self.sign = signer.sign
        self._url = url

    async def sign_upload(self, key: str, **_: object) -> NoReturn:
        raise _read_only(f"No upload to {key!r} in {self._url} was signed", self._url)


def _read_only(what: str, url: str) -> ReadOnly:
    return ReadOnly(
        f"{what}: this server only reads.",
        next_step="Start the server with --allow-write (or QUILT_ALLOW_WRITE=1), then make the same call again.",
        details={"registry": url},
    )


class ReadOnlyStores:
    """Stores that hand out read-only stores."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.find = stores.find

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, key = self._stores.locate(physical_key)
        return ReadOnlyStore(store), key

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        store, prefix = self._stores.locate_folder(physical_key)
        return ReadOnlyStore(store), prefix

    def registry(self, url: str) -> Store:
        return ReadOnlyStore(self._stores.registry(url))
