"""Checksums against quilt3's own calculators."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from quilt3 import checksums as theirs

from quilt_mcp.domain import checksums as ours
from quilt_mcp.domain.entry import Hash

_MIB = 1024 * 1024


@given(st.integers(0, 6 * 2**40))
@example(0)
@example(83_886_080_000)
@example(83_886_080_001)
@example(5 * 2**40)
def test_chunks_are_as_large_as_quilt3s(size: int) -> None:
    assert ours.chunk_size(size) == theirs.get_checksum_chunksize(size)


@pytest.mark.parametrize("hash_type", ["sha2-256-chunked", "CRC64NVME"])
@pytest.mark.parametrize("size", [0, 1, 5, 8 * _MIB - 1, 8 * _MIB, 8 * _MIB + 1, 20 * _MIB + 3])
def test_a_stream_of_any_pieces_has_the_checksum_quilt3_finds(hash_type: str, size: int) -> None:
    rng = random.Random(size)
    content = rng.randbytes(size)
    hasher = ours.Hasher(ours.checksum_for(hash_type), size)
    start = 0
    while start < size:
        end = start + rng.choice((1, 1000, _MIB, 9 * _MIB))
        hasher.update(memoryview(content)[start:end])
        start = end
    expected = theirs.calculate_multipart_checksum_bytes(content, checksum_type=hash_type)
    assert hasher.value() == Hash(hash_type, expected)


@pytest.mark.parametrize("hash_type", ["sha2-256-chunked", "CRC64NVME"])
@pytest.mark.parametrize("size", [0, 1, 8 * _MIB, 17 * _MIB])
def test_parts_hashed_apart_combine_to_the_checksum_quilt3_finds(hash_type: str, size: int) -> None:
    content = random.Random(size).randbytes(size)
    checksum = ours.checksum_for(hash_type)
    parts = []
    for start in range(0, size, checksum.part_size(size)):
        part = content[start : start + checksum.part_size(size)]
        hasher = checksum.part()
        hasher.update(part)
        parts.append((hasher.digest(), len(part)))
    expected = theirs.calculate_multipart_checksum_bytes(content, checksum_type=hash_type)
    assert checksum.of_parts(parts) == Hash(hash_type, expected)


def test_the_legacy_checksum_is_quilt3s() -> None:
    content = b"hello\n" * 1000
    assert ours.hash_bytes(content, "SHA256").value == theirs.legacy_calculate_checksum_bytes(content)
    assert ours.hash_bytes(content, "SHA256").value == hashlib.sha256(content).hexdigest()
