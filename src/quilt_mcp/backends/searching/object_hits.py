"""Objects of registries that meet a search: they are listed anew for each page, so many of them and no more."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from anyio import to_thread

from quilt_mcp.backends.searching.conditions import as_query
from quilt_mcp.backends.searching.package_hits import moment_of, time_text
from quilt_mcp.backends.searching.places import Place
from quilt_mcp.domain.search.facet import Facet, Facets, chosen
from quilt_mcp.domain.search.query.term import And, Query
from quilt_mcp.domain.search.request import Found, Hit, Order, SearchRequest
from quilt_mcp.errors import RegistryNotFound
from quilt_mcp.registry.layout import QUILT
from quilt_mcp.registry.registry import Registry
from quilt_mcp.search import objects
from quilt_mcp.search.engine import Engine
from quilt_mcp.search.head import micros
from quilt_mcp.search.parts import typed
from quilt_mcp.storage.private import SCRATCH, UNFINISHED, PrivateFolder, hold

MOST: Final = 20_000
"""Objects of one registry that are looked at: twenty requests in a bucket."""


class ObjectSearch:
    def __init__(self, engine: Engine, private: PrivateFolder) -> None:
        self._engine = engine
        self._private = private

    async def page(
        self,
        registries: Sequence[Registry],
        request: SearchRequest,
        query: Query,
        order: Order,
        limit: int,
        place: Place,
        marks: Sequence[str | bool],
    ) -> Found:
        if request.conditions:
            query = And((query, as_query(request.conditions, "objects", place.now)))
        start = place.start()
        folder = self._private.path() / SCRATCH
        warnings: list[str] = []
        with typed(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        with typed(folder), tempfile.NamedTemporaryFile(prefix=UNFINISHED, dir=folder) as file:
            hold(file)
            for registry in registries:
                try:
                    listed = await _listed(registry)
                except RegistryNotFound:
                    if request.registries or len(registries) == 1:
                        raise
                    continue  # a configured folder that nobody has made yet holds nothing
                if len(listed) > MOST:
                    warnings.append(
                        f"listing_cut: only the first {MOST:,} objects of {registry.url} were looked at. Objects of a folder are "
                        "listed by object_list; files of packages are searched whole with scope=entries."
                    )
                await to_thread.run_sync(file.writelines, [one.line() for one in listed[:MOST]])
            file.flush()
            path = Path(file.name)
            found = await self._engine.run(
                lambda connection: objects.find(
                    connection, path, query, order.field, order.is_descending, start, limit
                )
            )
        stores = {registry.url: registry.store for registry in registries}
        hits = [
            Hit(
                str(stores[one.registry].physical_key(one.key, one.version)),
                one.size,
                moment_of(one.modified),
            )
            for one in found.rows
        ]
        end = start + len(hits)
        further = None
        if hits and end < found.total:
            further = Place(place.now, {}, [end], found.total).encode(marks)
        facets = _facets(found, request.facets) if request.facets and not start else None
        if not found.total and not start:
            warnings.append(
                f"no_match: no object fits, among those of {', '.join(one.url for one in registries[:3])}."
            )
        return Found(tuple(hits), further, found.total, tuple(warnings), facets)


async def _listed(registry: Registry) -> list[objects.Listed]:
    """One more than ``MOST`` where there are more. What quilt keeps for itself is left out."""
    found: list[objects.Listed] = []
    async for stat in registry.store.list(""):
        if stat.key.startswith(QUILT):
            continue
        found.append(objects.Listed(0, registry.url, stat.key, stat.size, micros(stat.modified)))
        if len(found) > MOST:
            break
    return found


def _facets(found: objects.FoundObjects, wanted: Sequence[str]) -> Facets:
    facets: list[Facet] = []
    if found.times:
        facets.append(Facet("modified", "datetime", time_text(found.times[0]), time_text(found.times[1])))
    if found.sizes:
        facets.append(Facet("size", "number", *found.sizes))
    if found.endings:
        facets.append(
            Facet("ext", "keyword", values=tuple(found.endings), counts=tuple(found.endings.values()))
        )
    return chosen(Facets(tuple(facets)), wanted)
