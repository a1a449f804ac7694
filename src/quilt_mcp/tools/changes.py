"""Writing packages: package_create, package_patch, package_copy, package_delete, package_install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from quilt_mcp.domain.address import parse_package, parse_registry
from quilt_mcp.domain.plan import (
    UNSET,
    Commit,
    CopyRequest,
    CreateRequest,
    PatchRequest,
    Plan,
    Rename,
    Unset,
)
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.content import FILES, SOURCES, Items, bare, files_of, sources_of
from quilt_mcp.tools.envelope import Answer
from quilt_mcp.tools.shapes import package_address, plan_json, present, revision_json
from quilt_mcp.tools.spec import (
    NUMBER,
    PACKAGE,
    REGISTRY,
    SWITCH,
    TEXT,
    Call,
    Schema,
    ToolSpec,
    fields,
    listed,
)


async def package_create(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    sources: Items = (),
    files: Items = (),
    metadata: Any = UNSET,
    message: str | None = None,
    workflow: str | Unset | None = UNSET,
    overwrite: bool = False,
    copy: bool = True,
    dry_run: bool = False,
) -> Answer:
    request = CreateRequest(
        package=package_address(call, package, registry),
        sources=sources_of(sources),
        files=files_of(files),
        metadata=metadata,
        message=message,
        workflow=workflow,
        overwrite=overwrite,
        copy=copy,
    )
    if dry_run:
        return _planned(await call.ops.plan_create(request))
    return _committed(await call.ops.create(request, call.progress))


async def package_patch(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    expected_top_hash: str | None = None,
    add: Items = (),
    files: Items = (),
    remove: Sequence[str] = (),
    rename: Items = (),
    metadata: Any = UNSET,
    metadata_mode: Literal["merge", "replace"] = "merge",
    entry_metadata: Mapping[str, Any] | None = None,
    message: str | None = None,
    workflow: str | Unset | None = UNSET,
    merge: bool = False,
    copy: bool = True,
    dry_run: bool = False,
) -> Answer:
    request = PatchRequest(
        package=package_address(call, package, registry),
        expected_top_hash=expected_top_hash,
        add=sources_of(add),
        files=files_of(files),
        remove=tuple(remove),
        rename=tuple(Rename(one["from"], one["to"]) for one in rename),
        metadata=metadata,
        metadata_mode=metadata_mode,
        entry_metadata=dict(entry_metadata or {}),
        message=message,
        workflow=workflow,
        merge=merge,
        copy=copy,
    )
    if dry_run:
        return _planned(await call.ops.plan_patch(request))
    return _committed(await call.ops.patch(request, call.progress))


async def package_copy(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    to: str | None = None,
    to_registry: str | None = None,
    message: str | Unset | None = UNSET,
    workflow: str | Unset | None = UNSET,
    overwrite: bool = False,
    copy: bool = True,
    dry_run: bool = False,
) -> Answer:
    source = package_address(call, package, registry)
    where = source.registry if to_registry is None else parse_registry(to_registry.strip())
    target = parse_package((to or source.name).strip(), where)
    if to_registry is not None and target.registry != where:
        raise InvalidArgument(
            f"The URI in to is in {target.registry}, but to_registry says {where}.",
            next_step="Leave to_registry out.",
        )
    if target.top_hash or target.tag or target.path:
        raise InvalidArgument(
            f"The argument to names a revision or a path: {to!r}.",
            next_step="Give to as ns/name; copying makes the revision.",
        )
    request = CopyRequest(
        source=source,
        destination=replace(target, catalog=None),
        message=message,
        overwrite=overwrite,
        copy=copy,
        workflow=workflow,
    )
    if dry_run:
        return _planned(await call.ops.plan_copy(request))
    return _committed(await call.ops.copy(request, call.progress))


async def package_delete(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    all: bool = False,
    dry_run: bool = False,
) -> Answer:
    address = package_address(call, package, registry)
    outcome = await call.ops.delete(address, whole=all, dry_run=dry_run)
    return Answer(
        {
            "name": address.name,
            "registry": address.registry,
            "done": outcome.done,
            "latest": outcome.latest,
            "revisions_total": outcome.revisions_total,
            "revisions": [revision_json(one) for one in outcome.revisions],
        },
        uri=str(outcome.package),
        records=("revisions",),
        paged=False,
        warnings=outcome.warnings,
    )


async def package_install(
    call: Call,
    *,
    package: str,
    dest: str,
    registry: str | None = None,
    path: str = "",
    overwrite: bool = False,
    dry_run: bool = False,
) -> Answer:
    address = package_address(call, package, registry, path)
    outcome = await call.ops.install(
        address, dest, overwrite=overwrite, dry_run=dry_run, progress=call.progress
    )
    return Answer(
        {
            "dest": outcome.dest,
            "done": outcome.done,
            "installed": outcome.installed,
            "unchanged": outcome.unchanged,
            "bytes_copied": outcome.bytes_copied,
        },
        uri=outcome.uri,
        warnings=outcome.warnings,
    )


def _planned(plan: Plan) -> Answer:
    return Answer(
        {"done": False, **plan_json(plan)},
        uri=str(plan.package),
        records=("changes",),
        paged=False,
        warnings=plan.warnings,
    )


def _committed(commit: Commit) -> Answer:
    facts = present(
        done=True,
        top_hash=commit.top_hash,
        created=commit.created,
        bytes_copied=commit.bytes_copied,
        merged_onto=commit.merged_onto,
    )
    warnings = tuple(dict.fromkeys((*commit.plan.warnings, *commit.warnings)))
    return Answer(
        {**facts, **plan_json(commit.plan)},
        uri=commit.uri,
        records=("changes",),
        paged=False,
        warnings=warnings,
    )


_METADATA: Schema = {"type": ["object", "null"], "description": "Metadata of the package"}
_MESSAGE: Schema = {"type": "string", "description": "For the log"}
_WORKFLOW: Schema = {
    "type": ["string", "null"],
    "description": "Default: the registry's; null: none",
}
_DRY_RUN: Schema = {"type": "boolean", "default": False, "description": "Only plan"}
_COPY: Schema = {
    "type": "boolean",
    "default": True,
    "description": "false: refer to the bytes in place",
}
_OUTCOME: Schema = fields(
    done=SWITCH,
    top_hash=TEXT,
    created=SWITCH,
    parent=TEXT,
    added=NUMBER,
    replaced=NUMBER,
    removed=NUMBER,
    renamed=NUMBER,
    kept=NUMBER,
    changes_total=NUMBER,
    changes=listed(fields(path=TEXT, action=TEXT, size=NUMBER)),
)

PACKAGE_CREATE = ToolSpec(
    name="package_create",
    title="Create a package",
    description="A new package from files, folders, objects, other packages or inline content.",
    arguments={
        "package": {"type": "string", "description": "ns/name"},
        "registry": REGISTRY,
        "sources": SOURCES,
        "files": FILES,
        "metadata": _METADATA,
        "message": _MESSAGE,
        "workflow": _WORKFLOW,
        "overwrite": {
            "type": "boolean",
            "default": False,
            "description": "Replace all of an existing package by a new revision",
        },
        "copy": _COPY,
        "dry_run": _DRY_RUN,
    },
    required=("package",),
    data=_OUTCOME,
    run=package_create,
    writes=True,
)
PACKAGE_PATCH = ToolSpec(
    name="package_patch",
    title="Change a package",
    description="A new revision that adds, replaces, removes or renames files or sets metadata; the rest stays. "
    "Order: remove, rename, add.",
    arguments={
        "package": {"type": "string", "description": "ns/name"},
        "registry": REGISTRY,
        "expected_top_hash": {
            "type": "string",
            "description": "Fail if the latest is not this any more",
        },
        "add": bare(SOURCES, "Like sources of package_create"),
        "files": bare(FILES, "Like files of package_create"),
        "remove": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Files, or folders ending in /",
        },
        "rename": {
            "type": "array",
            "description": "Files, or folders ending in /",
            "items": {
                "type": "object",
                "properties": {
                    "from": {"type": "string", "description": "Old path"},
                    "to": {"type": "string", "description": "New path"},
                },
                "required": ["from", "to"],
                "additionalProperties": False,
            },
        },
        "metadata": _METADATA,
        "metadata_mode": {
            "type": "string",
            "enum": ["merge", "replace"],
            "default": "merge",
            "description": "merge: keys given are set, null removes; replace: all of it",
        },
        "entry_metadata": {
            "type": "object",
            "description": 'Metadata of files that stay, as {"data/a.csv": {"unit": "kg"}}; null removes',
        },
        "message": _MESSAGE,
        "workflow": _WORKFLOW,
        "merge": {
            "type": "boolean",
            "default": False,
            "description": "If not, redo changes that do not overlap",
        },
        "copy": _COPY,
        "dry_run": _DRY_RUN,
    },
    required=("package",),
    data=_OUTCOME,
    run=package_patch,
    writes=True,
)
PACKAGE_COPY = ToolSpec(
    name="package_copy",
    title="Copy a package",
    description="A revision to another name or registry. Onto its own name: makes that revision the latest again.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "to": {"type": "string", "description": "ns/name; default: the same"},
        "to_registry": {"type": "string", "description": "Registry to copy to; default: the same"},
        "message": {"type": "string", "description": "Default: the source's"},
        "workflow": _WORKFLOW,
        "overwrite": {
            "type": "boolean",
            "default": False,
            "description": "Let an existing package get it as a revision",
        },
        "copy": _COPY,
        "dry_run": _DRY_RUN,
    },
    required=("package",),
    data=_OUTCOME,
    run=package_copy,
    writes=True,
)
PACKAGE_DELETE = ToolSpec(
    name="package_delete",
    title="Delete revisions",
    description="With @hash or :tag the revision, with all the package",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "all": {"type": "boolean", "default": False, "description": "All of it"},
        "dry_run": _DRY_RUN,
    },
    required=("package",),
    data=fields(
        name=TEXT,
        registry=TEXT,
        done=SWITCH,
        latest={"type": ["string", "null"]},
        revisions_total=NUMBER,
        revisions={"type": "array"},
    ),
    run=package_delete,
    writes=True,
    destructive=True,
)
PACKAGE_INSTALL = ToolSpec(
    name="package_install",
    title="Install a package",
    description="Downloads a revision, or a folder or file of it, and verifies every byte. Run again to resume.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "dest": {"type": "string", "description": "Local folder"},
        "path": {"type": "string", "description": "Only this folder or file"},
        "overwrite": {"type": "boolean", "default": False, "description": "Replace files that differ"},
        "dry_run": _DRY_RUN,
    },
    required=("package", "dest"),
    data=fields(dest=TEXT, done=SWITCH, installed=NUMBER, unchanged=NUMBER, bytes_copied=NUMBER),
    run=package_install,
    writes=True,
    destructive=True,
)
