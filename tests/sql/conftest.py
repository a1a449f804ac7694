"""The lab, written once by quilt3, and what queries it. Each test has the system's folder for temporary files to itself, so that
it sees what queries leave there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sql_lab import local_ops, write_lab

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


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
