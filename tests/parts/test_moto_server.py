"""The S3 server of the tests answers as AWS does where our tests stand on it."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError

from parts.moto_server import moto_server
from parts.s3_access import S3Access

pytestmark = pytest.mark.nightly

PART = 5 << 20


def base64_sha256(*contents: bytes) -> str:
    return base64.b64encode(hashlib.sha256(b"".join(contents)).digest()).decode()


def test_versions_of_one_key_are_all_kept(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        versions = [
            client.put_object(Bucket=bucket, Key="k", Body=content)["VersionId"] for content in (b"1", b"2")
        ]
        got = [client.get_object(Bucket=bucket, Key="k", VersionId=v)["Body"].read() for v in versions]
        client.delete_object(Bucket=bucket, Key="k")
        listed = client.list_object_versions(Bucket=bucket)
    assert got == [b"1", b"2"]
    assert {version["VersionId"] for version in listed["Versions"]} == set(versions)
    assert len(listed["DeleteMarkers"]) == 1


def test_a_folder_whose_objects_are_all_deleted_is_not_listed(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        for key in ("kept/a", "kept/b", "gone/a"):
            client.put_object(Bucket=bucket, Key=key, Body=b"")
        for key in ("kept/a", "gone/a"):
            client.delete_object(Bucket=bucket, Key=key)
        listed = client.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [folder["Prefix"] for folder in listed["CommonPrefixes"]] == ["kept/"]


def test_an_unversioned_bucket_gives_no_version_ids(s3: S3Access) -> None:
    bucket = s3.make_bucket(versioned=False)
    with s3.boto() as client:
        assert "VersionId" not in client.put_object(Bucket=bucket, Key="k", Body=b"1")


def test_buckets_are_fresh_each_time(s3: S3Access) -> None:
    assert s3.make_bucket() != s3.make_bucket()


def test_a_multipart_upload_tells_its_composite_checksum_everywhere(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    parts = [b"a" * PART, b"b" * 10]
    composite = base64_sha256(*(hashlib.sha256(part).digest() for part in parts))
    with s3.boto() as client:
        upload = client.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")[
            "UploadId"
        ]
        sent = [
            client.upload_part(
                Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=part, ChecksumAlgorithm="SHA256"
            )
            for n, part in enumerate(parts, 1)
        ]
        done = client.complete_multipart_upload(
            Bucket=bucket,
            Key="k",
            UploadId=upload,
            MultipartUpload={
                "Parts": [
                    {"PartNumber": n, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
                    for n, part in enumerate(sent, 1)
                ]
            },
        )
        head = client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        attributes = client.get_object_attributes(
            Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"]
        )
    assert [part["ChecksumSHA256"] for part in sent] == [base64_sha256(part) for part in parts]
    assert done["ChecksumSHA256"] == f"{composite}-2"
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (f"{composite}-2", "COMPOSITE")
    assert attributes["Checksum"]["ChecksumSHA256"] == composite
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2
    assert [part["Size"] for part in attributes["ObjectParts"]["Parts"]] == [len(part) for part in parts]


def test_a_body_that_does_not_fit_its_sha256_is_refused(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        with pytest.raises(ClientError) as caught:
            client.put_object(Bucket=bucket, Key="k", Body=b"yes", ChecksumSHA256=base64_sha256(b"no"))
        assert caught.value.response["Error"]["Code"] == "BadDigest"
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="k", Body=b"yes", ChecksumSHA256=base64_sha256(b"yes"))
        head = client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64_sha256(b"yes")


def test_conditional_writes_are_kept(s3: S3Access) -> None:
    bucket = s3.make_bucket()
    with s3.boto() as client:
        first = client.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
        client.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=first)
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": first}):
            with pytest.raises(ClientError) as caught:
                client.put_object(Bucket=bucket, Key="k", Body=b"3", **condition)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_the_server_ends_with_its_context() -> None:
    with moto_server() as access, access.boto() as client:
        assert client.list_buckets()["Buckets"] == []
    with access.boto() as client, pytest.raises(Exception, match="Could not connect"):
        client.list_buckets()


@pytest.mark.parametrize("encoding", [{}, {"EncodingType": "url"}])
def test_a_long_listing_says_what_short_ones_say(encoding: dict[str, str], moto: S3Access) -> None:
    bucket = moto.make_bucket()
    names = ['a&b <c> "d"', "line\nbreak", "carriage\rreturn", "ö %20 +", *(f"key{n:02d}" for n in range(70))]
    with moto.boto() as s3:
        for number, name in enumerate(names):
            s3.put_object(Bucket=bucket, Key=name, Body=b"1" * number, ChecksumAlgorithm="SHA256")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
        short = [item for page in pages for item in page["Contents"]]
        long = s3.list_objects_v2(Bucket=bucket, **encoding)["Contents"]
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 3}
        )
        short_versions = [item for page in pages for item in page["Versions"]]
        long_versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [item["Key"] for item in short] == sorted(names)
    if encoding:
        long = [item | {"Key": unquote(item["Key"])} for item in long]
    assert long == short
    assert [item["Key"] for item in long_versions] == sorted(names)
    # moto's own takes the carriage return for the end of a line.
    assert [item for item in long_versions if "\r" not in item["Key"]] == [
        item for item in short_versions if "carriage" not in item["Key"]
    ]
