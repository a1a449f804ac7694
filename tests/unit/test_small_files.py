"""Small files are read whole, or left to those who look closer."""

from __future__ import annotations

from pathlib import Path

import pytest
from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.errors import ObjectNotFound
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.registry.writing.small_files import Read, read_small_files
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.s3.uploads import MULTIPART_FROM

pytestmark = pytest.mark.anyio


def incoming(path: Path) -> Incoming:
    return Incoming(str(path), 0, {}, PhysicalKey(None, str(path)))


async def read(*paths: Path, root: Path) -> dict[str, Read]:
    stores = LocalStores([], [root, Path("/proc")])
    return await to_thread.run_sync(read_small_files, stores, [incoming(path) for path in paths])


async def test_files_of_one_folder_and_of_others_are_read_in_any_order(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "deep/b", "c", "deep/er/d", "deep/e")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    expected = {str(path): Read(path.name.encode(), hash_bytes(path.name.encode())) for path in paths}
    assert await read(*paths, root=tmp_path) == expected


async def test_what_has_grown_large_or_has_more_bytes_than_it_says_is_left_out(tmp_path: Path) -> None:
    large, last = tmp_path / "large", tmp_path / "last"
    large.write_bytes(bytes(MULTIPART_FROM))
    last.write_bytes(bytes(MULTIPART_FROM - 1))
    assert list(await read(large, Path("/proc/version"), last, root=tmp_path)) == [str(last)]


@pytest.mark.parametrize("gone", ["gone", "gone/with/its/folder"])
async def test_what_is_gone_is_told(tmp_path: Path, gone: str) -> None:
    with pytest.raises(ObjectNotFound, match="gone"):
        await read(tmp_path / gone, root=tmp_path)
