"""Bytes of one object, wherever its store keeps them: hashed, or brought to a local file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from anyio import to_thread

from quilt_mcp.domain.checksums import hasher
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.os_errors import typed_errors
from quilt_mcp.storage.store import HasLocalFiles, Store
from quilt_mcp.storage.workers import overlapped

_CHUNK = 4 << 20


async def hash_object(
    store: Store,
    key: str,
    hash_type: str,
    *,
    size: int,
    version: str | None = None,
    progress: Progress = no_progress,
) -> Hash:
    """The checksum of an object of ``size`` bytes; bounded memory. Raises HashMismatch when its size is another one."""
    if isinstance(store, HasLocalFiles):
        descriptor = await to_thread.run_sync(store.open_file, key)
        try:
            _require_size(store, key, os.fstat(descriptor).st_size, size)
            return await hash_file(descriptor, size, hash_type, progress)
        finally:
            os.close(descriptor)
    check = hasher(hash_type, size)
    done = 0

    async def add(chunk: bytes | memoryview) -> None:
        nonlocal done
        await to_thread.run_sync(check.update, chunk)
        done += len(chunk)
        await progress(done, size, "bytes hashed")

    await overlapped(store.stream(key, version=version, chunk_size=_CHUNK), add)
    _require_size(store, key, done, size)
    return check.value()


@asynccontextmanager
async def local_file(
    store: Store, key: str, scratch: Path, *, version: str | None = None
) -> AsyncGenerator[int]:
    """A read-only descriptor of the object's bytes: the file itself where it is local, else an unnamed copy in ``scratch``
    that is gone afterwards."""
    if isinstance(store, HasLocalFiles):
        descriptor = await to_thread.run_sync(store.open_file, key)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
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


def _require_size(store: Store, key: str, found: int, expected: int) -> None:
    if found != expected:
        raise HashMismatch(
            f"{store.physical_key(key)} has {found} bytes, not {expected}.",
            next_step="It was changed since it was packaged, or is being changed; call package_verify.",
            details={"physical_key": str(store.physical_key(key)), "found": found, "expected": expected},
        )
