"""Queries of Elasticsearch's own language over the raw documents of the indexes. What is not known here is refused, as there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from parts.stack.search import documents
from parts.stack.search.documents import Document
from parts.stack.search.matching import KINDS, check, score
from parts.stack.search.query_string import QuerySyntaxError, parse

_TYPES = {"NUMBER": "double", "DATETIME": "date", "KEYWORD": "keyword", "TEXT": "text", "BOOLEAN": "boolean"}
_PACKAGES = "_packages"
Inner = dict[str, dict[str, Any]]


class Unknown(Exception):
    """Answered with 400."""


@dataclass
class Raw:
    """A document as an index holds it. ``fields`` are flat, by dotted name; ``metadata`` are the nested documents."""

    id: str
    index: str
    fields: dict[str, Any]
    kind: str = ""
    parent: Raw | None = None
    children: list[Raw] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)


def objects(holdings: Any, bucket: str) -> list[Raw]:
    return [Raw(one.id, bucket, one.fields) for one in documents.objects(holdings, bucket)]


def packages(holdings: Any, bucket: str) -> list[Raw]:
    """Manifests, each with its pointers (``latest`` and the one with its time) and its entries."""
    found: list[Raw] = []
    for one in documents.packages(holdings, bucket, latest_only=False):
        index = bucket + _PACKAGES
        manifest = Raw(one.id, index, _only(one.fields, "mnfst_"), "mnfst", metadata=_nested(one.user_meta))
        tags = [one.fields["ptr_tag"], str(int(one.hit["modified"]))]
        for tag in dict.fromkeys(tags):
            fields = _only(one.fields, "ptr_") | {"ptr_tag": tag}
            manifest.children.append(Raw(f"ptr:{one.hit['name']}/{tag}", index, fields, "ptr", manifest))
        manifest.children += [_entry(entry, manifest) for entry in one.entries]
        found += [manifest, *manifest.children]
    return found


def _entry(one: Document, manifest: Raw) -> Raw:
    return Raw(f"entry:{one.id}", manifest.index, one.fields, "entry", manifest)


def _only(fields: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name.startswith(prefix)}


def _nested(user_meta: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"json_pointer": pointer, "type": kind, kind: value, "text": json.dumps(value, ensure_ascii=False)}
        for pointer, value in user_meta.items()
        for kind in [_TYPES[documents.kind_of(value)]]
    ]


def answer(body: dict[str, Any], held: list[Raw]) -> dict[str, Any]:
    """The raw answer. Raises Unknown, QuerySyntaxError."""
    known = {"query", "sort", "from", "size", "_source", "track_total_hits"}
    if odd := set(body) - known:
        raise Unknown(f"unknown key {sorted(odd)}")
    if body.get("from", 0) + body.get("size", 10) > 10_000:
        raise Unknown("Result window is too large, from + size must be less than or equal to: [10000]")
    scored: list[tuple[float, Raw, Inner]] = []
    for one in held:
        inner: Inner = {}
        points = evaluate(body.get("query", {"match_all": {}}), one, inner)
        if points:
            scored.append((points, one, inner))
    for by in reversed(body.get("sort", [{"_score": {"order": "desc"}}])):
        [(name, how)] = by.items()
        scored.sort(key=_key(name), reverse=how["order"] == "desc")
    start = body.get("from", 0)
    shown = scored[start : start + body.get("size", 10)]
    hits = [_hit(*one, body.get("_source", True)) for one in shown]
    shards = {"total": 1, "successful": 1, "failed": 0}
    told = {"total": len(scored), "max_score": None, "hits": hits}
    return {"took": 1, "timed_out": False, "_shards": shards, "hits": told}


def _key(name: str) -> Callable[[tuple[float, Raw, Inner]], Any]:
    if name == "_score":
        return lambda one: one[0]
    if name not in KINDS:
        raise Unknown(f"No mapping found for [{name}] in order to sort on")
    return lambda one: (one[1].fields.get(name) is not None, one[1].fields.get(name) or 0)


def _hit(points: float, one: Raw, inner: Inner, source: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"_index": one.index, "_type": "_doc", "_id": one.id, "_score": points}
    if source is not False:
        told["_source"] = _source(one.fields, source)
    if inner:
        told["inner_hits"] = inner
    return told


def _source(fields: dict[str, Any], wanted: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields.items():
        is_wanted = wanted is True or any(name == one or name.startswith(f"{one}.") for one in wanted)
        if name.endswith(".text") or not is_wanted:
            continue
        if KINDS.get(name) == "date":
            value = datetime.fromtimestamp(value, UTC).isoformat()
        *outer, last = name.split(".")
        place = found
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = value
    return found


def evaluate(query: dict[str, Any], one: Raw, inner: Inner) -> float:
    """How well it fits; 0: not at all."""
    [(name, given)] = query.items()
    if name not in _CLAUSES:
        raise Unknown(f"no [query] registered for [{name}]")
    return float(_CLAUSES[name](given, one, inner))


def _bool(given: dict[str, Any], one: Raw, inner: Inner) -> float:
    if odd := set(given) - {"filter", "must", "must_not", "should", "minimum_should_match"}:
        raise Unknown(f"[bool] query does not support {sorted(odd)}")
    if any(not evaluate(part, one, inner) for part in given.get("filter", ())):
        return 0
    if any(evaluate(part, one, {}) for part in given.get("must_not", ())):
        return 0
    musts = [evaluate(part, one, inner) for part in given.get("must", ())]
    shoulds = [evaluate(part, one, inner) for part in given.get("should", ())]
    least = given.get("minimum_should_match", 0 if musts or given.get("filter") else min(1, len(shoulds)))
    if not all(musts) or sum(map(bool, shoulds)) < least:
        return 0
    return sum(musts) + sum(shoulds) or 1.0


def _has_parent(given: dict[str, Any], one: Raw, inner: Inner) -> float:
    parent = one.parent
    if parent is None or parent.kind != given["parent_type"]:
        return 0
    return _joined(given, [parent], inner)


def _has_child(given: dict[str, Any], one: Raw, inner: Inner) -> float:
    return _joined(given, [child for child in one.children if child.kind == given["type"]], inner)


def _joined(given: dict[str, Any], others: list[Raw], inner: Inner) -> float:
    """Inner hits stand in those of the clause around them."""
    found = []
    for other in others:
        own: Inner = {}
        if points := evaluate(given["query"], other, own):
            found.append((points, other, own))
    told = given.get("inner_hits")
    if told is not None:
        shown = [_hit(*hit, told.get("_source", True)) for hit in found[: told.get("size", 3)]]
        inner[told["name"]] = {"hits": {"total": len(found), "hits": shown}}
    return max((points for points, _, _ in found), default=0)


def _nested_clause(given: dict[str, Any], one: Raw, inner: Inner) -> float:
    if given["path"] != "mnfst_metadata_fields":
        raise Unknown(f"[nested] failed to find nested object under path [{given['path']}]")
    for held in one.metadata:
        flat = {f"mnfst_metadata_fields.{name}": value for name, value in held.items()}
        if evaluate(given["query"], Raw("", one.index, flat), inner):
            return 1
    return 0


def _query_string(given: dict[str, Any], one: Raw, inner: Inner) -> float:
    query = parse(given["query"])
    if not given.get("lenient"):
        check(query)
    try:
        return score(query, one.fields, tuple(given.get("fields", ())))
    except QuerySyntaxError:  # a word among numbers
        return 0


def _of_field(test: Callable[[Any, Any], bool]) -> Callable[[dict[str, Any], Raw, Inner], float]:
    def clause(given: dict[str, Any], one: Raw, inner: Inner) -> float:
        [(name, wanted)] = given.items()
        held = one.kind if name == "join_field" else one.fields.get(name)
        values = held if isinstance(held, list) else [held]
        return any(value is not None and test(value, wanted) for value in values)

    return clause


def _range(value: Any, wanted: dict[str, Any]) -> bool:
    def read(bound: Any) -> Any:
        if not isinstance(bound, str):
            return bound
        moment = datetime.fromisoformat(bound)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    if odd := set(wanted) - {"gte", "lte"}:
        raise Unknown(f"[range] query does not support {sorted(odd)}")
    return all(
        (read(value) >= read(bound)) if name == "gte" else (read(value) <= read(bound))
        for name, bound in wanted.items()
    )


def _wildcard(value: Any, wanted: str) -> bool:
    parts = re.findall(r"\\(.)|(.)", wanted, re.DOTALL)
    pattern = "".join({"*": ".*", "?": "."}.get(sign, re.escape(literal or sign)) for literal, sign in parts)
    return re.fullmatch(pattern, str(value), re.DOTALL) is not None


_CLAUSES: dict[str, Callable[[Any, Raw, Inner], float]] = {
    "match_all": lambda given, one, inner: 1,
    "bool": _bool,
    "has_parent": _has_parent,
    "has_child": _has_child,
    "nested": _nested_clause,
    "query_string": _query_string,
    "term": _of_field(lambda value, wanted: value == wanted),
    "terms": _of_field(lambda value, wanted: str(value) in wanted),
    "wildcard": _of_field(_wildcard),
    "regexp": _of_field(lambda value, wanted: re.fullmatch(wanted, str(value), re.DOTALL) is not None),
    "range": _of_field(_range),
}
