"""Deletion: takes revision pointers away. Manifests and data stay, as with quilt3, so that other packages keep theirs."""

from __future__ import annotations

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.plan import DeleteOutcome
from quilt_mcp.errors import InvalidArgument, PreconditionFailed, RevisionNotFound
from quilt_mcp.registry.layout import LATEST, TIMESTAMP, pointer_key
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.conflicts import stale_parent
from quilt_mcp.registry.writing.publish import move_latest


async def delete(registry: Registry, package: PackageUri, *, dry_run: bool) -> DeleteOutcome:
    """Deletes every pointer of the revision that a hash or tag names; without either, of the whole package, its latest
    pointer last, so that a deletion cut short still leaves a package that reads. Only keys of exactly this package are ever
    named; siblings cannot be touched.

    Raises PackageNotFound, RevisionNotFound, AmbiguousHash, InvalidArgument for a path, and StaleParent when latest
    moved meanwhile.
    """
    name = validate_package_name(package.name)
    if package.path:
        raise InvalidArgument(
            f"{package} names a path, and only packages and revisions are deleted.",
            next_step="Call package_patch with remove to make a revision without that file, "
            "or name the package alone to delete it.",
        )
    pointers = await registry.pointers.read_all(name)
    if not pointers:
        await registry.require_package(name)
    doomed = pointers
    if package.top_hash is not None or package.tag is not None:
        top_hash = await registry.resolve(package)
        doomed = [pointer for pointer in pointers if pointer.top_hash == top_hash]
        if not doomed:
            raise RevisionNotFound(
                f"No revision of {name} has the hash {top_hash}.",
                next_step="Call package_log for its revisions.",
                details={"package": name, "hash": top_hash},
            )
    heir = _newest([pointer for pointer in pointers if pointer not in doomed])
    latest = next((pointer for pointer in pointers if pointer.tag == LATEST), None)
    left = latest if latest is not None and latest not in doomed else heir
    outcome = DeleteOutcome(
        PackageUri(registry.url, name, top_hash=package.top_hash, tag=package.tag),
        tuple(pointer.tag for pointer in doomed),
        left.top_hash if left else None,
        done=not dry_run,
    )
    if not dry_run:
        await _carry_out(registry, name, doomed, latest, heir)
    return outcome


async def _carry_out(
    registry: Registry, name: str, doomed: list[Pointer], latest: Pointer | None, heir: Pointer | None
) -> None:
    if latest in doomed and heir is not None and heir.top_hash is not None:
        # latest moves first: at no moment does it point to a revision whose pointer is gone.
        await move_latest(registry.store, name, heir.top_hash, latest)
        doomed = [pointer for pointer in doomed if pointer is not latest]
    for pointer in sorted(doomed, key=lambda pointer: pointer is latest):
        expected = pointer.etag if pointer is latest else None
        try:
            await registry.store.delete(pointer_key(name, pointer.tag), if_match=expected)
        except PreconditionFailed as error:
            # A revision that somebody published since is theirs to keep.
            actual = await registry.pointers.latest(name)
            raise stale_parent(name, pointer.top_hash, actual) from error


def _newest(pointers: list[Pointer]) -> Pointer | None:
    """The revision that becomes latest: the greatest timestamp, as in quilt3."""
    timestamps = [pointer for pointer in pointers if TIMESTAMP.fullmatch(pointer.tag) and pointer.top_hash]
    return max(timestamps, key=lambda pointer: int(pointer.tag), default=None)
