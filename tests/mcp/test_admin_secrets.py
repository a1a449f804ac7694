"""A new API key's secret: in a file of its person, and before no model's eyes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from admin_answers import refused

from parts.stack import Fault, Stack
from quilt_mcp.storage.local.syscalls import Syscalls
from quilt_mcp.tools import TOOLS

Call = Callable[..., dict[str, Any]]
Calls = Callable[..., Call]


def test_a_new_keys_secret_stands_in_a_file_of_its_own_that_no_tool_reads(
    calls: Calls, people: Stack, tmp_path: Path
) -> None:
    ada = calls("ada")
    dest = tmp_path / "home" / "laptop"
    planned = ada("admin_keys", action="create", name="laptop", dest=str(dest), dry_run=True)["data"]
    assert (planned["done"], planned["before"], planned["after"]["days"]) == (False, None, 90)
    assert planned["after"]["file"] == f"{dest}.quilt-mcp"
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


def test_a_secret_goes_where_it_may_and_nowhere_else(calls: Calls, people: Stack, tmp_path: Path) -> None:
    """Each place is looked at before a key is made."""
    home = tmp_path / "home"
    (home / "taken.quilt-mcp").write_text("mine")
    (home / ".quilt").mkdir()
    (home / ".ssh").mkdir()
    ada = calls("ada")
    for dest, code in [
        ("taken", "already_exists"),
        ("taken.quilt-mcp", "already_exists"),
        (str(tmp_path / "outside"), "outside_roots"),
        (".ssh/key", "credential_place"),
        (".quilt/key", "invalid_argument"),
        (str(home), "invalid_argument"),
        ("folder/", "invalid_argument"),
        ("missing/key", "source_not_found"),
    ]:
        refused(ada("admin_keys", action="create", name="laptop", dest=dest), code)
    assert ada("admin_keys", action="list", name="laptop")["data"]["keys"] == []
    assert (home / "taken.quilt-mcp").read_text() == "mine"
    assert {one.name for one in home.rglob("*")} == {"taken.quilt-mcp", ".quilt", ".ssh"}


def test_a_key_whose_secret_cannot_be_written_is_revoked_again(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Syscalls, fd: int, chunk: bytes | memoryview) -> int:
        if bytes(chunk[:3]) == b"qk_":
            raise OSError(28, os.strerror(28))
        return os.write(fd, chunk)

    ada = calls("ada")
    monkeypatch.setattr(Syscalls, "write", full)
    error = refused(ada("admin_keys", action="create", name="laptop", dest="laptop"), "invalid_argument")
    assert "revoked again" in error["message"] and "qk_" not in json.dumps(error)
    assert ada("admin_keys", action="list", name="laptop")["data"]["keys"] == []
    assert list((tmp_path / "home").iterdir()) == []


def test_a_key_that_can_be_neither_kept_nor_revoked_is_named(
    calls: Calls, people: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Syscalls, fd: int) -> None:
        raise OSError(5, os.strerror(5))

    ada = calls("ada")
    ada("admin_keys", action="list")
    monkeypatch.setattr(Syscalls, "fsync", broken)
    people.fault(Fault("/graphql", "KeyRevoke", status=502))
    error = refused(ada("admin_keys", action="create", name="laptop", dest="laptop"), "invalid_argument")
    people.clear_faults()
    (kept,) = ada("admin_keys", action="list", name="laptop")["data"]["keys"]
    assert error["details"]["id"] == kept["id"] and f"{kept['id']} could not be revoked" in error["message"]


def test_no_answer_of_administration_has_a_secret(root: Call, people: Stack) -> None:
    """Whatever is read: keys are told by their fingerprints."""
    secret = people.api_key("eve")
    for tool in (one for one in TOOLS if one.name.startswith("admin_")):
        for action in tool.arguments["action"]["enum"]:
            if action not in tool.writing:
                assert secret not in str(
                    root(tool.name, action=action, **({"name": "eve"} if action == "get" else {}))
                )
