"""StackSearch: a stack's own search over the packages and objects of its buckets, by whichever way the stack has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.search.elastic_way import ElasticWay
from quilt_mcp.catalog.search.graph_way import GraphWay, SearchMissing
from quilt_mcp.catalog.search.no_match import left_out, searched
from quilt_mcp.catalog.search.predicates import as_metadata
from quilt_mcp.catalog.search.query_fields import unknown_fields
from quilt_mcp.catalog.search.query_writer import asked_of_stack
from quilt_mcp.domain.search.query.parse import parse_query
from quilt_mcp.domain.search.request import Found, SearchRequest, check_facets
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument, InvalidQuery, NotSupported, PermissionDenied, QuiltError

LOOK_AGAIN: Final = 600.0
"""Seconds after which a stack that was searched the older way is asked for its GraphQL's search again: it may be upgraded."""

_BUCKETS_SECONDS: Final = 60.0
"""How long the buckets that the stack shows are kept where each page needs them."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """``sent``: the request in the words of the stack. ``written``: those of its conditions that stood in the query."""

    request: SearchRequest
    sent: SearchRequest
    written: tuple[Condition, ...]
    warnings: tuple[str, ...]


class StackSearch:
    """Blocks. Safe to share between threads."""

    def __init__(
        self,
        graph: Graph,
        shown: Callable[[], Sequence[str]],
        allowed: Collection[str] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``shown`` asks the stack for the buckets that it shows to the user; ``allowed``: the only ones that are searched."""
        self._graph_way = GraphWay(graph)
        self._elastic_way = ElasticWay(graph)
        self._shown = shown
        self._allowed = allowed
        self._clock = clock
        self._now = now
        self._older_since: float | None = None
        self._buckets: tuple[float, list[str]] | None = None
        self._lock = threading.Lock()

    def page(self, request: SearchRequest, limit: int, cursor: str | None) -> Found:
        """One request; of a search that finds nothing up to two more, which tell why. ``limit`` 0: only the total and the facets.

        Raises InvalidQuery, InvalidArgument, NotSupported (this stack cannot do that), PermissionDenied (a bucket that is not
        allowed), StackRefused (it calls the query malformed), and as ``Graph.query``.
        """
        request = replace(request, conditions=as_metadata(request.scope, request.conditions))
        check_facets(request)
        named = self._named(request.registries)
        asked = self._asked(request)
        found = self._found(asked, named, limit, cursor)
        if cursor is not None:
            return found
        return replace(found, warnings=(*asked.warnings, *found.warnings))

    def _asked(self, request: SearchRequest) -> _Asked:
        if request.syntax == "stack":
            return _Asked(request, request, (), tuple(unknown_fields(request.text, request.scope)))
        now = datetime.fromtimestamp(self._now(), UTC)
        try:
            query = parse_query(request.text, request.scope, now)
        except InvalidQuery as error:
            raise _with_way_out(error) from None
        written = asked_of_stack(query, request.scope)
        conditions = (*written.conditions, *request.conditions)
        sent = replace(request, text=written.text, conditions=conditions)
        return _Asked(request, sent, written.conditions, written.warnings)

    def _found(self, asked: _Asked, named: list[str] | None, limit: int, cursor: str | None) -> Found:
        if self._is_older():
            with suppress(SearchMissing):
                return self._older(asked, named, limit, cursor)
        try:
            call = ("search", *_marks(asked.request))
            found = self._graph_way.page(asked.sent, named, limit, cursor, call)
        except SearchMissing:
            return self._first_older(asked, named, limit, cursor)
        self._note(is_older=False)
        is_nothing = found.total == 0 or (found.total is None and not found.items and limit > 0)
        if cursor is not None or found.next_cursor is not None or not is_nothing:
            return found
        return replace(found, warnings=(*found.warnings, *self._why_nothing(asked, named)))

    def _first_older(self, asked: _Asked, named: list[str] | None, limit: int, cursor: str | None) -> Found:
        try:
            found = self._older(asked, named, limit, cursor)
        except SearchMissing:
            raise NotSupported(
                "This stack has no search: neither its GraphQL nor /api/search answers one.",
                next_step="Find packages with packages_list and its match and where; ask an administrator whether search is off.",
            ) from None
        self._note(is_older=True)
        return found

    def _older(self, asked: _Asked, named: list[str] | None, limit: int, cursor: str | None) -> Found:
        shown = self._kept_shown()
        try:
            return self._older_in(shown, asked, named, limit, cursor)
        except PermissionDenied:
            fresh = self._kept_shown(is_anew=True)
            if fresh == shown:
                raise
            return self._older_in(fresh, asked, named, limit, cursor)  # the role was switched meanwhile

    def _older_in(
        self,
        shown: list[str],
        asked: _Asked,
        named: list[str] | None,
        limit: int,
        cursor: str | None,
    ) -> Found:
        """Never asks for an index of a bucket that the stack does not show."""
        call = ("search the older way", *_marks(asked.request))
        buckets = [one for one in shown if named is None or one in named]
        found = self._elastic_way.page(asked.sent, buckets, limit, cursor, call)
        if not found.items and found.total == 0 and cursor is None:
            found = replace(found, warnings=(*found.warnings, searched(asked.request, named, shown)))
        return found

    def _kept_shown(self, *, is_anew: bool = False) -> list[str]:
        with self._lock:
            kept = None if is_anew else self._buckets
        if kept is not None and self._clock() - kept[0] < _BUCKETS_SECONDS:
            return kept[1]
        shown = sorted(self._shown_and_allowed())
        with self._lock:
            self._buckets = (self._clock(), shown)
        return shown

    def _named(self, registries: Collection[str]) -> list[str] | None:
        """The buckets to search; None: all that the stack shows."""
        named = list(dict.fromkeys(_bucket(one) for one in registries))
        if self._allowed is None:
            return named or None
        if outside := [one for one in named if one not in self._allowed]:
            raise PermissionDenied(
                f"{outside[0]} is not one of the buckets that this server may use.",
                next_step="Ask the person who runs it; QUILT_ALLOWED_BUCKETS names them.",
                details={"bucket": outside[0]},
            )
        return named or sorted(self._allowed)

    def _shown_and_allowed(self) -> list[str]:
        return [one for one in self._shown() if self._allowed is None or one in self._allowed]

    def _why_nothing(self, asked: _Asked, named: list[str] | None) -> list[str]:
        """A search that failed to tell why is none that failed."""
        shown: list[str] | None = None
        with suppress(QuiltError):
            shown = self._shown_and_allowed()
        said = [searched(asked.request, named, shown)]
        if asked.request.conditions:
            with suppress(QuiltError, SearchMissing):
                without = replace(asked.sent, conditions=asked.written)
                said += left_out(asked.request, *self._graph_way.facets(without, named))
        return said

    def _is_older(self) -> bool:
        with self._lock:
            return self._older_since is not None and self._clock() - self._older_since < LOOK_AGAIN

    def _note(self, *, is_older: bool) -> None:
        with self._lock:
            self._older_since = self._clock() if is_older else None


def _bucket(registry: str) -> str:
    parts = urlsplit(registry)
    if parts.scheme != "s3":
        raise InvalidArgument(
            f"{registry} is no bucket, and the stack searches its buckets only.",
            next_step="Name registries as s3://bucket, or none to search all.",
        )
    return parts.netloc


def _with_way_out(error: InvalidQuery) -> InvalidQuery:
    way_out = "With syntax=stack the stack reads query itself, in the language of its Elasticsearch."
    return InvalidQuery(error.message, next_step=f"{error.next_step} {way_out}", details=error.details)


def _marks(request: SearchRequest) -> tuple[str | bool, ...]:
    """What a cursor belongs to."""
    return (
        request.text,
        request.scope,
        ",".join(request.registries),
        repr(request.conditions),
        request.sort,
        request.all_revisions,
        request.syntax,
    )
