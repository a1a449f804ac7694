"""search: packages and objects by what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.search.request import BEST, SCOPES, SORTS, FoundFile, Hit, Scope, SearchRequest
from quilt_mcp.domain.search.where import parse_where
from quilt_mcp.tools.arguments.addresses import registry_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import hash_text, present, time_text
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import CURSOR, DETAIL, NUMBER, TEXT, fields, limit, listed

FILES_TOLD = 2
"""Matching files that a package's row names."""
_MESSAGE = 30


async def search(
    call: Call,
    *,
    query: str = "",
    scope: str = "packages",
    registries: Sequence[str] = (),
    where: str = "",
    sort: str = BEST,
    all_revisions: bool = False,
    detail: bool = False,
    limit: int = 30,
    cursor: str | None = None,
) -> Answer:
    searching = call.ops.search
    assert searching is not None, "the tool is called where there is this ability"
    request = SearchRequest(
        query,
        cast("Scope", scope),
        tuple(registry_address(call, one) for one in registries),
        parse_where(where) if where else (),
        sort,
        all_revisions,
    )
    page = await searching.search(request, limit=limit, cursor=cursor)
    rows = [_row(one, detail, call.ops.default_registry) for one in page.items]
    return Answer(
        {"hits": rows},
        records=("hits",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


def _row(hit: Hit, detail: bool, default: str) -> dict[str, Any]:
    if not hit.uri.startswith("quilt+"):
        return present(uri=hit.uri, size=hit.size, modified=time_text(hit.modified))
    package = PackageUri.parse(hit.uri)
    name = f"{package.name}@{hash_text(package.top_hash, detail)}"
    where = package.registry if detail or package.registry != default else None
    if not detail:
        # The day and the message's beginning: what tells one hit from another. A page of 30 is read in 3 KB.
        return present(
            package=name,
            registry=where,
            modified=None if hit.modified is None else hit.modified.date().isoformat(),
            message=None if hit.message is None else hit.message[:_MESSAGE],
            files=[one.path for one in hit.files[:FILES_TOLD]] or None,
        )
    return present(
        package=name,
        registry=where,
        modified=time_text(hit.modified),
        entries=hit.entries,
        size=hit.size,
        message=hit.message,
        matched=list(hit.matched) or None,
        files=[_file(one) for one in hit.files] or None,
        metadata=hit.metadata,
    )


def _file(one: FoundFile) -> dict[str, Any]:
    return present(path=one.path, size=one.size, matched=list(one.matched) or None)


SEARCH = ToolSpec(
    name="search",
    title="Search",
    description="Finds packages or objects by words of names, messages, metadata, paths, contents. query is the "
    'stack\'s language: words, "phrases", wild*cards, AND OR NOT, field:value; empty matches all. where narrows exactly: '
    "modified >= 2026-01-01 and name like 'lab/%' and /assay/lot = 'B33' (a JSON pointer is a field of metadata).",
    arguments={
        "query": {"type": "string", "description": "Words, or more"},
        "scope": {
            "type": "string",
            "enum": list(SCOPES),
            "default": "packages",
            "description": "What to find",
        },
        "registries": {**listed(TEXT), "description": "Default: all in reach"},
        "where": {"type": "string", "description": "Comparisons"},
        "sort": {"type": "string", "enum": list(SORTS), "default": BEST, "description": "Order"},
        "all_revisions": {"type": "boolean", "default": False, "description": "Old ones too"},
        "detail": DETAIL,
        "limit": limit(30),
        "cursor": CURSOR,
    },
    required=(),
    data=fields(
        hits=listed(
            fields(
                package=TEXT,
                uri=TEXT,
                registry=TEXT,
                modified=TEXT,
                entries=NUMBER,
                size=NUMBER,
                message=TEXT,
                matched=listed(TEXT),
                files=listed({}),
                metadata={},
            )
        )
    ),
    run=search,
    needs=("search",),
)
