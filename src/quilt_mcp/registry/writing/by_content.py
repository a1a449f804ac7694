"""Content placement: files stored under the name of their own hash, in a local registry.

A file that is stored already is not stored again. With ``copy`` off files are hashed where they lie, and stay there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Entry
from quilt_mcp.errors import PreconditionFailed, StorageUnavailable
from quilt_mcp.registry.layout import OBJECTS, object_key
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.registry.writing.recorded import hold_against_record
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.objects import hash_object, local_file
from quilt_mcp.storage.store import FileIntake, Store, Stores


class ContentPlacement:
    """See ``intake.Placement``. Files go by way of ``intake``; the package's name makes no difference."""

    def __init__(self, store: Store, intake: FileIntake, stores: Stores, scratch: Path, copy: bool) -> None:
        self._store = store
        self._intake = intake
        self._stores = stores
        self._scratch = scratch
        self._copy = copy

    async def notices(self) -> tuple[str, ...]:
        return ()

    async def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry]
    ) -> AsyncGenerator[tuple[Entry, int]]:
        for item in items:
            yield await self._place(item, before.get(item.logical_key))

    async def _place(self, item: Incoming, before: Entry | None) -> tuple[Entry, int]:
        if item.physical_key is None:
            return await self._place_content(item, item.content or b"")
        source, key = self._stores.locate(item.physical_key)
        if source.url == self._store.url and key.startswith(OBJECTS) and item.hash is not None:
            return Entry(item.logical_key, str(item.physical_key), item.size, item.hash, item.meta), 0
        if not self._copy:
            return await self._refer(item, source, key)
        version = item.physical_key.version_id
        async with local_file(source, key, self._scratch, version=version) as descriptor:
            return await self._place_file(item, before, descriptor)

    async def _place_content(self, item: Incoming, content: bytes) -> tuple[Entry, int]:
        found = hash_bytes(content)
        key = object_key(found)
        try:
            await self._store.put(key, content, if_absent=True)
            copied = len(content)
        except PreconditionFailed:
            copied = 0
        place = str(self._store.physical_key(key))
        return Entry(item.logical_key, place, len(content), found, item.meta), copied

    async def _refer(self, item: Incoming, source: Store, key: str) -> tuple[Entry, int]:
        """The entry of a file that stays where it is."""
        version = item.physical_key.version_id if item.physical_key else None
        if source.local_files is None:
            size = (await source.stat(key, version=version)).size
            found = item.hash or await hash_object(source, key, SHA256_CHUNKED, size=size, version=version)
            return Entry(item.logical_key, item.origin, size, found, item.meta), 0
        async with local_file(source, key, self._scratch) as descriptor:
            size = os.fstat(descriptor).st_size
            found = await hash_file(descriptor, size, SHA256_CHUNKED)
            await hold_against_record(item, descriptor, size, found)
            if os.fstat(descriptor).st_size != size:
                raise StorageUnavailable(
                    f"{item.origin} changed while it was read.",
                    next_step="Run the call again when nothing writes to the file.",
                    details={"path": item.logical_key},
                )
        return Entry(item.logical_key, item.origin, size, item.hash or found, item.meta), 0

    async def _place_file(self, item: Incoming, before: Entry | None, descriptor: int) -> tuple[Entry, int]:
        size = os.fstat(descriptor).st_size
        if before is not None and before.size == size and before.hash and before.hash.type == SHA256_CHUNKED:
            unchanged = await hash_file(descriptor, size, SHA256_CHUNKED) == before.hash
            if unchanged and await self._is_stored(before):
                await hold_against_record(item, descriptor, size, before.hash)
                kept = Entry(item.logical_key, before.physical_key, size, item.hash or before.hash, item.meta)
                return kept, 0
        taken = await self._intake.take_file(descriptor, SHA256_CHUNKED, object_key)
        await hold_against_record(item, descriptor, taken.stat.size, taken.hash)
        place = str(self._store.physical_key(taken.stat.key))
        entry = Entry(item.logical_key, place, taken.stat.size, item.hash or taken.hash, item.meta)
        return entry, taken.stat.size if taken.created else 0

    async def _is_stored(self, entry: Entry) -> bool:
        """Whether the entry's bytes already lie in this registry, stored by content."""
        if entry.hash is None:
            return False
        key = object_key(entry.hash)
        if entry.physical_key != str(self._store.physical_key(key)):
            return False
        return (await self._store.stat(key)).size == entry.size
