"""Hashing files of this machine: known values, ranges, changes in mid-read, cancellation."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import anyio
import pytest

from quilt_mcp.domain import checksums
from quilt_mcp.errors import HashMismatch, NotSupported
from quilt_mcp.storage.hashing import hash_file, hash_open_file

MIB8 = 8 << 20
ZEROS = {
    0: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    5: "eQGvk6iASYSzsNjemHEEY66YzhBsEMdcopZAAuBAhPM=",
    MIB8 - 1: "6D2pq48irFt4HfUg5jZ5Mh0xLWnHtZnvhWpbUMHXGos=",
    MIB8: "MIsGKY+ykqN4CPj3gGGu4Gv03N7OWKWpsZqEf+OrGJs=",
    MIB8 + 1: "Y68lgvvPstmbueZHNVw/WNEIEX0Qxy01vyRB//bzz/g=",
}


def file_of(tmp_path: Path, content: bytes) -> int:
    (tmp_path / "file").write_bytes(content)
    return os.open(tmp_path / "file", os.O_RDONLY)


@pytest.mark.anyio
@pytest.mark.parametrize("size", ZEROS)
async def test_chunked_hashes_of_zeros_are_the_known_ones(tmp_path: Path, size: int) -> None:
    fd = file_of(tmp_path, b"\0" * size)
    found = await hash_file(fd, size, "sha2-256-chunked")
    assert (found.type, found.value) == ("sha2-256-chunked", ZEROS[size])
    assert hash_open_file(fd, size, "sha2-256-chunked") == found
    os.close(fd)


@pytest.mark.anyio
async def test_crc64_of_the_check_string_is_the_catalogued_one(tmp_path: Path) -> None:
    fd = file_of(tmp_path, b"123456789")
    assert (await hash_file(fd, 9, "CRC64NVME")).value == "rosUhgp5mIg="
    os.close(fd)


@pytest.mark.anyio
async def test_parts_hashed_in_parallel_equal_the_whole_hashed_in_order(tmp_path: Path) -> None:
    content = b"".join(hashlib.sha256(b"%d" % number).digest() * 8192 for number in range(70))
    fd = file_of(tmp_path, content)
    for hash_type in checksums.CHECKSUMS:
        found = await hash_file(fd, len(content), hash_type)
        assert found == checksums.hash_bytes(content, hash_type)
        assert hash_open_file(fd, len(content), hash_type) == found
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    os.close(fd)


@pytest.mark.anyio
async def test_an_unknown_type_is_not_supported(tmp_path: Path) -> None:
    fd = file_of(tmp_path, b"x")
    with pytest.raises(NotSupported):
        await hash_file(fd, 1, "md5")
    os.close(fd)


@pytest.mark.anyio
@pytest.mark.parametrize("announced", [0, 9, 11, MIB8 + 5, 3 * MIB8])
async def test_a_file_of_another_size_is_a_mismatch(tmp_path: Path, announced: int) -> None:
    fd = file_of(tmp_path, b"0123456789")
    with pytest.raises(HashMismatch) as caught:
        await hash_file(fd, announced, "sha2-256-chunked")
    assert caught.value.next_step
    os.close(fd)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [MIB8, 5 * MIB8])
async def test_when_a_cancelled_hash_returns_no_thread_reads_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    started, reads_after = threading.Event(), []
    is_over = False
    preadv = os.preadv

    def watched(fd: int, buffers: list[memoryview], offset: int) -> int:
        started.set()
        if is_over:
            reads_after.append(offset)
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", watched)
    fd = file_of(tmp_path, b"\1" * size)
    finished = False

    async def run() -> None:
        nonlocal finished
        await hash_file(fd, size, "sha2-256-chunked")
        finished = True

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.to_thread.run_sync(started.wait)
        group.cancel_scope.cancel()
    is_over = True
    os.close(fd)
    assert not finished
    assert reads_after == []
