"""The lab, written once by quilt3, and what queries it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import local_ops, write_lab

from quilt_mcp.backends.local import LocalOps


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """Nobody changes it."""
    return write_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def hashes(lab: tuple[Path, dict[str, list[str]]]) -> dict[str, list[str]]:
    return lab[1]


@pytest.fixture(scope="session")
def lab_ops(
    lab: tuple[Path, dict[str, list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalOps]:
    yield local_ops(lab[0], tmp_path_factory.mktemp("lab-cache"))
