"""ToldStores: local folders as they are, and of a stack's buckets what the stack tells."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final, NoReturn

from quilt_mcp.backends.through.told_store import DIRECT, ToldStore, not_allowed
from quilt_mcp.catalog.objects import StackObjects
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.catalog.sessions import BrowsingSessions
from quilt_mcp.domain.address import PhysicalKey, parse_object, parse_registry
from quilt_mcp.domain.glob import Glob, has_wildcard, parse_glob_url, split_glob
from quilt_mcp.errors import NotSupported, SourceNotFound
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.store import Found, FoundFiles, Store
from quilt_mcp.storage.workers import in_pages, in_thread

FROM_INDEX: Final = (
    "from_index: objects are taken as the stack's search index knows them, which may be some minutes behind."
)
_PAGE: Final = 500


class ToldStores:
    """See ``store.Stores``. ``allowed``: the only buckets that may be used."""

    def __init__(
        self,
        packages: StackPackages,
        objects: StackObjects,
        sessions: BrowsingSessions,
        local: LocalStores,
        allowed: Collection[str] | None,
    ) -> None:
        self._objects = objects
        self._packages = packages
        self._sessions = sessions
        self._local = local
        self._allowed = allowed

    def registry(self, url: str) -> Store:
        canonical = parse_registry(url)
        if canonical.startswith("file:"):
            return self._local.registry(canonical)
        return self.bucket(canonical.removeprefix("s3://"))

    def bucket(self, name: str) -> ToldStore:
        """A new one: it is for one call. Raises PermissionDenied for one that the allow-list leaves out."""
        if self._allowed is not None and name not in self._allowed:
            raise not_allowed(name)
        return ToldStore(self._packages, self._sessions, name, self._allowed)

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        if physical_key.bucket is None:
            return self._local.locate(physical_key)
        _no_objects(str(physical_key))

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        if physical_key.bucket is None:
            return self._local.locate_folder(physical_key)
        _no_objects(str(physical_key))

    async def find(self, origin: str) -> FoundFiles:
        """Besides local origins: an object, a folder (``s3://b/p/``) or a glob of keys, as the stack's search index knows them,
        each with its version and size. Whether they are there, the stack says when it makes the revision."""
        if not origin.startswith("s3://"):
            return await self._local.find(origin)
        is_glob = has_wildcard(origin) and "?versionId=" not in origin
        key = parse_glob_url(origin) if is_glob else parse_object(origin)
        bucket = self.bucket(key.bucket or "").bucket
        if is_glob:
            folder, pattern = split_glob(key.path)
            return self._below(bucket, folder, Glob(pattern))
        if not key.path or key.path.endswith("/"):
            return self._below(bucket, key.path)
        found = await in_thread(partial(self._objects.at, bucket, key.path))
        if found is None or key.version_id not in (None, found.version):
            return await self._no_such(bucket, key, origin)
        pinned = PhysicalKey(bucket, key.path, found.version)
        file = Found(key.path.rpartition("/")[2], pinned, found.size)
        return FoundFiles(True, in_pages(iter([file]), 1), [FROM_INDEX])

    async def _no_such(self, bucket: str, key: PhysicalKey, origin: str) -> FoundFiles:
        """What lies below it as a folder."""
        first = partial(next, self._objects.below(bucket, f"{key.path}/"), None)
        if key.version_id is None and await in_thread(first) is not None:
            return self._below(bucket, f"{key.path}/")
        raise SourceNotFound(
            f"The stack's search index knows no {origin}.",
            next_step='Look for it with search (scope="objects"). What was written just now is known in a minute or two, and of '
            "an older version only S3 knows.",
            details={"source": origin},
        )

    def _below(self, bucket: str, prefix: str, glob: Glob | None = None) -> FoundFiles:
        """Nothing is asked before the first page is."""
        found = (
            Found(one.key[len(prefix) :], PhysicalKey(bucket, one.key, one.version), one.size)
            for one in self._objects.below(bucket, prefix)
            if one.key != prefix and (glob is None or glob.matches(one.key[len(prefix) :]))
        )
        return FoundFiles(False, in_pages(found, _PAGE), [FROM_INDEX])


def _no_objects(what: str) -> NoReturn:
    raise NotSupported(
        f"{what} is out of reach: the stack gives this user no AWS credentials, and brings the files of packages alone.",
        next_step='Objects are found by search (scope="objects"), and package_create and package_patch take them, and whole '
        f"folders of them, by their s3:// addresses. A file of a package is read by package and path. {DIRECT}",
        details={"way": "stack"},
    )
