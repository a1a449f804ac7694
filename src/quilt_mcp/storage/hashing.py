"""The checksum of a file on this machine: parts hashed on several threads, in bounded memory, cancellable.

Reading in pieces of 256 KiB on a few threads is what saturates a disk cache and two cores; larger buffers are not faster.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import anyio
from anyio import from_thread, to_thread

from quilt_mcp.domain.checksums import Hasher, checksum_for
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.local.errors import typed_errors
from quilt_mcp.storage.workers import first_failure

READ_SIZE = 256 << 10
MOST_THREADS = 10
"""As many as quilt3 uses: on a busy machine fewer threads get a smaller share of it."""
_REPORT_EVERY = 0.2
_MESSAGE = "bytes hashed"


async def hash_file(fd: int, size: int, hash_type: str, progress: Progress = no_progress) -> Hash:
    """The checksum of the first ``size`` bytes of an open regular file; its offset is neither used nor moved.

    Returns only when no thread reads ``fd`` any more, cancelled or not: the caller may close it then. Raises NotSupported
    for an unknown type, HashMismatch when the file is not ``size`` bytes long, StorageUnavailable when it cannot be read.
    """
    count = _Count()
    checksum = checksum_for(hash_type)
    chunk = checksum.part_size(size)
    if size <= chunk:
        whole = Hasher(checksum, size)
        found = await to_thread.run_sync(_hash_whole, fd, size, whole, count, from_thread.check_cancelled)
        await progress(size, size, _MESSAGE)
        return found

    offsets = iter(range(0, size, chunk))
    digests: dict[int, bytes] = {}
    lock = threading.Lock()
    threads = min(MOST_THREADS, -(-size // chunk))

    def work() -> None:
        buffer = memoryview(bytearray(READ_SIZE))
        while True:
            with lock:
                offset = next(offsets, None)
            if offset is None:
                return
            part = checksum.part()
            for piece in _pieces(fd, offset, min(chunk, size - offset), buffer, from_thread.check_cancelled):
                part.update(piece)
                count.add(len(piece))
            digests[offset] = part.digest()

    async def report() -> None:
        while True:
            await anyio.sleep(_REPORT_EVERY)
            await progress(count.done, size, _MESSAGE)

    with typed_errors("The file being hashed", "the local file system"):
        try:
            async with anyio.create_task_group() as reporting:
                reporting.start_soon(report)
                async with anyio.create_task_group() as working:
                    limiter = anyio.CapacityLimiter(threads)
                    for _ in range(threads):
                        working.start_soon(_in_thread, work, limiter)
                reporting.cancel_scope.cancel()
        except BaseExceptionGroup as failures:
            raise first_failure(failures) from None
    _require_end(fd, size)
    await progress(size, size, _MESSAGE)
    return checksum.of_parts((digests[at], min(chunk, size - at)) for at in range(0, size, chunk))


def hash_open_file(fd: int, size: int, hash_type: str, checkpoint: Callable[[], None] = lambda: None) -> Hash:
    """As ``hash_file``, blocking, on the calling thread; ``checkpoint`` is called between pieces and may raise."""
    return _hash_whole(fd, size, Hasher(checksum_for(hash_type), size), _Count(), checkpoint)


class _Count:
    """Bytes done so far, added to by several threads."""

    def __init__(self) -> None:
        self.done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.done += count


async def _in_thread(work: Callable[[], None], limiter: anyio.CapacityLimiter) -> None:
    await to_thread.run_sync(work, limiter=limiter)


def _hash_whole(fd: int, size: int, whole: Hasher, count: _Count, checkpoint: Callable[[], None]) -> Hash:
    buffer = memoryview(bytearray(min(READ_SIZE, max(size, 1))))
    with typed_errors("The file being hashed", "the local file system"):
        for piece in _pieces(fd, 0, size, buffer, checkpoint):
            whole.update(piece)
            count.add(len(piece))
        _require_end(fd, size)
    return whole.value()


def _pieces(
    fd: int, offset: int, length: int, buffer: memoryview, checkpoint: Callable[[], None]
) -> Iterator[memoryview]:
    """The bytes [offset, offset + length), piece by piece; each piece is overwritten by the next."""
    end = offset + length
    while offset < end:
        checkpoint()
        read = os.preadv(fd, [buffer[: min(len(buffer), end - offset)]], offset)
        if read == 0:
            raise changed_while_read(offset, end)
        yield buffer[:read]
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
