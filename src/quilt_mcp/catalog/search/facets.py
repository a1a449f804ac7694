"""What a stack tells of all that a search found, as facets. Bounded, whatever the stack sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, cast

from quilt_mcp.auth.registry_http import when
from quilt_mcp.catalog.shapes import number_of, object_of, text_of
from quilt_mcp.domain.search.facet import Facet, Facets, Kind

_KINDS: Final[Mapping[str, Kind]] = {
    "NumberPackageUserMetaFacet": "number",
    "DatetimePackageUserMetaFacet": "datetime",
    "KeywordPackageUserMetaFacet": "keyword",
    "TextPackageUserMetaFacet": "text",
    "BooleanPackageUserMetaFacet": "boolean",
}
_SYSTEM: Final[Mapping[str, Kind]] = {
    "modified": "datetime",
    "size": "number",
    "entries": "number",
    "workflow": "keyword",
    "ext": "keyword",
}
_LONGEST_VALUE: Final = 200
_LONGEST_POINTER: Final = 300
_LOOKED_AT: Final = 100_000


def read_facet(found: Mapping[str, Any]) -> Facet | None:
    """Of metadata; None for what has no name or no known type."""
    pointer, kind = text_of(found.get("path")), _KINDS.get(str(found.get("__typename")))
    if pointer is None or kind is None or not pointer.startswith("/") or len(pointer) > _LONGEST_POINTER:
        return None
    return _facet(
        pointer, kind, next((found[one] for one in ("number", "datetime", "keyword") if one in found), None)
    )


def read_facets(rows: object) -> list[Facet]:
    listed = cast("list[Any]", rows) if isinstance(rows, list) else []
    facets = (read_facet(object_of(one)) for one in islice(listed, _LOOKED_AT))
    return [one for one in facets if one is not None]


def read_stats(stats: Mapping[str, Any], also: Iterable[Facet] = ()) -> Facets:
    """Facets of fields, then those of metadata: the stack's, and ``also``."""
    own = [_facet(name, kind, stats[name]) for name, kind in _SYSTEM.items() if name in stats]
    there = [one for one in own if one.low is not None or one.values]
    by_pointer = {(one.field, one.kind): one for one in (*read_facets(stats.get("userMeta")), *also)}
    return Facets((*there, *by_pointer.values()), stats.get("userMetaTruncated") is True)


def _facet(name: str, kind: Kind, extents: object) -> Facet:
    there = object_of(extents)
    if kind in ("number", "datetime"):
        read = _number if kind == "number" else _moment
        return Facet(name, kind, read(there.get("min")), read(there.get("max")))
    values = there.get("values")
    listed = cast("list[Any]", values) if isinstance(values, list) else []
    kept = [one for one in listed[:_LOOKED_AT] if isinstance(one, str) and 0 < len(one) <= _LONGEST_VALUE]
    return Facet(name, kind, None, None, tuple(kept), len(listed) - len(kept))


def _number(value: object) -> float | None:
    found = number_of(value)
    return int(found) if found is not None and found.is_integer() and abs(found) < 1e15 else found


def _moment(value: object) -> str | None:
    text = text_of(value)
    return None if text is None or when(text) is None else text.replace("+00:00", "Z")
