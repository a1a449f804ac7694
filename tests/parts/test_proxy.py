"""The proxy: transparent to each client, counts right, and makes writers take turns."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
)

from parts import faults
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.s3_calls import classify

ODD_KEYS = (
    "a b",
    "é",
    "\U0001f600",
    "a//b",
    "a/../b",
    "+",
    "%41",
    "#?&=",
    "'\"<>",
    "~!@$^*()[]{}|;,",
    "trailing/",
)


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Runs ``act(0..count-1)`` in as many threads, let go together."""
    gate = threading.Barrier(count)

    def run(number: int) -> Any:
        gate.wait(30)
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# -- transparent --


def test_boto3_and_obstore_read_what_the_other_wrote_at_any_key(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    store = s3.obstore(bucket)
    with s3.boto() as client:
        for key in ODD_KEYS:
            client.put_object(Bucket=bucket, Key=key, Body=key.encode())
        listed = [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]
        assert sorted(listed) == sorted(ODD_KEYS)
        for key in (key for key in ODD_KEYS if "//" not in key and ".." not in key and not key.endswith("/")):
            assert bytes(obstore.get(store, key).bytes()) == key.encode()
            obstore.put(store, "from obstore/" + key, b"x")
            assert client.get_object(Bucket=bucket, Key="from obstore/" + key)["Body"].read() == b"x"


@pytest.mark.nightly
def test_a_large_body_passes_unchanged_both_ways(s3: S3Access, tmp_path: Path) -> None:
    bucket = s3.make_bucket()
    content = bytes(range(256)) * (40 << 12)
    with s3.boto() as client:
        client.put_object(Bucket=bucket, Key="k", Body=content)
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == content
        ranged = client.get_object(Bucket=bucket, Key="k", Range="bytes=1000000-1000009")["Body"].read()
    assert ranged == content[1_000_000:1_000_010]


@pytest.mark.nightly
def test_bodies_without_a_length_pass(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()

    async def send() -> None:
        reader, writer = await asyncio.open_connection(*s3.url.removeprefix("http://").split(":"))
        writer.write(
            f"PUT /{bucket}/chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        writer.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        await writer.wait_closed()

    asyncio.run(send())
    with s3.boto() as client:
        assert client.get_object(Bucket=bucket, Key="chunked")["Body"].read() == b"hello world"


@pytest.mark.nightly
def test_the_host_header_reaches_the_server_as_the_client_signed_it(s3: S3Access, moto_proxy: Proxy) -> None:
    with moto_proxy.recording() as seen, s3.boto() as client:
        client.list_buckets()
    (exchange,) = seen.exchanges
    assert exchange.headers["host"] == s3.url.removeprefix("http://")
    assert "host" in exchange.headers["authorization"]


@pytest.mark.nightly
def test_quilt3_pushes_browses_and_installs_through_it(
    s3: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    registry = f"s3://{s3.make_bucket()}"
    quilt3 = Quilt3(tmp_path / "home", s3)
    with moto_proxy.recording() as seen:
        result = quilt3.run(
            """
import pathlib
pathlib.Path("data").mkdir()
pathlib.Path("data/small").write_text("hello")
pathlib.Path("data/large").write_bytes(b"x" * 9_000_000)
package = quilt3.Package().set_dir("", "data")
pushed = package.push("ns/name", registry=arguments["registry"], message="one", force=True)
browsed = quilt3.Package.browse("ns/name", registry=arguments["registry"])
quilt3.Package.install("ns/name", registry=arguments["registry"], dest="copy")
result = {
    "equal": pushed.top_hash == browsed.top_hash,
    "keys": sorted(key for key, _ in browsed.walk()),
    "physical": browsed["small"].physical_key.path,
    "version": browsed["small"].physical_key.version_id,
    "copied": pathlib.Path("copy/small").read_text(),
    "size": pathlib.Path("copy/large").stat().st_size,
}
""",
            registry=registry,
        )
    assert result["equal"]
    assert result["keys"] == ["large", "small"]
    assert result["version"]
    assert (result["copied"], result["size"]) == ("hello", 9_000_000)
    assert seen.counts["CompleteMultipartUpload"] == 1
    assert {exchange.call.bucket for exchange in seen.exchanges} == {registry.removeprefix("s3://")}


# -- counting --


def test_each_request_is_counted_once_under_its_own_name(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client, moto_proxy.recording() as seen:
        for number in range(3):
            client.put_object(Bucket=bucket, Key=f"k{number}", Body=b"12345")
        client.get_object(Bucket=bucket, Key="k0")["Body"].read()
        client.head_object(Bucket=bucket, Key="k0")
        client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k0"})
        client.list_objects_v2(Bucket=bucket)
        client.list_object_versions(Bucket=bucket)
        client.delete_object(Bucket=bucket, Key="k1")
        upload = client.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
        client.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"p")
        client.abort_multipart_upload(Bucket=bucket, Key="m", UploadId=upload)
    assert seen.counts == Counter(
        PutObject=3,
        GetObject=1,
        HeadObject=1,
        CopyObject=1,
        ListObjectsV2=1,
        ListObjectVersions=1,
        DeleteObject=1,
        CreateMultipartUpload=1,
        UploadPart=1,
        AbortMultipartUpload=1,
    )
    assert seen.verbs == Counter(PUT=5, GET=3, HEAD=1, DELETE=2, POST=1)
    assert seen.of("PutObject")[1].call.key == "k1"
    assert [exchange.received for exchange in seen.of("PutObject")] == [5, 5, 5]
    assert seen.of("GetObject")[0].sent == 5
    assert len(seen.mutating) == 8
    assert all(exchange.status // 100 == 2 for exchange in seen.exchanges)


@pytest.mark.nightly
def test_what_comes_after_a_recording_is_not_in_it(s3: S3Access, moto_proxy: Proxy) -> None:
    with s3.boto() as client:
        with moto_proxy.recording() as seen:
            client.list_buckets()
        client.list_buckets()
    assert seen.total == 1


@pytest.mark.parametrize(
    ("method", "target", "headers", "operation", "key", "mutates"),
    [
        ("GET", "/", {}, "ListBuckets", "", False),
        ("POST", "/", {}, "Service", "", False),
        ("GET", "/b?list-type=2&prefix=x", {}, "ListObjectsV2", "", False),
        ("GET", "/b/?location", {}, "GetBucketLocation", "", False),
        ("HEAD", "/b", {}, "HeadBucket", "", False),
        ("POST", "/b?delete", {}, "DeleteObjects", "", True),
        ("GET", "/b/k%20%C3%A9/x?versionId=1", {}, "GetObject", "k é/x", False),
        ("PUT", "/b/k", {"x-amz-copy-source": "/c/k"}, "CopyObject", "k", True),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {}, "UploadPart", "k", True),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {"x-amz-copy-source": "/c/k"}, "UploadPartCopy", "k", True),
        ("POST", "/b/k?uploads", {}, "CreateMultipartUpload", "k", True),
        ("POST", "/b/k?uploadId=u", {}, "CompleteMultipartUpload", "k", True),
        ("DELETE", "/b/k?uploadId=u", {}, "AbortMultipartUpload", "k", True),
        ("GET", "/b/k?attributes", {}, "GetObjectAttributes", "k", False),
        ("PUT", "/b/k?tagging", {}, "PutObjectTagging", "k", True),
    ],
)
def test_a_request_is_told_by_its_line_and_headers(
    method: str, target: str, headers: dict[str, str], operation: str, key: str, mutates: bool
) -> None:
    call = classify(method, target, headers)
    assert (call.operation, call.key, call.mutates) == (operation, key, mutates)


# -- one writer a key --


def test_of_sixteen_create_only_writers_exactly_one_wins(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:

        def create(number: int) -> str:
            try:
                return str(
                    client.put_object(Bucket=bucket, Key="k", Body=b"%d" % number, IfNoneMatch="*")["ETag"]
                )
            except ClientError as error:
                assert error.response["Error"]["Code"] == "PreconditionFailed"
                return ""

        won = [etag for etag in at_once(16, create) if etag]
        versions = client.list_object_versions(Bucket=bucket)["Versions"]
    assert len(won) == 1
    assert [version["ETag"] for version in versions] == won


@pytest.mark.nightly
def test_writers_of_one_key_take_turns_and_writers_of_others_do_not_wait(
    s3: S3Access, moto_proxy: Proxy
) -> None:
    bucket = s3.make_bucket()
    pause = faults.Pause("before")
    with s3.boto() as client, ThreadPoolExecutor(2) as pool:
        with moto_proxy.injecting(pause, key="held"):
            held = pool.submit(client.put_object, Bucket=bucket, Key="held", Body=b"1")
            pause.wait_until_reached()
            client.put_object(Bucket=bucket, Key="other", Body=b"2")
            assert not held.done()
            pause.release()
        assert held.result(30)["ETag"]


def test_increments_by_compare_and_swap_lose_none(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        client.put_object(Bucket=bucket, Key="n", Body=b"0")

        def increment(_: int) -> None:
            while True:
                got = client.get_object(Bucket=bucket, Key="n")
                body = b"%d" % (int(got["Body"].read()) + 1)
                try:
                    client.put_object(Bucket=bucket, Key="n", Body=body, IfMatch=got["ETag"])
                except ClientError as error:
                    assert error.response["Error"]["Code"] == "PreconditionFailed"
                else:
                    return

        at_once(8, increment)
        assert client.get_object(Bucket=bucket, Key="n")["Body"].read() == b"8"


# -- ends --


@pytest.mark.nightly
def test_a_client_that_dies_while_sending_writes_nothing_and_blocks_no_one(
    s3: S3Access, moto_proxy: Proxy
) -> None:
    bucket = s3.make_bucket()

    async def die() -> None:
        _, writer = await asyncio.open_connection(*s3.url.removeprefix("http://").split(":"))
        writer.write(f"PUT /{bucket}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    asyncio.run(die())
    with s3.boto() as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"next")
        assert len(client.list_object_versions(Bucket=bucket)["Versions"]) == 1


@pytest.mark.nightly
def test_a_server_that_is_gone_is_told_among_the_failures() -> None:
    with Proxy("http://127.0.0.1:1") as proxy:
        with S3Access(proxy.url).boto() as client, pytest.raises(BotoCoreError):
            client.list_buckets()
        assert len(proxy.failures) == 1


@pytest.mark.nightly
def test_it_is_idle_once_the_last_request_came_to_its_end(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    moto_proxy.wait_until_idle()
    pause = faults.Pause("after")
    with s3.boto() as client, ThreadPoolExecutor(1) as pool:
        with moto_proxy.injecting(pause, bucket=bucket, times=1):
            put = pool.submit(client.put_object, Bucket=bucket, Key="k", Body=b"1")
            pause.wait_until_reached()
            with pytest.raises(TimeoutError, match="1 requests"):
                moto_proxy.wait_until_idle(timeout=0.01)
            pause.release()
            put.result()
        moto_proxy.wait_until_idle()
