"""Facets: what there is to filter by and to sort by among what a search finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from quilt_mcp.domain.metadata import is_within
from quilt_mcp.domain.names import suggest

Kind = Literal["number", "datetime", "keyword", "text", "boolean"]
ALL: Final = "*"
"""Asks for every facet that there is."""
_FEW: Final = 5
"""Values of one field among many."""
_MANY: Final = 50
"""Values of one field that was asked for by name."""
_ROWS: Final = 60


@dataclass(frozen=True, slots=True)
class Facet:
    """One field of what is found, or one JSON pointer into its metadata, with values of one kind: a pointer that holds texts here
    and numbers there has two. ``low`` and ``high`` are of numbers and times, ``values`` of keywords; ``more_values`` counts those
    that are left out. ``counts``: how often each of ``values`` stands, where that is told."""

    field: str
    kind: Kind
    low: float | str | None = None
    high: float | str | None = None
    values: tuple[str, ...] = ()
    more_values: int = 0
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Facets:
    """``is_cut``: there are more than these."""

    items: tuple[Facet, ...]
    is_cut: bool = False


def chosen(facets: Facets, wanted: Iterable[str]) -> Facets:
    """The facets of ``wanted`` fields and pointers, of a pointer those below it too; of ALL, a few values of each."""
    names = tuple(wanted)
    if ALL in names:
        rows = [_shortened(one, _FEW) for one in facets.items[:_ROWS]]
        return Facets(tuple(rows), facets.is_cut or len(facets.items) > _ROWS)
    rows = [one for one in facets.items if any(is_of(one, name) for name in names)]
    return Facets(tuple(_shortened(one, _MANY) for one in rows[:_ROWS]), len(rows) > _ROWS)


def no_facet(facets: Facets, wanted: Iterable[str]) -> tuple[str, ...]:
    """Warnings of pointers that nothing which was found has."""
    pointers = [one.field for one in facets.items if one.field.startswith("/")]
    said: list[str] = []
    for name in wanted:
        if not name.startswith("/") or any(is_of(one, name) for one in facets.items):
            continue
        near = suggest(name, pointers)
        close = f" Close to it: {', '.join(near)}." if near else ""
        said.append(f"no_facet: nothing that is found has {name[:80]}.{close}")
    return tuple(said)


def is_of(facet: Facet, name: str) -> bool:
    return facet.field == name or (name.startswith("/") and is_within(facet.field, name.rstrip("/")))


def _shortened(facet: Facet, most: int) -> Facet:
    values = facet.values[:most]
    more = facet.more_values + len(facet.values) - len(values)
    return Facet(facet.field, facet.kind, facet.low, facet.high, values, more, facet.counts[:most])
