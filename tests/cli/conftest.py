"""The shell that the tests of the command line type into."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path / "home", tmp_path / "here", tmp_path / "registry")
    made.home.mkdir()
    made.here.mkdir()
    return made
