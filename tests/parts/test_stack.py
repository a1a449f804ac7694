"""The tests' stack answers as the facts about real ones say, and goes wrong as it is told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from parts.s3_access import S3Access
from parts.stack import Fault, Stack, faults, quilt_stack

pytestmark = pytest.mark.nightly

ME = "query Me { me { name role { name } } }"
CREATE = """
mutation Create($params: PackagePushParams!, $src: PackageConstructSource!) {
  packageConstruct(params: $params, src: $src) {
    __typename
    ... on PackagePushSuccess { revision { hash } }
    ... on OperationError { name message context }
    ... on InvalidInput { errors { name path } }
  }
}
"""
REVISION = """
query Revision($bucket: String!, $name: String!, $hash: String = "latest", $max: Int = 1000) {
  package(bucket: $bucket, name: $name) {
    revision(hashOrTag: $hash) { hash message userMeta totalEntries contentsFlatMap(max: $max) }
  }
}
"""


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx2.Client]:
    """To the registry."""
    with httpx2.Client(base_url=stack.registry_url, trust_env=False) as client:
        yield client


@pytest.fixture
def proxy(stack: Stack) -> Iterator[httpx2.Client]:
    """To the s3Proxy."""
    with httpx2.Client(base_url=stack.proxy_url, trust_env=False) as client:
        yield client


@pytest.fixture
def bucket(moto: S3Access, stack: Stack) -> str:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    with moto.boto() as s3:
        s3.put_object(Bucket=bucket, Key="raw/a b.txt", Body=b"0123456789")
    return bucket


@pytest.fixture
def bearer(stack: Stack) -> str:
    stack.add_user("ada", ["writer", "reader"])
    return stack.token("ada")


def as_bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def create(stack: Stack, bearer: str, bucket: str, name: str = "lab/cells", **params: Any) -> dict[str, Any]:
    given = {"bucket": bucket, "name": name, "message": "made", **params}
    entries = [{"logicalKey": "data/a b.txt", "physicalKey": f"s3://{bucket}/raw/a%20b.txt"}]
    return stack.ask(CREATE, bearer, params=given, src={"entries": entries})["data"]["packageConstruct"]


# signing in


def test_a_dead_bearer_is_told_why(stack: Stack, bearer: str, http: httpx2.Client) -> None:
    def said(token: str | None) -> tuple[int, str]:
        answer = http.get("/api/me", headers={} if token is None else as_bearer(token))
        return answer.status_code, answer.json().get("message", "")

    assert said(bearer) == (200, "")
    assert said(None) == (401, "Not logged in")
    assert said("not a token") == (401, "Token could not be deserialized")
    assert said("qk_unknown") == (401, "Token invalid.")
    expired = stack.token("ada", seconds=-1)
    assert said(expired) == (401, "Outdated access token: please log in again")
    stack.revoke(bearer)
    assert said(bearer) == (401, "Token invalid.")
    assert stack.ask(ME, bearer) == {"message": "Token invalid."}


@pytest.mark.parametrize(("profile", "status"), [("1.69", 403), ("26.8", 401)])
def test_a_deactivated_user_is_refused_as_the_release_does(
    stack: Stack, bearer: str, http: httpx2.Client, profile: str, status: int
) -> None:
    stack.set_profile(profile)
    stack.set_active("ada", False)
    assert http.get("/api/me", headers=as_bearer(bearer)).status_code == status


def test_a_refreshed_token_ends_the_one_before_and_logout_ends_it_too(
    stack: Stack, bearer: str, http: httpx2.Client
) -> None:
    fresh = http.post("/api/refresh", headers=as_bearer(bearer)).json()["token"]
    assert http.get("/api/me", headers=as_bearer(bearer)).status_code == 401
    assert http.get("/api/me", headers={"Authorization": fresh}).json()["current_user"] == "ada"
    http.post("/api/logout", headers=as_bearer(fresh))
    assert http.get("/api/me", headers=as_bearer(fresh)).status_code == 401


def test_a_password_signs_in(stack: Stack, http: httpx2.Client) -> None:
    stack.add_user("ada", password="correct horse")
    right = http.post("/api/login", json={"username": "ada", "password": "correct horse"})
    wrong = http.post("/api/login", json={"username": "ada", "password": "x"})
    assert http.get("/api/me", headers=as_bearer(right.json()["token"])).json()["email"] == "ada@example.com"
    assert (wrong.status_code, wrong.json()) == (401, {"message": "Login attempt failed"})


def test_a_role_is_switched_for_all_sessions_and_may_be_switched_elsewhere(stack: Stack, bearer: str) -> None:
    other = stack.token("ada")
    switch = 'mutation { switchRole(roleName: "%s") { __typename ... on Me { role { name } } } }'
    assert stack.ask(switch % "reader", bearer)["data"]["switchRole"]["role"]["name"] == "reader"
    assert stack.ask(ME, other)["data"]["me"]["role"]["name"] == "reader"
    assert stack.ask(switch % "owner", bearer)["data"]["switchRole"]["__typename"] == "OperationError"
    stack.set_role("ada", "writer")
    assert stack.ask(ME, bearer)["data"]["me"]["role"]["name"] == "writer"


# S3 by the stack's keys


def keys(http: httpx2.Client, moto: S3Access, stack: Stack, bearer: str) -> S3Access:
    given = http.get("/api/auth/get_credentials", headers=as_bearer(bearer)).json()
    return replace(
        moto,
        url=stack.s3_url,
        access_key=given["AccessKeyId"],
        secret_key=given["SecretAccessKey"],
        session_token=given["SessionToken"],
    )


def code_of(error: pytest.ExceptionInfo[Exception]) -> str:
    return error.value.response["Error"]["Code"]  # type: ignore[attr-defined]


def test_keys_open_what_their_role_may_and_nothing_else(
    stack: Stack, bearer: str, http: httpx2.Client, moto: S3Access, bucket: str
) -> None:
    other = moto.make_bucket()
    with keys(http, moto, stack, bearer).boto() as s3:
        assert s3.get_object(Bucket=bucket, Key="raw/a b.txt")["Body"].read() == b"0123456789"
        s3.put_object(Bucket=bucket, Key="new", Body=b"x" * 3_000_000)
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "new"})
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [
            "copy",
            "new",
            "raw/a b.txt",
        ]
        with pytest.raises(s3.exceptions.ClientError) as error:
            s3.list_objects_v2(Bucket=other)
        assert code_of(error) == "AccessDenied"
        with pytest.raises(s3.exceptions.ClientError) as error:
            s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": other, "Key": "new"})
        assert code_of(error) == "AccessDenied"
    stack.set_role("ada", "reader")
    with keys(http, moto, stack, bearer).boto() as s3:
        s3.head_object(Bucket=bucket, Key="new")
        with pytest.raises(s3.exceptions.ClientError) as error:
            s3.delete_object(Bucket=bucket, Key="new")
        assert code_of(error) == "AccessDenied"
    with moto.via(stack.s3_url).boto() as s3, pytest.raises(s3.exceptions.ClientError) as error:
        s3.list_objects_v2(Bucket=bucket)
    assert code_of(error) == "InvalidAccessKeyId"
    assert [one["user"] for one in stack.s3_requests()][-2:] == ["ada", None]


def test_s3_is_reached_through_the_stacks_proxy(
    stack: Stack, bearer: str, http: httpx2.Client, proxy: httpx2.Client, moto: S3Access, bucket: str
) -> None:
    access = keys(http, moto, stack, bearer)
    path = f"/{bucket}.s3.us-east-1.amazonaws.com/raw/a%20b.txt"
    signed = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access.access_key}/20261126/us-east-1/s3/aws4_request"
    }
    assert proxy.get(path, headers=signed).content == b"0123456789"
    assert proxy.get(path).status_code == 403


def test_an_archived_object_is_restored_by_who_may_write(
    stack: Stack, bearer: str, moto: S3Access, bucket: str
) -> None:
    with moto.boto() as s3:
        s3.put_object(Bucket=bucket, Key="cold", Body=b"x", StorageClass="GLACIER")
    restore = """mutation($bucket: String!, $days: Int!) {
        restoreObject(bucket: $bucket, key: "cold", tier: BULK, days: $days) {
            __typename ... on RestoreObjectSuccess { alreadyRestored } ... on OperationError { name } } }"""

    def said(days: int = 3) -> dict[str, Any]:
        return stack.ask(restore, bearer, bucket=bucket, days=days)["data"]["restoreObject"]

    assert said(91)["__typename"] == "InvalidInput"
    assert said()["alreadyRestored"] is False
    stack.set_role("ada", "reader")
    assert said()["name"] == "Forbidden"


# packages


def test_a_package_is_made_and_read(stack: Stack, bearer: str, bucket: str) -> None:
    made = create(stack, bearer, bucket, userMeta={"n": 1})
    top_hash = made["revision"]["hash"]
    for hash_or_tag in ("latest", top_hash, top_hash[:8]):
        found = stack.ask(REVISION, bearer, bucket=bucket, name="lab/cells", hash=hash_or_tag)["data"][
            "package"
        ]["revision"]
        assert (found["hash"], found["message"], found["userMeta"], found["totalEntries"]) == (
            top_hash,
            "made",
            {"n": 1},
            1,
        )
        entry = found["contentsFlatMap"]["data/a b.txt"]
        assert (entry["size"], entry["hash"]["type"], entry["meta"]) == (10, "sha2-256-chunked", {})
        assert entry["physicalKey"].startswith(f"s3://{bucket}/raw/a%20b.txt?versionId=")
    none = stack.ask(REVISION, bearer, bucket=bucket, name="lab/cells", max=0)["data"]["package"]["revision"]
    assert none["contentsFlatMap"] is None
    assert stack.ask(REVISION, bearer, bucket=bucket, name="lab/none")["data"]["package"] is None


def test_what_the_lambda_refuses_is_named_as_it_names_it(stack: Stack, bearer: str, bucket: str) -> None:
    def refused(**params: Any) -> str:
        return create(stack, bearer, bucket, **params)["name"]

    assert refused(name="no-slash") == "QuiltException"
    assert refused(workflow="w") == "QuiltException"
    assert refused(message="") == "InvalidInputParameters"
    params = {"bucket": bucket, "name": "lab/cells"}
    for place, name in (
        (f"s3://{bucket}/missing", "FailedToFetchObjectMetadata"),
        ("file:///etc/passwd", "InvalidLocalPhysicalKey"),
        ("ftp://x", "InvalidS3PhysicalKey"),
    ):
        src = {"entries": [{"logicalKey": "a", "physicalKey": place}]}
        assert stack.ask(CREATE, bearer, params=params, src=src)["data"]["packageConstruct"]["name"] == name
    stack.set_role("ada", "reader")
    assert refused() == "Forbidden"


def test_a_revision_is_promoted_to_a_successor_alone_and_deleted(
    stack: Stack, bearer: str, bucket: str, moto: S3Access
) -> None:
    second = moto.make_bucket()
    stack.add_bucket(second)
    source = {
        "bucket": bucket,
        "name": "lab/cells",
        "hash": create(stack, bearer, bucket)["revision"]["hash"],
    }
    promote = """mutation($params: PackagePushParams!, $src: PackagePromoteSource!) {
        packagePromote(params: $params, src: $src) { __typename ... on OperationError { name } } }"""
    params = {"bucket": second, "name": "lab/cells", "message": "on"}
    assert (
        stack.ask(promote, bearer, params=params, src=source)["errors"][0]["message"]
        == "Internal Server Error"
    )
    config = "version: '1'\nis_workflow_required: false\nworkflows: {w: {name: w}}\n"
    with moto.boto() as s3:
        key = ".quilt/workflows/config.yml"
        s3.put_object(Bucket=bucket, Key=key, Body=config.encode())
        refused = stack.ask(promote, bearer, params=params, src=source)["data"]["packagePromote"]
        assert refused["name"] == "InvalidSuccessor"
        config += f"successors: {{'s3://{second}': {{title: next, copy_data: true}}}}\n"
        s3.put_object(Bucket=bucket, Key=key, Body=config.encode())
    done = stack.ask(promote, bearer, params=params, src=source)["data"]["packagePromote"]
    assert done["__typename"] == "PackagePushSuccess"
    found = stack.ask(REVISION, bearer, bucket=second, name="lab/cells")["data"]["package"]["revision"]
    assert found["contentsFlatMap"]["data/a b.txt"]["physicalKey"].startswith(
        f"s3://{second}/lab/cells/data/a%20b.txt"
    )
    delete = """mutation($bucket: String!, $name: String!, $hash: String!) {
        packageRevisionDelete(bucket: $bucket, name: $name, hash: $hash) { __typename } }"""
    given = {**source, "bucket": second, "hash": found["hash"]}
    for kind in ("PackageRevisionDeleteSuccess", "OperationError"):
        assert stack.ask(delete, bearer, **given)["data"]["packageRevisionDelete"]["__typename"] == kind


def test_bytes_come_by_a_browsing_session_with_its_cookie_and_in_ranges(
    stack: Stack, bearer: str, bucket: str, proxy: httpx2.Client
) -> None:
    top_hash = create(stack, bearer, bucket)["revision"]["hash"]
    begin = """mutation($scope: String!) { browsingSessionCreate(scope: $scope) {
        __typename ... on BrowsingSession { id } ... on OperationError { name } } }"""
    scope = f"quilt+s3://{bucket}#package=lab/cells@{top_hash}"
    session = stack.ask(begin, bearer, scope=scope)["data"]["browsingSessionCreate"]["id"]
    path = f"/browse/{session}/data/a%20b.txt"
    assert proxy.get(path, headers=as_bearer(bearer)).status_code == 401
    proxy.post("/browse/set_browse_cookie", headers=as_bearer(bearer))
    assert proxy.get(path).content == b"0123456789"
    part = proxy.get(path, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert proxy.get(f"/browse/{session}/none").status_code == 404
    stack.set_browse_redirects(True)
    assert proxy.get(path).status_code == 302
    assert proxy.get(path, follow_redirects=True).content == b"0123456789"
    refresh = "mutation($id: ID!, $ttl: Int!) { browsingSessionRefresh(id: $id, ttl: $ttl) { __typename } }"
    stack.ask(refresh, bearer, id=session, ttl=0)
    assert proxy.get(path).status_code == 404
    stack.ask(refresh, bearer, id=session, ttl=180)
    assert proxy.get(path).status_code == 302
    stack.ask("mutation($id: ID!) { browsingSessionDispose(id: $id) { __typename } }", bearer, id=session)
    assert proxy.get(path).status_code == 404
    guess = stack.ask(begin, bearer, scope=f"s3://{bucket}#package=lab/cells&hash={top_hash}")
    assert guess["data"]["browsingSessionCreate"]["__typename"] == "InvalidInput"
    stack.change_bucket(bucket, browsable=False)
    assert (
        stack.ask(begin, bearer, scope=scope)["data"]["browsingSessionCreate"]["name"] == "BucketNotBrowsable"
    )


# releases


def test_an_unknown_field_is_a_validation_error(stack: Stack, bearer: str) -> None:
    assert (
        stack.ask("{ me { shoeSize } }", bearer)["errors"][0]["extensions"]["code"]
        == "GRAPHQL_VALIDATION_FAILED"
    )


def test_the_configuration_names_the_other_hosts(stack: Stack) -> None:
    config = httpx2.get(f"{stack.url}/config.json", trust_env=False).json()
    assert (config["registryUrl"], config["s3Proxy"]) == (stack.registry_url, stack.proxy_url)
    assert config["mode"] == "PRODUCT"
    for page in ("/api/me", "/browse/x/y"):
        assert httpx2.get(stack.url + page, trust_env=False).headers["content-type"].startswith("text/html")


def test_addresses_in_the_configuration_may_be_relative(moto: S3Access) -> None:
    with quilt_stack(moto, relative=True, config={"noDownload": True}) as stack:
        stack.add_user("ada")
        config = httpx2.get(f"{stack.url}/config.json", trust_env=False).json()
        assert config["noDownload"] is True
        headers = as_bearer(stack.token("ada"))
        answer = httpx2.get(f"{stack.url}{config['registryUrl']}/api/me", headers=headers, trust_env=False)
        assert answer.json()["current_user"] == "ada"
        cookie = f"{stack.url}{config['s3Proxy']}/browse/set_browse_cookie"
        assert httpx2.post(cookie, headers=headers, trust_env=False).status_code == 204
        assert [one["path"] for one in stack.requests()][1:] == ["/api/me", "/browse/set_browse_cookie"]


# what goes wrong


def test_answers_are_those_of_the_plan_as_often_as_it_says(
    stack: Stack, bearer: str, http: httpx2.Client
) -> None:
    def status() -> int:
        return http.post("/graphql", json={"query": ME}, headers=as_bearer(bearer)).status_code

    stack.fault(faults.too_many(3, times=2), faults.no_credentials())
    answer = http.post("/graphql", json={"query": ME}, headers=as_bearer(bearer))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert [status(), status()] == [429, 200]
    assert http.get("/api/auth/get_credentials", headers=as_bearer(bearer)).status_code == 403
    stack.clear_faults()
    stack.fault(faults.bad_gateway(), Fault(operation="Other", status=500))
    answer = http.post("/graphql", json={"query": ME}, headers=as_bearer(bearer))
    assert (answer.status_code, answer.text[:6]) == (502, "<html>")
    assert status() == 200
    for text in faults.NOT_AUTHENTICATED:
        stack.fault(faults.unauthorized(text, "/api/me", times=1))
        assert http.get("/api/me").json() == {"message": text}


def test_a_field_may_be_null_or_fail(stack: Stack, bearer: str, bucket: str) -> None:
    create(stack, bearer, bucket)

    def revision() -> dict[str, Any]:
        return stack.ask(REVISION, bearer, bucket=bucket, name="lab/cells")

    stack.fault(faults.no_listing())
    answer = revision()
    assert answer["data"]["package"]["revision"]["contentsFlatMap"] is None
    assert "errors" not in answer
    stack.clear_faults()
    stack.fault(faults.no_listing("Manifest is not there yet"))
    answer = revision()
    assert answer["data"]["package"]["revision"]["contentsFlatMap"] is None
    assert answer["errors"][0]["message"] == "Manifest is not there yet"
    stack.clear_faults()
    stack.fault(faults.nobody())
    assert stack.ask(ME, bearer) == {"data": {"me": None}}


def test_a_body_may_end_early_and_an_answer_may_be_slow(
    stack: Stack, bearer: str, http: httpx2.Client
) -> None:
    stack.fault(Fault("/graphql", cut=12, times=1))
    with pytest.raises(httpx2.RemoteProtocolError):
        http.post("/graphql", json={"query": ME}, headers=as_bearer(bearer))
    stack.fault(Fault("/graphql", silence=0.3, times=1))
    before = time.monotonic()
    http.post("/graphql", json={"query": ME}, headers=as_bearer(bearer))
    assert time.monotonic() - before >= 0.3


def test_introspection_is_there_until_it_is_switched_off(stack: Stack, bearer: str) -> None:
    asked = '{ __type(name: "APIKey") { name } }'
    assert stack.ask(asked, bearer)["data"]["__type"] == {"name": "APIKey"}
    stack.fault(Fault("/graphql", no_introspection=True))
    assert stack.ask(asked, bearer)["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "errors" not in stack.ask("{ me { __typename } }", bearer)


def test_the_release_and_the_buckets_change_in_the_middle(stack: Stack, bearer: str, bucket: str) -> None:
    asked = "{ buckets { name } }"
    stack.fault(Fault("/graphql", after=1, times=1, removed_bucket=bucket))
    stack.fault(Fault("/graphql", after=2, times=1, profile="1.67"))
    assert stack.ask(asked, bearer)["data"]["buckets"] == [{"name": bucket}]
    assert stack.ask(asked, bearer)["data"]["buckets"] == []
    assert "errors" in stack.ask(asked, bearer)


def test_what_came_is_told(stack: Stack, bearer: str, http: httpx2.Client) -> None:
    stack.ask(ME, bearer)
    http.get("/api/me")
    told = [
        [one[name] for name in ("host", "method", "path", "operation", "bearer")] for one in stack.requests()
    ]
    assert told == [
        ["registry", "POST", "/graphql", "Me", True],
        ["registry", "GET", "/api/me", None, False],
    ]
    assert bearer not in str(stack.requests())
    stack.forget()
    assert stack.requests() == []


def test_only_who_has_the_secret_controls_the_stack(stack: Stack, http: httpx2.Client) -> None:
    assert http.post("/_control", json={"do": "reset"}).status_code == 404
    with pytest.raises(LookupError):
        stack.token("nobody")
