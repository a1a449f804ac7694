"""Administration of a Quilt stack by tools, over the stack of the tests; the real quilt3 tells what stands there afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack

TABLE = """\
schema: [{name: sample, type: STRING}]
source: {type: quilt-packages, package_name: .*, logical_key: .*csv}
parser: {format: csv}
"""
Call = Callable[..., dict[str, Any]]
Judge = Callable[..., Any]


def test_a_table_is_set_told_renamed_and_deleted_as_quilt3_sees_it(
    calls: Callable[..., Call], judge: Judge, stack_bucket: str
) -> None:
    """ada is no administrator."""
    ada = calls("ada")
    told = "result = [[one.name, one.config] for one in admin.tabulator.list_tables(arguments['bucket'])]"
    made = ada("admin_tabulator", action="set", bucket=stack_bucket, table="wells", config=TABLE)
    assert made["data"] == {"done": True, "before": None, "after": {"name": "wells", "config": TABLE}}
    assert judge(told, bucket=stack_bucket) == [["wells", TABLE]]
    assert ada("admin_tabulator", action="list", bucket=f"s3://{stack_bucket}")["data"] == {
        "tables": [{"name": "wells"}]
    }
    assert (
        ada("admin_tabulator", action="get", bucket=stack_bucket, table="wells")["data"]["table"]["config"]
        == TABLE
    )
    renamed = ada("admin_tabulator", action="rename", bucket=stack_bucket, table="wells", new_name="plates")
    assert (renamed["data"]["before"], renamed["data"]["after"]) == ({"name": "wells"}, {"name": "plates"})
    assert judge(told, bucket=stack_bucket) == [["plates", TABLE]]
    planned = ada("admin_tabulator", action="delete", bucket=stack_bucket, table="plates", dry_run=True)[
        "data"
    ]
    assert (planned["done"], planned["before"]["config"], planned["after"]) == (False, TABLE, None)
    assert judge(told, bucket=stack_bucket) == [["plates", TABLE]]
    gone = ada(
        "admin_tabulator", action="delete", bucket=stack_bucket, table="plates", expected=planned["state"]
    )
    assert gone["data"]["done"] is True
    assert judge(told, bucket=stack_bucket) == []


def test_users_are_made_changed_and_deleted_as_quilt3_sees_them(
    root: Call, judge: Judge, people: Stack
) -> None:
    told = """
one = admin.users.get("mendel")
result = None if one is None else [
    one.email, one.role.name, [role.name for role in one.extra_roles], one.is_admin, one.is_active
]
"""
    who = {"name": "mendel"}
    made = root("admin_users", action="create", **who, email="m@example.com", role="reader", roles=["writer"])
    assert made["data"]["done"] is True, made
    assert judge(told) == ["m@example.com", "reader", ["writer"], False, True]
    for act, shown in [
        ({"action": "set_email", "email": "gregor@example.com"}, {"email": "gregor@example.com"}),
        ({"action": "set_role", "role": "writer"}, {"role": "writer", "extra_roles": []}),
        ({"action": "add_roles", "roles": ["reader"]}, {"extra_roles": ["reader"]}),
        (
            {"action": "remove_roles", "roles": ["writer"], "role": "reader"},
            {"role": "reader", "extra_roles": []},
        ),
        ({"action": "add_roles", "roles": ["writer"]}, {"extra_roles": ["writer"]}),
        ({"action": "remove_roles", "roles": ["writer"]}, {"extra_roles": []}),
        ({"action": "set_admin", "on": True}, {"admin": True}),
        ({"action": "set_active", "on": False}, {"active": False}),
    ]:
        people.forget()
        planned = root("admin_users", **who, **act, dry_run=True)["data"]
        assert (planned["done"], planned["after"]) == (False, shown), act
        assert {one["operation"] for one in people.requests("/graphql")} == {"UserGet"}, "it sends nothing"
        done = root("admin_users", **who, **act, expected=planned["state"])["data"]
        assert (done["done"], done["before"], done["after"]) == (True, planned["before"], shown)
    assert judge(told) == ["gregor@example.com", "reader", [], True, False]
    rows = {one.pop("name"): one for one in root("admin_users", action="list")["data"]["users"]}
    assert rows["mendel"] == {"email": "gregor@example.com", "role": "reader", "admin": True, "active": False}
    assert rows["eve"] == {"email": "eve@example.com", "role": "reader"}, "what is usual is left out"
    reset = root("admin_users", action="reset_password", **who)
    assert reset["data"]["done"] is True and "nothing secret" in reset["warnings"][0]
    assert root("admin_users", action="delete", **who)["data"]["after"] is None
    assert judge(told) is None


def test_roles_and_policies_are_made_changed_and_deleted_as_quilt3_sees_them(
    root: Call, judge: Judge, stack_bucket: str
) -> None:
    told = """
role = admin.roles.get("imaging")
policy = next((one for one in admin.policies.list() if one.title == "images"), None)
result = [
    role and [sorted(one.title for one in role.policies), admin.roles.get_default().name],
    policy and [[[one.bucket, one.level] for one in policy.permissions], [one.name for one in policy.roles]],
]
"""
    assert root("admin_roles", action="create", name="imaging")["data"]["after"]["managed"] is True
    made = root(
        "admin_policies",
        action="create",
        name="images",
        permissions={stack_bucket: "READ"},
        roles=["imaging"],
    )
    assert made["data"]["after"]["permissions"] == {stack_bucket: "READ"}, made
    assert judge(told) == [[["images"], "reader"], [[[stack_bucket, "READ"]], ["imaging"]]]
    wider = root("admin_policies", action="update", name="images", permissions={stack_bucket: "READ_WRITE"})[
        "data"
    ]
    assert (wider["before"], wider["after"]) == (
        {"permissions": {stack_bucket: "READ"}},
        {"permissions": {stack_bucket: "READ_WRITE"}},
    )
    assert judge(told)[1] == [[[stack_bucket, "READ_WRITE"]], ["imaging"]], "its roles are kept"
    both = root("admin_roles", action="update", name="imaging", policies=["images", "of reader"])["data"]
    assert sorted(both["after"]["policies"].values()) == ["images", "of reader"]
    renamed = root("admin_roles", action="update", name="imaging", new_name="microscopy")["data"]
    assert (renamed["before"], renamed["after"]) == ({"name": "imaging"}, {"name": "microscopy"})
    root("admin_roles", action="update", name="microscopy", new_name="imaging")
    assert judge(told)[0] == [["images", "of reader"], "reader"], "its policies are kept"
    assert root("admin_roles", action="set_default", name="imaging")["data"]["after"] == {"default": True}
    assert judge(told)[0][1] == "imaging"
    again = root("admin_roles", action="set_default", name="imaging")
    assert again["data"]["done"] is False and again["warnings"][0].startswith("nothing_changed")
    listed = {one["name"]: one for one in root("admin_roles", action="list")["data"]["roles"]}
    assert listed["imaging"]["default"] is True and "default" not in listed["reader"]
    role = root("admin_roles", action="get", name="imaging")["data"]["role"]
    assert role["permissions"] == {stack_bucket: "READ_WRITE"}
    taken = root(
        "admin_policies", action="update", name="images", permissions={stack_bucket: None}, title="pictures"
    )
    assert taken["data"]["after"] == {"permissions": {}, "title": "pictures"}
    policy = root("admin_policies", action="get", name="pictures")["data"]["policy"]
    assert list(policy["roles"].values()) == ["imaging"]
    alone = root("admin_policies", action="update", name=policy["id"], roles=[])["data"]
    assert (list(alone["before"]["roles"].values()), alone["after"]) == (["imaging"], {"roles": {}})
    planned = root("admin_policies", action="delete", name=policy["id"], dry_run=True)["data"]
    assert (planned["done"], planned["before"]["title"], planned["after"]) == (False, "pictures", None)
    assert root("admin_policies", action="delete", name=policy["id"])["data"]["done"] is True
    titles = {one["title"] for one in root("admin_policies", action="list")["data"]["policies"]}
    assert titles == {"of reader", "of writer"}
    root("admin_roles", action="set_default", name="reader")
    assert root("admin_roles", action="delete", name="imaging")["data"]["after"] is None
    assert judge(told) == [None, None]


def test_what_is_unmanaged_has_an_arn_and_never_both(root: Call, judge: Judge) -> None:
    arn, other = "arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"
    root("admin_roles", action="create", name="outside", arn=arn)
    assert root("admin_roles", action="update", name="outside", arn=other)["data"]["after"] == {"arn": other}
    root("admin_policies", action="create", name="theirs", arn=arn, roles=["reader"])
    changed = root("admin_policies", action="update", name="theirs", arn=other)["data"]
    assert (changed["before"], changed["after"]) == ({"arn": arn}, {"arn": other})
    script = """
result = [
    [one.arn for one in admin.roles.list() if one.name == "outside"],
    [[one.arn, [role.name for role in one.roles]] for one in admin.policies.list() if one.title == "theirs"],
]
"""
    assert judge(script) == [[other], [[other, ["reader"]]]]
    for tool, arguments in [
        ("admin_roles", {"action": "create", "name": "x", "arn": arn, "policies": ["of reader"]}),
        ("admin_roles", {"action": "update", "name": "outside", "policies": []}),
        ("admin_roles", {"action": "update", "name": "reader", "arn": arn}),
        ("admin_policies", {"action": "update", "name": "theirs", "permissions": {}}),
        ("admin_policies", {"action": "update", "name": "of reader", "arn": arn}),
    ]:
        error = root(tool, **arguments)["error"]
        assert error["code"] == "invalid_argument" and "cannot have both" in error["message"], arguments


def test_a_buckets_configuration_is_merged_field_by_field_and_sent_as_a_whole(
    root: Call, judge: Judge, people: Stack, moto: S3Access
) -> None:
    new = moto.make_bucket()
    told = """
one = admin.buckets.get(arguments["bucket"])
result = one and [one.title, one.description, one.tags, one.relevance_score, one.prefixes]
"""
    config = {"title": "Cells", "description": "of all kinds", "tags": ["raw"], "delay_scan": True}
    made = root("admin_buckets", action="add", name=new, config=config)["data"]
    assert (made["done"], made["before"], made["after"]["title"]) == (True, None, "Cells")
    planned = root(
        "admin_buckets", action="update", name=f"s3://{new}", config={"tags": ["raw", "2026"]}, dry_run=True
    )
    assert planned["data"]["before"] == {"tags": ["raw"]}
    assert planned["data"]["after"] == {"tags": ["raw", "2026"]}
    assert judge(told, bucket=new) == ["Cells", "of all kinds", ["raw"], 0, [""]]
    done = root(
        "admin_buckets", action="update", name=new, config={"tags": ["raw", "2026"], "relevance_score": -1}
    )
    assert done["data"]["done"] is True
    assert judge(told, bucket=new) == ["Cells", "of all kinds", ["raw", "2026"], -1, [""]]
    root("admin_buckets", action="update", name=new, config={"description": None})
    assert judge(told, bucket=new)[1] is None
    same = root("admin_buckets", action="update", name=new, config={"title": "Cells"})
    assert same["data"]["done"] is False and same["warnings"][0].startswith("nothing_changed")
    rows = root("admin_buckets", action="list")["data"]["buckets"]
    assert {"name": new, "title": "Cells", "relevance_score": -1} in rows
    found = root("admin_buckets", action="get", name=new)["data"]["bucket"]
    assert found["policies"] == {"of reader": "READ", "of writer": "READ_WRITE"}
    assert root("admin_buckets", action="remove", name=new)["data"]["after"] is None
    assert judge(told, bucket=new) is None


def test_single_sign_on_is_set_told_and_removed_as_quilt3_sees_it(root: Call, judge: Judge) -> None:
    text = "version: '1.0'\ndefault_role: reader\nmappings: [{schema: {}, roles: [reader]}]\n"
    told = "result = (lambda one: one and one.text)(admin.sso_config.get())"
    assert root("admin_sso", action="get")["data"]["sso"] == {"text": None}
    planned = root("admin_sso", action="set", text=text, dry_run=True)["data"]
    assert (planned["done"], planned["before"], planned["after"]) == (False, None, {"text": text})
    assert judge(told) is None
    assert root("admin_sso", action="set", text=text, expected=planned["state"])["data"]["done"] is True
    assert judge(told) == text
    assert root("admin_sso", action="get")["data"]["sso"]["by"] == "root"
    assert root("admin_sso", action="remove")["data"] == {
        "done": True,
        "before": {"text": text},
        "after": None,
    }
    assert judge(told) is None


def test_open_query_rules_of_the_packager_and_the_status_are_an_administrators(
    root: Call, judge: Judge
) -> None:
    assert root("admin_tabulator", action="get_open_query")["data"] == {"open_query": False}
    planned = root("admin_tabulator", action="set_open_query", on=True, dry_run=True)["data"]
    assert (planned["before"], planned["after"]) == ({"open_query": False}, {"open_query": True})
    assert root("admin_tabulator", action="set_open_query", on=True)["data"]["done"] is True
    assert judge("result = admin.tabulator.get_open_query()") is True
    assert root("admin_packager", action="list")["data"]["rules"] == [
        {"name": "omics", "enabled": True},
        {"name": "ro-crate", "enabled": False},
    ]
    changed = root("admin_packager", action="toggle", name="ro-crate", on=True)["data"]
    assert (changed["before"], changed["after"]) == ({"enabled": False}, {"enabled": True})
    assert root("admin_packager", action="toggle", name="ro-crate", on=True)["data"]["done"] is False
    status = root("admin_packager", action="status")["data"]["status"]
    assert status["passed"] == 1 and status["canaries"][0]["ok"] is True


def test_keys_of_everybody_are_listed_and_revoked_by_an_administrator(
    root: Call, judge: Judge, people: Stack
) -> None:
    people.api_key("ada", label="hers")
    everybody = root("admin_keys", action="list_all")["data"]["keys"]
    assert {"hers", "of root"} <= {one["name"] for one in everybody}
    (hers,) = root("admin_keys", action="list_all", email="ada@example.com", status="ACTIVE")["data"]["keys"]
    assert hers["name"] == "hers"
    planned = root("admin_keys", action="revoke_any", name=hers["id"], dry_run=True)["data"]
    assert (planned["before"]["email"], planned["after"]) == ("ada@example.com", None)
    assert root("admin_keys", action="revoke_any", name="hers")["data"]["done"] is True
    assert judge("result = [one.name for one in admin.api_keys.list(email='ada@example.com')]") == []


def test_a_session_of_quilt3_administers_as_an_api_key_does(
    calls: Callable[..., Call],
    people: Stack,
    moto: S3Access,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stack_bucket: str,
) -> None:
    """The login is quilt3's own."""
    quilt3 = Quilt3(tmp_path / "quilt3", replace(moto, url=people.s3_url))
    script = "quilt3.config(arguments['url']); quilt3.session.login_with_token(arguments['code'])"
    quilt3.run(script, url=people.url, code=people.code("root"))
    root = calls("root", api_key=None, catalog_url=None, default_registry=f"s3://{stack_bucket}")
    monkeypatch.setenv("XDG_DATA_HOME", quilt3.environment["XDG_DATA_HOME"])
    assert root("status")["data"]["backend"] == "quilt3"
    assert root("admin_users", action="set_active", name="eve", on=False)["data"]["done"] is True
    assert root("admin_users", action="get", name="eve")["data"]["user"]["active"] is False
    assert root("admin_keys", action="create", name="laptop", dest="laptop")["data"]["done"] is True
