"""ElasticWay: the search of stacks whose GraphQL has none, by ``GET /api/search`` with a query of Elasticsearch.

Only indexes that are named are searched, and only buckets are named that the stack shows to the user and this server may
use. What this way cannot do is refused: sorting packages by what stands in their manifest, and facets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from quilt_mcp.auth.registry_http import when
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.search import hits
from quilt_mcp.catalog.search.elastic_body import FIRST_ROWS, body
from quilt_mcp.catalog.search.graph_way import Call, SearchMissing, sent
from quilt_mcp.catalog.shapes import number_of, object_of, objects_of, text_of
from quilt_mcp.domain.address import is_bucket
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.printable import counted, printable
from quilt_mcp.domain.search.request import Found, FoundFile, Hit, Order, SearchRequest
from quilt_mcp.errors import InvalidArgument, NotSupported, StackFailed, StackRefused

_PATH: Final = "/api/search"
_LONGEST_URL: Final = 7_500
"""What registries and the proxies before them take."""
_MISSING: Final = frozenset({404, 405, 410, 501})
_SUFFIX: Final = "_packages"


class ElasticWay:
    """Blocks."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def page(
        self, request: SearchRequest, buckets: Sequence[str], limit: int, cursor: str | None, call: Call
    ) -> Found:
        """Raises SearchMissing, InvalidArgument, NotSupported, StackRefused, StackFailed, and as ``Graph.get``."""
        if request.facets:
            raise NotSupported(
                "This stack has only its older search, which tells no facets.",
                next_step="Search without facets; package_browse shows the metadata of a package that is found.",
            )
        order = Order.parse(request.sort, request.scope)
        start = 0 if cursor is None else decode_cursor(cursor, call, int)[0]
        names = [one for one in buckets if is_bucket(one)]
        if not names:
            return Found((), None, 0)
        text = sent(request)
        size = max(0, min(limit, FIRST_ROWS - start))
        asked = json.dumps(body(request, order, text, start, size), separators=(",", ":"))
        index = ",".join(one if request.scope == "objects" else f"{one}{_SUFFIX}" for one in names)
        query = urlencode({"index": index, "action": "freeform", "body": asked})
        if len(query) > _LONGEST_URL:
            raise InvalidArgument(
                f"Over {counted(len(names), 'bucket')} the question is longer than this stack's older search takes.",
                next_step="Name fewer registries, or a shorter where.",
                details={"buckets": len(names)},
            )
        found = self._ask(query, text)
        return self._read(request, names, found, start, limit, call, text)

    def _ask(self, query: str, text: str) -> dict[str, Any]:
        answer = self._graph.get(f"{_PATH}?{query}")
        if answer.status in _MISSING:
            raise SearchMissing
        if answer.status == 400:
            reason = printable(str(_message(answer.body))[:500])
            raise StackRefused(
                f"The Quilt stack does not take this search: {reason}",
                next_step=f"Mend query, which was sent as {printable(text[:200])!r}: close each bracket and quotation mark; "
                'put a text that holds signs between "quotation marks".',
                details={"reason": reason, "query": printable(text[:500])},
            )
        found = answer.json("Try once more; if it stays so, tell an administrator of the stack.")
        if found.get("timed_out") is True or not isinstance(object_of(found.get("hits")).get("hits"), list):
            raise StackFailed(
                "The Quilt stack answered a search in part only.",
                next_step="Try once more, or narrow the search.",
            )
        if failed := number_of(object_of(found.get("_shards")).get("failed")):
            raise StackFailed(
                f"A part of the Quilt stack's search index failed ({failed:g} of its shards).",
                next_step="Try once more; if it stays so, tell an administrator of the stack.",
            )
        return object_of(found.get("hits"))

    def _read(
        self,
        request: SearchRequest,
        names: Sequence[str],
        found: Mapping[str, Any],
        start: int,
        limit: int,
        call: Call,
        text: str,
    ) -> Found:
        rows = objects_of(found.get("hits"))
        read = _package if request.scope == "packages" else _object
        items, odd = hits.read_all(rows, read, names)
        total = _total(found.get("total"))
        warnings = [
            "older_search: this stack's GraphQL has no search, so its older one was asked: what matched is not told."
        ]
        if text != request.text:
            warnings.append(
                f"escaped: the stack reads / as the beginning of a regular expression, so {printable(text)} was searched."
            )
        warnings += odd
        end = start + len(rows)
        is_more = limit > 0 and len(rows) >= limit and (total is None or end < total)
        if is_more and end >= FIRST_ROWS:
            warnings.append(hits.ends_early(end))
            is_more = False
        return Found(tuple(items), encode_cursor(call, end) if is_more else None, total, tuple(warnings))


def _total(told: object) -> int | None:
    """A number, or since Elasticsearch 7 an object that says whether there may be more."""
    found = object_of(told)
    if found:
        return None if found.get("relation") == "gte" else hits.count(found.get("value"))
    return hits.count(told)


def _package(hit: Mapping[str, Any]) -> Hit | None:
    pointer = object_of(hit.get("_source"))
    manifest = object_of(_inner(hit, "manifest").get("_source"))
    bucket = str(hit.get("_index")).removesuffix(_SUFFIX)
    uri = hits.revision(bucket, pointer.get("ptr_name"), manifest.get("mnfst_hash"))
    if uri is None:
        return None
    stats = object_of(manifest.get("mnfst_stats"))
    entries = object_of(object_of(_inner(hit, "matched").get("inner_hits")).get("entries"))
    sources = [
        object_of(one.get("_source")) for one in objects_of(object_of(entries.get("hits")).get("hits"))
    ]
    return Hit(
        uri,
        hits.count(stats.get("total_bytes")),
        when(pointer.get("ptr_last_modified")),
        entries=hits.count(stats.get("total_files")),
        message=text_of(manifest.get("mnfst_message")),
        metadata=hits.metadata(manifest.get("mnfst_metadata")),
        files=tuple(
            FoundFile(path, hits.count(one.get("entry_size")))
            for one in sources
            if (path := text_of(one.get("entry_lk"))) is not None
        ),
    )


def _object(hit: Mapping[str, Any]) -> Hit | None:
    source = object_of(hit.get("_source"))
    return hits.s3_object(
        {
            "bucket": hit.get("_index"),
            "key": source.get("key"),
            "version": source.get("version_id"),
            "size": source.get("size"),
            "modified": source.get("last_modified"),
            "deleted": source.get("delete_marker"),
        }
    )


def _inner(hit: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The first inner hit of that name."""
    held = object_of(object_of(object_of(hit.get("inner_hits")).get(name)).get("hits"))
    return object_of(next(iter(objects_of(held.get("hits"))), None))


def _message(answer: bytes) -> object:
    try:
        return object_of(json.loads(answer)).get("message") or "it names no reason."
    except (ValueError, RecursionError):
        return "it names no reason."
