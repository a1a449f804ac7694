"""The tools for a user of a Quilt stack, by API key, over the stack of the tests."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from stack_user import User, names

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from parts.stack.faults import (
    NOT_AUTHENTICATED,
    bad_gateway,
    no_credentials,
    nobody,
    too_many,
    unauthorized,
)
from quilt_mcp.catalog import keys as keys_module
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

OBSTORE = 0.2
"""Seconds after which obstore asks its source of keys again, however soon they end."""


def test_status_tells_the_user_the_role_and_the_others(user: User, bucket: str) -> None:
    told = user.call("status")["data"]
    assert (told["backend"], told["role"], told["other_roles"]) == ("platform", "writer", ["reader"])
    assert told["registry"] == f"s3://{bucket}", "the stack's first bucket, as none is named"


def test_the_registries_are_the_buckets_of_the_role_with_their_titles(user: User, bucket: str) -> None:
    rows = {row["registry"]: row for row in user.call("registry_list")["data"]["registries"]}
    assert rows[f"s3://{bucket}"]["title"] == "Plants & more"


def test_words_find_packages_and_what_is_found_is_an_address(user: User) -> None:
    found = user.call("search", query="confocal")
    assert sorted(names(found)) == ["lab/controls", "lab/organoids"]
    assert found["page"]["total"] == 2
    for row in found["data"]["hits"]:
        opened = user.call("package_browse", package=row["package"])
        assert opened["data"]["message"] == row["message"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("/assay/lot = B33", ["lab/organoids"]),
        ("/plates >= 7", ["lab/controls", "other/genomes"]),
        ("name like 'lab/%'", ["lab/controls", "lab/organoids"]),
        ("name in ('lab/controls', 'other/genomes') and /plates <= 7", ["other/genomes"]),
        ("modified >= 2020-01-01", ["lab/controls", "lab/organoids", "other/genomes"]),
        ("modified <= 2020-01-01", []),
        ("/assay/lot contains '33'", ["lab/organoids"]),
        ("/assay/lot like 'B__'", ["lab/controls", "lab/organoids"]),
        ("/assay/lot like '*33'", []),
        ("size > 0 and entries < 2", ["lab/controls", "lab/organoids", "other/genomes"]),
    ],
)
def test_conditions_narrow_exactly(user: User, where: str, expected: list[str]) -> None:
    assert sorted(names(user.call("search", where=where))) == expected


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("where", "said"), [
    ("entires > 3", "Did you mean entries"),
    ("message = 'confocal stacks of organoids'", "query='mnfst_message:word'"),
    ("/plates > 7", "Use =, >= and <="),
    ("size = 'big'", "a number should stand"),
    ("modified >= tomorrow", "a date"),
    ("/plates = 3 and /plates = 4", "two conditions"),
])  # fmt: skip
def test_a_condition_that_the_stack_lacks_is_an_error_and_never_left_out(
    user: User, where: str, said: str
) -> None:
    error = user.call("search", where=where)["error"]
    assert error["code"] == "invalid_argument"
    assert said in error["message"] + error["next_step"]


def test_pages_add_up_to_the_whole_each_by_one_request(user: User, ada: Stack) -> None:
    whole = names(user.call("search", sort="name"))
    ada.forget()
    seen, cursor, pages = [], None, 0
    while True:
        page = user.call("search", sort="name", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += names(page)
        pages += 1
        cursor = page["page"]["next_cursor"]
        if cursor is None:
            break
    assert seen == whole == ["lab/controls", "lab/organoids", "other/genomes"]
    assert len([one for one in ada.requests("/graphql") if "Search" in str(one["operation"])]) == pages


@pytest.mark.sampled(1)
@pytest.mark.parametrize("profile", ["2025-autumn", "1.67", "1.69", "26.8"])
def test_every_release_is_searched(user: User, ada: Stack, profile: str) -> None:
    ada.set_profile(profile)
    assert names(user.call("search", query="genomes")) == ["other/genomes"]
    assert names(user.call("search", sort="name")) == ["lab/controls", "lab/organoids", "other/genomes"]


def test_a_stack_that_is_upgraded_while_we_run_is_met_at_the_next_call(user: User, ada: Stack) -> None:
    for profile in ("1.69", "26.8", "2025-autumn"):
        ada.set_profile(profile)
        assert names(user.call("search", query="genomes")) == ["other/genomes"]


def test_an_order_that_a_release_lacks_is_told(user: User, ada: Stack) -> None:
    ada.set_profile("1.69")
    assert user.call("search", sort="-size")["error"]["code"] == "not_supported"


def test_a_path_as_a_query_is_escaped_and_that_is_said(user: User) -> None:
    found = user.call("search", query="data/reads", scope="objects", syntax="stack")
    assert "error" not in found
    assert any(one.startswith("escaped: ") and r"data\/reads" in one for one in found["warnings"])


def test_a_query_that_the_stack_calls_malformed_is_told_with_its_reason(user: User) -> None:
    error = user.call("search", query="name:(lab AND", syntax="stack")["error"]
    assert error["code"] == "stack_refused" and error["details"]["errors"][0]["reason"]


def test_objects_are_found_with_their_versions(user: User, bucket: str) -> None:
    found = user.call("search", query="reads", scope="objects", where="ext = .csv")
    assert found["data"]["hits"], found
    for row in found["data"]["hits"]:
        assert row["uri"].startswith(f"s3://{bucket}/")
        assert user.call("object_read", uri=row["uri"])["data"]["size"] == row["size"]


@pytest.mark.anyio
async def test_tools_of_a_stack_are_listed_for_its_users_alone(user: User, tmp_path: Path) -> None:
    assert await user.session.abilities() == ({"roles", "restores", "keys", "tables"}, True)
    local = Session(Settings(backend="local", default_registry=str(tmp_path / "r")))
    assert await local.abilities() == (frozenset(), True)


def test_a_tool_that_the_backend_has_no_ability_for_says_so(tmp_path: Path) -> None:
    local = Session(Settings(backend="local", default_registry=str(tmp_path / "r")))
    error = asyncio.run(local.call("role_switch", {"role": "x"})).structured["error"]
    assert error["code"] in ("not_supported", "read_only") and error["next_step"]
    error = asyncio.run(local.call("search", {"query": "x", "engine": "stack"})).structured["error"]
    assert error["code"] == "not_supported" and "quilt3 login" in error["next_step"]


def test_switching_the_role_takes_the_rights_with_it(user: User, bucket: str) -> None:
    made = {"files": [{"path": "f", "text": "1"}], "message": "m", "registry": f"s3://{bucket}"}
    assert "error" not in user.call("package_create", package="ada/one", **made)
    assert "error" not in user.call("object_put", uri=f"s3://{bucket}/put/one", text="1")
    assert user.call("role_switch", role="reader")["data"]["role"] == "reader"
    time.sleep(OBSTORE)
    assert user.call("package_create", package="ada/two", **made)["error"]["code"] == "permission_denied"
    put = user.call("object_put", uri=f"s3://{bucket}/put/two", text="1")
    assert put["error"]["code"] == "permission_denied", "obstore has new keys, too"
    refused = user.call("role_switch", role="nobody")["error"]
    assert refused["code"] == "invalid_argument" and "writer" in refused["next_step"]


def test_a_dry_run_of_a_switch_takes_no_role(user: User) -> None:
    planned = user.call("role_switch", role="reader", dry_run=True)["data"]
    assert (planned["done"], planned["before"], planned["role"]) == (False, "writer", "reader")
    assert user.call("status")["data"]["role"] == "writer"


def test_a_role_that_was_switched_elsewhere_is_seen(
    user: User, ada: Stack, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "ROLE_SECONDS", 0.0)
    made = {"files": [{"path": "f", "text": "1"}], "message": "m", "registry": f"s3://{bucket}"}
    assert "error" not in user.call("package_create", package="ada/three", **made)
    assert "error" not in user.call("object_put", uri=f"s3://{bucket}/put/three", text="1")
    ada.set_role("ada", "reader")
    time.sleep(OBSTORE)
    put = user.call("object_put", uri=f"s3://{bucket}/put/four", text="1")
    assert put["error"]["code"] == "permission_denied"
    assert user.call("package_create", package="ada/four", **made)["error"]["code"] == "permission_denied"


def test_a_revoked_key_is_refused_by_the_stack_and_no_other_identity_steps_in(
    ada: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables hold AWS keys."""
    key = ada.api_key("ada")
    user = User(ada, moto, tmp_path, monkeypatch, api_key=key)
    ada.revoke(key)
    ada.forget()
    for tool in ("status", "packages_list", "search"):
        assert user.call(tool)["error"]["code"] == "sign_in"
    assert ada.s3_requests() == []


@pytest.fixture
def key_file(ada: Stack, tmp_path: Path) -> Path:
    file = tmp_path / "my key"
    file.write_text(f"{ada.api_key('ada')}\nnot this line\n")
    file.chmod(0o600)
    return file


def test_the_key_of_a_file_is_a_token_like_any_other_and_is_read_anew(
    ada: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_file: Path
) -> None:
    user = User(ada, moto, tmp_path, monkeypatch, api_key_file=key_file)
    told = user.call("status")["data"]
    assert (told["backend"], told["role"]) == ("platform", "writer")
    assert str(key_file) in told["why"] and "qk_" not in str(told["principal"])
    ada.add_user("bob", roles=("reader",))
    key_file.write_text(ada.api_key("bob"))
    assert user.call("status")["data"]["role"] == "reader"
    ada.revoke(key_file.read_text())
    error = user.call("status")["error"]
    assert error["code"] == "sign_in" and error["details"]["command"] == f"\"${{EDITOR:-vi}}\" '{key_file}'"


@pytest.mark.parametrize(("change", "said", "command"), [
    (lambda file: file.chmod(0o640), "other accounts", "chmod 600 '{}'"),
    (lambda file: file.chmod(0o604), "other accounts", "chmod 600 '{}'"),
    (lambda file: file.unlink(), "No such file", "export QUILT_API_KEY_FILE="),
    (lambda file: (file.unlink(), os.mkfifo(file, 0o600)), "is no file", "export QUILT_API_KEY_FILE="),
    (lambda file: (file.unlink(), file.mkdir()), "is no file", "export QUILT_API_KEY_FILE="),
    (lambda file: file.write_text("\nqk_canarykey\n"), "is empty", "EDITOR"),
    (lambda file: file.write_text("canary key"), "is not an API key", "EDITOR"),
    (lambda file: file.write_bytes(b"qk_canary\xff"), "is not an API key", "EDITOR"),
    (lambda file: file.write_text("qk_canary" + "x" * 20_000), "is not an API key", "EDITOR"),
])  # fmt: skip
def test_a_key_file_that_cannot_be_used_is_an_error_and_nobody_else_serves(
    ada: Stack,
    moto: S3Access,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key_file: Path,
    change: Callable[[Path], object],
    said: str,
    command: str,
) -> None:
    change(key_file)
    error = User(ada, moto, tmp_path, monkeypatch, api_key_file=key_file).call("packages_list")["error"]
    assert error["code"] == "sign_in" and said in error["message"]
    assert command.format(key_file) in error["next_step"]
    assert "canary" not in str(error)


def test_a_key_file_inside_a_root_is_read_by_no_tool(
    ada: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_file: Path
) -> None:
    monkeypatch.setenv("QUILT_API_KEY_FILE", str(key_file))
    user = User(ada, moto, tmp_path, monkeypatch, api_key_file=key_file, roots=(tmp_path,))
    assert (
        user.call("object_read", uri=f"file://{quote(str(key_file))}")["error"]["code"] == "credential_place"
    )


@pytest.mark.parametrize("text", NOT_AUTHENTICATED)
def test_each_401_asks_to_sign_in(user: User, ada: Stack, text: str) -> None:
    ada.fault(unauthorized(text, "/graphql"))
    error = user.call("search", query="x")["error"]
    assert (error["code"], error["details"]["command"]) == ("sign_in", "export QUILT_API_KEY=qk_...")


def test_a_dead_session_that_answers_200_asks_to_sign_in(user: User, ada: Stack) -> None:
    ada.fault(nobody())
    assert user.call("status")["error"]["code"] == "sign_in"


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "fault", [too_many(0, path="/graphql"), bad_gateway(path="/graphql")], ids=["429", "502"]
)
def test_what_passes_is_asked_again(user: User, ada: Stack, fault: Fault) -> None:
    user.call("status")
    ada.fault(fault)
    assert names(user.call("search", query="genomes")) == ["other/genomes"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("fault", [
    bad_gateway(None, "/graphql"),
    Fault("/graphql", cut=10),
    Fault("/graphql", field="PackagesSearchResultSet.total", error="a shard failed"),
])  # fmt: skip
def test_what_stays_broken_is_told_and_nothing_partial_is_believed(
    user: User, ada: Stack, fault: Fault
) -> None:
    user.call("status")
    ada.fault(fault)
    assert user.call("search", query="genomes")["error"]["code"] in ("storage_unavailable", "stack_failed")


@pytest.mark.parametrize(("fault", "said"), [
    (Fault("/config.json", body="<html>hello</html>", status=200), "not JSON"),
    (Fault("/config.json", body="{}", status=200), "names no registry"),
    (Fault("/config.json", body="", status=404), "status 404"),
    (Fault("/config.json", status=302, body="", headers={"Location": "http://127.0.0.1:9/"}), "status 302"),
    (Fault("/config.json", status=200, body='{"registryUrl": "http://example.org"}'), "https"),
])  # fmt: skip
def test_a_catalog_that_is_none_is_a_setting_to_mend(user: User, ada: Stack, fault: Fault, said: str) -> None:
    ada.fault(fault)
    error = user.call("packages_list")["error"]
    assert error["code"] == "misconfigured" and said in error["message"], error


def test_a_key_that_is_revoked_while_it_is_used_ends_what_it_signed(
    ada: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "ROLE_SECONDS", 0.0)
    key = ada.api_key("ada")
    user = User(ada, moto, tmp_path, monkeypatch, api_key=key)
    assert "error" not in user.call("object_put", uri=f"s3://{bucket}/put/five", text="1")
    ada.revoke(key)
    time.sleep(OBSTORE)
    for name, seconds in (("six", 0.0), ("seven", 60.0)):
        # The second comes while the look at the role that the first made is still fresh.
        monkeypatch.setattr(keys_module, "ROLE_SECONDS", seconds)
        put = user.call("object_put", uri=f"s3://{bucket}/put/{name}", text="1")
        assert put["error"]["code"] == "sign_in", name


def test_only_buckets_of_the_allow_list_are_searched_listed_and_taken_for_the_default(
    ada: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = moto.make_bucket()
    ada.add_bucket(other)
    user = User(ada, moto, tmp_path, monkeypatch, api_key=ada.api_key("ada"), allowed_buckets=(other,))
    assert user.call("status")["data"]["registry"] == f"s3://{other}"
    assert user.call("search")["data"]["hits"] == []
    assert user.call("search", registries=[f"s3://{bucket}"])["error"]["code"] == "permission_denied"
    assert bucket not in str(user.call("registry_list")["data"]["registries"])


def test_a_path_of_any_depth_is_no_regular_expression_and_one_that_is_meant_stays(user: User) -> None:
    found = user.call("search", query="data/reads/x", scope="objects", syntax="stack")
    assert any(r"data\/reads\/x" in one for one in found["warnings"])
    meant = user.call("search", query="comment:/confoc.*/", syntax="stack")
    assert not any(one.startswith("escaped") for one in meant.get("warnings", ()))


def test_what_the_stack_names_wrongly_is_counted_and_the_rest_answered(user: User, ada: Stack) -> None:
    for value in ("a.b/c d", "single", None):
        ada.fault(Fault("/graphql", "SearchPackages", field="SearchHitPackage.name", value=value))
        answered = user.call("search", query="genomes")
        assert "error" in answered or any(one.startswith("odd_hits: 1 ") for one in answered["warnings"])
        ada.clear_faults()
    assert names(user.call("search", query="genomes")) == ["other/genomes"]


@pytest.mark.parametrize("code", ["FORBIDDEN", "UNAUTHENTICATED"])
def test_what_the_stack_forbids_is_not_told_as_passing(user: User, ada: Stack, code: str) -> None:
    body = json.dumps({"data": None, "errors": [{"message": "no", "extensions": {"code": code}}]})
    user.call("status")
    ada.fault(Fault("/graphql", status=200, body=body))
    assert user.call("search", query="x")["error"]["code"] == "permission_denied"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("status", [404, 405, 422])
def test_what_the_registry_never_takes_is_a_setting_to_mend(user: User, ada: Stack, status: int) -> None:
    user.call("status")
    ada.fault(Fault("/graphql", status=status, body="<html></html>"))
    assert user.call("search", query="x")["error"]["code"] == "misconfigured"


def test_a_session_of_quilt3_takes_the_rights_of_the_new_role_at_once(
    ada: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quilt3 = Quilt3(tmp_path / "home", replace(moto, url=ada.s3_url))
    script = "quilt3.config(arguments['url']); quilt3.session.login_with_token(arguments['code'])"
    quilt3.run(script, url=ada.url, code=ada.code("ada"))
    user = User(ada, moto, tmp_path, monkeypatch, default_registry=f"s3://{bucket}", catalog_url=None)
    monkeypatch.setenv("XDG_DATA_HOME", quilt3.environment["XDG_DATA_HOME"])
    assert user.call("status")["data"]["backend"] == "quilt3"
    assert "error" not in user.call("object_put", uri=f"s3://{bucket}/put/seven", text="1")
    assert user.call("role_switch", role="reader")["data"]["role"] == "reader"
    time.sleep(OBSTORE)
    put = user.call("object_put", uri=f"s3://{bucket}/put/eight", text="1")
    assert put["error"]["code"] == "permission_denied"


def test_a_user_whose_role_has_no_buckets_gets_out_of_it(
    ada: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.add_role("empty", {})
    ada.add_user("eve", roles=("empty", "reader"))
    user = User(ada, moto, tmp_path, monkeypatch, api_key=ada.api_key("eve"))
    assert user.call("status")["data"]["other_roles"] == ["reader"]
    assert user.call("role_switch", role="reader")["data"]["role"] == "reader"
    time.sleep(OBSTORE)
    again = User(ada, moto, tmp_path, monkeypatch, api_key=ada.api_key("eve"))
    assert again.call("status")["data"]["registry"] == f"s3://{bucket}"


def test_what_a_stack_repeats_of_a_request_holds_no_token(
    ada: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ada.api_key("ada")
    user = User(ada, moto, tmp_path, monkeypatch, api_key=key)
    user.call("status")
    for body in (
        {"errors": [{"message": f"bad header Authorization: Bearer {key}"}]},
        {
            "data": {
                "search": {"__typename": "OperationError", "name": "X", "message": key, "context": {"h": key}}
            }
        },
    ):
        ada.fault(Fault("/graphql", status=200, body=json.dumps(body)))
        answered = user.call("search", query="x")
        assert answered["error"]["code"] in ("stack_failed", "stack_refused") and key not in str(answered)
        ada.clear_faults()


@pytest.mark.parametrize(
    "page", [None, {"__typename": "PackagesSearchResultSetPage", "cursor": None, "hits": None}]
)
def test_a_search_that_is_answered_in_part_is_not_believed(user: User, ada: Stack, page: Any) -> None:
    user.call("status")
    found = {"__typename": "PackagesSearchResultSet", "total": 5, "firstPage": page}
    ada.fault(Fault("/graphql", status=200, body=json.dumps({"data": {"search": found}})))
    assert user.call("search", query="x")["error"]["code"] == "stack_failed"


def test_a_stack_that_falls_silent_holds_up_one_call_and_no_other(
    user: User, ada: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.call("packages_list")
    monkeypatch.setattr(keys_module, "ROLE_SECONDS", 0.2)
    ada.fault(Fault("/graphql", silence=3.0))
    ada.forget()

    async def many() -> list[bool]:
        await asyncio.sleep(0.3)
        replies = await asyncio.gather(*(user.session.call("packages_list", {}) for _ in range(6)))
        return [one.is_error for one in replies]

    monkeypatch.setattr(keys_module, "ROLE_SECONDS", 60.0)
    assert asyncio.run(many()) == [False] * 6


def test_calls_that_wait_for_keys_share_a_failure(user: User, ada: Stack) -> None:
    ada.fault(no_credentials())

    async def many() -> None:
        await asyncio.gather(*(user.session.call("packages_list", {}) for _ in range(16)))

    asyncio.run(many())
    assert len(ada.requests("/api/auth/get_credentials")) <= 2


@pytest.mark.parametrize(
    ("key", "said"), [("qk_a b", "is not an API key"), ("qk_\u00e9", "is not an API key")]
)
def test_a_token_that_no_header_takes_is_a_token_to_copy_again(
    ada: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    user = User(ada, moto, tmp_path, monkeypatch, api_key=key)
    error = user.call("packages_list")["error"]
    assert error["code"] == "sign_in" and said in error["message"]


@pytest.mark.parametrize("query", ["\ud800", "size"])
def test_a_query_of_no_text_and_a_number_without_end_are_refused_here(user: User, query: str) -> None:
    given = {"where": "size >= 1e999"} if query == "size" else {"query": query, "syntax": "stack"}
    assert user.call("search", **given)["error"]["code"] == "invalid_argument"


def test_a_write_goes_to_no_bucket_by_guess(user: User, bucket: str) -> None:
    """Which bucket a stack shows first is its administrators' choice, and may change."""
    for tool, arguments in [
        ("package_create", {"files": [{"path": "f", "text": "1"}]}),
        ("package_patch", {"message": "m"}),
        ("package_copy", {"to": "lab/copied"}),
        ("package_delete", {"all": True}),
    ]:
        error = user.call(tool, package="lab/controls", dry_run=True, **arguments)["error"]
        assert error["code"] == "invalid_argument" and f"s3://{bucket}" in error["next_step"], tool
    named = user.call(
        "package_patch", package=f"quilt+s3://{bucket}#package=lab/controls", message="m", dry_run=True
    )
    assert "error" not in named


def test_a_link_leads_into_the_catalog(user: User, ada: Stack, bucket: str) -> None:
    link = user.call("object_link", uri="lab/organoids/data/reads.csv")["data"]
    assert link["url"].startswith(f"{ada.url}/b/{bucket}/packages/lab/organoids/tree/")


def test_a_call_costs_what_it_must(user: User, ada: Stack) -> None:
    """config.json once, the keys once, and nothing more whatever is called how often."""
    ada.forget()
    user.call("status")
    asked = [one["path"] for one in ada.requests() if not one["path"].startswith("/_")]
    assert asked.count("/config.json") == 1
    assert asked.count("/api/auth/get_credentials") == 1
    ada.forget()
    for _ in range(3):
        user.call("packages_list")
        user.call("package_browse", package="lab/organoids")
    assert [one["path"] for one in ada.requests() if not one["path"].startswith("/_")] == []


def test_sixteen_calls_at_once_fetch_the_keys_once(user: User, ada: Stack) -> None:
    async def many() -> None:
        await asyncio.gather(*(user.session.call("packages_list", {}) for _ in range(16)))

    asyncio.run(many())
    assert len(ada.requests("/api/auth/get_credentials")) == 1
