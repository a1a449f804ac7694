"""Checksums against published vectors, and the refusal of what is not known."""

from __future__ import annotations

import hashlib

import pytest

from quilt_mcp.domain.checksums import CHECKSUMS, Checksum, Hasher, checksum_for, chunk_size, hash_bytes
from quilt_mcp.errors import NotSupported

_MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "value"),
    [
        (0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        (5, "eQGvk6iASYSzsNjemHEEY66YzhBsEMdcopZAAuBAhPM="),
        (8 * _MIB - 1, "6D2pq48irFt4HfUg5jZ5Mh0xLWnHtZnvhWpbUMHXGos="),
        (8 * _MIB, "MIsGKY+ykqN4CPj3gGGu4Gv03N7OWKWpsZqEf+OrGJs="),
        (8 * _MIB + 1, "Y68lgvvPstmbueZHNVw/WNEIEX0Qxy01vyRB//bzz/g="),
    ],
)
def test_chunked_sha256_of_zeros(size: int, value: str) -> None:
    assert hash_bytes(bytes(size)).value == value


def test_crc64nvme_of_its_check_string() -> None:
    assert hash_bytes(b"123456789", "CRC64NVME").value == "rosUhgp5mIg="
    assert hash_bytes(b"", "CRC64NVME").value == "AAAAAAAAAAA="


def test_chunks_double_rather_than_pass_ten_thousand() -> None:
    assert chunk_size(0) == chunk_size(83_886_080_000) == 8 * _MIB
    assert chunk_size(83_886_080_001) == 16 * _MIB
    assert chunk_size(5 * 2**40) == 2**30


def test_an_unknown_hash_type_is_named_in_the_refusal() -> None:
    for make in (lambda: checksum_for("md5"), lambda: hash_bytes(b"", "md5")):
        with pytest.raises(NotSupported, match="'md5'"):
            make()


def test_the_legacy_checksum_is_made_of_one_part_whatever_the_size() -> None:
    legacy = checksum_for("SHA256")
    assert legacy.part_size(5 * 2**40) == 5 * 2**40
    assert legacy.of_parts([]).value == legacy.of_parts([(legacy.part().digest(), 0)]).value
    with pytest.raises(ValueError):
        legacy.of_parts([(b"1", 1), (b"2", 1)])


def test_a_new_checksum_is_one_entry_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Checksum("sha1-test", hashlib.sha1, lambda parts: ",".join(f"{d.hex()}:{n}" for d, n in parts))
    monkeypatch.setitem(CHECKSUMS, new.name, new)
    content = bytes(8 * _MIB) + b"rest"
    assert hash_bytes(content, "sha1-test").value == (
        f"{hashlib.sha1(bytes(8 * _MIB)).hexdigest()}:{8 * _MIB},{hashlib.sha1(b'rest').hexdigest()}:4"
    )
    pieces = Hasher(new, len(content))
    for start in range(0, len(content), 3 * _MIB + 1):
        pieces.update(content[start : start + 3 * _MIB + 1])
    assert pieces.value() == hash_bytes(content, "sha1-test")
    with pytest.raises(NotSupported, match="sha1-test"):
        hash_bytes(b"", "md5")
