"""The one decision, in every combination of what may be found, asked for and served.

Real files, a registry and AWS's endpoints on loopback. The expectations are the tables below and one rule: the first usable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import botocore.credentials
import pytest

from parts.aws_endpoints import ROLE, START_URL, AwsEndpoints, write_sso_token
from parts.quilt_registry import QuiltRegistry, jwt
from quilt_mcp.auth.aws import credentials as aws_module
from quilt_mcp.auth.decision import Decider
from quilt_mcp.auth.identity import Asker, Identity, QuiltAccess, S3Access, TokenAccess
from quilt_mcp.auth.sources import Sources
from quilt_mcp.auth.token import fingerprint
from quilt_mcp.config import Settings
from quilt_mcp.errors import AuthenticationError, QuiltError, StorageUnavailable
from quilt_mcp.option import BackendName

CATALOG = "https://catalog.example"
KEYS = "aws_access_key_id = AKIAPROFILEKEY123456\naws_secret_access_key = canary-aws\n"
SERVER_JWT = jwt(1, "canary-free-ada")
SERVER_KEY = "qk_canaryserverkey"
REQUEST_JWT = jwt(2, "bob")
REQUEST_KEY = "qk_canaryrequestkey"


@dataclass(frozen=True)
class Found:
    """What one kind of credentials comes to: who that is, or the command that mends it, and words of the reason."""

    says: str
    principal: str | None = None
    fix: str = ""


QUILT3 = {
    "none": Found("No saved quilt3 session was found", fix="quilt-mcp login https://your-catalog"),
    "valid": Found("signed in at catalog.example", "ada at catalog.example"),
    "expired": Found("signed in at catalog.example", "ada at catalog.example"),
    "dead": Found("no longer accepts the saved session", fix="quilt-mcp login"),
    "disabled": Found("QUILT_DISABLE_QUILT3_SESSION is set", fix="unset QUILT_DISABLE_QUILT3_SESSION"),
}
TOKEN = {
    "none": Found("Neither QUILT_JWT_TOKEN nor QUILT_API_KEY is set", fix="export QUILT_API_KEY=qk_..."),
    "JWT": Found("is a JWT", f"canary-free-ada #{fingerprint(SERVER_JWT)} at catalog.example"),
    "API key": Found("is an API key", f"API key #{fingerprint(SERVER_KEY)} at catalog.example"),
    "malformed": Found("QUILT_JWT_TOKEN is not a JWT", fix="export QUILT_JWT_TOKEN=..."),
}
REQUEST = {
    "none": Found("asks each request for a token"),
    "JWT": Found("is a JWT", f"bob #{fingerprint(REQUEST_JWT)} at catalog.example"),
    "API key": Found("is an API key", f"API key #{fingerprint(REQUEST_KEY)} at catalog.example"),
    "malformed": Found("is not a JWT"),
}
AWS = {
    "none": Found("No AWS credentials", fix="aws configure"),
    "variables": Found("AWS_ACCESS_KEY_ID is set", "AWS access key AKIA...5678"),
    "profile": Found("The AWS profile lab has keys", "AWS access key AKIA...3456 of profile lab"),
    "SSO expired": Found("SSO sign-in of profile lab has expired", fix="aws sso login --profile lab"),
    "role": Found("The AWS profile lab gives a role", f"AWS role {ROLE} by profile lab"),
}
EXPLICIT: tuple[BackendName | None, ...] = (None, "local", "iam", "quilt3", "platform")


@pytest.fixture(scope="module")
def endpoints() -> Iterator[AwsEndpoints]:
    with AwsEndpoints() as made:
        yield made


@pytest.fixture(scope="module")
def registry() -> Iterator[QuiltRegistry]:
    with QuiltRegistry() as made:
        yield made


class Machine:
    """One state of quilt3's session and of AWS. ``sources`` is shared by all decisions on it, as in a server."""

    def __init__(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, endpoints: AwsEndpoints, registry: QuiltRegistry
    ) -> None:
        self.home = home
        self.folder = home / "data" / "Quilt"
        self.folder.mkdir(parents=True)
        (home / ".aws").mkdir()
        self.registry = registry
        self.monkeypatch = monkeypatch
        for name in [one for one in os.environ if one.startswith(("AWS_", "QUILT_"))]:
            monkeypatch.delenv(name)
        self.set(HOME=str(home), XDG_DATA_HOME=str(home / "data"), LOGNAME="ada", **endpoints.environment())
        self.set(AWS_EC2_METADATA_DISABLED="true")
        monkeypatch.setattr(aws_module, "_DMI", ())
        monkeypatch.setattr(
            botocore.credentials.SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(home / ".aws" / "sso" / "cache")
        )
        self.sources = Sources(os.environ)
        self.quilt3 = "none"

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def have_aws(self, state: str) -> None:
        config, credentials = self.home / ".aws" / "config", self.home / ".aws" / "credentials"
        match state:
            case "variables":
                self.set(AWS_ACCESS_KEY_ID="AKIAVARIABLE12345678", AWS_SECRET_ACCESS_KEY="canary-aws")
            case "profile":
                credentials.write_text("[lab]\n" + KEYS)
                self.set(AWS_PROFILE="lab")
            case "SSO expired":
                config.write_text(
                    f"[profile lab]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"
                    "sso_account_id = 123456789012\nsso_role_name = reader\n"
                )
                write_sso_token(
                    self.home / ".aws" / "sso" / "cache", "canary-sso", datetime.now(UTC) - timedelta(hours=1)
                )
                self.set(AWS_PROFILE="lab")
            case "role":
                credentials.write_text("[base]\n" + KEYS)
                config.write_text(f"[profile lab]\nrole_arn = {ROLE}\nsource_profile = base\n")
                self.set(AWS_PROFILE="lab")

    def have_quilt3(self, state: str) -> None:
        self.quilt3 = state
        (self.folder / "config.yml").write_text(
            f"registryUrl: {self.registry.url}\nnavigator_url: {CATALOG}\n"
        )
        if state == "none":
            return
        entry = self.registry.entry(-5 if state in {"expired", "dead"} else 3600)
        if state == "dead":
            entry["refresh_token"] = "canary-used-up"
        (self.folder / "auth.json").write_text(json.dumps({self.registry.url: entry}))

    def settings(self, token: str, **more: Any) -> Settings:
        given: dict[str, Any] = {
            "none": {},
            "JWT": {"jwt_token": SERVER_JWT, "catalog_url": CATALOG},
            "API key": {"api_key": SERVER_KEY, "catalog_url": CATALOG + "/"},
            "malformed": {"jwt_token": "canary-no-jwt", "catalog_url": CATALOG},
        }[token]
        return Settings(disable_quilt3_session=self.quilt3 == "disabled", **given | more)

    def decide(self, settings: Settings, asker: Asker) -> Identity | QuiltError:
        try:
            made = Decider(settings, os.environ, sources=self.sources).decide(asker)
        except QuiltError as error:
            made = error
        assert "canary-" not in repr(made).replace("canary-free", "") and "qk_canary" not in repr(made)
        return made


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoints: AwsEndpoints, registry: QuiltRegistry
) -> Machine:
    return Machine(tmp_path, monkeypatch, endpoints, registry)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("aws", AWS)
@pytest.mark.parametrize("quilt3", QUILT3)
def test_every_combination_comes_out_as_the_table_says(machine: Machine, quilt3: str, aws: str) -> None:
    machine.have_aws(aws)
    machine.have_quilt3(quilt3)
    for token, explicit in product(TOKEN, EXPLICIT):
        for transport in ("stdio", "command", "single-user http"):
            if quilt3 == "expired":  # the one before has refreshed it
                machine.have_quilt3(quilt3)
            settings = machine.settings(
                token, backend=explicit, single_user=transport == "single-user http", default_registry=None
            )
            asker = Asker(
                "command" if transport == "command" else "stdio" if transport == "stdio" else "http"
            )
            made = machine.decide(settings, asker)
            combination = f"{quilt3=} {token=} {aws=} {explicit=} {transport=}"
            check(made, quilt3, token, aws, explicit, combination)


def check(
    made: Identity | QuiltError,
    quilt3: str,
    token: str,
    aws: str,
    explicit: BackendName | None,
    combination: str,
) -> None:
    found: dict[BackendName, Found] = {"quilt3": QUILT3[quilt3], "platform": TOKEN[token], "iam": AWS[aws]}
    found["local"] = Found("Needs no credentials", "local user ada")
    if explicit is not None:
        wanted = found[explicit]
        if wanted.principal is None:
            assert isinstance(made, AuthenticationError), combination
            assert wanted.says in made.message and f"`{wanted.fix}`" in made.next_step, combination
        else:
            assert isinstance(made, Identity), f"{combination}: {made}"
            assert (made.kind, made.principal) == (explicit, wanted.principal), combination
            assert made.explanation[0].chosen and "asked for by" in made.explanation[0].reason
            assert all("Not looked for" in one.reason for one in made.explanation[1:]), combination
        return
    if token == "malformed":  # who gives a token means to be that user and nobody else
        assert isinstance(made, AuthenticationError) and TOKEN[token].says in made.message, combination
        assert f"`{TOKEN[token].fix}`" in made.next_step, combination
        return
    assert isinstance(made, Identity), f"{combination}: {made}"
    order: tuple[BackendName, ...] = ("platform", "quilt3", "iam", "local")
    expected = next(kind for kind in order if found[kind].principal is not None)
    assert (made.kind, made.principal) == (expected, found[expected].principal), combination
    assert [one.kind for one in made.explanation] == list(order[: order.index(expected) + 1]), combination
    assert [one.chosen for one in made.explanation] == [one.kind == expected for one in made.explanation], (
        combination
    )
    for one in made.explanation:
        assert found[one.kind].says in one.reason, combination
        assert one.fix == ("" if one.chosen else found[one.kind].fix), f"case_E9: {combination}"
    access = {"quilt3": QuiltAccess, "platform": TokenAccess, "iam": S3Access, "local": type(None)}
    assert type(made.credentials) is access[made.kind]
    registries = {"platform": "None", "local": "/"}
    assert str(made.registry).startswith(registries.get(made.kind, "s3://quilt-example")), combination


@pytest.mark.parametrize("aws", AWS)
@pytest.mark.parametrize("quilt3", QUILT3)
def test_a_server_for_many_goes_by_the_token_of_the_request_and_nothing_else(
    machine: Machine, quilt3: str, aws: str
) -> None:
    """Whatever the server itself has: its session, variables, profile and token are nobody's."""
    machine.have_aws(aws)
    machine.have_quilt3(quilt3)
    given = {"none": None, "JWT": REQUEST_JWT, "API key": REQUEST_KEY, "malformed": "canary-no-jwt"}
    for own, request, explicit in product(("JWT", "API key", "malformed"), REQUEST, EXPLICIT):
        settings = machine.settings(own, backend=explicit)
        asker = Asker("http", given[request])
        made = machine.decide(settings, asker)
        wanted = REQUEST[request]
        if wanted.principal is None:
            assert isinstance(made, AuthenticationError) and wanted.says in made.message
        else:
            assert isinstance(made, Identity)
            assert (made.kind, made.principal) == ("platform", wanted.principal)
            assert made.credentials.bearer.token() == given[request]
            assert [one.kind for one in made.explanation] == ["platform"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("aws", ["none", "SSO expired"])
@pytest.mark.parametrize("quilt3", ["none", "dead", "disabled"])
def test_required_credentials_list_what_was_tried_and_what_mends_each(
    machine: Machine, quilt3: str, aws: str
) -> None:
    machine.have_aws(aws)
    machine.have_quilt3(quilt3)
    made = machine.decide(machine.settings("none", require_auth=True), Asker())
    assert isinstance(made, AuthenticationError)
    for found in (QUILT3[quilt3], TOKEN["none"], AWS[aws]):
        assert found.says in made.message
        assert f"`{found.fix}`" in made.next_step
    assert [one["kind"] for one in made.details["candidates"]] == ["platform", "quilt3", "iam", "local"]


def test_the_default_registry_says_which_backends_make_sense(machine: Machine) -> None:
    machine.have_aws("variables")
    machine.have_quilt3("valid")
    local = machine.decide(machine.settings("none", default_registry="/data"), Asker())
    assert isinstance(local, Identity) and (local.kind, local.registry) == ("quilt3", "/data"), "case_E4"
    remote = machine.decide(machine.settings("none", default_registry="s3://mine"), Asker())
    assert isinstance(remote, Identity) and (remote.kind, remote.registry) == ("quilt3", "s3://mine")
    (machine.folder / "auth.json").unlink()
    machine.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    machine.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    nobody = machine.decide(machine.settings("none", default_registry="s3://mine"), Asker())
    assert isinstance(nobody, AuthenticationError) and "folder" in nobody.next_step
    assert nobody.next_step.startswith("If s3://mine is public, start with --anonymous"), "case_E3"
    by_name = machine.decide(machine.settings("none", default_registry="s3://mine", backend="iam"), Asker())
    assert isinstance(by_name, AuthenticationError) and "--anonymous" in by_name.next_step


def test_case_S2_a_folder_is_served_by_nobody_while_the_credentials_in_use_fail(machine: Machine) -> None:
    """And by no other identity, which would then be S3's too."""
    machine.have_quilt3("valid")
    machine.have_aws("variables")
    settings = machine.settings("none", default_registry="/data")
    decider = Decider(settings, os.environ, sources=machine.sources)
    assert decider.decide(Asker()).kind == "quilt3"
    machine.have_quilt3("dead")
    made = decider.decide(Asker())
    assert (made.kind, made.registry) == ("local", "/data")
    assert made.explanation[1].fix == "quilt-mcp login"
    machine.have_quilt3("valid")
    assert decider.decide(Asker()).kind == "quilt3"


@pytest.mark.parametrize("by_name", [None, "platform", "quilt3"])
def test_a_token_and_a_session_of_one_stack_that_claim_two_users_are_told(
    machine: Machine, by_name: BackendName | None
) -> None:
    machine.have_quilt3("valid")
    made = machine.decide(
        machine.settings("JWT", backend=by_name, catalog_url="https://Catalog.Example/"), Asker()
    )
    assert isinstance(made, Identity)
    (note,) = made.notes
    assert note.name == "two_users" and "quilt-mcp logout" in note.fix
    assert note.text.startswith("QUILT_JWT_TOKEN is canary-free-ada's and the saved session ada's")
    assert note.text.endswith("by the session." if by_name == "quilt3" else "by the token.")


def test_where_nothing_says_that_they_are_two_users_nothing_is_told(machine: Machine) -> None:
    machine.have_quilt3("valid")
    another = {"catalog_url": "https://other.example"}
    email = ".".join(["e30", "eyJlbWFpbCI6ICJhQGIuYyJ9", "x"])
    settings = {
        "the same user": machine.settings("JWT", jwt_token=jwt(3, "ada")),
        "other claims": machine.settings("JWT", jwt_token=email),
        "an API key": machine.settings("API key"),
        "another stack": machine.settings("JWT", **another),
        "no token": machine.settings("none"),
        "an HTTP request": machine.settings("JWT"),
    }
    for what, given in settings.items():
        asker = Asker("http", REQUEST_JWT) if what == "an HTTP request" else Asker()
        made = machine.decide(given, asker)
        assert isinstance(made, Identity) and made.notes == (), what
    session, config = machine.folder / "auth.json", machine.folder / "config.yml"

    def changed(state: str) -> None:
        match state:
            case "disabled":
                machine.quilt3 = state
            case "broken":
                machine.quilt3 = state
                session.write_text("{[")
            case "of no catalog":
                machine.have_quilt3("valid")
                config.write_text(f"registryUrl: {machine.registry.url}\n")
            case _:
                session.unlink()

    for state in ("disabled", "broken", "of no catalog", "signed out"):
        changed(state)
        made = machine.decide(machine.settings("JWT"), Asker())
        assert isinstance(made, Identity) and made.notes == (), state


def test_case_E5_another_server_than_aws_is_not_asked_for_the_example_registry(machine: Machine) -> None:
    machine.have_aws("variables")
    machine.set(AWS_ENDPOINT_URL="http://127.0.0.1:1")
    for more in ({}, {"anonymous": True}):
        made = machine.decide(machine.settings("none", **more), Asker())
        assert isinstance(made, Identity) and made.registry == str(machine.folder / "packages")
        assert "--registry" in made.explanation[-1].reason


def test_the_registry_that_quilt3_is_configured_with_is_the_default(machine: Machine) -> None:
    machine.have_quilt3("valid")
    with (machine.folder / "config.yml").open("a") as file:
        file.write("default_remote_registry: s3://team\nregion: eu-west-1\n")
    made = machine.decide(machine.settings("none"), Asker())
    assert isinstance(made, Identity) and made.registry == "s3://team"
    access = made.credentials
    assert (access.catalog_url, access.registry_url, access.s3.region) == (
        CATALOG,
        machine.registry.url,
        "eu-west-1",
    )
    assert access.bearer.token() == machine.registry.access_token
    assert access.s3.keys().access_key.startswith("ASIAQUILTKEY")


def test_unsigned_requests_are_used_when_they_are_asked_for(machine: Machine) -> None:
    machine.have_quilt3("valid")
    machine.have_aws("variables")
    made = machine.decide(machine.settings("JWT", anonymous=True), Asker())
    assert isinstance(made, Identity)
    assert (made.kind, made.principal, made.credentials.keys) == ("iam", "anonymous", None)
    assert all("unsigned" in one.reason for one in made.explanation)


def test_credentials_in_use_that_fail_are_an_error_and_never_another_identity(machine: Machine) -> None:
    """A session that ends in the middle of a conversation must not turn the next call into one on another registry."""
    machine.have_quilt3("valid")
    machine.have_aws("variables")
    decider = Decider(machine.settings("none"), os.environ, sources=machine.sources)
    assert decider.decide(Asker()).kind == "quilt3"
    machine.have_quilt3("dead")
    with pytest.raises(AuthenticationError, match="no longer accepts"):
        decider.decide(Asker())
    machine.have_quilt3("expired")
    machine.registry.answers["/api/token"] = (503, {}, b"")
    try:
        with pytest.raises(StorageUnavailable, match="status 503"):
            decider.decide(Asker())
    finally:
        machine.registry.answers.clear()
    machine.have_quilt3("valid")
    assert decider.decide(Asker()).kind == "quilt3"


def test_credentials_that_are_gone_make_room_for_the_next(machine: Machine) -> None:
    machine.have_quilt3("valid")
    machine.have_aws("variables")
    decider = Decider(machine.settings("none"), os.environ, sources=machine.sources)
    assert decider.decide(Asker()).kind == "quilt3"
    (machine.folder / "auth.json").write_text("{}")
    assert decider.decide(Asker()).kind == "iam"
    machine.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    machine.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert decider.decide(Asker()).kind == "local"
    machine.have_quilt3("valid")
    assert decider.decide(Asker()).kind == "quilt3"


def test_a_session_that_is_refused_is_asked_about_once(machine: Machine) -> None:
    machine.have_quilt3("dead")
    decider = Decider(machine.settings("none"), os.environ, sources=machine.sources)
    machine.registry.requests.clear()
    for _ in range(5):
        assert decider.decide(Asker()).kind == "local"
    assert machine.registry.requests["/api/token"] == 1


@pytest.mark.parametrize("catalog", [None, "catalog.example", "http://catalog.example"])
def test_a_token_that_belongs_nowhere_is_an_error_and_never_another_identity(
    machine: Machine, catalog: str | None
) -> None:
    machine.have_aws("variables")
    machine.have_quilt3("valid")
    made = machine.decide(Settings(api_key=SERVER_KEY, catalog_url=catalog), Asker())
    assert isinstance(made, AuthenticationError) and "QUILT_CATALOG_URL" in made.message
    assert made.details["command"] == "export QUILT_CATALOG_URL=https://your-catalog"


def test_identities_that_are_shown_alike_are_told_apart(machine: Machine) -> None:
    """Two registries of one catalog, two tokens of one user: what was opened for one serves no other."""
    made = [
        machine.decide(Settings(jwt_token=token, catalog_url=CATALOG + path), Asker())
        for token, path in ((SERVER_JWT, ""), (SERVER_JWT, "/a"), (REQUEST_JWT, ""))
    ]
    assert len({one.scope for one in made if isinstance(one, Identity)}) == 3
    machine.have_quilt3("valid")
    one = machine.decide(machine.settings("none"), Asker())
    assert isinstance(one, Identity) and machine.registry.url in one.scope
