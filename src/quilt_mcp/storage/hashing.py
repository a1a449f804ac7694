"""The checksum of a file on this machine: parts hashed on several threads, in bounded memory, cancellable.

Reading in pieces of 256 KiB on a few threads is what saturates a disk cache and two cores; larger buffers are not faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from anyio import from_thread, to_thread

from quilt_mcp.domain.checksums import Hasher, PartHasher, checksum_for
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, Tally, no_progress
from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.limits import READERS, limits
from quilt_mcp.storage.workers import collect

READ_SIZE = 256 << 10
STEP = 8 << 20
"""Bytes between two reports of progress."""


async def hash_file(fd: int, size: int, hash_type: str, progress: Progress = no_progress) -> Hash:
    """The checksum of the first ``size`` bytes of an open regular file; its offset is neither used nor moved.

    Returns only when no thread reads ``fd`` any more, cancelled or not: the caller may close it then. Raises NotSupported for
    an unknown type, HashMismatch when the file is not ``size`` bytes long or is written to meanwhile, StorageUnavailable when
    it cannot be read.
    """
    checksum = checksum_for(hash_type)
    part_size = checksum.part_size(size)
    offsets = range(0, size, part_size)
    limiter = limits().readers if len(offsets) > 1 else None

    tally = Tally(progress, size, "bytes hashed")

    async def hash_part(offset: int) -> tuple[bytes, int]:
        part, end = checksum.part(), min(offset + part_size, size)
        for at in range(offset, end, STEP):
            length = min(STEP, end - at)
            await to_thread.run_sync(
                _update, part, fd, at, length, from_thread.check_cancelled, limiter=limiter
            )
            await tally.add(length)
        return part.digest(), end - offset

    with typed_errors("The file being hashed", "the local file system"):
        before = os.fstat(fd)
        digests = await collect(offsets, min(READERS, len(offsets)), hash_part)
        require_unchanged(fd, before, size)
    return checksum.of_parts(digests)


def hash_open_file(fd: int, size: int, hash_type: str, checkpoint: Callable[[], None] = lambda: None) -> Hash:
    """As ``hash_file``, blocking, on the calling thread; ``checkpoint`` is called between pieces and may raise."""
    whole = Hasher(checksum_for(hash_type), size)
    with typed_errors("The file being hashed", "the local file system"):
        before = os.fstat(fd)
        _update(whole, fd, 0, size, checkpoint)
        require_unchanged(fd, before, size)
    return whole.value()


def _update(
    taker: Hasher | PartHasher, fd: int, offset: int, length: int, checkpoint: Callable[[], None]
) -> None:
    """With the bytes [offset, offset + length)."""
    end = offset + length
    buffer = memoryview(bytearray(min(READ_SIZE, length)))
    while offset < end:
        checkpoint()
        read = os.preadv(fd, [buffer[: end - offset]], offset)
        if read == 0:
            raise changed_while_read(offset, end)
        taker.update(buffer[:read])
        offset += read


def require_unchanged(fd: int, before: os.stat_result, size: int) -> None:
    """Raises HashMismatch when an open file has not ``size`` bytes, or was written to since ``before``. A write in the same tick
    of the file system's clock (some milliseconds) as the last one before does not show."""
    now = os.fstat(fd)
    if now.st_size != size:
        raise changed_while_read(now.st_size, size)
    if (now.st_ino, now.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
        raise written_while_read("The file", size)


def changed_while_read(found: int, expected: int) -> HashMismatch:
    """Sizes in bytes: what a file has, and what it had when the reading began."""
    message = (
        f"The file has {found} bytes where {expected} were expected: it changed while it was being read."
    )
    return _changed(message, {"found": found, "expected": expected})


def written_while_read(subject: str, size: int) -> HashMismatch:
    return _changed(f"{subject} was written to while it was being read.", {"size": size})


def _changed(message: str, details: dict[str, int]) -> HashMismatch:
    next_step = "Wait until nothing writes to the file, then make the same call again."
    return HashMismatch(message, next_step=next_step, details=details)
