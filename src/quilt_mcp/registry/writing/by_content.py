"""Content placement: files stored under the name of their own hash, in a local registry.

A file that is stored already is not stored again: what lies under its hash is read and compared, at the speed of a read, and
replaced when it is damaged. Entries that name an object by its hash are taken by that hash; of their objects only the size is
checked. With ``copy`` off files are hashed where they lie, and stay there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.plan import Progress, share
from quilt_mcp.errors import PreconditionFailed
from quilt_mcp.registry.layout import is_named_by, object_key
from quilt_mcp.registry.recorded import check_file, check_hash, check_size, not_pinned
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.objects import hash_object, holds, local_file
from quilt_mcp.storage.s3.conditions import NULL_VERSION
from quilt_mcp.storage.store import FileIntake, Store, Stores


class ContentPlacement:
    """See ``intake.Placement``. Files go by way of ``intake``; the package's name makes no difference."""

    def __init__(self, store: Store, intake: FileIntake, stores: Stores, scratch: Path, copy: bool) -> None:
        self._store = store
        self._intake = intake
        self._stores = stores
        self._scratch = scratch
        self._copy = copy
        self._not_pinned: list[str] = []
        self._asked: set[str] = set()

    async def notices(self, stored: int) -> tuple[str, ...]:
        return not_pinned(self._not_pinned)

    async def hash_type(self) -> str:
        return SHA256_CHUNKED

    async def survey(self) -> Callable[[Incoming], int]:
        root = self._store.physical_key("x").path.removesuffix("x")

        def look(item: Incoming) -> int:
            origin = item.physical_key
            if origin is None:
                return item.size
            key = origin.path.removeprefix(root)
            is_stored = origin.bucket is None and key != origin.path and is_named_by(item.hash, key)
            return item.size if self._copy and not is_stored else 0

        return look

    async def is_stored(self, item: Incoming, before: Entry | None, found: Hash) -> bool:
        key = object_key(found)
        if found.type != SHA256_CHUNKED or key in self._asked:
            return found.type == SHA256_CHUNKED
        self._asked.add(key)
        return await holds(self._store, key, found, size=item.size)

    async def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry], progress: Progress
    ) -> AsyncGenerator[tuple[Entry, int]]:
        for item in items:
            yield await self._place(item, before.get(item.logical_key), progress)

    async def _place(self, item: Incoming, before: Entry | None, progress: Progress) -> tuple[Entry, int]:
        address = item.physical_key
        if address is None:
            return await self._place_content(item, item.content or b"")
        source, key = self._stores.locate(address)
        if source.url == self._store.url and is_named_by(item.hash, key):
            async with local_file(source, key, self._scratch) as descriptor:
                check_size(item.record, os.fstat(descriptor).st_size)
            return item.unread(), 0
        if not self._copy:
            return await self._refer(item, source, key, address.version_id, progress), 0
        bringing = share(progress, 0, 0.5)
        if source.local_files is None:
            progress = share(progress, item.size / 2, 0.5)
        async with local_file(
            source, key, self._scratch, version=address.version_id, progress=bringing
        ) as descriptor:
            return await self._place_file(item, before, descriptor, progress)

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

    async def _refer(
        self, item: Incoming, source: Store, key: str, version: str | None, progress: Progress
    ) -> Entry:
        """The entry of a file that stays where it is."""
        if source.local_files is None:
            stat = await source.stat(key, version=version)
            check_size(item.record, stat.size)
            version = version or stat.version
            if version in (None, NULL_VERSION):
                self._not_pinned.append(item.origin)
            found = item.hash
            if found is None or item.registry != source.url:
                wanted = found.type if found else SHA256_CHUNKED
                found = await hash_object(
                    source, key, wanted, size=stat.size, version=version, progress=progress
                )
                check_hash(item.record, found)
            return item.entry(str(source.physical_key(key, version)), stat.size, found)
        async with local_file(source, key, self._scratch) as descriptor:
            size = os.fstat(descriptor).st_size
            found = await hash_file(descriptor, size, SHA256_CHUNKED, progress)
            await check_file(item.record, descriptor, size, found)
        return item.entry(item.origin, size, found)

    async def _place_file(
        self, item: Incoming, before: Entry | None, descriptor: int, progress: Progress
    ) -> tuple[Entry, int]:
        size = os.fstat(descriptor).st_size
        known = before.hash if before is not None and before.size == size else None
        if known is not None and known.type == SHA256_CHUNKED:
            found = await hash_file(descriptor, size, SHA256_CHUNKED, share(progress, 0, 0.25))
            holding = share(progress, size / 4, 0.25)
            progress = share(progress, size / 2, 0.5)
            if found == known and await holds(
                self._store, object_key(found), found, size=size, progress=holding
            ):
                await check_file(item.record, descriptor, size, found)
                return item.entry(str(self._store.physical_key(object_key(found))), size, found), 0
        taken = await self._intake.take_file(descriptor, SHA256_CHUNKED, object_key, progress)
        await check_file(item.record, descriptor, taken.stat.size, taken.hash)
        entry = item.entry(str(self._store.physical_key(taken.stat.key)), taken.stat.size, taken.hash)
        return entry, taken.stat.size if taken.created else 0
