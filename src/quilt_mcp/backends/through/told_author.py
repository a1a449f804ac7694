"""ToldAuthor: makes revisions through a stack. Plans are the engine's own; the stack writes what they come to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from quilt_mcp.backends.through.told_publisher import ToldPublisher, check_folders
from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.backends.through.told_store import DIRECT
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.domain.checksums import SHA256_CHUNKED
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.plan import UNSET, Commit, CopyRequest, Plan, Progress, Unset
from quilt_mcp.domain.workflows.rules import WorkflowRules
from quilt_mcp.errors import NotSupported
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.workflows import Workflow
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.author import Author
from quilt_mcp.registry.writing.intake import Placement, Survey
from quilt_mcp.registry.writing.prepared import Prepared, Request
from quilt_mcp.storage.workers import in_thread

UNCHECKED: Final = (
    "through_stack: whether this role may write there, and what the bucket's workflow demands (its default one where none is "
    "named), is known only when the stack makes the revision; and a write of another's in that moment is not refused."
)
COPIED: Final = (
    "by_the_stack: the stack copies the files where its configuration says so, and does not tell how many bytes. Packages of "
    "that bucket with the very same revision share one manifest, which names the new places then."
)
PUBLISHED_AGAIN: Final = (
    "published_again: a stack moves no pointer; the revision's files, metadata and message are a new line of the log, with "
    "another top hash where the bucket's workflow is another by now."
)
IN_PLACE: Final = (
    "in_place: files that come in are referred to where they lie, as the stack copies no bytes into a package. What the stack "
    "hashes is not known before."
)


class ToldAuthor(Author):
    def __init__(
        self,
        packages: StackPackages,
        registry: ToldRegistry,
        registries: Callable[[str], Registry],
        scratch: Path,
    ) -> None:
        super().__init__(registry, registries, scratch)
        self._told = ToldPublisher(packages, registry)
        self.publisher = self._told
        self._workflows = _ToldWorkflows()

    async def plan(self, request: Request) -> Plan:
        plan = await super().plan(request)
        is_promoted = isinstance(request, CopyRequest) and request.source.registry != self.registry.url
        told = (UNCHECKED, COPIED) if is_promoted and request.copy else (UNCHECKED,)
        return replace(plan, warnings=(*plan.warnings, *told))

    async def rollback_plan(self, plan: Plan) -> Plan:
        """Raises as ``ToldPublisher.roll_back`` will."""
        if plan.top_hash is None or plan.top_hash == plan.parent:
            return plan
        await self._told.checked(plan.package.name, plan.top_hash)
        return replace(plan, warnings=(*plan.warnings, PUBLISHED_AGAIN, UNCHECKED))

    async def promote(self, request: CopyRequest) -> Commit:
        """From another bucket, by the stack, which copies the files where the source's configuration says so. Raises as
        ``write``."""
        async with self._drafted(request) as first:
            await self._check_folders(request, first)
            origin = self._registries(request.source.registry)
            source = replace(request.source, tag=None, top_hash=await origin.resolve(request.source))
            name = first.plan.package.name
            entries = first.plan.totals.entries
            published = await self._told.promote(name, source, first.header, first.parent, entries)
            plan = replace(first.plan, top_hash=published.top_hash, bytes_to_copy=0)
            return Commit(
                plan=plan,
                uri=self.registry.uri(plan.package.name, published.top_hash),
                top_hash=published.top_hash,
                bytes_copied=0,
                created=published.created,
                warnings=(*plan.warnings, COPIED, *published.warnings),
            )

    async def _foreseen(self, request: Request, prepared: Prepared) -> Plan:
        await self._check_folders(request, prepared)
        warnings = (IN_PLACE,) if len(prepared.arrivals) and not isinstance(request, CopyRequest) else ()
        plan = replace(prepared.plan, warnings=(*prepared.plan.warnings, *warnings))
        return await self._counted(request, prepared, plan)

    async def _check_folders(self, request: Request, prepared: Prepared) -> None:
        """Raises NotSupported where metadata of folders would be lost."""
        draft, name = prepared.draft, prepared.plan.package.name
        folders, entries = draft.directories(), draft.entries()
        if (
            isinstance(request, CopyRequest) and draft.parent is not None
        ):  # all of it, whatever the draft changes
            folders, entries = draft.parent.directory_metas(), draft.parent.entries()
        await in_thread(partial(check_folders, name, folders, entries))

    def _placement(self, name: str, arrivals: Arrivals, *, copy: bool) -> Placement:
        return _InPlace(len(arrivals))

    def _planned(self, name: str, arrivals: Arrivals, *, copy: bool) -> Placement:
        return _InPlace(len(arrivals))


class _InPlace:
    """See ``intake.Placement``: nothing is stored."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def survey(self) -> Survey:
        return _survey

    async def hash_type(self) -> str:
        return SHA256_CHUNKED  # nothing is hashed here

    async def notices(self, stored: int) -> tuple[str, ...]:
        return (IN_PLACE,) if self._count else ()

    async def is_stored(self, item: Incoming, before: Entry | None, found: Hash) -> bool:
        return True

    async def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry], progress: Progress
    ) -> AsyncGenerator[tuple[Entry, int]]:
        for item in items:
            yield item.unread(), 0


def _survey(item: Incoming) -> int:
    """Raises NotSupported for what does not lie in a bucket."""
    if item.physical_key is None or item.physical_key.bucket is None:
        _refuse(item)
    return 0


def _refuse(item: Incoming) -> NoReturn:
    raise NotSupported(
        f"{item.logical_key!r} comes from {item.origin if item.physical_key else 'the call itself'}, and the stack takes no "
        "bytes: a revision is made of objects of its buckets, and of files of packages there.",
        next_step="Have it put into a bucket of the stack (in the catalog, in a browser), then give its s3:// address. "
        f"{DIRECT}",
        details={"path": item.logical_key, "way": "stack"},
    )


class _ToldWorkflows:
    """The stack tells nothing of a bucket's workflows. It checks the one that is named, or the bucket's default."""

    async def choose(self, workflow: str | Unset | None, kept: str | Unset | None = UNSET) -> Workflow | None:
        chosen = kept if isinstance(workflow, Unset) else workflow
        if isinstance(chosen, Unset):
            return None
        return Workflow(WorkflowRules(chosen), {}, {"id": chosen})
