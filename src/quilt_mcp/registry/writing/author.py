"""Author: makes revisions. Plans what a request will do, brings the bytes in, publishes, and redoes it when the parent moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.from_thread

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Hash, Header, JsonObject
from quilt_mcp.domain.manifest.codec import encode_header, encode_record
from quilt_mcp.domain.metadata import merge_patch
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.plan import (
    UNSET,
    Commit,
    CopyRequest,
    CreateRequest,
    PatchRequest,
    Plan,
    PlannedChange,
    Progress,
    Unset,
    no_progress,
)
from quilt_mcp.errors import AlreadyExists, CorruptManifest, InvalidArgument, RevisionNotFound, StaleParent
from quilt_mcp.registry.manifests.diff import diff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.workflows import Workflow, Workflows
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.backoff import Backoff
from quilt_mcp.registry.writing.changes import Changes
from quilt_mcp.registry.writing.conflicts import overlaps, stale_parent
from quilt_mcp.registry.writing.draft import Draft, header_with
from quilt_mcp.registry.writing.intake import Intake, placement_in
from quilt_mcp.registry.writing.publish import Published, Publisher
from quilt_mcp.registry.writing.sources import Sources, incoming_entry

_MERGE_ATTEMPTS = 20
_CHECK_EVERY = 5000
_UNREAD = Hash("sha2-256-chunked", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
"""Stands for a hash not known yet when a record's size and metadata are checked ahead of reading its bytes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with all that carrying it out takes. ``arrivals``: the files whose bytes it brings in."""

    plan: Plan
    draft: Draft
    header: Header
    parent: Pointer | None
    arrivals: Arrivals
    copy: bool


class Author:
    """Writes into one registry. ``registries`` opens others, for sources and copies."""

    def __init__(
        self,
        registry: Registry,
        registries: Callable[[str], Registry],
        scratch: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._registries = registries
        self._scratch = scratch
        self._publisher = Publisher(registry.store, scratch, clock)
        self._workflows = Workflows(registry.store, registry.stores)

    # -- create --

    async def plan_create(self, request: CreateRequest) -> Plan:
        """Raises AlreadyExists for a name that is taken, unless ``overwrite``."""
        with Arrivals() as arrivals:
            return (await self._create_draft(request, arrivals)).plan

    async def create(self, request: CreateRequest, progress: Progress = no_progress) -> Commit:
        with Arrivals() as arrivals:
            return await self._carry_out(await self._create_draft(request, arrivals), progress)

    async def _create_draft(self, request: CreateRequest, arrivals: Arrivals) -> Prepared:
        name = validate_package_name(request.package.name)
        _refuse_revision(request.package)
        sources = Sources(self._registry.stores, self._registries)
        await sources.expand(request.sources, request.files, arrivals)
        parent = await self._registry.pointers.latest(name)
        if parent is not None and not request.overwrite:
            raise AlreadyExists(
                f"Package {name} already exists in {self._registry.url} at {parent.top_hash}.",
                next_step="Call package_patch to change it, or set overwrite=true to replace all of its files.",
                details={"package": name, "top_hash": parent.top_hash},
            )
        manifest, warnings = await self._overwritten(name, parent)
        fields: dict[str, Any] = {"version": "v0"}
        if request.metadata is not UNSET:
            fields["user_meta"] = request.metadata
        changes = Changes(arrivals, keep_parent=False)
        draft = Draft(Header(fields), manifest, changes)
        return await self._prepare(request, name, parent, draft, arrivals, (*sources.warnings, *warnings))

    # -- patch --

    async def plan_patch(self, request: PatchRequest) -> Plan:
        """Raises StaleParent when latest is not the expected parent and ``merge`` is off."""
        with Arrivals() as arrivals:
            prepared, base = await self._patch_on_expected(request, arrivals)
            if prepared.parent is None or prepared.parent.top_hash != base.top_hash:
                prepared = await self._redo(request, prepared, base, prepared.parent)
            return prepared.plan

    async def patch(self, request: PatchRequest, progress: Progress = no_progress) -> Commit:
        with Arrivals() as arrivals:
            return await self._patch(request, arrivals, progress)

    async def _patch(self, request: PatchRequest, arrivals: Arrivals, progress: Progress) -> Commit:
        prepared, base = await self._patch_on_expected(request, arrivals)
        draft = prepared
        if draft.parent is None or draft.parent.top_hash != base.top_hash:
            draft = await self._redo(request, prepared, base, draft.parent)
        intake = await self._take(draft, progress)
        backoff, begun = Backoff(), anyio.current_time()
        for attempt in range(_MERGE_ATTEMPTS):
            try:
                published = await self._publish(draft)
            except StaleParent:
                if not request.merge or attempt == _MERGE_ATTEMPTS - 1:
                    raise
                await anyio.sleep(backoff.wait(anyio.current_time() - begun))
                begun = anyio.current_time()
                latest = await self._registry.pointers.latest(request.package.name)
                draft = await self._redo(request, prepared, base, latest)
                continue
            redone = draft.plan.parent if draft.plan.parent != base.top_hash else None
            return self._outcome(draft, published, intake, merged_onto=redone)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _patch_on_expected(
        self, request: PatchRequest, arrivals: Arrivals
    ) -> tuple[Prepared, Manifest]:
        """The patch drafted on its expected parent, whatever latest is by now."""
        name = validate_package_name(request.package.name)
        _refuse_revision(request.package)
        if not _asks_something(request):
            raise InvalidArgument(
                "The patch changes nothing.",
                next_step="Give add, remove, rename, metadata or entry_metadata.",
            )
        latest = await self._registry.pointers.latest(name)
        wanted = request.expected_top_hash or (latest.top_hash if latest else None)
        _, base = await self._registry.open(PackageUri(self._registry.url, name, top_hash=wanted))
        sources = Sources(self._registry.stores, self._registries)
        await sources.expand(request.add, request.files, arrivals)
        prepared = await self._patch_draft(request, base, latest, arrivals, tuple(sources.warnings))
        return prepared, base

    async def _patch_draft(
        self,
        request: PatchRequest,
        parent: Manifest,
        latest: Pointer | None,
        arrivals: Arrivals,
        warnings: tuple[str, ...],
    ) -> Prepared:
        fields: JsonObject = parent.header.fields
        if request.metadata is not UNSET:
            before = parent.header.user_meta
            merging = request.metadata_mode == "merge"
            fields = {
                **fields,
                "user_meta": merge_patch(before, request.metadata) if merging else request.metadata,
            }
        changes = Changes(
            arrivals, removed=request.remove, renamed=request.rename, entry_metadata=request.entry_metadata
        )
        draft = Draft(Header(fields), parent, changes)
        prepared = await self._prepare(request, request.package.name, latest, draft, arrivals, warnings)
        changed = dict(prepared.header.fields).get("user_meta") != dict(parent.header.fields).get("user_meta")
        plan = replace(prepared.plan, parent=parent.top_hash, metadata_changed=changed)
        return replace(prepared, plan=plan)

    async def _redo(
        self, request: PatchRequest, prepared: Prepared, base: Manifest, latest: Pointer | None
    ) -> Prepared:
        """The same changes on the latest revision, when they touch nothing that others changed since ``base``."""
        name = request.package.name
        if latest is None or latest.top_hash is None or not request.merge:
            raise stale_parent(name, base.top_hash, latest, plan=prepared.plan)
        _, theirs = await self._registry.open(PackageUri(self._registry.url, name, top_hash=latest.top_hash))
        clashing = await anyio.to_thread.run_sync(
            overlaps, request, prepared.draft, base, theirs, anyio.from_thread.check_cancelled
        )
        if clashing:
            raise stale_parent(name, base.top_hash, latest, plan=prepared.plan, overlaps=clashing)
        return await self._patch_draft(request, theirs, latest, prepared.arrivals, prepared.plan.warnings)

    # -- copy --

    async def plan_copy(self, request: CopyRequest) -> Plan:
        with Arrivals() as arrivals, Arrivals() as none:
            return (await self._copy_draft(request, arrivals, none)).plan

    async def copy(self, request: CopyRequest, progress: Progress = no_progress) -> Commit:
        with Arrivals() as arrivals, Arrivals() as none:
            return await self._carry_out(await self._copy_draft(request, arrivals, none), progress)

    async def _copy_draft(self, request: CopyRequest, arrivals: Arrivals, none: Arrivals) -> Prepared:
        """``arrivals`` takes the files whose bytes are copied; to the draft nothing comes in: ``none``."""
        name = validate_package_name(request.destination.name)
        _refuse_revision(request.destination)
        if request.source.path:
            raise InvalidArgument(
                f"{request.source} names a path, and a copy takes a whole revision.",
                next_step="Call package_create with this URI as a source to package a part of it.",
            )
        origin = self._registries(request.source.registry)
        pinned, manifest = await origin.open(request.source)
        parent = await self._registry.pointers.latest(name)
        is_same = origin.url == self._registry.url and request.source.name == name
        if parent is not None and not request.overwrite and not is_same:
            raise AlreadyExists(
                f"Package {name} already exists in {self._registry.url} at {parent.top_hash}.",
                next_step="Set overwrite=true to make the copy its latest revision, or choose another name.",
                details={"package": name, "top_hash": parent.top_hash},
            )
        if request.copy and origin.url != self._registry.url:
            await anyio.to_thread.run_sync(_take_all, origin, manifest, arrivals)
        changes = Changes(none, moved_bytes=arrivals if len(arrivals) else None)
        draft = Draft(Header(manifest.header.fields), manifest, changes)
        before, warnings = await self._overwritten(name, parent)
        prepared = await self._prepare(request, name, parent, draft, arrivals, warnings)
        plan = await anyio.to_thread.run_sync(_copy_plan, prepared.plan, before, manifest, str(pinned))
        return replace(prepared, plan=plan)

    # -- the common road --

    async def _overwritten(
        self, name: str, pointer: Pointer | None
    ) -> tuple[Manifest | None, tuple[str, ...]]:
        """The latest revision, for the plan's counts. One that cannot be read may be overwritten too, with a warning."""
        if pointer is None or pointer.top_hash is None:
            return None, ()
        try:
            uri = PackageUri(self._registry.url, name, top_hash=pointer.top_hash)
            return (await self._registry.open(uri))[1], ()
        except (CorruptManifest, RevisionNotFound) as error:
            return None, (
                f"unreadable_manifest: the latest revision {pointer.top_hash} cannot be read ({error.code}); "
                "the counts do not say what it held.",
            )

    async def _prepare(
        self,
        request: CreateRequest | PatchRequest | CopyRequest,
        name: str,
        parent: Pointer | None,
        draft: Draft,
        arrivals: Arrivals,
        warnings: tuple[str, ...],
    ) -> Prepared:
        chosen = await self._workflows.choose(request.workflow)
        fields = {key: value for key, value in draft.header.fields.items() if key != "workflow" or chosen}
        edits: dict[str, Any] = {"workflow": chosen.header} if chosen else {}
        message = draft.header.message if isinstance(request.message, Unset) else request.message
        header = header_with(fields, **edits, message=message)
        await anyio.to_thread.run_sync(_check_draft, draft, header, chosen, name, arrivals)
        counts = draft.counts
        plan = Plan(
            package=PackageUri(self._registry.url, name),
            parent=parent.top_hash if parent else None,
            added=counts.added,
            replaced=counts.replaced,
            removed=counts.removed,
            renamed=counts.renamed,
            kept=counts.entries - counts.added - counts.replaced - counts.renamed,
            metadata_changed="user_meta" in header.fields,
            bytes_to_copy=arrivals.size if request.copy else 0,
            changes=tuple(draft.changes_shown),
            changes_total=counts.added + counts.replaced + counts.removed + counts.renamed + counts.metadata,
            workflow=chosen.header if chosen else None,
            warnings=warnings,
        )
        return Prepared(plan, draft, header, parent, arrivals, request.copy)

    async def _carry_out(self, prepared: Prepared, progress: Progress) -> Commit:
        intake = await self._take(prepared, progress)
        published = await self._publish(prepared)
        return self._outcome(prepared, published, intake, merged_onto=None)

    async def _take(self, prepared: Prepared, progress: Progress) -> Intake:
        store, stores = self._registry.store, self._registry.stores
        placement = placement_in(store, stores, prepared.plan.package.name, self._scratch, copy=prepared.copy)
        intake = Intake(placement, progress)
        await intake.store(prepared.arrivals)
        return intake

    async def _publish(self, prepared: Prepared) -> Published:
        return await self._publisher.publish(
            prepared.plan.package.name,
            prepared.header,
            prepared.draft,
            prepared.parent,
            replace_manifest=prepared.copy or not len(prepared.arrivals),
        )

    def _outcome(
        self,
        prepared: Prepared,
        published: Published,
        intake: Intake,
        *,
        merged_onto: str | None,
    ) -> Commit:
        same = prepared.arrivals.unchanged()
        plan = replace(prepared.plan, replaced=prepared.plan.replaced - same, kept=prepared.plan.kept + same)
        return Commit(
            plan=plan,
            uri=self._registry.uri(plan.package.name, published.top_hash),
            top_hash=published.top_hash,
            bytes_copied=intake.bytes_copied,
            merged_onto=merged_onto,
            created=published.created,
            warnings=(*plan.warnings, *intake.notices, *published.warnings),
        )


def _check_draft(
    draft: Draft, header: Header, workflow: Workflow | None, name: str, arrivals: Arrivals
) -> None:
    """All that can be known before a byte is read: keys, record sizes, metadata, the workflow's rules."""
    encode_header(header)
    for item in arrivals:
        anyio.from_thread.check_cancelled()
        encode_record(replace(item.unread(), hash=item.hash or _UNREAD))
    draft.plan(anyio.from_thread.check_cancelled)
    if workflow is not None:
        user_meta = header.fields.get("user_meta", UNSET)
        workflow.check(name=name, message=header.message, user_meta=user_meta, entries=draft.entries())


def _asks_something(request: PatchRequest) -> bool:
    return bool(
        request.add
        or request.files
        or request.remove
        or request.rename
        or request.entry_metadata
        or request.metadata is not UNSET
    )


def _refuse_revision(package: PackageUri) -> None:
    if package.top_hash or package.tag or package.path:
        raise InvalidArgument(
            f"{package} names a revision or a path; a new revision is written to a package name.",
            next_step="Name the package alone (namespace/name); a patch takes its parent as expected_top_hash.",
        )


def _take_all(origin: Registry, manifest: Manifest, arrivals: Arrivals) -> None:
    def incoming() -> Iterator[Incoming]:
        for number, entry in enumerate(manifest.entries()):
            if number % _CHECK_EVERY == 0:
                anyio.from_thread.check_cancelled()
            origin.locate(entry)
            yield incoming_entry(entry, entry.logical_key)

    arrivals.add(incoming(), origin.url)


def _copy_plan(plan: Plan, before: Manifest | None, after: Manifest, origin: str) -> Plan:
    """A copy's counts, against what stands under the destination's name."""
    if before is None:
        entries = islice(after.entries(), 100)
        shown = tuple(PlannedChange(e.logical_key, "add", e.size, origin) for e in entries)
        total = after.totals.entries
        return replace(plan, added=total, kept=0, changes=shown, changes_total=total)
    differences = diff(before, after, checkpoint=anyio.from_thread.check_cancelled)
    totals = differences.totals
    actions = {
        "added": "add",
        "removed": "remove",
        "modified": "replace",
        "renamed": "rename",
        "metadata": "metadata",
    }
    shown = tuple(
        PlannedChange(c.path, cast("Any", actions[c.kind]), c.size, origin, c.old_path)
        for c in differences.page(0, 100)
    )
    return replace(
        plan,
        added=totals.added,
        replaced=totals.modified,
        removed=totals.removed,
        renamed=totals.renamed,
        kept=totals.unchanged + totals.metadata,
        metadata_changed=before.header.user_meta != after.header.user_meta,
        changes=shown,
        changes_total=totals.added + totals.removed + totals.modified + totals.renamed + totals.metadata,
    )
