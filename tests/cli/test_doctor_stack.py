"""``quilt-mcp doctor`` for a user of a Quilt stack: what it is, who is signed in, what works, and what mends the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from person import Person

from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from parts.stack.faults import no_credentials, nobody, unauthorized

STACK = ["stack", "user", "aws keys", "read", "write", "search"]


@pytest.fixture
def bucket(stack: Stack, moto: S3Access) -> str:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    return bucket


@pytest.fixture
def key(person: Person, stack: Stack, bucket: str) -> dict[str, str]:
    """The variables of ada, who is known by an API key."""
    return {"QUILT_API_KEY": stack.api_key("ada"), "QUILT_CATALOG_URL": stack.url}


def checks(person: Person, *, code: int = 0, **variables: str) -> dict[str, dict[str, Any]]:
    """Those after the decision, by name; no secret is among them, and nothing is told twice."""
    done = person.type("doctor", **variables)
    assert done.returncode == code, done.stdout + done.stderr
    assert not any(
        value in done.stdout + done.stderr for value in variables.values() if value[:3] in ("qk_", "eyJ")
    )
    told = json.loads(done.stdout)["checks"]
    failures = [one["found"] for one in told if one["ok"] is False]
    assert len(set(failures)) == len(failures)
    assert all(one["fix"] for one in told if one["ok"] is False)
    return {one["name"]: one for one in told if one["name"] in (*STACK, "two_users", "registry")}


def test_a_stack_that_works_is_told_line_by_line(
    person: Person, stack: Stack, key: dict[str, str], bucket: str
) -> None:
    stack.set_config(noDownload=True)
    found = checks(person, **key)
    assert list(found) == STACK and not any(one["ok"] is False for one in found.values())
    assert found["stack"]["found"].startswith(f"{stack.url}, release 26.8")
    assert "downloads switched off" in found["stack"]["found"]
    assert found["user"]["found"] == "ada (ada@example.com), role writer, may take reader (quilt-mcp role)"
    assert found["aws keys"]["found"] == "given to the role writer"
    assert f"s3://{bucket}" in found["read"]["found"]
    assert found["search"]["found"] == "finds 0 packages"


def test_an_administrator_with_one_role_is_told_so(person: Person, stack: Stack, bucket: str) -> None:
    stack.add_user("root", ("writer",), admin=True)
    person.login(stack, "root")
    found = checks(person, QUILT_DEFAULT_REGISTRY=f"s3://{bucket}")
    assert list(found) == STACK
    assert found["user"]["found"] == "root (root@example.com), role writer, an administrator"


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("fault", "last", "said", "fix"), [
    (Fault("/config.json", status=404), "stack", "is not the catalog", "by the address"),
    (Fault("/config.json", status=502), "stack", "status 502", "Try again"),
    (nobody(), "user", "no longer accepts", "export QUILT_API_KEY"),
    (unauthorized("Token invalid."), "stack", "status 401", "by the address"),
    (unauthorized("Token invalid.", "/graphql"), "user", "no longer accepts", "export QUILT_API_KEY"),
    (Fault("/graphql", status=403), "user", "refuses the request", "administrator"),
])  # fmt: skip
def test_what_stops_everything_is_the_last_line(
    person: Person, stack: Stack, key: dict[str, str], fault: Fault, last: str, said: str, fix: str
) -> None:
    stack.fault(fault)
    found = checks(person, code=1, **key)
    assert list(found) == STACK[: STACK.index(last) + 1]
    assert said in found[last]["found"] and fix in found[last]["fix"]


def test_a_user_without_aws_keys_is_served_through_the_stack(
    person: Person, stack: Stack, key: dict[str, str]
) -> None:
    stack.fault(no_credentials())
    found = checks(person, **key)
    assert list(found) == STACK
    assert found["aws keys"]["ok"] is None and "through the stack" in found["aws keys"]["found"]
    assert found["read"]["ok"] is True and found["search"]["ok"] is True
    assert found["write"]["ok"] is None


def test_a_search_that_fails_is_told_from_one_that_a_release_lacks(
    person: Person, stack: Stack, key: dict[str, str]
) -> None:
    stack.fault(Fault("/graphql", operation="SearchPackages*", status=503))
    found = checks(person, code=1, **key)
    assert found["search"]["ok"] is False and found["read"]["ok"] is True
    stack.clear_faults()
    refused = '{"errors": [{"message": "Cannot query field \\"searchPackages\\" on type \\"Query\\"."}]}'
    stack.fault(Fault("/graphql", operation="SearchPackages*", status=200, body=refused))
    assert checks(person, **key)["search"]["found"] == "finds 0 packages by its older search, without facets"
    stack.fault(Fault("/api/search", status=404, body="{}"))
    found = checks(person, **key)
    assert found["search"]["ok"] is None and found["search"]["found"].startswith("switched off")
    assert "packages_list" in found["search"]["fix"]


def test_a_search_that_tells_no_total_answers(
    person: Person, stack: Stack, key: dict[str, str], bucket: str
) -> None:
    person.login(stack)
    push = "quilt3.Package().push('lab/cells', registry=arguments['registry'], force=True)"
    person.quilt3.run(push, registry=f"s3://{bucket}")
    assert checks(person, **key)["search"]["found"] == "finds 1 package"
    stack.fault(Fault("/graphql", field="PackagesSearchResultSet.total", value=-1))
    assert checks(person, **key)["search"]["found"] == "answers"


def test_a_user_who_is_shown_no_buckets_has_the_local_registry(person: Person, stack: Stack) -> None:
    found = checks(person, QUILT_API_KEY=stack.api_key("ada"), QUILT_CATALOG_URL=stack.url)
    assert found["user"]["ok"] and found["aws keys"]["ok"]


def test_a_session_that_names_no_catalog_still_reads(person: Person, stack: Stack, bucket: str) -> None:
    person.login(stack)
    (person.folder / "config.yml").write_text(f"registryUrl: {stack.registry_url}\n")
    found = checks(person, QUILT_DEFAULT_REGISTRY=f"s3://{bucket}")
    assert list(found) == STACK
    assert found["stack"]["ok"] is None and "quilt-mcp login https://" in found["stack"]["fix"]


def test_a_token_and_a_session_of_two_users_are_told_by_doctor_and_by_status(
    person: Person, stack: Stack, bucket: str
) -> None:
    person.login(stack)
    stack.add_user("bob")
    given = {"QUILT_JWT_TOKEN": stack.token("bob"), "QUILT_CATALOG_URL": stack.url}
    found = checks(person, **given)
    assert found["two_users"]["ok"] is None and "quilt-mcp logout" in found["two_users"]["fix"]
    assert "bob" in found["user"]["found"], "the token is the one in use"
    (warning,) = [one for one in person.status(**given)["warnings"] if one.startswith("two_users: ")]
    assert "QUILT_JWT_TOKEN is" in warning and "quilt-mcp logout" in warning
    same = given | {"QUILT_JWT_TOKEN": stack.token("ada")}
    assert "two_users" not in checks(person, **same)
    assert not any(one.startswith("two_users") for one in person.status(**same).get("warnings", []))
