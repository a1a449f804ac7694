"""Content placement: files stored under the name of their own hash, in a local registry.

A file that is stored already is not stored again: what lies under its hash is read and compared, at the speed of a read, and
replaced when it is damaged. Entries of another package of the registry are taken by their recorded hash; of their objects
only the size is checked. With ``copy`` off files are hashed where they lie, and stay there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Entry
from quilt_mcp.errors import PreconditionFailed
from quilt_mcp.registry.layout import OBJECTS, object_key
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.registry.writing.recorded import check_file, check_size
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.objects import hash_object, holds, local_file
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

    async def survey(self) -> Callable[[Incoming], int]:
        own = self._store.physical_key(f"{OBJECTS}x").path.removesuffix("x")

        def look(item: Incoming) -> int:
            origin = item.physical_key
            if origin is None:
                return item.size
            is_stored = origin.bucket is None and origin.path.startswith(own) and item.hash is not None
            return item.size if self._copy and not is_stored else 0

        return look

    async def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry]
    ) -> AsyncGenerator[tuple[Entry, int]]:
        for item in items:
            yield await self._place(item, before.get(item.logical_key))

    async def _place(self, item: Incoming, before: Entry | None) -> tuple[Entry, int]:
        address = item.physical_key
        if address is None:
            return await self._place_content(item, item.content or b"")
        source, key = self._stores.locate(address)
        if source.url == self._store.url and key.startswith(OBJECTS) and item.hash is not None:
            async with local_file(source, key, self._scratch) as descriptor:
                check_size(item.record, os.fstat(descriptor).st_size)
            return item.entry(item.origin, item.size, item.hash), 0
        if not self._copy:
            return await self._refer(item, source, key, address.version_id), 0
        async with local_file(source, key, self._scratch, version=address.version_id) as descriptor:
            return await self._place_file(item, before, descriptor)

    async def _place_content(self, item: Incoming, content: bytes) -> tuple[Entry, int]:
        found = hash_bytes(content)
        key = object_key(found)
        entry = item.entry(str(self._store.physical_key(key)), len(content), found)
        try:
            await self._store.put(key, content, if_absent=True)
        except PreconditionFailed:
            if await holds(self._store, key, found, size=len(content)):
                return entry, 0
            await self._store.put(key, content)
        return entry, len(content)

    async def _refer(self, item: Incoming, source: Store, key: str, version: str | None) -> Entry:
        """The entry of a file that stays where it is."""
        if source.local_files is None:
            size = (await source.stat(key, version=version)).size
            found = item.hash or await hash_object(source, key, SHA256_CHUNKED, size=size, version=version)
            return item.entry(item.origin, size, found)
        async with local_file(source, key, self._scratch) as descriptor:
            size = os.fstat(descriptor).st_size
            found = await hash_file(descriptor, size, SHA256_CHUNKED)
            await check_file(item.record, descriptor, size, found)
        return item.entry(item.origin, size, found)

    async def _place_file(self, item: Incoming, before: Entry | None, descriptor: int) -> tuple[Entry, int]:
        size = os.fstat(descriptor).st_size
        known = before.hash if before is not None and before.size == size else None
        if known is not None and known.type == SHA256_CHUNKED:
            found = await hash_file(descriptor, size, SHA256_CHUNKED)
            if found == known and await holds(self._store, object_key(found), found, size=size):
                await check_file(item.record, descriptor, size, found)
                return item.entry(str(self._store.physical_key(object_key(found))), size, found), 0
        taken = await self._intake.take_file(descriptor, SHA256_CHUNKED, object_key)
        await check_file(item.record, descriptor, taken.stat.size, taken.hash)
        entry = item.entry(str(self._store.physical_key(taken.stat.key)), taken.stat.size, taken.hash)
        return entry, taken.stat.size if taken.created else 0
