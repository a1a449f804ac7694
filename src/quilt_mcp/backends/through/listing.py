"""The packages of a bucket as a stack lists them: names, times, totals and metadata of a page in one request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from json import dumps
from typing import Any, Final, Literal, cast

from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.catalog.packages import StackPackages, ToldPackage
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.glob import has_wildcard
from quilt_mcp.domain.listing import PackageListing, Page
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.filter import Filter, TimeTest
from quilt_mcp.domain.search.where import as_json
from quilt_mcp.errors import InvalidName
from quilt_mcp.registry.reading.narrowing import metadata_fields
from quilt_mcp.registry.reading.packages import Wanted
from quilt_mcp.registry.registry import shown
from quilt_mcp.storage.workers import in_thread

NAMES: Final = 1_000
"""Names that are asked for at once, where only some of them are wanted."""
WITH_METADATA: Final = 200
"""Packages whose metadata is asked for at once."""
REQUESTS: Final = 20
"""Requests that a call makes at most."""


async def list_told(
    packages: StackPackages, registry: ToldRegistry, wanted: Wanted, limit: int, cursor: str | None
) -> Page[PackageListing]:
    """See ``QuiltOps.list_packages``. One request where all packages are wanted. Pages are by number, so a package that is made
    or deleted between two of them may show twice or be passed over, as in the catalog; pages keep the size of the first."""
    wanted.check()
    return await _Listing(packages, registry, wanted, limit).page(cursor)


@dataclass(slots=True)
class _Listing:
    packages: StackPackages
    registry: ToldRegistry
    wanted: Wanted
    limit: int
    warnings: list[str] = field(default_factory=list[str])
    total: int | None = None

    async def page(self, cursor: str | None) -> Page[PackageListing]:
        wanted = self.wanted
        call = (
            "told",
            self.registry.url,
            wanted.prefix,
            wanted.match,
            wanted.sort,
            dumps(as_json(wanted.where)),
        )
        is_whole = not (wanted.prefix or wanted.match or wanted.where)
        at, size = 0, self.limit if is_whole else WITH_METADATA if wanted.where else NAMES
        if cursor:
            at, size = decode_cursor(cursor, call, int, int)
        narrowing = _Narrowing(wanted)
        found: list[ToldPackage] = []
        begun, paused = at, False
        async for row in self._rows(at, size, 1 if is_whole else REQUESTS):
            if row is None:
                paused = True
                break
            at += 1
            if narrowing.takes(row) and self._is_name(row):
                found.append(row)
                if len(found) == self.limit:
                    break
        more = paused or (self.total is not None and at < self.total)
        if paused and not is_whole and len(found) < self.limit:
            self.warnings.append(
                f"listing_paused: a call looks at {counted(at - begun, 'package')} at most. Go on with next_cursor."
            )
        self.warnings += narrowing.told(is_first=not cursor)
        if not (found or more or cursor):
            self.warnings.append(await self._no_match(narrowing.looked_at))
        total = self.total if is_whole else None if more or cursor else len(found)
        return Page(
            tuple(self._told(one) for one in found),
            encode_cursor(call, at, size) if more else None,
            total,
            tuple(self.warnings),
        )

    async def _rows(self, at: int, size: int, requests: int) -> AsyncIterator[ToldPackage | None]:
        """From the ``at``-th on; None where a call has asked enough."""
        order: Literal["NAME", "MODIFIED"] = "MODIFIED" if self.wanted.sort == "-modified" else "NAME"
        for _ in range(requests):
            asking = partial(
                self.packages.page,
                self.registry.store.url.removeprefix("s3://"),
                number=at // size + 1,
                size=size,
                pattern=self._pattern(),
                order=order,
                with_metadata=self.wanted.shown is not False
                or self.wanted.shows_message
                or bool(self.wanted.where),
                with_totals=self.wanted.detail,
            )
            rows, self.total = await in_thread(asking)
            for row in rows[at % size :]:
                yield row
            at += len(rows) - at % size
            if not rows or at >= self.total:
                return
        yield None

    def _pattern(self) -> str | None:
        """What narrows names on the stack's side, where it cannot narrow too much: there it is a part of a name."""
        text = self.wanted.prefix or next(iter(self.wanted.match.split()), "")
        return None if not text or has_wildcard(text) else text

    def _is_name(self, row: ToldPackage) -> bool:
        try:
            validate_package_name(row.name)
        except InvalidName:
            self.warnings.append(
                f"malformed_name: {row.name!r} stands among the packages, is no package name (namespace/name) and is ignored."
            )
            return False
        return True

    def _told(self, row: ToldPackage) -> PackageListing:
        wanted, registry = self.wanted, self.registry
        if row.top_hash is None:
            self.warnings.append(f"missing_latest: the stack tells no latest revision of {row.name}.")
            return PackageListing(row.name, None, row.modified)
        found = row.metadata if wanted.shown is True else at_pointers(row.metadata, wanted.shown or ())
        return PackageListing(
            row.name,
            row.top_hash,
            row.modified,
            registry.manifests.verdict(registry.store, row.top_hash),
            None if wanted.shown is False else found,
            row.message if wanted.shows_message else None,
            row.totals,
        )

    async def _no_match(self, looked_at: int) -> str:
        wanted, asked = self.wanted, self.wanted.prefix or self.wanted.match
        if looked_at and wanted.where:
            return f"no_match: none of {counted(looked_at, 'package')} looked at meets where."
        if not asked:
            return f"no_match: the stack shows this user no package in {self.registry.url}."
        close = await self.registry.pointers.near(asked)
        hint = f" Close to it: {shown(close)}." if close else ""
        return f"no_match: no package name fits {asked!r}.{hint}"


class _Narrowing:
    """One call's."""

    def __init__(self, wanted: Wanted) -> None:
        self._prefix = wanted.prefix
        self._is_named = wanted.takes()
        self._fields = metadata_fields(wanted.where)
        self._times = [TimeTest(one) for one in wanted.where if one.column == "modified"]
        self._filter = Filter([one for one in wanted.where if one.column != "modified"])
        self.looked_at = 0

    def takes(self, row: ToldPackage) -> bool:
        if not row.name.startswith(self._prefix) or not self._is_named(row.name):
            return False
        self.looked_at += 1
        metadata: Any = row.metadata
        if isinstance(metadata, Mapping):
            self._filter.meet(cast("Mapping[str, Any]", metadata))
        if not all(test.holds(row.modified) for test in self._times):
            return False
        fields = at_pointers(metadata, self._fields)
        return self._filter.takes({**fields, "name": row.name, "message": row.message})

    def told(self, *, is_first: bool) -> list[str]:
        return [*self._filter.mistyped(), *(self._filter.unknown() if is_first else ())]
