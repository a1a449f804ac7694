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
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from quilt_mcp.search.parts import sha256, table_path, typed
from quilt_mcp.search.state import FORMAT, Part, State, sized
from quilt_mcp.storage.cached import CATALOGS, LOCK, CacheBound, alone
from quilt_mcp.storage.private import SCRATCH, UNFINISHED, PrivateFolder, is_own_file

ROOT: Final = CATALOGS
"""The folder of all catalogs in the cache."""
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
        self._proven: set[str] = set()
        """Tables that were found to be what they are named by."""

    def path(self) -> Path:
        found = self._private.path() / ROOT / self._id
        with typed(found):
            found.mkdir(parents=True, exist_ok=True, mode=0o700)
        return found

    def scratch(self) -> Path:
        return self._private.path() / SCRATCH / f"{UNFINISHED}{self._id}-{os.getpid()}"

    # -- the state --

    def mark(self) -> tuple[int, ...]:
        """Changes whenever the state does."""
        try:
            found = (self.path() / "catalog.json").stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def load(self) -> State:
        """The state that holds now; an empty one where there is none."""
        state = self._read("catalog.json")
        return State(self.url) if state is None or state.url != self.url else state

    def pinned(self, digest: str) -> State | None:
        """One that held a little while ago."""
        if not digest.isalnum():
            return None
        return self._read(f"state-{digest}.json")

    def save(self, state: State) -> None:
        folder = self.path()
        body, pinned = state.dump(), folder / f"state-{state.digest}.json"
        for path in (pinned, folder / "catalog.json"):
            with (
                typed(folder),
                tempfile.NamedTemporaryFile(prefix=UNFINISHED, dir=folder, delete=False) as file,
            ):
                try:
                    file.write(body)
                    file.close()
                    os.replace(file.name, path)
                finally:
                    Path(file.name).unlink(missing_ok=True)
        with suppress(OSError):  # another process may be at it, too
            self._clean(folder)

    def _read(self, name: str) -> State | None:
        try:
            with (self.path() / name).open("rb") as file:
                if not is_own_file(file.fileno()):
                    return None
                return State.load(file.read())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _clean(self, folder: Path) -> None:
        """Removes states that are too old to be paged through, and the tables that no state has."""
        states = sorted(folder.glob("state-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        needed: set[str] = set()
        for path in states[:_KEPT_STATES]:
            state = self._read(path.name)
            needed |= {digest for part in (state.parts if state else ()) for digest in part.sha256.values()}
        for path in states[_KEPT_STATES:]:
            path.unlink(missing_ok=True)
        for path in folder.glob("*.parquet"):
            if path.stem.rpartition("-")[2] not in needed:
                path.unlink(missing_ok=True)

    # -- tables --

    def damaged(self, parts: Iterable[Part]) -> set[str]:
        """The ids of those of which a table is gone, or is not what it is named by. Each table is read once in a process."""
        folder, found = self.path(), set[str]()
        for part in parts:
            for kind, digest in part.sha256.items():
                if digest in self._proven and table_path(folder, kind, digest).exists():
                    continue
                with suppress(OSError):
                    if sha256(table_path(folder, kind, digest)) == digest:
                        self._proven.add(digest)
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
            for left in self.scratch().parent.glob(f"{UNFINISHED}{self._id}-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield True
