"""C9: a flipped bit in any object or manifest is found out by a verified read, and by verify."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from keepers import Bucket, Folder, Keeper
from s3_registry import S3Registry

from parts.faults import FlipUploadedBit
from parts.manifests import true_hash
from parts.proxy import Proxy
from parts.s3_access import S3Access, make_bucket
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.manifest.codec import decode_header, decode_record
from quilt_mcp.domain.manifest.top_hash import TopHash
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest
from quilt_mcp.errors import CorruptManifest, HashMismatch, QuiltError

pytestmark = pytest.mark.anyio

CONTENT = b"The bits of this file are flipped, one after the other."


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keeper]:
    if request.param == "folder":
        (tmp_path / "registry").mkdir()
        yield Folder(tmp_path)
        return
    moto: S3Access = request.getfixturevalue("moto")
    with moto.boto() as raw:
        yield Bucket(tmp_path, moto, S3Registry(raw, make_bucket(raw, versioned=False)))


def every(kept: Keeper, folder: int, bucket: int) -> int:
    """Over the wire a look costs some milliseconds: there fewer bits are flipped."""
    return folder if isinstance(kept, Folder) else bucket


async def created(kept: Keeper, hash_type: str) -> tuple[PackageUri, str]:
    """A package of one file that is recorded with this hash type, and the key of its manifest."""
    ops = kept.opened()
    package = PackageUri(ops.default_registry, "a/b")
    files = (InlineFile("d/f", CONTENT, metadata={"é": [1, 2.5, None]}),)
    commit = await ops.create(CreateRequest(package, files=files, metadata={"k": "v"}, message="m"))
    header, record = kept.get(f".quilt/packages/{commit.top_hash}").decode().splitlines()
    value = hash_bytes(CONTENT, hash_type).value
    record = json.dumps(
        {**json.loads(record), "hash": {"type": hash_type, "value": value}}, ensure_ascii=False
    )
    top_hash = TopHash(decode_header(header.encode()))
    entry = decode_record(record.encode(), 2)
    assert isinstance(entry, Entry)
    top_hash.add(entry)
    manifest = f".quilt/packages/{top_hash.hexdigest()}"
    kept.set(manifest, f"{header}\n{record}\n".encode())
    for tag in ("latest", "1700000000"):
        kept.set(f".quilt/named_packages/a/b/{tag}", top_hash.hexdigest().encode())
    assert (await ops.verify(package)).ok
    return replace(package, path="d/f"), manifest


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("hash_type", ["SHA256", "sha2-256-chunked", "CRC64NVME"])
async def test_any_flipped_bit_of_an_object_is_found_by_reading_and_by_verify(
    hash_type: str, kept: Keeper
) -> None:
    package, _ = await created(kept, hash_type)
    ops = kept.opened()
    place = kept.key_of((await ops.stat(package)).physical_key or "")
    for bit in range(0, len(CONTENT) * 8, every(kept, 1, 5)):
        kept.set(place, flipped(CONTENT, bit))
        with pytest.raises(HashMismatch):
            await ops.read(package)
        if bit % 20 == 0:
            report = await ops.verify(package)
            assert [problem.problem for problem in report.problems] == ["hash"]
            with pytest.raises(HashMismatch):
                await ops.install(package, str(kept.root / "installed"))
    kept.set(place, CONTENT)
    assert (await ops.read(package)).verified


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "step",
    [pytest.param(11, id="every eleventh bit"), pytest.param(1, id="every bit", marks=pytest.mark.nightly)],
)
async def test_any_flipped_bit_of_a_manifest_is_found_by_verify_or_changes_nothing(
    step: int, kept: Keeper
) -> None:
    """The top hash covers all but physical keys and the metadata of folders. Of a physical key a flipped bit leads to other
    bytes, which verify finds out, or it is another spelling of the same place."""
    package, manifest = await created(kept, "sha2-256-chunked")
    content = kept.get(manifest)
    ops = kept.opened()
    before = await ops.stat(package)
    found: dict[str, int] = {"refused": 0, "told": 0, "same": 0}
    for bit in range(0, len(content) * 8, every(kept, step, step * 5)):
        kept.set(manifest, flipped(content, bit))
        try:
            report = await ops.verify(replace(package, path=None))
        except CorruptManifest:
            found["refused"] += 1
            continue
        if not report.ok:
            found["told"] += 1
            continue
        found["same"] += 1
        again = await ops.stat(package)
        assert (again.hash, again.size, again.metadata) == (before.hash, before.size, before.metadata)
        assert again.physical_key is not None
        assert before.physical_key is not None
        assert PhysicalKey.parse(again.physical_key) == PhysicalKey.parse(before.physical_key)
        assert (await ops.read(package)).data == CONTENT
    assert found["refused"]
    assert found["told"]
    assert found["same"] < len(content) // 8
    kept.set(manifest, content)
    assert (await ops.verify(package)).ok


@pytest.mark.sampled(1)
async def test_a_manifest_cut_short_anywhere_is_refused_or_told(kept: Keeper) -> None:
    package, manifest = await created(kept, "sha2-256-chunked")
    content = kept.get(manifest)
    ops = kept.opened()
    for length in range(0, len(content) - 1, every(kept, 3, 17)):
        kept.set(manifest, content[:length])
        try:
            report = await ops.verify(replace(package, path=None))
        except QuiltError as error:
            assert isinstance(error, CorruptManifest)
        else:
            assert not report.ok


@pytest.mark.sampled(1)
@pytest.mark.parametrize("key", ["*/f", ".quilt/packages/*", ".quilt/named_packages/*/latest"])
async def test_a_bit_that_changes_on_the_way_to_s3_is_refused_there_and_sent_again(
    key: str, moto: S3Access, s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """By the checksum that goes with each write. A push that is told as done is whole."""
    with moto.boto() as raw:
        registry = S3Registry(raw, make_bucket(raw))
        ops = Bucket(tmp_path, s3, registry).opened()
        package = PackageUri(ops.default_registry, "a/b")
        request = CreateRequest(package, files=(InlineFile("d/f", CONTENT),), overwrite=True)
        with moto_proxy.injecting(
            FlipUploadedBit(20), operation="PutObject", key=key, bucket=registry.bucket, times=1
        ) as rule:
            try:
                await ops.create(request)
            except QuiltError as error:
                assert error.retryable, error
                await ops.create(request)
        assert rule.fired == 1
        registry.check()
        assert registry.files(registry.latest() or "") == {"d/f": CONTENT}
        assert (await ops.verify(package)).ok


async def test_a_flipped_bit_in_a_large_manifests_index_is_found_and_the_index_made_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "registry").mkdir()
    kept = Folder(tmp_path)
    ops = kept.opened()
    package = PackageUri(ops.default_registry, "a/b")
    await ops.create(CreateRequest(package, files=(InlineFile("f", b"1"),)))
    item = await ops.stat(replace(package, path="f"))
    assert item.hash is not None
    lines = [{"version": "v0"}]
    for number in range(45_000):
        lines.append(
            {
                "logical_key": f"d{number % 100:03}/{number:06}",
                "physical_keys": [item.physical_key],
                "size": 1,
                "hash": {"type": item.hash.type, "value": item.hash.value},
                "meta": {},
            }
        )
    body = "".join(json.dumps(line) + "\n" for line in [lines[0], *sorted(lines[1:], key=_walk)])
    top_hash = true_hash(body.encode())
    kept.set(f".quilt/packages/{top_hash}", body.encode())
    pinned = replace(package, top_hash=top_hash, path="d007/")
    first = await ops.browse(pinned)
    (index,) = (tmp_path / "cache").glob("*.index")
    whole = index.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 12)):
        index.write_bytes(flipped(whole, place * 8 + 3))
        assert await kept.opened().browse(pinned) == first
    await kept.opened().patch(PatchRequest(package, files=(InlineFile("g", b"2"),)))


def _walk(line: dict[str, object]) -> list[str]:
    return str(line["logical_key"]).split("/")
