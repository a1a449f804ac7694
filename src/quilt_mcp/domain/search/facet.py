"""Facets: what there is to filter by and to sort by among what a search finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["number", "datetime", "keyword", "text", "boolean"]
ALL: Final = "*"
"""Asks for every facet that there is."""


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


@dataclass(frozen=True, slots=True)
class Facets:
    """``is_cut``: there are more than these."""

    items: tuple[Facet, ...]
    is_cut: bool = False
