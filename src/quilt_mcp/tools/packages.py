"""Reading packages: packages_list, package_browse, package_log, package_diff, package_verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from quilt_mcp.domain.search.where import parse_where
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.arguments.addresses import compared_addresses, package_address, registry_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import DATA, Answer
from quilt_mcp.tools.results.shapes import (
    FIELDS,
    HASH,
    TABLES,
    TOTALS,
    change_json,
    check_json,
    damage,
    extensions_json,
    fields_json,
    hash_text,
    item_json,
    package_json,
    present,
    revision_json,
    time_text,
    totals_json,
    verdict,
)
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import (
    CURSOR,
    DETAIL,
    NUMBER,
    PACKAGE,
    REGISTRY,
    SWITCH,
    TEXT,
    VIEW,
    fields,
    limit,
    listed,
)

_CHANGES = {
    "added": "added",
    "removed": "removed",
    "modified": "modified",
    "renamed": "renamed",
    "metadata_changed": "metadata",
}
PATH = {"type": "string", "description": "Folder or file in the package"}
MOST_PROBLEMS = 50
"""Problems that a verification lists; ``problem_count`` counts all."""


async def packages_list(
    call: Call,
    *,
    registry: str | None = None,
    match: str = "",
    where: str = "",
    prefix: str = "",
    sort: str = "name",
    metadata: Sequence[str] = (),
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    url = registry_address(call, registry)
    page = await call.ops.list_packages(
        url,
        prefix=prefix,
        match=match,
        where=parse_where(where) if where else (),
        sort=sort,
        metadata=True if "" in metadata else tuple(metadata) or False,
        detail=detail,
        limit=limit,
        cursor=cursor,
    )
    return Answer(
        {"registry": url, "packages": [package_json(one, detail=detail) for one in page.items]},
        records=("packages",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=(*page.warnings, *damage((one.name, one.top_hash, one.verified) for one in page.items)),
    )


async def package_browse(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    path: str = "",
    match: str = "",
    recursive: bool = False,
    depth: int | None = None,
    sort: str = "path",
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    address = await package_address(call, package, registry, path)
    is_front = cursor is None and address.path is None
    is_plain = not match and not recursive and depth is None
    found = await call.ops.browse(
        address,
        recursive=recursive,
        depth=depth,
        match=match,
        sort=sort,
        with_extensions=not match and cursor is None,
        with_readme=is_front and is_plain,
        limit=limit,
        cursor=cursor,
    )
    workflow, readme = found.workflow, found.readme
    about = present(
        message=found.message,
        modified=time_text(found.modified),
        metadata=found.metadata,
        workflow=None if workflow is None else dict(workflow),
    )
    return Answer(
        present(
            top_hash=found.top_hash,
            verified=verdict(found.verified),
            **about if is_front or detail else {},
            totals=totals_json(found.totals),
            path=found.path or None,
            shown=None if found.shown == found.totals else totals_json(found.shown),
            extensions=extensions_json(found.extensions),
            note=DATA if readme is not None or found.summary is not None else None,
            readme=None if readme is None else readme.text,
            readme_size=None if readme is None or readme.is_whole else readme.size,
            quilt_summarize=found.summary,
            entries=[item_json(one, detail=detail) for one in found.page.items],
        ),
        uri=found.uri,
        records=("entries",),
        next_cursor=found.page.next_cursor,
        total=found.page.total,
        warnings=found.page.warnings,
    )


async def package_log(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    path: str = "",
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    address = await package_address(call, package, registry, path)
    path = address.path or ""
    page = await call.ops.log(address, counts=detail, limit=limit, cursor=cursor)
    return Answer(
        present(
            latest=hash_text(page.latest, detail),
            revisions=[revision_json(one, path.strip("/"), detail=detail) for one in page.items],
        ),
        uri=str(replace(address, top_hash=None, tag=None)),
        records=("revisions",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=(*page.warnings, *damage((address.name, one.top_hash, one.verified) for one in page.items)),
    )


async def package_diff(
    call: Call,
    *,
    before: str,
    after: str,
    registry: str | None = None,
    path: str = "",
    content: bool = False,
    keys: Sequence[str] = (),
    tolerance: str = "",
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    old, new = await compared_addresses(call, before, after, registry, path)
    if content:
        from quilt_mcp.tools.results.tables import table_diffs  # what it imports takes a while

        return await table_diffs(call, old, new, keys=keys, tolerance=tolerance, limit=limit, cursor=cursor)
    if keys or tolerance:
        raise InvalidArgument(
            "keys and tolerance are about rows of tables, which are compared with content=true.",
            next_step="Add content=true, or leave them out.",
        )
    found = await call.ops.diff(old, new, limit=limit, cursor=cursor)
    changes = {
        name: [change_json(one, detail=detail) for one in found.changes if one.kind == kind]
        for name, kind in _CHANGES.items()
    }
    changes = {name: rows for name, rows in changes.items() if rows}
    message = found.message
    return Answer(
        present(
            before=found.before,
            totals=asdict(found.totals),
            package_metadata=fields_json(found.fields) or None,
            message=None if message is None else {"before": message[0], "after": message[1]},
            **changes,
        ),
        uri=found.after,
        records=tuple(changes),
        next_cursor=found.next_cursor,
        warnings=found.warnings,
    )


async def package_verify(
    call: Call, *, package: str, registry: str | None = None, path: str = "", dest: str | None = None
) -> Answer:
    address = await package_address(call, package, registry, path)
    found = await call.ops.verify(address, dest=dest, progress=call.progress)
    more = found.problem_count - MOST_PROBLEMS
    cut = (
        (f"cut: {more} more problems are counted and not listed; path checks a folder alone.",)
        if more > 0
        else ()
    )
    return Answer(
        present(
            dest=found.dest,
            ok=found.ok,
            manifest_ok=found.manifest_ok,
            checked={"entries": found.checked.entries, "bytes": found.checked.bytes},
            checks=dict(found.checks),
            problem_count=found.problem_count,
            problems=[check_json(one) for one in found.problems[:MOST_PROBLEMS]],
        ),
        uri=found.uri,
        records=("problems",),
        paged=False,
        warnings=(*found.warnings, *cut),
    )


PACKAGES_LIST = ToolSpec(
    name="packages_list",
    title="List packages",
    description="Packages of a registry.",
    arguments={
        "registry": REGISTRY,
        "match": {
            "type": "string",
            "description": "Words all in the name, or a glob: rna seq, lab/*-2026",
        },
        "where": {
            "type": "string",
            "description": "By metadata: instrument = 'MiSeq' and /run/year >= 2024; own name (field: /name), modified, message",
        },
        "prefix": {"type": "string", "description": "Names that start so: team/"},
        "sort": {"type": "string", "enum": ["name", "-modified"], "default": "name", "description": "Order"},
        "metadata": {
            "type": "array",
            "items": {"type": "string"},
            "description": 'Fields of metadata to show: ["instrument", "/source/year"]; [""]: all',
        },
        "detail": {**DETAIL, "description": "With message, files and bytes"},
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=(),
    data=fields(
        registry=TEXT,
        packages=listed(
            fields(
                name=TEXT,
                top_hash=TEXT,
                verified={},
                modified=TEXT,
                message=TEXT,
                entries=NUMBER,
                size=NUMBER,
                metadata={},
            )
        ),
    ),
    run=packages_list,
)
PACKAGE_BROWSE = ToolSpec(
    name="package_browse",
    title="Browse a package",
    description="A revision's metadata, message, workflow, totals, README, counts by extension, and a page of files and folders "
    "(paths ending in /) with sums of what lies below.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "path": PATH,
        "match": {
            "type": "string",
            "description": "Only files that fit, at any depth: *.csv by name, data/**/*.csv by whole path",
        },
        "recursive": {"type": "boolean", "default": False, "description": "All files below, not one level"},
        "depth": {"type": "integer", "minimum": 1, "description": "So many levels"},
        "sort": {
            "type": "string",
            "enum": ["path", "size", "-size"],
            "default": "path",
            "description": "-size: largest first",
        },
        "detail": DETAIL,
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=("package",),
    data=fields(
        top_hash=TEXT,
        verified={},
        message=TEXT,
        modified=TEXT,
        metadata={},
        workflow={},
        totals=TOTALS,
        path=TEXT,
        shown=TOTALS,
        extensions={"type": "object"},
        note=TEXT,
        readme=TEXT,
        readme_size=NUMBER,
        quilt_summarize={},
        entries=listed(
            fields(
                path=TEXT,
                size=NUMBER,
                entries=NUMBER,
                metadata={},
                type={"enum": ["file", "folder"]},
                hash=HASH,
                physical_key=TEXT,
                uri=TEXT,
            )
        ),
    ),
    run=package_browse,
    view=VIEW,
)
PACKAGE_LOG = ToolSpec(
    name="package_log",
    title="History of a package",
    description="Revisions, newest first; with path only those that changed that file or folder, and how; a file is followed "
    "through renames to free paths. Each is compared with the one before it in time, past rollbacks too.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "path": PATH,
        "detail": {**DETAIL, "description": "With counts of changes and full hashes"},
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=("package",),
    data=fields(
        latest=TEXT,
        revisions=listed(
            fields(
                top_hash=TEXT,
                latest=SWITCH,
                verified={},
                timestamp=TEXT,
                message=TEXT,
                change=fields(action=TEXT, path=TEXT, old_path=TEXT, size=NUMBER, old_size=NUMBER),
                counts={"additionalProperties": NUMBER},
            )
        ),
    ),
    run=package_log,
    view=VIEW,
)
PACKAGE_DIFF = ToolSpec(
    name="package_diff",
    title="Compare two revisions",
    description="What changed between two revisions, of one package or two: totals, files added, removed, modified, renamed, "
    "metadata_changed, fields of metadata.",
    arguments={
        "before": {**PACKAGE, "description": "Older revision, as ns/name@hash"},
        "after": {**PACKAGE, "description": "Newer revision, as ns/name (its latest)"},
        "registry": REGISTRY,
        "path": {"type": "string", "description": "Only this folder or file"},
        "content": {"type": "boolean", "default": False, "description": "Changed tables, by cell"},
        "keys": {**listed(TEXT), "description": "Columns that match rows; else found"},
        "tolerance": {"type": "string", "description": "How far equal numbers may differ: 0.01, or 1%"},
        "detail": DETAIL,
        "limit": {**limit(), "minimum": 0, "description": "Page size; 0: totals alone"},
        "cursor": CURSOR,
    },
    required=("before", "after"),
    data={
        "properties": {
            "before": TEXT,
            "totals": {"additionalProperties": NUMBER},
            "package_metadata": FIELDS,
            "message": fields(before={}, after={}),
            "tables": TABLES,
        },
        "additionalProperties": listed(
            fields(
                path=TEXT,
                old_path=TEXT,
                size=NUMBER,
                old_size=NUMBER,
                fields=FIELDS,
                hash=HASH,
                old_hash=HASH,
                metadata={},
                old_metadata={},
            )
        ),
    },
    run=package_diff,
    view=VIEW,
)
PACKAGE_VERIFY = ToolSpec(
    name="package_verify",
    title="Verify a package",
    description="Reads every byte of a revision and compares sizes and hashes with its manifest.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "path": PATH,
        "dest": {
            "type": "string",
            "description": "Check the copy in this folder; with path, this file",
        },
    },
    required=("package",),
    data=fields(
        dest=TEXT,
        ok=SWITCH,
        manifest_ok=SWITCH,
        checked=TOTALS,
        checks={"type": "object"},
        problem_count=NUMBER,
        problems=listed(fields(path=TEXT, problem=TEXT, expected=TEXT, found=TEXT)),
    ),
    run=package_verify,
)
