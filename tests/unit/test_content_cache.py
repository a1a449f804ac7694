"""What is kept of files by their hashes: nothing stays open or half made, whatever ends the call."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path

import anyio
import pytest

from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.storage.content import ContentCache, Write
from quilt_mcp.storage.private import SCRATCH, PrivateFolder

pytestmark = pytest.mark.anyio
BODY = b"what is kept" * 1_000
CONTENT = Hash("SHA256", hashlib.sha256(BODY).hexdigest())


class Weighed:
    """A bound whose work takes long enough to be cancelled before."""

    def saved(self, path: Path, size: int) -> None:
        pass


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize("how", ["cancelled", "failed", "cancelled after it came"])
async def test_what_ends_in_the_middle_leaves_nothing_open_or_half_made(tmp_path: Path, how: str) -> None:
    cache = ContentCache(PrivateFolder(tmp_path / "cache"), Weighed())  # type: ignore[arg-type]
    before = open_files()
    with anyio.CancelScope() as scope:

        async def bring(write: Write) -> None:
            write(0, BODY[:100])
            if how == "failed":
                raise StorageUnavailable("gone")
            scope.cancel()
            if how == "cancelled":
                await anyio.sleep_forever()
            write(100, BODY[100:])

        if how == "failed":
            with pytest.raises(StorageUnavailable):
                await cache.open(CONTENT, len(BODY), bring)
        else:
            await cache.open(CONTENT, len(BODY), bring)
            raise AssertionError("it was cancelled")
    assert open_files() == before
    assert [*(tmp_path / "cache" / SCRATCH).iterdir()] == []


async def test_what_was_brought_is_read_whoever_removes_it_meanwhile(tmp_path: Path) -> None:
    class Removing:
        def saved(self, path: Path, size: int) -> None:
            path.unlink()

    cache = ContentCache(PrivateFolder(tmp_path / "cache"), Removing())  # type: ignore[arg-type]

    async def bring(write: Write) -> None:
        write(0, BODY)

    for _ in range(2):
        with os.fdopen(await cache.open(CONTENT, len(BODY), bring), "rb") as file:
            assert file.read() == BODY


async def test_no_more_open_files_is_said_as_that(tmp_path: Path) -> None:
    cache = ContentCache(PrivateFolder(tmp_path / "cache"), None)
    brought = 0

    async def bring(write: Write) -> None:
        nonlocal brought
        brought += 1
        write(0, BODY)

    os.close(await cache.open(CONTENT, len(BODY), bring))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(StorageUnavailable):
            await cache.open(CONTENT, len(BODY), bring)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert brought == 1
