"""Everything that a child gives up, in one call.

What a system does not have is skipped: the parent's clock and the bounds of the readers hold everywhere. Told is what holds.
A child imports this before it is of use, so that little is imported here (no dataclasses).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final, NamedTuple

from quilt_mcp.lockdown.landlock import close_files
from quilt_mcp.lockdown.seccomp import give_up_new_rights, refuse_network_and_processes

MEMORY: Final = 2 << 30
"""Of addresses: DuckDB and Pillow take a gigabyte for the largest of what they are given."""


class Bounds(NamedTuple):
    """``cpu_seconds`` of all threads together; ``file``: bytes of the longest file that it writes, None for no bound, as a copy
    with holes is as long as the file."""

    memory: int = MEMORY
    cpu_seconds: int = 60
    files: int = 64
    file: int | None = None


class Held(NamedTuple):
    """Which layers hold."""

    limits: bool = False
    landlock: bool = False
    seccomp: bool = False

    def told(self) -> dict[str, bool]:
        return self._asdict()


_USUAL: Final = Bounds()


def lock_down(bounds: Bounds = _USUAL, *, kernel: bool = True) -> Held:
    """The working folder stays open for all. ``kernel`` False: without files, network and processes refused, as on a system that
    cannot."""
    try:
        import resource
    except ImportError:  # Windows
        return Held()
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, bounds.cpu_seconds),
        (resource.RLIMIT_NOFILE, bounds.files),
        (resource.RLIMIT_AS, bounds.memory),  # macOS takes it and does not keep it
        (resource.RLIMIT_FSIZE, bounds.file),
    ):
        if most is None:
            continue
        _, ceiling = resource.getrlimit(what)
        limit = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (limit, limit))
    if sys.platform != "linux" or not kernel:
        return Held(limits=True)
    give_up_new_rights()
    return Held(True, close_files(os.getcwd()), refuse_network_and_processes())
