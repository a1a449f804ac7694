"""The root of a confined folder, made by whoever writes first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quilt_mcp.errors import RegistryNotFound, StorageUnavailable
from quilt_mcp.storage.local.confined import ConfinedFolder
from quilt_mcp.storage.local.syscalls import Syscalls


class Overtaken(Syscalls):
    """A kernel in which, once, another writer makes the root right after this one has found it missing, or right before it makes
    it itself."""

    def __init__(self) -> None:
        self.rival: ConfinedFolder | None = None

    def overtake(self) -> None:
        rival, self.rival = self.rival, None
        if rival is not None:
            os.close(rival.open_root(create=True))

    def open(self, name: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        try:
            return super().open(name, flags, mode, dir_fd=dir_fd)
        except FileNotFoundError:
            self.overtake()
            raise

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        self.overtake()
        super().mkdir(name, dir_fd=dir_fd)


def test_two_threads_that_write_first_at_once_both_find_the_root(tmp_path: Path) -> None:
    kernel = Overtaken()
    folder = ConfinedFolder(tmp_path / "registry", missing=RegistryNotFound, kernel=kernel, create=True)
    kernel.rival = folder
    os.close(folder.open_root(create=True))
    assert kernel.rival is None


def test_a_look_overtaken_by_the_first_write_finds_a_root_that_is_missing_not_one_that_was_removed(
    tmp_path: Path,
) -> None:
    kernel = Overtaken()
    folder = ConfinedFolder(tmp_path / "registry", missing=RegistryNotFound, kernel=kernel, create=True)
    kernel.rival = folder
    with pytest.raises(RegistryNotFound, match="does not exist"):
        folder.open_root()
    os.close(folder.open_root())


def test_a_root_that_was_there_and_is_gone_is_not_made_again(tmp_path: Path) -> None:
    folder = ConfinedFolder(tmp_path / "registry", missing=RegistryNotFound, create=True)
    os.close(folder.open_root(create=True))
    (tmp_path / "registry").rmdir()
    with pytest.raises(StorageUnavailable, match="removed while it was in use"):
        folder.open_root(create=True)
