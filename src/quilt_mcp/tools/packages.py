"""Reading packages: packages_list, package_browse, package_log, package_diff, package_verify."""

from __future__ import annotations

from dataclasses import replace

from quilt_mcp.tools.arguments.addresses import package_address, registry_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import (
    HASH,
    TOTALS,
    change_json,
    check_json,
    item_json,
    package_json,
    present,
    revision_json,
    time_text,
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


async def packages_list(
    call: Call,
    *,
    registry: str | None = None,
    prefix: str = "",
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    where = registry_address(call, registry)
    page = await call.ops.list_packages(where, prefix=prefix, limit=limit, cursor=cursor)
    return Answer(
        {"registry": where, "packages": [package_json(one, detail=detail) for one in page.items]},
        records=("packages",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


async def package_browse(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    path: str = "",
    recursive: bool = False,
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    address = package_address(call, package, registry, path)
    found = await call.ops.browse(address, recursive=recursive, limit=limit, cursor=cursor)
    is_told_whole = detail or (cursor is None and not found.path)
    workflow = found.workflow
    about = present(
        message=found.message,
        modified=time_text(found.modified),
        metadata=found.metadata,
        workflow=None if workflow is None else dict(workflow),
    )
    return Answer(
        present(
            top_hash=found.top_hash,
            verified="pending" if found.verified is None else found.verified,
            **about if is_told_whole else {},
            totals={"entries": found.totals.entries, "bytes": found.totals.bytes},
            path=found.path or None,
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
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    address = package_address(call, package, registry)
    page = await call.ops.log(address, limit=limit, cursor=cursor)
    return Answer(
        {"revisions": [revision_json(one, detail=detail) for one in page.items]},
        uri=str(replace(address, top_hash=None, tag=None, path=None)),
        records=("revisions",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


async def package_diff(
    call: Call,
    *,
    before: str,
    after: str,
    registry: str | None = None,
    path: str = "",
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    old = package_address(call, before, registry)
    new = package_address(call, after, registry, path)
    found = await call.ops.diff(old, new, limit=limit, cursor=cursor)
    totals = found.totals
    metadata, message = found.package_metadata, found.message
    changes = {
        name: [change_json(one, detail=detail) for one in found.changes if one.kind == kind]
        for name, kind in _CHANGES.items()
    }
    changes = {name: rows for name, rows in changes.items() if rows}
    return Answer(
        present(
            before=found.before,
            totals={
                "added": totals.added,
                "removed": totals.removed,
                "modified": totals.modified,
                "renamed": totals.renamed,
                "metadata": totals.metadata,
                "unchanged": totals.unchanged,
            },
            package_metadata=None if metadata is None else {"before": metadata[0], "after": metadata[1]},
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
    address = package_address(call, package, registry, path)
    found = await call.ops.verify(address, dest=dest, progress=call.progress)
    return Answer(
        {
            "ok": found.ok,
            "manifest_ok": found.manifest_ok,
            "checked": {"entries": found.checked.entries, "bytes": found.checked.bytes},
            "checks": dict(found.checks),
            "problem_count": found.problem_count,
            "problems": [check_json(one) for one in found.problems],
        },
        uri=found.uri,
        records=("problems",),
        paged=False,
        warnings=found.warnings,
    )


PACKAGES_LIST = ToolSpec(
    name="packages_list",
    title="List packages",
    description="Packages in a registry, by name.",
    arguments={
        "registry": REGISTRY,
        "prefix": {"type": "string", "description": "Only names that start so, as team/"},
        "detail": DETAIL,
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=(),
    data=fields(
        registry=TEXT,
        packages=listed(fields(name=TEXT, top_hash=TEXT, verified={}, modified=TEXT)),
    ),
    run=packages_list,
)
PACKAGE_BROWSE = ToolSpec(
    name="package_browse",
    title="Browse a package",
    description="A revision: metadata, message, workflow, totals, and a page of its files and folders.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "path": PATH,
        "recursive": {
            "type": "boolean",
            "default": False,
            "description": "All files below, instead of one level",
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
        entries=listed(
            fields(
                path=TEXT,
                type={"enum": ["file", "folder"]},
                size=NUMBER,
                entries=NUMBER,
                hash=HASH,
                metadata={},
                physical_key=TEXT,
                uri=TEXT,
            )
        ),
    ),
    run=package_browse,
)
PACKAGE_LOG = ToolSpec(
    name="package_log",
    title="History of a package",
    description="Revisions of a package, newest first.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "detail": DETAIL,
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=("package",),
    data=fields(
        revisions=listed(fields(top_hash=TEXT, verified={}, timestamp=TEXT, message=TEXT, tags=listed(TEXT))),
    ),
    run=package_log,
)
_PAIR = fields(before={}, after={})
PACKAGE_DIFF = ToolSpec(
    name="package_diff",
    title="Compare two revisions",
    description="What changed: lists added, removed, modified, renamed, metadata_changed, and package metadata.",
    arguments={
        "before": {**PACKAGE, "description": "Older revision, as ns/name@hash"},
        "after": {**PACKAGE, "description": "Newer revision, as ns/name (its latest)"},
        "registry": REGISTRY,
        "path": {"type": "string", "description": "Only below this folder"},
        "detail": DETAIL,
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=("before", "after"),
    data={
        "properties": {
            "before": TEXT,
            "totals": {"additionalProperties": NUMBER},
            "package_metadata": _PAIR,
            "message": _PAIR,
        },
        "additionalProperties": listed(
            fields(
                path=TEXT,
                old_path=TEXT,
                size=NUMBER,
                old_size=NUMBER,
                hash=HASH,
                old_hash=HASH,
                metadata={},
                old_metadata={},
            )
        ),
    },
    run=package_diff,
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
            "description": "Check the copy installed in this folder",
        },
    },
    required=("package",),
    data=fields(
        ok=SWITCH,
        manifest_ok=SWITCH,
        checked=TOTALS,
        checks={"type": "object"},
        problem_count=NUMBER,
        problems=listed(fields(path=TEXT, problem=TEXT, expected=TEXT, found=TEXT)),
    ),
    run=package_verify,
)
