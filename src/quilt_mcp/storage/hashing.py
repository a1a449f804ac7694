"""The checksum of a file on this machine: parts hashed on several threads, in bounded memory, cancellable.

Reading in pieces of 256 KiB on a few threads is what saturates a disk cache and two cores; larger buffers are not faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from anyio import from_thread, to_thread

from quilt_mcp.domain.checksums import Hasher, PartHasher, checksum_for
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.limits import READERS, limits
from quilt_mcp.storage.workers import collect

READ_SIZE = 256 << 10


async def hash_file(fd: int, size: int, hash_type: str) -> Hash:
    """The checksum of the first ``size`` bytes of an open regular file; its offset is neither used nor moved.

    Returns only when no thread reads ``fd`` any more, cancelled or not: the caller may close it then. Raises NotSupported
    for an unknown type, HashMismatch when the file is not ``size`` bytes long, StorageUnavailable when it cannot be read.
    """
    checksum = checksum_for(hash_type)
    part_size = checksum.part_size(size)
    offsets = range(0, size, part_size)
    limiter = limits().readers if len(offsets) > 1 else None

    async def hash_part(offset: int) -> tuple[bytes, int]:
        length = min(part_size, size - offset)
        part = checksum.part()
        await to_thread.run_sync(
            _update, part, fd, offset, length, from_thread.check_cancelled, limiter=limiter
        )
        return part.digest(), length

    with typed_errors("The file being hashed", "the local file system"):
        digests = await collect(offsets, min(READERS, len(offsets)), hash_part)
        _require_end(fd, size)
    return checksum.of_parts(digests)


def hash_open_file(fd: int, size: int, hash_type: str, checkpoint: Callable[[], None] = lambda: None) -> Hash:
    """As ``hash_file``, blocking, on the calling thread; ``checkpoint`` is called between pieces and may raise."""
    whole = Hasher(checksum_for(hash_type), size)
    with typed_errors("The file being hashed", "the local file system"):
        _update(whole, fd, 0, size, checkpoint)
        _require_end(fd, size)
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


def _require_end(fd: int, size: int) -> None:
    found = os.fstat(fd).st_size
    if found != size:
        raise changed_while_read(found, size)


def changed_while_read(found: int, expected: int) -> HashMismatch:
    """Sizes in bytes: what a file has, and what it had when the reading began."""
    return HashMismatch(
        f"The file has {found} bytes where {expected} were expected: it changed while it was being read.",
        next_step="Wait until nothing writes to the file, then make the same call again.",
        details={"found": found, "expected": expected},
    )
