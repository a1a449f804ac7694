"""Rollback: makes a revision of a package the latest again. One pointer moves; no manifest and no line of the log is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import anyio

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Header, JsonObject
from quilt_mcp.domain.plan import Commit, CopyRequest, Plan, Unset
from quilt_mcp.errors import InvalidArgument, RevisionNotFound
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.author import Author
from quilt_mcp.registry.writing.prepared import copy_plan, destination_of, whole_revision


class Rollback:
    """A copy of a revision onto its own name. ``author`` writes into that registry."""

    def __init__(self, author: Author, request: CopyRequest) -> None:
        self._author = author
        self._registry = author.registry
        self._request = request

    async def plan(self) -> Plan:
        """Raises CorruptManifest for a revision that is damaged, InvalidArgument for a message or a workflow that it does not
        have."""
        return (await self._prepare())[0]

    async def write(self) -> Commit:
        """Atomic. Raises as ``plan``, and StaleParent when latest moves meanwhile."""
        plan, top_hash, parent = await self._prepare()
        name = plan.package.name
        published = await self._author.publisher.roll_back(name, top_hash, parent)
        return Commit(
            plan=plan,
            uri=self._registry.uri(name, published.top_hash),
            top_hash=published.top_hash,
            bytes_copied=0,
            created=published.created,
            warnings=(*plan.warnings, *published.warnings),
        )

    async def _prepare(self) -> tuple[Plan, str, Pointer | None]:
        """What is done, to which revision latest moves, and from where."""
        name = destination_of(self._request)
        # Read first: when latest moves after this, the conditional write of it is refused.
        parent, before, warnings = await self._author.overwritten(name, may_overwrite=True)
        pinned, manifest = await self._registry.open(whole_revision(self._request.source))
        _require_as_recorded(self._request, manifest.header)
        plan = Plan(
            package=PackageUri(self._registry.url, name),
            parent=parent.top_hash if parent else None,
            actions={},
            totals=manifest.totals,
            metadata_changed=False,
            bytes_to_copy=0,
            changes=(),
            top_hash=manifest.top_hash,
            workflow=manifest.header.workflow,
            warnings=warnings,
        )
        plan = await anyio.to_thread.run_sync(copy_plan, plan, before, manifest, str(pinned))
        return plan, manifest.top_hash, parent


async def is_rollback(request: CopyRequest, opened: Callable[[str], Registry]) -> bool:
    """Whether a revision of a package is copied onto its own name; ``opened`` gives a registry by its URL. A hash that
    none of its pointers names (another package's, a deleted one's, a mistyped one) is not: with ``overwrite`` it is copied as any
    other, by the workflow's leave. Raises RevisionNotFound without."""
    source, registry = request.source, opened(request.source.registry)
    if registry.url != opened(request.destination.registry).url or source.name != request.destination.name:
        return False
    if source.top_hash is None:
        return True
    top_hash = await registry.resolve(source)
    latest = await registry.pointers.try_latest(source.name)
    if isinstance(latest, Pointer) and latest.top_hash == top_hash:
        return True
    if await registry.pointers.stamp_of(source.name, top_hash) is not None:
        return True
    if request.overwrite:
        return False
    raise RevisionNotFound(
        f"No revision of {source.name} has the hash {top_hash}.",
        next_step="Call package_log for its revisions. A deleted revision, or another package's, becomes its latest with "
        "overwrite=true.",
        details={"package": source.name, "hash": top_hash},
    )


def _require_as_recorded(request: CopyRequest, header: Header) -> None:
    recorded = header.fields.get("workflow")
    workflow = cast("JsonObject", recorded).get("id") if isinstance(recorded, dict) else recorded
    for name, asked, own in (
        ("message", request.message, header.message),
        ("workflow", request.workflow, workflow),
    ):
        if not isinstance(asked, Unset) and asked != own:
            raise InvalidArgument(
                f"A revision that is copied onto its own name becomes latest as it is: its {name} is {own!r}, not {asked!r}.",
                next_step=f"Leave {name} out. For a new revision with another {name}, call package_patch after that.",
                details={"argument": name, "recorded": own},
            )
