"""The command itself: version, help, and what serving needs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from shell import Shell

from quilt_mcp import __version__


def test_the_version_is_the_packages_own(shell: Shell) -> None:
    assert shell.run("--version").stdout == f"quilt-mcp {__version__}\n"


@pytest.mark.parametrize("command", [(), ("serve",), ("call",), ("demo",), ("doctor",)])
def test_help_tells_the_exit_codes(shell: Shell, command: tuple[str, ...]) -> None:
    result = shell.run(*command, "--help")
    assert result.returncode == 0
    assert "exit codes:" in result.stdout


def test_the_module_runs_as_the_command_does(shell: Shell) -> None:
    command = [sys.executable, "-m", "quilt_mcp", "--version"]
    result = subprocess.run(command, env=shell.environment, capture_output=True, text=True, check=False)
    assert result.stdout == f"quilt-mcp {__version__}\n"


def test_serving_ends_with_its_input_and_writes_nothing_to_standard_output(shell: Shell) -> None:
    result = shell.run()
    assert (result.returncode, result.stdout) == (0, "")


def test_a_flag_before_the_command_holds_after_it(shell: Shell) -> None:
    assert "needs --allow-write" not in shell.run("--allow-write", "call").stdout


def test_http_without_single_user_is_refused_with_the_flag_to_add(shell: Shell) -> None:
    result = shell.run("serve", "--http", "--port", "0")
    assert result.returncode == 4
    assert "--single-user" in result.stderr


def test_http_binds_loopback_only(shell: Shell) -> None:
    result = shell.run("serve", "--http", "--single-user", "--host", "0.0.0.0", "--port", "0")
    assert result.returncode == 2
    assert "loopback" in result.stderr


def test_a_broken_setting_of_the_environment_is_named(shell: Shell) -> None:
    result = shell.run("call", "status", QUILT_ALLOW_WRITE="perhaps")
    assert result.returncode == 2
    assert "QUILT_ALLOW_WRITE" in result.stderr


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("flags", "at_home", "notice"),
    [(("--root", "${workspaceFolder}"), False, "unexpanded: --root"), ((), True, "no_root: ")],
)
def test_case_E10_case_S1_what_is_probably_not_meant_is_told_at_start_by_status_and_by_doctor(
    shell: Shell, flags: tuple[str, ...], at_home: bool, notice: str
) -> None:
    started = replace(shell, here=shell.home) if at_home else shell
    served = started.run(*flags)
    assert notice in served.stderr and served.stdout == ""
    (warning,) = json.loads(started.run("call", "status", *flags).stdout)["warnings"]
    assert warning.startswith(notice) and "--root" in warning
    report = json.loads(started.run("doctor", *flags).stdout)
    assert any("--root" in check["found"] + check["fix"] for check in report["checks"])
