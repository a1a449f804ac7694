"""Manifest bytes and top hashes against the real quilt3, both ways, over generated packages."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable

import packages
import pytest
import quilt3

from parts.manifests import opened, records
from quilt_mcp.domain.entry import Entry, Header, Record
from quilt_mcp.domain.manifest.codec import IntegralFloat, encode_header, encode_record
from quilt_mcp.domain.manifest.top_hash import TopHash
from quilt_mcp.errors import CorruptManifest, InvalidMetadata

_BLOCK = 50
_BLOCKS = range(0, packages.COUNT, _BLOCK)


def dumped(package: quilt3.Package) -> bytes:
    out = io.BytesIO()
    package.dump(out)
    return out.getvalue()


def written(header: Header, records: Iterable[Record]) -> tuple[bytes, str]:
    top_hash = TopHash(header)
    lines = [encode_header(header)]
    for record in records:
        if isinstance(record, Entry):
            top_hash.add(record)
        lines.append(encode_record(record))
    return b"".join(lines), top_hash.hexdigest()


@pytest.mark.sampled(7)
@pytest.mark.parametrize("first", _BLOCKS)
def test_our_manifests_and_top_hashes_are_those_quilt3_makes(first: int) -> None:
    for seed in range(first, min(first + _BLOCK, packages.COUNT)):
        spec = packages.generate(seed)
        theirs = packages.quilt3_package(spec)
        ours, top_hash = written(packages.header(spec), packages.records(spec))
        assert ours == dumped(theirs), f"seed {seed}"
        assert top_hash == theirs.top_hash, f"seed {seed}"


@pytest.mark.sampled(6)
@pytest.mark.parametrize("first", _BLOCKS)
def test_a_manifest_of_quilt3_is_read_and_written_again_byte_for_byte(first: int) -> None:
    for seed in range(first, min(first + _BLOCK, packages.COUNT)):
        theirs = packages.quilt3_package(packages.generate(seed))
        data = dumped(theirs)
        manifest = opened(data, block=random.Random(seed).choice((1, 100, 4096, 1 << 20)))
        again, top_hash = written(manifest.header, records(manifest))
        assert again == data, f"seed {seed}"
        assert top_hash == theirs.top_hash, f"seed {seed}"
        assert manifest.find_hash() == theirs.top_hash, f"seed {seed}"


@pytest.mark.sampled(8)
@pytest.mark.parametrize("first", _BLOCKS)
def test_quilt3_loads_what_we_write_into_the_same_package(first: int) -> None:
    for seed in range(first, min(first + _BLOCK, packages.COUNT)):
        spec = packages.generate(seed)
        ours, top_hash = written(packages.header(spec), packages.records(spec))
        loaded = quilt3.Package.load(io.BytesIO(ours))
        assert loaded.top_hash == top_hash, f"seed {seed}"
        assert [key for key, _ in loaded.walk()] == spec.sorted_keys, f"seed {seed}"
        assert dumped(loaded) == ours, f"seed {seed}"


def foreign_line(**changes: object) -> bytes:
    """A manifest of one entry that some other writer made."""
    line = {
        "logical_key": "a",
        "physical_keys": ["s3://bucket/a"],
        "size": 6,
        "hash": {"type": "SHA256", "value": "0" * 64},
        "meta": {},
    }
    line.update(changes)
    return (
        b'{"version": "v0"}\n' + json.dumps({k: v for k, v in line.items() if v is not ...}).encode() + b"\n"
    )


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(foreign_line(size=6.0), id="size is a float"),
        pytest.param(foreign_line(size=1e15), id="size is a large float"),
        pytest.param(foreign_line(meta=None), id="meta is null"),
        pytest.param(foreign_line(meta=[]), id="meta is an empty list"),
        pytest.param(foreign_line(meta={"user_meta": None}), id="user metadata is null"),
        pytest.param(foreign_line(meta={"user_meta": {"x": float("nan")}}), id="NaN in metadata"),
        pytest.param(foreign_line(meta={"user_meta": {"x": float("inf")}}), id="infinity in metadata"),
        pytest.param(foreign_line(meta={"user_meta": {"x": "\ud800"}}), id="lone surrogate in metadata"),
        pytest.param(foreign_line(physical_keys=["s3://bucket/a", "s3://bucket/b"]), id="two physical keys"),
        pytest.param(foreign_line(unknown=1), id="unknown field of an entry"),
        pytest.param(foreign_line(hash={"value": "x", "type": "y"}), id="hash fields in another order"),
        pytest.param(foreign_line().replace(b"\n", b"\r\n"), id="carriage returns"),
        pytest.param(foreign_line()[:-1], id="no newline at the end"),
        pytest.param(foreign_line(meta={"user_meta": {"x": 0}}).replace(b"0}}", b"-0}}"), id="minus zero"),
        pytest.param(
            foreign_line(meta={"user_meta": {"x": 0}}).replace(b"0}}", b"1E400}}"),
            id="float beyond all bounds",
        ),
        pytest.param(
            foreign_line(meta={"user_meta": {"x": 0}}).replace(b'{"x": 0}', b'{"x":1,"y":2,"x":3}'),
            id="field twice",
        ),
        pytest.param(foreign_line().replace(b": ", b":").replace(b", ", b","), id="no spaces"),
        pytest.param(
            foreign_line().replace(b'"v0"', b'"v0", "top_hash": "abc"'), id="obsolete top_hash field"
        ),
        pytest.param(foreign_line().replace(b'"version": "v0"', b""), id="no version"),
        pytest.param(foreign_line(logical_key="\u007f\u0080"), id="escaped delete"),
    ],
)
def test_top_hashes_of_foreign_manifests_are_quilt3s(manifest: bytes) -> None:
    theirs = quilt3.Package.load(io.StringIO(manifest.decode(), newline=None))
    ours = opened(manifest)
    top_hash = TopHash(ours.header)
    for entry in ours.entries():
        top_hash.add(entry)
    assert top_hash.hexdigest() == theirs.top_hash
    assert ours.find_hash() == theirs.top_hash


def test_a_size_spelled_as_a_float_is_a_plain_number_that_is_written_as_it_was() -> None:
    entry = next(opened(foreign_line(size=6.0)).entries())
    assert entry.size == 6
    assert isinstance(entry.size, IntegralFloat)
    assert b'"size": 6.0,' in encode_record(entry)


def test_entries_in_another_order_have_the_top_hash_that_quilt3_finds_by_sorting() -> None:
    keys = ["b", "a/x", "a-b", "a.b", "c/d/e", "c/a"]
    lines = [foreign_line(logical_key=key).splitlines(keepends=True)[1] for key in keys]
    manifest = b'{"version": "v0"}\n' + b"".join(lines)
    assert opened(manifest).find_hash() == quilt3.Package.load(io.BytesIO(manifest)).top_hash


@pytest.mark.parametrize(
    "meta",
    [
        pytest.param({"x": float("nan")}, id="NaN"),
        pytest.param({"x": float("-inf")}, id="infinity"),
        pytest.param({"x": {1, 2}}, id="a set"),
        pytest.param({"x": b"bytes"}, id="bytes"),
        pytest.param({"x": "\udc80"}, id="lone surrogate"),
        pytest.param({"x": "y" * 1_000_000}, id="more than a megabyte"),
    ],
)
def test_metadata_that_quilt3_cannot_write_is_refused(meta: dict[str, object]) -> None:
    spec = packages.PackageSpec(0, "a/b", {"k": packages.EntrySpec(b"", meta, url="s3://bucket/k")})
    with pytest.raises(Exception) as theirs:
        dumped(packages.quilt3_package(spec))
    assert not isinstance(theirs.value, AssertionError)
    with pytest.raises(InvalidMetadata, match="'k'"):
        encode_record(next(packages.entries(spec)))


def test_a_record_may_be_exactly_as_large_as_quilt3_allows() -> None:
    spec = packages.PackageSpec(0, "a/b", {"k": packages.EntrySpec(b"", {"x": ""}, url="s3://bucket/k")})
    room = 1_000_000 - (len(encode_record(next(packages.entries(spec)))) - 1)
    spec.entries["k"].user_meta = {"x": "y" * room}
    assert written(packages.header(spec), packages.records(spec))[0] == dumped(packages.quilt3_package(spec))
    spec.entries["k"].user_meta = {"x": "y" * (room + 1)}
    with pytest.raises(InvalidMetadata, match="1,000,001 bytes"):
        encode_record(next(packages.entries(spec)))
    with pytest.raises(quilt3.util.QuiltException, match="1000001 bytes"):
        dumped(packages.quilt3_package(spec))


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]\n", id="header is a list"),
        pytest.param(b"null\n", id="header is null"),
        pytest.param(foreign_line() + b"\n", id="blank line"),
        pytest.param(foreign_line() + foreign_line().splitlines(keepends=True)[1], id="duplicate key"),
        pytest.param(foreign_line(meta=...), id="no meta"),
        pytest.param(foreign_line(hash=...), id="no hash"),
        pytest.param(foreign_line(size=...), id="no size"),
        pytest.param(foreign_line(logical_key=...), id="no logical key"),
        pytest.param(foreign_line(logical_key=5), id="logical key is a number"),
        pytest.param(foreign_line(physical_keys="x"), id="physical keys are a string"),
        pytest.param(foreign_line()[:-9], id="cut short"),
        pytest.param(b'{"version": "v0"}\n\xff\xfe\n', id="not UTF-8"),
        pytest.param(
            foreign_line(meta={"x": 0}).replace(b"0}", b"9" * 5000 + b"}"), id="integer of 5,000 digits"
        ),
        pytest.param(
            foreign_line(meta={"x": 0}).replace(b"0}", b"[" * 300_000 + b"]" * 300_000 + b"}"),
            id="300,000 deep",
        ),
    ],
)
def test_what_quilt3_cannot_read_is_a_corrupt_manifest(manifest: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017 - quilt3 has no one error for this
        quilt3.Package.load(io.BytesIO(manifest)).top_hash  # noqa: B018
    with pytest.raises(CorruptManifest) as ours:
        opened(manifest)
    assert ours.value.details.get("line", 1) >= 1
