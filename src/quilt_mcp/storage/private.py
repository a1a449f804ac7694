"""PrivateFolder: a folder that this account alone writes to, for what is trusted without being checked again."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from quilt_mcp.errors import StorageUnavailable

OURS = ".quilt-mcp"
"""Names of what holds secrets or is trusted unseen end so; no tool opens it (``storage.local.credentials``)."""
UNFINISHED = "unfinished-"
"""Names of files in the making begin so; in the folder ``SCRATCH`` all are."""
SCRATCH = "scratch"
_ABANDONED_SECONDS = 24 * 3600.0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
logger = logging.getLogger("quilt_mcp")


class PrivateFolder:
    """``wanted``, made when it is first asked for; while it cannot serve, a temporary folder that goes with this object, which
    is told once in the log. Safe between processes."""

    def __init__(self, wanted: Path) -> None:
        self.wanted = wanted
        self._instead: Path | None = None
        self._is_swept = False
        self._making = threading.Lock()

    def path(self) -> Path:
        """Looked at anew each time; the first time, what killed processes left in it is removed. Blocks for some system calls.
        Raises StorageUnavailable where there is no temporary folder either."""
        try:
            self.wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
            problem = folder_problem(self.wanted)
        except OSError as error:
            problem = error.strerror or str(error)
        if problem is None:
            if not self._is_swept:
                self._is_swept = True
                _sweep(self.wanted)
            return self.wanted
        with self._making:
            return self._instead or self._make_instead(problem)

    def _make_instead(self, problem: str) -> Path:
        try:
            self._instead = Path(tempfile.mkdtemp(prefix="cache-", suffix=OURS))
        except OSError as error:
            raise StorageUnavailable(
                f"The cache folder {self.wanted} cannot be used ({problem}), nor the system's folder for temporary files "
                f"({error.strerror}).",
                next_step="Name a folder that can be written with --cache-dir or QUILT_MCP_CACHE_DIR.",
            ) from error
        weakref.finalize(self, shutil.rmtree, self._instead, ignore_errors=True)
        logger.warning(
            "The cache folder %s is not used: %s. A temporary one serves; name another with --cache-dir or "
            "QUILT_MCP_CACHE_DIR.",
            self.wanted,
            problem,
        )
        return self._instead


def hold(file: IO[bytes]) -> None:
    """Marks an unfinished file as a living process's, until it is closed. Where files cannot be locked, its age protects it."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep(folder: Path) -> None:
    """Removes the unfinished files that nobody has written to for a day and no process holds, and unfinished folders as old."""
    long_ago = time.time() - _ABANDONED_SECONDS
    for path in (*folder.glob(f"{UNFINISHED}*"), *(folder / SCRATCH).glob("*")):
        with suppress(OSError):  # another process may be at it, too
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_mtime < long_ago and path.name.startswith(UNFINISHED):
                shutil.rmtree(path, ignore_errors=True)
            if stat.S_ISREG(found.st_mode) and found.st_mtime < long_ago:
                with path.open("r+b") as file:
                    if not is_held(file):
                        path.unlink()


def is_held(file: IO[bytes]) -> bool:
    """Whether another process holds it. Where none does, this one does from now on, until it is closed."""
    try:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False


def folder_problem(folder: Path) -> str | None:
    """Why a folder cannot serve. Its owner and mode are held to what ssh asks of its own. Raises OSError."""
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if not _is_own(found):
        return f"it belongs to another account, or others may write to it (chmod go-w {folder})"
    return None if os.access(folder, os.W_OK | os.X_OK) else "this account may not write to it"


def is_own_file(descriptor: int) -> bool:
    """Whether nobody but this account (or root) can have written an open file."""
    return _is_own(os.fstat(descriptor))


def _is_own(found: os.stat_result) -> bool:
    if os.name != "posix":
        return True
    return found.st_uid in {0, os.geteuid()} and not found.st_mode & _OTHERS_WRITE
