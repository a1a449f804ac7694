"""Programs that not every machine has."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Its path. Skips where it is not installed, but never in CI, which installs it."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("PROGRAMS_REQUIRED"):
            pytest.fail(f"{name} is not installed: make programs")
        pytest.skip(f"{name} is not installed")
    return found
