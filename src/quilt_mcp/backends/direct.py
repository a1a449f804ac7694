"""DirectOps: QuiltOps over registries that this process reads and writes itself. Local and IAM differ only in their stores."""

from __future__ import annotations

import mimetypes
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from quilt_mcp.domain.address import PackageUri, PhysicalKey, parse_registry
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.diff import Diff
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import (
    Browse,
    Content,
    Item,
    Link,
    ObjectListing,
    PackageListing,
    Page,
    RegistryListing,
    Revision,
    Verification,
    WorkflowListing,
)
from quilt_mcp.domain.plan import (
    Commit,
    CopyRequest,
    CreateRequest,
    DeleteOutcome,
    InstallOutcome,
    PatchRequest,
    Plan,
    Progress,
    PutOutcome,
    no_progress,
)
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidArgument,
    NotSupported,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    ReadOnly,
    RegistryNotFound,
    StorageUnavailable,
    TooLarge,
)
from quilt_mcp.registry.deletion import Deletion
from quilt_mcp.registry.install import Destination, Installer
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.verify import Verifier
from quilt_mcp.registry.workflows import Workflows
from quilt_mcp.registry.writing.author import Author
from quilt_mcp.registry.writing.publish import Publisher
from quilt_mcp.registry.writing.recorded import not_as_recorded
from quilt_mcp.storage.store import ObjectStat, Place, Store, Stores

READ_AT_ONCE = 16 << 20
"""The most bytes one read answers."""
PAGE_LIMIT = 1000


class DirectOps:
    """See ``ops.QuiltOps``. ``open_folder`` opens a local folder to install into, inside the roots."""

    def __init__(
        self,
        backend: str,
        stores: Stores,
        manifests: ManifestCache,
        *,
        default_registry: str,
        registries: tuple[str, ...],
        writable: bool,
        scratch: Path,
        open_folder: Callable[[str], Destination],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._stores = stores
        self._manifests = manifests
        self._default_registry = default_registry
        self._registry_urls = registries
        self._writable = writable
        self._scratch = scratch
        self._open_folder = open_folder
        self._clock = clock

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def default_registry(self) -> str:
        return self._default_registry

    @property
    def writable(self) -> bool:
        return self._writable

    def _registry(self, url: str) -> Registry:
        return Registry(self._stores.registry(parse_registry(url)), self._stores, self._manifests)

    def _author(self, url: str) -> Author:
        return Author(self._registry(url), self._registry, self._scratch, self._clock)

    def _require_writes(self, verb: str) -> None:
        if not self._writable:
            raise ReadOnly(
                f"This server is read-only: {verb} would write.",
                next_step="Start it with --allow-write or QUILT_ALLOW_WRITE=1, or set dry_run=true to see the plan.",
            )

    # -- packages, reading --

    @property
    def registries(self) -> tuple[str, ...]:
        """The configured ones."""
        return self._registry_urls

    async def list_buckets(self, *, limit: int = 100, cursor: str | None = None) -> Page[RegistryListing]:
        return self.registry_page(self._registry_urls, limit, cursor, writable=self._writable)

    def registry_page(
        self,
        urls: tuple[str, ...],
        limit: int,
        cursor: str | None,
        *,
        writable: bool | None,
        warnings: tuple[str, ...] = (),
    ) -> Page[RegistryListing]:
        """One page of ``urls``."""
        start = decode_cursor(cursor, "buckets", int)[0] if cursor else 0
        shown = urls[start : start + _checked_limit(limit)]
        listings = tuple(
            RegistryListing(url, is_default=url == self._default_registry, writable=writable) for url in shown
        )
        end = start + len(shown)
        next_cursor = encode_cursor("buckets", end) if end < len(urls) else None
        return Page(listings, next_cursor, len(urls), warnings)

    async def list_packages(
        self, registry: str, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[PackageListing]:
        opened = self._registry(registry)
        try:
            return await opened.list_packages(prefix, _checked_limit(limit), cursor)
        except RegistryNotFound as error:
            is_folder = opened.store.local_files is not None and not error.details.get("exists")
            if opened.url not in self._registry_urls or not is_folder:
                raise
            # A configured folder is there from its first package on; before that it is empty, not an error.
            warning = f"registry_empty: {opened.url} does not exist yet; the first package_create makes it."
            return Page((), None, 0, (warning,))

    async def resolve(self, package: PackageUri) -> PackageUri:
        registry = self._registry(package.registry)
        top_hash = await registry.require_revision(package)
        return PackageUri(registry.url, package.name, top_hash=top_hash, path=package.path)

    async def log(
        self, package: PackageUri, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Revision]:
        return await self._registry(package.registry).log(package.name, _checked_limit(limit), cursor)

    async def browse(
        self, package: PackageUri, *, recursive: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Browse:
        return await self._registry(package.registry).browse(
            package, recursive, _checked_limit(limit), cursor
        )

    async def stat(self, package: PackageUri) -> Item:
        return await self._registry(package.registry).stat(package)

    async def read(self, package: PackageUri, *, offset: int = 0, length: int | None = None) -> Content:
        registry = self._registry(package.registry)
        pinned, entry = await registry.file(package)
        place = registry.locate(entry)
        wanted = _checked_range(offset, length, entry.size or 0, str(pinned))
        stat, data = await place.store.get(place.key, offset=offset, length=wanted, version=place.version)
        whole = offset == 0 and len(data) == stat.size
        verified = whole and _verify(entry, data)
        if stat.size != entry.size:
            raise not_as_recorded(
                entry.logical_key, entry.physical_key, f"{stat.size} bytes", f"{entry.size} bytes"
            )
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
        )

    async def link(self, uri: str, *, expires_in: int = 3600) -> Link:
        if uri.startswith("quilt+"):
            package = PackageUri.parse(uri)
            registry = self._registry(package.registry)
            pinned, entry = await registry.file(package)
            uri, place = str(pinned), registry.locate(entry)
        else:
            key = PhysicalKey.parse(uri)
            place = Place(*self._stores.locate(key), key.version_id)
        await place.store.stat(place.key, version=place.version)
        return await self._link(place, uri, expires_in)

    async def _link(self, place: Place, uri: str, expires_in: int = 3600) -> Link:
        """No request is made, so that a listing can have one for each object."""
        if place.store.local_files is not None:
            return Link(str(place.store.physical_key(place.key)), "file", None, uri)
        if place.store.signer is not None:
            url, expires = await place.store.signer.sign(
                place.key, version=place.version, expires_in=expires_in
            )
            return Link(url, "presigned", expires, uri)
        raise NotSupported(
            f"{place.store.url} cannot sign links.", next_step="Call object_read for the file's bytes."
        )

    async def diff(
        self, before: PackageUri, after: PackageUri, *, limit: int = 100, cursor: str | None = None
    ) -> Diff:
        offset = 0
        if cursor:
            old_hash, new_hash, offset = decode_cursor(cursor, "diff", str, str, int)
            before = PackageUri(before.registry, before.name, top_hash=old_hash)
            after = PackageUri(after.registry, after.name, top_hash=new_hash, path=after.path)
        old, new, compared = await self._registry(before.registry).compare(
            before, self._registry(after.registry), after
        )
        found = compared.changes
        changes = await anyio.to_thread.run_sync(found.page, offset, _checked_limit(limit))
        totals = found.totals
        total = totals.added + totals.removed + totals.modified + totals.renamed + totals.metadata
        end = offset + len(changes)
        next_cursor = (
            encode_cursor("diff", old.top_hash or "", new.top_hash or "", end)
            if changes and end < total
            else None
        )
        metadata = (compared.before.user_meta, compared.after.user_meta)
        message = (compared.before.message, compared.after.message)
        return Diff(
            before=str(old),
            after=str(new),
            totals=totals,
            package_metadata=metadata if offset == 0 and metadata[0] != metadata[1] else None,
            message=message if offset == 0 and message[0] != message[1] else None,
            changes=tuple(changes),
            next_cursor=next_cursor,
        )

    async def workflows(self, registry: str) -> Page[WorkflowListing]:
        opened = self._registry(registry)
        listings = await Workflows(opened.store, self._stores).list()
        return Page(listings, None, len(listings))

    # -- objects --

    async def list_objects(
        self, location: str, *, links: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[ObjectListing]:
        store, prefix = self._stores.locate_folder(PhysicalKey.parse(location))
        after = decode_cursor(cursor, "objects", str)[0] if cursor else ""
        listing = await store.list_folder(prefix, after=after, limit=_checked_limit(limit))
        items: list[ObjectListing] = []
        for stat in listing.objects:
            uri = str(store.physical_key(stat.key, stat.version))
            link = await self._link(Place(store, stat.key, stat.version), uri) if links else None
            items.append(_object(store, stat, link))
        items += [ObjectListing(f"{store.url}/{folder}", "folder") for folder in listing.folders]
        items.sort(key=lambda item: item.uri)
        next_cursor = encode_cursor("objects", listing.next_after) if listing.next_after is not None else None
        return Page(tuple(items), next_cursor)

    async def stat_object(self, uri: str) -> ObjectListing:
        key = PhysicalKey.parse(uri)
        store, path = self._stores.locate(key)
        return _object(store, await _stat(store, path, key.version_id))

    async def read_object(self, uri: str, *, offset: int = 0, length: int | None = None) -> Content:
        key = PhysicalKey.parse(uri)
        store, path = self._stores.locate(key)
        size = (await _stat(store, path, key.version_id)).size
        wanted = _checked_range(offset, length, size, uri)
        stat, data = await store.get(path, offset=offset, length=wanted, version=key.version_id)
        return Content(
            uri=str(store.physical_key(path, key.version_id)),
            data=data,
            offset=offset,
            size=stat.size,
            media_type=media_type(path),
            modified=stat.modified,
        )

    async def put_object(
        self, uri: str, body: bytes, *, overwrite: bool = False, dry_run: bool = False
    ) -> PutOutcome:
        key = PhysicalKey.parse(uri)
        store, path = self._stores.locate(key)
        if f"/{path}/".startswith("/.quilt/") or "/.quilt/" in f"/{path}":
            raise InvalidArgument(
                f"{uri} lies in a registry's own folder (.quilt), which only package tools write.",
                next_step="Call package_create or package_patch to change packages, or put the object elsewhere.",
            )
        try:
            await store.stat(path)
            exists = True
        except ObjectNotFound:
            exists = False
        if exists and not overwrite:
            raise _object_exists(uri)
        if dry_run:
            return PutOutcome(str(store.physical_key(path)), len(body), done=False, replaced=exists)
        self._require_writes("object_put")
        try:
            await store.put(path, body, if_absent=not overwrite)
        except PreconditionFailed:
            raise _object_exists(uri) from None
        return PutOutcome(str(store.physical_key(path)), len(body), done=True, replaced=exists)

    # -- packages, writing --

    async def plan_create(self, request: CreateRequest) -> Plan:
        return await self._author(request.package.registry).plan_create(request)

    async def create(self, request: CreateRequest, progress: Progress = no_progress) -> Commit:
        self._require_writes("package_create")
        return await self._author(request.package.registry).create(request, progress)

    async def plan_patch(self, request: PatchRequest) -> Plan:
        return await self._author(request.package.registry).plan_patch(request)

    async def patch(self, request: PatchRequest, progress: Progress = no_progress) -> Commit:
        self._require_writes("package_patch")
        return await self._author(request.package.registry).patch(request, progress)

    async def plan_copy(self, request: CopyRequest) -> Plan:
        return await self._author(request.destination.registry).plan_copy(request)

    async def copy(self, request: CopyRequest, progress: Progress = no_progress) -> Commit:
        self._require_writes("package_copy")
        return await self._author(request.destination.registry).copy(request, progress)

    async def rollback(self, package: PackageUri) -> PackageUri:
        self._require_writes("a rollback")
        registry = self._registry(package.registry)
        pinned, _ = await registry.open(package)
        latest = await registry.pointers.latest(package.name)
        publisher = Publisher(registry.store, self._scratch)
        await publisher.point_latest(package.name, pinned.top_hash or "", latest)
        return pinned

    async def delete(self, package: PackageUri, *, dry_run: bool = False) -> DeleteOutcome:
        if not dry_run:
            self._require_writes("package_delete")
        registry = self._registry(package.registry)
        deletion = Deletion(registry, Publisher(registry.store, self._scratch))
        return await deletion.delete(package, dry_run=dry_run)

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
        destination = await anyio.to_thread.run_sync(self._open_folder, dest)
        installer = Installer(self._registry(package.registry), destination, progress, overwrite=overwrite)
        return await installer.install(package, dry_run=dry_run)

    async def verify(
        self, package: PackageUri, *, dest: str | None = None, progress: Progress = no_progress
    ) -> Verification:
        installed = None if dest is None else await anyio.to_thread.run_sync(self._open_folder, dest)
        return await Verifier(self._registry(package.registry), progress, installed).verify(
            package, self._scratch
        )

    def describe(self) -> dict[str, Any]:
        return {
            "registries": list(self._registry_urls),
            "conditional_writes": self._stores.registry(self._default_registry).conditional_writes,
            "read_at_once_bytes": READ_AT_ONCE,
            "page_limit": PAGE_LIMIT,
        }


def media_type(name: str) -> str:
    """By the name's ending, as the standard library knows it, and a few it does not."""
    known = {
        ".parquet": "application/vnd.apache.parquet",
        ".ipynb": "application/x-ipynb+json",
        ".md": "text/markdown",
        ".yml": "application/yaml",
        ".yaml": "application/yaml",
        ".jsonl": "application/jsonl",
        ".tsv": "text/tab-separated-values",
    }
    ending = os.path.splitext(name)[1].lower()
    return known.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"


async def _stat(store: Store, key: str, version: str | None) -> ObjectStat:
    """Raises RegistryNotFound where there is not even the bucket, which S3 does not say of a single object."""
    try:
        return await store.stat(key, version=version)
    except ObjectNotFound:
        with suppress(PermissionDenied, StorageUnavailable):
            await store.list_folder(limit=1)
        raise


def _object(store: Store, stat: ObjectStat, link: Link | None = None) -> ObjectListing:
    uri = str(store.physical_key(stat.key, stat.version))
    return ObjectListing(uri, "object", stat.size, stat.modified, stat.version, link)


def _checked_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT:
        raise InvalidArgument(
            f"limit is {limit}; a page has 1 to {PAGE_LIMIT} items.",
            next_step=f"Set limit between 1 and {PAGE_LIMIT}, and go on with next_cursor.",
        )
    return limit


def _checked_range(offset: int, length: int | None, size: int, uri: str) -> int:
    if offset < 0 or (length is not None and length < 0):
        raise InvalidArgument(
            "offset and length count bytes and cannot be negative.", next_step="Set them to 0 or more."
        )
    if offset > size:
        raise InvalidArgument(
            f"offset {offset} lies past the end of {uri}, which has {size} bytes.",
            next_step=f"Set offset to at most {size}.",
            details={"size": size},
        )
    wanted = size - offset if length is None else min(length, size - offset)
    if wanted > READ_AT_ONCE:
        raise TooLarge(
            f"{wanted} bytes of {uri} were asked for; one read answers at most {READ_AT_ONCE}.",
            next_step=f"Set length to at most {READ_AT_ONCE} and go on with offset, or call package_install.",
            details={"size": size, "limit": READ_AT_ONCE},
        )
    return wanted


def _verify(entry: Entry, data: bytes) -> bool:
    """True when the whole file is as recorded, False when its hash type is unknown. Raises HashMismatch."""
    if entry.hash is None or len(data) != entry.size:
        return False
    try:
        found = hash_bytes(data, entry.hash.type)
    except NotSupported:
        return False
    if found != entry.hash:
        raise not_as_recorded(entry.logical_key, entry.physical_key, found.value, entry.hash.value)
    return True


def _object_exists(uri: str) -> AlreadyExists:
    return AlreadyExists(
        f"{uri} already exists.",
        next_step="Set overwrite=true to replace it, or choose another name.",
        details={"uri": uri},
    )
