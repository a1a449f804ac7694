"""How far what was found reaches: extents of its fields, and the user metadata that it has."""

from __future__ import annotations

from typing import Any

from parts.stack.search.documents import Document, kind_of
from parts.stack.state import moment

_MOST = 50
_SORTABLE = ("NUMBER", "DATETIME", "KEYWORD", "BOOLEAN")


def _extents(values: list[Any], written: Any = float) -> dict[str, Any]:
    return {"min": written(min(values)), "max": written(max(values))}


def _values(values: list[Any]) -> dict[str, Any]:
    return {"values": sorted({value for value in values if value is not None})}


def stats(kind: str, found: list[Document]) -> dict[str, Any]:
    common = {
        "modified": _extents([one.hit["modified"] for one in found], moment),
        "size": _extents([one.hit["size"] for one in found]),
    }
    if kind == "objects":
        return common | {"ext": _values([one.fields["ext"] for one in found])}
    every = user_meta(found)
    return common | {
        "entries": _extents([one.hit["totalEntriesCount"] for one in found]),
        "workflow": _values([one.fields["mnfst_workflow.id"] for one in found]),
        "userMeta": every[:_MOST],
        "userMetaTruncated": len(every) > _MOST,
    }


def user_meta(found: list[Document]) -> list[dict[str, Any]]:
    """A facet for each pointer and kind."""
    by_kind: dict[tuple[str, str], list[Any]] = {}
    for one in found:
        for pointer, value in one.user_meta.items():
            values = value if isinstance(value, list) else [value]
            by_kind.setdefault((pointer, kind_of(value)), []).extend(values)
    return [_facet(pointer, kind, values) for (pointer, kind), values in sorted(by_kind.items())]


def _facet(pointer: str, kind: str, values: list[Any]) -> dict[str, Any]:
    extents = {"NUMBER": _extents, "DATETIME": lambda held: _extents(held, str), "KEYWORD": _values}
    return {
        "__typename": f"{kind.capitalize()}PackageUserMetaFacet",
        "path": pointer,
        "sortable": kind in _SORTABLE,
        "extents": extents[kind](values) if kind in extents else None,
    }


def filtered(found: list[Document], path: str, kind: str | None) -> list[dict[str, Any]]:
    """Those whose pointer begins or goes on with ``path``."""
    wanted = None if kind is None else f"{kind.capitalize()}PackageUserMetaFacet"
    return [
        facet
        for facet in user_meta(found)
        if path.lower() in facet["path"].lower() and wanted in (None, facet["__typename"])
    ]
