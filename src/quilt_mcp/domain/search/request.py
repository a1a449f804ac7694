"""A search over registries: what is asked, and what is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from quilt_mcp.domain.listing import Page
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.facet import ALL, Facets
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument

Scope = Literal["packages", "entries", "objects"]
SCOPES: Final[tuple[Scope, ...]] = ("packages", "entries", "objects")
EngineName = Literal["auto", "local", "stack"]
ENGINES: Final[tuple[EngineName, ...]] = ("auto", "local", "stack")
"""Whose search it is: this server's own, over a catalog that it keeps, or the Quilt stack's."""
SyntaxName = Literal["auto", "stack"]
SYNTAXES: Final[tuple[SyntaxName, ...]] = ("auto", "stack")
"""How the text of a search is read: in the language of ``search.query``, or by the stack alone, in its own."""
BEST: Final = "best"
"""The best match first."""
SORTED_BY: Final[Mapping[Scope, tuple[str, ...]]] = {
    "packages": ("name", "modified", "size", "entries"),
    "entries": ("name", "path", "modified", "size"),
    "objects": ("name", "modified", "size"),
}
"""Fields that a search may be sorted by, beside metadata of packages."""

FACETS: Final[Mapping[Scope, tuple[str, ...]]] = {
    "packages": ("modified", "size", "entries", "workflow"),
    "entries": ("modified", "size", "ext"),
    "objects": ("modified", "size", "ext"),
}
"""Fields whose facets there are, beside metadata of packages."""
MAX_FACETS: Final = 20


@dataclass(frozen=True, slots=True)
class Order:
    """``field``: BEST, one of SORTED_BY, or a JSON pointer into packages' metadata."""

    field: str
    is_descending: bool = False

    @property
    def is_metadata(self) -> bool:
        return self.field.startswith("/")

    @classmethod
    def parse(cls, text: str, scope: Scope) -> Order:
        """Of ``name``, ``-name``, ``/assay/lot`` or ``-/assay/lot``. Raises InvalidArgument."""
        field = text.removeprefix("-")
        if text == BEST or field in SORTED_BY[scope] or (scope == "packages" and field.startswith("/")):
            return cls(field, text.startswith("-"))
        near = suggest(field, [BEST, *SORTED_BY[scope]])
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        pointer = ", or a JSON pointer into metadata, as /assay/lot" if scope == "packages" else ""
        raise InvalidArgument(
            f"A search over {scope} is not sorted by {text[:80]!r}.",
            next_step=f"{meant}Sort by {BEST}, {', '.join(SORTED_BY[scope])}{pointer}; with - before it, the greatest first.",
        )


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """``registries`` empty: all in reach. ``conditions`` are on fields of what is searched, or on JSON pointers into packages'
    metadata. ``all_revisions``: not the latest of each package alone. ``facets``: fields and pointers whose facets are wanted
    beside the first page, or ``facet.ALL``. ``engine``: whose search, and ``build``: whether a catalog may take all the time and
    the requests that it needs to be whole. ``syntax``: in which language ``text`` is. ``detail``: hits with hashes, physical keys
    and the metadata of files."""

    text: str
    scope: Scope = "packages"
    registries: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    sort: str = BEST
    all_revisions: bool = False
    facets: tuple[str, ...] = ()
    engine: EngineName = "auto"
    build: bool = False
    syntax: SyntaxName = "auto"
    detail: bool = False


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a package that matched; ``matched``: what of it did."""

    path: str
    size: int | None
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A package's revision or a file of it (``uri`` is a quilt+ one, with its hash), or an object.
    ``matched``: the fields that did, where the search tells them, and ``highlight`` the text around the first of them that no
    other field of a hit shows. ``is_deleted``: the version is a mark that the object was
    deleted."""

    uri: str
    size: int | None
    modified: datetime | None
    matched: tuple[str, ...] = ()
    entries: int | None = None
    message: str | None = None
    metadata: Mapping[str, Any] | None = None
    files: tuple[FoundFile, ...] = ()
    is_deleted: bool = False
    highlight: str | None = None
    files_total: int | None = None
    """How many files matched, where that is told; ``files`` are the first of them."""
    hash: str | None = None
    physical_key: str | None = None


@dataclass(frozen=True, slots=True)
class Found(Page[Hit]):
    """``facets``: of all that is found, where they were asked for; of a first page alone."""

    facets: Facets | None = None


def check_facets(request: SearchRequest) -> None:
    """Raises InvalidArgument for facets that no search over the request's scope could have."""
    known = FACETS[request.scope]
    pointer = ", or a JSON pointer into metadata, as /assay/lot" if request.scope == "packages" else ""
    if len(request.facets) > MAX_FACETS:
        raise InvalidArgument(
            f"facets names {len(request.facets)} fields, more than {MAX_FACETS}.",
            next_step=f"Name the first few, or {ALL} for all.",
        )
    for one in request.facets:
        if one == ALL or one in known or (request.scope == "packages" and one.startswith("/")):
            continue
        near = suggest(one, known)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise InvalidArgument(
            f"A search over {request.scope} has no facet {one[:80]!r}.",
            next_step=f"{meant}Name {', '.join(known)}{pointer}; {ALL} is all of them.",
        )
