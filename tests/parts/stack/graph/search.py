"""``searchPackages`` and ``searchObjects`` over what the stack holds. A cursor names a search that is remembered."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLError

from parts.stack.graph import facets
from parts.stack.graph.asking import Asking, invalid_input, operation_error
from parts.stack.holdings import Failure
from parts.stack.search import documents
from parts.stack.search.documents import Document, kind_of
from parts.stack.search.matching import check, score
from parts.stack.search.query_string import Boolean, Query, QuerySyntaxError, parse
from parts.stack.state import moment

Found = tuple[float, Document]
_MOST = 1000
_SORTS = {
    "name": "name",
    "modified": "modified",
    "size": "size",
    "entries": "totalEntriesCount",
    "hash": "hash",
}


def _in_reach(asking: Asking, wanted: list[str] | None) -> list[str]:
    return [name for name in asking.permissions if not wanted or name in wanted]


def _read(text: str | None) -> Query:
    query = parse(text or "")
    check(query)
    return query


def _malformed(error: QuerySyntaxError, path: str = "searchString") -> dict[str, Any]:
    return invalid_input(path, "QuerySyntaxError", str(error), position=error.position)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    read = datetime.fromisoformat(value)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _fits(predicate: dict[str, Any] | None, value: Any, field: str = "content") -> bool:
    """``predicate`` is any of the schema's; one that is not there is fit by everything."""
    if predicate is None:
        return True
    given = {key: part for key, part in predicate.items() if part is not None}
    if not given:
        return True
    if value is None:
        return False
    values = value if isinstance(value, list) else [value]
    if "queryString" in given:
        query = parse(given["queryString"])
        return any(score(query, {field: str(one)}, (field,)) > 0 for one in values)
    if "terms" in given or "wildcard" in given:
        pattern = "".join(
            {"*": ".*", "?": "."}.get(part, re.escape(part)) for part in given.get("wildcard", "")
        )
        return any(
            str(one) in given.get("terms", ())
            or ("wildcard" in given and re.fullmatch(pattern, str(one), re.DOTALL | re.IGNORECASE))
            for one in values
        )
    if "true" in given or "false" in given:
        return any(given.get("true" if one else "false", False) for one in values)
    low, high = given.get("gte"), given.get("lte")
    if isinstance(low, str) or isinstance(high, str):
        low, high = _seconds(low), _seconds(high)
        values = [_seconds(one) if isinstance(one, str) else one for one in values]
    return any((low is None or one >= low) and (high is None or one <= high) for one in values)


def _meta_fits(one: dict[str, Any], user_meta: dict[str, Any]) -> bool:
    value = user_meta.get(one["path"])
    if value is None:
        return False
    kind = kind_of(value)
    for name, kinds in _META_KINDS.items():
        if one.get(name) is not None and (kind not in kinds or not _fits(one[name], value)):
            return False
    return True


_META_KINDS = {
    "datetime": ("DATETIME",),
    "number": ("NUMBER",),
    "text": ("TEXT", "KEYWORD"),
    "keyword": ("KEYWORD",),
    "boolean": ("BOOLEAN",),
}
_PACKAGE_FILTERS = {
    "modified": "ptr_last_modified",
    "size": "mnfst_stats.total_bytes",
    "name": "ptr_name",
    "hash": "mnfst_hash",
    "entries": "mnfst_stats.total_files",
    "comment": "mnfst_message",
    "workflow": "mnfst_workflow.id",
}
_OBJECT_FILTERS = {
    "modified": "last_modified",
    "size": "size",
    "ext": "ext",
    "key": "key",
    "content": "content",
    "deleted": "delete_marker",
}


def _filtered(document: Document, filters: dict[str, Any] | None, names: dict[str, str]) -> bool:
    return all(_fits(predicate, document.fields[names[key]]) for key, predicate in (filters or {}).items())


def find_packages(asking: Asking, given: dict[str, Any]) -> list[Found]:
    query = _read(given.get("searchString"))
    found = []
    for bucket in _in_reach(asking, given.get("buckets")):
        for one in documents.packages(asking.holdings, bucket, latest_only=given["latestOnly"]):
            if not _filtered(one, given.get("filter"), _PACKAGE_FILTERS):
                continue
            if not all(
                _meta_fits(predicate, one.user_meta) for predicate in given.get("userMetaFilters") or ()
            ):
                continue
            points = score(query, one.fields) + sum(score(query, entry.fields) for entry in one.entries)
            if points or query == Boolean(()):
                found.append((points, one))
    return sorted(found, key=lambda pair: (-pair[0], -pair[1].hit["modified"], pair[1].id))


def find_objects(asking: Asking, given: dict[str, Any]) -> list[Found]:
    query = _read(given.get("searchString"))
    found = []
    for bucket in _in_reach(asking, given.get("buckets")):
        for one in documents.objects(asking.holdings, bucket):
            points = score(query, one.fields)
            if points and _filtered(one, given.get("filter"), _OBJECT_FILTERS):
                found.append((points, one))
    return sorted(found, key=lambda pair: (-pair[0], pair[1].id))


def package_hit(found: Found, query: Query) -> dict[str, Any]:
    points, one = found
    places = {
        "name": ("ptr_name.text", "ptr_name"),
        "comment": ("mnfst_message",),
        "meta": ("mnfst_metadata",),
    }
    places["workflow"] = ("mnfst_workflow.id",)
    inside = {"logicalKey": ("entry_lk.text", "entry_lk"), "physicalKey": ("entry_pk.text", "entry_pk")}
    inside |= {"meta": ("entry_metadata",), "contents": ("entry_contents",)}
    is_all = query == Boolean(())
    entries = [] if is_all else [entry for entry in one.entries if score(query, entry.fields)]
    return {
        **one.hit,
        "id": one.id,
        "score": points,
        "bucket": one.bucket,
        "modified": moment(one.hit["modified"]),
        "matchLocations": _places(query, one.fields, places, is_all),
        "matchingEntries": [
            {**entry.hit, "matchLocations": _places(query, entry.fields, inside, is_all)}
            for entry in entries[:10]
        ],
    }


def _places(
    query: Query, fields: dict[str, Any], places: dict[str, tuple[str, ...]], is_all: bool
) -> dict[str, bool]:
    return {
        place: not is_all
        and score(query, {name: fields[name] for name in names if name in fields}, (names[0],)) > 0
        for place, names in places.items()
    }


def object_hit(found: Found, query: Query) -> dict[str, Any]:
    points, one = found
    return {
        **one.hit,
        "id": one.id,
        "score": points,
        "bucket": one.bucket,
        "modified": moment(one.hit["modified"]),
    }


def _cursor(kind: str, given: dict[str, Any], sort: Any, start: int) -> str:
    said = json.dumps({"kind": kind, "given": given, "sort": sort, "start": start})
    return base64.urlsafe_b64encode(said.encode()).decode()


_KINDS: dict[str, tuple[Callable[..., list[Found]], Callable[..., dict[str, Any]], str]] = {
    "packages": (find_packages, package_hit, "PackagesSearchResultSetPage"),
    "objects": (find_objects, object_hit, "ObjectsSearchResultSetPage"),
}


def _page(
    asking: Asking,
    kind: str,
    given: dict[str, Any],
    sort: Any,
    start: int,
    size: int | None,
    known: list[Found] | None = None,
) -> dict[str, Any]:
    """``known``: what the search has found already."""
    find, hit, typename = _KINDS[kind]
    size = 30 if size is None else size
    if not 1 <= size <= _MOST:
        return invalid_input("size", "OutOfRange", f"must be between 1 and {_MOST}")
    found = list(sorted_by(find(asking, given) if known is None else known, kind, sort))
    query = _read(given.get("searchString"))
    shown = found[start : start + size]
    more = start + size < len(found)
    return {
        "__typename": typename,
        "cursor": _cursor(kind, given, sort, start + size) if more else None,
        "hits": [hit(one, query) for one in shown],
    }


def sorted_by(found: list[Found], kind: str, sort: Any) -> Iterable[Found]:
    if sort in (None, "BEST_MATCH"):
        return found
    if sort in ("NEWEST", "OLDEST"):
        return sorted(found, key=lambda pair: pair[1].hit["modified"], reverse=sort == "NEWEST")
    if sort in ("LEX_ASC", "LEX_DESC"):
        field = "name" if kind == "packages" else "key"
        return sorted(found, key=lambda pair: pair[1].hit[field], reverse=sort == "LEX_DESC")
    where, field, direction = sort

    def value(pair: Found) -> Any:
        if where == "usr":
            value = pair[1].user_meta.get(field[0])
            return value if value is not None and kind_of(value) == stored(field[1]) else None
        held = pair[1].hit.get(_SORTS.get(field, field))
        return (held or {}).get("id") if field == "workflow" else held

    having = [pair for pair in found if value(pair) is not None]
    lacking = [pair for pair in found if value(pair) is None]
    return [*sorted(having, key=value, reverse=direction == "desc"), *lacking]


def ordering_of(text: Any) -> Any:
    """``sys:<field>:<direction>`` or ``usr:<pointer>:<kind>:<direction>``, read from the right."""
    rest, _, direction = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if direction in ("asc", "desc") and rest.startswith("sys:"):
        field = rest.removeprefix("sys:")
        if field == "comment":
            raise Failure("UnsupportedSort", "packages are not sorted by comment")
        if field in (*_SORTS, "workflow"):
            return ["sys", field, direction]
    pointer, _, kind = rest.rpartition(":")
    if direction in ("asc", "desc") and pointer.startswith("usr:/") and kind in _META_KINDS:
        return ["usr", [pointer.removeprefix("usr:"), kind], direction]
    raise Failure("ordering", f"{text!r} is no ordering")


def _check_kind(found: list[Found], sort: Any) -> None:
    """A text is sorted where it is kept as a keyword."""
    where, field, _ = sort
    if where == "usr":
        pointer, kind = field
        kinds = {kind_of(one.user_meta[pointer]) for _, one in found if pointer in one.user_meta}
        if stored(kind) not in kinds:
            raise Failure("UnsupportedSort", f"{pointer} is not kept as {kind}")


def stored(kind: str) -> str:
    return "KEYWORD" if kind == "text" else kind.upper()


def _first_page(
    asking: Asking, kind: str, given: dict[str, Any], found: list[Found]
) -> Callable[..., dict[str, Any]]:
    def first_page(info: Any, size: int | None = 30, order: Any = None, ordering: Any = None) -> Any:
        sort = order
        if ordering is not None:
            try:
                sort = ordering_of(ordering)
                _check_kind(found, sort)
            except Failure as error:
                return invalid_input("ordering", error.name, error.message)
        return _page(asking, kind, given, sort, 0, size, found)

    return first_page


def _search(info: Any, kind: str, typename: str, given: dict[str, Any]) -> dict[str, Any]:
    asking: Asking = info.context
    if not _in_reach(asking, given.get("buckets")):
        return {"__typename": "EmptySearchResultSet"}
    try:
        found = _KINDS[kind][0](asking, given)
    except QuerySyntaxError as error:
        if asking.state.profile != "26.8":
            raise GraphQLError("Internal Server Error") from None  # as all did before 26.7
        return _malformed(error)
    except ValueError as error:
        return operation_error(Failure("InvalidFilter", str(error)))
    if not found:
        return {"__typename": "EmptySearchResultSet"}
    return {
        "__typename": typename,
        "total": len(found),
        "stats": facets.stats(kind, [one for _, one in found]),
        "filteredUserMetaFacets": lambda info, path, type=None: facets.filtered(
            [one for _, one in found], path, type
        ),
        "firstPage": _first_page(asking, kind, given, found),
    }


def _more(info: Any, kind: str, after: str, size: int | None = 30) -> dict[str, Any]:
    try:
        said = json.loads(base64.urlsafe_b64decode(after))
        given, sort, start = said["given"], said["sort"], said["start"]
    except (ValueError, KeyError, TypeError):
        return invalid_input("after", "InvalidCursor", "is no cursor")
    if said["kind"] != kind:
        return invalid_input("after", "InvalidCursor", f"is a cursor of {said['kind']}")
    return _page(info.context, kind, given, sort, start, size)


ROOT = {
    "searchPackages": lambda info, **given: _search(info, "packages", "PackagesSearchResultSet", given),
    "searchObjects": lambda info, **given: _search(info, "objects", "ObjectsSearchResultSet", given),
    "searchMorePackages": lambda info, **given: _more(info, "packages", **given),
    "searchMoreObjects": lambda info, **given: _more(info, "objects", **given),
}
