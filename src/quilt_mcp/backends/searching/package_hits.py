"""Packages of one registry that meet a search, and what their metadata offers to filter by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from quilt_mcp.backends.searching.highlight import Highlighter
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.search.facet import Facet, Kind
from quilt_mcp.domain.search.filter import Filter, TimeTest
from quilt_mcp.domain.search.query.value import number_of
from quilt_mcp.domain.search.request import FoundFile, Hit, Order
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.search.packages import PackageRow, Shown, Told

OWN: Final = ("name", "modified", "size", "entries", "workflow", "hash", "message")
_OF_FILES: Final = ("path", "key", "ext", "extension", "logical_key")
ALSO: Final[Mapping[str, str]] = {"package": "name", "top_hash": "hash", "comment": "message"}
_KINDS: Final[Mapping[str, Kind]] = {
    "number": "number",
    "boolean": "boolean",
    "datetime": "datetime",
    "text": "keyword",
}


@dataclass(frozen=True, slots=True)
class Ranked:
    """A package that was found, in one of the registries that are searched. ``value``: what it is sorted by."""

    registry: str
    row: PackageRow
    score: float
    value: Any = None


class PackageWhere:
    """``where``, held against packages. A name that is none of a package's own fields is one of its metadata."""

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        named = [(ALSO.get(one.column, one.column), _with_bytes(one)) for one in conditions]
        if of_file := next((one for one in conditions if one.column in _OF_FILES), None):
            raise InvalidArgument(
                f"A package has no {of_file.column}: its files have.",
                next_step="Search with scope=entries, or put it into query, as query='path:*qc*'.",
            )
        self._times = [TimeTest(one) for name, one in named if name == "modified"]
        self._filter = Filter([one for name, one in named if name != "modified"])
        self._pointers = [one.column for name, one in named if name not in OWN]
        self.needs_metadata = bool(self._pointers) or any(name == "message" for name, _ in named)

    def takes(self, row: PackageRow, told: Told = (None, None)) -> bool:
        """``told``: where ``needs_metadata``."""
        message, text = told
        moment = moment_of(row.modified)
        if not all(test.holds(moment) for test in self._times):
            return False
        metadata: Any = json.loads(text) if text and self._pointers else None
        if isinstance(metadata, Mapping):
            self._filter.meet(cast("Mapping[str, Any]", metadata))
        own = {
            "name": row.name,
            "size": row.size,
            "entries": row.entries,
            "workflow": row.workflow,
            "hash": row.top_hash,
            "message": message,
        }
        own |= {also: own[name] for also, name in ALSO.items()}
        return self._filter.takes({**at_pointers(metadata, self._pointers), **own})

    def told(self) -> list[str]:
        return [*self._filter.mistyped(), *self._filter.unknown()]


def _with_bytes(condition: Condition) -> Condition:
    """Sizes may be written with a unit, as in a query."""
    if condition.column != "size":
        return condition
    sizes = [number_of(one, with_unit=True) for one in condition.written]
    values = tuple(
        value if size is None else size for value, size in zip(condition.values, sizes, strict=True)
    )
    return replace(condition, values=values)


def in_order(found: Sequence[Ranked], order: Order) -> list[Ranked]:
    """Equal ones are in the order of their names, then of the registries. What lacks the value comes last."""
    by_name = sorted(found, key=lambda one: (one.row.name, one.registry))
    if order.field == "name":
        return by_name[::-1] if order.is_descending else by_name
    if order.field == "best":
        return sorted(by_name, key=lambda one: (-one.score, -one.row.modified))
    if not order.is_metadata:
        sign = -1 if order.is_descending else 1
        return sorted(by_name, key=lambda one: sign * int(getattr(one.row, order.field)))
    kinds: dict[int, list[Ranked]] = {}
    for one in by_name:
        kinds.setdefault(_rank(one.value), []).append(one)
    ordered: list[Ranked] = []
    for rank in sorted(kinds):
        some = kinds[rank]
        if rank == _NOTHING:
            ordered += some
        elif order.is_descending:
            ordered += sorted(some, key=lambda one: one.value, reverse=True)
        else:
            ordered += sorted(some, key=lambda one: one.value)
    return ordered


_NOTHING: Final = 3


def _rank(value: Any) -> int:
    if isinstance(value, bool):
        return 2
    return 0 if isinstance(value, int | float) else 1 if isinstance(value, str) else _NOTHING


def sort_value(told: Told, order: Order) -> Any:
    metadata = told[1]
    if not order.is_metadata or not metadata:
        return None
    found: Any = at_pointers(json.loads(metadata), [order.field]).get(order.field)
    values = cast("list[Any]", found) if isinstance(found, list) else [found]
    return values[0] if values else None


def hit(one: Ranked, shown: Shown, highlighter: Highlighter) -> Hit:
    matched, around = highlighter.of(one.row, shown)
    return Hit(
        str(PackageUri(one.registry, one.row.name, top_hash=one.row.top_hash)),
        one.row.size,
        moment_of(one.row.modified),
        matched,
        one.row.entries,
        shown.message,
        json.loads(shown.metadata) if shown.metadata else None,
        tuple(FoundFile(path, size) for path, size in shown.files),
        highlight=around,
        files_total=one.row.files,
    )


def own_facets(found: Sequence[Ranked]) -> list[Facet]:
    if not found:
        return []
    rows = [one.row for one in found]
    times = [one.modified for one in rows]
    sizes, entries = [one.size for one in rows], [one.entries for one in rows]
    workflows = sorted({one.workflow for one in rows if one.workflow})
    facets = [
        Facet("modified", "datetime", time_text(min(times)), time_text(max(times))),
        Facet("size", "number", min(sizes), max(sizes)),
        Facet("entries", "number", min(entries), max(entries)),
    ]
    return [*facets, *([Facet("workflow", "keyword", values=tuple(workflows))] if workflows else [])]


def metadata_facets(rows: Sequence[Any]) -> list[Facet]:
    """Of rows of ``search.packages.fields_of``, of several registries."""
    found: dict[tuple[str, str], list[Any]] = {}
    for pointer, kind, low, high, values, count, n in rows:
        kept = found.setdefault((pointer, kind), [low, high, {}, 0, 0])
        kept[0] = low if kept[0] is None else kept[0] if low is None else min(kept[0], low)
        kept[1] = high if kept[1] is None else kept[1] if high is None else max(kept[1], high)
        for one in values:
            kept[2][one["text"]] = kept[2].get(one["text"], 0) + one["n"]
        kept[3] = max(kept[3], count)
        kept[4] += n
    facets: list[tuple[int, Facet]] = []
    for (pointer, kind), (low, high, values, count, n) in found.items():
        if not pointer:
            continue
        if kind == "number":
            facet = Facet(pointer, "number", _tidy(low), _tidy(high))
        elif kind == "datetime":
            facet = Facet(pointer, "datetime", time_text(int(low)), time_text(int(high)))
        else:
            short = sorted(
                (one for one in values if 0 < len(one) <= 200), key=lambda one: (-values[one], one)
            )
            counts = tuple(values[one] for one in short)
            facet = Facet(
                pointer,
                _KINDS[kind],
                values=tuple(short),
                more_values=max(0, count - len(short)),
                counts=counts,
            )
        facets.append((n, facet))
    return [facet for _, facet in sorted(facets, key=lambda one: (-one[0], one[1].field))]


def _tidy(value: float | None) -> float | None:
    return int(value) if value is not None and value == int(value) and abs(value) < 1e15 else value


def moment_of(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def time_text(micros: int) -> str:
    return moment_of(micros).isoformat().replace("+00:00", "Z")
