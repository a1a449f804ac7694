"""Small files of a folder that are written together stand there as if each had been written alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from quilt_mcp.errors import (
    AlreadyExists,
    CredentialPlace,
    InvalidName,
    NotAFile,
    OutsideRoots,
    StorageFull,
    StorageUnavailable,
)
from quilt_mcp.storage.local.confined import TEMP_PREFIX
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.syscalls import Syscalls

FILES = {"a": b"1", "b": b"2", "deep/c": b"3", "deep/d": b"4", "e": b"5"}


def found(root: Path) -> dict[str, bytes]:
    """Unfinished files, too."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Failing(Syscalls):
    """The n-th call of one name fails, and all later ones where it is ``for_good``."""

    def __init__(self, name: str, number: int, *, for_good: bool = False, error: int = errno.ENOSPC) -> None:
        self._left = number
        plain = getattr(self, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 or (for_good and self._left < 0):
                raise OSError(error, os.strerror(error))
            return plain(*args, **kwargs)

        setattr(self, name, call)


def test_files_of_several_folders_are_written_in_any_order_and_nothing_is_left_behind(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    LocalFolder(tmp_path).write_files(FILES)
    assert found(tmp_path) == FILES
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("call", ["open", "write", "begin_writing", "fsync", "link", "unlink"])
def test_what_fails_once_is_done_again_alone_and_leaves_no_trace(tmp_path: Path, call: str) -> None:
    before = len(os.listdir("/dev/fd"))
    number = 4 if call == "open" else 2  # the first open the root, and folders on the way
    LocalFolder(tmp_path, kernel=Failing(call, number)).write_files({"a": b"1", "b": b"2", "c": b"3"})
    contents = found(tmp_path)
    left = {name for name in contents if TEMP_PREFIX in name}
    assert {name: contents[name] for name in contents if name not in left} == {
        "a": b"1",
        "b": b"2",
        "c": b"3",
    }
    assert len(left) <= (call == "unlink"), "which the next day's sweep takes"
    assert len(os.listdir("/dev/fd")) <= before


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_a_full_disk_is_told_with_the_file_and_leaves_whole_files_only(tmp_path: Path, call: str) -> None:
    with pytest.raises(StorageFull, match="No space left"):
        LocalFolder(tmp_path, kernel=Failing(call, 2, for_good=True)).write_files(FILES)
    assert found(tmp_path).items() <= FILES.items()


def test_a_folder_that_does_not_reach_the_disk_is_told_as_such_though_its_files_stand_there(
    tmp_path: Path,
) -> None:
    class Unkept(Syscalls):
        def fsync(self, fd: int) -> None:
            if os.fstat(fd).st_ino == tmp_path.stat().st_ino:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().fsync(fd)

    with pytest.raises(StorageUnavailable):
        LocalFolder(tmp_path, kernel=Unkept()).write_files({"a": b"1", "b": b"2"})


@pytest.mark.parametrize("has_links", [True, False])
def test_what_stands_there_is_replaced_only_where_that_was_asked_for(tmp_path: Path, has_links: bool) -> None:
    kernel = Syscalls() if has_links else Failing("link", 1, for_good=True, error=errno.EPERM)
    folder = LocalFolder(tmp_path, kernel=kernel)
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(AlreadyExists, match="'b' already exists"):
        folder.write_files(FILES)
    assert found(tmp_path) == {"a": b"1", "b": b"old"}
    folder.write_files(FILES, replace=True)
    assert found(tmp_path) == FILES


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"kept")
    root = tmp_path / "root"
    (root / "b").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    folder = LocalFolder(root)
    with pytest.raises(NotAFile):
        folder.write_files({"a": b"1", "b": b"2"}, replace=True)
    with pytest.raises(OutsideRoots):
        folder.write_files({"a": b"1", "link": b"2"}, replace=True)
    with pytest.raises(AlreadyExists, match="a file stands where a folder is needed"):
        folder.write_files({"a/b": b"2", "a/c": b"3"})
    assert outside.read_bytes() == b"kept"
    assert (found(root)["a"], (root / "link").is_symlink()) == (b"1", True)
    assert not any(TEMP_PREFIX in name for name in found(root))


def test_no_path_leads_out_or_to_credentials(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "root")
    for path in ("../b", "a//b", "", f"{TEMP_PREFIX}b"):
        with pytest.raises(InvalidName):
            folder.write_files({"a": b"1", path: b"2"})
    with pytest.raises(CredentialPlace):
        folder.write_files({"a": b"1", ".aws/credentials": b"2"})
    assert set(found(tmp_path)) <= {"root/a"}


def test_neighbours_wait_for_their_folder_once_and_no_file_is_placed_before_all_are_on_the_disk(
    tmp_path: Path,
) -> None:
    calls: list[str] = []

    class Noting(Syscalls):
        def fsync(self, fd: int) -> None:
            is_folder = os.fstat(fd).st_ino == tmp_path.stat().st_ino
            calls.append("folder" if is_folder else "file")

        def link(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
            calls.append("place")
            super().link(source, source_dir, target, target_dir)

    LocalFolder(tmp_path, kernel=Noting()).write_files(dict.fromkeys("abcd", b""))
    assert calls == [*["file"] * 4, *["place"] * 4, "folder"]


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    old = tmp_path / f"{TEMP_PREFIX}old"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    LocalFolder(tmp_path).write_files({"a": b"1"})
    assert found(tmp_path) == {"a": b"1"}
