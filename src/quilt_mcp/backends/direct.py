"""DirectOps: QuiltOps over registries that this process reads and writes itself. Local and IAM differ only in their stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio

from quilt_mcp.backends.links import LinkOps
from quilt_mcp.backends.objects import (
    PAGE_LIMIT,
    READ_AT_ONCE,
    checked_length,
    checked_limit,
    hash_place,
)
from quilt_mcp.backends.options import Options
from quilt_mcp.backends.publications import Publications
from quilt_mcp.backends.querying.late import LateSql
from quilt_mcp.backends.querying.tabulator_configs import TabulatorConfigs
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.domain.address import PackageUri, parse_folder, parse_registry
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.diff import Diff, is_same_json
from quilt_mcp.domain.listing import (
    Browse,
    Content,
    ContentHash,
    Item,
    Log,
    PackageListing,
    Page,
    RegistryListing,
    RegistryWorkflows,
    Verification,
)
from quilt_mcp.domain.media_types import media_type
from quilt_mcp.domain.plan import (
    HASHED_AHEAD,
    Commit,
    CopyRequest,
    CreateRequest,
    DeleteOutcome,
    InstallOutcome,
    PatchRequest,
    Plan,
    Progress,
    no_progress,
)
from quilt_mcp.domain.publication import SupportsPublishing
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument, NotSupported, RegistryNotFound
from quilt_mcp.ops import SupportsAdministration, SupportsRestore, SupportsRoles, SupportsSearch, SupportsSql
from quilt_mcp.option import BackendName
from quilt_mcp.registry.deletion import delete
from quilt_mcp.registry.install import Destination, Installer
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.registry.named import NamedRevisions
from quilt_mcp.registry.reading.browsing import View, browse
from quilt_mcp.registry.reading.history import History
from quilt_mcp.registry.reading.packages import Wanted, list_packages
from quilt_mcp.registry.recorded import check_content, check_size
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.rollback import Rollback, is_rollback
from quilt_mcp.registry.verify import Verifier
from quilt_mcp.registry.workflows import Workflows
from quilt_mcp.registry.writing.author import Author
from quilt_mcp.registry.writing.house_rules import NO_RULES, HouseRules
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.private import SCRATCH
from quilt_mcp.storage.store import Stores
from quilt_mcp.storage.wrappers import ReadOnlyStores


class DirectOps(LinkOps):
    """See ``ops.QuiltOps``. Packages are installed into folders of ``local``. A read-only backend has no store that could
    write, whatever is called."""

    def __init__(
        self,
        backend: BackendName,
        registries: tuple[str, ...],
        stores: Stores,
        local: LocalStores,
        options: Options,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(stores if options.writable else ReadOnlyStores(stores), options.writable)
        self.backend = backend
        self.registries = registries
        """URLs of those that are configured."""
        self.default_registry = registries[0]
        self.roles: SupportsRoles | None = None
        self.is_outdated = False
        self.admin: SupportsAdministration | None = None
        self.keys: SupportsAdministration | None = None
        self.tables: SupportsAdministration | None = None
        self.restores: SupportsRestore | None = None
        self._local = local
        self._manifests = ManifestCache(
            options.cache, options.cache_bytes, shelf=options.shelf, stat_seconds=options.stat_seconds
        )
        self._named = NamedRevisions()
        self._clock = clock
        self.catalogs = LateSearch(
            self._registry,
            lambda: self.registries,
            self._manifests.private,
            owner=options.owner_of,
            bound=self._manifests.bound,
            clock=clock,
        )
        self.keeps_catalogs = not options.is_shared
        self.search: SupportsSearch = self.catalogs
        self.queries = LateSql(
            self._registry,
            lambda: self.registries,
            self._stores,
            None if options.is_shared else self.catalogs,
            self._manifests.private,
            self._manifests.bound,
            options.owner,
            TabulatorConfigs(options.tabulator),
        )
        self.sql: SupportsSql = self.queries
        self.publications: SupportsPublishing | None = None
        if self.keeps_catalogs:
            self.publications = Publications(
                self._registry,
                self.catalogs,
                self._manifests.private,
                self._require_writes,
                self.queries,
                clock,
            )

    async def look_again(self) -> None:
        """Nothing of it changes but by a call of its own."""

    @property
    def _scratch(self) -> Path:
        return self._manifests.private.path() / SCRATCH

    def _registry(self, url: str) -> Registry:
        return Registry(
            self._stores.registry(parse_registry(url)),
            self._stores,
            self._manifests,
            self._named,
            self.catalogs.recall if self.keeps_catalogs else None,
        )

    async def _author(self, url: str) -> Author:
        registry = self._registry(url)
        rules = await self.house_rules(registry.url)
        return Author(registry, self._registry, self._scratch, self._clock, rules)

    async def house_rules(self, registry: str) -> HouseRules:
        """Of whoever runs the registry; asked when something is to be written to it."""
        return NO_RULES

    def _open_folder(self, path: str) -> Destination:
        return Destination(*self._local.folder(parse_folder(path)))

    async def learn(self) -> None:
        """Nobody is signed in."""

    # -- packages, reading --

    async def list_buckets(self, *, limit: int = 100, cursor: str | None = None) -> Page[RegistryListing]:
        return self.registry_page(self.registries, limit, cursor)

    def registry_page(
        self,
        urls: tuple[str, ...],
        limit: int,
        cursor: str | None,
        *,
        warnings: tuple[str, ...] = (),
        titles: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Page[RegistryListing]:
        """One page of ``urls``. Whether a bucket may be written is not known before something is."""
        start = decode_cursor(cursor, ("buckets",), int)[0] if cursor else 0
        shown = urls[start : start + checked_limit(limit)]
        listings = tuple(
            RegistryListing(
                url,
                titles.get(url),
                is_default=url == self.default_registry,
                writable=None if self.writable and url.startswith("s3:") else self.writable,
            )
            for url in shown
        )
        end = start + len(shown)
        next_cursor = encode_cursor(("buckets",), end) if end < len(urls) else None
        return Page(listings, next_cursor, len(urls), warnings)

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
        opened = self._registry(registry)
        try:
            wanted = Wanted(prefix, match, sort, metadata, detail, where)
            return await list_packages(opened, wanted, checked_limit(limit), cursor)
        except RegistryNotFound as error:
            is_folder = opened.store.local_files is not None and not error.details.get("exists")
            if opened.url not in self.registries or not is_folder:
                raise
            # A configured folder is there from its first package on; before that it is empty, not an error.
            warning = f"registry_empty: {opened.url} does not exist yet; the first package_create makes it."
            return Page((), None, 0, (warning,))

    async def near_packages(self, registry: str, text: str) -> tuple[str, ...]:
        return tuple(await self._registry(registry).pointers.near(text))

    async def resolve(self, package: PackageUri) -> PackageUri:
        registry = self._registry(package.registry)
        top_hash = await registry.require_revision(package)
        return PackageUri(registry.url, package.name, top_hash=top_hash, path=package.path)

    async def log(
        self, package: PackageUri, *, counts: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Log:
        history = History(self._registry(package.registry), package, counts)
        return await history.page(checked_limit(limit), cursor)

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
        view = View(recursive, depth, match, sort, with_extensions, with_readme)
        registry = self._registry(package.registry)
        found = await browse(registry, package, view, checked_limit(limit), cursor)
        warnings = () if cursor else await registry.notices(package, found.top_hash)
        return replace(found, page=replace(found.page, warnings=(*found.page.warnings, *warnings)))

    async def stat(self, package: PackageUri) -> Item:
        return await self._registry(package.registry).stat(package)

    async def read(self, package: PackageUri, *, offset: int = 0, length: int | None = None) -> Content:
        registry = self._registry(package.registry)
        pinned, entry = await registry.file(package)
        place = registry.locate(pinned, entry)
        wanted = checked_length(offset, length, entry.size or 0, str(pinned))
        stat, data = await place.store.get(place.key, offset=offset, length=wanted, version=place.version)
        check_size(entry, stat.size)
        verified = False
        if offset == 0 and len(data) == stat.size:
            with suppress(NotSupported):  # a hash of a type that is not known
                check_content(entry, data)
                verified = True
        return Content(
            uri=str(pinned),
            data=data,
            offset=offset,
            size=stat.size,
            media_type=media_type(entry.logical_key),
            hash=entry.hash,
            metadata=entry.user_meta,
            modified=stat.modified,
            verified=verified,
            warnings=await registry.notices(package, pinned.top_hash or ""),
        )

    async def hash(self, uri: str, *, progress: Progress = no_progress) -> ContentHash:
        if not uri.startswith("quilt+"):
            return await hash_place(self._place(uri), None, progress)
        package = PackageUri.parse(uri)
        registry = self._registry(package.registry)
        pinned, entry = await registry.file(package)
        found = await hash_place(registry.locate(pinned, entry), entry.hash, progress)
        return replace(found, uri=str(pinned), recorded=entry.hash, recorded_size=entry.size)

    async def diff(
        self, before: PackageUri, after: PackageUri, *, limit: int = 100, cursor: str | None = None
    ) -> Diff:
        if before.path and after.path and before.path.strip("/") != after.path.strip("/"):
            raise InvalidArgument(
                f"The two revisions are named with two paths, {before.path!r} and {after.path!r}.",
                next_step="Give one path for both; to compare two folders, package each by itself.",
            )
        limit = limit and checked_limit(limit)
        offset, path = 0, after.path or before.path or ""
        call = ("diff", before.registry, before.name, after.registry, after.name, path)
        if cursor:
            old_hash, new_hash, offset = decode_cursor(cursor, call, str, str, int)
            before = PackageUri(before.registry, before.name, top_hash=old_hash)
            after = PackageUri(after.registry, after.name, top_hash=new_hash, path=after.path)
        pinned_before, old = await self._registry(before.registry).open(before)
        pinned_after, new = await self._registry(after.registry).open(after)
        found = await self._manifests.diff(old, new, path)
        warnings = () if cursor else await self._notices((before, old.top_hash), (after, new.top_hash))
        is_there = await anyio.to_thread.run_sync(lambda: old.has(path) or new.has(path))
        changes = await anyio.to_thread.run_sync(found.page, offset, limit)
        end = offset + len(changes)
        more = changes and end < found.count
        next_cursor = encode_cursor(call, old.top_hash, new.top_hash, end) if more else None
        metadata = (old.header.user_meta, new.header.user_meta)
        message = (old.header.message, new.header.message)
        return Diff(
            before=str(pinned_before),
            after=str(pinned_after),
            totals=found.totals,
            package_metadata=None if path or offset or is_same_json(*metadata) else metadata,
            message=message if offset == 0 and message[0] != message[1] else None,
            changes=tuple(changes),
            next_cursor=next_cursor,
            warnings=warnings if is_there else (*warnings, f"no_match: neither revision has {path!r}."),
        )

    async def _notices(self, *asked: tuple[PackageUri, str]) -> tuple[str, ...]:
        found = [
            await self._registry(package.registry).notices(package, top_hash) for package, top_hash in asked
        ]
        return tuple(dict.fromkeys(chain(*found)))

    async def workflows(self, registry: str) -> RegistryWorkflows:
        return await Workflows(self._registry(registry).store, self._stores).list()

    # -- packages, writing --

    async def plan_create(self, request: CreateRequest) -> Plan:
        return await (await self._author(request.package.registry)).plan(request)

    async def create(self, request: CreateRequest, progress: Progress = no_progress) -> Commit:
        with self._writing("package_create", request.package.registry):
            return await (await self._author(request.package.registry)).write(request, progress)

    async def plan_patch(self, request: PatchRequest) -> Plan:
        return await (await self._author(request.package.registry)).plan(request)

    async def patch(self, request: PatchRequest, progress: Progress = no_progress) -> Commit:
        with self._writing("package_patch", request.package.registry):
            return await (await self._author(request.package.registry)).write(request, progress)

    async def plan_copy(self, request: CopyRequest) -> Plan:
        author = await self._author(request.destination.registry)
        if await is_rollback(request, self._registry):
            return await Rollback(author, request).plan()
        plan = await author.plan(request)
        return replace(plan, warnings=(*plan.warnings, *await self._source_notices(request.source)))

    async def copy(self, request: CopyRequest, progress: Progress = no_progress) -> Commit:
        with self._writing("package_copy", request.destination.registry):
            author = await self._author(request.destination.registry)
            if await is_rollback(request, self._registry):
                return await Rollback(author, request).write()
            notices = await self._source_notices(request.source)
            commit = await author.write(request, progress)
            return replace(commit, warnings=(*commit.warnings, *notices))

    @contextmanager
    def _writing(self, verb: str, registry: str) -> Generator[None]:
        """Around a write, after which nothing is believed that was seen before it."""
        self._require_writes(verb)
        try:
            yield
        finally:
            self._manifests.forget_stats()
            self.catalogs.doubt(registry)

    async def _source_notices(self, source: PackageUri) -> tuple[str, ...]:
        if source.top_hash is None:
            return ()
        registry = self._registry(source.registry)
        return await registry.notices(source, await registry.resolve(source))

    async def delete(
        self, package: PackageUri, *, whole: bool = False, dry_run: bool = False
    ) -> DeleteOutcome:
        if not dry_run:
            self._require_writes("package_delete")
        registry = self._registry(package.registry)
        try:
            return await delete(registry, package, whole=whole, dry_run=dry_run)
        finally:
            self._named.forget(registry.store, package.name)
            self._manifests.forget_stats()
            self.catalogs.doubt(registry.url)

    async def install(
        self,
        package: PackageUri,
        dest: str,
        *,
        overwrite: bool = False,
        dry_run: bool = False,
        progress: Progress = no_progress,
    ) -> InstallOutcome:
        if not dry_run:
            self._require_writes("package_install")
        told = await self.may_download(package.registry)
        destination = await anyio.to_thread.run_sync(self._open_folder, dest)
        registry = self._registry(package.registry)
        installer = Installer(registry, destination, progress, overwrite=overwrite)
        outcome = await installer.install(package, dry_run=dry_run)
        warnings = await registry.notices(package, PackageUri.parse(outcome.uri).top_hash or "")
        return replace(outcome, warnings=(*outcome.warnings, *warnings, *told))

    async def verify(
        self, package: PackageUri, *, dest: str | None = None, progress: Progress = no_progress
    ) -> Verification:
        installed = None if dest is None else await anyio.to_thread.run_sync(self._open_folder, dest)
        registry = self._registry(package.registry)
        report = await Verifier(registry, progress, installed).verify(package)
        warnings = await registry.notices(package, PackageUri.parse(report.uri).top_hash or "")
        return replace(report, warnings=(*report.warnings, *warnings))

    def describe(self) -> dict[str, Any]:
        return {
            "registries": list(self.registries),
            "conditional_writes": self._stores.registry(self.default_registry).conditional_writes,
            "read_at_once_bytes": READ_AT_ONCE,
            "page_limit": PAGE_LIMIT,
            "hashed_ahead": {"files": HASHED_AHEAD.entries, "bytes": HASHED_AHEAD.bytes},
        }
