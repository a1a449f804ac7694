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
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import anyio
from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.errors import InvalidName, NotSupported, ObjectNotFound, PermissionDenied
from quilt_mcp.registry.layout import object_key
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.registry.writing.recorded import check_content, check_file, check_hash, check_size
from quilt_mcp.registry.writing.small_files import Read, read_small_files
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.objects import hash_object
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.s3.uploads import MULTIPART_FROM, S3Uploads
from quilt_mcp.storage.store import ObjectStat, Store, Stores

_PINNED = re.compile(r"s3://([^/?#]+)/[^?#]+\?versionId=[^&#]+")
"""The physical key of one version of an object, which nobody can change."""
_LONGEST_KEY = 1024
_READERS = 2
"""Threads that read small files: what takes the time is Python's own work for each, which more of them would only hinder."""


class KeyPlacement:
    """See ``intake.Placement``. One for each call: it lists what stands under the package's name once."""

    def __init__(self, store: S3Store, stores: Stores, name: str, copy: bool) -> None:
        self._store = store
        self._stores = stores
        self._uploads = S3Uploads(store)
        self._name = name
        self._copy = copy
        self._listed: dict[str, ObjectStat] | None = None
        self._listing = anyio.Lock()
        self._reading = anyio.CapacityLimiter(_READERS)

    async def survey(self) -> Callable[[Incoming], int]:
        by_name = await self._keeps_versions()

        def look(item: Incoming) -> int:
            origin = item.physical_key
            if origin is not None and origin.bucket is None and not self._copy:
                raise NotSupported(
                    f"{item.origin} is a local file; a package in {self._store.url} cannot refer to it in place.",
                    next_step="Leave copy out, so that the file is uploaded.",
                    details={"path": item.logical_key},
                )
            if origin is not None and (not self._copy or origin.bucket == self._store.bucket):
                return 0
            if by_name and (length := len(self._named(item).encode())) > _LONGEST_KEY:
                raise InvalidName(
                    f"{item.logical_key[:200]!r} cannot be stored in {self._store.url}: with the package's name before it, its "
                    f"key has {length} bytes, and S3 takes {_LONGEST_KEY}.",
                    next_step="Give it a shorter path (to of the source), or leave it out (exclude).",
                    details={"path": item.logical_key[:200], "bytes": length},
                )
            return item.size

        return look

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
            descriptor = await to_thread.run_sync(files.open_file, key)
            try:
                return await self._place_file(item, before, descriptor)
            finally:
                os.close(descriptor)
        if isinstance(source, S3Store) and (source.bucket == self._store.bucket or not self._copy):
            return await self._refer(item, source, key, item.physical_key.version_id), 0
        return await self._copy_object(item, source, item.physical_key)

    async def notices(self) -> tuple[str, ...]:
        state = await self._store.listings.versioning()
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
        return await self._store.listings.versioning() == "Enabled"

    async def _key(self, item: Incoming, found: Hash) -> str:
        """Where the file goes. ``found`` is of type sha2-256-chunked."""
        return self._named(item) if await self._keeps_versions() else object_key(found)

    def _named(self, item: Incoming) -> str:
        return f"{self._name}/{item.logical_key}"

    def _entry(self, item: Incoming, stat: ObjectStat, found: Hash) -> Entry:
        return item.entry(str(self._store.physical_key(stat.key, stat.version)), stat.size, found)

    # -- from this machine --

    async def _place_read(self, item: Incoming, before: Entry | None, read: Read) -> tuple[Entry, int]:
        content, found = read.content, read.hash
        check_content(item.record, content, found)
        stored = await self._stored_before(item, before, found, len(content), content)
        if stored is not None:
            return stored, 0
        stat = await self._store.put(await self._key(item, found), content)
        return self._entry(item, stat, found), len(content)

    async def _place_file(self, item: Incoming, before: Entry | None, descriptor: int) -> tuple[Entry, int]:
        """Hashes the file first where the hash is needed first, or may spare the upload; else while it is sent."""
        size = os.fstat(descriptor).st_size
        key = self._named(item)
        if await self._keeps_versions():
            listed = (await self._listed_objects()).get(key)
            sizes = {stored.size for stored in (before, listed) if stored is not None}
        else:
            sizes = {size}  # the key is the hash
        if size in sizes:
            found = await hash_file(descriptor, size, SHA256_CHUNKED)
            await check_file(item.record, descriptor, size, found)
            stored = await self._stored_before(item, before, found, size)
            if stored is not None:
                return stored, 0
            key = await self._key(item, found)
        sent = await self._uploads.put_file(key, descriptor)
        found = sent.hash or await hash_file(descriptor, size, SHA256_CHUNKED)
        await check_file(item.record, descriptor, size, found)
        return self._entry(item, sent.stat, found), size

    async def _stored_before(
        self, item: Incoming, before: Entry | None, found: Hash, size: int, content: bytes | None = None
    ) -> Entry | None:
        """The entry of the same content where the bucket holds it already; None where it must be sent.

        Either the parent's entry names it, in a version that nobody can change, or an object stands at the key: an earlier
        push that was cut short left it, or the bucket keeps no versions.
        """
        if before is not None and before.size == size and before.hash == found:
            pinned = _PINNED.fullmatch(before.physical_key)
            if pinned is not None and pinned[1] == self._store.bucket:
                return item.entry(before.physical_key, size, found)
        stat = await self._object(await self._key(item, found))
        if stat is None or stat.size != size:
            return None
        is_same = content is not None and stat.etag.strip('"') == _md5(content)
        if not is_same or (stat.version is None and await self._keeps_versions()):
            # Also where versions could not be listed: the entry is to name one.
            stored = await self._uploads.stored(stat.key, stat.version, found)
            if stored.hash != found:
                return None
            stat = replace(stat, version=stored.stat.version)
        return self._entry(item, stat, found)

    async def _object(self, key: str) -> ObjectStat | None:
        if await self._keeps_versions():
            return (await self._listed_objects()).get(key)
        try:
            return replace(await self._store.stat(key), version=None)
        except ObjectNotFound:
            return None

    async def _listed_objects(self) -> dict[str, ObjectStat]:
        """What stands under the package's name: one listing (a request for a thousand keys) instead of a HEAD each.

        Empty without the permission to list: nothing is known then, so everything is sent.
        """
        async with self._listing:
            if self._listed is None:
                self._listed = {}
                with suppress(PermissionDenied):
                    async for page in self._store.listings.latest_versions(f"{self._name}/"):
                        self._listed |= {stat.key: stat for stat in page}
            return self._listed

    # -- from S3 --

    async def _refer(self, item: Incoming, source: S3Store, key: str, version: str | None) -> Entry:
        """The entry of an object where it is, pinned to its version; its hash from what S3 keeps, else by reading it."""
        if version is not None and item.hash is not None:
            return item.entry(item.origin, item.size, item.hash)
        stored = await S3Uploads(source).stored(key, version)
        size, version = stored.stat.size, stored.stat.version
        found = item.hash or stored.hash
        if found is None:
            found = await hash_object(source, key, SHA256_CHUNKED, size=size, version=version)
        return item.entry(str(source.physical_key(key, version)), size, found)

    async def _copy_object(self, item: Incoming, source: Store, origin: PhysicalKey) -> tuple[Entry, int]:
        stat = await source.stat(origin.path, version=origin.version_id)
        check_size(item.record, stat.size)
        pinned = PhysicalKey(origin.bucket, origin.path, origin.version_id or stat.version)
        key = self._named(item)
        if not await self._keeps_versions():
            known = item.hash
            if known is None or known.type != SHA256_CHUNKED:
                known = await hash_object(
                    source, origin.path, SHA256_CHUNKED, size=stat.size, version=pinned.version_id
                )
            stored = await self._stored_before(item, None, known, stat.size)
            if stored is not None:
                return stored, 0
            key = object_key(known)
        copied = await self._uploads.copy(key, pinned, stat.size, stat.etag)
        found, wanted = copied.hash, item.hash.type if item.hash else SHA256_CHUNKED
        if found is None or found.type != wanted:
            found = await hash_object(self._store, key, wanted, size=stat.size, version=copied.stat.version)
        check_hash(item.record, found)
        return self._entry(item, copied.stat, found), stat.size


def _is_small_file(item: Incoming) -> bool:
    key = item.physical_key
    return key is not None and key.bucket is None and item.size < MULTIPART_FROM


def _md5(content: bytes) -> str:
    """What S3 has as the etag of an object that was sent in one piece, unencrypted."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
