"""Bytes of one object, wherever its store keeps them: hashed, or brought to a local file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from anyio import to_thread

from quilt_mcp.domain.checksums import checksum_for
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, Tally, no_progress
from quilt_mcp.errors import HashMismatch, ObjectNotFound
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.hashing import hash_file, written_while_read
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.store import PIECE, Store
from quilt_mcp.storage.workers import collect, overlapped

_PARTS_AT_ONCE = 8
_HELD = 4 * PIECE
"""Bytes in memory of a part under way: a piece that comes, one that is hashed, and what the client holds of both."""
_MESSAGE = "bytes read"


async def hash_object(
    store: Store,
    key: str,
    hash_type: str,
    *,
    size: int,
    version: str | None = None,
    progress: Progress = no_progress,
) -> Hash:
    """The checksum of an object of ``size`` bytes; bounded memory. Raises HashMismatch when its size is another one, or it is
    written to meanwhile: parts of an object that has no version could be of two (a request before and one after show it)."""
    if store.local_files is None:
        in_parts = version is None and size > checksum_for(hash_type).part_size(size)
        before = await store.stat(key) if in_parts else None
        found = await bring_object(store, key, hash_type, size=size, version=version, progress=progress)
        if before is not None and (await store.stat(key)).etag != before.etag:
            raise written_while_read(str(store.physical_key(key)), size)
        return found
    with os.fdopen(await to_thread.run_sync(store.local_files.open_file, key), "rb", 0) as file:
        if (found := os.fstat(file.fileno()).st_size) != size:
            raise _other_size(store, key, str(found), size)
        return await hash_file(file.fileno(), size, hash_type, progress)


async def holds(
    store: Store, key: str, content: Hash, *, size: int, progress: Progress = no_progress
) -> bool:
    """Whether an object of these bytes stands at ``key``. Reads it when it has their size."""
    with suppress(ObjectNotFound, HashMismatch):
        return await hash_object(store, key, content.type, size=size, progress=progress) == content
    return False


def _discard(offset: int, chunk: bytes | memoryview) -> None:
    """The ``write`` of who only wants the checksum."""


async def bring_object(
    store: Store,
    key: str,
    hash_type: str,
    *,
    size: int,
    version: str | None = None,
    write: Callable[[int, bytes | memoryview], None] = _discard,
    progress: Progress = no_progress,
) -> Hash:
    """Hands the bytes of an object to ``write`` with the offset of each chunk, hashed on their way; the checksum of all.

    A large object comes in parts, a few at a time (where its checksum is made of parts'), so chunks come in any order and to
    several threads at once. Bounded memory. Raises HashMismatch when the object's size is another one than ``size``.
    """
    checksum = checksum_for(hash_type)
    part_size = checksum.part_size(size)
    tally = Tally(progress, size, _MESSAGE)

    async def bring_part(start: int) -> tuple[bytes, int]:
        part, at, end = checksum.part(), start, min(start + part_size, size)

        def take(chunk: bytes | memoryview) -> None:
            part.update(chunk)
            write(at, chunk)

        async def add(chunk: bytes | memoryview) -> None:
            nonlocal at
            if at + len(chunk) > end:
                raise _other_size(store, key, f"more than {size}", size)
            await to_thread.run_sync(take, chunk)
            at += len(chunk)
            await tally.add(len(chunk))

        length = None if end == size else part_size  # without an end, to see that the object has one there
        stream = store.stream(key, offset=start, length=length, version=version)
        async with limits().memory(min(end - start, _HELD)):
            if size <= part_size:
                await overlapped(stream, add)
            else:  # other parts are on their way meanwhile
                async for chunk in stream:
                    await add(chunk)
        if at != end:
            raise _other_size(store, key, str(at), size)
        return part.digest(), end - start

    starts = range(0, size, part_size) or (0,)  # an object that should be empty is asked for, too
    digests = await collect(starts, _PARTS_AT_ONCE, bring_part)
    return checksum.of_parts(digests if size else ())


@asynccontextmanager
async def local_file(
    store: Store,
    key: str,
    scratch: Path,
    *,
    version: str | None = None,
    progress: Progress = no_progress,
) -> AsyncGenerator[int]:
    """A read-only descriptor of the object's bytes: the file itself where it is local, else an unnamed copy in ``scratch``
    that is gone afterwards."""
    if store.local_files is not None:
        with os.fdopen(await to_thread.run_sync(store.local_files.open_file, key), "rb", 0) as file:
            yield file.fileno()
        return
    subject = "A copy in the making"
    with typed_errors(subject, str(scratch)):
        os.makedirs(scratch, mode=0o700, exist_ok=True)
        copy = tempfile.TemporaryFile(dir=scratch, buffering=0)  # noqa: SIM115 - closed below, where errors keep their type
    with copy:
        done = 0
        async for chunk in store.stream(key, version=version):
            with typed_errors(subject, str(scratch)):
                await to_thread.run_sync(_write_all, copy, chunk)
            done += len(chunk)
            await progress(done, None, _MESSAGE)
        yield copy.fileno()


def _write_all(file: IO[bytes], content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _other_size(store: Store, key: str, found: str, expected: int) -> HashMismatch:
    return HashMismatch(
        f"{store.physical_key(key)} has {found} bytes, not {expected}.",
        next_step="It was changed since it was packaged, or is being changed; call package_verify.",
        details={"physical_key": str(store.physical_key(key)), "found": found, "expected": expected},
    )
