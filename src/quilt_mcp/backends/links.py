"""LinkOps: the verbs of QuiltOps that give links: to a file, to the files of a folder of a package, and for an upload."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice, takewhile
from typing import Final

from anyio import to_thread

from quilt_mcp.backends.objects import ObjectOps, checked_limit
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import FileLink, FolderLinks, Link, Page
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import NotSupported, QuiltError
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.s3.archives import archived
from quilt_mcp.storage.store import Place, Store

_LISTINGS: Final = 2
"""Of one bucket, to see what of a page is archived: the files of a package lie close together, as a rule."""
_NAMED: Final = 3


class LinkOps(ObjectOps, ABC):
    """See ``ops.QuiltOps``."""

    @abstractmethod
    def _registry(self, url: str) -> Registry: ...

    async def may_download(self, registry: str) -> tuple[str, ...]:
        """Asks whoever runs the registry. Warnings, where they cannot be asked. Raises PermissionDenied."""
        return ()

    async def locate(self, uri: str) -> tuple[str, Place]:
        """Where the bytes lie of a file of a package (its URI pinned), or of an object."""
        if not uri.startswith("quilt+"):
            return uri, self._place(uri)
        package = PackageUri.parse(uri)
        registry = self._registry(package.registry)
        pinned, entry = await registry.file(package)
        return str(pinned), registry.locate(pinned, entry)

    async def link(self, uri: str, *, download: bool = False, expires_in: int = 3600) -> Link:
        warnings = await self.may_download(uri.removeprefix("quilt+")) if download else ()
        uri, place = await self.locate(uri)
        archive = None
        if place.store.archive is None:
            await place.store.stat(place.key, version=place.version)
        else:
            _, archive = await place.store.archive.stat(place.key, version=place.version)
        link = await self._link(place, uri, expires_in, download=download)
        if link.kind == "presigned" and archive is not None and not archive.is_readable:
            raise archived(place.store.physical_key(place.key, place.version), archive)
        return replace(link, warnings=warnings)

    async def links(
        self,
        package: PackageUri,
        *,
        download: bool = False,
        expires_in: int = 3600,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Link | FolderLinks:
        registry, path = self._registry(package.registry), (package.path or "").strip("/")
        call = ("links", registry.url, package.name, path, download)
        limit, after = checked_limit(limit), ""
        if cursor:
            top_hash, after = decode_cursor(cursor, call, str, str)
            package = PackageUri(registry.url, package.name, top_hash=top_hash, path=package.path)
        pinned, manifest = await registry.open(package)
        item = await to_thread.run_sync(registry.item, pinned, manifest, package.path or "")
        if item.type == "file":
            return await self.link(item.uri, download=download, expires_in=expires_in)
        page = None if download else self._page(item.uri)
        if page is not None:
            return Link(page, "catalog", None, item.uri)
        warnings = await self.may_download(registry.url) if download else ()
        if not cursor:
            warnings = (*warnings, *await registry.notices(package, manifest.top_hash))
        rows = await to_thread.run_sync(lambda: [*islice(manifest.rows(path, None, after), limit + 1)])
        entries = [row.entry for row in rows[:limit] if row.entry is not None]
        files, faults = await self._file_links(registry, pinned, entries, expires_in)
        more = len(rows) > limit
        next_cursor = encode_cursor(call, manifest.top_hash, rows[limit - 1].path) if more else None
        return FolderLinks(item.uri, Page(files, next_cursor, item.entries, (*warnings, *faults)))

    async def _file_links(
        self, registry: Registry, pinned: PackageUri, entries: Iterable[Entry], expires_in: int
    ) -> tuple[tuple[FileLink, ...], tuple[str, ...]]:
        """Links that download, and what there is to warn of. At most two requests for each bucket that the files lie in.
        Raises NotSupported where no file has a link."""
        files: list[FileLink] = []
        places: dict[str, Place] = {}
        faults: list[str] = []
        refusal: QuiltError | None = None
        for entry in entries:
            path, link = entry.logical_key, None
            try:
                place = registry.locate(pinned, entry)
                uri = registry.uri(pinned.name, pinned.top_hash, path)
                link = await self._link(place, uri, expires_in, download=True)
                if link.kind == "presigned":
                    places[path] = place
            except QuiltError as error:
                refusal = error
                faults.append(f"no_link: {path}: {error.message}")
            files.append(FileLink(path, entry.size or 0, link))
        if isinstance(refusal, NotSupported) and len(faults) == len(files):
            raise refusal  # of this backend, and not of single files
        classes = await _archived(places)
        found = tuple(replace(file, storage_class=classes.get(file.path)) for file in files)
        return found, (*_shortened(faults), *_told(classes))


async def _archived(places: Mapping[str, Place]) -> dict[str, str]:
    """By path, the storage class of each that is in an archive, as far as a few listings show it."""
    found: dict[str, str] = {}
    for url, store in {place.store.url: place.store for place in places.values()}.items():
        own = {path: place.key for path, place in places.items() if place.store.url == url}
        classes = await _classes(store, sorted({*own.values()}))
        found |= {path: classes[key] for path, key in own.items() if key in classes}
    return found


async def _classes(store: Store, keys: Sequence[str]) -> dict[str, str]:
    """Of these keys, in order."""
    wanted: list[str] = list(keys)
    found: dict[str, str] = {}
    with suppress(QuiltError):  # a role that may not list
        for _ in range(_LISTINGS):
            if not wanted or store.pages is None:
                break
            pairs = takewhile(lambda pair: pair[0] == pair[1], zip(wanted[0], wanted[-1], strict=False))
            prefix = "".join(one for one, _ in pairs)
            after = wanted[0][:-1] if wanted[0] != prefix else ""
            listing = await store.pages.list_page(prefix, after=after)
            found |= {one.key: one.archive_class for one in listing.objects if one.archive_class}
            reached = listing.next_after
            wanted = [] if reached is None else [key for key in wanted if key > reached]
    return found


def _shortened(faults: Sequence[str]) -> tuple[str, ...]:
    if len(faults) <= _NAMED:
        return tuple(faults)
    return (*faults[:_NAMED], f"no_link: {len(faults) - _NAMED} more files of this page have none.")


def _told(classes: Mapping[str, str]) -> tuple[str, ...]:
    if not classes:
        return ()
    names = ", ".join([*classes][:_NAMED]) + (", ..." if len(classes) > _NAMED else "")
    return (
        f"archived: {counted(len(classes), 'file')} of this page in an archive storage class ({names}); the link of such a file "
        "opens nothing before object_restore.",
    )
