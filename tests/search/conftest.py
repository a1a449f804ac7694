"""A registry of packages that quilt3 wrote, to be searched."""

from __future__ import annotations

from pathlib import Path

import pytest
from library import write_packages
from scan import Package, packages_at_random


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Package]]:
    """Sixty packages that nobody changes."""
    registry = tmp_path_factory.mktemp("library") / "registry"
    registry.mkdir()
    return registry, write_packages(registry, packages_at_random(1, 60))
