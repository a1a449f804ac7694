"""Deletion: takes revision pointers away. Manifests and data stay, as with quilt3, so that other packages keep theirs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.listing import Revision
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.plan import DeleteOutcome
from quilt_mcp.errors import (
    InvalidArgument,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
    RevisionNotFound,
    StaleParent,
)
from quilt_mcp.registry.layout import LATEST, TIMESTAMP, pointer_key
from quilt_mcp.registry.pointers import POINTER_READS_AT_ONCE, Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.publish import move_latest
from quilt_mcp.storage.store import Store
from quilt_mcp.storage.workers import collect

_SHOWN = 20
"""Revisions that an outcome lists."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion is to do. ``doomed``: the pointers that go. ``heir``: the revision that becomes latest, where ``latest`` is
    among them and another stays."""

    name: str
    doomed: tuple[Pointer, ...]
    latest: Pointer | None
    heir: Pointer | None
    outcome: DeleteOutcome
    """As it is expected, and not done."""

    @property
    def moves_latest(self) -> bool:
        return self.latest is not None and self.latest in self.doomed


async def plan_deletion(registry: Registry, package: PackageUri, *, whole: bool) -> Deletion:
    """Of every pointer of the revision that a hash or tag names; ``whole``: of the package, named alone. Only keys of exactly
    this package are ever named; siblings cannot be touched. Raises PackageNotFound, RevisionNotFound, AmbiguousHash,
    InvalidArgument for a path."""
    name = validate_package_name(package.name)
    if package.path:
        raise InvalidArgument(
            f"{package} names a path, and only packages and revisions are deleted.",
            next_step="Call package_patch with remove to make a revision without that file, "
            "or name the package alone to delete it.",
        )
    is_named = package.top_hash is not None or package.tag is not None
    if whole == is_named:
        raise await _ambiguous(registry, package)
    top_hash = "" if whole else await registry.resolve(package)
    latest = await registry.pointers.latest(name)  # read first: what is published after this moves it
    tags = [tag for tag in await registry.pointers.tags(name) if tag != LATEST]
    pointers = [pointer for pointer in (*await registry.pointers.read_many(name, tags), latest) if pointer]
    if not pointers:
        await registry.require_package(name)
    doomed = [pointer for pointer in pointers if whole or pointer.top_hash == top_hash]
    if pointers and not doomed:
        raise RevisionNotFound(
            f"No revision of {name} has the hash {top_hash}.",
            next_step="Call package_log for its revisions.",
            details={"package": name, "hash": top_hash},
        )
    heir = _newest([pointer for pointer in pointers if not whole and pointer.top_hash != top_hash])
    is_latest_doomed = latest is not None and (whole or latest.top_hash == top_hash)
    left = heir if is_latest_doomed else latest
    outcome = DeleteOutcome(
        PackageUri(registry.url, name, top_hash=package.top_hash, tag=package.tag),
        tuple(pointer.tag for pointer in doomed if pointer is not latest or heir is None),
        left.top_hash if left else None,
        done=False,
        revisions=await _revisions(registry, doomed),
        revisions_total=len({pointer.top_hash for pointer in doomed if pointer.top_hash}),
        warnings=()
        if whole or left
        else ("last_revision: it is the only one, so the package is gone with it.",),
    )
    return Deletion(name, tuple(doomed), latest, heir, outcome)


async def delete(registry: Registry, package: PackageUri, *, whole: bool, dry_run: bool) -> DeleteOutcome:
    """Carries out what ``plan_deletion`` finds.

    The package's latest pointer moves or goes first, under its etag: from then on the deletion counts, before it a refusal has
    changed nothing. Then go the timestamps that were listed. Cut short in between, packages_list warns of ``missing_latest``, and
    a second deletion completes it. A push that comes in between is refused, or keeps latest and its line of the log.

    Raises as ``plan_deletion``, and StaleParent when latest moved meanwhile.
    """
    planned = await plan_deletion(registry, package, whole=whole)
    if dry_run:
        return planned.outcome
    name, latest, heir = planned.name, planned.latest, planned.heir
    stamps = [pointer for pointer in planned.doomed if pointer is not latest]
    warnings: list[str] = []
    if latest is not None and planned.moves_latest:
        warnings += await _move_latest(registry.store, name, latest, heir)
        try:
            await _delete_all(registry.store, name, stamps)
        except PermissionDenied:
            await _move_back(registry, name, latest, heir)
            raise
        except QuiltError as error:
            # The same call again would take a tag for the revision that it names now.
            rest = f"{name} with all=true" if whole else f"{name}@{planned.doomed[0].top_hash}"
            error.next_step = (
                f"latest has moved already. Call package_delete of {rest}, which deletes what is left of it."
            )
            error.details["latest"] = heir and heir.top_hash
            raise
    else:
        await _delete_all(registry.store, name, stamps)
    outcome = replace(planned.outcome, done=True, warnings=(*planned.outcome.warnings, *warnings))
    return await _settled(registry, name, stamps, outcome)


async def _ambiguous(registry: Registry, package: PackageUri) -> QuiltError:
    """Of a call that names a package alone and does not say that all of it is meant, or the other way round."""
    latest = await registry.pointers.latest(package.name)
    if latest is None:
        await registry.require_package(package.name)
    shown = latest.top_hash if latest and latest.top_hash else "HASH"
    return InvalidArgument(
        f"{package} is one revision, and all=true means the whole package."
        if package.top_hash or package.tag
        else f"{package.name} names no revision, and all=true was not given.",
        next_step=f"Call package_delete of {package.name}@{shown[:12]} for that one revision (package_log lists them), or of "
        f"{package.name} with all=true for the package with its whole history.",
        details={"package": package.name, "latest": latest and latest.top_hash},
    )


async def _revisions(registry: Registry, doomed: list[Pointer]) -> tuple[Revision, ...]:
    """What the pointers stand for, newest first, each revision once, as far as it is shown."""
    newest: dict[str, Pointer] = {}
    in_time = sorted(doomed, key=lambda one: one.timestamp.timestamp() if one.timestamp else 0, reverse=True)
    for pointer in in_time:
        if pointer.top_hash is not None:
            newest.setdefault(pointer.top_hash, pointer)
    shown = list(newest.values())[:_SHOWN]
    headers = await collect(list(newest)[:_SHOWN], POINTER_READS_AT_ONCE, registry.header)
    messages = (header.message if isinstance(header, Header) else None for header in headers)
    return tuple(
        Revision(pointer.top_hash or "", pointer.timestamp, message)
        for pointer, message in zip(shown, messages, strict=True)
    )


async def _move_latest(store: Store, name: str, latest: Pointer, heir: Pointer | None) -> list[str]:
    """To the heir; without one it goes. Warns where the store keeps no condition on that."""
    try:
        await move_latest(store, name, heir and heir.top_hash, latest)
    except StaleParent as conflict:
        conflict.next_step = (
            "Nothing was deleted. Call package_log for what came in between, then delete again if need be."
        )
        raise
    if store.conditional_deletes if heir is None else store.conditional_writes:
        return []
    return ["unconditional_store: this store ignores conditions; a push at the same moment could be lost."]


async def _delete_all(store: Store, name: str, stamps: list[Pointer]) -> None:
    for pointer in stamps:
        await store.delete(pointer_key(name, pointer.tag))


async def _move_back(registry: Registry, name: str, latest: Pointer, heir: Pointer | None) -> None:
    """Of a role that may write pointers and not delete them: latest as it was, unless somebody has moved it since."""
    moved = await registry.pointers.latest(name)
    if latest.top_hash is not None and (moved and moved.top_hash) == (heir and heir.top_hash):
        await move_latest(registry.store, name, latest.top_hash, moved)


async def _settled(
    registry: Registry, name: str, stamps: list[Pointer], outcome: DeleteOutcome
) -> DeleteOutcome:
    """What readers see now. A push of the very revision that was deleted may have taken over a timestamp that then went: it is
    written again."""
    try:
        latest = await registry.pointers.latest(name)
        top_hash = latest.top_hash if latest else None
        taken = next((stamp for stamp in stamps if top_hash and stamp.top_hash == top_hash), None)
        if taken is None or top_hash is None:
            return replace(outcome, latest=top_hash)
        with suppress(PreconditionFailed):
            await registry.store.put(pointer_key(name, taken.tag), top_hash.encode(), if_absent=True)
    except QuiltError as error:
        warning = f"not_read_back: the pointers are deleted, reading back failed ({error.code})."
        return replace(outcome, warnings=(*outcome.warnings, warning))
    return replace(
        outcome,
        removed=tuple(tag for tag in outcome.removed if tag not in (taken.tag, LATEST)),
        latest=top_hash,
        warnings=(
            *outcome.warnings,
            f"revision_kept: somebody published {top_hash} meanwhile; it stays, as {name}:{taken.tag}.",
        ),
    )


def _newest(pointers: list[Pointer]) -> Pointer | None:
    """The revision that becomes latest: the greatest timestamp, as in quilt3."""
    timestamps = [pointer for pointer in pointers if TIMESTAMP.fullmatch(pointer.tag) and pointer.top_hash]
    return max(timestamps, key=lambda pointer: int(pointer.tag), default=None)
