"""CatalogFolder: where the catalog of one registry is on disk.

    catalog.json            the state that holds now, replaced by rename
    state-<digest>.json     this one and a few before it, for those who page through them
    <kind>-<sha>.parquet    tables, never changed
    text.db                 what the ranking is made of
    lock                    held by who builds; its time is that of the last use

All of it may be deleted at any time; any number of processes may use it. What is damaged, or of another version, is made anew.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from quilt_mcp.search.parts import put, remove, sha256, table_path, typed
from quilt_mcp.search.state import FORMAT, Part, State, sized
from quilt_mcp.storage.cached import CATALOGS, LOCK, CacheBound, alone
from quilt_mcp.storage.private import SCRATCH, UNFINISHED, PrivateFolder, is_own_file

ROOT: Final = CATALOGS
"""The folder of all catalogs in the cache."""
_CURRENT: Final = "catalog.json"
_KEPT_STATES: Final = 5
_TOUCHED_SECONDS: Final = 60.0


class CatalogFolder:
    """Methods block. They raise StorageFull and StorageUnavailable."""

    def __init__(
        self, private: PrivateFolder, url: str, owner: str = "", bound: CacheBound | None = None
    ) -> None:
        """``owner``: whose rights it was read with, where several users' catalogs are kept apart. ``bound``: of the folder that
        it shares with all else that is kept."""
        self._private = private
        self._bound = bound
        self._weighed = 0
        """Bytes of tables that the bound was told of."""
        self._touched_at = -math.inf
        self.url = url
        self._id = f"v{FORMAT}-" + hashlib.sha256(f"{owner}\0{url}".encode()).hexdigest()[:32]
        self._proven: dict[str, tuple[int, ...]] = {}
        """Tables that were found to be what they are named by, and how their files stood then."""

    def path(self) -> Path:
        found = self._private.path() / ROOT / self._id
        with typed(found):
            found.mkdir(parents=True, exist_ok=True, mode=0o700)
        return found

    def exists(self) -> bool:
        """Whether there is a catalog. Makes no folder."""
        return (self._private.wanted / ROOT / self._id / _CURRENT).exists()

    def scratch(self) -> Path:
        """Another one each time: a thread that was left behind may still be at work in the last."""
        return self._private.path() / SCRATCH / f"{UNFINISHED}{self._id}-{secrets.token_hex(8)}"

    # -- the state --

    def mark(self) -> tuple[int, ...]:
        """Changes whenever the state does."""
        return _mark(self.path() / _CURRENT) or ()

    def load(self) -> State:
        """The state that holds now; an empty one where there is none."""
        state = self._read(_CURRENT)
        return State(self.url) if state is None or state.url != self.url else state

    def pinned(self, digest: str) -> State | None:
        """One that held a little while ago."""
        if not digest.isalnum():
            return None
        return self._read(f"state-{digest}.json")

    def save(self, state: State) -> None:
        folder = self.path()
        body, pinned = state.dump(), folder / f"state-{state.digest}.json"
        for path in (pinned, folder / _CURRENT):
            with (
                typed(folder),
                tempfile.NamedTemporaryFile(prefix=UNFINISHED, dir=folder, delete=False) as file,
            ):
                try:
                    file.write(body)
                    file.close()
                    put(Path(file.name), path)
                finally:
                    Path(file.name).unlink(missing_ok=True)
        with suppress(OSError):  # another process may be at it, too
            self._clean(folder, state)

    def _read(self, name: str) -> State | None:
        try:
            with (self.path() / name).open("rb") as file:
                if not is_own_file(file.fileno()):
                    return None
                return State.load(file.read())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _clean(self, folder: Path, newest: State) -> None:
        """Removes states that are too old to be paged through, and the tables that no state has. A clock may have been set
        back: what holds now stays in any case."""
        states = sorted(folder.glob("state-*.json"), key=lambda path: path.lstat().st_mtime, reverse=True)
        kept = (newest, *(self._read(path.name) for path in states[:_KEPT_STATES]))
        needed = {
            digest for state in kept if state for part in state.parts for digest in part.sha256.values()
        }
        for path in states[_KEPT_STATES:]:
            remove(path)
        for path in folder.glob("*.parquet"):
            if path.stem.rpartition("-")[2] not in needed:
                remove(path)

    # -- tables --

    def damaged(self, parts: Iterable[Part]) -> set[str]:
        """The ids of those of which a table is gone, or is not what it is named by. Each table is read once in a process, and
        again when its file is another or was written to."""
        folder, found = self.path(), set[str]()
        for part in parts:
            for kind, digest in part.sha256.items():
                path = table_path(folder, kind, digest)
                mark = _mark(path)
                if mark is not None and self._proven.get(digest) == mark:
                    continue
                with suppress(OSError):
                    if mark is not None and sha256(path) == digest:
                        self._proven[digest] = mark
                        continue
                found.add(part.id)
        return found

    def doubt(self) -> None:
        """A table could not be read: each is to be proven anew."""
        self._proven.clear()

    # -- what it weighs --

    def touch(self) -> None:
        """It is in use now. Told to other processes once a minute."""
        if time.monotonic() - self._touched_at >= _TOUCHED_SECONDS:
            with suppress(OSError):
                os.utime(self.path() / LOCK)
                self._touched_at = time.monotonic()

    def weigh(self, state: State) -> None:
        """To be called when ``state`` was saved: others make room."""
        self.touch()
        if self._bound is not None:
            size = sized(state.parts)
            self._bound.saved(self.path(), max(size - self._weighed, 0))
            self._weighed = size

    def is_beyond_bound(self, state: State) -> bool:
        """Whether its tables alone weigh more than all of the cache may."""
        return self._bound is not None and sized(state.parts) > self._bound.max_bytes

    def remove(self) -> None:
        shutil.rmtree(self.path(), ignore_errors=True)

    @contextmanager
    def building(self) -> Generator[bool]:
        """Whether this process may build for the length of the block; no other one does meanwhile."""
        with typed(self._private.wanted), alone(self.path) as is_alone:
            if not is_alone:
                yield False
                return
            for left in (self._private.path() / SCRATCH).glob(f"{UNFINISHED}{self._id}-*"):
                shutil.rmtree(left, ignore_errors=True)
            for left in self.path().glob(f"{UNFINISHED}*"):
                left.unlink(missing_ok=True)
            yield True


def _mark(path: Path) -> tuple[int, ...] | None:
    """Changes whenever somebody writes a file or puts another in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
