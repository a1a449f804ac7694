"""Opening: the files of a query as descriptors whose bytes were held against the manifest, or as ranges of one version."""

from __future__ import annotations

import os
import time
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
from quilt_mcp.sql import faults
from quilt_mcp.sql.formats import inner_name, kind_of
from quilt_mcp.sql.query_file import QueryFile
from quilt_mcp.storage.content import ContentCache, Write
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.hashing import hash_file, written_while_read
from quilt_mcp.storage.objects import bring_object
from quilt_mcp.storage.seen_files import Stamp, stamp_of, tells_all
from quilt_mcp.storage.store import LocalFiles, Place, Store

RANGED: Final = 64 << 20
"""Parquet larger than this is read by ranges where it lies in a bucket; everything else is brought whole."""
MOST_WHOLE: Final = 1 << 30
"""Bytes that one query brings from buckets."""
MOST_OPEN: Final = 1_000
"""Files of one query that are read by descriptor."""
_LEFT_TO_OTHERS: Final = 32
"""Descriptors that a query leaves to whatever else this process does; its child has as many of its own."""
_NO_LIMIT: Final = 1 << 30
_NO_SUCH_RANGE: Final = 416
"""What S3 answers of an object that is shorter by now."""


class HeldFiles:
    """The files of one query, open until it ends."""

    def __init__(self) -> None:
        self.files: list[QueryFile] = []
        self._open = ExitStack()
        self._count = 0

    def add(self, file: QueryFile) -> int:
        """Its number. A descriptor becomes this object's, to be closed. Raises TooCostly for more than a query may have open,
        StorageUnavailable where the process has as many open as it may."""
        if file.descriptor is not None:
            self._open.callback(os.close, file.descriptor)
            self._count += 1
            own, childs = _descriptors()
            most = min(MOST_OPEN, childs - _LEFT_TO_OTHERS, own - 2 * _LEFT_TO_OTHERS)
            if self._count > most:
                raise TooCostly(
                    f"The tables of this query are of more than {most:,} files, which is how many one may have open.",
                    next_step="Narrow the patterns, or ask in several queries; large sets belong into fewer Parquet files. What "
                    "the system allows is ulimit -n.",
                )
            if file.descriptor >= own - _LEFT_TO_OTHERS:  # the system gives the lowest that is free
                raise faults.no_more_files("this server has as many open as it may")
        self.files.append(file)
        return len(self.files) - 1

    def require_unchanged(self) -> None:
        """Blocks. Raises HashMismatch where a file that others may write to is not what it was when it was opened."""
        for file in self.files:
            if file.stamp is not None and file.descriptor is not None:
                with typed_errors(file.shown, "the local file system"):
                    is_same = stamp_of(os.fstat(file.descriptor)) == file.stamp
                if not is_same:
                    raise written_while_read(file.shown, file.size)

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
        self._right: dict[Stamp, str] = {}
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
        size = entry.size or 0
        if place.store.local_files is not None:
            descriptor, about = await to_thread.run_sync(_opened, place.store.local_files, place.key)
            try:
                check_size(entry, about.st_size)
                await self._check(entry, descriptor, about, brought, progress)
            except BaseException:
                os.close(descriptor)
                raise
            name = _named_by(entry.logical_key, kind, descriptor, brought)
            return QueryFile(name, size, descriptor, stamp=stamp_of(about), shown=entry.logical_key)
        if kind == "parquet" and size > RANGED:
            stat = await place.store.stat(place.key, version=place.version)
            check_size(entry, stat.size)
            said = (
                f"not_verified: {entry.logical_key} is read by ranges, which are of one version and are not held against its "
                "hash."
            )
            brought.warnings[said] = None
            fetch = _ranges(place, place.version or stat.version, stat.etag)
            name = inner_name(entry.logical_key, kind)
            return QueryFile(name, size, fetch=fetch, shown=entry.logical_key)
        _count(brought, entry.logical_key, size)
        descriptor = await self._whole(place, entry, size, brought, progress)
        return QueryFile(_named_by(entry.logical_key, kind, descriptor, brought), size, descriptor)

    async def object(self, store: Store, key: str, version: str | None, brought: Brought) -> QueryFile:
        """An object as it is now, of which no manifest says anything."""
        if store.local_files is not None:
            descriptor, about = await to_thread.run_sync(_opened, store.local_files, key)
            name = _named_by(key, kind_of(key), descriptor, brought)
            return QueryFile(name, about.st_size, descriptor, stamp=stamp_of(about), shown=key)
        stat = await store.stat(key, version=version)
        if kind_of(key) != "parquet":
            _count(brought, key, stat.size)
        fetch = _ranges(Place(store, key, None), version or stat.version, stat.etag)
        return QueryFile(inner_name(key, kind_of(key)), stat.size, fetch=fetch, shown=key)

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

        for is_anew in (False, True):
            descriptor = await self._content.open(content, size, bring)
            try:
                await self._check(entry, descriptor, os.fstat(descriptor), brought, progress)
                return descriptor
            except HashMismatch:  # what is kept was damaged
                os.close(descriptor)
                if is_anew:
                    raise
                await to_thread.run_sync(self._content.forget, content)
            except BaseException:
                os.close(descriptor)
                raise
        raise AssertionError

    async def _check(
        self,
        entry: Entry,
        descriptor: int,
        about: os.stat_result,
        brought: Brought,
        progress: Progress,
    ) -> None:
        """Reads the file once for as long as it stays as it is. ``about`` is of before."""
        if entry.hash is None:
            brought.warnings[f"not_verified: no hash of {entry.logical_key} is recorded."] = None
            return
        stamp, right = stamp_of(about), f"{entry.hash.type}:{entry.hash.value}"
        if self._right.get(stamp) == right:
            return
        now = time.time()
        try:
            check_hash(entry, await hash_file(descriptor, about.st_size, entry.hash.type, progress))
        except NotSupported as error:
            brought.warnings[f"not_verified: {entry.logical_key}: {error.message}"] = None
            return
        if len(self._right) >= 10_000:
            self._right.clear()
        if tells_all(about, now):
            self._right[stamp] = right


def _opened(files: LocalFiles, key: str) -> tuple[int, os.stat_result]:
    """A descriptor, which the caller closes, and what the system says of it."""
    descriptor = files.open_file(key)
    try:
        with typed_errors(key, "the local file system"):
            return descriptor, os.fstat(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _named_by(name: str, kind: str | None, descriptor: int, brought: Brought) -> str:
    """The name by which the engine has a file, as its first bytes say that it is packed."""
    found = inner_name(name, kind, os.pread(descriptor, 4, 0))
    if found != inner_name(name, kind):
        form = {"gz": "gzip", "zst": "Zstandard"}.get(found.rpartition(".")[2], "not packed")
        brought.warnings[f"packed: {name} is {form}, by its first bytes, and is read as that."] = None
    return found


def _descriptors() -> tuple[int, int]:
    """How many this process may have open, and how many its children."""
    try:
        import resource
    except ImportError:  # Windows
        return _NO_LIMIT, _NO_LIMIT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (_NO_LIMIT if one == resource.RLIM_INFINITY else one for one in (soft, hard))
    return soft, hard


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
            try:
                stat, some = await place.store.get(
                    place.key, offset=at, length=length - len(found), version=version
                )
            except NotSupported as error:
                if error.details.get("http_status") == _NO_SUCH_RANGE:
                    raise _cut_short(place) from error
                raise
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
