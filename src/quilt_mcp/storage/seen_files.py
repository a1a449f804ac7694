"""Small files that were read before, told by what the system says of them now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from quilt_mcp.storage.store import LocalFiles

UNSURE_SECONDS: Final = 2.0
"""A file that changed this short a time before it was read may change again with the same times: clocks of file systems are
as coarse as that. It is read again."""
MOST: Final = 100_000
"""Files that are remembered, some 400 bytes each."""

Stamp = tuple[int, int, int, int, int]
"""Device, number, size, and when its bytes and when anything of it changed."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """The beginning of a file, and when it changed, in seconds since 1970."""

    body: bytes
    modified: float


class SeenFiles:
    """Safe between threads: at worst a file is read once more."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[Stamp, SeenFile]] = {}

    def read(self, files: LocalFiles, key: str, most: int) -> SeenFile:
        """The first ``most`` bytes of a file, which is opened only where it is not the one of before. Blocks. Raises as
        ``open_file``, and OSError."""
        known = self._seen.get(key)
        if known is not None and stamp_of(files.stat_file(key)) == known[0]:
            return known[1]
        descriptor = files.open_file(key)
        try:
            about = os.fstat(descriptor)
            found = SeenFile(os.read(descriptor, most), about.st_mtime)
        finally:
            os.close(descriptor)
        self._seen.pop(key, None)
        if tells_all(about, self._clock()) and len(self._seen) < MOST:
            self._seen[key] = (stamp_of(about), found)
        return found


def tells_all(about: os.stat_result, now: float) -> bool:
    """Whether a file whose bytes are read ``now``, in seconds since 1970, has another stamp when they change."""
    return max(about.st_mtime, about.st_ctime) < now - UNSURE_SECONDS


def stamp_of(about: os.stat_result) -> Stamp:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
