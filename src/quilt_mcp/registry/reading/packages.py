"""The packages of a registry: found by name, and told with as much of their latest revision as is wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.glob import Match, has_wildcard
from quilt_mcp.domain.listing import PackageListing, Page, Totals
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import AccessError, InvalidArgument, QuiltError
from quilt_mcp.registry.layout import QUILT
from quilt_mcp.registry.manifests.cache import SMALL, Enough
from quilt_mcp.registry.pointers import POINTER_READS_AT_ONCE, PackageNames, Pointer, pointer_digest
from quilt_mcp.registry.registry import Registry, shown
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import collect

SORTS: Final = ("name", "-modified")
REQUESTS: Final = 100
"""Requests, each for up to a thousand pointers, that a listing of a bucket as a whole makes at most."""
BYTES: Final = 64 << 20
"""Bytes of manifests that a page with details looks through at most."""
_OPENED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which packages, and what of them. See ``QuiltOps.list_packages``."""

    prefix: str = ""
    match: str = ""
    sort: str = "name"
    metadata: bool | tuple[str, ...] = False
    detail: bool = False

    def check(self) -> None:
        """Raises InvalidArgument."""
        if self.sort not in SORTS:
            raise InvalidArgument(
                f"Packages cannot be sorted by {self.sort[:100]!r}.",
                next_step=f"Set sort to one of {', '.join(SORTS)}.",
                details={"sorts": [*SORTS]},
            )

    def takes(self) -> Callable[[str], bool]:
        """Whether a name fits ``match``: a pattern, or words that all stand in it. Case does not count."""
        wanted = self.match.lower()
        if has_wildcard(wanted):
            pattern = Match(wanted)
            return lambda name: bool(pattern.among([name.lower()]))
        words = wanted.split()
        return lambda name: all(word in name.lower() for word in words)


async def list_packages(
    registry: Registry, wanted: Wanted, limit: int, cursor: str | None
) -> Page[PackageListing]:
    """Names near a prefix or match that fits none are told, and that there is no registry at all."""
    wanted.check()
    page = await _PackageList(registry, wanted).page(limit, cursor)
    asked = wanted.prefix or wanted.match
    if page.items or cursor:
        return page
    if not await _is_registry(registry):
        said = (
            f"no_registry: {registry.url} has no folder {QUILT}, so it is no registry: there are no packages in it. Name another "
            "with registry (registry_list shows some); the first package_create makes it one."
        )
        return replace(page, warnings=(*page.warnings, said))
    if not asked:
        return page
    close = await registry.pointers.near(asked)
    hint = f" Close to it: {shown(close)}." if close else ""
    fault = f"starts with {wanted.prefix!r}" if wanted.prefix else f"fits {wanted.match!r}"
    both = f" and fits {wanted.match!r}" if wanted.prefix and wanted.match else ""
    return replace(page, warnings=(*page.warnings, f"no_match: no package name {fault}{both}.{hint}"))


async def _is_registry(registry: Registry) -> bool:
    """True too where that may not be looked at. A request."""
    try:
        found = await registry.store.list_folder(QUILT, limit=1)
    except AccessError:
        return True
    return bool(found.objects or found.folders)


class _PackageList:
    def __init__(self, registry: Registry, wanted: Wanted) -> None:
        self._registry = registry
        self._wanted = wanted
        self._warnings: list[str] = []
        self._times: dict[str, datetime] = {}
        """When latest was written, by package."""
        self._latest: dict[str, Pointer | str | None] = {}
        self._damaged: dict[str, str] = {}
        self._spent = 0
        self._uncounted = 0

    async def page(self, limit: int, cursor: str | None) -> Page[PackageListing]:
        wanted, registry = self._wanted, self._registry
        call = ("packages", registry.url, wanted.prefix, wanted.match, wanted.sort)
        size, after = decode_cursor(cursor, call, int, str) if cursor else (0, "")
        is_whole = registry.store.pages is None or bool(wanted.match) or wanted.sort != "name"
        takes = wanted.takes()
        found = await self._names(is_whole, after, limit)
        names = [*filter(takes, found.names)]
        total = len(names) if is_whole and not found.more else None
        if wanted.sort == "-modified":
            await self._read_latest([] if registry.store.pages else names)
            names.sort(key=self._rank)
        rank = (-size, f"{after}/") if wanted.sort == "-modified" else (0, f"{after}/")
        start = bisect_right(names, rank, key=self._rank) if cursor and is_whole else 0
        page = names[start : start + limit]
        more = start + limit < len(names) if is_whole else found.more
        wants_revision = wanted.detail or wanted.metadata is not False
        if registry.store.pages is None or wants_revision:
            await self._read_latest(page)
        items = [one for name in page if (one := await self._listing(name)) is not None]
        if wants_revision:
            items = await collect(
                items, _OPENED_AT_ONCE if wanted.detail else POINTER_READS_AT_ONCE, self._detailed
            )
        if not cursor or not is_whole:
            self._warnings = found.warnings + self._warnings
        if found.more and is_whole:
            self._warnings.append(
                f"listing_cut: only the first {len(found.names)} packages were looked at. Give a prefix to look at others."
            )
        if self._uncounted:
            self._warnings.append(
                f"not_counted: the manifests of {counted(self._uncounted, 'package')} are too large to be counted in a listing."
            )
        last = encode_cursor(call, -self._rank(page[-1])[0], page[-1]) if more else None
        return Page(tuple(items), last, total, tuple(self._warnings))

    def _rank(self, name: str) -> tuple[int, str]:
        """Names are in the order of their folders' keys; sorted by time, the newest of them first."""
        time = self._times.get(name) if self._wanted.sort == "-modified" else None
        return -int(time.timestamp() * 1_000_000) if time else 0, f"{name}/"

    async def _names(self, is_whole: bool, after: str, limit: int) -> PackageNames:
        pointers, pages, prefix = self._registry.pointers, self._registry.store.pages, self._wanted.prefix
        if pages is None:
            return await pointers.names(prefix, "", None)
        # From the listing alone: top hashes stand inside pointers, and reading them would be a request a package.
        if is_whole:
            found, latest = await pointers.listed_latest(pages, prefix, "", None, REQUESTS)
        else:
            found, latest = await pointers.listed_latest(pages, prefix, after, limit)
        self._times = {name: stat.modified for name, stat in latest.items()}
        self._damaged = self._known_damage(latest)
        return found

    def _known_damage(self, latest: Mapping[str, ObjectStat]) -> dict[str, str]:
        """The top hashes of latest revisions, by package, that are known not to be what they are named by."""
        registry = self._registry
        damaged = {
            pointer_digest(top_hash): top_hash for top_hash in registry.manifests.damaged(registry.store)
        }
        etags = {name: stat.etag.strip('"') for name, stat in latest.items()}
        return {name: damaged[etag] for name, etag in etags.items() if etag in damaged}

    async def _read_latest(self, names: list[str]) -> None:
        names = [name for name in names if name not in self._latest]
        found = await collect(names, POINTER_READS_AT_ONCE, self._registry.pointers.try_latest)
        self._latest |= dict(zip(names, found, strict=True))
        self._times |= {
            name: one.modified for name, one in zip(names, found, strict=True) if isinstance(one, Pointer)
        }

    async def _listing(self, name: str) -> PackageListing | None:
        """None for what is no package any more, or a folder that some servers list although it is empty."""
        registry, latest = self._registry, self._latest.get(name)
        if isinstance(latest, str):
            self._warnings.append(latest)
            return PackageListing(name, None, None)
        if name not in self._times:
            if registry.store.pages is None and not await registry.pointers.tags(name):
                return None
            self._warnings.append(
                f"missing_latest: {name} has no latest pointer: a deletion or a first push was cut short. "
                "package_delete, or the same push again, completes it."
            )
            return PackageListing(name, None, None)
        if latest is not None and latest.top_hash is None:
            self._warnings.append(f"malformed_pointer: {name}:latest does not hold a top hash.")
        top_hash = latest.top_hash if latest else self._damaged.get(name)
        verified = registry.manifests.verdict(registry.store, top_hash) if top_hash else None
        return PackageListing(name, top_hash, self._times[name], verified)

    async def _detailed(self, one: PackageListing) -> PackageListing:
        if one.top_hash is None:
            return one
        registry, metadata = self._registry, self._wanted.metadata
        totals: Totals | None = None
        header: Header | QuiltError | None = None
        if self._wanted.detail:
            try:
                manifest = await registry.manifests.open(registry.store, one.top_hash, self._admit)
                header, totals = manifest.header, manifest.totals
            except Enough:
                self._uncounted += 1
            except QuiltError as error:
                header = error
        if header is None:
            header = await registry.header(one.top_hash)
        if isinstance(header, QuiltError):
            self._warnings.append(f"unreadable_manifest: {one.top_hash} ({one.name}): {header.code}.")
            return one
        told = header.user_meta if metadata is True else at_pointers(header.user_meta, metadata or ())
        return replace(
            one,
            totals=totals,
            message=header.message if self._wanted.detail else None,
            metadata=None if metadata is False else told,
            verified=registry.manifests.verdict(registry.store, one.top_hash),
        )

    def _admit(self, size: int) -> None:
        if size > SMALL or self._spent + size > BYTES:
            raise Enough
        self._spent += size
