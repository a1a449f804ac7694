"""Kept: results of queries, to be paged through. Each is a file that has no name any more: it goes with this process, and nobody
else can open it.
"""

from __future__ import annotations

import os
import secrets
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quilt_mcp.domain.sql import SqlColumn

MOST: Final = 16
MOST_BYTES: Final = 512 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """``marks``: what the cursors of its query have in common."""

    descriptor: int
    size: int
    columns: tuple[SqlColumn, ...]
    marks: tuple[str | bool, ...]
    warnings: tuple[str, ...]


class KeptResults:
    """Of one user's backend. Those that were paged through longest ago go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._closing = weakref.finalize(self, _close_all, self._kept)

    def add(
        self,
        path: Path,
        columns: tuple[SqlColumn, ...],
        marks: tuple[str | bool, ...],
        warnings: tuple[str, ...],
    ) -> str:
        """Its name in cursors. The file itself may go."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        name = secrets.token_urlsafe(9)
        self._kept[name] = Kept(descriptor, os.fstat(descriptor).st_size, columns, marks, warnings)
        while len(self._kept) > 1 and (
            len(self._kept) > MOST or sum(one.size for one in self._kept.values()) > MOST_BYTES
        ):
            _, gone = self._kept.popitem(last=False)
            os.close(gone.descriptor)
        return name

    def find(self, name: str) -> Kept | None:
        if name in self._kept:
            self._kept.move_to_end(name)
        return self._kept.get(name)


def _close_all(kept: OrderedDict[str, Kept]) -> None:
    for one in kept.values():
        os.close(one.descriptor)
    kept.clear()
