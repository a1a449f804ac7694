"""Key placement: files stored in a bucket at ``<package>/<logical key>``, below the folder that a stack has
for them, pinned to the version that was written.

What is there already is not sent again: the parent's entry of the same content, or an object of the same size and checksum.
Objects of the same bucket are referred to where they are, in a version that nobody can change; others are copied inside S3.

In a bucket that does not keep versions a new file under an old name would take the bytes from every older revision. There
files are stored under the name of their own hash instead (``.quilt/objects/``), as in a local registry, and none is lost.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from weakref import WeakValueDictionary

import anyio
from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.plan import Progress, share
from quilt_mcp.errors import InvalidName, NotSupported, ObjectNotFound, PermissionDenied
from quilt_mcp.registry.layout import OBJECTS, is_named_by, object_key
from quilt_mcp.registry.recorded import check_content, check_file, check_hash, check_size, not_pinned
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.house_rules import NO_RULES, HouseRules
from quilt_mcp.registry.writing.small_files import Read, read_small_files
from quilt_mcp.storage.hashing import hash_file, written_while_read
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.objects import hash_object
from quilt_mcp.storage.s3.conditions import NULL_VERSION
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.s3.uploads import MULTIPART_FROM, S3Uploads, Stored, etag_of, whole_etag
from quilt_mcp.storage.store import ObjectStat, Stores
from quilt_mcp.storage.workers import collect

_PINNED = re.compile(r"s3://([^/?#]+)/[^?#]+\?versionId=[^&#]+")
"""The physical key of one version of an object, which nobody can change."""
_FEW = 30
"""Up to so many files, each is asked for by itself where the first page of a listing does not show it."""
_LONGEST_KEY = 1024
_SENT_AT_ONCE = 4
"""Of a group of small files: what takes the time is the way to the server and back."""
_READERS = 2
"""Threads that read small files: what takes the time is Python's own work for each, which more of them would only hinder."""


class KeyPlacement:
    """See ``intake.Placement``. One for each call: it lists what stands under the package's name once."""

    def __init__(
        self,
        store: S3Store,
        stores: Stores,
        name: str,
        copy: bool,
        arrivals: Arrivals,
        rules: HouseRules = NO_RULES,
    ) -> None:
        self._store = store
        self._stores = stores
        self._folder = rules.folder_of(name)
        self._rules = rules
        self._copy = copy
        self._arrivals = arrivals
        self._not_pinned: list[str] = []
        self._asked: set[str] = set()
        self._locks: WeakValueDictionary[Hash, anyio.Lock] = WeakValueDictionary()
        self._listed: dict[str, ObjectStat] | None = None
        self._listed_to: str | None = None
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
            if origin is not None and (not self._copy or self._stays(item, origin, by_name)):
                return 0
            if by_name and (length := len(self._named(item).encode())) > _LONGEST_KEY:
                raise InvalidName(
                    f"{item.logical_key[:200]!r} cannot be stored in {self._store.url}: with the package's folder before it, its "
                    f"key has {length} bytes, and S3 takes {_LONGEST_KEY}.",
                    next_step="Give it a shorter path (to of the source), or leave it out (exclude).",
                    details={"path": item.logical_key[:200], "bytes": length},
                )
            return item.size

        return look

    async def is_stored(self, item: Incoming, before: Entry | None, found: Hash) -> bool:
        is_copied = item.physical_key is not None and item.physical_key.bucket is not None
        if found.type != await self.hash_type() or (is_copied and await self._keeps_versions()):
            return False
        key = await self._key(item, found)
        if key in self._asked:
            return True
        self._asked.add(key)
        known = None if is_copied else before

        async def etag() -> str | None:
            """That the item's bytes have, sent or copied in one piece."""
            if is_copied:
                return await self._etag_of(item)
            content = item.content
            if content is None and _is_small_file(item):
                read = await to_thread.run_sync(read_small_files, self._stores, [item], limiter=self._reading)
                content = read[item.logical_key].content if item.logical_key in read else None
            return None if content is None else etag_of(content)

        return await self._stored_before(item, known, found, item.size, etag) is not None

    async def _etag_of(self, item: Incoming) -> str | None:
        origin = item.physical_key
        if origin is None or origin.bucket is None:
            return None
        store, key = self._stores.locate(origin)
        return whole_etag((await store.stat(key, version=origin.version_id)).etag)

    async def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry], progress: Progress
    ) -> AsyncGenerator[tuple[Entry, int]]:
        small: list[Incoming] = []
        others: list[Incoming] = []
        for item in items:
            (small if self._copy and _is_small_file(item) else others).append(item)
        async with limits().memory(sum(item.size for item in small)):
            read: dict[str, Read] = {}
            if small:
                reading = partial(read_small_files, self._stores, small, await self.hash_type())
                read = await to_thread.run_sync(reading, limiter=self._reading)
            others += [item for item in small if item.logical_key not in read]

            async def send(item: Incoming) -> tuple[Entry, int]:
                return await self._place_read(item, before.get(item.logical_key), read[item.logical_key])

            for placed in await collect(
                [item for item in small if item.logical_key in read], _SENT_AT_ONCE, send
            ):
                yield placed
        for item in others:
            yield await self._place(item, before.get(item.logical_key), progress)

    async def _place(self, item: Incoming, before: Entry | None, progress: Progress) -> tuple[Entry, int]:
        if item.physical_key is None:
            content = item.content or b""
            return await self._place_read(
                item, before, Read(content, hash_bytes(content, await self.hash_type()))
            )
        source, key = self._stores.locate(item.physical_key)
        if (files := source.local_files) is not None:
            descriptor = await to_thread.run_sync(files.open_file, key)
            try:
                return await self._place_file(item, before, descriptor, progress)
            finally:
                os.close(descriptor)
        origin = item.physical_key
        if isinstance(source, S3Store) and (
            not self._copy or self._stays(item, origin, await self._keeps_versions())
        ):
            return await self._refer(item, source, key, origin.version_id, progress), 0
        assert isinstance(source, S3Store), "what is no file of this machine lies in a bucket"
        return await self._copy_object(item, source, item.physical_key, progress)

    async def notices(self, stored: int) -> tuple[str, ...]:
        return (
            await self._how_stored() + not_pinned(self._not_pinned)
            if stored
            else not_pinned(self._not_pinned)
        )

    async def _how_stored(self) -> tuple[str, ...]:
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

    async def hash_type(self) -> str:
        """What is stored by its hash has quilt's own, which nobody can forge."""
        return self._rules.hash_type if await self._keeps_versions() else SHA256_CHUNKED

    async def _uploads(self, recorded: Hash | None = None) -> S3Uploads:
        """By the checksum that the entry will have, where that is one to send by."""
        wanted = await self.hash_type()
        return S3Uploads(self._store, SHA256_CHUNKED if recorded and recorded.type != wanted else wanted)

    async def _key(self, item: Incoming, found: Hash) -> str:
        """Where the file goes. ``found`` is of ``hash_type``."""
        return self._named(item) if await self._keeps_versions() else object_key(found)

    def _named(self, item: Incoming) -> str:
        return f"{self._folder}/{item.logical_key}"

    def _entry(self, item: Incoming, stat: ObjectStat, found: Hash) -> Entry:
        # What is named by its hash needs no version; some servers name one ("null") that they then do not know.
        version = None if stat.key.startswith(OBJECTS) else stat.version
        return item.entry(str(self._store.physical_key(stat.key, version)), stat.size, found)

    # -- from this machine --

    async def _place_read(self, item: Incoming, before: Entry | None, read: Read) -> tuple[Entry, int]:
        content, found = read.content, read.hash
        check_content(item.record, content, found)
        async with self._alone(found):
            stored = await self._stored_before(item, before, found, len(content), partial(_md5_of, content))
            if stored is not None:
                return stored, 0
            stat = await self._store.put(await self._key(item, found), content)
            return self._entry(item, stat, found), len(content)

    @asynccontextmanager
    async def _alone(self, found: Hash) -> AsyncGenerator[None]:
        """Without others of the same bytes: where these are stored by their hash, the second finds what the first has sent."""
        if await self._keeps_versions():
            yield
            return
        lock = self._locks.setdefault(found, anyio.Lock())
        async with lock:
            yield

    async def _place_file(
        self, item: Incoming, before: Entry | None, descriptor: int, progress: Progress
    ) -> tuple[Entry, int]:
        """Hashes the file first where the hash is needed first, or may spare the upload; else while it is sent."""
        size = os.fstat(descriptor).st_size
        key = self._named(item)
        if await self._keeps_versions():
            there = await self._object(key)
            sizes = {stored.size for stored in (before, there and there.stat) if stored is not None}
        else:
            sizes = {size}  # the key is the hash
        if size in sizes:
            found = await hash_file(descriptor, size, await self.hash_type(), share(progress, 0, 0.5))
            progress = share(progress, size / 2, 0.5)
            await check_file(item.record, descriptor, size, found)
            async with self._alone(found):
                stored = await self._stored_before(item, before, found, size)
                if stored is not None:
                    return stored, 0
                key = await self._key(item, found)
                _, stat = await (await self._uploads()).put_file(key, descriptor, progress, expected=found)
                return self._entry(item, stat, found), size
        found, stat = await (await self._uploads()).put_file(key, descriptor, progress, expected=None)
        await check_file(item.record, descriptor, size, found)
        return self._entry(item, stat, found), size

    async def _stored_before(
        self,
        item: Incoming,
        before: Entry | None,
        found: Hash,
        size: int,
        etag: Callable[[], Awaitable[str | None]] | None = None,
    ) -> Entry | None:
        """The entry of the same content where the bucket holds it already; None where it must be sent.

        Either the parent's entry names it, in a version that nobody can change, or an object stands at the key: an earlier
        push that was cut short left it, or the bucket keeps no versions.
        """
        if before is not None and before.size == size and before.hash == found:
            pinned = _PINNED.fullmatch(before.physical_key)
            if pinned is not None and pinned[1] == self._store.bucket:
                return item.entry(before.physical_key, size, found)
        there = await self._object(await self._key(item, found), found)
        if there is None or there.stat.size != size:
            return None
        stat = there.stat
        if there.hash is not None and there.hash.type == found.type:
            return self._entry(item, stat, found) if there.hash == found else None
        # A server that keeps no checksums still has an etag, which tells content that was sent in one piece.
        is_same = (
            etag is not None and whole_etag(stat.etag) is not None and whole_etag(stat.etag) == await etag()
        )
        if not is_same or (stat.version is None and await self._keeps_versions()):
            # Also where versions could not be listed: the entry is to name one.
            stored = await (await self._uploads()).stored(stat.key, stat.version, found)
            if stored.hash != found and not (is_same and stored.stat.etag == stat.etag):
                return None
            stat = replace(stat, version=stored.stat.version)
        return self._entry(item, stat, found)

    async def _object(self, key: str, expected: Hash | None = None) -> Stored | None:
        """What stands there. Its hash is known where it was asked for by itself, and S3 keeps it."""
        if not await self._keeps_versions():
            with suppress(ObjectNotFound):
                return Stored(None, replace(await self._store.stat(key), version=None))
            return None
        listed = await self._listed_objects()
        if key in listed or self._listed_to is None or key <= self._listed_to:
            return Stored(None, listed[key]) if key in listed else None
        with suppress(ObjectNotFound, PermissionDenied):
            return await (await self._uploads()).stored(key, None, expected)
        return None

    async def _listed_objects(self) -> dict[str, ObjectStat]:
        """What stands under the package's name up to ``_listed_to`` (None: all of it). One listing (a request for a thousand
        versions, old ones included) instead of a HEAD each; for few files its first page only.

        Empty without the permission to list: nothing is known then, so everything is sent.
        """
        async with self._listing:
            if self._listed is None:
                self._listed = {}
                pages = self._store.listings.latest_versions(f"{self._folder}/")
                with suppress(PermissionDenied):
                    async for page in pages:
                        self._listed |= {stat.key: stat for stat in page}
                        to = page[-1].key if page else self._listed_to or ""
                        if len(self._arrivals) <= _FEW or to >= f"{self._folder}/{self._arrivals.last}":
                            self._listed_to = to
                            break
            return self._listed

    # -- from S3 --

    def _stays(self, item: Incoming, origin: PhysicalKey, keeps_versions: bool) -> bool:
        """Whether an object can be named where it is, as nobody can change it there."""
        return origin.bucket == self._store.bucket and (
            keeps_versions
            or origin.version_id not in (None, NULL_VERSION)
            or is_named_by(item.hash, origin.path)
        )

    async def _refer(
        self, item: Incoming, source: S3Store, key: str, version: str | None, progress: Progress
    ) -> Entry:
        """The entry of an object where it is, pinned to its version; its hash from what S3 keeps, else by reading it.

        What a manifest recorded of it is believed where it lies in that manifest's own registry, or is named by its hash."""
        recorded = item.hash
        is_its_own = recorded is not None and item.registry == source.url
        if is_its_own and version is not None:
            return item.unread()
        is_named = is_named_by(recorded, key)
        hash_type = await self.hash_type()
        stored = await S3Uploads(source, hash_type).stored(key, version, recorded)
        size, version = stored.stat.size, stored.stat.version
        check_size(item.record, size)
        found = recorded if is_its_own or is_named else stored.hash
        wanted = recorded.type if recorded else hash_type
        is_as_good = found is not None and recorded is None and found.type == SHA256_CHUNKED
        if found is None or (found.type != wanted and not is_as_good):
            found = await hash_object(source, key, wanted, size=size, version=version, progress=progress)
        check_hash(item.record, found)
        if version in (None, NULL_VERSION) and not is_named:
            self._not_pinned.append(item.origin)
        return item.entry(str(source.physical_key(key, version)), size, found)

    async def _copy_object(
        self, item: Incoming, source: S3Store, origin: PhysicalKey, progress: Progress
    ) -> tuple[Entry, int]:
        stat = await source.stat(origin.path, version=origin.version_id)
        check_size(item.record, stat.size)
        pinned = PhysicalKey(origin.bucket, origin.path, origin.version_id or stat.version)
        if await self._keeps_versions():
            return await self._copy_to(self._named(item), item, pinned, stat, None, progress)
        known = item.hash
        if known is None:
            known = (await S3Uploads(source).stored(origin.path, pinned.version_id)).hash
        if known is None or known.type != SHA256_CHUNKED:
            known = await hash_object(
                source,
                origin.path,
                SHA256_CHUNKED,
                size=stat.size,
                version=pinned.version_id,
                progress=share(progress, 0, 0.5),
            )
            progress = share(progress, stat.size / 2, 0.5)
        async with self._alone(known):
            stored = await self._stored_before(
                item, None, known, stat.size, partial(_same, whole_etag(stat.etag))
            )
            if stored is not None:
                return stored, 0
            key = object_key(known)
            if (origin.bucket, origin.path) == (self._store.bucket, key):  # it lies there already
                return self._entry(item, stat, known), 0
            return await self._copy_to(key, item, pinned, stat, known, progress)

    async def _copy_to(
        self,
        key: str,
        item: Incoming,
        pinned: PhysicalKey,
        stat: ObjectStat,
        known: Hash | None,
        progress: Progress,
    ) -> tuple[Entry, int]:
        """``known``: the hash that ``key`` is named by."""
        copying = share(progress, 0, 0.5)
        copied = await (await self._uploads(item.hash)).copy(key, pinned, stat.size, stat.etag, copying)
        found, wanted = copied.hash, item.hash.type if item.hash else await self.hash_type()
        if found is None or found.type != wanted:
            hashing = share(progress, stat.size / 2, 0.5)
            found = await hash_object(
                self._store,
                key,
                wanted,
                size=stat.size,
                version=copied.stat.version,
                progress=hashing,
            )
        check_hash(item.record, found)
        if known is not None and found.type == known.type and found != known:
            # The server keeps no condition on copies, and the source changed: these are not the bytes that the key names.
            await self._store.delete(key)
            raise written_while_read(item.origin, stat.size)
        return self._entry(item, copied.stat, found), stat.size


def _is_small_file(item: Incoming) -> bool:
    key = item.physical_key
    return key is not None and key.bucket is None and item.size < MULTIPART_FROM


async def _same(etag: str | None) -> str | None:
    return etag


async def _md5_of(content: bytes) -> str:
    return etag_of(content)
