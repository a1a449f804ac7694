"""Foresight: what a plan finds out of the files that come in without sending a byte: hashes, and what is stored already."""

from __future__ import annotations

import os
from collections.abc import Sequence

from anyio import from_thread, to_thread

from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import HASHED_AHEAD
from quilt_mcp.registry.layout import is_named_by
from quilt_mcp.registry.recorded import not_pinned
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.intake import FILES_AT_ONCE, Placement
from quilt_mcp.storage.hashing import hash_open_file
from quilt_mcp.storage.s3.conditions import NULL_VERSION
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.store import LocalFiles, Stores
from quilt_mcp.storage.workers import for_each, groups


async def foresee(
    arrivals: Arrivals, placement: Placement, stores: Stores, *, copy: bool
) -> tuple[int, tuple[str, ...]]:
    """Finishes the entry of every file whose hash is known or can be known here, and answers how many bytes will be stored, at
    most, and warnings of what will not be pinned. Reads local files up to ``HASHED_AHEAD`` in all, and asks the store what it
    holds of as many. Raises as reading them would.
    """
    few = len(arrivals) <= HASHED_AHEAD.entries
    reads = few and sum(map(_unread, arrivals)) <= HASHED_AHEAD.bytes
    look, hash_type = await placement.survey(), await placement.hash_type()
    to_store = 0
    loose: list[str] = []

    async def foresee_group(group: Sequence[Incoming]) -> None:
        nonlocal to_store
        before = arrivals.replaced(*(item.logical_key for item in group))
        for item in group:
            found, size = await _hash_of(item, stores, reads, hash_type), look(item)
            if found is not None:
                arrivals.finish(item.entry(item.origin, item.size, found))
                if size and few and await placement.is_stored(item, before.get(item.logical_key), found):
                    size = 0
            to_store += size
            if not copy and await _is_loose(item, stores):
                loose.append(item.origin)

    await for_each(groups(arrivals, len(arrivals), FILES_AT_ONCE, _unread), FILES_AT_ONCE, foresee_group)
    return to_store, not_pinned(sorted(loose))


def _unread(item: Incoming) -> int:
    """Bytes of a local file that nobody recorded a hash of."""
    origin = item.physical_key
    return item.size if item.hash is None and origin is not None and origin.bucket is None else 0


async def _hash_of(item: Incoming, stores: Stores, reads: bool, hash_type: str) -> Hash | None:
    if item.hash is not None:
        return item.hash
    if item.physical_key is None:
        return hash_bytes(item.content or b"", hash_type)
    store, key = stores.locate(item.physical_key)
    if store.local_files is None or not reads:
        return None
    return await to_thread.run_sync(_hash_file, store.local_files, key, item.size, hash_type)


def _hash_file(files: LocalFiles, key: str, size: int, hash_type: str) -> Hash:
    descriptor = files.open_file(key)
    try:
        return hash_open_file(descriptor, size, hash_type, from_thread.check_cancelled)
    finally:
        os.close(descriptor)


async def _is_loose(item: Incoming, stores: Stores) -> bool:
    """Whether an object is referred to in place that keeps no version of its own."""
    origin = item.physical_key
    if origin is None or origin.bucket is None or is_named_by(item.hash, origin.path):
        return False
    store, _ = stores.locate(origin)
    if origin.version_id is not None or not isinstance(store, S3Store):
        return origin.version_id == NULL_VERSION
    return await store.listings.versioning() not in ("Enabled", "unknown")
