"""Catalog: the catalog of one registry, opened: what it holds, and what is asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from quilt_mcp.errors import InvalidArgument
from quilt_mcp.search.engine import Connection, DamagedPart, Engine
from quilt_mcp.search.folder import CatalogFolder
from quilt_mcp.search.learned import Learned
from quilt_mcp.search.ranking import Texts
from quilt_mcp.search.state import State
from quilt_mcp.search.view import View
from quilt_mcp.storage.locks import Locks
from quilt_mcp.storage.seen_files import SeenFiles

T = TypeVar("T")


class Catalog:
    """Safe between tasks of one event loop and between processes. ``registry.reading.cataloguing`` brings it up to date."""

    def __init__(self, folder: CatalogFolder, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self.url = folder.url
        self.texts = Texts(folder.path)
        self.learned = Learned(folder.path)
        self.seen = SeenFiles()
        self.building = Locks[str]().held
        self.doubts = 0
        self.is_swept = False
        """Whether what killed processes left was looked for by this one."""
        self.looked_at = 0.0
        """When it was brought up to date, by the clock that only rises; 0: it is to be looked at again."""
        self.tried_unread = 0.0
        """When packages that could not be read were tried again."""
        self._digest: tuple[State, str] | None = None
        self._state: tuple[tuple[int, ...], State] | None = None

    def doubt(self) -> None:
        """Something was written to the registry: the next search looks at it again."""
        self.looked_at = 0.0
        self.doubts += 1

    def note_looked(self, begun: float, doubts: int) -> None:
        """It is as the registry was at the moment ``begun``, unless there were more ``doubts`` since."""
        self.is_swept = True
        if doubts == self.doubts:
            self.looked_at = begun

    def age(self) -> float:
        return time.monotonic() - self.looked_at if self.looked_at else float("inf")

    def since_unread(self) -> float:
        return time.monotonic() - self.tried_unread if self.tried_unread else float("inf")

    def state(self) -> State:
        """Blocks. What holds now, whoever built it; parts that are damaged are left out, so that they are built anew."""
        mark = self.folder.mark()
        if self._state is None or self._state[0] != mark:
            self._state = (mark, self.folder.load())
            if not self._state[1].as_of:
                self.doubt()
        return self._undamaged(self._state[1])

    def digest_of(self, state: State) -> str:
        """Blocks the first time that it is asked for a state."""
        if self._digest is None or self._digest[0] is not state:
            self._digest = (state, state.digest)
        return self._digest[1]

    def keep(self, state: State) -> None:
        """Blocks."""
        self.folder.save(state)
        self.folder.weigh(state)
        self._state = (self.folder.mark(), state)

    async def ask(self, state: State, work: Callable[[Connection, View], T]) -> T:
        """Raises as ``Engine.run``; DamagedPart where a table is not as it was written: the next search finds out
        which one, and builds it anew."""
        view = View(self.folder.path(), state)
        self.folder.touch()
        try:
            return await self.engine.run(lambda connection: work(connection, view))
        except DamagedPart:
            self.folder.doubt()
            self._state = None
            self.doubt()
            raise

    async def pinned(self, digest: str) -> State:
        """Raises InvalidArgument where it is gone."""
        state = await to_thread.run_sync(self.state)
        if await to_thread.run_sync(self.digest_of, state) == digest:
            return state
        found = await to_thread.run_sync(self.folder.pinned, digest)
        if found is None or await to_thread.run_sync(self.folder.damaged, found.parts):
            raise expired(self.url)
        return found

    def _undamaged(self, state: State) -> State:
        damaged = self.folder.damaged(state.parts)
        if not damaged:
            return state
        self.doubt()
        return State(
            state.url,
            state.as_of,
            state.next_number,
            tuple(part for part in state.parts if part.id not in damaged),
            {name: one for name, one in state.packages.items() if one.part not in damaged},
            state.unread,
            state.waiting,
            state.notices,
        )


def expired(url: str) -> InvalidArgument:
    return InvalidArgument(
        f"What this cursor pages through is gone: {url} changed several times since, or the cache was cleared.",
        next_step="Make the same call again without cursor.",
        details={"reason": "cursor_expired", "registry": url},
    )
