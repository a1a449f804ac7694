"""``install-client``: each client's own file gets the server, and nothing else in it changes."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from shell import COMMAND, Shell, on_a_terminal

from quilt_mcp.cli.clients.json_file import read_json, set_json
from quilt_mcp.cli.clients.table import CLIENTS, Client
from quilt_mcp.cli.clients.toml_file import set_toml

FILES = {
    "claude-code": ".claude.json",
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the paths of Linux")


def read(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


def servers(path: Path) -> dict[str, Any]:
    whole = read(path)
    return whole.get("mcpServers") or whole.get("servers") or whole["mcp_servers"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
def test_a_new_file_holds_the_server_with_the_absolute_path_of_this_program(
    shell: Shell, client: Client
) -> None:
    done = shell.run("install-client", client.name, "--yes", "--root", ".", "--registry", "s3://bucket", "-w")
    assert done.returncode == 0, done.stderr
    path = shell.home / FILES[client.name]
    server = servers(path)["quilt"]
    assert server["command"] == COMMAND
    assert server["args"] == ["--registry", "s3://bucket", "--allow-write", "--root", str(shell.here)]
    assert server.get("type") == client.fields.get("type")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = shell.run(
        "install-client", client.name, "--yes", "--root", ".", "--registry", "s3://bucket", "-w"
    )
    assert (again.returncode, "already" in again.stderr) == (0, True)
    assert [one.name for one in path.parent.iterdir() if one.is_file()] == [path.name]


OTHERS = {
    "json": '{\n\t"numStartups": 1e5, "mcpServers": {"mine": {"command": "x", "args": [1.0]}}, "servers": {\n\t"mine": {} }\n}\n',
    "toml": '# mine\nmodel = "x"  # kept\n[mcp_servers.mine]\ncommand = "y"\n\n[[profiles]]\nq = 1\n',
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
def test_an_existing_file_keeps_all_else_to_the_byte_and_a_copy_of_itself(
    shell: Shell, client: Client
) -> None:
    path = shell.home / FILES[client.name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OTHERS[client.form])
    path.chmod(0o640)
    before = read(path)
    assert shell.run("install-client", client.name, "--yes").returncode == 0
    after = path.read_text()
    kept = read(path)
    assert kept[client.key].pop("quilt")["command"] == COMMAND
    assert kept == before
    for line in OTHERS[client.form].splitlines():
        assert line.strip(" \t{}")[:20] in after
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    [backup] = path.parent.glob(f"{path.name}.*.bak")
    assert backup.read_text() == OTHERS[client.form]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
def test_a_server_of_that_name_keeps_what_its_owner_added(shell: Shell, client: Client) -> None:
    assert shell.run("install-client", client.name, "--yes", "--env", "A=b").returncode == 0
    path = shell.home / FILES[client.name]
    text = path.read_text()
    if client.form == "json":
        path.write_text(text.replace('"args"', '"disabled": true,\n "args"'))
    else:
        path.write_text(text + "disabled = true\n# of another\n[other]\nb = 1\n")
    assert shell.run("install-client", client.name, "--yes", "--root", "/").returncode == 0
    server = servers(path)["quilt"]
    assert (server["disabled"], server["env"], server["args"]) == (True, {"A": "b"}, ["--root", "/"])
    assert client.form == "json" or "# of another\n[other]\nb = 1\n" in path.read_text()


def test_variables_that_are_not_given_again_stay_and_each_writing_keeps_its_own_copy(shell: Shell) -> None:
    path = shell.home / FILES["cursor"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"mcpServers": {"quilt": {"command": "x", "env": {"TOKEN": "t", "A": "old"}}}}')
    for number in range(3):
        assert shell.run("install-client", "cursor", "--yes", "--env", f"A={number}").returncode == 0
    assert servers(path)["quilt"]["env"] == {"TOKEN": "t", "A": "2"}
    copies = [json.loads(one.read_text()) for one in path.parent.glob(f"{path.name}.*.bak")]
    assert sorted(one["mcpServers"]["quilt"]["env"]["A"] for one in copies) == ["0", "1", "old"]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vscode", '{\n  // mine\n  "servers": {}\n}\n'),
        ("cursor", '{"mcpServers": []}'),
        ("gemini", "[]"),
        ("claude-desktop", "{"),
        ("codex", "mcp_servers = { mine = { command = 'x' } }\n"),
        ("codex", "mcp_servers = 1\n"),
        ("codex", "= broken"),
        ("codex", "[mcp_servers.quilt]\nsince = 2026-01-01\n"),
    ],
)
def test_what_cannot_be_read_is_left_alone_and_the_snippet_printed(
    shell: Shell, name: str, text: str
) -> None:
    path = shell.home / FILES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    done = shell.run("install-client", name, "--yes")
    assert done.returncode == 4
    assert "left as it is" in done.stderr and COMMAND in done.stdout
    assert path.read_text() == text
    assert [one.name for one in path.parent.iterdir() if one.is_file()] == [path.name]


def test_without_yes_nothing_is_written_but_shown(shell: Shell) -> None:
    done = shell.run("install-client", "cursor")
    assert (done.returncode, COMMAND in done.stdout) == (2, True)
    assert "--yes" in done.stderr
    assert list(shell.home.iterdir()) == []


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2)])
def test_a_person_is_asked(shell: Shell, answer: str, code: int) -> None:
    seen = on_a_terminal(shell, "install-client", "cursor", typed=answer, code=code)
    assert "Write it? [y/N]" in seen
    assert (shell.home / ".cursor" / "mcp.json").exists() == (answer == "y")


def test_print_prints_the_snippet_alone(shell: Shell) -> None:
    done = shell.run("install-client", "vscode", "--print", "--name", "data")
    assert json.loads(done.stdout) == {"servers": {"data": {"type": "stdio", "command": COMMAND, "args": []}}}
    assert list(shell.home.iterdir()) == []


def test_a_project_has_a_file_of_its_own(shell: Shell) -> None:
    assert shell.run("install-client", "claude-code", "--yes", "--project").returncode == 0
    assert servers(shell.here / ".mcp.json")["quilt"]["command"] == COMMAND
    assert shell.run("install-client", "claude-desktop", "--yes", "--project").returncode == 2
    assert list(shell.home.iterdir()) == []


def test_variables_of_the_shell_are_told_and_taken_along(shell: Shell) -> None:
    done = shell.run("install-client", "cursor", AWS_PROFILE="lab")
    assert "--env AWS_PROFILE" in done.stderr
    done = shell.run("install-client", "cursor", "--yes", "--env", "AWS_PROFILE", AWS_PROFILE="lab")
    assert servers(shell.home / FILES["cursor"])["quilt"]["env"] == {"AWS_PROFILE": "lab"}
    assert shell.run("install-client", "cursor", "--env", "NO_SUCH").returncode == 2


def test_a_file_behind_a_link_is_written_where_it_is(shell: Shell) -> None:
    """As people do who keep their dotfiles in one folder."""
    kept = shell.here / "kept.json"
    kept.write_text("{}")
    (shell.home / ".gemini").mkdir()
    (shell.home / ".gemini" / "settings.json").symlink_to(kept)
    assert shell.run("install-client", "gemini", "--yes").returncode == 0
    assert (shell.home / ".gemini" / "settings.json").is_symlink()
    assert servers(kept)["quilt"]["command"] == COMMAND


def test_folders_that_variables_name_are_taken(shell: Shell) -> None:
    for name, variable, path in (
        ("codex", "CODEX_HOME", "config.toml"),
        ("claude-code", "CLAUDE_CONFIG_DIR", ".claude.json"),
    ):
        assert shell.run("install-client", name, "--yes", **{variable: str(shell.here)}).returncode == 0
        assert servers(shell.here / path)["quilt"]["command"] == COMMAND


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("darwin", "Library/Application Support/Code/User/mcp.json"),
        ("win32", "AppData/Roaming/Code/User/mcp.json"),
    ],
)
def test_each_platform_has_its_place(platform: str, path: str) -> None:
    vscode = next(one for one in CLIENTS if one.name == "vscode")
    assert vscode.file({}, Path("/home"), platform) == Path("/home") / path


def test_the_server_that_was_written_answers(shell: Shell) -> None:
    assert shell.run("install-client", "cursor", "--yes").returncode == 0
    server = servers(shell.home / FILES["cursor"])["quilt"]
    assert server["args"] == [] and os.access(server["command"], os.X_OK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"a":1}',
        '{"k":{}}',
        '{ "k" : { "b" : "}\\"{" } , "z": [ ] }',
        '{"k":{"n":1},"k":{"n":2, "m":3}}',
    ],
)
def test_an_entry_is_set_in_any_json(text: str) -> None:
    before = read_json(text)
    after = json.loads(set_json(text, "k", "n", {"c": "é"}))
    assert after == {**before, "k": {**before.get("k", {}), "n": {"c": "é"}}}


def test_an_entry_is_set_in_toml_whatever_its_name_is_written_like() -> None:
    text = '[mcp_servers."quilt"]\na = 1\n[ mcp_servers . quilt . env ]\nb = "c"\n[x]\nd = 2\n'
    after = set_toml(text, "mcp_servers", "quilt", {"a": "é", "n": [1, True], "t": {"k k": 0.5}, "e": {}})
    assert tomllib.loads(after) == {
        "x": {"d": 2},
        "mcp_servers": {"quilt": {"a": "é", "n": [1, True], "t": {"k k": 0.5}, "e": {}}},
    }
