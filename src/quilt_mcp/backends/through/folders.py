"""Folders: a revision that is too large to be listed whole, one folder or file at a time. Nothing of it is verified: what a stack
tells of a folder has no hashes."""

from __future__ import annotations

from functools import partial
from typing import Final

from quilt_mcp.backends.objects import checked_length
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.catalog.told import Inside, ToldFile, ToldFolder
from quilt_mcp.domain.address import PackageUri, browse_call
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Entry, Header
from quilt_mcp.domain.listing import Browse, Content, Item, Page, Totals
from quilt_mcp.domain.media_types import media_type
from quilt_mcp.domain.names import walk_key
from quilt_mcp.errors import EntryNotFound, InvalidArgument, NotAFile
from quilt_mcp.registry.recorded import check_size
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.workers import in_thread

NOT_VERIFIED: Final = (
    "not_verified: the revision is too large for the stack to list whole, so its manifest is not checked; a folder has no count "
    "of its files, and files have no hashes."
)


class Folders:
    """Each call is two requests after the ones that found the revision too large: which it is, and what is in the folder."""

    def __init__(self, packages: StackPackages, registry: Registry) -> None:
        self._packages = packages
        self._registry = registry

    async def browse(self, package: PackageUri, limit: int, cursor: str | None) -> Browse:
        at = 0
        if cursor:
            top_hash, at = decode_cursor(cursor, _call(package), str, int)
            package = PackageUri(package.registry, package.name, top_hash=top_hash, path=package.path)
        pinned, inside = await self._inside(package)
        header, item = inside.revision.header or Header({}), inside.item
        children = [item] if isinstance(item, ToldFile) else sorted(inside.children, key=_walk)
        rows = children[at : at + limit]
        end = at + len(rows)
        top_hash = inside.revision.top_hash
        return Browse(
            registry=self._registry.url,
            name=package.name,
            top_hash=top_hash,
            message=header.message,
            modified=inside.revision.modified,
            metadata=header.user_meta,
            workflow=header.workflow,
            totals=inside.totals,
            shown=Totals(len(children), item.size),
            path=self._item(pinned, item).path,
            page=Page(
                tuple(self._item(pinned, one) for one in rows),
                encode_cursor(_call(package), top_hash, end) if end < len(children) else None,
                len(children),
                () if cursor else (NOT_VERIFIED,),
            ),
            uri=self._registry.uri(package.name, top_hash, package.path),
            verified=False,
        )

    async def stat(self, package: PackageUri) -> Item:
        pinned, inside = await self._inside(package)
        return self._item(pinned, inside.item)

    async def read(self, package: PackageUri, offset: int, length: int | None) -> Content:
        pinned, inside = await self._inside(package)
        item = inside.item
        if isinstance(item, ToldFolder):
            raise NotAFile(
                f"{package.path or 'The root'} of {package.name} is a folder.",
                next_step=f"{browse_call(pinned)}, then object_read with the path of a row.",
            )
        wanted = checked_length(offset, length, item.size, str(pinned))
        entry = Entry(item.path, item.physical_key, item.size, None)
        place = self._registry.locate(pinned, entry)
        stat, content = await place.store.get(place.key, offset=offset, length=wanted)
        check_size(entry, stat.size)
        return Content(
            uri=str(pinned),
            data=content,
            offset=offset,
            size=stat.size,
            media_type=media_type(item.path),
            metadata=item.metadata,
            modified=stat.modified,
            warnings=(NOT_VERIFIED,),
        )

    async def _inside(self, package: PackageUri) -> tuple[PackageUri, Inside]:
        top_hash = await self._registry.resolve(package)
        path = (package.path or "").strip("/")
        bucket = self._registry.url.removeprefix("s3://")
        found = await in_thread(partial(self._packages.inside, bucket, package.name, top_hash, path))
        if found is None:
            raise EntryNotFound(
                f"There is no {path!r} in {package.name}@{top_hash[:10]}.",
                next_step="Call package_browse for what the package holds.",
                details={"package": self._registry.uri(package.name, top_hash), "path": path},
            )
        return PackageUri(self._registry.url, package.name, top_hash=top_hash, path=path or None), found

    def _item(self, pinned: PackageUri, told: ToldFile | ToldFolder) -> Item:
        is_file = isinstance(told, ToldFile)
        path = told.path if is_file or not told.path else f"{told.path}/"
        return Item(
            path=path,
            type="file" if is_file else "folder",
            size=told.size,
            hash=None,
            metadata=told.metadata,
            physical_key=told.physical_key if is_file else None,
            uri=self._registry.uri(pinned.name, pinned.top_hash, path or None),
        )


def is_of_folders(package: PackageUri, cursor: str) -> bool:
    try:
        decode_cursor(cursor, _call(package), str, int)
    except InvalidArgument:
        return False
    return True


def _call(package: PackageUri) -> tuple[str, ...]:
    return ("told folder", package.registry, package.name, (package.path or "").strip("/"))


def _walk(told: ToldFile | ToldFolder) -> str:
    return walk_key(told.path)
