"""GraphWay: a stack's search by its GraphQL. A page is one request, its facets with it.

A stack that sorts by metadata wants to be told of which kind the values are. So the first question guesses, and asks in the same
request which kinds there are: only a wrong guess costs a second one. What was found is the next guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.search import hits
from quilt_mcp.catalog.search.facets import read_facet, read_facets, read_stats
from quilt_mcp.catalog.search.predicates import filters, kind_of
from quilt_mcp.catalog.shapes import object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.printable import printable
from quilt_mcp.domain.search.facet import ALL, Facet, Facets, Kind, chosen, is_of, no_facet
from quilt_mcp.domain.search.request import BEST, Found, Order, SearchRequest
from quilt_mcp.errors import InvalidArgument, NotSupported, QuiltError, StackFailed, StackRefused

_ENUM: Final = {
    ("best", False): "BEST_MATCH",
    ("modified", True): "NEWEST",
    ("modified", False): "OLDEST",
    ("name", False): "LEX_ASC",
    ("name", True): "LEX_DESC",
}
"""How releases before 26.8 spell an order, of which size has none; objects are sorted so by all releases."""
_SLASH: Final = re.compile(r"(?<=[^\s\\:(/])/(?=[^\s)/])")
"""One inside a word. The stack reads a slash as the beginning of a regular expression, and whoever writes a path means none; one
that stands between blanks is left to open and close what it does there."""
_SORTABLE: Final[tuple[Kind, ...]] = ("number", "datetime", "keyword", "boolean", "text")
"""Of several kinds at one pointer, the first is sorted by."""
_SIGNS: Final = re.compile(r"[^\w\s*.,-]")
_LONGEST_CURSOR: Final = 16 << 10
_MOST_KINDS: Final = 1_000
_MOST_ASKED: Final = 5
"""Facets that are asked for by a request of their own, as a stack has left them out of the page's."""

Call = tuple[str | bool, ...]


class SearchMissing(Exception):
    """The stack has no search of this way."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What all requests for one search have in common."""

    request: SearchRequest
    buckets: list[str] | None
    text: str
    order: Order


class GraphWay:
    """Blocks. Query strings are the stack's own (Elasticsearch's query_string)."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._kinds: dict[str, Kind] = {}

    def page(
        self, request: SearchRequest, buckets: list[str] | None, limit: int, cursor: str | None, call: Call
    ) -> Found:
        """``total`` None: the stack does not tell. Raises SearchMissing, InvalidArgument, NotSupported (the release has no such
        order), StackRefused (it calls the query malformed), and as ``Graph.query``."""
        order = Order.parse(request.sort, request.scope)
        if cursor is not None:
            after, shown, total = decode_cursor(cursor, call, str, int, int)
            return self._more(request, buckets, limit, after, shown, total or None, call)
        question = _Question(request, buckets, sent(request), order)
        found = self._first(question, limit, call)
        if question.text == request.text:
            return found
        said = f"escaped: the stack reads / as the beginning of a regular expression, so {printable(question.text)} was searched."
        return _with(found, said)

    def facets(self, request: SearchRequest, buckets: list[str] | None) -> tuple[int | None, Facets]:
        """How many there are, and all facets of them."""
        order = Order(BEST)
        found = self._ask(_Question(request, buckets, sent(request), order), 1, hits=False, stats=True)
        if found is None:
            return 0, Facets(())
        return hits.count(found.get("total")), read_stats(object_of(found.get("stats")))

    def _first(self, question: _Question, limit: int, call: Call) -> Found:
        request, order = question.request, question.order
        warnings: tuple[str, ...] = ()
        if order.is_metadata:
            found, warnings = self._sorted_by_metadata(question, limit)
        else:
            pointer = next((one for one in request.facets if one.startswith("/")), "")
            found = self._ask(
                question,
                limit,
                hits=limit > 0,
                stats=bool(request.facets),
                pointer=pointer,
                ordering=_ordering(order),
            )
        if found is None:
            return Found((), None, 0, (), Facets(()) if request.facets else None)
        total = hits.count(found.get("total"))
        facets, unknown = self._facets(question, found) if request.facets else (None, ())
        warnings = (*warnings, *unknown)
        if limit < 1:
            return Found((), None, total, warnings, facets)
        first = object_of(found.get("firstPage"))
        if "__typename" in first:
            first = result(first, "PackagesSearchResultSetPage")
        return _with(self._read(request, question.buckets, first, 0, total, call, facets), *warnings)

    def _more(
        self,
        request: SearchRequest,
        buckets: list[str] | None,
        limit: int,
        after: str,
        shown: int,
        total: int | None,
        call: Call,
    ) -> Found:
        name = "SearchMorePackages" if request.scope == "packages" else "SearchMoreObjects"
        try:
            answer = self._graph.query(name, after=after, size=max(limit, 1)).get("page")
        except NotSupported:
            raise SearchMissing from None
        page = result(answer, "PackagesSearchResultSetPage", "ObjectsSearchResultSetPage")
        return self._read(request, buckets, page, shown, total, call, None)

    def _ask(
        self,
        question: _Question,
        limit: int,
        *,
        hits: bool,
        stats: bool = False,
        pointer: str = "",
        ordering: str | None = None,
    ) -> dict[str, Any] | None:
        """The result set; None for an empty one."""
        request, order = question.request, question.order
        own, metadata = filters(request.scope, request.conditions)
        enum = _ENUM.get((order.field, order.is_descending))
        variables: dict[str, Any] = {
            "buckets": question.buckets,
            "text": question.text or None,
            "filter": own or None,
            "size": max(limit, 1),
            "order": enum,
            "hits": hits,
            "stats": stats,
        }
        documents = ["SearchObjects"] if enum else []
        if request.scope == "packages":
            variables |= {
                "metadata": metadata or None,
                "latestOnly": not request.all_revisions,
                "ordering": ordering,
                "near": bool(pointer),
                "pointer": pointer,
            }
            documents = ["SearchPackages", *(["SearchPackagesByEnum"] if enum else [])]
        if not documents:
            raise self._lacks_order(question)
        try:
            found = object_of(self._graph.query(*documents, **variables).get("search"))
        except NotSupported:
            raise (self._lacks_order(question) if enum is None else SearchMissing()) from None
        except StackFailed as error:
            raise _perhaps_malformed(error, question.text) from None
        if found.get("__typename") == "EmptySearchResultSet":
            return None
        try:
            return result(found, "PackagesSearchResultSet", "ObjectsSearchResultSet")
        except StackRefused as error:
            raise _malformed(error, question.text) from None

    def _lacks_order(self, question: _Question) -> QuiltError:
        """Costs a request: raises SearchMissing where there is no search at all."""
        request, order = question.request, question.order
        self._ask(_Question(request, question.buckets, question.text, Order(BEST)), 1, hits=False)
        of_packages = request.scope == "packages"
        whose = "This stack's release" if of_packages else "A stack"
        later = " Stacks sort by metadata, size and entries from release 26.8 on." if of_packages else ""
        return NotSupported(
            f"{whose} does not sort {request.scope} by {'metadata' if order.is_metadata else order.field}.",
            next_step=f"Sort by best, name, -name, modified or -modified, or narrow the search by where.{later}",
            details={"sort": request.sort},
        )

    def _sorted_by_metadata(
        self, question: _Question, limit: int
    ) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
        request, order = question.request, question.order
        guess = self._kinds.get(order.field) or _guess(request, order.field)

        def ask(kind: Kind) -> dict[str, Any] | None:
            ordering = f"usr:{order.field}:{kind}:{'desc' if order.is_descending else 'asc'}"
            return self._ask(
                question, limit, hits=True, stats=bool(request.facets), pointer=order.field, ordering=ordering
            )

        found = ask(guess)
        if found is None:
            return None, ()
        kinds = _kinds_at(found, order.field)
        is_refused = object_of(found.get("firstPage")).get("__typename") == "InvalidInput"
        if is_refused and not kinds:
            raise self._no_such_pointer(question)
        right = kinds[0] if kinds else guess
        if right != guess:
            found = ask(right)
        if len(self._kinds) < _MOST_KINDS:
            self._kinds[order.field] = right
        others = [one for one in kinds if one != right]
        if not others:
            return found, ()
        said = f"mixed: {order.field} is a {right} in some packages and {' or '.join(others)} in others, which come last."
        return found, (said,)

    def _no_such_pointer(self, question: _Question) -> InvalidArgument:
        """Costs a request, to say what there is."""
        pointer = question.order.field
        request = question.request
        found = self._ask(
            _Question(request, question.buckets, question.text, Order(BEST)), 1, hits=False, stats=True
        )
        there = [] if found is None else read_facets(object_of(found.get("stats")).get("userMeta"))
        near = suggest(pointer, [one.field for one in there]) or [one.field for one in there[:5]]
        return InvalidArgument(
            f"The stack does not sort by {pointer}: no package that is found has it, or it holds long texts.",
            next_step=f"Sort by {', '.join(near)}."
            if near
            else 'Call search with facets=["*"] for what there is.',
            details={"pointer": pointer, "near": near},
        )

    def _facets(self, question: _Question, found: Mapping[str, Any]) -> tuple[Facets, tuple[str, ...]]:
        """Those that are wanted, and warnings of pointers that nothing has. What is named and not in the answer, as the stack
        tells a part of them, is asked for."""
        wanted = question.request.facets
        told = read_stats(object_of(found.get("stats")), read_facets(found.get("near")))
        lacking = [
            one
            for one in wanted
            if one.startswith("/") and not any(is_of(facet, one) for facet in told.items)
        ]
        if ALL not in wanted and told.is_cut and lacking:
            more = [facet for one in lacking[:_MOST_ASKED] for facet in self._near(question, one)]
            told = Facets((*told.items, *more), told.is_cut)
        return chosen(told, wanted), no_facet(told, wanted)

    def _near(self, question: _Question, pointer: str) -> Iterable[Facet]:
        question = _Question(question.request, question.buckets, question.text, Order(BEST))
        found = self._ask(question, 1, hits=False, pointer=pointer)
        return [] if found is None else read_facets(found.get("near"))

    def _read(
        self,
        request: SearchRequest,
        buckets: list[str] | None,
        page: Mapping[str, Any],
        before: int,
        total: int | None,
        call: Call,
        facets: Facets | None,
    ) -> Found:
        read = hits.package if request.scope == "packages" else hits.s3_object
        after = text_of(page.get("cursor"))
        if not isinstance(page.get("hits"), list) or len(after or "") > _LONGEST_CURSOR:
            raise StackFailed(
                "The Quilt stack answered a search in part only.",
                next_step="Try once more; if it stays so, tell an administrator of the stack.",
            )
        rows = objects_of(page.get("hits"))
        found, warnings = hits.read_all(rows, read, buckets)
        shown = before + len(rows)
        if after is None and total is not None and shown < total:
            warnings.append(hits.ends_early(shown, total))
        further = None if after is None else encode_cursor(call, after, shown, total or 0)
        return Found(tuple(found), further, total, tuple(warnings), facets)


def sent(request: SearchRequest) -> str:
    """What a user wrote in the stack's own language is sent as it is, but for slashes."""
    return _SLASH.sub(r"\\/", request.text) if request.syntax == "stack" else request.text


def _kinds_at(found: Mapping[str, Any], pointer: str) -> list[Kind]:
    """The kinds by which the stack sorts there, the preferred one first."""
    told = {
        facet.kind
        for one in objects_of(found.get("near"))
        if one.get("sortable") is not False
        if (facet := read_facet(one)) is not None and facet.field == pointer
    }
    return [one for one in _SORTABLE if one in told]


def _guess(request: SearchRequest, pointer: str) -> Kind:
    """As a condition on it says, else what most metadata is."""
    said: list[Kind] = [kind_of(one) for one in request.conditions if one.column == pointer and one.values]
    return said[0] if said else "keyword"


def _ordering(order: Order) -> str | None:
    if order.field == BEST:
        return None
    return f"sys:{order.field}:{'desc' if order.is_descending else 'asc'}"


def _with(found: Found, *warnings: str) -> Found:
    return Found(found.items, found.next_cursor, found.total, (*warnings, *found.warnings), found.facets)


def _malformed(error: StackRefused, text: str) -> StackRefused:
    """With what helps, where it is the query that is refused."""
    if not any("searchString" in str(one.get("path")) for one in objects_of(error.details.get("errors"))):
        return error
    return StackRefused(
        error.message,
        next_step=f"Mend query, which was sent as {printable(text[:200])!r}: close each bracket and quotation mark; "
        'put a text that holds signs between "quotation marks".',
        details={**error.details, "query": printable(text[:500])},
    )


def _perhaps_malformed(error: StackFailed, text: str) -> StackFailed:
    if _SIGNS.search(text) is None:
        return error
    return StackFailed(
        error.message,
        next_step="Releases before 26.7 answer so to a query that they cannot read: close each bracket and quotation mark of it; "
        'put a text that holds signs between "quotation marks". If it is well formed, try once more.',
        details=error.details,
    )
