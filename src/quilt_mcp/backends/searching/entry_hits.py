"""Files of several registries that meet a search: a page of them in one order, and what they offer to filter by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from quilt_mcp.backends.searching.package_hits import moment_of, time_text
from quilt_mcp.backends.searching.places import Place
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.search.facet import Facet, Facets, chosen
from quilt_mcp.domain.search.query.term import Query
from quilt_mcp.domain.search.request import Hit
from quilt_mcp.search import entries
from quilt_mcp.search.catalog import Catalog
from quilt_mcp.search.entries import Details, Entries, EntryOrder, EntryRow
from quilt_mcp.search.state import State

Row = tuple[Catalog, State, EntryRow]


@dataclass(frozen=True, slots=True)
class EntryPage:
    """``after``: where the next page goes on, None on the last. ``found``: what each registry counted, on the first page."""

    hits: list[Hit]
    after: list[Any] | None
    total: int
    found: Sequence[Entries]


async def page(
    catalogs: Sequence[tuple[Catalog, State]],
    query: Query,
    order: EntryOrder,
    limit: int,
    place: Place,
    *,
    whole: bool,
) -> EntryPage:
    """Raises InvalidArgument for a place that is none in this order."""
    rows: list[Row] = []
    found: list[Entries] = []
    for catalog, state in catalogs:
        after = place.after(order, catalog.url)
        some = await catalog.ask(
            state,
            lambda connection, view, after=after: entries.find(
                connection, view, query, order, limit + 1, after, counts=not place.at
            ),
        )
        found.append(some)
        rows += [(catalog, state, row) for row in some.rows]
    directions = [is_descending for _, is_descending in order.columns()]

    def compare(one: Row, other: Row) -> int:
        for value, with_value, is_descending in zip(one[2].place, other[2].place, directions, strict=True):
            if value != with_value:
                return (1 if value > with_value else -1) * (-1 if is_descending else 1)
        return (one[0].url > other[0].url) - (one[0].url < other[0].url)

    rows.sort(key=cmp_to_key(compare))
    shown = rows[:limit]
    after_page = [shown[-1][0].url, *shown[-1][2].place] if len(rows) > limit and shown else None
    return EntryPage(await _hits(shown, whole), after_page, sum(one.total for one in found), found)


async def _hits(rows: Sequence[Row], whole: bool) -> list[Hit]:
    known: dict[tuple[str, int, int], Details] = {}
    for catalog, state in {one[0].url: (one[0], one[1]) for one in rows}.values():
        own = [row for owner, _, row in rows if owner is catalog]
        some = await catalog.ask(
            state, lambda connection, view, own=own: entries.details(connection, view, own, whole=whole)
        )
        known |= {(catalog.url, *place): one for place, one in some.items()}
    return [_hit(catalog.url, row, known[catalog.url, row.number, row.row]) for catalog, _, row in rows]


def _hit(url: str, row: EntryRow, file: Details) -> Hit:
    return Hit(
        str(PackageUri(url, row.name, top_hash=row.top_hash, path=file.path)),
        file.size,
        moment_of(row.modified),
        metadata=json.loads(file.metadata).get("user_meta"),
        hash=f"{file.hash_type}:{file.hash_value}" if file.hash_value else None,
        physical_key=file.physical_key,
    )


def facets(found: Sequence[Entries], wanted: Sequence[str]) -> Facets:
    counts: dict[str, int] = {}
    for one in found:
        for ending, count in one.endings.items():
            counts[ending] = counts.get(ending, 0) + count
    sizes = [one.sizes for one in found if one.sizes]
    times = [one.times for one in found if one.times]
    told: list[Facet] = []
    if times:
        low, high = min(one[0] for one in times), max(one[1] for one in times)
        told.append(Facet("modified", "datetime", time_text(low), time_text(high)))
    if sizes:
        told.append(Facet("size", "number", min(one[0] for one in sizes), max(one[1] for one in sizes)))
    if counts:
        ordered = sorted(counts, key=lambda ending: (-counts[ending], ending))
        numbers = tuple(counts[one] for one in ordered)
        told.append(Facet("ext", "keyword", values=tuple(ordered), counts=numbers))
    return chosen(Facets(tuple(told)), wanted)
