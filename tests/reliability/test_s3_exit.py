"""A process that used S3 ends as it should: its exit status is its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from parts.s3_access import S3Access
from parts.unmeasured import unmeasured

ENDING = """
import asyncio, os, sys
import obstore.store
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients

bucket, endpoint, processes = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def read():
    clients = S3Clients(lambda: AwsKeys("key", "secret"), endpoint_url=endpoint, region="us-east-1")
    store = clients.fast(bucket)
    await asyncio.gather(*(obstore.get_async(store, "key") for _ in range(16)))

failed = []
for number in range(processes):
    child = os.fork()
    if child == 0:
        asyncio.run(read())
        sys.exit(0)  # by the interpreter's own end
    status = os.waitpid(child, 0)[1]
    if status:
        failed.append(os.waitstatus_to_exitcode(status))
sys.exit(f"{len(failed)} of {processes} ended with {failed}" if failed else 0)
"""


@pytest.mark.parametrize(
    "processes", [30, pytest.param(300, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])]
)
def test_a_process_ends_without_a_crash_right_after_its_last_answer(processes: int, moto: S3Access) -> None:
    bucket = moto.make_bucket()
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key="key", Body=b"content")
    command = [sys.executable, "-c", ENDING, bucket, moto.url, str(processes)]
    done = subprocess.run(command, env=unmeasured(), capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
