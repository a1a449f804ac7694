"""Checksums as manifests hold them: SHA256 (legacy), sha2-256-chunked (what is written), CRC64NVME.

A checksum is one entry of ``CHECKSUMS``. A file is cut into parts of ``part_size`` bytes; the parts may be hashed in any order
and on any thread, and ``combine`` puts their digests together. ``Hasher`` does the same for a plain stream.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import NotSupported

SHA256: Final = "SHA256"
SHA256_CHUNKED: Final = "sha2-256-chunked"
CRC64NVME: Final = "CRC64NVME"

_SMALLEST_CHUNK: Final = 8 * 1024 * 1024
_MOST_CHUNKS: Final = 10_000
"""S3 takes no more parts in one multipart upload, and the chunks are those parts."""

Buffer = bytes | bytearray | memoryview
Parts = Iterable[tuple[bytes, int]]
"""The digest of each part and its length in bytes, in file order; none of the empty file."""


class PartHasher(Protocol):
    """Takes one part's bytes in order. Not shared between threads."""

    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Checksum:
    """How one type of hash is made of a file.

    ``splittable`` False: the file is one part. ``chunked``: the value depends on where the file is cut, which is by
    ``chunk_size``. ``s3_name``: S3's name of the algorithm that makes the same digest of a part, None where it has none.
    """

    name: str
    part: Callable[[], PartHasher]
    combine: Callable[[Parts], str]
    splittable: bool = True
    chunked: bool = False
    s3_name: str | None = None

    def part_size(self, size: int) -> int:
        """Bytes in each part (but the last) of a file of ``size`` bytes."""
        return chunk_size(size) if self.splittable else max(size, 1)

    def of_parts(self, parts: Parts) -> Hash:
        return Hash(self.name, self.combine(parts))


class Hasher:
    """Takes a file's bytes in order. ``value`` may be asked once, at the end."""

    def __init__(self, checksum: Checksum, size: int) -> None:
        """``size`` of the whole file says how it is cut."""
        self._checksum = checksum
        self._part_size = checksum.part_size(size)
        self._parts: list[tuple[bytes, int]] = []
        self._part = checksum.part()
        self._length = 0

    def update(self, data: Buffer, /) -> None:
        rest = memoryview(data).cast("B")
        while len(rest):
            piece = rest[: self._part_size - self._length]
            self._part.update(piece)
            self._length += len(piece)
            if self._length == self._part_size:
                self._end_part()
            rest = rest[len(piece) :]

    def value(self) -> Hash:
        if self._length:
            self._end_part()
        return self._checksum.of_parts(self._parts)

    def _end_part(self) -> None:
        self._parts.append((self._part.digest(), self._length))
        self._part, self._length = self._checksum.part(), 0


def chunk_size(size: int) -> int:
    """Bytes in each chunk (but the last) of a file of ``size`` bytes: 8 MiB, doubled until there are at most 10,000."""
    chunk = _SMALLEST_CHUNK
    while -(-size // chunk) > _MOST_CHUNKS:
        chunk *= 2
    return chunk


def checksum_for(hash_type: str) -> Checksum:
    """Raises NotSupported for a hash type that cannot be computed."""
    if hash_type not in CHECKSUMS:
        raise NotSupported(
            f"Hash type {hash_type[:100]!r} is not known; {', '.join(CHECKSUMS)} are.",
            next_step="Read the file without verification, or update quilt-mcp.",
            details={"hash_type": hash_type[:100], "supported": list(CHECKSUMS)},
        )
    return CHECKSUMS[hash_type]


def hash_bytes(data: Buffer, hash_type: str = SHA256_CHUNKED) -> Hash:
    """The checksum of bytes already in memory."""
    whole = Hasher(checksum_for(hash_type), len(data))
    whole.update(data)
    return whole.value()


class _Crc64:
    def __init__(self) -> None:
        from awscrt.checksums import crc64nvme  # pyright: ignore[reportMissingTypeStubs]

        self._update = cast("Callable[[Buffer, int], int]", crc64nvme)
        self._crc = 0

    def update(self, data: Buffer, /) -> None:
        self._crc = self._update(data, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(8, "big")


def _only_digest(parts: Parts) -> str:
    [digest] = [digest for digest, _ in parts] or [hashlib.sha256().digest()]
    return digest.hex()


def _sha256_of_digests(parts: Parts) -> str:
    return _base64(hashlib.sha256(b"".join(digest for digest, _ in parts)).digest())


def _crc64_of_all(parts: Parts) -> str:
    from awscrt.checksums import combine_crc64nvme  # pyright: ignore[reportMissingTypeStubs]

    crc = 0
    for digest, length in parts:
        crc = combine_crc64nvme(crc, int.from_bytes(digest, "big"), length)
    return _base64(crc.to_bytes(8, "big"))


def _base64(digest: bytes) -> str:
    return b2a_base64(digest, newline=False).decode()


CHECKSUMS: Final = {
    checksum.name: checksum
    for checksum in (
        Checksum(SHA256, hashlib.sha256, _only_digest, splittable=False),
        Checksum(SHA256_CHUNKED, hashlib.sha256, _sha256_of_digests, chunked=True, s3_name="SHA256"),
        Checksum(CRC64NVME, _Crc64, _crc64_of_all, s3_name="CRC64NVME"),
    )
}
