"""The Node that `make test` installs, and what runs on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MODULES = Path(__file__).parents[2] / "node_modules"


def node_command(script: str) -> list[str]:
    """``script`` below node_modules, to be run by the pinned Node. Skips where it is not installed, but never in CI."""
    command = [MODULES / ".bin" / "node", MODULES / script]
    missing = [str(part) for part in command if not part.exists()]
    if missing:
        said = f"{missing[0]} is not there: `make test` installs it where there is npm"
        pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
    return [str(part) for part in command]
