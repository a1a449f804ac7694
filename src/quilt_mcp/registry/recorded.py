"""Bytes against the manifest: whether they are what an entry records, and stay so, and the one sentence for when they are not.

Each check raises HashMismatch. ``entry`` None: no manifest recorded anything of these bytes, so all are right.
"""

from __future__ import annotations

from collections.abc import Sequence

from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.hashing import hash_file


def not_pinned(addresses: Sequence[str]) -> tuple[str, ...]:
    """The warning of entries that name objects of S3 without a version of their own."""
    if not addresses:
        return ()
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return (
        f"not_pinned: {addresses[0]}{more}: no version is kept of what lies there, so that whoever writes to it breaks this "
        "revision. Leave copy out to store the bytes with the package.",
    )


def check_size(entry: Entry | None, size: int) -> None:
    if entry is not None and size != entry.size:
        raise _mismatch(entry, f"{size} bytes", f"{entry.size} bytes")


def check_hash(entry: Entry | None, found: Hash) -> None:
    """``found`` is of the recorded type."""
    if entry is not None and found != entry.hash:
        raise _mismatch(entry, found.value, recorded_hash(entry).value)


def check_content(entry: Entry | None, content: bytes, known: Hash | None = None) -> None:
    """Checks the size and hash of bytes in memory. ``known`` is their hash of one type, which need not be the recorded one."""
    if entry is None:
        return
    expected = recorded_hash(entry)
    if len(content) > (entry.size or 0):  # which may be all that was read
        raise _mismatch(entry, f"more than {entry.size} bytes", f"{entry.size} bytes")
    check_size(entry, len(content))
    check_hash(entry, known if known and known.type == expected.type else hash_bytes(content, expected.type))


async def check_file(entry: Entry | None, descriptor: int, size: int, known: Hash) -> None:
    """Checks an open file of ``size`` bytes, as ``check_content`` does. Reads it again only for another type of hash."""
    if entry is None:
        return
    expected = recorded_hash(entry)
    check_size(entry, size)
    check_hash(
        entry, known if known.type == expected.type else await hash_file(descriptor, size, expected.type)
    )


def recorded_hash(entry: Entry) -> Hash:
    if entry.hash is None:
        raise _mismatch(entry, "no hash to check", "a hash")
    return entry.hash


def _mismatch(entry: Entry, found: str, expected: str) -> HashMismatch:
    key, address = entry.logical_key, entry.physical_key
    return HashMismatch(
        f"{address} is not what the package recorded for {key!r}: {found}, recorded {expected}.",
        next_step="Call package_verify for all such files; restore the file, or package it anew.",
        details={"path": key, "physical_key": address, "expected": expected, "found": found},
    )
