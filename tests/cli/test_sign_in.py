"""Signing in from a shell with nothing but what AWS's own tools read, on a server that checks signatures and has a real STS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from shell import Shell

from parts.ceph import CephCluster
from parts.s3_access import S3Access

pytestmark = [pytest.mark.xdist_group("ceph"), pytest.mark.timeout(300)]  # the server starts in the first

FILES = [{"path": "notes.txt", "text": "first"}]


def reads_of(bucket: str, *more: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject",
                    "s3:GetObjectVersion",
                    "s3:ListBucket",
                    "s3:ListBucketVersions",
                    *more,
                ],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }


class Person:
    """Someone with a home folder, and in it the files that AWS's tools keep there."""

    def __init__(self, shell: Shell, url: str, bucket: str) -> None:
        self.shell = shell
        self.bucket = bucket
        self._variables = {
            "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "QUILT_DEFAULT_REGISTRY": f"s3://{bucket}",
        }

    def profile(self, name: str, **settings: str) -> None:
        folder = self.shell.home / ".aws"
        folder.mkdir(exist_ok=True)
        lines = [f"[{name if name == 'default' else f'profile {name}'}]", "region = us-east-1"]
        with (folder / "config").open("a") as file:
            file.write("\n".join([*lines, *(f"{key} = {value}" for key, value in settings.items())]) + "\n\n")

    def keys(self, name: str, access: S3Access) -> None:
        self.profile(name, aws_access_key_id=access.access_key, aws_secret_access_key=access.secret_key)

    def call(self, tool: str, *flags: str, profile: str = "", **arguments: Any) -> tuple[int, dict[str, Any]]:
        """The exit code, and the answer or the error."""
        chosen = {"AWS_PROFILE": profile} if profile else {}
        text = json.dumps(arguments)
        done = self.shell.run("call", tool, "--args", text, *flags, **self._variables, **chosen)
        assert done.stdout or done.stderr
        return done.returncode, json.loads(done.stdout or done.stderr)

    def create(
        self, *flags: str, profile: str = "", package: str = "team/data"
    ) -> tuple[int, dict[str, Any]]:
        return self.call(
            "package_create",
            "--allow-write",
            *flags,
            profile=profile,
            package=package,
            files=FILES,
            message="m",
        )


@pytest.fixture
def person(shell: Shell, ceph: CephCluster) -> Iterator[Person]:
    yield Person(shell, ceph.access.url, ceph.access.make_bucket())


def keys_in(bucket: str, access: S3Access) -> list[str]:
    with access.boto() as s3:
        return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_the_default_profile_is_found_with_no_flag(person: Person, ceph: CephCluster) -> None:
    person.keys("default", ceph.access)
    _, status = person.call("status")
    assert status["data"]["backend"] == "iam"
    code, made = person.create()
    assert code == 0, made
    assert any("condition" in warning for warning in made["warnings"]), (
        "Ceph 16.2 keeps no conditions on writes"
    )
    _, browsed = person.call("package_browse", package="team/data")
    assert browsed["data"]["top_hash"] == made["data"]["top_hash"]


def test_a_role_is_assumed_and_what_it_may_not_do_is_named(person: Person, ceph: CephCluster) -> None:
    role = ceph.role(
        f"reader-of-{person.bucket}", trusts=ceph.access.access_key, policy=reads_of(person.bucket)
    )
    person.keys("base", ceph.access)
    person.profile("reader", role_arn=role.arn, source_profile="base")
    assert person.create(profile="base")[0] == 0
    before = keys_in(person.bucket, ceph.access)
    code, status = person.call("status", profile="reader")
    assert (code, status["data"]["backend"]) == (0, "iam")
    assert person.call("package_browse", profile="reader", package="team/data")[0] == 0
    code, refused = person.create(profile="reader", package="team/other")
    assert code != 0
    assert refused["error"]["code"] == "permission_denied"
    assert "s3:PutObject" in json.dumps(refused)
    assert keys_in(person.bucket, ceph.access) == before


def test_a_wrong_secret_is_refused_and_nothing_else_is_tried(person: Person, ceph: CephCluster) -> None:
    person.keys("default", S3Access(ceph.access.url, ceph.access.access_key, "not-the-secret"))
    code, refused = person.create()
    assert code != 0
    assert refused["error"]["code"] == "permission_denied", (
        "with its STS on, Ceph says no more than AccessDenied"
    )
    assert refused["error"]["next_step"]
    assert "not-the-secret" not in json.dumps(refused)
    assert keys_in(person.bucket, ceph.access) == []


def test_a_public_bucket_is_read_without_credentials(person: Person, ceph: CephCluster) -> None:
    person.keys("owner", ceph.access)
    assert person.create(profile="owner")[0] == 0
    policy = reads_of(person.bucket)
    policy["Statement"][0]["Principal"] = "*"
    with ceph.access.boto() as s3:
        s3.put_bucket_policy(Bucket=person.bucket, Policy=json.dumps(policy))
    before = keys_in(person.bucket, ceph.access)
    code, status = person.call("status", "--anonymous")
    assert (code, status["data"]["principal"]) == (0, "anonymous")
    code, read = person.call(
        "object_read", "--anonymous", uri=f"quilt+s3://{person.bucket}#package=team/data&path=notes.txt"
    )
    assert (code, read["data"]["text"]) == (0, "first")
    code, refused = person.create("--anonymous", package="team/other")
    assert (code != 0, refused["error"]["code"]) == (True, "permission_denied")
    assert keys_in(person.bucket, ceph.access) == before
