"""A shell for tests: the installed command, an empty home, a registry of its own, nothing of the person who runs the tests."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("quilt-mcp"))


@dataclass(frozen=True)
class Shell:
    """``here`` is the working folder, and so a root; ``registry`` lies outside it."""

    home: Path
    here: Path
    registry: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "PYTHONPATH"))}
        own = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "QUILT_DEFAULT_REGISTRY": str(self.registry),
            "LANG": "C.UTF-8",
        }
        return kept | own

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.here,
            env=self.environment | variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def call(self, tool: str, arguments: dict[str, Any] | None = None, *flags: str) -> dict[str, Any]:
        """The JSON of a call that succeeds."""
        result = self.run("call", tool, "--args", json.dumps(arguments or {}), *flags)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def make_package(self, name: str = "team/data", **files: str) -> dict[str, Any]:
        inline = [{"path": path, "text": text} for path, text in (files or {"a.txt": "one"}).items()]
        return self.call(
            "package_create", {"package": name, "files": inline, "message": "made"}, "--allow-write"
        )


def in_a_shell(shell: Shell, line: str) -> subprocess.CompletedProcess[str]:
    """The exit code is that of the command, not of what it is piped into."""
    return subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {line}"],
        cwd=shell.here,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def on_a_terminal(
    shell: Shell, *arguments: str, columns: int = 100, typed: str = "", code: int = 0, **variables: str
) -> str:
    """What a person sees: standard output and error are one terminal. ``typed``: the line that is given to a question."""
    own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": str(columns), "PAGER": "cat"}
    return seen_on_a_terminal(
        [COMMAND, *arguments], shell.environment | own | variables, typed=typed, code=code, cwd=shell.here
    )


def seen_on_a_terminal(
    command: list[str],
    environment: dict[str, str],
    *,
    typed: str = "",
    code: int = 0,
    cwd: Path | None = None,
) -> str:
    ours, theirs = pty.openpty()
    if typed:
        os.write(ours, f"{typed}\n".encode())
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert process.wait(30) == code, seen
    return seen.decode("utf-8", "replace")
