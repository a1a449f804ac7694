"""Author: makes revisions. Plans what a request will do, brings the bytes in, publishes, and redoes it when the parent moved."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.from_thread

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.diff import changed_fields, is_same_json
from quilt_mcp.domain.entry import Header, JsonObject
from quilt_mcp.domain.metadata import changed_meta, with_agent_context
from quilt_mcp.domain.plan import (
    UNSET,
    Commit,
    CopyRequest,
    CreateRequest,
    PatchRequest,
    Plan,
    Progress,
    Source,
    Unset,
    WorkflowFault,
    no_progress,
)
from quilt_mcp.domain.workflows.rules import rejection
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidArgument,
    QuiltError,
    StaleParent,
    WorkflowFailed,
)
from quilt_mcp.registry.damage import UNREADABLE
from quilt_mcp.registry.manifests.diff import ManifestDiff, diff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.workflows import Workflow, Workflows
from quilt_mcp.registry.writing.arrivals import Arrivals
from quilt_mcp.registry.writing.backoff import Backoff
from quilt_mcp.registry.writing.conflicts import overlaps, stale_parent, tell, what_changed
from quilt_mcp.registry.writing.drafts.changes import Changes
from quilt_mcp.registry.writing.drafts.draft import Draft
from quilt_mcp.registry.writing.drafts.transcript import find_top_hash
from quilt_mcp.registry.writing.foresight import foresee
from quilt_mcp.registry.writing.house_rules import NO_RULES, HouseRules
from quilt_mcp.registry.writing.intake import Placement, Survey, placement_in, planned_in, take_in
from quilt_mcp.registry.writing.prepared import (
    Prepared,
    Request,
    accepted,
    check_draft,
    copy_plan,
    destination_of,
    nothing,
    nothing_changed,
    survey_in_place,
    whole_revision,
    workflow_of,
)
from quilt_mcp.registry.writing.publish import Published, Publisher
from quilt_mcp.registry.writing.sources import Sources

_MERGES = 19


class Publishes(Protocol):
    """See ``Publisher``."""

    async def publish(
        self, name: str, header: Header, draft: Draft, parent: Pointer | None, *, replace_manifest: bool
    ) -> Published: ...

    async def roll_back(self, name: str, top_hash: str, parent: Pointer | None) -> Published: ...


class ChoosesWorkflow(Protocol):
    """See ``Workflows``."""

    async def choose(
        self, workflow: str | Unset | None, kept: str | Unset | None = UNSET
    ) -> Workflow | None: ...


class Author:
    """Writes into one registry. ``registries`` opens others, for sources and copies."""

    def __init__(
        self,
        registry: Registry,
        registries: Callable[[str], Registry],
        scratch: Path,
        clock: Callable[[], float] = time.time,
        rules: HouseRules = NO_RULES,
    ) -> None:
        self.registry = registry
        self._registries = registries
        self._scratch = scratch
        self._rules = rules
        self.publisher: Publishes = Publisher(registry.store, scratch, clock)
        self._workflows: ChoosesWorkflow = Workflows(registry.store, registry.stores)

    async def plan(self, request: Request) -> Plan:
        """What the workflow has against the revision stands in the plan. Raises AlreadyExists for a name that is taken, unless
        ``overwrite``, and StaleParent when latest is not the parent that a patch expects and ``merge`` is off."""
        async with self._drafted(request) as first:
            plan = await self._foreseen(request, await self._on_latest(request, first, first.parent))
            return replace(plan, warnings=(*plan.warnings, *self._rules.warnings))

    async def write(self, request: Request, progress: Progress = no_progress) -> Commit:
        """Carries the plan out. Raises as ``plan``, and WorkflowFailed."""
        async with self._drafted(request) as first:
            prepared = accepted(await self._on_latest(request, first, first.parent))
            name = first.plan.package.name
            placement = self._placement(name, first.arrivals, copy=request.copy)
            stored, notices = await take_in(first.arrivals, placement, self.registry.stores, progress)
            prepared, published = await self._publish(request, first, prepared)
            plan = replace(prepared.plan, top_hash=published.top_hash, bytes_to_copy=stored)
            plan = await self._counted(request, prepared, plan)
            return Commit(
                plan=plan,
                uri=self.registry.uri(name, published.top_hash),
                top_hash=published.top_hash,
                bytes_copied=stored,
                merged_onto=None if plan.parent == first.plan.parent else plan.parent,
                created=published.created,
                warnings=(*plan.warnings, *notices, *published.warnings, *self._rules.warnings),
            )

    async def _foreseen(self, request: Request, prepared: Prepared) -> Plan:
        """The plan, with all that can be known without sending bytes."""
        arrivals, plan = prepared.arrivals, prepared.plan
        if len(arrivals):
            placement = self._planned(plan.package.name, arrivals, copy=request.copy)
            to_copy, warnings = await foresee(arrivals, placement, self.registry.stores, copy=request.copy)
            plan = replace(plan, bytes_to_copy=to_copy, warnings=(*plan.warnings, *warnings))
        if arrivals.is_finished and request.agent_context is None:  # which tells the time of the write
            find = partial(find_top_hash, prepared.header, prepared.draft, anyio.from_thread.check_cancelled)
            plan = replace(plan, top_hash=await anyio.to_thread.run_sync(find))
        return await self._counted(request, prepared, plan)

    async def _counted(self, request: Request, prepared: Prepared, plan: Plan) -> Plan:
        """The plan, by what is known of the files by now."""
        if isinstance(request, CopyRequest):
            return plan
        find = partial(prepared.draft.outcome, anyio.from_thread.check_cancelled)
        found = await anyio.to_thread.run_sync(find)
        plan = replace(plan, actions=found.actions, totals=found.totals, changes=found.changes)
        told = await anyio.to_thread.run_sync(nothing_changed, prepared, plan)
        return replace(plan, warnings=(*plan.warnings, *told))

    def _placement(self, name: str, arrivals: Arrivals, *, copy: bool) -> Placement:
        one, scratch, rules = self.registry, self._scratch, self._rules
        return placement_in(one.store, one.stores, name, scratch, arrivals, rules, copy=copy)

    def _planned(self, name: str, arrivals: Arrivals, *, copy: bool) -> Placement:
        one, scratch, rules = self.registry, self._scratch, self._rules
        return planned_in(one.store, one.stores, name, scratch, arrivals, rules, copy=copy)

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
            except StaleParent as conflict:
                if merges == 0:
                    await self._explain(conflict, first)
                    raise
            merges -= 1
            await anyio.sleep(backoff.wait(anyio.current_time() - begun))
            begun = anyio.current_time()
            latest = await self.registry.pointers.latest(name)
            prepared = accepted(await self._on_latest(request, first, latest))

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
        if not (request.sources or request.files or request.allow_empty):
            raise InvalidArgument(
                "A package of no files was asked for.",
                next_step="Give sources or files; set allow_empty=true where an empty package is meant.",
            )
        sources = Sources(self.registry.stores, self._registries)
        await sources.expand(request.sources, request.files, arrivals)
        request = replace(request, metadata=await sources.metadata(request, arrivals))
        advice = "Call package_patch to change it, or set overwrite=true to replace all of its files."
        parent, manifest, warnings = await self.overwritten(name, request.overwrite, advice)
        fields: dict[str, Any] = {"version": "v0"}
        if request.metadata is not UNSET:
            fields["user_meta"] = request.metadata
        elif manifest is not None and "user_meta" in manifest.header.fields:
            fields["user_meta"] = manifest.header.user_meta
        draft = Draft(Header(fields), manifest, Changes(arrivals, keep_parent=False))
        kept = manifest and manifest.header
        return await self._prepare(
            request, name, parent, draft, arrivals, kept, (*sources.warnings, *warnings)
        )

    async def _patch(self, request: PatchRequest, name: str, arrivals: Arrivals) -> Prepared:
        asked = (request.add, request.files, request.remove, request.rename, request.entry_metadata)
        others = (request.metadata_from, request.message)
        is_empty = not any(asked) and all(one is None for one in others)
        if is_empty and request.metadata is UNSET and isinstance(request.workflow, Unset):
            raise InvalidArgument(
                "The patch changes nothing.",
                next_step="Give add, files, remove, rename, metadata, metadata_from, entry_metadata or a message.",
            )
        latest = await self.registry.pointers.latest(name)
        wanted = request.expected_top_hash
        if wanted is None and latest is not None:
            wanted = latest.top_hash
        try:
            _, base = await self.registry.open(PackageUri(self.registry.url, name, top_hash=wanted))
        except UNREADABLE as error:
            if latest is not None and wanted == latest.top_hash:
                error.next_step = await self.registry.way_past_damage(name)
            raise
        sources = Sources(self.registry.stores, self._registries)
        await sources.expand(request.add, request.files, arrivals)
        request = replace(request, metadata=await sources.metadata(request, arrivals))
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
            merge = request.metadata_mode == "merge"
            after = changed_meta(parent.header.user_meta, request.metadata, merge=merge)
            if after is not None or "user_meta" in fields:
                fields = {**fields, "user_meta": after}
        changes = Changes(
            arrivals,
            removed=request.remove,
            renamed=request.rename,
            entry_metadata=request.entry_metadata,
            metadata_mode=request.metadata_mode,
        )
        draft = Draft(Header(fields), parent, changes)
        prepared = await self._prepare(
            request, request.package.name, latest, draft, arrivals, parent.header, warnings
        )
        return replace(prepared, request=request, plan=replace(prepared.plan, parent=parent.top_hash))

    async def _on_latest(self, request: Request, first: Prepared, latest: Pointer | None) -> Prepared:
        """``first``, or a patch's changes on the ``latest`` revision, when they touch nothing that others changed since its
        parent."""
        base, expected = first.draft.parent, first.plan.parent
        # Read anew, the same pointer is another object: others may have been there meanwhile, so the patch is redone on it.
        is_first = latest is first.parent and expected == (latest and latest.top_hash)
        if is_first or base is None or not isinstance(request, PatchRequest):
            return first
        name, asked = request.package.name, first.request
        assert isinstance(asked, PatchRequest)
        if latest is None or latest.top_hash is None or not request.merge:
            conflict = stale_parent(name, expected, latest, plan=first.plan)
            await self._explain(conflict, first)
            raise conflict
        changes = await self._changes_since(base, name, latest.top_hash)
        found = partial(overlaps, asked, first.draft, changes, anyio.from_thread.check_cancelled)
        clashing = await anyio.to_thread.run_sync(found)
        meanwhile = None
        if changes.before.top_hash != changes.after.top_hash:
            meanwhile = await what_changed(self.registry, name, changes)
        if clashing:
            conflict = stale_parent(name, expected, latest, plan=first.plan, overlaps=clashing)
            if meanwhile is not None:
                tell(conflict, meanwhile)
            raise conflict
        redone = await self._patched(asked, changes.after, latest, first.arrivals, first.plan.warnings)
        return replace(redone, plan=replace(redone.plan, changed_meanwhile=meanwhile))

    async def _changes_since(self, base: Manifest, name: str, top_hash: str) -> ManifestDiff:
        _, theirs = await self.registry.open(PackageUri(self.registry.url, name, top_hash=top_hash))
        return await anyio.to_thread.run_sync(
            partial(diff, base, theirs, checkpoint=anyio.from_thread.check_cancelled)
        )

    async def _explain(self, conflict: StaleParent, first: Prepared) -> None:
        """Tells the conflict of a patch what others changed since its parent, where that can be read."""
        base, actual, name = first.draft.parent, conflict.details.get("actual"), first.plan.package.name
        if isinstance(first.request, PatchRequest) and base is not None and isinstance(actual, str):
            with suppress(QuiltError):
                changes = await self._changes_since(base, name, actual)
                tell(conflict, await what_changed(self.registry, name, changes))

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
            survey = await self._planned(name, arrivals, copy=request.copy).survey()
            await anyio.to_thread.run_sync(survey_in_place, manifest, survey)
        changes = Changes(none, moved_bytes=arrivals if len(arrivals) else None)
        draft = Draft(Header(manifest.header.fields), manifest, changes)
        kept = manifest.header if origin.url == self.registry.url else None
        prepared = await self._prepare(request, name, parent, draft, arrivals, kept, warnings)
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
                "the counts do not say what it held, and its metadata is not kept."
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
        before: Header | None,
        warnings: tuple[str, ...],
    ) -> Prepared:
        """``before``: the header of the revision it builds on, whose workflow is kept."""
        chosen, refusal, kept = None, None, workflow_of(before)
        try:
            chosen = await self._workflows.choose(request.workflow, kept)
        except WorkflowFailed as error:
            refusal = error
        if request.workflow is UNSET and isinstance(kept, str) and kept != (chosen and chosen.rules.id):
            now = f"it falls under {chosen.rules.id!r}" if chosen else "nothing is demanded"
            warnings = (*warnings, f"workflow_gone: this registry has no workflow {kept!r} any more; {now}.")
        fields = {key: value for key, value in draft.header.fields.items() if key != "workflow" or chosen}
        edits: dict[str, Any] = {"workflow": chosen.header} if chosen else {}
        if request.agent_context is not None:
            edits["user_meta"] = with_agent_context(draft.header.user_meta, request.agent_context)
        message = draft.header.message if isinstance(request.message, Unset) else request.message
        header = Header({**fields, **edits, "message": message})
        survey: Survey = nothing
        if len(arrivals):
            survey = await self._planned(name, arrivals, copy=request.copy).survey()
        checking = partial(check_draft, draft, header, chosen, name, arrivals, survey)
        bytes_to_copy, faults = await anyio.to_thread.run_sync(checking)
        if refusal is not None:
            faults = (WorkflowFault("is_workflow_required", refusal.message),)
        elif chosen is not None and faults:
            refusal = rejection(chosen.rules, name, faults)
        if refusal is not None:
            told = f"workflow_rejects: the workflow refuses this revision, and so the write will be: see faults ({len(faults)})."
            warnings = (told, *warnings)
        outcome = await anyio.to_thread.run_sync(draft.outcome, anyio.from_thread.check_cancelled)
        plan = Plan(
            package=PackageUri(self.registry.url, name),
            parent=parent.top_hash if parent else None,
            actions=outcome.actions,
            totals=outcome.totals,
            metadata_changed=not is_same_json(draft.header.user_meta, before and before.user_meta),
            bytes_to_copy=bytes_to_copy,
            changes=outcome.changes,
            workflow=chosen.header if chosen else None,
            faults=faults,
            warnings=warnings,
            fields=changed_fields(before.user_meta, draft.header.user_meta) if before else (),
        )
        return Prepared(request, plan, refusal, draft, header, parent, arrivals)
