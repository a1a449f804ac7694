"""Checksums as manifests hold them: SHA256 (legacy), sha2-256-chunked (what is written), CRC64NVME.

A file is cut into parts of ``chunk_size(size)`` bytes; parts of the two splittable types may be hashed in any order
and on any thread (``PartHasher``) and are put together by ``combine``. ``hasher`` does the same for a plain stream.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from typing import Final, Protocol, cast

from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import NotSupported

SHA256: Final = "SHA256"
SHA256_CHUNKED: Final = "sha2-256-chunked"
CRC64NVME: Final = "CRC64NVME"
DEFAULT: Final = SHA256_CHUNKED
SUPPORTED: Final = (SHA256, SHA256_CHUNKED, CRC64NVME)
SPLITTABLE: Final = frozenset({SHA256_CHUNKED, CRC64NVME})

_SMALLEST_CHUNK: Final = 8 * 1024 * 1024
_MOST_CHUNKS: Final = 10_000
"""S3 takes no more parts in one multipart upload, and the chunks are those parts."""

Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    """Takes a file's bytes in order. ``value`` may be asked once, at the end."""

    def update(self, data: Buffer, /) -> None: ...

    def value(self) -> Hash: ...


class PartHasher(Protocol):
    """Takes one part's bytes in order. ``digest`` is what ``combine`` wants for it. Not shared between threads."""

    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


def chunk_size(size: int) -> int:
    """Bytes in each part (but the last) of a file of ``size`` bytes: 8 MiB, doubled until there are at most 10,000."""
    chunk = _SMALLEST_CHUNK
    while -(-size // chunk) > _MOST_CHUNKS:
        chunk *= 2
    return chunk


def check_supported(hash_type: str) -> None:
    """Raises NotSupported for a hash type that cannot be computed."""
    if hash_type not in SUPPORTED:
        raise NotSupported(
            f"Hash type {hash_type[:100]!r} is not known; {', '.join(SUPPORTED)} are.",
            next_step="Read the file without verification, or update quilt-mcp.",
            details={"hash_type": hash_type[:100], "supported": list(SUPPORTED)},
        )


def hasher(hash_type: str, size: int) -> Hasher:
    """For a whole file of ``size`` bytes (which sets the chunk size). Raises NotSupported for an unknown type."""
    check_supported(hash_type)
    if hash_type == SHA256_CHUNKED:
        return _ChunkedSha256(chunk_size(size))
    return _WholeSha256() if hash_type == SHA256 else _WholeCrc64()


def part_hasher(hash_type: str) -> PartHasher:
    """For one part. Raises NotSupported for types that are not ``SPLITTABLE``."""
    if hash_type == SHA256_CHUNKED:
        return hashlib.sha256()
    if hash_type == CRC64NVME:
        return _Crc64()
    check_supported(hash_type)
    raise NotSupported(f"{hash_type} cannot be computed in parts.", next_step="Hash the whole stream.")


def combine(hash_type: str, parts: Iterable[tuple[bytes, int]]) -> Hash:
    """The checksum of a file from its parts' (digest, length in bytes), in file order. No part: the empty file."""
    if hash_type == SHA256_CHUNKED:
        whole = hashlib.sha256()
        for digest, _ in parts:
            whole.update(digest)
        return Hash(SHA256_CHUNKED, _base64(whole.digest()))
    if hash_type == CRC64NVME:
        from awscrt.checksums import combine_crc64nvme  # pyright: ignore[reportMissingTypeStubs]

        crc = 0
        for digest, length in parts:
            crc = combine_crc64nvme(crc, int.from_bytes(digest, "big"), length)
        return Hash(CRC64NVME, _base64(crc.to_bytes(8, "big")))
    check_supported(hash_type)
    raise NotSupported(f"{hash_type} cannot be combined from parts.", next_step="Hash the whole stream.")


def hash_bytes(data: Buffer, hash_type: str = DEFAULT) -> Hash:
    """The checksum of bytes already in memory."""
    whole = hasher(hash_type, len(data))
    whole.update(data)
    return whole.value()


class _ChunkedSha256:
    def __init__(self, chunk: int) -> None:
        self._chunk = chunk
        self._room = chunk
        self._part = hashlib.sha256()
        self._whole = hashlib.sha256()

    def update(self, data: Buffer, /) -> None:
        rest = memoryview(data).cast("B")
        while len(rest) >= self._room:
            self._part.update(rest[: self._room])
            self._whole.update(self._part.digest())
            rest = rest[self._room :]
            self._part = hashlib.sha256()
            self._room = self._chunk
        if len(rest):
            self._part.update(rest)
            self._room -= len(rest)

    def value(self) -> Hash:
        if self._room < self._chunk:
            self._whole.update(self._part.digest())
            self._room = self._chunk
        return Hash(SHA256_CHUNKED, _base64(self._whole.digest()))


class _WholeSha256:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: Buffer, /) -> None:
        self._hash.update(data)

    def value(self) -> Hash:
        return Hash(SHA256, self._hash.hexdigest())


class _Crc64:
    def __init__(self) -> None:
        from awscrt.checksums import crc64nvme  # pyright: ignore[reportMissingTypeStubs]

        self._update = cast("Callable[[Buffer, int], int]", crc64nvme)
        self._crc = 0

    def update(self, data: Buffer, /) -> None:
        self._crc = self._update(data, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(8, "big")


class _WholeCrc64(_Crc64):
    def value(self) -> Hash:
        return Hash(CRC64NVME, _base64(self.digest()))


def _base64(digest: bytes) -> str:
    return b2a_base64(digest, newline=False).decode()
