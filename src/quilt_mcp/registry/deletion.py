"""Deletion: takes revision pointers away. Manifests and data stay, as with quilt3, so that other packages keep theirs."""

from __future__ import annotations

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.plan import DeleteOutcome
from quilt_mcp.errors import InvalidArgument, PreconditionFailed, RevisionNotFound
from quilt_mcp.registry.layout import LATEST, TIMESTAMP, pointer_key
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.publish import Publisher, stale_parent


class Deletion:
    """Deletes in one registry. Only keys of exactly this package are ever named; siblings cannot be touched."""

    def __init__(self, registry: Registry, publisher: Publisher) -> None:
        self._registry = registry
        self._publisher = publisher

    async def delete(self, package: PackageUri, *, dry_run: bool) -> DeleteOutcome:
        """A hash or tag: every pointer of that revision. Neither: the package, its latest pointer last, so that a
        deletion cut short still leaves a package that reads.

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
        whole = package.top_hash is None and package.tag is None
        pointers = await self._pointers(name)
        if whole:
            doomed, remaining = pointers, []
        else:
            top_hash = await self._registry.resolve(package)
            doomed = [pointer for pointer in pointers if pointer.top_hash == top_hash]
            remaining = [pointer for pointer in pointers if pointer.top_hash != top_hash]
            if not doomed:
                raise RevisionNotFound(
                    f"No revision of {name} has the hash {top_hash}.",
                    next_step="Call package_log for its revisions.",
                    details={"package": name, "hash": top_hash},
                )
        latest = next((pointer for pointer in pointers if pointer.tag == LATEST), None)
        heir = _newest(remaining)
        after = self._latest_after(latest, doomed, heir)
        removed = tuple(pointer.tag for pointer in doomed)
        target = PackageUri(self._registry.url, name, top_hash=package.top_hash, tag=package.tag)
        if dry_run:
            return DeleteOutcome(target, removed, after, done=False)
        if latest is not None and latest in doomed and heir is not None and heir.top_hash is not None:
            # latest moves first: at no moment does it point to a revision whose pointer is gone.
            await self._publisher.point_latest(name, heir.top_hash, latest)
            doomed = [pointer for pointer in doomed if pointer.tag != LATEST]
        for pointer in sorted(doomed, key=lambda pointer: pointer.tag == LATEST):
            await self._delete(name, pointer, latest)
        return DeleteOutcome(target, removed, after, done=True)

    async def _delete(self, name: str, pointer: Pointer, latest: Pointer | None) -> None:
        if pointer is not latest:
            await self._registry.store.delete(pointer_key(name, pointer.tag))
            return
        try:
            await self._registry.store.delete(pointer_key(name, LATEST), if_match=pointer.etag)
        except PreconditionFailed as error:
            # A revision that somebody published since is theirs to keep.
            raise stale_parent(name, latest, await self._registry.pointers.latest(name)) from error

    async def _pointers(self, name: str) -> list[Pointer]:
        tags = await self._registry.pointers.tags(name)
        if not tags:
            await self._registry.require_package(name)
        return [pointer for pointer in await self._registry.pointers.read_many(name, tags) if pointer]

    def _latest_after(
        self, latest: Pointer | None, doomed: list[Pointer], heir: Pointer | None
    ) -> str | None:
        if latest is not None and latest not in doomed:
            return latest.top_hash
        return heir.top_hash if heir else None


def _newest(pointers: list[Pointer]) -> Pointer | None:
    """The revision that becomes latest: the greatest timestamp, as in quilt3."""
    timestamps = [pointer for pointer in pointers if TIMESTAMP.fullmatch(pointer.tag) and pointer.top_hash]
    return max(timestamps, key=lambda pointer: int(pointer.tag), default=None)
