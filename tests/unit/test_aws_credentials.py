"""AWS credentials: found where they are, refreshed, and precisely told when they are not usable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.credentials
import botocore.tokens
import pytest

from parts.aws_endpoints import ROLE, START_URL, AwsEndpoints, write_sso_token
from quilt_mcp.auth.aws import credentials as aws_module
from quilt_mcp.auth.aws.credentials import AwsCredentials
from quilt_mcp.auth.finding import Finding
from quilt_mcp.errors import AuthenticationError, StorageUnavailable
from quilt_mcp.storage.s3.clients import S3Clients

KEYS = "aws_access_key_id = AKIAPROFILEKEY123456\naws_secret_access_key = profile-secret\n"
SSO = f"""[profile lab]
sso_start_url = {START_URL}
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = reader
"""


@pytest.fixture(scope="module")
def endpoints() -> Iterator[AwsEndpoints]:
    with AwsEndpoints() as made:
        yield made


class Machine:
    """A home with AWS's files, and an environment; ``aws`` is what a server there has."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, endpoints: AwsEndpoints) -> None:
        self.home = home
        self.monkeypatch = monkeypatch
        self.endpoints = endpoints
        self.now = 1000.0
        (home / ".aws").mkdir()
        self.cache = home / ".aws" / "sso" / "cache"

        for name in [one for one in os.environ if one.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(home))
        for owner in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
            monkeypatch.setattr(owner, "_SSO_TOKEN_CACHE_DIR", str(self.cache))
        monkeypatch.setattr(aws_module, "_DMI", ())
        self.set(**endpoints.environment())
        self.aws = AwsCredentials(os.environ, clock=lambda: self.now)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def config(self, text: str) -> None:
        (self.home / ".aws" / "config").write_text(text)

    def credentials(self, text: str) -> None:
        (self.home / ".aws" / "credentials").write_text(text)

    def later(self) -> Finding[str]:
        self.now += 60
        return self.aws.find()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoints: AwsEndpoints) -> Iterator[Machine]:
    endpoints.refuse.clear()
    endpoints.requests.clear()
    endpoints.lasts = timedelta(hours=1)
    yield Machine(tmp_path, monkeypatch, endpoints)


def test_keys_in_variables_are_used_as_they_are(machine: Machine) -> None:
    machine.set(AWS_ACCESS_KEY_ID="AKIAVARIABLE12345678", AWS_SECRET_ACCESS_KEY="s", AWS_SESSION_TOKEN="t")
    found = machine.aws.find()
    assert (found.found, found.reason) == ("AWS access key AKIA...5678", "AWS_ACCESS_KEY_ID is set.")
    keys = machine.aws.keys()
    assert (keys.access_key, keys.secret_key, keys.token, keys.expires) == (
        "AKIAVARIABLE12345678",
        "s",
        "t",
        None,
    )


@pytest.mark.parametrize("file", ["credentials", "config"])
def test_keys_of_a_profile_are_used_and_followed_when_they_change(machine: Machine, file: str) -> None:
    section = "[lab]\n" if file == "credentials" else "[profile lab]\n"
    write = getattr(machine, file)
    write(section + KEYS)
    machine.set(AWS_PROFILE="lab")
    assert machine.aws.find().found == "AWS access key AKIA...3456 of profile lab"
    assert machine.aws.keys().secret_key == "profile-secret"
    write(section + KEYS.replace("profile-secret", "another-secret"))
    assert machine.aws.keys().secret_key == "another-secret"


def test_variables_win_over_the_default_profile(machine: Machine) -> None:
    machine.credentials("[default]\n" + KEYS)
    machine.set(AWS_ACCESS_KEY_ID="AKIAVARIABLE12345678", AWS_SECRET_ACCESS_KEY="s")
    assert machine.aws.keys().access_key == "AKIAVARIABLE12345678"


def test_a_role_is_taken_on_and_renewed_before_it_ends(machine: Machine) -> None:
    machine.credentials("[base]\n" + KEYS)
    machine.config(f"[profile lab]\nrole_arn = {ROLE}\nsource_profile = base\n")
    machine.set(AWS_PROFILE="lab")
    machine.endpoints.lasts = timedelta(minutes=12)  # under botocore's quarter of an hour: renewed at once
    assert machine.aws.find().found == f"AWS role {ROLE} by profile lab"
    first = machine.aws.keys()
    assert first.access_key.startswith("ASIALOOPBACK") and first.token
    assert first.expires is not None and first.expires.utcoffset() == timedelta(0)
    machine.endpoints.lasts = timedelta(hours=1)
    second = machine.aws.keys()
    assert second.access_key != first.access_key
    assert machine.aws.keys() == second


def test_a_web_identity_gives_a_role(machine: Machine) -> None:
    (machine.home / "token").write_text("web-token")
    machine.set(AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=str(machine.home / "token"))
    assert machine.aws.find().found == f"AWS role {ROLE} by web identity"
    assert machine.endpoints.requests == {"AssumeRoleWithWebIdentity": 1}


def test_a_container_gives_a_role(machine: Machine) -> None:
    machine.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{machine.endpoints.url}/container")
    assert machine.aws.find().found == "AWS container role"
    assert machine.aws.keys().access_key.startswith("ASIALOOPBACK")


def test_an_instance_gives_a_role_when_the_machine_says_that_it_is_one(
    machine: Machine, tmp_path: Path
) -> None:
    machine.set(AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.endpoints.url)
    assert machine.aws.find().found == "AWS instance role"
    machine.set(AWS_EC2_METADATA_DISABLED="true")
    machine.endpoints.requests.clear()
    assert machine.aws.find(by_name=True).found is None
    assert not machine.endpoints.requests


@pytest.mark.parametrize(("vendor", "expected"), [("Amazon EC2\n", True), ("LENOVO\n", False)])
def test_the_firmware_says_whether_this_is_an_instance(
    machine: Machine, tmp_path: Path, vendor: str, expected: bool
) -> None:
    (tmp_path / "sys_vendor").write_text(vendor)
    machine.monkeypatch.setattr(aws_module, "_DMI", (tmp_path / "sys_vendor",))
    machine.set(AWS_EC2_METADATA_SERVICE_ENDPOINT="")
    assert machine.aws._on_ec2() is expected  # pyright: ignore[reportPrivateUsage] - asking would go to a fixed address


def test_a_laptop_with_nothing_is_answered_without_botocore_or_network(tmp_path: Path) -> None:
    script = """
import os, socket, sys
def refuse(*_):
    raise SystemExit("asked the network")
socket.socket.connect = refuse
from quilt_mcp.auth.aws.credentials import AwsCredentials
aws = AwsCredentials(os.environ)
found = aws.find()
assert found.found is None, found
print(found.fix, [one for one in sys.modules if one.partition(".")[0] in {"boto3", "botocore", "obstore", "httpx2"}])
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.stdout == "aws configure []\n", result.stderr


def test_sso_gives_a_role_until_it_ends(machine: Machine) -> None:
    machine.config(SSO)
    machine.set(AWS_PROFILE="lab")
    write_sso_token(machine.cache, machine.endpoints.sso_token, datetime.now(UTC) + timedelta(hours=1))
    assert machine.aws.find().found == "AWS profile lab"
    assert machine.aws.keys().access_key.startswith("ASIALOOPBACK")


def expect(machine: Machine, said: str, command: str) -> Finding[str]:
    found = machine.aws.find()
    assert found.found is None
    assert said in found.reason
    assert found.fix == command
    with pytest.raises(AuthenticationError) as caught:
        machine.aws.keys()
    assert f"`{command}`" in caught.value.next_step
    assert "profile-secret" not in f"{found} {caught.value.details}"
    return found


def test_sso_that_was_never_begun_or_has_ended_names_the_command(machine: Machine) -> None:
    machine.config(SSO)
    machine.set(AWS_PROFILE="lab")
    expect(machine, "SSO sign-in of profile lab", "aws sso login --profile lab")
    write_sso_token(machine.cache, "sso-token", datetime.now(UTC) - timedelta(hours=1))
    machine.now += 60
    found = expect(machine, "SSO sign-in of profile lab", "aws sso login --profile lab")
    assert found.error is not None
    write_sso_token(machine.cache, "sso-token", datetime.now(UTC) + timedelta(hours=1))
    assert machine.later().found == "AWS profile lab"


def test_sso_of_a_named_session_that_has_ended_names_the_command(machine: Machine) -> None:
    machine.config(
        "[profile lab]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = reader\n"
        f"[sso-session work]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"
    )
    machine.set(AWS_PROFILE="lab")
    write_sso_token(machine.cache, "sso-token", datetime.now(UTC) - timedelta(hours=1), session="work")
    expect(machine, "SSO sign-in of profile lab", "aws sso login --profile lab")


def test_sso_that_was_revoked_or_gives_no_such_role_is_told_apart(machine: Machine) -> None:
    machine.config(SSO)
    machine.set(AWS_PROFILE="lab")
    write_sso_token(machine.cache, "revoked", datetime.now(UTC) + timedelta(hours=1))
    expect(machine, "has expired", "aws sso login --profile lab")
    machine.endpoints.refuse["GetRoleCredentials"] = (403, "ForbiddenException")
    machine.now += 60
    expect(
        machine, "does not give profile lab its role (ForbiddenException)", "aws configure sso --profile lab"
    )


def test_a_profile_that_is_not_there_is_named_with_the_files(machine: Machine) -> None:
    machine.config("[profile other]\nregion = eu-west-1\n")
    machine.set(AWS_PROFILE="lab", AWS_ACCESS_KEY_ID="AKIAVARIABLE12345678", AWS_SECRET_ACCESS_KEY="s")
    found = expect(machine, "AWS_PROFILE names the profile lab", "aws configure --profile lab")
    assert str(machine.home / ".aws" / "config") in found.reason


def test_a_profile_without_credentials_is_none_and_no_failure(machine: Machine) -> None:
    machine.config("[default]\nregion = eu-west-1\n")
    found = expect(machine, "the profile default has none", "aws configure")
    assert found.error is None


def test_half_a_key_pair_is_told(machine: Machine) -> None:
    machine.set(AWS_ACCESS_KEY_ID="AKIAVARIABLE12345678")
    expect(machine, "not AWS_SECRET_ACCESS_KEY", "export AWS_SECRET_ACCESS_KEY=...")


def test_half_a_key_pair_of_a_profile_is_told(machine: Machine) -> None:
    machine.credentials("[default]\naws_access_key_id = AKIAPROFILEKEY123456\n")
    expect(machine, "half of a key pair", "aws configure")


def test_files_that_cannot_be_parsed_are_told(machine: Machine) -> None:
    machine.config("no section = 1\n")
    expect(machine, "cannot be read (MissingSectionHeaderError)", "aws configure list")


def test_a_role_that_is_refused_is_told_with_the_code(machine: Machine) -> None:
    machine.credentials("[base]\n" + KEYS)
    machine.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n")
    machine.endpoints.refuse["AssumeRole"] = (403, "AccessDenied")
    expect(machine, "refused AssumeRole for profile default (AccessDenied)", "aws sts get-caller-identity")


def test_roles_in_a_circle_are_told(machine: Machine) -> None:
    machine.config(
        f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\nrole_arn = {ROLE}\nsource_profile = a\n"
    )
    machine.set(AWS_PROFILE="a")
    expect(machine, "InfiniteLoopConfigError", "aws configure list --profile a")


@pytest.mark.parametrize("where", ["itself", "below"])
def test_a_role_that_wants_a_code_typed_is_refused_before_it_asks(machine: Machine, where: str) -> None:
    """botocore would wait at the terminal for the code: a server has none."""
    code = "mfa_serial = arn:aws:iam::123456789012:mfa/ada\n"
    machine.credentials("[base]\n" + KEYS)
    machine.config(
        f"[profile lab]\nrole_arn = {ROLE}\nsource_profile = middle\n{code if where == 'itself' else ''}"
        f"[profile middle]\nrole_arn = {ROLE}\nsource_profile = base\n{code if where == 'below' else ''}"
    )
    machine.set(AWS_PROFILE="lab")
    expect(machine, "asks for an MFA code", "aws sts get-session-token")


def test_a_process_that_fails_is_told_without_what_it_printed(machine: Machine) -> None:
    machine.config("[default]\ncredential_process = sh -c 'echo profile-secret >&2; exit 1'\n")
    expect(machine, "(a process or a container) failed", "aws sts get-caller-identity")


def test_a_process_that_does_not_end_is_ended_and_told_as_that(machine: Machine) -> None:
    """Even while a child of its own holds its output open."""
    script = machine.home / "process.sh"
    script.write_text(f"#!/bin/sh\necho $$ > {machine.home}/pid\nsleep 60\n")
    script.chmod(0o755)
    machine.config(f"[default]\ncredential_process = {script}\n")
    machine.aws = AwsCredentials(os.environ, clock=lambda: machine.now, process_seconds=0.5)
    found = machine.aws.find()
    assert isinstance(found.error, StorageUnavailable)
    assert "does not come to an end" in found.error.message and "terminal" in found.error.next_step
    with pytest.raises(ProcessLookupError):
        os.kill(int((machine.home / "pid").read_text()), 0)
    script.write_text(
        """#!/bin/sh
echo '{"Version": 1, "AccessKeyId": "AKIAPROCESS123456789", "SecretAccessKey": "s"}'
"""
    )
    machine.later()
    assert machine.aws.keys().access_key == "AKIAPROCESS123456789"


def test_a_process_that_fails_later_puts_nothing_it_printed_into_the_log(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = {
        "Version": 1,
        "AccessKeyId": "A",
        "SecretAccessKey": "canary",
        "SessionToken": "t",
        "Expiration": soon,
    }
    script = machine.home / "process.sh"
    script.write_text(f"#!/bin/sh\ncat {machine.home}/answer || {{ echo canary >&2; exit 1; }}\n")
    script.chmod(0o755)
    (machine.home / "answer").write_text(json.dumps(answer))
    machine.config(f"[default]\ncredential_process = {script}\n")
    assert machine.aws.find().found == "AWS profile default"
    (machine.home / "answer").unlink()
    with pytest.raises(AuthenticationError) as caught:
        machine.aws.keys()
    assert "canary" not in caplog.text and "canary" not in f"{caught.value} {caught.value.details}"


def test_what_cannot_be_reached_is_worth_trying_again(machine: Machine) -> None:
    machine.credentials("[base]\n" + KEYS)
    machine.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n")
    machine.set(AWS_ENDPOINT_URL_STS="http://127.0.0.1:1")
    found = machine.aws.find()
    assert isinstance(found.error, StorageUnavailable)
    assert "cannot be reached" in found.reason


def test_credentials_that_end_later_are_told_as_a_failure(machine: Machine) -> None:
    machine.credentials("[base]\n" + KEYS)
    machine.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n")
    machine.endpoints.lasts = timedelta(minutes=5)
    assert machine.aws.find().found is not None
    machine.endpoints.refuse["AssumeRole"] = (403, "AccessDenied")
    assert machine.later().error is not None
    with pytest.raises(AuthenticationError):
        machine.aws.keys()
    machine.endpoints.refuse.clear()
    assert machine.later().found is not None


def test_what_failed_a_moment_ago_is_not_asked_again(machine: Machine) -> None:
    machine.credentials("[base]\n" + KEYS)
    machine.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n")
    machine.endpoints.refuse["AssumeRole"] = (403, "AccessDenied")
    asked = [machine.aws.find() and machine.endpoints.requests["AssumeRole"] for _ in range(5)]
    assert asked == [1] * 5


def test_endpoint_and_region_are_those_of_the_variables_then_the_profile(machine: Machine) -> None:
    machine.config(
        "[default]\nregion = eu-west-1\nendpoint_url = http://profile:1\nservices = mine\n"
        "[services mine]\ns3 =\n  endpoint_url = http://services:1/\n  addressing_style = path\n"
    )
    access = machine.aws.access()
    assert (access.region, access.endpoint_url) == ("eu-west-1", "http://services:1")
    machine.set(AWS_REGION="us-west-2", AWS_ENDPOINT_URL="http://variable:1")
    access = machine.aws.access()
    assert (access.region, access.endpoint_url) == ("us-west-2", "http://variable:1")
    machine.set(AWS_ENDPOINT_URL_S3="http://s3:1")
    assert machine.aws.access().endpoint_url == "http://s3:1"
    machine.set(AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    assert machine.aws.access().endpoint_url is None
    assert machine.aws.access(anonymous=True).keys is None


def test_no_secret_shows_in_what_is_printed(machine: Machine) -> None:
    machine.set(
        AWS_ACCESS_KEY_ID="AKIAVARIABLE12345678", AWS_SECRET_ACCESS_KEY="canary", AWS_SESSION_TOKEN="canary"
    )
    found = machine.aws.find()
    shown = f"{found!r} {machine.aws.keys()!r} {machine.aws.access()!r} {machine.aws!r}"
    assert "canary" not in shown and "AKIAVARIABLE12345678" not in shown


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ACCESS_KEY_ID", "AWS_REGION",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL",
    ],
)  # fmt: skip
def test_case_E2_a_variable_of_awss_that_is_empty_is_unset(machine: Machine, name: str) -> None:
    """For botocore too, which would take it for a profile without a name, or for no number."""
    machine.config("[default]\nregion = eu-west-1\n")
    machine.credentials("[default]\n" + KEYS)
    machine.set(**{name: ""})
    assert machine.aws.find().found == "AWS access key AKIA...3456 of profile default"
    assert machine.aws.keys().secret_key == "profile-secret"
    machine.set(**{name: ""})
    access = machine.aws.access()
    clients = S3Clients(access.keys, region=access.region)
    assert clients.boto().meta.region_name == "eu-west-1"
