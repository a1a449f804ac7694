"""How a command ends: interrupted, terminated, with a reader that leaves, with output that cannot be written."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import COMMAND, Shell, in_a_shell

SOON = 20.0


@pytest.fixture
def big(shell: Shell) -> Iterator[Path]:
    path = shell.here / "big.bin"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    yield path
    path.unlink()


def unfinished(shell: Shell) -> list[Path]:
    return [path for path in shell.registry.rglob(".quilt-mcp-tmp-*") if path.is_file()]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_case_P4_a_signal_ends_a_call_and_removes_its_files(
    sent: signal.Signals, code: int, shell: Shell, big: Path
) -> None:
    arguments = json.dumps({"package": "ends/never", "sources": [{"from": str(big)}]})
    command = [COMMAND, "call", "package_create", "--allow-write", "--args", arguments]
    with subprocess.Popen(
        command, cwd=shell.here, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        bound = time.monotonic() + 60
        while not any(path.stat().st_size for path in unfinished(shell)):
            assert time.monotonic() < bound and process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        out, error = process.communicate(timeout=SOON)
    assert (process.returncode, out, error) == (code, b"", b"")
    assert unfinished(shell) == []


def test_a_reader_that_leaves_is_no_fault(shell: Shell) -> None:
    shell.make_package(**{f"{number:04d}-{'x' * 60}.txt": "t" for number in range(800)})
    browse = "call package_browse --arg package=team/data --arg limit=1000"
    for line in (f"{browse} | head -c 1", f"{browse} --json | true", "--help | true", "call | true"):
        done = in_a_shell(shell, f"{COMMAND} {line}")
        assert (done.returncode, done.stderr) == (0, ""), line


@pytest.mark.sampled(2)
@pytest.mark.parametrize("line", ["call status", "call", "doctor", "--help"])
def test_output_that_cannot_be_written_is_told(line: str, shell: Shell) -> None:
    done = in_a_shell(shell, f"{COMMAND} {line} >/dev/full")
    assert done.returncode == 5
    assert done.stderr == "error: The output cannot be written: No space left on device.\n"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_closed_and_full_streams_change_no_exit_code(closed: str, shell: Shell) -> None:
    shell.make_package()
    for line, code in (
        ("call packages_list", 0),
        ("call package_browse --arg package=no/such", 2),
        ("--nonsense", 2),
    ):
        done = in_a_shell(shell, f"{COMMAND} {line} {closed}")
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def test_what_is_written_to_a_registry_never_lands_on_a_closed_stream(shell: Shell) -> None:
    """The first file opened would get the number of standard error, and what a library prints would be written into it."""
    arguments = json.dumps({"package": "a/b", "files": [{"path": "a.txt", "text": "one"}]})
    assert (
        in_a_shell(
            shell, f"{COMMAND} call package_create --allow-write --args '{arguments}' <&- >&- 2>&-"
        ).returncode
        == 0
    )
    assert shell.call("package_verify", {"package": "a/b"})["data"]["ok"] is True


def test_a_working_folder_that_is_gone_ends_in_no_traceback(shell: Shell) -> None:
    gone = shell.home / "gone"
    gone.mkdir()
    for line in ("call packages_list", "doctor", "call status --root data", "call status --registry data"):
        gone.mkdir(exist_ok=True)
        done = in_a_shell(shell, f"cd {gone} && rmdir {gone} && {COMMAND} {line}")
        assert "Traceback" not in done.stderr + done.stdout, line


def test_errors_hold_no_control_characters_and_no_secrets(shell: Shell) -> None:
    bad = "a\x1b[31m\u202e\x07"
    secret = "canary-of-a-secret-key"
    for arguments in (
        ["call", "package_browse", "--arg", f"package={bad}"],
        ["call", "package_browse", "--arg", f"{bad}=1"],
        ["call", bad],
        [bad],
        [f"--{bad}"],
        ["--log-level", bad],
        ["--backend", bad],
        ["--port", "x", "serve"],
        ["serve", "--http", "--single-user", "--host", bad],
        ["call", "status", "--args", bad],
        ["call", "package_browse", "--arg", f"package={secret}"],
        [secret],
    ):
        done = shell.run(*arguments, AWS_SECRET_ACCESS_KEY=secret)
        assert done.returncode != 0, arguments
        assert done.stderr, arguments
        assert not set(done.stderr) & set("\x1b\x07\u202e"), arguments
        assert secret not in done.stderr, arguments
