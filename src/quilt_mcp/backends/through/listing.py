"""The packages of a bucket as a stack lists them: names, times, totals and metadata of a page in one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from json import dumps
from typing import Any, Final, Literal, cast

from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.catalog.told import ToldPackage
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.glob import has_wildcard
from quilt_mcp.domain.listing import PackageListing, Page
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.filter import Filter, TimeTest
from quilt_mcp.domain.search.where import as_json
from quilt_mcp.errors import InvalidName, StackFailed
from quilt_mcp.registry.layout import LATEST
from quilt_mcp.registry.reading.narrowing import metadata_fields
from quilt_mcp.registry.reading.packages import Wanted, no_name_fits
from quilt_mcp.storage.workers import collect, in_thread

NAMES: Final = 1_000
"""Names that are asked for at once, where only some of them are wanted."""
WITH_METADATA: Final = 200
"""Packages whose metadata is asked for at once."""
_AT_ONCE: Final = 8
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
    total: int = 0
    """Of the bucket, as the stack counts them."""
    unread: set[str] = field(default_factory=set[str])
    """Packages of which the stack does not tell what is wanted."""

    async def page(self, cursor: str | None) -> Page[PackageListing]:
        wanted = self.wanted
        where = dumps(as_json(wanted.where))
        call = ("told", self.registry.url, wanted.prefix, wanted.match, wanted.sort, where)
        is_narrowed = bool(wanted.prefix or wanted.match or wanted.where)
        begun, size = 0, self.limit if not is_narrowed else WITH_METADATA if wanted.where else NAMES
        if cursor:
            begun, size = decode_cursor(cursor, call, int, int)
            size = min(max(1, size), NAMES)
        narrowing = _Narrowing(wanted)
        found: dict[int, ToldPackage] = {}
        """By their places in the stack's order; one more than the page has, where there is one more."""
        total: int | None = None
        first, left = begun // size * size, REQUESTS if is_narrowed else 1
        while left:
            rows = await self._rows(first, size)
            fitting = {at: row for at, row in enumerate(rows, first) if self._takes(narrowing, row)}
            if first == 0 and self.total <= size:
                total = len(fitting)
            found |= {at: row for at, row in fitting.items() if at >= begun}
            first, left = first + size, left - 1
            if not rows:
                self.total = min(self.total, first)  # the stack counted more than it tells
            if len(found) > self.limit or first >= self.total:
                break
        places = [*found]
        is_paused = len(places) <= self.limit and first < self.total
        following = places[self.limit] if len(places) > self.limit else first if is_paused else None
        if is_paused and is_narrowed:
            self.warnings.append(
                f"listing_paused: a call looks at {REQUESTS * size:,} packages at most. Go on with next_cursor."
            )
        self.warnings += narrowing.told(is_first=not cursor)
        if not is_narrowed:
            total = self.total
        elif total is None and not cursor and following is None:
            total = len(found)
        if not (found or cursor) and following is None:
            self.warnings.insert(0, await self._no_match(narrowing.looked_at))
        return Page(
            tuple(self._told(found[at]) for at in places[: self.limit]),
            None if following is None else encode_cursor(call, following, size),
            total,
            tuple(self.warnings),
        )

    def _takes(self, narrowing: _Narrowing, row: ToldPackage) -> bool:
        return (
            self._is_name(row)
            and narrowing.takes(row)
            and not (self.wanted.where and row.name in self.unread)
        )

    async def _rows(self, first: int, size: int) -> list[ToldPackage]:
        """A page of the stack's; ``first`` is a multiple of ``size``. Where the stack fails at one of its packages, each is asked
        for by itself."""
        wanted = self.wanted
        with_metadata = wanted.shown is not False or wanted.shows_message or bool(wanted.where)
        order: Literal["NAME", "MODIFIED"] = "MODIFIED" if wanted.sort == "-modified" else "NAME"
        asking = partial(
            self.packages.page,
            self.registry.store.url.removeprefix("s3://"),
            number=first // size + 1,
            size=size,
            pattern=self._pattern(),
            order=order,
        )
        try:
            whole = partial(asking, with_metadata=with_metadata, with_totals=wanted.detail)
            rows, self.total = await in_thread(whole)
        except StackFailed:
            if not (with_metadata or wanted.detail):
                raise
            rows, self.total = await in_thread(asking)
            rows = await collect(rows, _AT_ONCE, self._one)
            if wanted.detail:
                self.warnings.append(
                    "not_counted: the stack fails at one of the packages, so files are not counted here."
                )
        return rows

    async def _one(self, row: ToldPackage) -> ToldPackage:
        bucket = self.registry.store.url.removeprefix("s3://")
        try:
            revision = row.top_hash or LATEST
            told = await in_thread(partial(self.packages.revision, bucket, row.name, revision))
        except StackFailed as error:
            self.unread.add(row.name)
            self.warnings.append(f"unreadable_manifest: {row.top_hash} ({row.name}): {error.code}.")
            return row
        header = told.header if told and told.header else Header({})
        return replace(row, message=header.message, metadata=header.user_meta)

    def _pattern(self) -> str | None:
        """What narrows names on the stack's side, where it is a part of a name: no match, which takes no heed of case."""
        return None if has_wildcard(self.wanted.prefix) else self.wanted.prefix or None

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
        if row.top_hash is None and row.name not in self.unread:
            self.warnings.append(f"missing_latest: the stack tells no latest revision of {row.name}.")
            return PackageListing(row.name, None, row.modified)
        if row.top_hash is None or row.name in self.unread:
            return PackageListing(row.name, row.top_hash, row.modified)
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
        return no_name_fits(wanted, close)


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
