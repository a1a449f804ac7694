"""From a search to a query of Elasticsearch 6.8, over the indexes that a stack keeps. Only what stands here is ever sent, and
none of it names another index.

    BUCKET           a document for each version of an object
    BUCKET_packages  a pointer (``ptr``: name, tag) is the child of a manifest (``mnfst``: hash, message, metadata, totals), and
                     so is each entry (``entry``: a file)

A package is found by its pointer: where the pointer matches, or its manifest, or one of that one's entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from quilt_mcp.catalog.search import lucene
from quilt_mcp.catalog.search.predicates import WILDCARD, field_of, filters
from quilt_mcp.domain.search.request import BEST, Order, SearchRequest
from quilt_mcp.errors import NotSupported

Query = dict[str, Any]

FIRST_ROWS: Final = 10_000
"""Elasticsearch pages no further."""
MANIFEST: Final = ("mnfst_hash", "mnfst_message", "mnfst_metadata", "mnfst_stats")
_ENTRIES: Final = 10
_POINTER_FIELDS: Final = {"name": "ptr_name", "modified": "ptr_last_modified"}
_MANIFEST_FIELDS: Final = {
    "hash": "mnfst_hash",
    "workflow": "mnfst_workflow.id",
    "size": "mnfst_stats.total_bytes",
    "entries": "mnfst_stats.total_files",
    "comment": "mnfst_message",
}
_OBJECT_FIELDS: Final = {
    "key": "key",
    "ext": "ext",
    "size": "size",
    "modified": "last_modified",
    "deleted": "delete_marker",
}
_SORTS: Final[Mapping[str, Mapping[str, str]]] = {
    "packages": {"name": "ptr_name", "modified": "ptr_last_modified"},
    "objects": {"name": "key", "modified": "last_modified", "size": "size"},
}
_METADATA_KINDS: Final = {
    "number": "double",
    "datetime": "date",
    "keyword": "keyword",
    "boolean": "boolean",
    "text": "text",
}


def body(request: SearchRequest, order: Order, text: str, start: int, size: int) -> Query:
    """Raises InvalidArgument for a condition, NotSupported for an order that there is not."""
    of_scope = _objects if request.scope == "objects" else _packages
    asked: Query = {
        "query": of_scope(request, text),
        "sort": _sort(request, order),
        "from": start,
        "size": size,
        "track_total_hits": True,
    }
    if request.scope == "packages":
        return asked | {"_source": ["ptr_name", "ptr_last_modified"]}
    return asked | {"_source": ["key", "version_id", "size", "last_modified", "delete_marker"]}


def _objects(request: SearchRequest, text: str) -> Query:
    own, _ = filters("objects", request.conditions)
    loose = _loose(request)
    query: Query = {
        "filter": [_condition(_OBJECT_FIELDS[name], one, name in loose) for name, one in own.items()]
    }
    if text:
        query["must"] = [_words(text, "key_text", "content")]
    return {"bool": query}


def _packages(request: SearchRequest, text: str) -> Query:
    own, metadata = filters("packages", request.conditions)
    loose = _loose(request)

    def conditions(fields: Mapping[str, str]) -> list[Query]:
        return [_condition(fields[name], one, name in loose) for name, one in own.items() if name in fields]

    of_manifest = [*conditions(_MANIFEST_FIELDS), *(_metadata(one, one["path"] in loose) for one in metadata)]
    latest: Query = {"term": {"ptr_tag": "latest"}}
    query: Query = {
        "filter": [
            {"term": {"join_field": "ptr"}},
            *conditions(_POINTER_FIELDS),
            _of_manifest({"bool": {"filter": of_manifest}}, "manifest", MANIFEST),
            *([] if request.all_revisions else [latest]),
        ],
        # A revision's pointers are the one with its time and, of the newest, the one that is called latest.
        "must_not": [latest] if request.all_revisions else [],
    }
    if text:
        entries: Query = {
            "has_child": {
                "type": "entry",
                "score_mode": "max",
                "query": _words(text, "entry_lk.text", "entry_pk.text", "entry_metadata"),
                "inner_hits": {"name": "entries", "size": _ENTRIES, "_source": ["entry_lk", "entry_size"]},
            }
        }
        manifest = _words(text, "mnfst_message", "mnfst_metadata", "mnfst_hash")
        either: Query = {"bool": {"should": [manifest, entries], "minimum_should_match": 1}}
        query["should"] = [_words(text, "ptr_name.text"), _of_manifest(either, "matched", ())]
        query["minimum_should_match"] = 1
    return {"bool": query}


def _of_manifest(query: Query, name: str, source: Iterable[str]) -> Query:
    told: Query = {"name": name, "size": 1, "_source": list(source) or False}
    return {"has_parent": {"parent_type": "mnfst", "score": True, "query": query, "inner_hits": told}}


def _words(text: str, *fields: str) -> Query:
    """``lenient``: a word is no number, and looked for among numbers it is only not found."""
    return {"query_string": {"query": text, "fields": list(fields), "lenient": True}}


def _loose(request: SearchRequest) -> set[str]:
    """Fields whose letters may be of either case."""
    return {
        field_of(one.column, request.scope)
        for one in request.conditions
        if one.operator in ("contains", WILDCARD)
    }


def _metadata(predicate: Mapping[str, Any], is_loose: bool) -> Query:
    [kind] = [one for one in predicate if one != "path"]
    field = f"mnfst_metadata_fields.{_METADATA_KINDS[kind]}"
    both: list[Query] = [
        {"term": {"mnfst_metadata_fields.json_pointer": predicate["path"]}},
        _condition(field, predicate[kind], is_loose),
    ]
    return {"nested": {"path": "mnfst_metadata_fields", "query": {"bool": {"filter": both}}}}


def _condition(field: str, predicate: Mapping[str, Any], is_loose: bool) -> Query:
    """All parts of it hold."""
    if "queryString" in predicate:
        return _words(str(predicate["queryString"]), field)
    parts: list[Query] = []
    bounds = {name: predicate[name] for name in ("gte", "lte") if name in predicate}
    if bounds:
        parts.append({"range": {field: bounds}})
    if "terms" in predicate:
        parts.append({"terms": {field: predicate["terms"]}})
    if "wildcard" in predicate:
        pattern = str(predicate["wildcard"])
        # A wildcard minds the case of letters, and only later releases can be told not to.
        parts.append(
            {"regexp": {field: lucene.whole(pattern)}} if is_loose else {"wildcard": {field: pattern}}
        )
    parts += [{"term": {field: value == "true"}} for value in ("true", "false") if value in predicate]
    return parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}


def _sort(request: SearchRequest, order: Order) -> list[Query]:
    direction = "desc" if order.is_descending else "asc"
    fields = _SORTS[request.scope]
    if order.field == BEST:
        newest = fields["modified"]
        return [{"_score": {"order": "desc"}}, {newest: {"order": "desc"}}]
    if order.field not in fields:
        field = "metadata" if order.is_metadata else order.field
        raise NotSupported(
            f"This stack has only its older search, which does not sort {request.scope} by {field}.",
            next_step=f"Sort by {BEST}, {', '.join(fields)} (- before it: the greatest first), or narrow the search by where.",
            details={"sort": request.sort},
        )
    return [{fields[order.field]: {"order": direction}}]
