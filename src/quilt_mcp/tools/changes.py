"""Writing packages: package_create, package_patch, package_copy, package_delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from quilt_mcp import __version__
from quilt_mcp.domain.address import parse_package
from quilt_mcp.domain.plan import (
    NO_WORKFLOW,
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
from quilt_mcp.tools.arguments.addresses import guard_hash, package_address, registry_address, written_address
from quilt_mcp.tools.arguments.content import FILES, SOURCES, Items, bare, files_of, sources_of
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import FIELDS, TOTALS, plan_json, present, revision_json
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import (
    DRY_RUN,
    NUMBER,
    PACKAGE,
    REGISTRY,
    SWITCH,
    TEXT,
    Schema,
    fields,
    listed,
)

MOST_PLANNED = 20
MOST_DONE = 10
"""Changes that a plan and a commit list; their total is told. package_diff of the revision lists them all."""


async def package_create(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    sources: Items = (),
    files: Items = (),
    metadata: Any = UNSET,
    message: str | None = None,
    workflow: str | Unset = UNSET,
    metadata_from: str | None = None,
    overwrite: bool = False,
    allow_empty: bool = False,
    copy: bool = True,
    agent_context: bool = False,
    dry_run: bool = False,
) -> Answer:
    request = CreateRequest(
        package=await written_address(call, package, registry),
        sources=await sources_of(call, sources),
        files=files_of(files),
        metadata=metadata,
        message=message,
        workflow=None if workflow == NO_WORKFLOW else workflow,
        overwrite=overwrite,
        copy=copy,
        allow_empty=allow_empty,
        metadata_from=metadata_from,
        agent_context=written_by(call, asked=agent_context),
    )
    if dry_run:
        return planned(await call.ops.plan_create(request))
    return committed(await call.ops.create(request, call.progress))


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
    workflow: str | Unset = UNSET,
    metadata_from: str | None = None,
    merge: bool = False,
    copy: bool = True,
    agent_context: bool = False,
    dry_run: bool = False,
) -> Answer:
    address = await written_address(call, package, registry)
    request = PatchRequest(
        package=address,
        expected_top_hash=guard_hash(expected_top_hash, address),
        add=await sources_of(call, add),
        files=files_of(files),
        remove=tuple(remove),
        rename=tuple(Rename(one["from"], one["to"]) for one in rename),
        metadata=metadata,
        metadata_mode=metadata_mode,
        entry_metadata=dict(entry_metadata or {}),
        message=message,
        workflow=None if workflow == NO_WORKFLOW else workflow,
        merge=merge,
        copy=copy,
        metadata_from=metadata_from,
        agent_context=written_by(call, asked=agent_context),
    )
    if dry_run:
        return planned(await call.ops.plan_patch(request))
    return committed(await call.ops.patch(request, call.progress))


async def package_copy(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    to: str | None = None,
    to_registry: str | None = None,
    message: str | Unset | None = UNSET,
    workflow: str | Unset = UNSET,
    overwrite: bool = False,
    copy: bool = True,
    dry_run: bool = False,
) -> Answer:
    read = package_address if to_registry is not None else written_address
    source = await read(call, package, registry)
    where = source.registry if to_registry is None else registry_address(call, to_registry)
    target = parse_package(source.name if to is None else to.strip(), where)
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
        workflow=None if workflow == NO_WORKFLOW else workflow,
    )
    if dry_run:
        return planned(await call.ops.plan_copy(request))
    return committed(await call.ops.copy(request, call.progress))


async def package_delete(
    call: Call,
    *,
    package: str,
    registry: str | None = None,
    all: bool = False,
    dry_run: bool = False,
) -> Answer:
    address = await written_address(call, package, registry)
    outcome = await call.ops.delete(address, whole=all, dry_run=dry_run)
    return Answer(
        {
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


def written_by(call: Call, *, asked: bool) -> dict[str, str] | None:
    """What quilt3 is about to note of the program that writes, where the call or the server's settings ask for it."""
    if not (asked or call.settings.agent_context):
        return None
    return {
        "version": __version__,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "client": "quilt-mcp",
        "principal": call.identity.principal,
        "authentication": call.identity.kind,
    }


def planned(plan: Plan) -> Answer:
    return Answer(
        present(done=False, top_hash=plan.top_hash) | plan_json(plan, MOST_PLANNED),
        uri=str(plan.package),
        records=("changes",),
        paged=False,
        warnings=plan.warnings,
    )


def committed(commit: Commit) -> Answer:
    facts = present(
        done=True,
        top_hash=commit.top_hash,
        created=commit.created,
        bytes_copied=commit.bytes_copied,
        merged_onto=commit.merged_onto,
    )
    warnings = tuple(dict.fromkeys((*commit.plan.warnings, *commit.warnings)))
    return Answer(
        {**facts, **plan_json(commit.plan, MOST_DONE)},
        uri=commit.uri,
        records=("changes",),
        paged=False,
        warnings=warnings,
    )


_METADATA: Schema = {"type": "object", "description": "Metadata of the package; kept where not given"}
_METADATA_FROM: Schema = {
    "type": "string",
    "description": "JSON or YAML file that holds it, by its path or address",
}
_AGENT_CONTEXT: Schema = {
    "type": "boolean",
    "default": False,
    "description": "Note in the metadata who wrote it",
}
_MESSAGE: Schema = {"type": "string", "description": "For the log"}
_WORKFLOW: Schema = {
    "type": "string",
    "description": f"Id from workflow_list. Default: the one it has, or the registry's; {NO_WORKFLOW} skips it",
}
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
    metadata=NUMBER,
    kept=NUMBER,
    totals=TOTALS,
    metadata_changed=SWITCH,
    package_metadata=FIELDS,
    package_metadata_total=NUMBER,
    bytes_to_copy=NUMBER,
    bytes_copied=NUMBER,
    merged_onto=TEXT,
    workflow={},
    faults=listed(
        fields(rule=TEXT, message=TEXT, pointer=TEXT, path=TEXT, schema=TEXT, schema_url=TEXT, keyword=TEXT)
    ),
    changed_meanwhile={},
    changes_total=NUMBER,
    changes=listed(
        fields(
            path=TEXT,
            action=TEXT,
            size=NUMBER,
            old_path=TEXT,
            origin=TEXT,
            fields=FIELDS,
            fields_total=NUMBER,
        )
    ),
)

PACKAGE_CREATE = ToolSpec(
    name="package_create",
    title="Create a package",
    description="A new package from files, folders, objects, other packages or inline content. Example: "
    '{"package": "lab/run7", "sources": [{"from": "results/", "to": "data/", "exclude": ["*.tmp"]}], '
    '"files": [{"path": "README.md", "text": "# Run 7"}], "metadata": {"instrument": "confocal"}, "message": "Run 7", '
    '"dry_run": true}',
    arguments={
        "package": {"type": "string", "description": "ns/name"},
        "registry": REGISTRY,
        "sources": SOURCES,
        "files": FILES,
        "metadata": _METADATA,
        "metadata_from": _METADATA_FROM,
        "message": _MESSAGE,
        "workflow": _WORKFLOW,
        "overwrite": {
            "type": "boolean",
            "default": False,
            "description": "Replace all files of an existing package by a new revision; its metadata stays",
        },
        "allow_empty": {"type": "boolean", "default": False, "description": "A package of no files is meant"},
        "copy": _COPY,
        "agent_context": _AGENT_CONTEXT,
        "dry_run": DRY_RUN,
    },
    required=("package",),
    data=_OUTCOME,
    run=package_create,
    writes=True,
)
PACKAGE_PATCH = ToolSpec(
    name="package_patch",
    title="Change a package",
    description="A new revision: removes, renames, adds or replaces files (in that order), sets metadata; the rest stays, "
    "metadata of replaced files too. Example: "
    '{"package": "lab/run7", "expected_top_hash": "0a1b2c3d4e", "add": [{"from": "s3://lab/plate3.csv"}], "remove": ["*.tmp"], '
    '"rename": [{"from": "raw/", "to": "data/"}], "metadata": {"checked": true}, "message": "Plate 3"}',
    arguments={
        "package": {"type": "string", "description": "ns/name"},
        "registry": REGISTRY,
        "expected_top_hash": {
            "type": "string",
            "description": "The latest that you saw, short or full; fails with what changed if it moved",
        },
        "add": bare(SOURCES, "Like sources of package_create"),
        "files": bare(FILES, "Like files of package_create"),
        "remove": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Files, folders ending in /, or globs",
        },
        "rename": {
            "type": "array",
            "description": "Files, or folders and globs to folders ending in /",
            "items": {
                "type": "object",
                "properties": {
                    "from": {"type": "string", "description": "Old path"},
                    "to": {"type": "string", "description": "New path"},
                },
                "required": ["from", "to"],
            },
        },
        "metadata": _METADATA,
        "metadata_from": _METADATA_FROM,
        "metadata_mode": {
            "type": "string",
            "enum": ["merge", "replace"],
            "default": "merge",
            "description": "Of package and files. merge: keys given are set, null removes; replace: all of it",
        },
        "entry_metadata": {
            "type": "object",
            "description": 'Metadata of files that stay, as {"data/a.csv": {"unit": "kg"}}, globs as *.csv or data/**, or of a '
            "folder itself (data/); null removes",
        },
        "message": _MESSAGE,
        "workflow": _WORKFLOW,
        "merge": {
            "type": "boolean",
            "default": False,
            "description": "If not, redo changes that do not overlap",
        },
        "copy": _COPY,
        "agent_context": _AGENT_CONTEXT,
        "dry_run": DRY_RUN,
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
        "message": {"type": "string", "description": "Default: the source's; a rollback takes none"},
        "workflow": _WORKFLOW,
        "overwrite": {
            "type": "boolean",
            "default": False,
            "description": "Let an existing package get it as a revision",
        },
        "copy": _COPY,
        "dry_run": DRY_RUN,
    },
    required=("package",),
    data=_OUTCOME,
    run=package_copy,
    writes=True,
)
PACKAGE_DELETE = ToolSpec(
    name="package_delete",
    title="Delete a revision or package",
    description="Deletes the revision named by @hash or :tag; with all=true the whole package. Stored bytes stay.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "all": {"type": "boolean", "default": False, "description": "Every revision"},
        "dry_run": DRY_RUN,
    },
    required=("package",),
    data=fields(
        done=SWITCH,
        latest={"type": ["string", "null"]},
        revisions_total=NUMBER,
        revisions=listed(fields(top_hash=TEXT, timestamp=TEXT, message=TEXT, latest=SWITCH, verified={})),
    ),
    run=package_delete,
    writes=True,
    destructive=True,
)
