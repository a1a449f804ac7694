"""Sources that others write to while they are copied into a bucket: refused, and nothing stands under their former hash."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from parts.faults import Pause
from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, Source
from quilt_mcp.errors import HashMismatch

pytestmark = pytest.mark.anyio


async def test_an_object_overwritten_before_it_is_copied_to_its_hash_is_refused(
    moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """Where the bucket keeps no versions, the key of the copy is the hash of what was read."""
    bucket, source = moto.make_bucket(versioned=False), moto.make_bucket(versioned=False)
    ops = iam_ops(moto.via(moto_proxy.url), bucket, roots=(tmp_path,), cache=tmp_path / "cache")
    pause = Pause("before")
    with moto.boto() as raw, moto_proxy.recording() as seen:
        raw.put_object(Bucket=source, Key="o", Body=b"first bytes")
        request = CreateRequest(PackageUri(f"s3://{bucket}", "a/b"), sources=(Source(f"s3://{source}/o"),))

        async def overwrite() -> None:
            await anyio.to_thread.run_sync(pause.wait_until_reached)
            raw.put_object(Bucket=source, Key="o", Body=b"other bytes")
            pause.release()

        with moto_proxy.injecting(pause, operation="CopyObject", bucket=bucket):
            async with anyio.create_task_group() as group:
                group.start_soon(overwrite)
                with pytest.raises(HashMismatch, match="written to"):
                    await ops.create(request)
        copies = [one for one in seen.exchanges if one.call.operation == "CopyObject"]
        assert all("x-amz-copy-source-if-match" in map(str.lower, one.headers) for one in copies)
        kept = raw.list_objects_v2(Bucket=bucket, Prefix=".quilt/").get("Contents", [])
        assert [one["Key"] for one in kept if "probe" not in one["Key"]] == []
