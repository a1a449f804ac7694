"""Bytes that are not what a manifest recorded: the check, and the one sentence for it."""

from __future__ import annotations

from quilt_mcp.domain.checksums import SHA256_CHUNKED
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import HashMismatch
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.storage.hashing import hash_file


def not_as_recorded(logical_key: str, physical_key: str, found: str, expected: str) -> HashMismatch:
    """``found`` and ``expected`` are both sizes or both hash values."""
    return HashMismatch(
        f"{physical_key} is not what the package recorded for {logical_key!r}: {found}, recorded {expected}.",
        next_step="Call package_verify for all such files; restore the file, or package it anew.",
        details={"path": logical_key, "physical_key": physical_key, "expected": expected, "found": found},
    )


async def hold_against_record(item: Incoming, descriptor: int, size: int, chunked: Hash) -> None:
    """Holds an open file of ``size`` bytes against the size and hash that its package recorded, whatever the hash's type.
    ``chunked`` is its sha2-256-chunked hash. Files that come from no package have nothing to be held against.

    Raises HashMismatch.
    """
    if item.hash is None:
        return
    if size != item.size:
        raise not_as_recorded(item.logical_key, item.origin, f"{size} bytes", f"{item.size} bytes")
    found = chunked if item.hash.type == SHA256_CHUNKED else await hash_file(descriptor, size, item.hash.type)
    if found != item.hash:
        raise not_as_recorded(item.logical_key, item.origin, found.value, item.hash.value)
