"""RegistrySearch: the search ability over registries that this process reads itself.

Each registry that is asked about has a catalog, which is brought up to date first (``registry.reading.cataloguing``). Pages of
one search stay on the states of the catalogs that its first page was answered from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from anyio import to_thread

from quilt_mcp.backends.objects import checked_limit
from quilt_mcp.backends.searching import entry_hits, package_hits
from quilt_mcp.backends.searching.conditions import as_query
from quilt_mcp.backends.searching.highlight import Highlighter
from quilt_mcp.backends.searching.object_hits import ObjectSearch
from quilt_mcp.backends.searching.package_hits import PackageWhere, Ranked
from quilt_mcp.backends.searching.places import Place
from quilt_mcp.domain.address import PackageUri, parse_registry
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.facet import Facets, chosen, no_facet
from quilt_mcp.domain.search.query.parse import parse_query
from quilt_mcp.domain.search.query.term import And, Query, Term, Words, terms
from quilt_mcp.domain.search.request import BEST, Found, Hit, Order, SearchRequest, check_facets
from quilt_mcp.errors import NotSupported, QuiltError, RegistryNotFound
from quilt_mcp.registry.layout import POINTERS
from quilt_mcp.registry.reading.bounds import UNBOUNDED, Bounds
from quilt_mcp.registry.reading.cataloguing import Brought, Cataloguer
from quilt_mcp.registry.reading.pointed import listed_mark
from quilt_mcp.registry.registry import Registry
from quilt_mcp.search import entries, packages
from quilt_mcp.search.catalog import Catalog, expired
from quilt_mcp.search.engine import Connection, DamagedPart, Engine
from quilt_mcp.search.entries import EntryOrder
from quilt_mcp.search.folder import CatalogFolder
from quilt_mcp.search.ranking import rank
from quilt_mcp.search.state import State
from quilt_mcp.search.view import View
from quilt_mcp.storage.cached import CacheBound
from quilt_mcp.storage.private import SCRATCH, PrivateFolder
from quilt_mcp.storage.store import ObjectStat

_TERMS_TRIED: Final = 6


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
        owner: Callable[[str], str] = lambda registry: "",
        bound: CacheBound | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``registries``: URLs of those that are searched where a search names none. ``private``: the cache folder, and ``bound``
        what it may weigh. ``owner``: of a registry's URL, what tells whose catalog of it this is."""
        self._registry = registry
        self._registries = registries
        self._private = private
        self._owner = owner
        self._bound = bound
        self._clock = clock
        self._engine = Engine(lambda: private.path() / SCRATCH)
        self._catalogs: dict[tuple[str, bool], Catalog] = {}
        self._objects = ObjectSearch(self._engine, private)

    def doubt(self, url: str) -> None:
        """Something was written to that registry by this process."""
        for all_revisions in (False, True):
            if (catalog := self._catalogs.get((url, all_revisions))) is not None:
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
        if request.syntax == "stack":
            raise NotSupported(
                "The search without a stack reads query in its own language alone.",
                next_step="Leave syntax out; the resource quilt://search-syntax says how a query is written.",
            )
        limit = checked_limit(limit) if limit else 0
        check_facets(request)
        order = Order.parse(request.sort, request.scope)
        marks = self._marks(request)
        place = (
            Place(datetime.fromtimestamp(self._clock(), UTC))
            if cursor is None
            else Place.decode(cursor, marks)
        )
        now = place.now
        query = parse_query(request.text, request.scope, now)
        if request.scope == "objects":
            return await self._objects.page(
                [self._registry(url) for url in self._named(request)],
                request,
                query,
                order,
                limit,
                place,
                marks,
            )
        brought = await self._brought(request, place.pins, progress)
        asked = _Asked(request, query, order, [(catalog, one.state) for catalog, one in brought], now)
        answer = self._packages if request.scope == "packages" else self._entries
        try:
            hits, after, total, facets, said = await answer(asked, limit, place)
        except DamagedPart as error:
            if cursor is not None:
                raise expired(", ".join(place.pins)) from error
            brought = await self._brought(request, place.pins, progress)
            asked = _Asked(request, query, order, [(catalog, one.state) for catalog, one in brought], now)
            hits, after, total, facets, said = await answer(asked, limit, place)
        warnings = tuple(dict.fromkeys(said for _, one in brought for said in one.warnings))
        further = None
        if after is not None:
            # What holds nothing was perhaps never kept, and has nothing to go on with.
            pins = {
                catalog.url: await to_thread.run_sync(catalog.digest_of, state)
                for catalog, state in asked.catalogs
                if state.packages
            }
            further = Place(now, pins, after, total).encode(marks)
        if total == 0 and cursor is None:
            said = (*said, *await self._why_nothing(asked))
        return Found(tuple(hits), further, total, (*warnings, *said), facets)

    async def brought(
        self,
        registries: Sequence[str],
        progress: Progress = no_progress,
        *,
        all_revisions: bool = False,
        build: bool = False,
    ) -> list[tuple[Catalog, Brought]]:
        """The catalogs of some registries, all of the configured ones where none is named, brought up to date. ``build``: however
        long that takes."""
        request = SearchRequest("", registries=tuple(registries), all_revisions=all_revisions, build=build)
        return await self._brought(request, {}, progress)

    async def learn_columns(self, uri: str, columns: Sequence[str]) -> None:
        package = PackageUri.parse(uri)
        if package.top_hash is None or package.path is None:
            return
        catalog = self._catalog(package.registry)
        with suppress(QuiltError):
            await to_thread.run_sync(catalog.learned.add, package.top_hash, package.path, list(columns))
            catalog.doubt()

    async def recall(self, url: str, seen: Mapping[str, ObjectStat]) -> Mapping[str, tuple[str, Header]]:
        """See ``registry.Recall``. Nothing where there is no catalog, or it fails."""
        catalog = self._catalog(url)
        if not catalog.folder.exists():
            return {}
        with suppress(QuiltError):
            state = await to_thread.run_sync(catalog.state)
            known = {
                name: one
                for name, stat in seen.items()
                if (one := state.packages.get(name)) is not None and one.seen == listed_mark(stat)
            }
            told = await catalog.ask(
                state,
                lambda connection, view: packages.headers(
                    connection, view, [one.number for one in known.values()]
                ),
            )
            return {
                name: (one.top_hash, _header(*told[one.number]))
                for name, one in known.items()
                if one.number in told
            }
        return {}

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
            catalog = self._catalog(registry.url, all_revisions=request.all_revisions)
            if pins:
                if registry.url in pins:
                    await registry.store.list_folder(POINTERS, limit=1)  # the right to is asked for again
                    found.append((catalog, Brought(await catalog.pinned(pins[registry.url]))))
                continue
            bounds = UNBOUNDED if request.build else Bounds()
            try:
                found.append(
                    (
                        catalog,
                        await Cataloguer(
                            registry,
                            catalog,
                            bounds,
                            progress,
                            self._clock,
                            all_revisions=request.all_revisions,
                        ).bring(),
                    )
                )
            except RegistryNotFound as error:
                is_folder = registry.store.local_files is not None and not error.details.get("exists")
                if named or not is_folder:
                    raise
                said = (
                    f"registry_empty: {registry.url} does not exist yet; the first package_create makes it."
                )
                # Beside others, one that nobody has made yet is nothing to tell of.
                told = (said,) if len(self._named(request)) == 1 else ()
                found.append((catalog, Brought(State(registry.url), told)))
            except QuiltError as error:
                if named or len(self._named(request)) == 1:
                    raise
                said = f"not_searched: {registry.url} ({error.code}): {error.message}"
                found.append((catalog, Brought(State(registry.url), (said,))))
        return found

    def _catalog(self, url: str, *, all_revisions: bool = False) -> Catalog:
        key = (url, all_revisions)
        if key not in self._catalogs:
            owner = f"{self._owner(url)}\0{'all revisions' if all_revisions else ''}"
            folder = CatalogFolder(self._private, url, owner, self._bound)
            self._catalogs[key] = Catalog(folder, self._engine)
        return self._catalogs[key]

    # -- packages --

    async def _packages(
        self, asked: _Asked, limit: int, place: Place
    ) -> tuple[list[Hit], list[Any] | None, int, Facets | None, tuple[str, ...]]:
        start = place.start()
        where = PackageWhere(asked.request.conditions)
        found: list[Ranked] = []
        for catalog, state in asked.catalogs:
            found += await catalog.ask(
                state,
                lambda connection, view, catalog=catalog: _ranked(connection, view, catalog, asked, where),
            )
        ordered = await to_thread.run_sync(package_hits.in_order, found, asked.order)
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
        highlighter = Highlighter(asked.query)
        return await to_thread.run_sync(
            lambda: [
                package_hits.hit(one, shown[one.registry, one.row.number], highlighter)
                for one in page
                if (one.registry, one.row.number) in shown
            ]
        )

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
        self, asked: _Asked, limit: int, place: Place
    ) -> tuple[list[Hit], list[Any] | None, int, Facets | None, tuple[str, ...]]:
        conditions = as_query(asked.request.conditions, "entries", asked.now)
        query = And((asked.query, conditions)) if asked.request.conditions else asked.query
        order = EntryOrder(asked.order.field, asked.order.is_descending)
        page = await entry_hits.page(asked.catalogs, query, order, limit, place, whole=asked.request.detail)
        wanted = asked.request.facets
        facets = entry_hits.facets(page.found, wanted) if wanted and not place.at else None
        return page.hits, page.after, place.total if place.at else page.total, facets, ()

    # -- what is said --

    async def _why_nothing(self, asked: _Asked) -> list[str]:
        """Which of its terms stand nowhere, and names near to fields of metadata that there are not."""
        there = sum(len(state.packages) for _, state in asked.catalogs)
        where = ", ".join(catalog.url for catalog, _ in asked.catalogs[:3])
        said = [f"no_match: nothing is all that is asked, among {counted(there, 'package')} of {where}."]
        tried = [*terms(asked.query, negated=False)]
        if not there:
            return said
        alone = [(term, await self._count(asked, term)) for term in islice(tried, _TERMS_TRIED)]
        if len(tried) > 1:
            counts = ", ".join(f"{term.written} {count:,}" for term, count in alone)
            said[0] += f" Alone: {counts}. Side by side means AND; OR joins what may stand alone."
        if asked.request.scope == "entries" and any(term.field is None for term in tried):
            said[0] += (
                " Over entries words are looked for in a file's own path and metadata: name:, message: and meta./pointer: ask "
                "its package, scope=packages all of it."
            )
        if any(term.field is not None and term.field.name == "column" for term in tried):
            said[0] += " Columns are known of tables that object_read described (mode=info)."
        for term in (term for term, count in alone if not count):
            said += await self._near(asked, term)
        said += await self._no_fields(asked, tried)
        return said

    async def _near(self, asked: _Asked, term: Term) -> list[str]:
        """Words of the packages' texts that are near to one that stands nowhere."""
        if not isinstance(term.test, Words) or len(term.test.tokens) != 1:
            return []
        near: dict[str, None] = {}
        for catalog, _ in asked.catalogs:
            near |= dict.fromkeys(await to_thread.run_sync(catalog.texts.near, term.test.tokens[0]))
        return [f"near: {term.written[:60]} is near to {', '.join([*near][:3])}."] if near else []

    async def _no_fields(self, asked: _Asked, tried: Sequence[Term]) -> list[str]:
        pointers = [
            one.pointer for one in tried if one.pointer and one.field is not None and one.field.name == "meta"
        ]
        if asked.request.scope != "packages":  # there where itself tells
            pointers += [one.column for one in asked.request.conditions if one.column.startswith("/")]
        said: list[str] = []
        for pointer in dict.fromkeys(pointers):
            known: list[str] = []
            for catalog, state in asked.catalogs:
                if await catalog.ask(
                    state,
                    lambda connection, view, pointer=pointer: packages.has_pointer(connection, view, pointer),
                ):
                    break
                known += await catalog.ask(state, packages.pointers_near)
            else:
                near = ", ".join(one[:80] for one in suggest(pointer, known) or known[:5])
                there = f" There are {near}." if near else ""
                said.append(f"no_field: no package has {pointer[:80]} in its metadata.{there}")
        return said

    async def _count(self, asked: _Asked, term: Term) -> int:
        total = 0
        for catalog, state in asked.catalogs:
            if asked.request.scope == "packages":
                total += len(
                    await catalog.ask(
                        state,
                        lambda connection, view: packages.find(connection, view, term),
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
            request.all_revisions,
        )


def _ranked(
    connection: Connection, view: View, catalog: Catalog, asked: _Asked, where: PackageWhere
) -> list[Ranked]:
    """The packages of one registry that are found, with what orders them. What they say is held against ``where`` some megabytes
    at a time."""
    rows = packages.find(connection, view, asked.query)
    if where.needs_metadata or asked.order.is_metadata:
        told = packages.told_of(connection, view, rows)
        kept = [
            (row, package_hits.sort_value(said, asked.order)) for row, said in told if where.takes(row, said)
        ]
    else:
        kept = [(row, None) for row in rows if where.takes(row)]
    scores = catalog.texts.scores(connection, view, asked.query) if asked.order.field == BEST else {}
    ranked = rank(asked.query, [row.number for row, _ in kept], scores)
    return [Ranked(catalog.url, row, ranked[row.number], value) for row, value in kept]


def _header(message: str | None, metadata: str | None) -> Header:
    return Header({"message": message, "user_meta": None if metadata is None else json.loads(metadata)})
