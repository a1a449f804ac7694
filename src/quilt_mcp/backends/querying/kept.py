"""Kept: results of queries, to be paged through. Each is a file that has no name any more: it goes with this process, and nobody
else can open it.
"""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from quilt_mcp.domain.sql import SqlColumn

MOST: Final = 64
MOST_BYTES: Final = 512 << 20
"""Of all users of this process together."""


@dataclass(frozen=True, slots=True)
class Kept:
    """``warnings`` are of all its pages."""

    descriptor: int
    size: int
    columns: tuple[SqlColumn, ...]
    warnings: tuple[str, ...]


class KeptResults:
    """Of one user's backend, which finds its own alone. Those that were paged through longest ago go first, whosever they are."""

    def __init__(self) -> None:
        self._own: set[str] = set()
        self._closing = weakref.finalize(self, _forget, self._own)

    def add(self, descriptor: int, columns: tuple[SqlColumn, ...], warnings: tuple[str, ...]) -> str:
        """Its name in cursors. ``descriptor`` becomes this object's; the file itself may go."""
        name = secrets.token_urlsafe(9)
        with _TURN:
            _ALL[name] = Kept(descriptor, os.fstat(descriptor).st_size, columns, warnings)
            while len(_ALL) > 1 and (
                len(_ALL) > MOST or sum(one.size for one in [*_ALL.values()]) > MOST_BYTES
            ):
                _, gone = _ALL.popitem(last=False)
                os.close(gone.descriptor)
            self._own.intersection_update(_ALL)
            self._own.add(name)
        return name

    def open(self, name: str) -> Kept | None:
        """With a descriptor that is the caller's, to be closed: another call may push the result out meanwhile."""
        with _TURN:
            found = _ALL.get(name) if name in self._own else None
            if found is None:
                return None
            _ALL.move_to_end(name)
            return replace(found, descriptor=os.dup(found.descriptor))


_ALL: Final = OrderedDict[str, Kept]()
_TURN: Final = threading.RLock()
"""A backend that goes takes its results along, whatever this thread is at."""


def _forget(own: set[str]) -> None:
    with _TURN:
        for name in own:
            if (gone := _ALL.pop(name, None)) is not None:
                os.close(gone.descriptor)
