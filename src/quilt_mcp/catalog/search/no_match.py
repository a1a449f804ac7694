"""What helps whoever found nothing: where was searched, and which condition leaves what out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from quilt_mcp.catalog.search.predicates import field_of, kind_of
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.printable import counted, one_line
from quilt_mcp.domain.search.facet import Facet, Facets
from quilt_mcp.domain.search.request import SearchRequest
from quilt_mcp.domain.search.where import Condition

_FIXES: Final = {
    "number": " Write the value without quotes.",
    "keyword": " Write the value in single quotes.",
}
_FEW: Final = 5
_SHORT: Final = 60


def searched(request: SearchRequest, named: Collection[str] | None, shown: Sequence[str] | None) -> str:
    """``named``: the buckets that were asked for, None: all. ``shown``: those that the stack shows the user, None: not told."""
    if named is None:
        places = (
            f"the {counted(len(shown), 'bucket')} that the stack shows you ({_few(shown)})"
            if shown
            else "any bucket that the stack shows you"
        )
        return f"no_match: nothing in {places} matches.{_wider(request)}"
    said = f"no_match: nothing in {_few(sorted(named))} matches."
    hidden = [] if shown is None else sorted(set(named) - set(shown))
    if not hidden:
        return said + _wider(request)
    near = [one for name in hidden for one in suggest(name, shown or ())][:_FEW]
    close = f" Close to it: {_few(near)}." if near else ""
    return f"{said} The stack does not show {_few(hidden)} to your role.{close}"


def left_out(request: SearchRequest, total: int | None, facets: Facets) -> list[str]:
    """What the conditions of ``where`` keep from being found: ``total`` is found without them."""
    if total == 0:
        return (
            ["no_match: without where nothing matches either: the words of query are too narrow."]
            if request.text
            else []
        )
    whole = "more" if total is None else counted(total, request.scope.removesuffix("s"))
    said = [f"no_match: without where {whole} would match."]
    for one in request.conditions:
        fault = _of_metadata(one, facets) if one.column.startswith("/") else _of_field(one, request, facets)
        if fault is not None:
            said.append(f"no_match: {fault}")
    return said


def _of_metadata(condition: Condition, facets: Facets) -> str | None:
    pointer = condition.column
    there = [one for one in facets.items if one.field == pointer]
    if not there:
        known = [one.field for one in facets.items if one.field.startswith("/")]
        near = suggest(pointer, known)
        close = f" Close to it: {', '.join(map(_cut, near))}." if near else ""
        return None if facets.is_cut and not near else f"none of them has {_cut(pointer)}.{close}"
    right = next((one for one in there if one.kind == kind_of(condition)), None)
    if right is not None:
        return _values(condition, right)
    kinds = " or ".join(one.kind for one in there)
    fix = _FIXES.get(kinds, "")
    return f"{_cut(pointer)} is of type {kinds} there, and is compared as {kind_of(condition)}.{fix}"


def _of_field(condition: Condition, request: SearchRequest, facets: Facets) -> str | None:
    name = field_of(condition.column, request.scope)
    found = next((one for one in facets.items if one.field == name), None)
    return None if found is None else _values(condition, found)


def _values(condition: Condition, facet: Facet) -> str | None:
    if facet.low is not None:
        return f"{_cut(condition.column)} goes from {facet.low} to {facet.high} there."
    if not facet.values:
        return None
    wanted = condition.written[0] if condition.written else ""
    near = suggest(wanted.strip("%*"), facet.values, _FEW) or facet.values[:_FEW]
    more = len(facet.values) + facet.more_values - len(near)
    return f"{_cut(condition.column)} is there {', '.join(map(_cut, near))}{f' and {more:,} more' if more > 0 else ''}."


def _wider(request: SearchRequest) -> str:
    if request.conditions:
        return ""
    tries = ["fewer words, or word* for what begins so"] if request.text else []
    if request.scope == "packages":
        tries += ["scope=objects for files outside packages"]
        tries += [] if request.all_revisions else ["all_revisions=true"]
    return f" Try {'; '.join(tries)}." if tries and request.text else ""


def _few(names: Sequence[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(f"s3://{_cut(one)}" for one in names[:_FEW]) + (
        f" and {more:,} more" if more > 0 else ""
    )


def _cut(text: str) -> str:
    return one_line(text[:_SHORT])
