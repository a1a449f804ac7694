"""C9: a flipped bit in any object or manifest is found out by a verified read, and by verify."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from quilt_mcp.backends.local import open_local
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.checksums import hasher
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.manifest import TopHash, decode_header, decode_record
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest
from quilt_mcp.errors import CorruptManifest, HashMismatch, QuiltError
from quilt_mcp.ops import QuiltOps

pytestmark = pytest.mark.anyio

CONTENT = b"The bits of this file are flipped, one after the other."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def opened(root: Path) -> QuiltOps:
    """Anew, so that nothing read before is remembered."""
    return open_local(
        str(root / "registry"), roots=(root,), writable=True, cache=root / "cache", cache_bytes=1 << 20
    )


async def created(root: Path, hash_type: str) -> tuple[PackageUri, Path]:
    """A package of one file that is recorded with this hash type, and where its manifest lies."""
    (root / "registry").mkdir()
    ops = opened(root)
    package = PackageUri(ops.default_registry, "a/b")
    files = (InlineFile("d/f", CONTENT, metadata={"é": [1, 2.5, None]}),)
    commit = await ops.create(CreateRequest(package, files=files, metadata={"k": "v"}, message="m"))
    manifests = root / "registry/.quilt/packages"
    header, record = (manifests / commit.top_hash).read_text().splitlines()
    check = hasher(hash_type, len(CONTENT))
    check.update(CONTENT)
    record = json.dumps(
        {**json.loads(record), "hash": {"type": hash_type, "value": check.value().value}}, ensure_ascii=False
    )
    top_hash = TopHash(decode_header(header.encode()))
    entry = decode_record(record.encode(), 2)
    assert isinstance(entry, Entry)
    top_hash.add(entry)
    manifest = manifests / top_hash.hexdigest()
    manifest.write_text(f"{header}\n{record}\n")
    pointer = root / "registry/.quilt/named_packages/a/b/latest"
    pointer.write_text(manifest.name)
    (pointer.parent / "1700000000").write_text(manifest.name)
    assert (await ops.verify(package)).ok
    return replace(package, path="d/f"), manifest


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("hash_type", ["SHA256", "sha2-256-chunked", "CRC64NVME"])
async def test_any_flipped_bit_of_an_object_is_found_by_reading_and_by_verify(
    hash_type: str, tmp_path: Path
) -> None:
    package, _ = await created(tmp_path, hash_type)
    ops = opened(tmp_path)
    place = Path(PhysicalKey.parse((await ops.stat(package)).physical_key or "").path)
    for bit in range(len(CONTENT) * 8):
        place.write_bytes(flipped(CONTENT, bit))
        with pytest.raises(HashMismatch):
            await ops.read(package)
        if bit % 16 == 0:
            report = await ops.verify(package)
            assert [problem.problem for problem in report.problems] == ["hash"]
            with pytest.raises(HashMismatch):
                await ops.install(package, str(tmp_path / "installed"))
    place.write_bytes(CONTENT)
    assert (await ops.read(package)).verified


@pytest.mark.parametrize(
    "step",
    [pytest.param(11, id="every eleventh bit"), pytest.param(1, id="every bit", marks=pytest.mark.nightly)],
)
async def test_any_flipped_bit_of_a_manifest_is_found_by_verify_or_changes_nothing(
    step: int, tmp_path: Path
) -> None:
    """The top hash covers all but physical keys and the metadata of folders. Of a physical key a flipped bit leads to other
    bytes, which verify finds out, or it is another spelling of the same place."""
    package, manifest = await created(tmp_path, "sha2-256-chunked")
    content = manifest.read_bytes()
    ops = opened(tmp_path)
    before = await ops.stat(package)
    found: dict[str, int] = {"refused": 0, "told": 0, "same": 0}
    for bit in range(0, len(content) * 8, step):
        manifest.write_bytes(flipped(content, bit))
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
    manifest.write_bytes(content)
    assert (await ops.verify(package)).ok


async def test_a_manifest_cut_short_anywhere_is_refused_or_told(tmp_path: Path) -> None:
    package, manifest = await created(tmp_path, "sha2-256-chunked")
    content = manifest.read_bytes()
    ops = opened(tmp_path)
    for length in range(0, len(content) - 1, 3):
        manifest.write_bytes(content[:length])
        try:
            report = await ops.verify(replace(package, path=None))
        except QuiltError as error:
            assert isinstance(error, CorruptManifest)
        else:
            assert not report.ok


async def test_a_flipped_bit_in_a_large_manifests_table_is_found_and_the_table_built_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "registry").mkdir()
    ops = opened(tmp_path)
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
    top_hash = "e" * 64
    (tmp_path / "registry/.quilt/packages" / top_hash).write_text(body)
    pinned = replace(package, top_hash=top_hash, path="d007/")
    first = await ops.browse(pinned)
    (table,) = (tmp_path / "cache").glob("*.parquet")
    whole = table.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 12)):
        table.write_bytes(flipped(whole, place * 8 + 3))
        assert await opened(tmp_path).browse(pinned) == first
    await opened(tmp_path).patch(PatchRequest(package, files=(InlineFile("g", b"2"),)))


def _walk(line: dict[str, object]) -> list[str]:
    return str(line["logical_key"]).split("/")
