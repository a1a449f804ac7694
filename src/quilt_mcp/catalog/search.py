"""StackSearch: a stack's own search over the packages and objects of its buckets."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from quilt_mcp.auth.registry_http import when
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.predicates import filters
from quilt_mcp.catalog.shapes import number_of, object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.address import PhysicalKey, is_bucket, parse_package, parse_registry
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.listing import Page
from quilt_mcp.domain.printable import counted, printable
from quilt_mcp.domain.search.request import BEST, SORTS, FoundFile, Hit, SearchRequest
from quilt_mcp.errors import InvalidArgument, PermissionDenied, QuiltError, StackFailed

_ORDERS: Final = {
    BEST: "BEST_MATCH",
    "-modified": "NEWEST",
    "modified": "OLDEST",
    "name": "LEX_ASC",
    "-name": "LEX_DESC",
}
"""How releases before 26.8 spell an order, of which size has none."""
_SLASH: Final = re.compile(r"(?<=[^\s\\:(/])/(?=[^\s)/])")
"""One inside a word. The stack reads a slash as the beginning of a regular expression, and whoever writes a path means none; one
that stands between blanks is left to open and close what it does there."""
_MATCHED: Final = {
    "name": "name",
    "comment": "message",
    "meta": "metadata",
    "workflow": "workflow",
    "logicalKey": "path",
    "physicalKey": "physical_key",
    "contents": "content",
}
_LONGEST_CURSOR: Final = 16 << 10


class StackSearch:
    """Blocks. Query strings are the stack's own (Elasticsearch's query_string) and pass unchanged, but for slashes."""

    def __init__(self, graph: Graph, allowed: Collection[str] | None = None) -> None:
        """``allowed``: the only buckets that are searched."""
        self._graph = graph
        self._allowed = allowed

    def _buckets(self, registries: Collection[str]) -> list[str] | None:
        named = [_bucket(one) for one in registries]
        if self._allowed is None:
            return named or None
        if outside := [one for one in named if one not in self._allowed]:
            raise PermissionDenied(
                f"{outside[0]} is not one of the buckets that this server may use.",
                next_step="Ask the person who runs it; QUILT_ALLOWED_BUCKETS names them.",
                details={"bucket": outside[0]},
            )
        return named or sorted(self._allowed)

    def page(self, request: SearchRequest, limit: int, cursor: str | None) -> Page[Hit]:
        """One request. ``total`` None: the stack does not tell. Raises InvalidArgument, StackRefused (it calls the query
        malformed), and as ``Graph.query``."""
        call = ("search", *_marks(request))
        if cursor is not None:
            return self._more(request, limit, decode_cursor(cursor, call, str)[0], call)
        escaped = _SLASH.sub(r"\\/", request.text)
        page = self._first(request, escaped, limit, call)
        if escaped == request.text:
            return page
        said = f"escaped: the stack reads / as the beginning of a regular expression, so {printable(escaped)} was searched."
        return replace(page, warnings=(said, *page.warnings))

    def _first(
        self, request: SearchRequest, text: str, limit: int, call: tuple[str | bool, ...]
    ) -> Page[Hit]:
        own, metadata = filters(request.scope, request.conditions)
        variables: dict[str, Any] = {
            "buckets": self._buckets(request.registries),
            "text": text or None,
            "filter": own or None,
            "size": limit,
            "order": _ORDERS.get(request.sort),
        }
        if request.sort not in SORTS:
            raise _no_sort(request, SORTS)
        documents = ["SearchObjects"]
        if request.scope == "packages":
            variables |= {
                "metadata": metadata or None,
                "latestOnly": not request.all_revisions,
                "ordering": _ordering(request.sort),
            }
            documents = ["SearchPackages", *(["SearchPackagesByEnum"] if request.sort in _ORDERS else [])]
        elif request.sort not in _ORDERS:
            raise _no_sort(request, tuple(_ORDERS))
        found = object_of(self._graph.query(*documents, **variables).get("search"))
        if found.get("__typename") == "EmptySearchResultSet":
            return Page((), None, 0, ())
        found = result(found, "PackagesSearchResultSet", "ObjectsSearchResultSet")
        first = object_of(found.get("firstPage"))
        if "__typename" in first:
            first = result(first, "PackagesSearchResultSetPage")
        total = number_of(found.get("total"))
        known = int(total) if total is not None and total >= 0 else None
        return self._page(request, first, known, call)

    def _more(
        self, request: SearchRequest, limit: int, after: str, call: tuple[str | bool, ...]
    ) -> Page[Hit]:
        name = "SearchMorePackages" if request.scope == "packages" else "SearchMoreObjects"
        page = result(
            self._graph.query(name, after=after, size=limit).get("page"),
            "PackagesSearchResultSetPage",
            "ObjectsSearchResultSetPage",
        )
        return self._page(request, page, None, call)

    def _page(
        self,
        request: SearchRequest,
        page: Mapping[str, Any],
        total: int | None,
        call: tuple[str | bool, ...],
    ) -> Page[Hit]:
        read = _package if request.scope == "packages" else _object
        after = text_of(page.get("cursor"))
        if not isinstance(page.get("hits"), list) or len(after or "") > _LONGEST_CURSOR:
            raise StackFailed(
                "The Quilt stack answered a search in part only.",
                next_step="Try once more; if it stays so, tell an administrator of the stack.",
            )
        rows = objects_of(page.get("hits"))
        hits = [hit for one in rows if (hit := read(one)) is not None]
        odd = len(rows) - len(hits)
        warnings = (
            (f"odd_hits: {counted(odd, 'result')} of the stack name nothing that there can be.",)
            if odd
            else ()
        )
        return Page(tuple(hits), None if after is None else encode_cursor(call, after), total, warnings)


def _package(hit: Mapping[str, Any]) -> Hit | None:
    """None for what can be no package's."""
    try:
        registry = parse_registry(f"s3://{hit.get('bucket')}")
        uri = parse_package(f"{hit.get('name')}@{hit.get('hash')}", registry)
    except QuiltError:
        return None
    if uri.top_hash is None or uri.path is not None:
        return None
    return Hit(
        str(uri),
        _count(hit.get("size")),
        when(hit.get("modified")),
        _matched(hit.get("matchLocations")),
        _count(hit.get("totalEntriesCount")),
        text_of(hit.get("comment")),
        _metadata(hit.get("meta")),
        tuple(
            FoundFile(path, _count(one.get("size")), _matched(one.get("matchLocations")))
            for one in objects_of(hit.get("matchingEntries"))
            if (path := text_of(one.get("logicalKey"))) is not None
        ),
    )


def _object(hit: Mapping[str, Any]) -> Hit | None:
    bucket, key, version = (text_of(hit.get(name)) for name in ("bucket", "key", "version"))
    if bucket is None or key is None or not is_bucket(bucket):
        return None
    if key.encode("utf-8", "replace").decode() != key:  # half of a surrogate pair: no key of S3 has it
        return None
    place = PhysicalKey(bucket, key, None if version == "null" else version)
    return Hit(str(place), _count(hit.get("size")), when(hit.get("modified")))


def _metadata(text: object) -> dict[str, Any] | None:
    """The search index holds it as JSON text."""
    try:
        return object_of(json.loads(text)) or None if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _matched(places: object) -> tuple[str, ...]:
    there = object_of(places)
    return tuple(shown for name, shown in _MATCHED.items() if there.get(name) is True)


def _count(number: object) -> int | None:
    found = number_of(number)
    return int(found) if found is not None and 0 <= found < 1e18 else None


def _ordering(sort: str) -> str | None:
    if sort == BEST:
        return None
    return f"sys:{sort.lstrip('-')}:{'desc' if sort.startswith('-') else 'asc'}"


def _bucket(registry: str) -> str:
    parts = urlsplit(registry)
    if parts.scheme != "s3":
        raise InvalidArgument(
            f"{registry} is no bucket, and the stack searches its buckets only.",
            next_step="Name registries as s3://bucket, or none to search all.",
        )
    return parts.netloc


def _no_sort(request: SearchRequest, sorts: tuple[str, ...]) -> InvalidArgument:
    return InvalidArgument(
        f"Search over {request.scope} does not sort by {request.sort!r}.",
        next_step=f"Sort by {', '.join(sorts)}.",
    )


def _marks(request: SearchRequest) -> tuple[str | bool, ...]:
    """What a cursor belongs to."""
    return (
        request.text,
        request.scope,
        ",".join(request.registries),
        repr(request.conditions),
        request.sort,
        request.all_revisions,
    )
