"""search: packages and objects by what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.search.facet import ALL, Facet, Facets
from quilt_mcp.domain.search.request import (
    BEST,
    ENGINES,
    SCOPES,
    SYNTAXES,
    EngineName,
    FoundFile,
    Hit,
    Scope,
    SearchRequest,
    SyntaxName,
)
from quilt_mcp.domain.search.where import parse_where
from quilt_mcp.tools.arguments.addresses import registry_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer, json_text
from quilt_mcp.tools.results.shapes import hash_text, present, time_text
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import CURSOR, DETAIL, NUMBER, TEXT, fields, limit, listed

_PAGE_BYTES = 2_850
"""Of hits without detail, so that a page of 30 is read in 3 KB; fewer have more room each."""
_FULL_ROWS = 10
_MESSAGE = 12
"""The least of a message that is worth telling. Where no file is told, a long name does not push it out."""
_PATHS = 30
"""Letters of paths that a row tells, or its first path however long that is."""


async def search(
    call: Call,
    *,
    query: str = "",
    scope: str = "packages",
    registries: Sequence[str] = (),
    where: str = "",
    sort: str = BEST,
    all_revisions: bool = False,
    facets: Sequence[str] = (),
    engine: str = "auto",
    build: bool = False,
    syntax: str = "auto",
    detail: bool = False,
    limit: int = 30,
    cursor: str | None = None,
) -> Answer:
    searching = call.ops.search
    request = SearchRequest(
        query,
        cast("Scope", scope),
        tuple(registry_address(call, one) for one in registries),
        parse_where(where) if where else (),
        sort,
        all_revisions,
        tuple(facets),
        cast("EngineName", engine),
        build,
        cast("SyntaxName", syntax),
        detail,
    )
    page = await searching.search(request, limit=limit, cursor=cursor, progress=call.progress)
    dated = all_revisions or "modified" in sort or any(one.column == "modified" for one in request.conditions)
    room = _PAGE_BYTES // max(len(page.items), _FULL_ROWS)
    default, by = call.ops.default_registry, sort.lstrip("-") if sort.lstrip("-").startswith("/") else None
    rows = [_row(one, detail, dated, default, by, room) for one in page.items]
    return Answer(
        {**_facets(page.facets), "hits": rows},
        records=("hits",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


def _row(
    hit: Hit, detail: bool, dated: bool, default: str, sorted_by: str | None, room: int
) -> dict[str, Any]:
    if not hit.uri.startswith("quilt+"):
        return present(
            uri=hit.uri,
            size=hit.size,
            modified=time_text(hit.modified),
            deleted=True if hit.is_deleted else None,
        )
    package = PackageUri.parse(hit.uri)
    name = f"{package.name}@{hash_text(package.top_hash, detail)}"
    where = package.registry if detail or package.registry != default else None
    if package.path is not None:
        return present(
            file=f"{name}/{package.path}",
            registry=where,
            size=hit.size,
            modified=time_text(hit.modified)
            if detail
            else hit.modified.date().isoformat()
            if dated and hit.modified
            else None,
            metadata=hit.metadata if detail else None,
            hash=hit.hash if detail else None,
            physical_key=hit.physical_key if detail else None,
        )
    if not detail:
        return _lean(hit, name, where, dated, sorted_by, room)
    return present(
        package=name,
        registry=where,
        modified=time_text(hit.modified),
        entries=hit.entries,
        size=hit.size,
        message=hit.message,
        matched=list(hit.matched) or None,
        match=hit.highlight,
        files=[_file(one) for one in hit.files] or None,
        more_files=_more(hit, len(hit.files)),
        metadata=hit.metadata,
    )


def _lean(
    hit: Hit, name: str, registry: str | None, dated: bool, sorted_by: str | None, most: int
) -> dict[str, Any]:
    """What tells one hit from another: its files that matched, the beginning of its message in the room that is left, its day
    where days are asked about, and what it is sorted by."""
    paths = [one.path for one in hit.files[:2]]
    if sum(map(len, paths)) > _PATHS:
        paths = paths[:1]
    row = present(
        package=name,
        registry=registry,
        modified=hit.modified.date().isoformat() if dated and hit.modified else None,
        files=paths or None,
        more_files=_more(hit, len(paths)),
        metadata=at_pointers(hit.metadata, [sorted_by]) or None if sorted_by else None,
        match=hit.highlight,
    )
    room = most - len(json_text({**row, "message": ""}))
    if hit.message and (room >= _MESSAGE or not paths):
        row["message"] = _cut(hit.message, max(_MESSAGE, room))
    return row


def _more(hit: Hit, told: int) -> int | None:
    return (hit.files_total or len(hit.files)) - told or None


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def _facets(found: Facets | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"facets": [_facet(one) for one in found.items]} | present(
        facets_cut=True if found.is_cut else None
    )


def _facet(one: Facet) -> dict[str, Any]:
    return present(
        field=one.field,
        type=one.kind,
        min=one.low,
        max=one.high,
        values=list(one.values) or None,
        more_values=one.more_values or None,
        counts=list(one.counts) or None,
    )


def _file(one: FoundFile) -> dict[str, Any]:
    return present(path=one.path, size=one.size, matched=list(one.matched) or None)


SEARCH = ToolSpec(
    name="search",
    title="Search",
    description='Finds packages, their files (scope=entries) or objects. query: words (all of them), "phrases", wild*cards, OR, '
    "NOT, ext:csv, file_size:>1MB, meta./assay/lot:B33; empty: all; see quilt://search-syntax. where compares exactly: "
    "modified >= 2026-01-01 and /assay/lot = 'B33'.",
    arguments={
        "query": {"type": "string", "description": "Words"},
        "scope": {"type": "string", "enum": list(SCOPES), "default": "packages", "description": "Of what"},
        "registries": {**listed(TEXT), "description": "Default: all"},
        "where": {"type": "string", "description": "Comparisons"},
        "sort": {
            "type": "string",
            "default": BEST,
            "description": "name, modified, size or /pointer; -: descending",
        },
        "all_revisions": {"type": "boolean", "default": False, "description": "Old ones too"},
        "facets": {**listed(TEXT), "description": f"To filter by: fields, pointers or {ALL}"},
        "engine": {"type": "string", "enum": list(ENGINES), "default": "auto", "description": "Whose"},
        "build": {"type": "boolean", "default": False, "description": "All of a large bucket"},
        "syntax": {
            "type": "string",
            "enum": list(SYNTAXES),
            "default": "auto",
            "description": "stack: unread",
        },
        "detail": {**DETAIL, "description": "All there is"},
        "limit": {**limit(30), "minimum": 0, "description": "0: total, facets"},
        "cursor": CURSOR,
    },
    required=(),
    data=fields(
        facets=listed(
            fields(
                field=TEXT,
                type=TEXT,
                min={},
                max={},
                values=listed(TEXT),
                more_values=NUMBER,
                counts=listed(NUMBER),
            )
        ),
        facets_cut={"type": "boolean"},
        hits=listed(
            fields(
                package=TEXT,
                file=TEXT,
                uri=TEXT,
                registry=TEXT,
                modified=TEXT,
                entries=NUMBER,
                size=NUMBER,
                message=TEXT,
                matched=listed(TEXT),
                match=TEXT,
                hash=TEXT,
                physical_key=TEXT,
                files=listed({}),
                more_files=NUMBER,
                deleted={"type": "boolean"},
                metadata={},
            )
        ),
    ),
    run=search,
)
