"""A large object comes in parts, in any order, and is whole or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.domain.checksums import CHECKSUMS, hash_bytes
from quilt_mcp.errors import HashMismatch
from quilt_mcp.storage.objects import bring_object
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.store import S3Store

SIZE = (20 << 20) + 7

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture(scope="module")
def bucket(moto: Server, content: bytes) -> str:
    bucket = moto.make_bucket()
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key="large", Body=content)
        raw.put_object(Bucket=bucket, Key="odd//large", Body=content)
        raw.put_object(Bucket=bucket, Key="empty", Body=b"")
    return bucket


@pytest.fixture
def store(bucket: str, moto: Server, moto_proxy: Proxy) -> S3Store:
    keys = AwsKeys(moto.access_key, moto.secret_key)
    return S3Store(bucket, S3Clients(lambda: keys, endpoint_url=moto_proxy.url, region=moto.region))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("key", ["large", "odd//large"])
@pytest.mark.parametrize("hash_type", ["sha2-256-chunked", "SHA256", "CRC64NVME"])
async def test_every_byte_comes_to_its_place_and_is_hashed_on_its_way(
    key: str, hash_type: str, content: bytes, store: S3Store, moto_proxy: Proxy, tmp_path: Path
) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    seen: list[float] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        assert total == SIZE
        seen.append(done)

    def write(offset: int, chunk: bytes | memoryview) -> None:
        os.pwrite(descriptor, chunk, offset)

    with moto_proxy.recording() as recording:
        found = await bring_object(store, key, hash_type, size=SIZE, write=write, progress=progress)
    os.close(descriptor)
    assert found == hash_bytes(content, hash_type)
    assert (tmp_path / "file").read_bytes() == content
    assert seen == sorted(seen)
    assert seen[-1] == SIZE
    assert recording.counts["GetObject"] == (3 if CHECKSUMS[hash_type].splittable else 1)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 16 << 20, 30 << 20, 5])
@pytest.mark.parametrize("hash_type", ["sha2-256-chunked", "SHA256"])
async def test_an_object_of_another_size_is_refused_even_where_it_begins_alike(
    size: int, hash_type: str, store: S3Store
) -> None:
    with pytest.raises(HashMismatch) as caught:
        await bring_object(store, "large", hash_type, size=size)
    assert caught.value.details["expected"] == size


async def test_an_empty_object_takes_one_request(store: S3Store, moto_proxy: Proxy) -> None:
    with moto_proxy.recording() as recording:
        found = await bring_object(store, "empty", "sha2-256-chunked", size=0)
    assert found == hash_bytes(b"")
    assert recording.total == 1
