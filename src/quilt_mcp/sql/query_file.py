"""QueryFile: a file of a query, as the parent has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from quilt_mcp.storage.seen_files import Stamp

Fetch = Callable[[int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A descriptor opened for reading, which stays the caller's, or ranges by ``fetch`` (offset and length inside the file, all
    of one version). ``name`` has the ending by which it is unpacked.

    ``stamp``: of a file that others may write to, as it was before anybody looked at its bytes. ``shown``: what its user calls
    it.
    """

    name: str
    size: int
    descriptor: int | None = None
    fetch: Fetch | None = None
    stamp: Stamp | None = None
    shown: str = ""
