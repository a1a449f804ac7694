"""RegistrySearch: the search ability over registries that this process reads itself.

Each registry that is asked about has a catalog, which is brought up to date first (``registry.reading.cataloguing``). Pages of
one search stay on the states of the catalogs that its first page was answered from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cmp_to_key
from itertools import islice
from typing import Any, Final

from quilt_mcp.backends.objects import checked_limit
from quilt_mcp.backends.searching import package_hits
from quilt_mcp.backends.searching.conditions import as_query
from quilt_mcp.backends.searching.object_hits import ObjectSearch
from quilt_mcp.backends.searching.package_hits import PackageWhere, Ranked
from quilt_mcp.domain.address import PackageUri, parse_registry
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.facet import Facet, Facets, chosen, no_facet
from quilt_mcp.domain.search.query.parse import parse_query
from quilt_mcp.domain.search.query.term import And, Query, Term, terms
from quilt_mcp.domain.search.request import Found, Hit, Order, SearchRequest, check_facets
from quilt_mcp.errors import InvalidArgument, NotSupported, QuiltError, RegistryNotFound
from quilt_mcp.registry.reading.cataloguing import UNBOUNDED, Bounds, Brought, Cataloguer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.search import entries, packages
from quilt_mcp.search.catalog import Catalog
from quilt_mcp.search.engine import Connection, DamagedPart, Engine
from quilt_mcp.search.entries import After, EntryOrder, EntryRow
from quilt_mcp.search.folder import CatalogFolder
from quilt_mcp.search.ranking import rank
from quilt_mcp.search.state import State
from quilt_mcp.search.view import View
from quilt_mcp.storage.cached import CacheBound
from quilt_mcp.storage.private import SCRATCH, PrivateFolder

MOST_ENTRIES: Final = 1_000
_TERMS_TRIED: Final = 6
_ALL_REVISIONS: Final = (
    "The search without a stack is over the latest revisions of packages.",
    "Leave all_revisions out; package_log lists the revisions of a package, and with path those that changed a file.",
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call: what is asked, of which catalogs."""

    request: SearchRequest
    query: Query
    order: Order
    catalogs: Sequence[tuple[Catalog, State]]
    now: datetime


class RegistrySearch:
    """See ``ops.SupportsSearch``."""

    def __init__(
        self,
        registry: Callable[[str], Registry],
        registries: Callable[[], Sequence[str]],
        private: PrivateFolder,
        *,
        bound: CacheBound | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``registries``: URLs of those that are searched where a search names none. ``private``: the cache folder, and ``bound``
        what it may weigh."""
        self._registry = registry
        self._registries = registries
        self._private = private
        self._bound = bound
        self._clock = clock
        self._engine = Engine(lambda: private.path() / SCRATCH)
        self._catalogs: dict[str, Catalog] = {}
        self._objects = ObjectSearch(self._engine, private)

    def doubt(self, url: str) -> None:
        """Something was written to that registry by this process."""
        if (catalog := self._catalogs.get(url)) is not None:
            catalog.doubt()

    async def search(
        self,
        request: SearchRequest,
        *,
        limit: int = 30,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> Found:
        if request.engine == "stack":
            raise NotSupported(
                "No Quilt stack is signed in to, so its search cannot be asked.",
                next_step="Leave engine out, or sign in with quilt3 login and start again.",
            )
        if request.all_revisions:
            raise NotSupported(_ALL_REVISIONS[0], next_step=_ALL_REVISIONS[1])
        limit = checked_limit(limit) if limit else 0
        check_facets(request)
        order = Order.parse(request.sort, request.scope)
        marks = self._marks(request)
        pins: dict[str, str] = {}
        place: list[Any] = []
        total, now = 0, datetime.fromtimestamp(self._clock(), UTC)
        if cursor is not None:
            pinned, placed, total, since = decode_cursor(cursor, marks, str, str, int, str)
            pins, place = _json(pinned, dict), _json(placed, list)
            now = datetime.fromisoformat(since)
        query = parse_query(request.text, request.scope, now)
        if request.scope == "objects":
            return await self._objects.page(
                [self._registry(url) for url in self._named(request)],
                request,
                query,
                order,
                now,
                limit,
                place,
                marks,
            )
        brought = await self._brought(request, pins, progress)
        asked = _Asked(request, query, order, [(catalog, one.state) for catalog, one in brought], now)
        answer = self._packages if request.scope == "packages" else self._entries
        try:
            hits, after, total, facets, said = await answer(asked, limit, place, total)
        except DamagedPart:
            if cursor is not None:
                raise
            brought = await self._brought(request, pins, progress)
            asked = _Asked(request, query, order, [(catalog, one.state) for catalog, one in brought], now)
            hits, after, total, facets, said = await answer(asked, limit, place, total)
        warnings = tuple(dict.fromkeys(said for _, one in brought for said in one.warnings))
        further = None
        if after is not None:
            states = {catalog.url: state.digest for catalog, state in asked.catalogs}
            further = encode_cursor(marks, json.dumps(states), json.dumps(after), total, now.isoformat())
        if total == 0 and cursor is None:
            said = (*said, *await self._why_nothing(asked))
        return Found(tuple(hits), further, total, (*warnings, *said), facets)

    # -- catalogs --

    def _named(self, request: SearchRequest) -> list[str]:
        return list(dict.fromkeys(map(parse_registry, request.registries))) or list(self._registries())

    async def _brought(
        self, request: SearchRequest, pins: Mapping[str, str], progress: Progress
    ) -> list[tuple[Catalog, Brought]]:
        found: list[tuple[Catalog, Brought]] = []
        named = bool(request.registries)
        for url in self._named(request):
            registry = self._registry(url)
            catalog = self._catalog(registry.url)
            if pins:
                if registry.url in pins:
                    found.append((catalog, Brought(await catalog.pinned(pins[registry.url]))))
                continue
            bounds = UNBOUNDED if request.build else Bounds()
            try:
                found.append(
                    (catalog, await Cataloguer(registry, catalog, bounds, progress, self._clock).bring())
                )
            except RegistryNotFound as error:
                is_folder = registry.store.local_files is not None and not error.details.get("exists")
                if named or not is_folder:
                    raise
                said = (
                    f"registry_empty: {registry.url} does not exist yet; the first package_create makes it."
                )
                found.append((catalog, Brought(State(registry.url), (said,))))
            except QuiltError as error:
                if named or len(self._named(request)) == 1:
                    raise
                said = f"not_searched: {registry.url} ({error.code}): {error.message}"
                found.append((catalog, Brought(State(registry.url), (said,))))
        return found

    def _catalog(self, url: str) -> Catalog:
        if url not in self._catalogs:
            self._catalogs[url] = Catalog(CatalogFolder(self._private, url, bound=self._bound), self._engine)
        return self._catalogs[url]

    # -- packages --

    async def _packages(
        self, asked: _Asked, limit: int, place: list[Any], total: int
    ) -> tuple[list[Hit], list[Any] | None, int, Facets | None, tuple[str, ...]]:
        del total
        start = place[0] if place and isinstance(place[0], int) else 0
        where = PackageWhere(asked.request.conditions)
        with_metadata = where.needs_metadata or asked.order.is_metadata
        found: list[Ranked] = []
        for catalog, state in asked.catalogs:

            def work(
                connection: Connection, view: View, catalog: Catalog = catalog
            ) -> tuple[list[packages.PackageRow], dict[int, float]]:
                rows = packages.find(connection, view, asked.query, with_metadata=with_metadata)
                scores = (
                    catalog.texts.scores(connection, view, asked.query) if asked.order.field == "best" else {}
                )
                return rows, rank(asked.query, [row.number for row in rows], scores)

            rows, scores = await catalog.ask(state, work)
            kept = [row for row in rows if where.takes(row)] if asked.request.conditions else rows
            found += [
                Ranked(catalog.url, row, scores[row.number], package_hits.sort_value(row, asked.order))
                for row in kept
            ]
        ordered = package_hits.in_order(found, asked.order)
        page = ordered[start : start + limit]
        hits = await self._package_hits(asked, page)
        end = start + len(page)
        said = where.told() if not start else []
        facets = None
        if asked.request.facets and not start:
            facets, more = await self._package_facets(asked, found)
            said += more
        after = [end] if page and end < len(ordered) else None
        return hits, after, len(ordered), facets, tuple(said)

    async def _package_hits(self, asked: _Asked, page: Sequence[Ranked]) -> list[Hit]:
        shown: dict[tuple[str, int], packages.Shown] = {}
        for catalog, state in asked.catalogs:
            rows = [one.row for one in page if one.registry == catalog.url]
            if rows:
                some = await catalog.ask(
                    state, lambda connection, view, rows=rows: packages.show(connection, view, rows)
                )
                shown |= {(catalog.url, number): one for number, one in some.items()}
        return [package_hits.hit(one, shown[one.registry, one.row.number], asked.query) for one in page]

    async def _package_facets(self, asked: _Asked, found: Sequence[Ranked]) -> tuple[Facets, list[str]]:
        wanted = asked.request.facets
        rows: list[Any] = []
        if any(one.startswith("/") or one == "*" for one in wanted):
            for catalog, state in asked.catalogs:
                numbers = [one.row.number for one in found if one.registry == catalog.url]
                some = None if len(numbers) == len(state.packages) else numbers
                rows += await catalog.ask(
                    state,
                    lambda connection, view, some=some: packages.fields_of(connection, view, some, None),
                )
        told = Facets((*package_hits.own_facets(found), *package_hits.metadata_facets(rows)))
        return chosen(told, wanted), list(no_facet(told, wanted))

    # -- files --

    async def _entries(
        self, asked: _Asked, limit: int, place: list[Any], total: int
    ) -> tuple[list[Hit], list[Any] | None, int, Facets | None, tuple[str, ...]]:
        conditions = as_query(asked.request.conditions, "entries", asked.now)
        query = And((asked.query, conditions)) if asked.request.conditions else asked.query
        by = asked.order.field if asked.order.field != "best" else "name"
        order = EntryOrder(by, asked.order.is_descending)
        found: list[tuple[Catalog, State, EntryRow]] = []
        totals: list[entries.Entries] = []
        for catalog, state in asked.catalogs:
            after = _after(order, place, catalog.url) if place else None
            some = await catalog.ask(
                state,
                lambda connection, view, after=after: entries.find(
                    connection, view, query, order, limit + 1, after, counts=not place
                ),
            )
            totals.append(some)
            found += [(catalog, state, row) for row in some.rows]
        if not place:
            total = sum(one.total for one in totals)
        descending = order.directions()

        def compare(one: tuple[Catalog, State, EntryRow], other: tuple[Catalog, State, EntryRow]) -> int:
            for value, with_value, is_descending in zip(
                one[2].place, other[2].place, descending, strict=True
            ):
                if value != with_value:
                    return (1 if value > with_value else -1) * (-1 if is_descending else 1)
            return (one[0].url > other[0].url) - (one[0].url < other[0].url)

        found.sort(key=cmp_to_key(compare))
        page = found[:limit]
        hits = await self._entry_hits(page)
        after_page = [page[-1][0].url, *page[-1][2].place] if len(found) > limit and page else None
        facets = _entry_facets(totals, asked.request.facets) if asked.request.facets and not place else None
        return hits, after_page, total, facets, ()

    async def _entry_hits(self, page: Sequence[tuple[Catalog, State, EntryRow]]) -> list[Hit]:
        known: dict[tuple[str, int, int], entries.Details] = {}
        for catalog, state in {one[0].url: (one[0], one[1]) for one in page}.values():
            rows = [row for owner, _, row in page if owner is catalog]
            some = await catalog.ask(
                state, lambda connection, view, rows=rows: entries.details(connection, view, rows)
            )
            known |= {(catalog.url, *place): one for place, one in some.items()}
        hits: list[Hit] = []
        for catalog, _, row in page:
            file = known[catalog.url, row.number, row.row]
            hits.append(
                Hit(
                    str(PackageUri(catalog.url, row.name, top_hash=row.top_hash, path=file.path)),
                    file.size,
                    package_hits.moment_of(row.modified),
                    metadata=json.loads(file.metadata).get("user_meta") if file.metadata != "{}" else None,
                    hash=f"{file.hash_type}:{file.hash_value}" if file.hash_value else None,
                    physical_key=file.physical_key,
                )
            )
        return hits

    # -- what is said --

    async def _why_nothing(self, asked: _Asked) -> list[str]:
        """Which of its terms stand nowhere, and names near to fields of metadata that there are not."""
        there = sum(len(state.packages) for _, state in asked.catalogs)
        where = ", ".join(catalog.url for catalog, _ in asked.catalogs[:3])
        said = [f"no_match: nothing is all that is asked, among {counted(there, 'package')} of {where}."]
        tried = [*terms(asked.query, negated=False)]
        if not there:
            return said
        counts: list[str] = []
        for term in islice(tried, _TERMS_TRIED) if len(tried) > 1 else ():
            counts.append(f"{term.written} {await self._count(asked, term):,}")
        if counts:
            said[0] += f" Alone: {', '.join(counts)}. Side by side means AND; OR joins what may stand alone."
        pointers = [
            one.pointer for one in tried if one.pointer and one.field is not None and one.field.name == "meta"
        ]
        pointers += [one.column for one in asked.request.conditions if one.column.startswith("/")]
        if pointers:
            known: list[str] = []
            for catalog, state in asked.catalogs:
                known += await catalog.ask(state, packages.pointers_near)
            for pointer in dict.fromkeys(pointers):
                if not any(one == pointer or one.startswith(f"{pointer}/") for one in known):
                    near = suggest(pointer, known) or known[:5]
                    said.append(
                        f"no_field: no package has {pointer[:80]} in its metadata. There are {', '.join(near)}."
                    )
        return said

    async def _count(self, asked: _Asked, term: Term) -> int:
        total = 0
        for catalog, state in asked.catalogs:
            if asked.request.scope == "packages":
                total += len(
                    await catalog.ask(
                        state,
                        lambda connection, view: packages.find(connection, view, term, with_metadata=False),
                    )
                )
            else:
                found = await catalog.ask(
                    state,
                    lambda connection, view: entries.find(
                        connection, view, term, EntryOrder("name"), 0, None, counts=True
                    ),
                )
                total += found.total
        return total

    def _marks(self, request: SearchRequest) -> tuple[str | bool, ...]:
        return (
            "local search",
            request.text,
            request.scope,
            ",".join(self._named(request)),
            repr(request.conditions),
            request.sort,
        )


def _entry_facets(found: Sequence[entries.Entries], wanted: Sequence[str]) -> Facets:
    counts: dict[str, int] = {}
    for one in found:
        for ending, count in one.endings.items():
            counts[ending] = counts.get(ending, 0) + count
    sizes = [one.sizes for one in found if one.sizes]
    times = [one.times for one in found if one.times]
    facets: list[Facet] = []
    if times:
        low, high = min(one[0] for one in times), max(one[1] for one in times)
        facets.append(
            Facet("modified", "datetime", package_hits.time_text(low), package_hits.time_text(high))
        )
    if sizes:
        facets.append(Facet("size", "number", min(one[0] for one in sizes), max(one[1] for one in sizes)))
    if counts:
        ordered = sorted(counts, key=lambda ending: (-counts[ending], ending))
        facets.append(
            Facet("ext", "keyword", values=tuple(ordered), counts=tuple(counts[one] for one in ordered))
        )
    return chosen(Facets(tuple(facets)), wanted)


def _after(order: EntryOrder, place: list[Any], url: str) -> After:
    """Equal rows of different registries are in the order of these. Raises InvalidArgument for a place that is none."""
    owner, *values = place
    if not isinstance(owner, str) or len(values) != len(order.columns()):
        raise _no_cursor()
    if any(isinstance(one, bool) or not isinstance(one, str | int) for one in values):
        raise _no_cursor()
    return After(tuple(values), with_equal=url > owner)


def _json(text: str, kind: type[Any]) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise _no_cursor()
    return found


def _no_cursor() -> InvalidArgument:
    return InvalidArgument(
        "The cursor does not belong to this call.",
        next_step="Give next_cursor of the last answer with the other arguments as they were, or call again without cursor.",
    )
