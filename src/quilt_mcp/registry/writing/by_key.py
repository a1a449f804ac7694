"""Key placement: files stored in a bucket at ``<package>/<logical key>``, pinned to the version that was written.

What is there already is not sent again: the parent's entry of the same content, or an object of the same size and checksum.
Objects of the same bucket are referred to where they are; those of another bucket are copied inside S3.

In a bucket that does not keep versions a new file under an old name would take the bytes from every older revision. There
files are stored under the name of their own hash instead (``.quilt/objects/``), as in a local registry, and none is lost.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

import anyio
from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.errors import NotSupported, ObjectNotFound, PermissionDenied
from quilt_mcp.registry.layout import object_key
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.registry.writing.recorded import hold_against_record, not_as_recorded
from quilt_mcp.registry.writing.small_files import Read, read_small_files
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.objects import hash_object
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.s3.uploads import MULTIPART_FROM, S3Uploads, Stored
from quilt_mcp.storage.store import Store, Stores

_PINNED = re.compile(r"s3://([^/?#]+)/[^?#]+\?versionId=[^&#]+")
"""The physical key of one version of an object, which nobody can change."""


_READERS = 2
"""Threads that read small files: what takes the time is Python's own work for each, which more of them would only hinder."""


@dataclass(frozen=True, slots=True)
class _Existing:
    size: int
    etag: str
    version: str | None


class KeyPlacement:
    """See ``intake.Placement``. One for each call: it lists what stands under the package's name once."""

    def __init__(self, store: S3Store, stores: Stores, name: str, copy: bool) -> None:
        self._store = store
        self._stores = stores
        self._uploads = S3Uploads(store)
        self._name = name
        self._copy = copy
        self._existing: dict[str, _Existing] | None = None
        self._listing = anyio.Lock()
        self._reading = anyio.CapacityLimiter(_READERS)

    async def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry]
    ) -> AsyncGenerator[tuple[Entry, int]]:
        read: dict[str, Read] = {}
        small = [item for item in items if _is_small_file(item)] if self._copy else []
        if small:
            read = await to_thread.run_sync(read_small_files, self._stores, small, limiter=self._reading)
        for item in items:
            earlier = before.get(item.logical_key)
            if item.logical_key in read:
                yield await self._place_read(item, earlier, read.pop(item.logical_key))
            else:
                yield await self._place(item, earlier)

    async def _place(self, item: Incoming, before: Entry | None) -> tuple[Entry, int]:
        if item.physical_key is None:
            content = item.content or b""
            return await self._place_read(item, before, Read(content, hash_bytes(content)))
        source, key = self._stores.locate(item.physical_key)
        if (files := source.local_files) is not None:
            if not self._copy:
                raise NotSupported(
                    f"{item.origin} is a local file; a package in {self._store.url} cannot refer to it in place.",
                    next_step="Leave copy out, so that the file is uploaded.",
                    details={"path": item.logical_key},
                )
            descriptor = await to_thread.run_sync(files.open_file, key)
            try:
                return await self._place_file(item, before, descriptor)
            finally:
                os.close(descriptor)
        if isinstance(source, S3Store) and (source.bucket == self._store.bucket or not self._copy):
            return await self._refer(item, source, key), 0
        return await self._copy_object(item, source, item.physical_key)

    async def notices(self) -> tuple[str, ...]:
        state = await self._store.versioning()
        if state == "Enabled":
            return ()
        if state == "unknown":
            return (
                f"versioning_unknown: whether {self._store.url} keeps versions may not be asked (s3:GetBucketVersioning), so "
                "files are stored by their hash under .quilt/objects/, and no revision loses its bytes.",
            )
        return (
            f"unversioned_bucket: {self._store.url} does not keep versions; files are stored by their hash under "
            ".quilt/objects/, so that no revision loses its bytes. Switch versioning on to store them by name.",
        )

    async def _keeps_versions(self) -> bool:
        return await self._store.versioning() == "Enabled"

    async def _key(self, item: Incoming, found: Hash) -> str:
        """Where the file goes. ``found`` is of type sha2-256-chunked."""
        return f"{self._name}/{item.logical_key}" if await self._keeps_versions() else object_key(found)

    # -- from this machine --

    async def _place_read(self, item: Incoming, before: Entry | None, read: Read) -> tuple[Entry, int]:
        content, found = read.content, read.hash
        if item.hash is not None:
            if len(content) != item.size:
                raise not_as_recorded(
                    item.logical_key, item.origin, f"{len(content)} bytes", f"{item.size} bytes"
                )
            recorded = found if item.hash.type == found.type else hash_bytes(content, item.hash.type)
            if recorded != item.hash:
                raise not_as_recorded(item.logical_key, item.origin, recorded.value, item.hash.value)
        kept = self._unchanged(item, before, found, len(content))
        if kept is None:
            kept = await self._found_there(item, found, len(content), content)
        if kept is not None:
            return kept, 0
        stat = await self._store.put(await self._key(item, found), content)
        return self._entry(item, Stored(found, stat), found), len(content)

    async def _place_file(self, item: Incoming, before: Entry | None, descriptor: int) -> tuple[Entry, int]:
        size = os.fstat(descriptor).st_size
        key = f"{self._name}/{item.logical_key}"
        if await self._keeps_versions():
            there = (await self._there()).get(key)
            is_likely = there is not None and there.size == size
        else:
            is_likely = True  # the key is the hash, so it is needed first
        if is_likely or (before is not None and before.size == size):
            found = await hash_file(descriptor, size, SHA256_CHUNKED)
            await hold_against_record(item, descriptor, size, found)
            kept = self._unchanged(item, before, found, size)
            if kept is None:
                kept = await self._found_there(item, found, size, None)
            if kept is not None:
                return kept, 0
            key = await self._key(item, found)
        placed = await self._uploads.put_file(key, descriptor)
        found = placed.hash or await hash_file(descriptor, size, SHA256_CHUNKED)
        await hold_against_record(item, descriptor, size, found)
        return self._entry(item, placed, found), size

    def _unchanged(self, item: Incoming, before: Entry | None, found: Hash, size: int) -> Entry | None:
        """The parent's entry, when it names this very content in a version that nobody can change."""
        if before is None or before.size != size or before.hash != found:
            return None
        pinned = _PINNED.fullmatch(before.physical_key)
        if pinned is None or pinned[1] != self._store.bucket:
            return None
        return Entry(item.logical_key, before.physical_key, size, item.hash or found, item.meta)

    async def _found_there(
        self, item: Incoming, found: Hash, size: int, content: bytes | None
    ) -> Entry | None:
        """An object that an earlier, cut-short push left (or that is unversioned): same key, size and content."""
        key = await self._key(item, found)
        there = await self._object(key)
        if there is None or there.size != size:
            return None
        version = there.version
        is_same = content is not None and there.etag.strip('"') == _md5(content)
        if not is_same or (version is None and await self._keeps_versions()):
            # Also where versions could not be listed: the entry is to name one.
            stored = await self._uploads.stored(key, version, found)
            if stored.hash != found:
                return None
            version = stored.stat.version
        place = str(self._store.physical_key(key, version))
        return Entry(item.logical_key, place, size, item.hash or found, item.meta)

    async def _object(self, key: str) -> _Existing | None:
        if await self._keeps_versions():
            return (await self._there()).get(key)
        try:
            stat = await self._store.stat(key)
        except ObjectNotFound:
            return None
        return _Existing(stat.size, stat.etag, None)

    async def _there(self) -> dict[str, _Existing]:
        """What stands under the package's name: one listing (a request for a thousand keys) instead of a HEAD each."""
        async with self._listing:
            if self._existing is None:
                self._existing = {}
                try:
                    async for page in self._store.list_latest_versions(f"{self._name}/"):
                        for stat in page:
                            self._existing[stat.key] = _Existing(stat.size, stat.etag, stat.version)
                except PermissionDenied:
                    # Without s3:ListBucket nothing is known, so everything is sent.
                    self._existing = {}
            return self._existing

    # -- from S3 --

    async def _refer(self, item: Incoming, source: S3Store, key: str) -> Entry:
        """The entry of an object where it is, pinned to its version; its hash from what S3 keeps, else by reading it."""
        version = item.physical_key.version_id if item.physical_key else None
        if version is not None and item.hash is not None:
            return Entry(item.logical_key, item.origin, item.size, item.hash, item.meta)
        stored = await S3Uploads(source).stored(key, version)
        size, version = stored.stat.size, stored.stat.version
        found = item.hash or stored.hash
        if found is None:
            found = await hash_object(source, key, SHA256_CHUNKED, size=size, version=version)
        return Entry(item.logical_key, str(source.physical_key(key, version)), size, found, item.meta)

    async def _copy_object(self, item: Incoming, source: Store, origin: PhysicalKey) -> tuple[Entry, int]:
        stat = await source.stat(origin.path, version=origin.version_id)
        if item.hash is not None and stat.size != item.size:
            raise not_as_recorded(item.logical_key, item.origin, f"{stat.size} bytes", f"{item.size} bytes")
        pinned = PhysicalKey(origin.bucket, origin.path, origin.version_id or stat.version)
        key = f"{self._name}/{item.logical_key}"
        if not await self._keeps_versions():
            known = item.hash if item.hash is not None and item.hash.type == SHA256_CHUNKED else None
            known = known or await hash_object(
                source, origin.path, SHA256_CHUNKED, size=stat.size, version=pinned.version_id
            )
            kept = await self._found_there(item, known, stat.size, None)
            if kept is not None:
                return kept, 0
            key = object_key(known)
        placed = await self._uploads.copy(key, pinned, stat.size, stat.etag)
        found = placed.hash
        if found is None or (item.hash is not None and item.hash.type != found.type):
            wanted = item.hash.type if item.hash else SHA256_CHUNKED
            found = await hash_object(self._store, key, wanted, size=stat.size, version=placed.stat.version)
        if item.hash is not None and found != item.hash:
            raise not_as_recorded(item.logical_key, item.origin, found.value, item.hash.value)
        return self._entry(item, placed, found), stat.size

    # -- both --

    def _entry(self, item: Incoming, placed: Stored, found: Hash) -> Entry:
        place = str(self._store.physical_key(placed.stat.key, placed.stat.version))
        return Entry(item.logical_key, place, placed.stat.size, item.hash or found, item.meta)


def _is_small_file(item: Incoming) -> bool:
    key = item.physical_key
    return key is not None and key.bucket is None and item.size < MULTIPART_FROM


def _md5(content: bytes) -> str:
    """What S3 has as the etag of an object that was sent in one piece, unencrypted."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
