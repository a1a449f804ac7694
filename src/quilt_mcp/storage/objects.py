"""Bytes of one object, wherever its store keeps them: hashed, or brought to a local file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anyio import to_thread

from quilt_mcp.domain.checksums import Buffer, checksum_for
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import HashMismatch, ObjectNotFound
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.store import Store
from quilt_mcp.storage.workers import for_each, overlapped

_CHUNK = 4 << 20
_PART_CHUNK = 2 << 20
"""Smaller pieces are more steps between threads; larger ones leave the processor's cache before they are hashed and written."""
_PARTS_AT_ONCE = 8
_PARTS_BYTES = 64 << 20
"""Parts under way have no more than this together (but two are, of whatever size)."""
_MESSAGE = "bytes read"


async def hash_object(
    store: Store, key: str, hash_type: str, *, size: int, version: str | None = None
) -> Hash:
    """The checksum of an object of ``size`` bytes; bounded memory. Raises HashMismatch when its size is another one."""
    if store.local_files is None:
        return await bring_object(store, key, hash_type, size=size, version=version)
    with os.fdopen(await to_thread.run_sync(store.local_files.open_file, key), "rb", 0) as file:
        if (found := os.fstat(file.fileno()).st_size) != size:
            raise _other_size(store, key, str(found), size)
        return await hash_file(file.fileno(), size, hash_type)


async def holds(store: Store, key: str, content: Hash, *, size: int) -> bool:
    """Whether an object of these bytes stands at ``key``. Reads it when it has their size."""
    with suppress(ObjectNotFound, HashMismatch):
        return await hash_object(store, key, content.type, size=size) == content
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
    starts = range(0, size, part_size)
    download = _Download(store, key, size, version, write, progress)
    digests: dict[int, bytes] = {}

    async def bring_part(start: int) -> None:
        part = checksum.part()
        await download.bring(start, min(part_size, size - start), part.update)
        digests[start] = part.digest()

    at_once = max(2, min(_PARTS_AT_ONCE, _PARTS_BYTES // part_size))
    await for_each(starts or (0,), at_once, bring_part)  # an object that should be empty is asked for, too
    return checksum.of_parts((digests[start], min(part_size, size - start)) for start in starts)


@dataclass(slots=True)
class _Download:
    """One object on its way. ``done``: bytes that came so far."""

    store: Store
    key: str
    size: int
    version: str | None
    write: Callable[[int, bytes | memoryview], None]
    progress: Progress
    done: int = 0

    async def bring(self, start: int, length: int, check: Callable[[Buffer], None]) -> None:
        """The bytes [start, start + length). The last are asked for without an end, to see that the object has one there."""
        at = start

        def take(chunk: bytes | memoryview) -> None:
            check(chunk)
            self.write(at, chunk)

        async def add(chunk: bytes | memoryview) -> None:
            nonlocal at
            if at + len(chunk) > start + length:
                raise _other_size(self.store, self.key, f"more than {self.size}", self.size)
            await to_thread.run_sync(take, chunk)
            at += len(chunk)
            self.done += len(chunk)
            await self.progress(self.done, self.size, _MESSAGE)

        is_whole = length == self.size
        stream = self.store.stream(
            self.key,
            offset=start,
            length=None if start + length == self.size else length,
            version=self.version,
            chunk_size=_CHUNK if is_whole else _PART_CHUNK,
        )
        if is_whole:
            await overlapped(stream, add)
        else:  # other parts are on their way meanwhile
            async for chunk in stream:
                await add(chunk)
        if at != start + length:
            raise _other_size(self.store, self.key, str(at), self.size)


@asynccontextmanager
async def local_file(
    store: Store, key: str, scratch: Path, *, version: str | None = None
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
        async for chunk in store.stream(key, version=version, chunk_size=_CHUNK):
            with typed_errors(subject, str(scratch)):
                await to_thread.run_sync(_write_all, copy, chunk)
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
