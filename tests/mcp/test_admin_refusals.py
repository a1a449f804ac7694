"""What administration refuses: who may not, what is read only, what changed in between, what the stack does not take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from admin_answers import refused
from mcp import Client

from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from parts.stack.faults import nobody
from quilt_mcp.auth.identity import Asker
from quilt_mcp.server.surface import build
from quilt_mcp.session import Session
from quilt_mcp.tools import find

Call = Callable[..., dict[str, Any]]
Calls = Callable[..., Call]
OF_ADMINISTRATORS = {
    "admin_users",
    "admin_roles",
    "admin_policies",
    "admin_buckets",
    "admin_sso",
    "admin_packager",
}
OF_EVERYBODY = {"admin_tabulator", "admin_keys"}
TABLE = "schema: []\nsource: {type: quilt-packages}\nparser: {format: csv}\n"


async def listed(session: Session) -> dict[str, dict[str, Any]]:
    async with Client(build(session, lambda _: Asker())) as client:
        tools = (await client.list_tools()).tools
        return {one.name: one.model_dump(mode="json", by_alias=True) for one in tools}


@pytest.mark.anyio
async def test_an_administrator_has_every_tool_and_another_user_those_for_what_is_the_users_own(
    opened: Callable[..., Session],
) -> None:
    assert (await listed(opened("root"))).keys() >= OF_ADMINISTRATORS | OF_EVERYBODY
    of_ada = (await listed(opened("ada"))).keys()
    assert of_ada & (OF_ADMINISTRATORS | OF_EVERYBODY) == OF_EVERYBODY
    assert {"search", "role_switch"} <= of_ada


@pytest.mark.anyio
async def test_a_read_only_server_lists_what_reads_and_no_argument_that_only_a_change_takes(
    opened: Callable[..., Session],
) -> None:
    tools = await listed(opened("root", allow_write=False))
    actions = {
        name: tools[name]["inputSchema"]["properties"]["action"]["enum"]
        for name in OF_ADMINISTRATORS | OF_EVERYBODY
    }
    assert actions == {
        "admin_users": ["list", "get"],
        "admin_roles": ["list", "get"],
        "admin_policies": ["list", "get"],
        "admin_buckets": ["list", "get"],
        "admin_sso": ["get"],
        "admin_packager": ["list", "status"],
        "admin_tabulator": ["list", "get", "get_open_query"],
        "admin_keys": ["list", "list_all"],
    }
    for name in actions:
        assert (
            not {"dry_run", "expected", "on", "config", "dest"}
            & tools[name]["inputSchema"]["properties"].keys()
        )
        assert tools[name]["annotations"]["readOnlyHint"] is True
        assert (await listed(opened("root")))[name]["annotations"]["destructiveHint"] is True


def test_a_read_only_server_plans_a_change_and_makes_none(calls: Calls, people: Stack) -> None:
    root = calls("root", allow_write=False)
    people.forget()
    error = refused(root("admin_users", action="delete", name="eve"), "read_only")
    assert "dry_run=true" in error["next_step"] and people.requests("/graphql") == []
    planned = root("admin_users", action="delete", name="eve", dry_run=True)["data"]
    assert (planned["done"], planned["before"]["email"]) == (False, "eve@example.com")
    assert root("admin_users", action="get", name="eve")["data"]["user"]["active"] is True


@pytest.mark.sampled(2)
@pytest.mark.parametrize("tool", sorted(OF_ADMINISTRATORS))
def test_who_is_no_administrator_is_told_whom_to_ask(calls: Calls, tool: str) -> None:
    action = find(tool).arguments["action"]["enum"][0]
    error = refused(calls("ada")(tool, action=action), "permission_denied")
    assert "administrator" in error["message"] and "Ask an administrator" in error["next_step"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("admin_keys", {"action": "list_all"}),
        ("admin_keys", {"action": "revoke_any", "name": "x"}),
        ("admin_tabulator", {"action": "get_open_query"}),
        ("admin_tabulator", {"action": "set_open_query", "on": True}),
    ],
)
def test_what_takes_an_administrator_in_everybodys_tools_says_so(
    calls: Calls, tool: str, arguments: dict[str, Any]
) -> None:
    error = refused(calls("ada")(tool, **arguments), "permission_denied")
    assert f"action={arguments['action']}" in error["message"]


def test_a_table_is_changed_by_who_may_write_to_its_bucket(calls: Calls, stack_bucket: str) -> None:
    given = {"action": "set", "bucket": stack_bucket, "table": "wells", "config": TABLE}
    error = refused(calls("eve")("admin_tabulator", **given), "permission_denied")
    assert stack_bucket in error["message"]
    elsewhere = calls("ada")("admin_tabulator", action="list", bucket="of-another-stack")
    assert "of-another-stack" in refused(elsewhere, "registry_not_found")["message"]


def test_one_who_is_made_an_administrator_is_one_after_the_next_status(calls: Calls) -> None:
    root, ada = calls("root"), calls("ada")
    refused(ada("admin_users", action="list"), "permission_denied")
    root("admin_users", action="set_admin", name="ada", on=True)
    refused(ada("admin_users", action="list"), "permission_denied")
    ada("status")
    assert len(ada("admin_users", action="list")["data"]["users"]) == 3
    root("admin_users", action="set_admin", name="ada", on=False)
    refused(ada("admin_users", action="list"), "permission_denied")


@pytest.mark.anyio
async def test_a_stack_that_is_down_lists_no_tool_of_administration_and_has_them_when_it_is_back(
    opened: Callable[..., Session], people: Stack, stack_bucket: str
) -> None:
    session = opened("root", default_registry=f"s3://{stack_bucket}")
    people.fault(Fault("/graphql", "Me", status=502))
    down = await listed(session)
    assert not down.keys() & (OF_ADMINISTRATORS | OF_EVERYBODY) and "search" in down
    answer = (await session.call("admin_users", {"action": "list"})).structured
    refused(answer, "storage_unavailable")
    people.clear_faults()
    assert (await listed(session)).keys() >= OF_ADMINISTRATORS | OF_EVERYBODY


def test_who_is_signed_in_is_asked_once_and_a_change_costs_two_looks_and_the_change(
    root: Call, people: Stack
) -> None:
    root("packages_list")
    people.forget()
    for _ in range(3):
        root("admin_users", action="get", name="ada")
    assert [one["operation"] for one in people.requests("/graphql")] == ["Me", *["UserGet"] * 3]
    people.forget()
    root("admin_users", action="set_admin", name="ada", on=True)
    assert [one["operation"] for one in people.requests("/graphql")] == ["UserGet", "UserGet", "UserSetAdmin"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("profile", ["2025-summer", "2025-autumn", "1.67", "1.69", "26.8"])
def test_every_release_is_administered(
    root: Call, people: Stack, stack_bucket: str, profile: str, tmp_path: Path
) -> None:
    people.set_profile(profile)
    for tool, action, key in [
        ("admin_users", "list", "users"),
        ("admin_roles", "list", "roles"),
        ("admin_policies", "list", "policies"),
        ("admin_buckets", "list", "buckets"),
        ("admin_packager", "list", "rules"),
        ("admin_sso", "get", "sso"),
    ]:
        assert key in root(tool, action=action)["data"], tool
    given = {"bucket": stack_bucket, "table": "wells"}
    assert root("admin_tabulator", action="set", **given, config=TABLE)["data"]["done"] is True
    assert root("admin_tabulator", action="rename", **given, new_name="plates")["data"]["done"] is True
    changed = root("admin_buckets", action="update", name=stack_bucket, config={"tags": ["x"]})
    assert changed["data"]["after"] == {"tags": ["x"]}, changed
    found = root("admin_buckets", action="get", name=stack_bucket)["data"]["bucket"]
    is_new = not profile.startswith("2025")
    assert ("prefixes" in found) == is_new
    prefixes = root("admin_buckets", action="update", name=stack_bucket, config={"prefixes": ["raw/"]})
    keys = root("admin_keys", action="list")
    made = root("admin_keys", action="create", name="laptop", dest=str(tmp_path / "home" / "laptop"))
    if is_new:
        assert prefixes["data"]["after"] == {"prefixes": ["raw/"]}
        assert keys["data"]["keys"] and made["data"]["done"] is True
    else:
        assert "prefixes" in refused(prefixes, "not_supported")["message"]
        refused(keys, "not_supported")
        refused(made, "not_supported")
        assert not (tmp_path / "home" / "laptop.quilt-mcp").exists()


def test_before_1_64_a_table_was_an_administrators(calls: Calls, people: Stack, stack_bucket: str) -> None:
    ada = calls("ada")
    people.set_profile("2025-summer")
    given = {"action": "set", "bucket": stack_bucket, "table": "wells", "config": TABLE}
    refused(ada("admin_tabulator", **given), "permission_denied")


NAMED = {"__typename": "OperationError", "name": "Broken", "message": "the queue is gone", "context": None}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("admin_users", {"action": "create", "name": "x", "email": "eve@example.com", "role": "reader"}, "input.email"),
        ("admin_users", {"action": "create", "name": "x", "email": "x@example.com", "role": "no"}, "there is no role"),
        ("admin_users", {"action": "delete", "name": "root"}, "you cannot delete yourself"),
        ("admin_users", {"action": "set_active", "name": "root", "on": False}, "deactivate yourself"),
        ("admin_roles", {"action": "create", "name": "admin"}, "keeps this name"),
        ("admin_roles", {"action": "delete", "name": "reader"}, "users have this role"),
        ("admin_roles", {"action": "update", "name": "reader", "new_name": "writer"}, "another role has this name"),
        ("admin_policies", {"action": "create", "name": "x", "permissions": {"nowhere": "READ"}}, "there is no nowhere"),
        ("admin_buckets", {"action": "add", "name": "no-such-bucket-anywhere"}, "no such bucket on S3"),
        ("admin_sso", {"action": "set", "text": "a: 1"}, "'mappings' are required"),
        ("admin_packager", {"action": "toggle", "name": "omics", "on": False}, "the queue is gone"),
        ("admin_keys", {"action": "create", "name": "x", "dest": "x"}, "the queue is gone"),
    ],
)  # fmt: skip
def test_what_the_stack_does_not_take_is_told_with_its_reason(
    root: Call, people: Stack, tool: str, arguments: dict[str, Any], said: str
) -> None:
    people.fault(
        Fault("/graphql", field="PackagerAdminMutations.toggleEventRule", value=NAMED),
        Fault("/graphql", field="Mutation.apiKeyCreate", value={
            "__typename": "InvalidInput",
            "errors": [{"path": "input.name", "message": "the queue is gone", "name": "Broken"}],
        }),
    )  # fmt: skip
    error = refused(root(tool, **arguments), "stack_refused")
    assert said in error["message"], error


def test_single_sign_on_that_the_stack_keeps_is_told(root: Call, people: Stack) -> None:
    """Null is how it says that there is none."""
    root("admin_sso", action="set", text="version: '2'\nmappings: []\n")
    people.fault(Fault("/graphql", field="AdminMutations.setSsoConfig", value=NAMED))
    assert "the queue is gone" in refused(root("admin_sso", action="remove"), "stack_refused")["message"]


def test_a_bad_table_is_told_with_its_place(calls: Calls, stack_bucket: str) -> None:
    given = {"action": "set", "bucket": stack_bucket, "table": "wells", "config": "schema: []"}
    error = refused(calls("ada")("admin_tabulator", **given), "stack_refused")
    assert error["details"]["errors"][0]["path"] == "config"
    assert "required property" in error["message"]


def test_a_value_of_another_kind_is_the_callers_to_mend(root: Call, stack_bucket: str) -> None:
    error = refused(
        root("admin_buckets", action="update", name=stack_bucket, config={"relevance_score": "high"}),
        "stack_refused",
    )
    assert "relevanceScore" in error["message"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("tool", "arguments", "operation", "field", "value"),
    [
        ("admin_buckets", {"action": "update", "config": {"tags": ["mine"]}}, "BucketGet",
         "BucketConfig.description", "theirs"),
        ("admin_users", {"action": "set_email", "name": "eve", "email": "mine@example.com"}, "UserGet",
         "User.isActive", False),
        ("admin_roles", {"action": "update", "name": "reader", "new_name": "mine"}, "RoleList",
         "ManagedRole.policies", []),
        ("admin_policies", {"action": "update", "name": "of reader", "title": "mine"}, "PolicyList",
         "Policy.permissions", []),
        ("admin_sso", {"action": "set", "text": "version: '1'\nmappings: []\n"}, "SsoGet",
         "AdminQueries.ssoConfig", None),
        ("admin_tabulator", {"action": "set", "table": "wells", "config": TABLE}, "TableList",
         "BucketConfig.tabulatorTables", []),
    ],
)  # fmt: skip
def test_what_somebody_changes_between_the_look_and_the_sending_is_not_overwritten(
    root: Call,
    people: Stack,
    stack_bucket: str,
    tool: str,
    arguments: dict[str, Any],
    operation: str,
    field: str,
    value: Any,
) -> None:
    """The second look sees it otherwise."""
    arguments = dict(arguments)
    if tool == "admin_buckets":
        arguments["name"] = stack_bucket
    if tool == "admin_sso":
        root("admin_sso", action="set", text="version: '2'\nmappings: []\n")
    if tool == "admin_tabulator":
        arguments["bucket"] = stack_bucket
        root("admin_tabulator", **{**arguments, "config": f"{TABLE}# another\n"})
    root("status")
    people.fault(Fault("/graphql", operation, after=1, field=field, value=value))
    people.forget()
    error = refused(root(tool, **arguments), "changed_meanwhile")
    assert "nothing was sent" in error["message"] and "dry_run=true" in error["next_step"]
    assert {one["operation"] for one in people.requests("/graphql")} <= {operation, "Me"}


def test_a_state_that_was_seen_in_a_dry_run_guards_the_change(calls: Calls, stack_bucket: str) -> None:
    mine, theirs = calls("root"), calls("root")
    change = {"action": "update", "name": stack_bucket, "config": {"title": "Mine"}}
    seen = mine("admin_buckets", **change, dry_run=True)["data"]["state"]
    theirs("admin_buckets", action="update", name=stack_bucket, config={"description": "theirs"})
    error = refused(mine("admin_buckets", **change, expected=seen), "changed_meanwhile")
    assert error["details"]["expected"] == seen
    now = mine("admin_buckets", **change, dry_run=True)["data"]["state"]
    assert mine("admin_buckets", **change, expected=now)["data"]["done"] is True
    kept = mine("admin_buckets", action="get", name=stack_bucket)["data"]["bucket"]
    assert (kept["title"], kept["description"]) == ("Mine", "theirs")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("fault", [
    Fault("/graphql", "BucketUpdate", status=502),
    Fault("/graphql", "BucketUpdate", cut=10),
    Fault("/graphql", field="Mutation.bucketUpdate", error="the database went away"),
], ids=["502", "cut", "error"])  # fmt: skip
def test_a_stack_that_falls_silent_as_it_is_told_leaves_a_change_to_look_at(
    root: Call, people: Stack, stack_bucket: str, fault: Fault
) -> None:
    people.fault(fault)
    error = refused(
        root("admin_buckets", action="update", name=stack_bucket, config={"title": "New"}), "outcome_unknown"
    )
    assert error["retryable"] is False and "Look with action=list or get" in error["next_step"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("admin_users", {"action": "create", "name": "x"}, "lacks email and role"),
        ("admin_users", {"action": "set_admin", "name": "x"}, "lacks on"),
        ("admin_users", {"action": "list", "role": "reader"}, "does not take role"),
        ("admin_users", {"action": "grow"}, "'grow'"),
        ("admin_users", {"action": "get", "name": "edda"}, "no user 'edda'"),
        ("admin_users", {"action": "delete", "name": "nobody"}, "no user 'nobody'"),
        ("admin_users", {"action": "remove_roles", "name": "eve", "roles": ["reader"]}, "would lose reader"),
        ("admin_roles", {"action": "get", "name": "raeder"}, "no role 'raeder'"),
        ("admin_roles", {"action": "create", "name": "x", "policies": ["no"]}, "no policy 'no'"),
        ("admin_policies", {"action": "get", "name": "no"}, "no policy 'no'"),
        ("admin_policies", {"action": "create", "name": "x", "roles": ["no"]}, "no managed role 'no'"),
        ("admin_policies", {"action": "create", "name": "x", "permissions": {"b": "ALL"}}, "no level"),
        ("admin_buckets", {"action": "get", "name": "no-bucket"}, "no bucket 'no-bucket'"),
        (
            "admin_buckets",
            {"action": "add", "name": "no-bucket", "config": {"titel": "x"}},
            "no field 'titel'",
        ),
        ("admin_sso", {"action": "remove"}, "no SSO configuration"),
        ("admin_packager", {"action": "toggle", "name": "omix", "on": True}, "no event rule 'omix'"),
        ("admin_keys", {"action": "revoke", "name": "no"}, "no API key 'no'"),
        ("admin_keys", {"action": "create", "name": " ", "dest": "x"}, "is blank"),
        ("admin_keys", {"action": "create", "name": "x", "dest": "x", "days": 400}, "is 400"),
    ],
)
def test_what_the_caller_got_wrong_is_told_before_anything_is_sent(
    root: Call, people: Stack, tool: str, arguments: dict[str, Any], said: str
) -> None:
    error = refused(root(tool, **arguments), "invalid_argument")
    assert said in error["message"], error
    assert not [
        one for one in people.requests("/graphql") if one["operation"].startswith(("UserCreate", "BucketAdd"))
    ]


def test_a_name_that_was_mistyped_is_told_with_what_is_near(root: Call, stack_bucket: str) -> None:
    error = refused(root("admin_roles", action="get", name="raeder"), "invalid_argument")
    assert "reader" in error["next_step"]
    given = {"action": "get", "bucket": stack_bucket, "table": "x"}
    refused(root("admin_tabulator", **given), "invalid_argument")
    bad = root("admin_buckets", action="update", name=stack_bucket, config={"title": None})
    assert "has to have a title" in refused(bad, "invalid_argument")["message"]


def test_what_is_there_already_is_not_made_again(root: Call, stack_bucket: str) -> None:
    for tool, arguments in [
        ("admin_users", {"action": "create", "name": "eve", "email": "n@example.com", "role": "reader"}),
        ("admin_roles", {"action": "create", "name": "reader"}),
        ("admin_policies", {"action": "create", "name": "of reader"}),
        ("admin_buckets", {"action": "add", "name": stack_bucket}),
        ("admin_keys", {"action": "create", "name": "of root", "dest": "x"}),
    ]:
        refused(root(tool, **arguments), "already_exists")


def test_a_name_that_several_things_have_takes_the_id(calls: Calls, people: Stack) -> None:
    for _ in range(2):
        people.api_key("ada", label="twin")
    ada = calls("ada")
    error = refused(ada("admin_keys", action="revoke", name="twin"), "invalid_argument")
    assert len(error["details"]["ids"]) == 2
    gone = ada("admin_keys", action="revoke", name=error["details"]["ids"][0])
    assert gone["data"]["done"] is True
    assert len(ada("admin_keys", action="list", name="twin")["data"]["keys"]) == 1


def test_a_change_that_the_stack_takes_and_does_not_show_is_told(root: Call, people: Stack) -> None:
    people.fault(Fault("/graphql", "UserSetEmail", field="User.email", value="eve@example.com"))
    answer = root("admin_users", action="set_email", name="eve", email="new@example.com")
    assert answer["data"]["done"] is True and answer["warnings"][0].startswith("not_seen")


@pytest.mark.anyio
async def test_calls_at_once_ask_who_is_signed_in_once(opened: Callable[..., Session], people: Stack) -> None:
    session = opened("root")
    await session.call("packages_list", {})
    people.forget()
    replies = await asyncio.gather(*(session.call("admin_users", {"action": "list"}) for _ in range(8)))
    assert not any(one.is_error for one in replies)
    assert [one["operation"] for one in people.requests("/graphql")].count("Me") == 1


def test_a_user_who_is_gone_between_the_look_and_the_change_is_told(root: Call, people: Stack) -> None:
    people.fault(Fault("/graphql", "UserSetAdmin", field="UserAdminMutations.mutate", value=None))
    refused(root("admin_users", action="set_admin", name="eve", on=True), "invalid_argument")


def test_a_stack_that_keeps_no_status_says_so(root: Call, people: Stack) -> None:
    people.fault(Fault("/graphql", field="Query.status", value={"__typename": "Unavailable"}))
    assert "does not tell" in refused(root("admin_packager", action="status"), "stack_refused")["message"]


def test_long_lists_come_in_pages_that_add_up(root: Call, people: Stack) -> None:
    for number in range(7):
        people.add_user(f"user{number}")
        people.api_key("ada", label="same")
    for tool, action, key in [("admin_users", "list", "users"), ("admin_keys", "list_all", "keys")]:
        whole = root(tool, action=action)
        seen, cursor = [], None
        while True:
            page = root(tool, action=action, limit=3, **({"cursor": cursor} if cursor else {}))
            seen += page["data"][key]
            cursor = page["page"]["next_cursor"]
            if cursor is None:
                break
        assert [one["name"] for one in seen] == [one["name"] for one in whole["data"][key]]
        assert len(seen) == whole["page"]["total"] >= 7


def test_a_session_that_died_meanwhile_is_told_to_sign_in(calls: Calls, people: Stack) -> None:
    ada = calls("ada")
    ada("admin_keys", action="list")
    people.fault(nobody())
    refused(ada("admin_keys", action="list"), "sign_in")


def test_an_answer_in_part_is_not_believed(root: Call, people: Stack) -> None:
    root("status")
    people.fault(Fault("/graphql", "UserList", status=200, body='{"data": {"admin": {}}}'))
    error = refused(root("admin_users", action="list"), "stack_failed")
    assert error["details"] == {"missing": "user"}


def test_buckets_beyond_the_allow_list_are_neither_shown_nor_configured(
    calls: Calls, people: Stack, moto: S3Access, stack_bucket: str
) -> None:
    other = moto.make_bucket()
    people.add_bucket(other)
    root = calls("root", allowed_buckets=(stack_bucket,))
    assert [one["name"] for one in root("admin_buckets", action="list")["data"]["buckets"]] == [stack_bucket]
    for tool, arguments in [
        ("admin_buckets", {"action": "get", "name": other}),
        ("admin_buckets", {"action": "update", "name": other, "config": {"title": "x"}}),
        ("admin_buckets", {"action": "remove", "name": other, "dry_run": True}),
        ("admin_tabulator", {"action": "list", "bucket": other}),
        ("admin_tabulator", {"action": "get", "bucket": other, "table": "wells"}),
        ("admin_tabulator", {"action": "set", "bucket": other, "table": "wells", "config": TABLE}),
    ]:
        error = refused(root(tool, **arguments), "permission_denied")
        assert other in error["message"] and "QUILT_ALLOWED_BUCKETS" in error["next_step"]
    refused(root("admin_buckets", action="get", name="no bucket"), "invalid_uri")
