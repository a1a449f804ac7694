"""Listings of one bucket, page by page in key order: a request a page, and one for each empty page that some servers send."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import anyio

from quilt_mcp.errors import NotSupported, PermissionDenied
from quilt_mcp.storage.s3.answers.listing import LISTED
from quilt_mcp.storage.s3.boto import BotoBucket
from quilt_mcp.storage.s3.conditions import NULL_VERSION
from quilt_mcp.storage.store import Listing, ObjectStat

_NOT_ASKED: Final = "not asked"
_PAGE: Final = 1000
"""The most that S3 lists in one answer."""
_EMPTY_SECONDS: Final = 60


class Listings:
    """``shows_versions``: False once s3:ListBucketVersions was refused."""

    def __init__(self, bucket: BotoBucket) -> None:
        self._bucket = bucket
        self.shows_versions = True
        self._versioning: str | None = _NOT_ASKED
        self._asking = anyio.Lock()

    async def list_page(self, prefix: str, *, after: str = "") -> Listing:
        return await self._first(prefix, after)

    async def pages(self, prefix: str, after: str = "") -> AsyncIterator[Sequence[ObjectStat]]:
        async with aclosing(self._answers(prefix, after)) as answers:
            async for listing in answers:
                yield listing.objects

    async def folder(self, prefix: str = "", *, after: str = "", limit: int = _PAGE) -> Listing:
        """See ``Store.list_folder``."""
        start = _last_below(after) if after.endswith("/") and after != prefix else after
        return await self._first(prefix, start, Delimiter="/", MaxKeys=min(limit, _PAGE))

    async def _first(self, prefix: str, after: str, **given: Any) -> Listing:
        """The first answer that shows anything, or the last."""
        async with aclosing(self._answers(prefix, after, **given)) as answers:
            async for listing in answers:
                if listing.objects or listing.folders:
                    return listing
        return Listing((), (), None)

    async def _answers(self, prefix: str, after: str, **given: Any) -> AsyncGenerator[Listing]:
        """Every answer of S3, which may be empty and go on, or hold nothing but the marker of a folder. Its own token continues
        it. Raises NotSupported for one that does not get on: truncated without a token, at the same key, outside the prefix, or
        empty for a minute."""
        reached, begun = after, time.monotonic()
        position: dict[str, Any] = {"StartAfter": after or None}
        while True:
            page = await self._bucket.call("list_objects_v2", Prefix=prefix, **given, **position)
            found: list[ObjectStat] = page[LISTED]
            folders = tuple(item["Prefix"] for item in page.get("CommonPrefixes", ()))
            keys = [stat.key for stat in found]
            if not all(key.startswith(prefix) for key in (*keys, *folders)):
                raise self._no_listing(f"names keys outside {prefix!r}")
            if keys or folders:
                last = max([*keys, *map(_last_below, folders)])
                if last <= reached:
                    raise self._no_listing(f"does not get beyond {reached!r}")
                reached, begun = last, time.monotonic()
            elif time.monotonic() - begun > _EMPTY_SECONDS:
                raise self._no_listing(f"has been empty for {_EMPTY_SECONDS} seconds, and goes on")
            more = bool(page.get("IsTruncated"))
            token = page.get("NextContinuationToken")
            if more and not token:
                raise self._no_listing("is cut off, and does not say where it goes on")
            # A folder's name is enough to go on after it, and stays readable in a cursor.
            next_after = max([*keys, *folders], default=reached)
            yield Listing(tuple(filter(_is_file, found)), folders, next_after if more else None)
            if not more:
                return
            position = {"ContinuationToken": token}

    def _no_listing(self, what: str) -> NotSupported:
        return NotSupported(
            f"The S3 server's listing of s3://{self._bucket.name} {what}.",
            next_step="S3 makes no such listings, so nothing was taken from it. Tell whoever runs the server.",
            details={"bucket": self._bucket.name},
        )

    async def latest_versions(self, prefix: str) -> AsyncIterator[Sequence[ObjectStat]]:
        """As ``pages``, with version ids: None in a bucket that never had versioning, 'null' for what was written to one before
        versioning or while it was suspended.

        Roles that may not list versions get the plain listing, whose version ids are None.
        """
        markers: dict[str, Any] = {}
        passed: set[tuple[str, str]] = set()
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
            key, version = page.get("NextKeyMarker", ""), page.get("NextVersionIdMarker", "")
            if key < markers.get("KeyMarker", "") or not key or (key, version) in passed:
                raise self._no_listing(f"of versions does not get beyond {key!r}")
            passed = {place for place in passed if place[0] == key} | {(key, version)}
            markers = {"KeyMarker": key, "VersionIdMarker": version}

    async def versioning(self) -> str | None:
        """'Enabled', 'Suspended', None for a bucket that never had versioning, 'unknown' where that may not be asked.
        Asked once."""
        if self._versioning != _NOT_ASKED:
            return self._versioning
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


def _last_below(folder: str) -> str:
    """The last key that a folder can have: after it come no others of the folder."""
    return f"{folder}\U0010ffff"
