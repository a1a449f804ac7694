"""A search over registries: what is asked, and what is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from quilt_mcp.domain.search.where import Condition

Scope = Literal["packages", "objects"]
SCOPES: Final[tuple[Scope, ...]] = ("packages", "objects")
BEST: Final = "best"
"""The best match first."""
SORTS: Final = (BEST, "name", "-name", "modified", "-modified", "size", "-size")


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """``registries`` empty: all in reach. ``conditions`` are on fields of what is searched, or on JSON pointers into packages'
    metadata. ``all_revisions``: not the latest of each package alone."""

    text: str
    scope: Scope = "packages"
    registries: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    sort: str = BEST
    all_revisions: bool = False


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a package that matched; ``matched``: what of it did."""

    path: str
    size: int | None
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A package's revision (``uri`` is a quilt+ one, with its hash) or an object (with its version, where that is told).
    ``matched``: the fields that did, where the search tells them."""

    uri: str
    size: int | None
    modified: datetime | None
    matched: tuple[str, ...] = ()
    entries: int | None = None
    message: str | None = None
    metadata: Mapping[str, Any] | None = None
    files: tuple[FoundFile, ...] = ()
