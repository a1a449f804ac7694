"""ThroughOps: QuiltOps through a stack, for a user whom it gives no AWS credentials."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from quilt_mcp.backends.objects import checked_limit
from quilt_mcp.backends.options import Options
from quilt_mcp.backends.stack import OfStack
from quilt_mcp.backends.through.deletion import delete_told
from quilt_mcp.backends.through.folders import Folders, is_of_folders
from quilt_mcp.backends.through.listing import list_told
from quilt_mcp.backends.through.told_author import ToldAuthor
from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.backends.through.told_store import DIRECT, TooManyFiles
from quilt_mcp.backends.through.told_stores import ToldStores
from quilt_mcp.catalog.keys import ROLE_SECONDS
from quilt_mcp.catalog.objects import StackObjects
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.catalog.sessions import BrowsingSessions
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.domain.address import PackageUri, parse_object, parse_registry
from quilt_mcp.domain.listing import Browse, Content, Item, Link, PackageListing, Page, UploadLink
from quilt_mcp.domain.plan import Commit, CopyRequest, DeleteOutcome, Plan, Progress, no_progress
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import NotSupported
from quilt_mcp.option import BackendName
from quilt_mcp.registry.reading.packages import Wanted
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.author import Author
from quilt_mcp.storage.workers import in_thread

MISSING: Final = (
    "objects of buckets",
    "local and inline files into a package",
    "copies into a folder's registry (package_install brings files)",
    "workflow_list",
    "metadata of folders in what is written",
    "more than single folders of a revision with over 50,000 files",
)
"""What this way cannot do, for ``status``."""


class ThroughOps(OfStack):
    """DirectOps over what the stack tells. Beside its buckets, local folders are in reach as ever."""

    _way = "stack"

    def __init__(
        self,
        stack: Stack,
        registry: str,
        options: Options,
        *,
        backend: BackendName,
        renew_keys: Callable[[], object],
        gives_keys: Callable[[], bool] | None,
        s3_host: str | None = None,
    ) -> None:
        """``gives_keys``: whether the stack gives AWS keys by now; None: this way was asked for. Asks nothing yet."""
        registries = options.registries(registry)
        local = options.local_stores(registries)
        self._packages = StackPackages(stack.graph)
        sessions = BrowsingSessions(stack, s3_host)
        objects = StackObjects(stack.graph)
        self._buckets = ToldStores(self._packages, objects, sessions, local, options.allowed)
        super().__init__(backend, registries, self._buckets, local, options)
        self.publications = None  # the stack keeps these tables itself
        self._join(stack, options, renew_keys)
        self._gives_keys = gives_keys
        self._looked = time.monotonic()

    def _registry(self, url: str) -> Registry:
        canonical = parse_registry(url)
        if canonical.startswith("file:"):
            return super()._registry(url)
        store = self._buckets.bucket(canonical.removeprefix("s3://"))
        return ToldRegistry(store, self._stores, self._manifests, self._named)

    async def _author(self, url: str) -> Author:
        registry = self._registry(url)
        if not isinstance(registry, ToldRegistry):
            return await super()._author(url)
        return ToldAuthor(self._packages, registry, self._registry, self._scratch)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "why_this_way": "QUILT_THROUGH_STACK is set"
            if self._gives_keys is None
            else "the stack gives this user no AWS credentials",
            "missing": list(MISSING),
        }

    async def look_again(self) -> None:
        if self._gives_keys is None or time.monotonic() - self._looked < ROLE_SECONDS:
            return
        self._looked = time.monotonic()
        self.is_outdated = self.is_outdated or await in_thread(self._gives_keys)

    # -- reading --

    async def list_packages(
        self,
        registry: str,
        *,
        prefix: str = "",
        match: str = "",
        where: tuple[Condition, ...] = (),
        sort: str = "name",
        metadata: bool | tuple[str, ...] = False,
        detail: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[PackageListing]:
        wanted = Wanted(prefix, match, sort, metadata, detail, where)
        opened = self._registry(registry)
        if not isinstance(opened, ToldRegistry):
            return await super().list_packages(
                registry,
                prefix=prefix,
                match=match,
                where=where,
                sort=sort,
                metadata=metadata,
                detail=detail,
                limit=limit,
                cursor=cursor,
            )
        return await list_told(self._packages, opened, wanted, checked_limit(limit), cursor)

    async def browse(
        self,
        package: PackageUri,
        *,
        recursive: bool = False,
        depth: int | None = None,
        match: str = "",
        sort: str = "path",
        with_extensions: bool = False,
        with_readme: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Browse:
        if cursor and is_of_folders(package, cursor):
            return await self._folders(package).browse(package, checked_limit(limit), cursor)
        try:
            return await super().browse(
                package,
                recursive=recursive,
                depth=depth,
                match=match,
                sort=sort,
                with_extensions=with_extensions,
                with_readme=with_readme,
                limit=limit,
                cursor=cursor,
            )
        except TooManyFiles:
            if recursive or match or sort != "path" or depth not in (None, 1):
                raise
        return await self._folders(package).browse(package, checked_limit(limit), cursor)

    async def stat(self, package: PackageUri) -> Item:
        try:
            return await super().stat(package)
        except TooManyFiles:
            pass
        return await self._folders(package).stat(package)

    async def read(self, package: PackageUri, *, offset: int = 0, length: int | None = None) -> Content:
        try:
            return await super().read(package, offset=offset, length=length)
        except TooManyFiles:
            pass
        return await self._folders(package).read(package, offset, length)

    # -- writing --

    async def plan_copy(self, request: CopyRequest) -> Plan:
        plan = await super().plan_copy(request)
        author = await self._author(request.destination.registry)
        source, destination = request.source, request.destination
        is_rollback = (source.registry, source.name) == (destination.registry, destination.name)
        return await author.rollback_plan(plan) if is_rollback and isinstance(author, ToldAuthor) else plan

    async def copy(self, request: CopyRequest, progress: Progress = no_progress) -> Commit:
        """With its files from one bucket into another: the stack promotes it."""
        author = await self._author(request.destination.registry)
        source, destination = (one.registry for one in (request.source, request.destination))
        is_between = all(one.startswith("s3://") for one in (source, destination)) and source != destination
        if not (isinstance(author, ToldAuthor) and is_between and request.copy):
            return await super().copy(request, progress)
        with self._writing("package_copy", destination):
            return await author.promote(request)

    async def delete(
        self, package: PackageUri, *, whole: bool = False, dry_run: bool = False
    ) -> DeleteOutcome:
        registry = self._registry(package.registry)
        if not isinstance(registry, ToldRegistry):
            return await super().delete(package, whole=whole, dry_run=dry_run)
        if not dry_run:
            self._require_writes("package_delete")
        try:
            return await delete_told(self._packages, registry, package, whole=whole, dry_run=dry_run)
        finally:
            self._named.forget(registry.store, package.name)
            self._manifests.forget_stats()

    async def link(self, uri: str, *, download: bool = False, expires_in: int = 3600) -> Link:
        """A page of the catalog needs no bytes."""
        package = PackageUri.parse(uri) if uri.startswith("quilt+s3:") else None
        if package is None or download or self._stack.catalog_url is None:
            return await super().link(uri, download=download, expires_in=expires_in)
        pinned, entry = await self._registry(package.registry).file(package)
        return await self._link(self._registry(package.registry).locate(pinned, entry), str(pinned))

    async def upload_link(self, uri: str, *, size: int, expires_in: int = 3600) -> UploadLink:
        if parse_object(uri).bucket is None:
            return await super().upload_link(uri, size=size, expires_in=expires_in)
        self._require_writes("object_link with upload=true")
        raise NotSupported(
            f"No upload to {uri} can be signed: the stack gives this user no AWS credentials.",
            next_step="Bring the file into the bucket on another way (as its page in the catalog); package_create and "
            f"package_patch then take its s3:// address as a source. {DIRECT}",
            details={"way": "stack"},
        )

    def _folders(self, package: PackageUri) -> Folders:
        registry = self._registry(package.registry)
        return Folders(self._packages, registry)
