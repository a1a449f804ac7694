"""A person who signs in at the shell, and uses quilt3 in the same home."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from shell import Shell

from parts.quilt3_process import Quilt3
from parts.stack import Stack


@dataclass
class Person:
    """Types at a shell, and uses quilt3 in the same home."""

    shell: Shell
    quilt3: Quilt3
    variables: dict[str, str]

    @property
    def folder(self) -> Path:
        return Path(self.variables["XDG_DATA_HOME"]) / "Quilt"

    def type(self, *words: str, code: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return self.shell.run(*words, stdin=code, **(self.variables | variables))

    def login(self, stack: Stack, name: str = "ada") -> str:
        """What is said on both outputs."""
        done = self.type("login", stack.url, code=stack.code(name) + "\n")
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def refused(self, *words: str, code: str = "", **variables: str) -> tuple[int, str]:
        done = self.type(*words, code=code, **variables)
        assert done.returncode != 0 and done.stdout == ""
        assert "next:" in done.stderr and "Traceback" not in done.stderr
        return done.returncode, done.stderr

    def file(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def config(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "config.yml").read_text())

    def status(self, **variables: str) -> dict[str, Any]:
        done = self.type("call", "status", **variables)
        return json.loads(done.stdout or done.stderr)

    def quilt3_is_at(self) -> str | None:
        return self.quilt3.run("result = quilt3.logged_in()")
