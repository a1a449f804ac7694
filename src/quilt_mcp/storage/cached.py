"""CacheBound: one bound for all that the cache folder keeps.

    v3-<name>.index, v3-<name>.lines   of a manifest: what was found out about it, and a copy of its lines
    search/v1-<id>/                    the catalog of a registry, with its lock
    content/v1-<id>                    a file's bytes, by their recorded hash (``storage.content``)

What was used longest ago goes first, of whichever kind: a manifest's last use is the time of its index, a catalog's that of its
lock, a content's its own time. Files in the making are at work, and are not weighed.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.storage.private import UNFINISHED, PrivateFolder, is_held

Kind = Literal["manifest", "catalog", "content"]
CATALOGS: Final = "search"
"""The folder of all catalogs in the cache."""
CONTENT: Final = "content"
"""The folder of all contents in the cache."""
CONTENT_FORMAT: Final = 1
CATALOG_FORMAT: Final = 1
"""Of a catalog's files; those of an older one go."""
LOCK: Final = "lock"
SHARE: Final = 64
"""The folder is weighed again when a 64th part of the bound was saved since."""
WEIGHED_SECONDS: Final = 60.0
"""Or at the first save so long after: other processes save, too."""
_MANIFEST: Final = re.compile(r"v([0-9]+)-[0-9a-f]{40}(?=[.-])")
_CATALOG: Final = re.compile(r"(?:v([0-9]+)-)?[0-9a-f]{32}")
_CONTENT: Final = re.compile(r"v([0-9]+)-[0-9a-f]{40}")
_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """What goes as a whole. ``path``: of a catalog its folder, of a manifest that of its files without their endings. ``used``:
    when it was used last, in seconds since 1970."""

    kind: Kind
    path: Path
    version: int
    bytes: int
    used: float


def kept(folder: Path) -> list[Kept]:
    """All that a cache folder keeps. Blocks for a system call a file. Raises OSError where the folder cannot be listed; one that
    is not there keeps nothing."""
    manifests: dict[tuple[str, str], dict[str, os.stat_result]] = {}
    for name, stat in _files(folder):
        if own := _MANIFEST.match(name):
            manifests.setdefault((own[0], own[1]), {})[name] = stat
    found = [
        _kept("manifest", folder / name, version, files, f"{name}.index")
        for (name, version), files in manifests.items()
    ]
    for path in _folders(folder / CATALOGS):
        if own := _CATALOG.fullmatch(path.name):
            found.append(_kept("catalog", path, own[1] or "0", dict(_files(path)), LOCK))
    for name, stat in _files(folder / CONTENT):
        if own := _CONTENT.fullmatch(name):
            found.append(Kept("content", folder / CONTENT / name, int(own[1]), stat.st_size, stat.st_mtime))
    return found


def remove(one: Kept) -> bool:
    """Whether it is gone; a catalog that is being built stays. Whoever has its files open reads on, and finds no others. Atomic
    for a catalog. Raises OSError."""
    if one.kind == "content":
        one.path.unlink(missing_ok=True)
        return True
    if one.kind == "manifest":
        for path in sorted(one.path.parent.glob(f"{one.path.name}[.-]*")):  # the index first
            path.unlink(missing_ok=True)
        return True
    with alone(lambda: one.path) as is_alone:
        if not is_alone:
            return not one.path.exists()
        gone = tempfile.mkdtemp(prefix=UNFINISHED, dir=one.path.parent)
        os.rename(one.path, gone)
    shutil.rmtree(gone, ignore_errors=True)
    return True


@contextmanager
def alone(folder: Callable[[], Path]) -> Generator[bool]:
    """Whether this process alone may change a catalog's folder or remove it, for the length of the block. ``folder`` is asked
    again where another process removed it just before it was locked. Raises OSError where it cannot be written."""
    for _ in range(_ATTEMPTS):
        path = folder() / LOCK
        try:
            file = path.open("ab")
        except FileNotFoundError:
            continue
        with file:
            if is_held(file):
                break
            if _is_there(file, path):
                yield True
                return
    yield False


class CacheBound:
    """Of one cache folder. Safe between threads and between processes."""

    def __init__(self, private: PrivateFolder, max_bytes: int, versions: Mapping[Kind, int]) -> None:
        """``versions``: of the formats that this program writes; older ones go."""
        self.private = private
        self.max_bytes = max_bytes
        self._versions = versions
        self._unweighed = 0
        self._weighed_at = -math.inf
        self._weighing = threading.Lock()

    def saved(self, path: Path, size: int) -> None:
        """Blocks. To be called when ``size`` bytes were saved at ``path`` (see ``Kept``), which stays. The bound holds for one
        process; several exceed it by a 64th part each, for a minute at most. What is used now stays whatever it weighs: what
        was saved, and the last that was used of each kind. Never fails: what cannot go now goes later."""
        self._unweighed += size
        is_recent = time.monotonic() - self._weighed_at < WEIGHED_SECONDS
        if is_recent and self._unweighed < self.max_bytes // SHARE:
            return
        with self._weighing:
            self._unweighed, self._weighed_at = 0, time.monotonic()
            with suppress(OSError, StorageUnavailable):  # another process may be at it, too
                self._weigh(path)

    def _weigh(self, saved: Path) -> None:
        folder = self.private.path()
        for path in _folders(folder / CATALOGS):
            if path.name.startswith(UNFINISHED):  # whoever removed it was killed
                shutil.rmtree(path, ignore_errors=True)
        found = sorted(kept(folder), key=lambda one: one.used)
        found = [
            one for one in found if one.version >= self._versions.get(one.kind, 0) or not _try_remove(one)
        ]
        spared = {saved, *{one.kind: one.path for one in found}.values()}
        excess = sum(one.bytes for one in found) - (self.max_bytes - self.max_bytes // SHARE)
        for one in found:
            if excess > 0 and one.path not in spared and _try_remove(one):
                excess -= one.bytes


def _is_there(file: IO[bytes], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _try_remove(one: Kept) -> bool:
    with suppress(OSError):
        return remove(one)
    return False


def _kept(kind: Kind, path: Path, version: str, files: Mapping[str, os.stat_result], mark: str) -> Kept:
    """``mark``: the file whose time is that of the last use; where it is gone, the newest's is."""
    marked = [files[mark]] if mark in files else files.values()
    used = max((one.st_mtime for one in marked), default=0.0)
    return Kept(kind, path, int(version), sum(one.st_size for one in files.values()), used)


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.stat(follow_symlinks=False)


def _folders(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []
