"""The shell that the tests of the command line type into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from person import Person
from shell import Shell

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path / "home", tmp_path / "here", tmp_path / "registry")
    made.home.mkdir()
    made.here.mkdir()
    return made


@pytest.fixture
def person(shell: Shell, moto: S3Access, stack: Stack) -> Person:
    """S3 is reached through the stack's gate, with no keys but those that the stack gives."""
    quilt3 = Quilt3(shell.home, replace(moto, url=stack.s3_url))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del quilt3.environment[name]
    shared = {
        name: value
        for name, value in quilt3.environment.items()
        if name.startswith("AWS_") or name == "XDG_DATA_HOME"
    }
    stack.add_user("ada", ("writer", "reader"))
    return Person(shell, quilt3, shared | {"QUILT_DEFAULT_REGISTRY": ""})
