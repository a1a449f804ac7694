"""Our hashes of files equal quilt3's, around every border of a chunk and of a read."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quilt3.data_transfer import FileChecksumTask, calculate_multipart_checksum, legacy_calculate_checksum
from quilt3.util import PhysicalKey

from quilt_mcp.storage.hashing import hash_file

READ = 256 << 10
CHUNK = 8 << 20
BORDERS = [
    0,
    1,
    READ - 1,
    READ,
    READ + 1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK - 1,
    2 * CHUNK,
    3 * CHUNK + READ + 7,
]


def theirs(path: Path, hash_type: str) -> str:
    key, size = PhysicalKey.from_path(path), path.stat().st_size
    if hash_type == "SHA256":
        (found,) = legacy_calculate_checksum([key], [size])
    else:
        (found,) = calculate_multipart_checksum([FileChecksumTask.create(key, size, hash_type)])
    assert isinstance(found, str)
    return found


def ours(path: Path, hash_type: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return anyio.run(hash_file, fd, path.stat().st_size, hash_type).value
    finally:
        os.close(fd)


@pytest.mark.sampled(12)
@pytest.mark.parametrize("hash_type", ["sha2-256-chunked", "CRC64NVME", "SHA256"])
@pytest.mark.parametrize("size", BORDERS)
def test_hashes_equal_quilt3s_at_the_borders(tmp_path: Path, size: int, hash_type: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1 << 16) * (size >> 16) + os.urandom(size & 0xFFFF))
    assert path.stat().st_size == size
    assert ours(path, hash_type) == theirs(path, hash_type)


@settings(max_examples=settings.default.max_examples // 5)
@given(
    chunks=st.integers(0, 2),
    beyond=st.integers(-3, 3),
    reads=st.integers(0, 3),
    hash_type=st.sampled_from(["sha2-256-chunked", "CRC64NVME"]),
)
def test_hashes_equal_quilt3s_at_generated_sizes(
    tmp_path_factory: pytest.TempPathFactory, chunks: int, beyond: int, reads: int, hash_type: str
) -> None:
    size = max(0, chunks * CHUNK + reads * READ + beyond)
    path = tmp_path_factory.mktemp("hash") / "file"
    with path.open("wb") as file:
        file.write(os.urandom(min(size, 1 << 20)))
        file.truncate(size)
    assert ours(path, hash_type) == theirs(path, hash_type)
    path.unlink()
