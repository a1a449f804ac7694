"""The second S3 server: what it does that moto does not, and what it does not do that AWS does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from parts.ceph import CephCluster
from parts.proxy import Proxy
from parts.s3_access import S3Access
from parts.unmeasured import unmeasured

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("ceph")]

READ_ALL: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::*"]}
    ],
}


def refusal(access: S3Access) -> str:
    with access.boto() as client, pytest.raises(ClientError) as caught:
        client.list_buckets()
    return str(caught.value.response["Error"]["Code"])


def test_a_wrong_secret_and_an_unknown_key_are_refused(ceph: CephCluster) -> None:
    """With its STS switched on, Ceph says AccessDenied where AWS says SignatureDoesNotMatch or InvalidAccessKeyId."""
    assert refusal(replace(ceph.access, secret_key="wrong")) == "AccessDenied"
    assert refusal(replace(ceph.access, access_key="nobody")) == "AccessDenied"


def test_signatures_stay_right_through_the_proxy(ceph: CephCluster, ceph_proxy: Proxy) -> None:
    through = ceph.access.via(ceph_proxy.url)
    bucket = through.make_bucket()
    with through.boto() as client:
        for key in ("plain", "a b/é/+%41", "a//b", "~!@$&'()*,;=:[]"):
            version = client.put_object(Bucket=bucket, Key=key, Body=key.encode() * 10_000)["VersionId"]
            got = client.get_object(Bucket=bucket, Key=key, VersionId=version, Range="bytes=1-3")
            assert got["Body"].read() == (key.encode() * 2)[1:4]
    assert refusal(replace(through, secret_key="wrong")) == "AccessDenied"


def test_users_see_nothing_of_each_other(ceph: CephCluster) -> None:
    bucket = ceph.access.make_bucket()
    with ceph.user("stranger").boto() as client, pytest.raises(ClientError) as caught:
        client.list_objects_v2(Bucket=bucket)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_an_assumed_role_has_the_rights_of_its_policy_and_no_other(ceph: CephCluster) -> None:
    bucket = ceph.access.make_bucket()
    role = ceph.role("reader", trusts=ceph.access.access_key, policy=READ_ALL)
    with ceph.access.boto() as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"x")
    with ceph.assume(role, ceph.access).boto() as client:
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
        with pytest.raises(ClientError) as caught:
            client.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_a_role_that_does_not_trust_a_user_is_not_given_to_it(ceph: CephCluster) -> None:
    role = ceph.role("others", trusts=ceph.access.access_key, policy=READ_ALL)
    with pytest.raises(ClientError) as caught:
        ceph.assume(role, ceph.user("untrusted"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_conditions_on_writes_are_not_kept(ceph: CephCluster) -> None:
    """The reason for this server: a 200 to a conditional write proves nothing."""
    bucket = ceph.access.make_bucket()
    with ceph.access.boto() as client:
        etag = client.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
        client.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"
        etag = client.head_object(Bucket=bucket, Key="k")["ETag"]
        with pytest.raises(ClientError) as caught:
            client.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


HOLDING = """
import sys
sys.path.insert(0, sys.argv[1])
from parts.ceph import ceph_cluster
with ceph_cluster() as cluster:
    print(cluster.settings, flush=True)
    sys.stdin.read()
"""


def daemons(settings: str) -> int:
    count = 0
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            count += settings.encode() in line.read_bytes()
        except OSError:
            continue  # it has just ended
    return count


def test_a_test_process_that_is_killed_leaves_no_daemon(ceph: CephCluster) -> None:
    command = [sys.executable, "-c", HOLDING, str(Path(__file__).parent.parent)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=unmeasured(), text=True
    ) as process:
        assert process.stdout is not None
        settings = process.stdout.readline().strip()
        try:
            assert daemons(settings) == 3
        finally:
            process.kill()
    bound = time.monotonic() + 30
    while daemons(settings):
        assert time.monotonic() < bound
        time.sleep(0.1)
    shutil.rmtree(Path(settings).parent)
