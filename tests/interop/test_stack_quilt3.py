"""The stack of our tests is one to the real quilt3 8.0: it signs in, reads, writes, searches and administers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate
from quilt3._graphql_client import client

from parts.quilt3_process import Quilt3, Quilt3Failed
from parts.s3_access import S3Access
from parts.stack import Stack
from parts.stack.graph.profiles import PROFILES, schema

LATER = {
    "2025-autumn": (
        {"bucketGet", "bucketsList", "bucketAdd", "bucketUpdate"}
        | {"apiKeysList", "apiKeyGet", "apiKeyCreate", "apiKeyRevoke"}
        | {"adminApiKeysList", "adminApiKeyGet", "adminApiKeyRevoke"}
    )
}
"""Operations of quilt3 8.0 that are newer than a release."""

SIGNED_IN = """
quilt3.config(arguments["catalog"])
quilt3.session.login_with_token(arguments["code"])
"""
WITH_KEY = """
quilt3.config(arguments["catalog"])
quilt3.session.login_with_api_key(arguments["key"])
"""


@pytest.fixture
def bucket(moto: S3Access, stack: Stack) -> str:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    return bucket


@pytest.fixture
def quilt3(tmp_path: Path, moto: S3Access, stack: Stack) -> Quilt3:
    """It reaches S3 through the stack's gate, with no keys but those that the stack gives it."""
    client = Quilt3(tmp_path, replace(moto, url=stack.s3_url))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del client.environment[name]
    return client


def put(moto: S3Access, bucket: str, **files: str) -> None:
    with moto.boto() as s3:
        for name, text in files.items():
            s3.put_object(Bucket=bucket, Key=f"raw/{name}.txt", Body=text.encode())


PUSH = """
import pathlib
pathlib.Path("hello.txt").write_text("hello from a cell")
package = quilt3.Package()
package.set("notes/hello.txt", "hello.txt", meta={"depth": 3})
package.set_meta({"experiment": {"id": 7, "on": "2026-03-01"}, "species": "yeast"})
pushed = package.push(arguments["name"], registry=f"s3://{arguments['bucket']}", message="first cells")
"""


def test_it_signs_in_by_a_code_pushes_and_browses_with_the_keys_it_is_given(
    quilt3: Quilt3, stack: Stack, bucket: str
) -> None:
    stack.add_user("ada")
    script = f"""
{SIGNED_IN}
{PUSH}
again = quilt3.Package.browse(arguments["name"], registry=f"s3://{{arguments['bucket']}}")
result = [quilt3.logged_in(), pushed.top_hash, again.top_hash, again["notes/hello.txt"].get_as_string()]
"""
    where, pushed, browsed, text = quilt3.run(
        script, catalog=stack.url, code=stack.code("ada"), bucket=bucket, name="lab/cells"
    )
    assert where == stack.url
    assert pushed == browsed
    assert text == "hello from a cell"
    assert {one["user"] for one in stack.s3_requests()} == {"ada"}
    assert len(stack.requests("/api/auth/get_credentials")) == 1


def test_a_code_works_once_and_a_token_again_and_again(quilt3: Quilt3, stack: Stack) -> None:
    stack.add_user("ada")
    code = stack.code("ada")
    quilt3.run(SIGNED_IN, catalog=stack.url, code=code)
    with pytest.raises(Quilt3Failed, match="401"):
        quilt3.run(SIGNED_IN, catalog=stack.url, code=code)
    token = stack.token("ada")
    for _ in range(2):
        quilt3.run(SIGNED_IN, catalog=stack.url, code=token)


def test_a_role_that_only_reads_may_not_push(quilt3: Quilt3, stack: Stack, bucket: str) -> None:
    stack.add_user("ada", ["reader"])
    with pytest.raises(Quilt3Failed, match="AccessDenied"):
        quilt3.run(
            SIGNED_IN + PUSH, catalog=stack.url, code=stack.code("ada"), bucket=bucket, name="lab/cells"
        )


def test_a_revoked_key_is_refused(quilt3: Quilt3, stack: Stack) -> None:
    stack.add_user("ada")
    key = stack.api_key("ada")
    ask = f"{WITH_KEY}\nresult = [key.name for key in quilt3.api_keys.list()]"
    assert quilt3.run(ask, catalog=stack.url, key=key) == ["test"]
    stack.revoke(key)
    with pytest.raises(Quilt3Failed, match="Authentication failed"):
        quilt3.run(ask, catalog=stack.url, key=key)


def test_it_searches_objects_and_packages_and_a_bucket(
    quilt3: Quilt3, stack: Stack, moto: S3Access, bucket: str
) -> None:
    stack.add_user("ada")
    put(moto, bucket, one="mitochondria", other="nothing of it")
    script = f"""
{SIGNED_IN}
{PUSH}
def said(hits):
    return sorted({{hit["_source"].get("key") or hit["_source"].get("ptr_name") or hit["_source"]["entry_lk"] for hit in hits}})
bucket = quilt3.Bucket("s3://" + arguments["bucket"])
result = [
    said(quilt3.search("mitochondria")),
    said(quilt3.search("yeast")),
    said(bucket.search("hello")),
    said(bucket.search({{"query": {{"query_string": {{"query": "ext:.txt AND size:>13"}}}}}}, limit=5)),
]
try:
    result.append(bucket.search({{"query": {{"more_like_this": {{}}}}}}))
except quilt3.util.QuiltException as error:
    result.append(str(error))
"""
    found = quilt3.run(script, catalog=stack.url, code=stack.code("ada"), bucket=bucket, name="lab/cells")
    assert found == [
        ["raw/one.txt"],
        ["lab/cells"],
        ["lab/cells/notes/hello.txt", "notes/hello.txt"],
        ["lab/cells/notes/hello.txt"],
        "no [query] registered for [more_like_this]",
    ]


def admin_of(quilt3: Quilt3, stack: Stack, script: str, **arguments: Any) -> Any:
    stack.add_user("root", admin=True)
    script = f"{WITH_KEY}\nimport quilt3.admin as admin\n{script}"
    return quilt3.run(script, catalog=stack.url, key=stack.api_key("root"), **arguments)


def test_it_administers_users(quilt3: Quilt3, stack: Stack) -> None:
    result = admin_of(
        quilt3,
        stack,
        """
made = admin.users.create("mendel", "mendel@example.com", "reader", ["writer"])
result = [[made.name, made.role.name, [role.name for role in made.extra_roles]]]
result.append(admin.users.set_role("mendel", "writer").role.name)
result.append([role.name for role in admin.users.remove_roles("mendel", ["reader"]).extra_roles])
result.append(admin.users.set_email("mendel", "gregor@example.com").email)
result.append(admin.users.set_admin("mendel", True).is_admin)
result.append(admin.users.set_active("mendel", False).is_active)
result.append(sorted(user.name for user in admin.users.list()))
admin.users.delete("mendel")
result.append(admin.users.get("mendel"))
try:
    admin.users.create("root", "other@example.com", "reader")
except admin.Quilt3AdminError as error:
    result.append(str(error))
""",
    )
    taken = result.pop()
    assert result == [
        ["mendel", "reader", ["writer"]],
        "writer",
        [],
        "gregor@example.com",
        True,
        False,
        ["mendel", "root"],
        None,
    ]
    assert "NotUnique" in taken


def test_it_administers_roles_and_policies(quilt3: Quilt3, stack: Stack, bucket: str) -> None:
    result = admin_of(
        quilt3,
        stack,
        """
role = admin.roles.create_managed("imaging", [])
policy = admin.policies.create_managed(
    "images", permissions=[admin.Permission(bucket=arguments["bucket"], level="READ")], roles=[role.id]
)
result = [[[one.bucket, one.level] for one in admin.roles.get(role.id).permissions]]
result.append(sorted(one.name for one in admin.roles.list()))
result.append(admin.roles.set_default(role.id).name)
result.append(admin.roles.get_default().name)
admin.policies.delete(policy.id)
result.append([one.title for one in admin.policies.list() if one.title == "images"])
admin.roles.delete(role.id)
result.append(admin.roles.get(role.id))
""",
        bucket=bucket,
    )
    assert result == [
        [[bucket, "READ"]],
        ["imaging", "reader", "writer"],
        "imaging",
        "imaging",
        [],
        None,
    ]


def test_it_administers_buckets(quilt3: Quilt3, stack: Stack, moto: S3Access) -> None:
    result = admin_of(
        quilt3,
        stack,
        """
name = arguments["bucket"]
result = [admin.buckets.add(name, "Cells", description="of all kinds", tags=["raw"]).title]
result.append([one.name for one in admin.buckets.list()])
changed = admin.buckets.update(name, "Cells and more")
result.append([changed.title, changed.description])
admin.buckets.remove(name)
result.append(admin.buckets.get(name))
try:
    admin.buckets.add("no-such-bucket-at-all", "None")
except admin.Quilt3AdminError as error:
    result.append(str(error))
""",
        bucket=(bucket := moto.make_bucket()),
    )
    assert result[:4] == ["Cells", [bucket], ["Cells and more", None], None]
    assert "does not exist" in result[4]


def test_it_administers_tabulator_tables_and_open_query(quilt3: Quilt3, stack: Stack, bucket: str) -> None:
    table = """\
schema: [{name: sample, type: STRING}]
source: {type: quilt-packages, package_name: .*, logical_key: .*csv}
parser: {format: csv}
"""
    result = admin_of(
        quilt3,
        stack,
        """
name = arguments["bucket"]
admin.tabulator.set_table(name, "samples", arguments["table"])
admin.tabulator.rename_table(name, "samples", "wells")
result = [[one.name for one in admin.tabulator.list_tables(name)]]
admin.tabulator.set_table(name, "wells", None)
result.append(admin.tabulator.list_tables(name))
admin.tabulator.set_open_query(True)
result.append(admin.tabulator.get_open_query())
try:
    admin.tabulator.set_table(name, "bad", "schema: []")
except admin.Quilt3AdminError as error:
    result.append(str(error))
""",
        bucket=bucket,
        table=table,
    )
    assert result[:3] == [["wells"], [], True]
    assert "required property" in result[3]


def test_it_configures_single_sign_on_and_everybodys_keys(quilt3: Quilt3, stack: Stack) -> None:
    text = "version: '1.0'\ndefault_role: reader\nmappings: [{schema: {}, roles: [reader]}]\n"
    stack.add_user("ada")
    stack.api_key("ada", label="hers")
    result = admin_of(
        quilt3,
        stack,
        """
result = [admin.sso_config.set(arguments["text"]).text]
result.append(admin.sso_config.get().uploader.name)
admin.sso_config.set(None)
result.append(admin.sso_config.get())
hers = admin.api_keys.list(email="ada@example.com")
result.append([key.name for key in hers])
admin.api_keys.revoke(hers[0].id)
result.append(admin.api_keys.list(email="ada@example.com"))
""",
        text=text,
    )
    assert result == [text, "root", None, ["hers"], []]


def test_who_is_no_administrator_may_not_administer(quilt3: Quilt3, stack: Stack) -> None:
    stack.add_user("ada")
    script = f"{WITH_KEY}\nimport quilt3.admin as admin\nadmin.users.list()"
    with pytest.raises(Quilt3Failed, match="for administrators"):
        quilt3.run(script, catalog=stack.url, key=stack.api_key("ada"))


def test_one_makes_reads_and_revokes_ones_own_keys(quilt3: Quilt3, stack: Stack) -> None:
    stack.add_user("ada")
    script = f"""
{SIGNED_IN}
key, secret = quilt3.api_keys.create("laptop", expires_in_days=30)
result = [secret[:3], quilt3.api_keys.get(key.id).name, quilt3.api_keys.list(status="ACTIVE")[0].user_email]
quilt3.api_keys.revoke(secret=secret)
result.append(quilt3.api_keys.list())
try:
    quilt3.api_keys.create("long", expires_in_days=400)
except quilt3.api_keys.APIKeyError as error:
    result.append("OutOfRange" in str(error))
"""
    result = quilt3.run(script, catalog=stack.url, code=stack.code("ada"))
    assert result == ["qk_", "laptop", "ada@example.com", [], True]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("profile", PROFILES)
def test_quilt3s_own_operations_fit_the_releases_that_have_them(profile: str) -> None:
    """They were generated from the real schema: whatever they name, ours must have."""
    source = Path(client.__file__).read_text()
    documents = [parse(found) for found in re.findall(r'gql\(\s*"""(.*?)"""', source, re.DOTALL)]
    assert len(documents) > 40
    unknown = {one.definitions[0].name.value for one in documents if validate(schema(profile), one)}
    assert unknown == LATER.get(profile, set())
