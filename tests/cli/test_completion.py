"""Completion: what is offered, and that bash, zsh and fish themselves insert it. Who gets nothing within a second presses
the key again, and so do the tests, on machines that are busy."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence

import pytest
from shell import COMMAND, Shell

from parts.programs import program

TRIES = 20


def offered(shell: Shell, *words: str, wanted: bool = True, name: str = "fish") -> list[str]:
    """The candidates; asked for again while there are none and some are wanted."""
    for _ in range(TRIES if wanted else 1):
        result = shell.run("__complete", name, *words)
        assert (result.returncode, result.stderr) == (0, "")
        if result.stdout:
            break
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


@pytest.fixture
def packed(shell: Shell) -> Shell:
    shell.make_package("team/data", **{"a.txt": "one", "folder/b.txt": "two", "folder/c d.txt": "three"})
    shell.make_package("team/other")
    return shell


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["bro"], ["browse"]),
        (["--reg"], ["--registry"]),
        (["--registry", ""], [":folders"]),
        (["help", "brow"], ["browse"]),
        (["browse", "--recu"], ["--recursive"]),
        (["browse", "--registry", ""], [":folders"]),
        (["patch", "team/data", "--metadata-mode", ""], ["merge", "replace"]),
        (["put", "team/new", ""], [":files"]),
        (["put", "team/new", "a", "b", ""], [":files"]),
        (["get", "team/data", ""], [":folders"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["call", "package_b"], ["package_browse"]),
        (["demo", "--keep", ""], [":folders"]),
    ],
)
def test_commands_flags_and_their_values_are_offered(
    shell: Shell, words: list[str], found: list[str]
) -> None:
    assert offered(shell, *words) == found


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["browse", "team/d"], ["team/data"]),
        (["cp", "team/data", "team/o"], ["team/other"]),
        (["browse", "team/data", ""], ["a.txt", "folder/"]),
        (["browse", "-r", "team/data", "folder/"], ["folder/b.txt", "folder/c d.txt"]),
        (["patch", "team/data", "--remove", "a"], ["a.txt"]),
        (["cat", "team/o"], ["team/other/"]),
        (["cat", "team/data/fol"], ["team/data/folder/"]),
        (["head", "team/data:latest/a"], ["team/data:latest/a.txt"]),
        (["cat", "s3://bucket/team/data/"], []),
        (["verify", "team/data/folder/b"], ["team/data/folder/b.txt"]),
        (["get", "team/data@latest/a"], ["team/data@latest/a.txt"]),
        (["diff", "team/other", "team/data/a"], ["team/data/a.txt"]),
        (["rm", "team/data/a"], []),
    ],
)
def test_packages_and_the_paths_in_them_are_offered(
    packed: Shell, words: list[str], found: list[str]
) -> None:
    assert offered(packed, *words, wanted=bool(found)) == found


def test_the_registry_that_was_typed_is_asked(packed: Shell) -> None:
    elsewhere = packed.here / "elsewhere"
    packed.registry.rename(elsewhere)
    assert offered(packed, "browse", "--registry", str(elsewhere), "team/o") == ["team/other"]
    assert offered(packed, "--registry", str(elsewhere), "browse", "team/o") == ["team/other"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "words",
    [
        ["nonsense", ""],
        ["browse", "team/data", "a.txt", ""],
        ["browse", "no/such", ""],
        ["browse", "--limit", ""],
        ["cat", "s3://bucket/"],
        ["status", ""],
    ],
)
def test_where_nothing_is_known_nothing_is_offered_and_nothing_is_said(
    shell: Shell, words: list[str]
) -> None:
    assert offered(shell, *words, wanted=False) == []


def test_a_server_that_never_answers_is_not_waited_for(shell: Shell) -> None:
    """A port that takes connections and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "QUILT_DEFAULT_REGISTRY": "s3://silent",
        }
        assert shell.run("__complete", "fish", "browse", "team/", **settings).stdout == ""


def test_broken_settings_are_not_spoken_of(shell: Shell) -> None:
    result = shell.run("__complete", "zsh", "browse", "a", QUILT_ALLOW_WRITE="perhaps")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("quilt-mcp bro", ["browse"]),
        ("quilt-mcp browse team/data folder/c", [r"folder/c\ d.txt"]),
        ("quilt-mcp browse team/data 'folder/c", [r"folder/c\ d.txt"]),
        ("quilt-mcp browse team/data:", []),
        ("quilt-mcp patch team/data --metadata-mode=me", []),
    ],
)
def test_bash_gets_what_follows_the_last_break_of_its_words(
    packed: Shell, line: str, found: list[str]
) -> None:
    assert offered(packed, " \t\n\"'><=;|&(:", line, wanted=bool(found), name="bash") == found


def typed(shell: Shell, command: Sequence[str], script: str, line: str, wanted: str) -> bool:
    """Types a line and presses Tab in a real shell on a real terminal, until it shows what is wanted."""
    ours, theirs = pty.openpty()
    environment = shell.environment | {"TERM": "dumb", "PATH": f"{shell.home}:/usr/bin:/bin"}
    (shell.home / "quilt-mcp").symlink_to(COMMAND)
    process = subprocess.Popen(
        command,
        cwd=shell.here,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        os.write(ours, f"{script}; echo rea''dy\n".encode())
        assert seen_within(ours, "ready", 30)
        os.write(ours, line.encode())
        for _ in range(TRIES):
            os.write(ours, b"\t")
            if seen_within(ours, wanted, 3):
                return True
        return False
    finally:
        os.close(ours)
        process.kill()
        process.wait()


def seen_within(terminal: int, wanted: str, seconds: float) -> bool:
    seen, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536).decode("utf-8", "replace")
            if wanted in seen:
                return True
    return False


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("quilt-mcp bro", "wse "),
        ("quilt-mcp browse team/da", "ta "),
        ("quilt-mcp browse team/data fol", "der/"),
    ],
)
def test_bash_completes_on_a_terminal(packed: Shell, line: str, wanted: str) -> None:
    command = [program("bash"), "--norc", "--noprofile", "-i"]
    assert typed(packed, command, "source <(quilt-mcp completion bash)", line, wanted)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("quilt-mcp bro", "wse "),
        ("quilt-mcp browse team/da", "ta "),
        ("quilt-mcp browse team/data fol", "der/"),
    ],
)
def test_zsh_completes_on_a_terminal(packed: Shell, line: str, wanted: str) -> None:
    command = [program("zsh"), "-f", "-i"]
    script = 'autoload -U compinit && compinit -u; eval "$(quilt-mcp completion zsh)"'
    assert typed(packed, command, script, line, wanted)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("quilt-mcp bro", "browse"),
        ("quilt-mcp browse team/da", "team/data"),
        ("quilt-mcp put team/new mi", "mine/"),
    ],
)
def test_fish_completes(packed: Shell, line: str, wanted: str) -> None:
    command = program("fish")
    (packed.here / "mine").mkdir()
    (packed.home / "quilt-mcp").symlink_to(COMMAND)
    script = f"quilt-mcp completion fish | source; complete -C '{line}'"
    for _ in range(TRIES):
        done = subprocess.run(
            [command, "--no-config", "-c", script],
            cwd=packed.here,
            env=packed.environment | {"PATH": f"{packed.home}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.stdout:
            break
    assert [one.split("\t")[0] for one in done.stdout.splitlines()] == [wanted], done.stderr
