"""Opening: the files of a query as descriptors whose bytes were held against the manifest, or as ranges of one version."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from anyio import to_thread

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import HashMismatch, NotSupported, QuiltError, TooCostly
from quilt_mcp.registry.recorded import check_hash, check_size
from quilt_mcp.registry.registry import Registry
from quilt_mcp.sql.child import QueryFile
from quilt_mcp.sql.formats import inner_name, kind_of
from quilt_mcp.storage.content import ContentCache, Write
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.objects import bring_object
from quilt_mcp.storage.store import Place, Store

RANGED: Final = 64 << 20
"""Parquet larger than this is read by ranges where it lies in a bucket; everything else is brought whole."""
MOST_WHOLE: Final = 1 << 30
"""Bytes that one query brings from buckets."""
_PIECE: Final = 8 << 20
_Stamp = tuple[int, int, int, int, int]


class HeldFiles:
    """The files of one query, open until it ends."""

    def __init__(self) -> None:
        self.files: list[QueryFile] = []
        self._open = ExitStack()

    def add(self, file: QueryFile) -> int:
        """Its number. A descriptor becomes this object's, to be closed."""
        if file.descriptor is not None:
            self._open.callback(os.close, file.descriptor)
        self.files.append(file)
        return len(self.files) - 1

    def close(self) -> None:
        self._open.close()


@dataclass(slots=True)
class Brought:
    """``whole``: bytes that a query has brought so far; ``warnings`` of what could not be checked."""

    whole: int
    warnings: dict[str, None]


class Opening:
    """``content``: what was brought before."""

    def __init__(self, content: ContentCache) -> None:
        self._content = content
        self._right: dict[_Stamp, str] = {}
        """Files whose bytes were found right, and as what."""

    async def entry(
        self,
        registry: Registry,
        pinned: PackageUri,
        entry: Entry,
        brought: Brought,
        progress: Progress = no_progress,
        kind: str | None = None,
    ) -> QueryFile:
        """A file of a revision, of a ``kind`` (as of ``formats.kind_of``) where its name does not say it. Raises HashMismatch for
        one that is not what the manifest says, TooCostly, and as its store does."""
        place = registry.locate(pinned, entry)
        kind = kind or kind_of(entry.logical_key)
        size, name = entry.size or 0, inner_name(entry.logical_key, kind)
        if place.store.local_files is not None:
            descriptor = await to_thread.run_sync(place.store.local_files.open_file, place.key)
            try:
                check_size(entry, os.fstat(descriptor).st_size)
                await self._check(entry, descriptor, size, brought, progress)
            except BaseException:
                os.close(descriptor)
                raise
            return QueryFile(name, size, descriptor)
        if kind == "parquet" and size > RANGED:
            stat = await place.store.stat(place.key, version=place.version)
            check_size(entry, stat.size)
            said = (
                f"not_verified: {entry.logical_key} is read by ranges, which are of one version and are not held against its "
                "hash."
            )
            brought.warnings[said] = None
            return QueryFile(name, size, fetch=_ranges(place, place.version or stat.version, stat.etag))
        _count(brought, entry.logical_key, size)
        return QueryFile(name, size, await self._whole(place, entry, size, brought, progress))

    async def object(self, store: Store, key: str, version: str | None, brought: Brought) -> QueryFile:
        """An object as it is now, of which no manifest says anything."""
        name = inner_name(key, kind_of(key))
        if store.local_files is not None:
            descriptor = await to_thread.run_sync(store.local_files.open_file, key)
            return QueryFile(name, os.fstat(descriptor).st_size, descriptor)
        stat = await store.stat(key, version=version)
        if kind_of(key) != "parquet":
            _count(brought, key, stat.size)
        return QueryFile(
            name, stat.size, fetch=_ranges(Place(store, key, None), version or stat.version, stat.etag)
        )

    async def _whole(
        self, place: Place, entry: Entry, size: int, brought: Brought, progress: Progress
    ) -> int:
        if entry.hash is None:
            check_hash(entry, None)  # pyright: ignore[reportArgumentType] - which raises
            raise AssertionError
        content = entry.hash

        async def bring(write: Write) -> None:
            found = await bring_object(
                place.store,
                place.key,
                content.type,
                size=size,
                version=place.version,
                write=write,
                progress=progress,
            )
            check_hash(entry, found)

        descriptor = await self._content.open(content, size, bring)
        try:
            await self._check(entry, descriptor, size, brought, progress)
        except HashMismatch:
            os.close(descriptor)
            await to_thread.run_sync(self._content.forget, content)
            descriptor = await self._content.open(content, size, bring)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    async def _check(
        self, entry: Entry, descriptor: int, size: int, brought: Brought, progress: Progress
    ) -> None:
        """Reads the file once for as long as it stays as it is."""
        if entry.hash is None:
            brought.warnings[f"not_verified: no hash of {entry.logical_key} is recorded."] = None
            return
        about, right = os.fstat(descriptor), f"{entry.hash.type}:{entry.hash.value}"
        stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if self._right.get(stamp) == right:
            return
        try:
            check_hash(entry, await hash_file(descriptor, size, entry.hash.type, progress))
        except NotSupported as error:
            brought.warnings[f"not_verified: {entry.logical_key}: {error.message}"] = None
            return
        if len(self._right) >= 10_000:
            self._right.clear()
        self._right[stamp] = right


def _count(brought: Brought, name: str, size: int) -> None:
    brought.whole += size
    if brought.whole > MOST_WHOLE:
        raise TooCostly(
            f"The files of this query are more than {MOST_WHOLE >> 20:,} MB, with {name}.",
            next_step="Name fewer files, or keep the data as Parquet, which is read by ranges; engine=athena, where there "
            "is one, reads where the data lies.",
        )


def _ranges(place: Place, version: str | None, etag: str):
    async def fetch(offset: int, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            at = offset + len(found)
            stat, some = await place.store.get(
                place.key, offset=at, length=min(_PIECE, length - len(found)), version=version
            )
            if not some or stat.etag != etag:
                raise _cut_short(place)
            found += some
        return bytes(found)

    return fetch


def _cut_short(place: Place) -> QuiltError:
    return HashMismatch(
        f"{place.store.physical_key(place.key)} was written to while it was read.",
        next_step="Make the same call again.",
    )
