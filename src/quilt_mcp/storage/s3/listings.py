"""Listings of one bucket, page by page in key order, a request a page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final

import anyio

from quilt_mcp.errors import PermissionDenied
from quilt_mcp.storage.s3.boto import BotoBucket
from quilt_mcp.storage.s3.conditions import NULL_VERSION
from quilt_mcp.storage.s3.listing_xml import LISTED
from quilt_mcp.storage.store import Listing, ObjectStat

_NOT_ASKED: Final = "not asked"
_PAGE: Final = 1000
"""The most that S3 lists in one answer."""


class Listings:
    """``shows_versions``: False once s3:ListBucketVersions was refused."""

    def __init__(self, bucket: BotoBucket) -> None:
        self._bucket = bucket
        self.shows_versions = True
        self._versioning: str | None = _NOT_ASKED
        self._asking = anyio.Lock()

    async def list_page(self, prefix: str, *, after: str = "") -> Listing:
        page = await self._bucket.call("list_objects_v2", Prefix=prefix, StartAfter=after or None)
        found: list[ObjectStat] = page[LISTED]
        more = page.get("IsTruncated") and found
        return Listing(tuple(filter(_is_file, found)), (), found[-1].key if more else None)

    async def pages(self, prefix: str, after: str = "") -> AsyncIterator[Sequence[ObjectStat]]:
        page = await self.list_page(prefix, after=after)
        yield page.objects
        while page.next_after is not None:
            page = await self.list_page(prefix, after=page.next_after)
            yield page.objects

    async def folder(self, prefix: str = "", *, after: str = "", limit: int = _PAGE) -> Listing:
        """See ``Store.list_folder``."""
        if after.endswith("/"):
            after += "\U0010ffff"  # After a folder come no keys of the folder: '/' is followed by the highest character.
        page = await self._bucket.call(
            "list_objects_v2",
            Prefix=prefix,
            Delimiter="/",
            MaxKeys=min(limit, _PAGE),
            StartAfter=after or None,
        )
        objects = tuple(stat for stat in page[LISTED] if stat.key != prefix)
        folders = tuple(item["Prefix"] for item in page.get("CommonPrefixes", ()))
        last = max([*(stat.key for stat in objects), *folders], default=None)
        return Listing(objects, folders, last if page.get("IsTruncated") else None)

    async def latest_versions(self, prefix: str) -> AsyncIterator[Sequence[ObjectStat]]:
        """As ``pages``, with version ids: None in a bucket that never had versioning, 'null' for what was written to one before
        versioning or while it was suspended.

        Roles that may not list versions get the plain listing, whose version ids are None.
        """
        markers: dict[str, Any] = {}
        while True:
            try:
                page = await self._bucket.call("list_object_versions", Prefix=prefix, **markers)
            except PermissionDenied:
                self.shows_versions = False
                async for plain in self.pages(prefix):
                    yield plain
                return
            objects = [stat for stat in page[LISTED] if _is_file(stat)]
            if any(stat.version == NULL_VERSION for stat in objects) and await self.versioning() is None:
                objects = [replace(stat, version=None) for stat in objects]
            yield objects
            if not page.get("IsTruncated"):
                return
            markers = {
                "KeyMarker": page["NextKeyMarker"],
                "VersionIdMarker": page.get("NextVersionIdMarker", ""),
            }

    async def versioning(self) -> str | None:
        """'Enabled', 'Suspended', None for a bucket that never had versioning, 'unknown' where that may not be asked.
        Asked once."""
        async with self._asking:
            if self._versioning == _NOT_ASKED:
                try:
                    answer = await self._bucket.call("get_bucket_versioning")
                    self._versioning = answer.get("Status")
                except PermissionDenied:
                    self._versioning = "unknown"
        return self._versioning


def _is_file(stat: ObjectStat) -> bool:
    """Whether a listed object is one: not the empty one that a console makes for a folder."""
    return stat.size > 0 or not stat.key.endswith("/")
