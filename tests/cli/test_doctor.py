"""``quilt-mcp doctor``: what was found, whether it can be read and written, and how to mend it."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shell import Shell, on_a_terminal

from parts.s3_access import S3Access


def checks(shell: Shell, *flags: str, code: int = 0, **variables: str) -> dict[str, dict[str, Any]]:
    result = shell.run("doctor", *flags, **variables)
    assert result.returncode == code, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["ok"] == (code == 0)
    return {check["name"].strip(): check for check in report["checks"]}


def test_a_fresh_machine_is_healthy_reads_and_does_not_write(shell: Shell) -> None:
    found = checks(shell)
    assert found["read"]["ok"] is True
    assert found["write"]["ok"] is None
    assert "--allow-write" in found["write"]["fix"]
    assert found["backend"]["found"].startswith("local")


def test_the_whole_decision_is_shown(shell: Shell) -> None:
    found = checks(shell)
    assert all(found[kind]["found"].startswith("passed over: ") for kind in ("quilt3", "platform", "iam"))
    assert found["local"]["found"].startswith("chosen: ")


def test_writes_are_checked_when_they_are_on(shell: Shell) -> None:
    shell.make_package("team/data")
    found = checks(shell, "--allow-write")
    assert found["write"]["ok"] is True
    assert "1 package" in found["read"]["found"]
    assert not (shell.registry / "doctor-was-here").exists()


def test_a_root_that_is_not_there_fails_with_how_to_mend_it(shell: Shell) -> None:
    found = checks(shell, "--root", str(shell.home / "gone"), code=1)
    assert found["root"]["ok"] is False
    assert "--root" in found["root"]["fix"]


def test_a_server_started_at_the_top_of_the_disk_has_no_root_and_is_told_how_to_get_one(shell: Shell) -> None:
    """Desktop clients start servers there."""
    found = checks(replace(shell, here=Path("/")))
    assert found["root"]["ok"] is None
    assert "--root DIR" in found["root"]["fix"]


def test_a_cache_folder_that_cannot_be_made_fails(shell: Shell) -> None:
    (shell.home / "file").write_text("in the way")
    found = checks(shell, "--cache-dir", str(shell.home / "file" / "cache"), code=1)
    assert found["cache"]["ok"] is False
    assert "--cache-dir" in found["cache"]["fix"]


def test_case_X9_a_cache_folder_that_others_may_write_fails(shell: Shell) -> None:
    folder = shell.home / "open"
    folder.mkdir()
    folder.chmod(0o777)
    found = checks(shell, "--cache-dir", str(folder), code=1)["cache"]
    assert found["ok"] is False and "chmod go-w" in found["found"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("where", ["/dev/null/cache", "/proc/nothing/cache"])
def test_case_E7_a_cache_folder_that_cannot_be_made_stops_no_work(shell: Shell, where: str) -> None:
    made = shell.run(
        "call", "package_create", "--args", '{"package": "me/a", "files": [{"path": "x", "text": "1"}]}',
        "--allow-write", "--cache-dir", where,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert where in made.stderr and "--cache-dir" in made.stderr


def test_a_person_sees_signs_and_what_to_do(shell: Shell) -> None:
    seen = on_a_terminal(shell, "doctor")
    signs = [line.split()[:2] for line in re.sub(r"\x1b\[[0-9;]*m", "", seen).splitlines()]
    assert ["ok", "read"] in signs and ["-", "write"] in signs
    assert "-> Add --allow-write" in seen
    assert '"checks"' not in seen


def test_a_backend_that_cannot_be_had_fails(shell: Shell) -> None:
    found = checks(shell, "--backend", "platform", code=1)
    assert found["backend"]["ok"] is False
    assert found["backend"]["fix"]


def test_required_credentials_that_are_missing_fail(shell: Shell) -> None:
    found = checks(shell, code=1, QUILT_REQUIRE_AUTH="1")
    assert "credentials" in found["backend"]["found"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_registry_that_may_not_be_written_fails(shell: Shell) -> None:
    shell.make_package("team/data")
    shell.registry.chmod(0o500)
    try:
        found = checks(shell, "--allow-write", code=1)
    finally:
        shell.registry.chmod(0o700)
    assert found["write"]["ok"] is False


def test_a_registry_that_is_a_file_fails(shell: Shell) -> None:
    shell.registry.write_text("not a folder")
    assert "is not a folder" in checks(shell, "--allow-write", code=1)["write"]["found"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("flag", ["--anonymous", "--requester-pays"])
def test_case_S5_what_was_not_tried_is_not_called_good(shell: Shell, moto: S3Access, flag: str) -> None:
    """A write to a bucket would change it; whether the identity may is not known before."""
    bucket = moto.make_bucket()
    with moto.boto() as raw:
        raw.put_bucket_acl(Bucket=bucket, ACL="public-read")
    found = checks(shell, flag, "--allow-write", "--registry", f"s3://{bucket}", **moto.environment())
    assert found["write"]["ok"] is None
    assert "not tried" in found["write"]["found"]


def test_case_S5_another_program_of_that_name_is_not_taken_for_ours(shell: Shell, tmp_path: Path) -> None:
    other, same = tmp_path / "other", tmp_path / "same"
    for folder in (other, same):
        folder.mkdir()
    (other / "quilt-mcp").write_text("#!/bin/sh\necho something else\n")
    (other / "quilt-mcp").chmod(0o755)
    own = Path(sys.executable).with_name("quilt-mcp")
    (same / "quilt-mcp").symlink_to(own)
    found = checks(shell, PATH=f"{other}:/usr/bin:/bin")["command"]
    assert found["ok"] is None and str(own) in found["fix"]
    assert checks(shell, PATH=f"{same}:/usr/bin:/bin")["command"]["ok"] is True
    assert checks(shell, PATH="/usr/bin:/bin")["command"]["ok"] is None


def test_case_E3_a_public_bucket_without_credentials_is_told_of_anonymous_first(shell: Shell) -> None:
    found = checks(shell, "--registry", "s3://public", code=1, AWS_EC2_METADATA_DISABLED="true")
    assert found["backend"]["fix"].startswith("If s3://public is public, start with --anonymous")


def test_case_E5_another_server_than_aws_is_not_asked_for_quilts_example(
    shell: Shell, moto: S3Access
) -> None:
    found = checks(shell, QUILT_DEFAULT_REGISTRY="", **moto.environment())
    assert found["read"]["ok"] is True and "quilt-example" not in str(found)
    assert "--registry" in found["iam"]["found"]
