"""Each fault of the proxy shows as that fault, and strikes the requests it is meant for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import obstore
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ResponseStreamingError,
)

from parts import faults
from parts.proxy import Proxy
from parts.s3_access import S3Access


@pytest.mark.sampled(7)
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.INTERNAL_ERROR, 500, "InternalError"),
        (faults.SLOW_DOWN, 503, "SlowDown"),
        (faults.REQUEST_TIMEOUT, 400, "RequestTimeout"),
        (faults.ACCESS_DENIED, 403, "AccessDenied"),
        (faults.CLOCK_SKEW, 403, "RequestTimeTooSkewed"),
        (faults.EXPIRED_TOKEN, 400, "ExpiredToken"),
        (faults.NOT_IMPLEMENTED, 501, "NotImplemented"),
        (faults.CONFLICTING_WRITE, 409, "ConditionalRequestConflict"),
        (faults.GLACIER, 403, "InvalidObjectState"),
    ],
)
def test_an_injected_answer_shows_as_that_answer_and_the_server_never_acts(
    s3: S3Access, moto_proxy: Proxy, fault: faults.Answer, status: int, code: str
) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        with moto_proxy.injecting(fault, operation="PutObject") as rule, pytest.raises(ClientError) as caught:
            client.put_object(Bucket=bucket, Key="k", Body=b"x" * 2_000_000)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert caught.value.response["Error"]["Code"] == code
        assert rule.fired == 1
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="k", Body=b"the connection is still good")


def test_a_lost_response_leaves_the_write_done(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        with moto_proxy.injecting(faults.LoseResponse()), pytest.raises(ConnectionClosedError):
            client.put_object(Bucket=bucket, Key="k", Body=b"kept")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


@pytest.mark.nightly
def test_a_fault_on_a_head_has_no_body(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        with moto_proxy.injecting(faults.ACCESS_DENIED), pytest.raises(ClientError) as caught:
            client.head_bucket(Bucket=bucket)
        assert caught.value.response["Error"]["Code"] == "403"
        client.head_bucket(Bucket=bucket)


@pytest.mark.nightly
def test_a_bucket_elsewhere_names_its_region(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with (
        s3.boto() as client,
        moto_proxy.injecting(faults.moved_to("eu-west-1"), operation="GetObject"),
        pytest.raises(ClientError) as caught,
    ):
        client.get_object(Bucket=bucket, Key="k")
    response = caught.value.response["ResponseMetadata"]
    assert response["HTTPStatusCode"] == 301
    assert response["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-1"


@pytest.mark.nightly
def test_an_upload_reset_in_mid_body_never_reaches_the_server(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        with moto_proxy.injecting(faults.ResetUpload(0.5)) as rule, pytest.raises(BotoCoreError):
            client.put_object(Bucket=bucket, Key="k", Body=b"x" * 8_000_000)
        assert rule.fired == 1
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)


@pytest.mark.nightly
@pytest.mark.parametrize("reset", [True, False])
def test_a_cut_response_is_an_incomplete_read(s3: S3Access, moto_proxy: Proxy, reset: bool) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"x" * 3_000_000)
        with (
            moto_proxy.injecting(faults.CutResponse(0.5, reset=reset), operation="GetObject"),
            moto_proxy.recording() as seen,
            pytest.raises((IncompleteReadError, ResponseStreamingError, ConnectionResetError)),
        ):
            client.get_object(Bucket=bucket, Key="k")["Body"].read()
        assert seen.exchanges[0].sent == 1_500_000


@pytest.mark.nightly
def test_a_flipped_bit_changes_one_bit_of_the_answer(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"\0" * 1_000_000)
        with moto_proxy.injecting(faults.FlipBit(700_000), operation="GetObject"):
            body = bytes(obstore.get(s3.obstore(bucket), "k").bytes())
    assert [at for at, byte in enumerate(body) if byte] == [700_000]


@pytest.mark.nightly
def test_a_bit_flipped_on_the_way_in_is_caught_by_the_checksum(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    with (
        s3.boto() as client,
        moto_proxy.injecting(faults.FlipUploadedBit(3)),
        pytest.raises(ClientError) as caught,
    ):
        client.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    assert caught.value.response["Error"]["Code"] == "BadDigest"


@pytest.mark.nightly
def test_a_write_held_after_it_took_effect_is_seen_by_others(s3: S3Access, moto_proxy: Proxy) -> None:
    bucket = s3.make_bucket()
    pause = faults.Pause("after")
    with s3.boto() as client, ThreadPoolExecutor(1) as pool, moto_proxy.injecting(pause, key="k", times=1):
        writing = pool.submit(client.put_object, Bucket=bucket, Key="k", Body=b"1")
        pause.wait_until_reached()
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
        client.put_object(Bucket=bucket, Key="k", Body=b"2")
        assert not writing.done()
        pause.release()
        assert writing.result(30)["ETag"]


@pytest.mark.nightly
def test_added_latency_is_waited_out(s3: S3Access, moto_proxy: Proxy) -> None:
    with (
        s3.boto() as client,
        moto_proxy.injecting(faults.Delay(0.2), operation="ListBuckets"),
        moto_proxy.recording() as seen,
    ):
        client.list_buckets()
    assert seen.exchanges[0].ended - seen.exchanges[0].begun >= 0.2


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("limits", "struck"),
    [
        ({}, "xxxxxx"),
        ({"nth": 3}, "..x..."),
        ({"since": 5}, "....xx"),
        ({"times": 2}, "xx...."),
        ({"since": 2, "times": 1}, ".x...."),
        ({"key": "k/[45]"}, "....xx"),
        ({"operation": "Get*"}, "......"),
        ({"mutating": True}, "xxxxxx"),
        ({"mutating": False}, "......"),
        ({"bucket": "another-*"}, "......"),
    ],
)
def test_rules_choose_their_requests(
    s3: S3Access, moto_proxy: Proxy, limits: dict[str, Any], struck: str
) -> None:
    bucket = s3.make_bucket()
    outcome = ""
    with s3.boto() as client, moto_proxy.injecting(faults.SLOW_DOWN, **limits) as rule:
        for number in range(6):
            try:
                client.put_object(Bucket=bucket, Key=f"k/{number}", Body=b"")
                outcome += "."
            except ClientError:
                outcome += "x"
    assert outcome == struck
    assert rule.fired == struck.count("x")
