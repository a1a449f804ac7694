"""Administration of a Quilt stack by tools, over the stack of the tests; the real quilt3 tells what stands there afterwards."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

TABLE = """\
schema: [{name: sample, type: STRING}]
source: {type: quilt-packages, package_name: .*, logical_key: .*csv}
parser: {format: csv}
"""
Call = Callable[..., dict[str, Any]]
Judge = Callable[..., Any]


@pytest.fixture(scope="module")
def bucket(moto: S3Access) -> str:
    return moto.make_bucket()


@pytest.fixture
def people(stack: Stack, bucket: str) -> Stack:
    """root, who administers; ada, who writes; eve, who reads."""
    stack.add_bucket(bucket)
    stack.add_user("root", admin=True)
    stack.add_user("ada")
    stack.add_user("eve", ["reader"])
    return stack


@pytest.fixture
def opened(
    people: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Session]:
    """A session as a server has it that was started with these settings."""
    for name, value in replace(moto, url=people.s3_url).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    home = tmp_path / "home"
    home.mkdir()

    def open_session(user: str, **more: Any) -> Session:
        given = {"catalog_url": people.url, "cache_dir": tmp_path / "cache", "roots": (home,)}
        given |= {"allow_write": True, "api_key": people.api_key(user, label=f"of {user}")}
        return Session(Settings(**(given | more)))

    return open_session


@pytest.fixture
def calls(opened: Callable[..., Session]) -> Callable[..., Call]:
    def of_user(user: str, **more: Any) -> Call:
        session = opened(user, **more)
        return lambda tool, **arguments: asyncio.run(session.call(tool, arguments)).structured

    return of_user


@pytest.fixture
def root(calls: Callable[..., Call]) -> Call:
    return calls("root")


@pytest.fixture
def judge(people: Stack, moto: S3Access, tmp_path: Path) -> Judge:
    """The real quilt3, as the administrator."""
    client = Quilt3(tmp_path / "judge", replace(moto, url=people.s3_url))

    def ask(script: str, **arguments: Any) -> Any:
        begin = (
            "quilt3.config(arguments['catalog'])\n"
            "quilt3.session.login_with_api_key(arguments['key'])\n"
            "import quilt3.admin as admin\n"
        )
        key = people.api_key("root", label="of the judge")
        return client.run(begin + script, catalog=people.url, key=key, **arguments)

    return ask


def test_a_table_is_set_told_renamed_and_deleted_as_quilt3_sees_it(
    calls: Callable[..., Call], judge: Judge, bucket: str
) -> None:
    """ada is no administrator."""
    ada = calls("ada")
    told = "result = [[one.name, one.config] for one in admin.tabulator.list_tables(arguments['bucket'])]"
    made = ada("admin_tabulator", action="set", bucket=bucket, table="wells", config=TABLE)
    assert made["data"] == {"done": True, "before": None, "after": {"name": "wells", "config": TABLE}}
    assert judge(told, bucket=bucket) == [["wells", TABLE]]
    assert ada("admin_tabulator", action="list", bucket=f"s3://{bucket}")["data"] == {
        "tables": [{"name": "wells"}]
    }
    assert (
        ada("admin_tabulator", action="get", bucket=bucket, table="wells")["data"]["table"]["config"] == TABLE
    )
    renamed = ada("admin_tabulator", action="rename", bucket=bucket, table="wells", new_name="plates")
    assert (renamed["data"]["before"], renamed["data"]["after"]) == ({"name": "wells"}, {"name": "plates"})
    assert judge(told, bucket=bucket) == [["plates", TABLE]]
    planned = ada("admin_tabulator", action="delete", bucket=bucket, table="plates", dry_run=True)["data"]
    assert (planned["done"], planned["before"]["config"], planned["after"]) == (False, TABLE, None)
    assert judge(told, bucket=bucket) == [["plates", TABLE]]
    gone = ada("admin_tabulator", action="delete", bucket=bucket, table="plates", expected=planned["state"])
    assert gone["data"]["done"] is True
    assert judge(told, bucket=bucket) == []


def test_a_new_keys_secret_stands_in_a_file_of_its_own_that_no_tool_reads(
    calls: Callable[..., Call], people: Stack, tmp_path: Path
) -> None:
    ada = calls("ada")
    dest = tmp_path / "home" / "laptop"
    planned = ada("admin_keys", action="create", name="laptop", dest=str(dest), dry_run=True)["data"]
    assert (planned["done"], planned["before"], planned["after"]["days"]) == (False, None, 90)
    assert list(dest.parent.iterdir()) == []
    made = ada("admin_keys", action="create", name="laptop", dest="laptop", days=30)
    file = Path(made["data"]["after"]["file"])
    secret = file.read_text().strip()
    assert secret.startswith("qk_") and secret not in str(made)
    assert file.name == "laptop.quilt-mcp" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ada("object_read", uri=file.as_uri())["error"]["code"] == "credential_place"
    with_it = calls("ada", api_key=None, api_key_file=file)
    assert with_it("status")["data"]["role"] == "writer"
    listed = ada("admin_keys", action="list", name="laptop")["data"]["keys"]
    assert [one["status"] for one in listed] == ["ACTIVE"]
    assert ada("admin_keys", action="revoke", name="laptop")["data"]["done"] is True
    assert calls("ada", api_key=None, api_key_file=file)("status")["error"]["code"] == "sign_in"


def test_users_are_made_changed_and_deleted_as_quilt3_sees_them(root: Call, judge: Judge) -> None:
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
        ({"action": "set_admin", "on": True}, {"admin": True}),
        ({"action": "set_active", "on": False}, {"active": False}),
    ]:
        before = judge(told)
        planned = root("admin_users", **who, **act, dry_run=True)["data"]
        assert (planned["done"], planned["after"]) == (False, shown), act
        assert judge(told) == before, "a dry run sends nothing"
        done = root("admin_users", **who, **act, expected=planned["state"])["data"]
        assert (done["done"], done["before"], done["after"]) == (True, planned["before"], shown)
    assert judge(told) == ["gregor@example.com", "reader", [], True, False]
    assert root("admin_users", action="reset_password", **who)["data"]["done"] is True
    assert root("admin_users", action="delete", **who)["data"]["after"] is None
    assert judge(told) is None
