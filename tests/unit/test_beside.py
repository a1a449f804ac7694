"""A file in the making: it has the rights of any new file, and nobody's umask is touched for it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import quilt_mcp
from quilt_mcp.storage.local import beside

MADE = """
import os, sys
os.umask(int(sys.argv[2], 8))
def refuse(mask): raise AssertionError("the umask is of all threads")
os.umask = refuse
from quilt_mcp.storage.local.beside import make_beside, put_beside
descriptor, made = make_beside(sys.argv[1])
os.write(descriptor, b"new")
os.close(descriptor)
put_beside(made, sys.argv[1], replace=False)
"""


@pytest.mark.parametrize("mask", ["022", "027", "077", "002"])
def test_a_new_file_has_the_rights_that_the_umask_leaves(tmp_path: Path, mask: str) -> None:
    path = tmp_path / "new"
    subprocess.run([sys.executable, "-c", MADE, str(path), mask], check=True, timeout=60)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o666 & ~int(mask, 8))
    assert [one.name for one in tmp_path.iterdir()] == ["new"]


def test_nothing_of_ours_changes_the_umask_of_the_process() -> None:
    for source in Path(quilt_mcp.__file__).parent.rglob("*.py"):
        assert "os.umask" not in source.read_text(encoding="utf-8"), source


@pytest.mark.parametrize("has_links", [True, False])
def test_what_stands_there_is_replaced_where_that_is_asked_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    if not has_links:
        monkeypatch.setattr(os, "link", no_link)
    path = tmp_path / "file"
    for number, replace in enumerate((False, False, True)):
        descriptor, made = beside.make_beside(str(path))
        os.write(descriptor, str(number).encode())
        os.close(descriptor)
        if number == 1:
            with pytest.raises(FileExistsError):
                beside.put_beside(made, str(path), replace=replace)
            os.unlink(made)
        else:
            beside.put_beside(made, str(path), replace=replace)
        assert path.read_text() == ("2" if number == 2 else "0")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
