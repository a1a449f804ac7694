"""S3Stores: the buckets that an identity may use, and beside them the local folders that sources are read from."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from quilt_mcp.domain.address import PhysicalKey, is_bucket, parse_object, parse_registry
from quilt_mcp.domain.glob import Glob, has_wildcard, parse_glob_url, split_glob
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import InvalidUri, ObjectNotFound, PermissionDenied, SourceNotFound
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.s3.clients import S3Clients
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.store import Found, FoundFiles, Store
from quilt_mcp.storage.workers import in_pages

_NAMED: Final = 3


class S3Stores:
    """``allowed``: names of buckets that may be used, None for whatever the credentials open. ``local`` serves local paths."""

    def __init__(
        self, clients: S3Clients, local: LocalStores, *, allowed: Collection[str] | None = None
    ) -> None:
        self._clients = clients
        self._local = local
        self._allowed = None if allowed is None else frozenset(allowed)
        self._stores: dict[str, S3Store] = {}
        self._lock = threading.Lock()

    def bucket(self, name: str) -> S3Store:
        """Raises InvalidUri for what cannot be a bucket, PermissionDenied for one that the allow-list leaves out."""
        if not is_bucket(name):
            raise InvalidUri(
                f"{name[:100]!r} is not a bucket name.",
                next_step="Write s3://bucket/key; registry_list shows the buckets in reach.",
                details={"bucket": name[:100]},
            )
        if self._allowed is not None and name not in self._allowed:
            raise PermissionDenied(
                f"Bucket {name} is not among those this server may use.",
                next_step="Use one that registry_list shows, or ask for it to be added to QUILT_ALLOWED_BUCKETS.",
                details={"bucket": name},
            )
        with self._lock:
            if name not in self._stores:
                self._stores[name] = S3Store(name, self._clients)
            return self._stores[name]

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        if physical_key.bucket is None:
            return self._local.locate(physical_key)
        return self.bucket(physical_key.bucket), physical_key.path

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        if physical_key.bucket is None:
            return self._local.locate_folder(physical_key)
        path = physical_key.path
        is_prefix = not path or path.endswith("/")  # as written: '//' in a key is a folder without a name
        return self.bucket(physical_key.bucket), path if is_prefix else f"{path}/"

    def registry(self, url: str) -> Store:
        canonical = parse_registry(url)
        if canonical.startswith("file:"):
            return self._local.registry(canonical)
        return self.bucket(canonical.removeprefix("s3://"))

    async def find(self, origin: str) -> FoundFiles:
        """Besides local origins: an object (``s3://b/k``, with ``?versionId=`` that version), a prefix (``s3://b/p/``), or a
        glob of keys. Objects are pinned to their latest version where there is one."""
        if not origin.startswith("s3://"):
            return await self._local.find(origin)
        is_glob = has_wildcard(origin) and "?versionId=" not in origin
        key = parse_glob_url(origin) if is_glob else parse_object(origin)
        store = self.bucket(key.bucket or "")
        if is_glob:
            folder, pattern = split_glob(key.path)
            return _found(store, folder, Glob(pattern))
        if key.path and not key.path.endswith("/"):
            return await self._find_object(store, key, origin)
        return _found(store, key.path)

    async def _find_object(self, store: S3Store, key: PhysicalKey, origin: str) -> FoundFiles:
        """The object of that key; where there is none, what lies below it as a folder."""
        try:
            stat = await store.stat(key.path, version=key.version_id)
        except (ObjectNotFound, PermissionDenied) as error:
            listing = await store.list_folder(f"{key.path}/", limit=1)
            if listing.objects or listing.folders:
                return _found(store, f"{key.path}/")
            if isinstance(error, PermissionDenied):
                raise
            raise SourceNotFound(
                f"{origin} does not exist: {error.message}",
                next_step="List what is there with object_list.",
                details={"source": origin},
            ) from error
        pinned = store.physical_key(key.path, key.version_id or stat.version)
        return FoundFiles(True, in_pages(iter([Found(key.path.rpartition("/")[2], pinned, stat.size)]), 1))


def _found(store: S3Store, prefix: str, glob: Glob | None = None) -> FoundFiles:
    """Nothing is asked before the first page is."""
    warnings: list[str] = []
    archived: list[str] = []
    archived_count = 0

    async def pages() -> AsyncIterator[Sequence[Found]]:
        nonlocal archived, archived_count
        async for page in store.listings.latest_versions(prefix):
            taken = [stat for stat in page if glob is None or glob.matches(stat.key[len(prefix) :])]
            cold = [stat.key for stat in taken if stat.archive_class is not None]
            archived, archived_count = [*archived, *cold][:_NAMED], archived_count + len(cold)
            yield [
                Found(stat.key[len(prefix) :], store.physical_key(stat.key, stat.version), stat.size)
                for stat in taken
            ]
        if archived:
            more = ", ..." if archived_count > _NAMED else ""
            warnings.append(
                f"archived: {counted(archived_count, 'object')} of {store.url} in an archive storage class "
                f"({', '.join(archived)}{more}); one that was not restored (object_restore) cannot be copied or read."
            )
        if not store.listings.shows_versions:
            warnings.append(
                f"versions_not_listed: s3:ListBucketVersions is not allowed on {store.url}; each file's version is asked for "
                "by a request of its own when the file is taken in."
            )

    return FoundFiles(False, pages(), warnings)
