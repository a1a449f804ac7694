"""The packages of a registry: found by name, and told with as much of their latest revision as is wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from json import dumps
from typing import Final

from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.glob import Match, has_wildcard
from quilt_mcp.domain.listing import PackageListing, Page, Totals
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.where import Condition, as_json
from quilt_mcp.errors import AccessError, InvalidArgument, QuiltError
from quilt_mcp.registry.layout import LATEST, QUILT
from quilt_mcp.registry.manifests.cache import SMALL, Enough
from quilt_mcp.registry.pointers import POINTER_READS_AT_ONCE, PackageNames, Pointer, pointer_digest
from quilt_mcp.registry.reading.narrowing import Narrowing, metadata_fields
from quilt_mcp.registry.registry import Registry, shown
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import collect

SORTS: Final = ("name", "-modified")
REQUESTS: Final = 100
"""Requests, each for up to a thousand pointers, that a listing of a bucket as a whole makes at most."""
BYTES: Final = 64 << 20
"""Bytes of manifests that a page with details looks through at most, and after which ``where`` looks no further."""
LOOKED_AT: Final = 1_000
"""Packages that ``where`` looks at for a page, at most."""
_CHUNK: Final = 4 * POINTER_READS_AT_ONCE
_OPENED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which packages, and what of them. See ``QuiltOps.list_packages``."""

    prefix: str = ""
    match: str = ""
    sort: str = "name"
    metadata: bool | tuple[str, ...] = False
    detail: bool = False
    where: tuple[Condition, ...] = ()

    @property
    def shown(self) -> bool | tuple[str, ...]:
        """What is told of the metadata: what is asked for, and what ``where`` compares."""
        if self.metadata is True:
            return True
        return tuple(dict.fromkeys((*(self.metadata or ()), *metadata_fields(self.where)))) or self.metadata

    @property
    def shows_message(self) -> bool:
        return self.detail or any(one.column == "message" for one in self.where)

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
    found = _PackageList(registry, wanted)
    page = await found.page(limit, cursor)
    asked = wanted.prefix or wanted.match
    if page.items or cursor or page.next_cursor:
        return page
    if found.looked_at:
        said = f"no_match: none of {counted(found.looked_at, 'package')} looked at meets where."
        return replace(page, warnings=(said, *page.warnings))
    if not await _is_registry(registry):
        said = (
            f"no_registry: {registry.url} has no folder {QUILT}, so it is no registry: there are no packages in it. Name another "
            "with registry (registry_list shows some); the first package_create makes it one."
        )
        return replace(page, warnings=(*page.warnings, said))
    if not asked:
        return page
    said = no_name_fits(wanted, await registry.pointers.near(asked))
    return replace(page, warnings=(*page.warnings, said))


def no_name_fits(wanted: Wanted, close: list[str]) -> str:
    """The warning where neither prefix nor match fits any name. ``close``: names near to what was meant."""
    hint = f" Close to it: {shown(close)}." if close else ""
    fault = f"starts with {wanted.prefix!r}" if wanted.prefix else f"fits {wanted.match!r}"
    both = f" and fits {wanted.match!r}" if wanted.prefix and wanted.match else ""
    said = f"no_match: no package name {fault}{both}.{hint}"
    if wanted.match:
        said += " match looks at names alone: where compares metadata, and metadata shows it."
    return said


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
        self._stats: dict[str, ObjectStat] = {}
        """What the listing of a bucket says of latest pointers."""
        self._damaged: dict[str, str] = {}
        self._spent = 0
        self._uncounted = 0
        self._unread = 0
        """Packages that could not be held against it."""
        self._narrowing = Narrowing(registry, wanted.where)

    @property
    def looked_at(self) -> int:
        """Packages that were held against ``where``."""
        return self._narrowing.looked_at - self._unread

    async def page(self, limit: int, cursor: str | None) -> Page[PackageListing]:
        wanted, registry = self._wanted, self._registry
        where = dumps(as_json(wanted.where))
        call = ("packages", registry.url, wanted.prefix, wanted.match, wanted.sort, where)
        size, after = decode_cursor(cursor, call, int, str) if cursor else (0, "")
        is_whole = registry.store.pages is None or bool(wanted.match) or wanted.sort != "name"
        takes = wanted.takes()
        most = LOOKED_AT if wanted.where else limit
        found = await self._names(is_whole, after, most)
        names = [*filter(takes, found.names)]
        total = len(names) if is_whole and not found.more else None
        if wanted.sort == "-modified":
            await self._read_latest([] if registry.store.pages else names)
            names.sort(key=self._rank)
        rank = (-size, f"{after}/") if wanted.sort == "-modified" else (0, f"{after}/")
        start = bisect_right(names, rank, key=self._rank) if cursor and is_whole else 0
        page = names[start : start + most]
        more = start + most < len(names) if is_whole else found.more
        last = page[-1] if page else ""
        if wanted.where:
            page, end = await self._meeting(page, limit)
            more, last = more or end != last, end
            total = None if more or found.more or cursor or self._unread else len(page)
            self._warnings += self._narrowing.told(is_first=not cursor)
            if more and len(page) < limit:
                self._warnings.append(
                    f"listing_paused: a call looks at {LOOKED_AT:,} packages at most, and {BYTES >> 20} MiB of manifests. Go on "
                    "with next_cursor."
                )
        wants_revision = wanted.shows_message or wanted.shown is not False
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
        next_cursor = encode_cursor(call, -self._rank(last)[0], last) if more else None
        return Page(tuple(items), next_cursor, total, tuple(self._warnings))

    async def _meeting(self, names: list[str], limit: int) -> tuple[list[str], str]:
        """Those that meet ``where``, ``limit`` at most, and the last one that was looked at for them."""
        narrowing, found, end = self._narrowing, list[str](), ""
        for begin in range(0, len(names), _CHUNK):
            if narrowing.read > BYTES:
                break
            chunk = names[begin : begin + _CHUNK]
            if self._registry.store.pages is None:
                await self._read_latest(chunk)
            near = narrowing.near(chunk, self._times)
            met, unresolved = {*near}, set[str]()
            if narrowing.reads_headers:
                await self._read_latest(near)
                latest = {name: self._latest[name] for name in near}
                top_hashes = {
                    name: one.top_hash
                    for name, one in latest.items()
                    if isinstance(one, Pointer) and one.top_hash
                }
                met = await narrowing.meeting(top_hashes)
                unresolved = {*near} - {*top_hashes}
            for end in chunk:
                self._unread += end in unresolved or end in narrowing.unread
                if end in unresolved:
                    await self._listing(end)  # which warns of it
                if end in narrowing.unread:
                    self._warnings.append(narrowing.unread[end])
                found += [end] if end in met else []
                if len(found) == limit:
                    return found, end
        return found, end

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
        self._stats = latest
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
        if self._registry.recall is not None and (
            seen := {n: self._stats[n] for n in names if n in self._stats}
        ):
            for name, (top_hash, header) in (await self._registry.recall(self._registry.url, seen)).items():
                stat = seen[name]
                self._latest[name] = Pointer(LATEST, top_hash, stat.etag, stat.modified)
                self._registry.recalled[top_hash] = header
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
        registry, shown = self._registry, self._wanted.shown
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
            header = self._narrowing.headers.get(one.top_hash) or await registry.header(one.top_hash)
        if isinstance(header, QuiltError):
            self._warnings.append(f"unreadable_manifest: {one.top_hash} ({one.name}): {header.code}.")
            return one
        told = header.user_meta if shown is True else at_pointers(header.user_meta, shown or ())
        return replace(
            one,
            totals=totals,
            message=header.message if self._wanted.shows_message else None,
            metadata=None if shown is False else told,
            verified=registry.manifests.verdict(registry.store, one.top_hash),
        )

    def _admit(self, size: int) -> None:
        if size > SMALL or self._spent + size > BYTES:
            raise Enough
        self._spent += size
