"""search: packages and objects by what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.search import BEST, SCOPES, SORTS, Condition, FoundFile, Hit, Scope, SearchRequest
from quilt_mcp.domain.where import parse_where
from quilt_mcp.tools.arguments.addresses import registry_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import hash_text, present, time_text
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import CURSOR, DETAIL, NUMBER, TEXT, fields, limit, listed

FILES_TOLD = 3
"""Matching files that a package's row names."""
_MESSAGE = 80


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
        tuple(Condition(one.column, one.operator, one.values) for one in parse_where(where)) if where else (),
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
    message = hit.message if detail or hit.message is None else hit.message[:_MESSAGE]
    files = hit.files if detail else hit.files[:FILES_TOLD]
    return present(
        package=f"{package.name}@{hash_text(package.top_hash, detail)}" if package.top_hash else package.name,
        registry=package.registry if detail or package.registry != default else None,
        modified=time_text(hit.modified),
        entries=hit.entries,
        size=hit.size if detail else None,
        message=message,
        matched=list(hit.matched) or None,
        files=[_file(one) for one in files] or None,
        metadata=hit.metadata if detail else None,
    )


def _file(one: FoundFile) -> dict[str, Any]:
    return present(path=one.path, size=one.size, matched=list(one.matched) or None)


SEARCH = ToolSpec(
    name="search",
    title="Search",
    description="Finds packages, or objects of buckets, by words of names, messages, metadata, paths and contents. query is the "
    'stack\'s own language: words, "phrases", wild*cards, AND OR NOT, field:value; empty matches all. where narrows exactly: '
    "modified >= 2026-01-01 and name like 'lab/%' and /assay/lot = 'B33' (a JSON pointer is a field of metadata).",
    arguments={
        "query": {"type": "string", "description": "Words, or the stack's query language"},
        "scope": {"type": "string", "enum": list(SCOPES), "default": "packages"},
        "registries": {**listed(TEXT), "description": "Only these; default all in reach"},
        "where": {"type": "string", "description": "Comparisons joined by and"},
        "sort": {"type": "string", "enum": list(SORTS), "default": BEST},
        "all_revisions": {"type": "boolean", "default": False, "description": "Older ones too"},
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
                files=listed(fields(path=TEXT, size=NUMBER, matched=listed(TEXT))),
                metadata={},
            )
        )
    ),
    run=search,
    needs=("search",),
)
