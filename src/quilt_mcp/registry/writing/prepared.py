"""Prepared: a write up to where its bytes would come in. What is checked of it by then, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import anyio
import anyio.from_thread

from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.diff import changed_fields, is_same_json
from quilt_mcp.domain.entry import Hash, Header
from quilt_mcp.domain.manifest.codec import encode_header, encode_record
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.plan import (
    CHANGES_SHOWN,
    UNSET,
    CopyRequest,
    CreateRequest,
    PatchRequest,
    Plan,
    PlannedChange,
    Unset,
    WorkflowFault,
)
from quilt_mcp.domain.workflows.rules import find_faults
from quilt_mcp.errors import InvalidArgument, WorkflowFailed
from quilt_mcp.registry.manifests.diff import diff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.workflows import Workflow
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.conflicts import ACTIONS, every, planned
from quilt_mcp.registry.writing.drafts.draft import Draft
from quilt_mcp.registry.writing.drafts.outcome import Counts
from quilt_mcp.registry.writing.intake import Survey

Request = CreateRequest | PatchRequest | CopyRequest

_UNREAD = Hash("sha2-256-chunked", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
"""Stands for a hash not known yet when a record's size and metadata are checked ahead of reading its bytes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with all that carrying it out takes. ``arrivals``: the files whose bytes it brings in. ``refusal``: the registry's
    workflow rejects the revision."""

    request: Request
    """With its metadata, where a file says that."""
    plan: Plan
    refusal: WorkflowFailed | None
    draft: Draft
    header: Header
    parent: Pointer | None
    arrivals: Arrivals


def destination_of(request: Request) -> str:
    """The package that is written to. Raises InvalidName, InvalidArgument for a revision or a path of it."""
    package = request.destination if isinstance(request, CopyRequest) else request.package
    name = validate_package_name(package.name)
    if package.top_hash or package.tag or package.path:
        raise InvalidArgument(
            f"{package} names a revision or a path; a new revision is written to a package name.",
            next_step="Name the package alone (namespace/name); a patch takes its parent as expected_top_hash.",
        )
    return name


def whole_revision(source: PackageUri) -> PackageUri:
    """Raises InvalidArgument for a path in it."""
    if source.path:
        raise InvalidArgument(
            f"{source} names a path, and a copy takes a whole revision.",
            next_step="Call package_create with this URI as a source to package a part of it.",
        )
    return source


def accepted(prepared: Prepared) -> Prepared:
    if prepared.refusal is not None:
        raise prepared.refusal
    return prepared


def workflow_of(header: Header | None) -> str | Unset | None:
    """The id of a revision's workflow, None where it was made without one on purpose; UNSET where nothing is known of one."""
    recorded = None if header is None else header.workflow
    found = UNSET if recorded is None else recorded.get("id", UNSET)
    return found if found is None or isinstance(found, str) else UNSET


def nothing_changed(prepared: Prepared, plan: Plan) -> tuple[str, ...]:
    """The warning of a revision that has all of its parent's but the message. Blocks, for the folders that have metadata."""
    draft, parent = prepared.draft, prepared.draft.parent
    if parent is None or plan.changes_total or plan.metadata_changed:
        return ()
    if workflow_of(prepared.header) != workflow_of(parent.header):
        return ()
    if {one.logical_key: one for one in draft.directories()} != {
        one.logical_key: one for one in parent.directory_metas()
    }:
        return ()
    same = f"nothing_changed: files, metadata and workflow are those of {parent.top_hash[:10]}"
    if plan.top_hash == parent.top_hash:
        return (f"{same}, and so is the message: no revision is made.",)
    return (f"{same}: the revision has another message alone.",)


def survey_in_place(manifest: Manifest, survey: Survey) -> None:
    """Of entries that a registry elsewhere is to refer to. Raises as ``survey``."""
    for entry in manifest.entries():
        anyio.from_thread.check_cancelled()
        survey(Incoming(entry.logical_key, entry.size or 0, {}, PhysicalKey.parse(entry.physical_key)))


def nothing(item: Incoming) -> int:
    return 0


def check_draft(
    draft: Draft, header: Header, workflow: Workflow | None, name: str, arrivals: Arrivals, survey: Survey
) -> tuple[int, tuple[WorkflowFault, ...]]:
    """All that can be known before a byte is read: keys, record sizes, metadata, whether the registry takes each file. Answers
    how many bytes will be copied, at most, and what the workflow has against the revision."""
    bytes_to_copy = 0
    encode_header(header)
    for item in arrivals:
        anyio.from_thread.check_cancelled()
        bytes_to_copy += survey(item)
        encode_record(replace(item.unread(), hash=item.hash or _UNREAD))
    draft.plan(anyio.from_thread.check_cancelled)
    if workflow is None:
        return bytes_to_copy, ()
    return bytes_to_copy, find_faults(
        workflow.rules,
        name=name,
        message=header.message,
        user_meta=header.fields.get("user_meta", UNSET),
        entries=draft.entries(),
        schemas=workflow.schemas,
        checkpoint=anyio.from_thread.check_cancelled,
    )


def copy_plan(plan: Plan, before: Manifest | None, after: Manifest, origin: str) -> Plan:
    """A copy's counts, against what stands under the destination's name."""
    counts = Counts()
    if before is None:
        counts.add("add", after.totals.bytes, after.totals.entries)
        first = islice(after.entries(), CHANGES_SHOWN)
        shown = tuple(PlannedChange(e.logical_key, "add", e.size, origin) for e in first)
        has_metadata = after.header.user_meta is not None
        return replace(
            plan, actions=counts.by_action, metadata_changed=has_metadata, fields=(), changes=shown
        )
    checkpoint = anyio.from_thread.check_cancelled
    changes = diff(before, after, checkpoint=checkpoint)
    for change in every(changes, checkpoint):
        size = change.old_size if change.kind == "removed" else change.size
        counts.add(ACTIONS[change.kind], size or 0)
    return replace(
        plan,
        actions=counts.by_action,
        metadata_changed=not is_same_json(before.header.user_meta, after.header.user_meta),
        fields=changed_fields(before.header.user_meta, after.header.user_meta),
        changes=tuple(planned(change, origin) for change in changes.page(0, CHANGES_SHOWN)),
    )
