"""Author: makes revisions. Plans what a request will do, brings the bytes in, publishes, and redoes it when the parent moved."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.from_thread

from quilt_mcp.domain.address import PackageUri, PhysicalKey
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
    Source,
    Unset,
    no_progress,
)
from quilt_mcp.domain.workflows.rules import check
from quilt_mcp.errors import AlreadyExists, InvalidArgument, QuiltError, StaleParent
from quilt_mcp.registry.damage import UNREADABLE
from quilt_mcp.registry.manifests.diff import diff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.workflows import Workflow, Workflows
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.backoff import Backoff
from quilt_mcp.registry.writing.changes import Changes
from quilt_mcp.registry.writing.conflicts import overlaps, stale_parent
from quilt_mcp.registry.writing.draft import Draft
from quilt_mcp.registry.writing.intake import Survey, placement_in, survey_in, take_in
from quilt_mcp.registry.writing.publish import Published, Publisher
from quilt_mcp.registry.writing.sources import Sources
from quilt_mcp.storage.store import Store, Stores

Request = CreateRequest | PatchRequest | CopyRequest

_MERGES = 19
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


class Author:
    """Writes into one registry. ``registries`` opens others, for sources and copies."""

    def __init__(
        self,
        registry: Registry,
        registries: Callable[[str], Registry],
        scratch: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.registry = registry
        self._registries = registries
        self._scratch = scratch
        self.publisher = Publisher(registry.store, scratch, clock)
        self._workflows = Workflows(registry.store, registry.stores)

    async def plan(self, request: Request) -> Plan:
        """Raises AlreadyExists for a name that is taken, unless ``overwrite``, and StaleParent when latest is not the parent
        that a patch expects and ``merge`` is off."""
        async with self._drafted(request) as first:
            return (await self._on_latest(request, first, first.parent)).plan

    async def write(self, request: Request, progress: Progress = no_progress) -> Commit:
        """Carries the plan out. Raises as ``plan``."""
        async with self._drafted(request) as first:
            prepared = await self._on_latest(request, first, first.parent)
            name = first.plan.package.name
            placement = placement_in(*self._placing(name, first.arrivals), copy=request.copy)
            stored, notices = await take_in(first.arrivals, placement, progress)
            prepared, published = await self._publish(request, first, prepared)
            plan, same = prepared.plan, first.arrivals.unchanged()
            return Commit(
                plan=replace(plan, replaced=plan.replaced - same, kept=plan.kept + same),
                uri=self.registry.uri(name, published.top_hash),
                top_hash=published.top_hash,
                bytes_copied=stored,
                merged_onto=None if plan.parent == first.plan.parent else plan.parent,
                created=published.created,
                warnings=(*plan.warnings, *notices, *published.warnings),
            )

    def _placing(self, name: str, arrivals: Arrivals) -> tuple[Store, Stores, str, Path, Arrivals]:
        return self.registry.store, self.registry.stores, name, self._scratch, arrivals

    async def _publish(
        self, request: Request, first: Prepared, prepared: Prepared
    ) -> tuple[Prepared, Published]:
        """What was published in the end: ``prepared``, or the patch redone on what others published meanwhile."""
        name = first.plan.package.name
        merges = _MERGES if isinstance(request, PatchRequest) and request.merge else 0
        backoff, begun = Backoff(), anyio.current_time()
        while True:
            try:
                return prepared, await self.publisher.publish(
                    name,
                    prepared.header,
                    prepared.draft,
                    prepared.parent,
                    replace_manifest=request.copy
                    or (isinstance(request, PatchRequest) and not len(first.arrivals)),
                )
            except StaleParent:
                if merges == 0:
                    raise
            merges -= 1
            await anyio.sleep(backoff.wait(anyio.current_time() - begun))
            begun = anyio.current_time()
            prepared = await self._on_latest(request, first, await self.registry.pointers.latest(name))

    # -- drafts --

    @asynccontextmanager
    async def _drafted(self, request: Request) -> AsyncGenerator[Prepared]:
        """The request on its parent: latest, or the one that a patch expects, whatever latest is by now."""
        name = destination_of(request)
        with Arrivals() as arrivals, Arrivals() as none:
            match request:
                case CreateRequest():
                    yield await self._create(request, name, arrivals)
                case PatchRequest():
                    yield await self._patch(request, name, arrivals)
                case CopyRequest():
                    yield await self._copy(request, name, arrivals, none)

    async def _create(self, request: CreateRequest, name: str, arrivals: Arrivals) -> Prepared:
        sources = Sources(self.registry.stores, self._registries)
        await sources.expand(request.sources, request.files, arrivals)
        advice = "Call package_patch to change it, or set overwrite=true to replace all of its files."
        parent, manifest, warnings = await self.overwritten(name, request.overwrite, advice)
        fields: dict[str, Any] = {"version": "v0"}
        if request.metadata is not UNSET:
            fields["user_meta"] = request.metadata
        draft = Draft(Header(fields), manifest, Changes(arrivals, keep_parent=False))
        return await self._prepare(request, name, parent, draft, arrivals, (*sources.warnings, *warnings))

    async def _patch(self, request: PatchRequest, name: str, arrivals: Arrivals) -> Prepared:
        asked = (request.add, request.files, request.remove, request.rename, request.entry_metadata)
        if not any(asked) and request.metadata is UNSET:
            raise InvalidArgument(
                "The patch changes nothing.",
                next_step="Give add, remove, rename, metadata or entry_metadata.",
            )
        latest = await self.registry.pointers.latest(name)
        wanted = request.expected_top_hash or (latest.top_hash if latest else None)
        try:
            _, base = await self.registry.open(PackageUri(self.registry.url, name, top_hash=wanted))
        except UNREADABLE as error:
            if latest is not None and wanted == latest.top_hash:
                error.next_step = await self.registry.way_past_damage(name)
            raise
        sources = Sources(self.registry.stores, self._registries)
        await sources.expand(request.add, request.files, arrivals)
        return await self._patched(request, base, latest, arrivals, tuple(sources.warnings))

    async def _patched(
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
        changed = prepared.header.fields.get("user_meta") != parent.header.fields.get("user_meta")
        plan = replace(prepared.plan, parent=parent.top_hash, metadata_changed=changed)
        return replace(prepared, plan=plan)

    async def _on_latest(self, request: Request, first: Prepared, latest: Pointer | None) -> Prepared:
        """``first``, or a patch's changes on the ``latest`` revision, when they touch nothing that others changed since its
        parent."""
        base, expected = first.draft.parent, first.plan.parent
        # Read anew, the same pointer is another object: others may have been there meanwhile, so the patch is redone on it.
        is_first = latest is first.parent and expected == (latest and latest.top_hash)
        if is_first or base is None or not isinstance(request, PatchRequest):
            return first
        name = request.package.name
        if latest is None or latest.top_hash is None or not request.merge:
            raise stale_parent(name, expected, latest, plan=first.plan)
        _, theirs = await self.registry.open(PackageUri(self.registry.url, name, top_hash=latest.top_hash))
        clashing = await anyio.to_thread.run_sync(
            overlaps, request, first.draft, base, theirs, anyio.from_thread.check_cancelled
        )
        if clashing:
            raise stale_parent(name, expected, latest, plan=first.plan, overlaps=clashing)
        return await self._patched(request, theirs, latest, first.arrivals, first.plan.warnings)

    async def _copy(self, request: CopyRequest, name: str, arrivals: Arrivals, none: Arrivals) -> Prepared:
        """``arrivals`` takes the files whose bytes are copied; to the draft nothing comes in: ``none``."""
        origin = self._registries(request.source.registry)
        pinned, manifest = await origin.open(whole_revision(request.source))
        advice = "Set overwrite=true to make the copy its latest revision, or choose another name."
        parent, before, warnings = await self.overwritten(name, request.overwrite, advice)
        if request.copy and origin.url != self.registry.url:
            whole = Source(str(pinned))
            await Sources(self.registry.stores, self._registries).expand((whole,), (), arrivals)
        elif origin.store.local_files is not None and self.registry.store.local_files is None:
            survey = await survey_in(*self._placing(name, arrivals), copy=request.copy)
            await anyio.to_thread.run_sync(_survey_in_place, manifest, survey)
        changes = Changes(none, moved_bytes=arrivals if len(arrivals) else None)
        draft = Draft(Header(manifest.header.fields), manifest, changes)
        prepared = await self._prepare(request, name, parent, draft, arrivals, warnings)
        plan = await anyio.to_thread.run_sync(copy_plan, prepared.plan, before, manifest, str(pinned))
        return replace(prepared, plan=plan)

    async def overwritten(
        self, name: str, may_overwrite: bool, advice: str = ""
    ) -> tuple[Pointer | None, Manifest | None, tuple[str, ...]]:
        """The latest pointer and revision, for the plan's counts. One that cannot be read may be overwritten too, with a warning.
        Raises AlreadyExists, with the ``advice``, for one that may not be; where it is damaged, with what gets past that."""
        pointer = await self.registry.pointers.latest(name)
        if pointer is not None and not may_overwrite:
            with suppress(QuiltError):
                advice = await self._advice(name, advice)
            raise AlreadyExists(
                f"Package {name} already exists in {self.registry.url} at {pointer.top_hash}.",
                next_step=advice,
                details={"package": name, "top_hash": pointer.top_hash},
            )
        if pointer is None or pointer.top_hash is None:
            return pointer, None, ()
        try:
            uri = PackageUri(self.registry.url, name, top_hash=pointer.top_hash)
            return pointer, (await self.registry.open(uri))[1], ()
        except UNREADABLE as error:
            warning = (
                f"unreadable_manifest: the latest revision {pointer.top_hash} cannot be read ({error.code}); "
                "the counts do not say what it held."
            )
            return pointer, None, (warning,)

    async def _advice(self, name: str, advice: str) -> str:
        """What to call when ``name`` is taken: the ``advice``, where its latest revision can be read."""
        try:
            await self.registry.open(PackageUri(self.registry.url, name))
        except UNREADABLE as error:
            return error.next_step
        return advice

    async def _prepare(
        self,
        request: Request,
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
        header = Header({**fields, **edits, "message": message})
        survey = (
            await survey_in(*self._placing(name, arrivals), copy=request.copy) if len(arrivals) else _nothing
        )
        checking = partial(_check_draft, draft, header, chosen, name, arrivals, survey)
        bytes_to_copy = await anyio.to_thread.run_sync(checking)
        counts = draft.counts
        plan = Plan(
            package=PackageUri(self.registry.url, name),
            parent=parent.top_hash if parent else None,
            added=counts.added,
            replaced=counts.replaced,
            removed=counts.removed,
            renamed=counts.renamed,
            kept=counts.entries - counts.added - counts.replaced - counts.renamed,
            metadata_changed="user_meta" in header.fields,
            bytes_to_copy=bytes_to_copy,
            changes=tuple(draft.changes_shown),
            changes_total=counts.added + counts.replaced + counts.removed + counts.renamed + counts.metadata,
            workflow=chosen.header if chosen else None,
            warnings=warnings,
        )
        return Prepared(plan, draft, header, parent, arrivals)


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
    if source.path:
        raise InvalidArgument(
            f"{source} names a path, and a copy takes a whole revision.",
            next_step="Call package_create with this URI as a source to package a part of it.",
        )
    return source


def _survey_in_place(manifest: Manifest, survey: Survey) -> None:
    """Of entries that a registry elsewhere is to refer to. Raises as ``survey``."""
    for entry in manifest.entries():
        anyio.from_thread.check_cancelled()
        survey(Incoming(entry.logical_key, entry.size or 0, {}, PhysicalKey.parse(entry.physical_key)))


def _nothing(item: Incoming) -> int:
    return 0


def _check_draft(
    draft: Draft, header: Header, workflow: Workflow | None, name: str, arrivals: Arrivals, survey: Survey
) -> int:
    """All that can be known before a byte is read: keys, record sizes, metadata, whether the registry takes each file, the
    workflow's rules. Answers how many bytes will be copied, at most."""
    bytes_to_copy = 0
    encode_header(header)
    for item in arrivals:
        anyio.from_thread.check_cancelled()
        bytes_to_copy += survey(item)
        encode_record(replace(item.unread(), hash=item.hash or _UNREAD))
    draft.plan(anyio.from_thread.check_cancelled)
    if workflow is not None:
        user_meta = header.fields.get("user_meta", UNSET)
        check(
            workflow.rules,
            name=name,
            message=header.message,
            user_meta=user_meta,
            entries=draft.entries(),
            schemas=workflow.schemas,
            checkpoint=anyio.from_thread.check_cancelled,
        )
    return bytes_to_copy


def copy_plan(plan: Plan, before: Manifest | None, after: Manifest, origin: str) -> Plan:
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
        changes_total=differences.count,
    )
