"""The folder of a child: a new one, which goes with it. Where its owner was killed, whoever comes next removes it.

Its name says whose it is: the process, when that was started, and the space in which its number counts. Who shares a folder for
temporary files with another container sees processes of other numbers, and leaves that one's folders alone.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from quilt_mcp.errors import StorageUnavailable

PREFIX: Final = "quilt-mcp-"
_NAME: Final = re.compile(rf"{PREFIX}([0-9]+)\.([0-9]+)\.([0-9]+)-\w+")
_swept: Final = set[str]()
"""Folders for temporary files that this process has looked through."""


def make_folder() -> str:
    """Blocks. The first time, those of killed processes go. Raises StorageUnavailable."""
    own = os.getpid()
    try:
        place = tempfile.gettempdir()
        if place not in _swept:
            _swept.add(place)
            with suppress(OSError):
                sweep(place)
        return tempfile.mkdtemp(prefix=f"{PREFIX}{own}.{_started(own)}.{_space()}-", dir=place)
    except OSError as error:
        raise StorageUnavailable(
            "The server has no folder for temporary files that it can write to.",
            next_step="Free space on its disk (df -h shows how much), or start it with TMPDIR naming another folder.",
        ) from error


@contextmanager
def own_folder() -> Generator[str]:
    """For the length of the block. Raises as ``make_folder``."""
    folder = make_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(place: str) -> None:
    """Removes what processes of this account left that live no more. Nothing that a link leads to. Raises OSError."""
    with os.scandir(place) as found:
        for one in found:
            name = _NAME.fullmatch(one.name)
            if name is None or name[3] != _space():
                continue
            with suppress(OSError):  # another process may be at it, too
                is_own = one.stat(follow_symlinks=False).st_uid == os.geteuid()
                if is_own and one.is_dir(follow_symlinks=False) and _started(int(name[1])) != name[2]:
                    shutil.rmtree(one.path, ignore_errors=True)


def _started(number: int) -> str | None:
    """When a process was started, as the system counts; None for one that lives no more. A number is given anew."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{number}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in b"ZX" else fields[19].decode()
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "0"


def _space() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"
