"""What the child gives up before it sees a byte: memory, time, files, new rights. What a system does not have is skipped."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

MEMORY = 2 << 30
"""Of addresses: DuckDB and Pillow take a gigabyte for the largest of what they are given."""
CPU_SECONDS = 60
_NO_NEW_PRIVILEGES = 38


def lock_down() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_AS, MEMORY),  # macOS takes it and does not keep it
    ):
        _, ceiling = resource.getrlimit(what)
        limit = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
