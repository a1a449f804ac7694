"""What is said, once an answer, of files that lie where this server may not look: that is no damage, and a flag opens it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry
from quilt_mcp.errors import OutsideRoots, QuiltError

_LOOKED_AT: Final = 100
_FLAGS: Final = 3


def outside_roots(physical_keys: Iterable[str]) -> tuple[str, ...]:
    """The warning, with a ``--root`` for the folders that hold the files; none where there are none."""
    parents = {os.path.dirname(PhysicalKey.parse(key).path) for key in physical_keys}
    if not parents:
        return ()
    tops = [
        one
        for one in sorted(parents)
        if not any(one.startswith(f"{other.rstrip('/')}/") for other in parents)
    ]
    if len(tops) > _FLAGS:
        tops = [os.path.commonpath(tops)]
    flags = " ".join(f"--root {shlex.quote(folder)}" for folder in tops)
    return (
        "outside_roots: the package refers to files where they lie on this machine, outside the folders that this server may "
        f"use. They are not damaged: start the server with {flags} to have them read.",
    )


def first_outside_roots(locate: Callable[[PhysicalKey], object], entries: Iterable[Entry]) -> tuple[str, ...]:
    """The warning for what the first of some entries name. Blocks; asks about each folder once."""
    found: dict[str, str] = {}
    """By folder, a file in it."""
    for entry in islice(entries, _LOOKED_AT):
        if entry.physical_key.startswith("file:"):
            found.setdefault(entry.physical_key.rpartition("/")[0], entry.physical_key)
    return outside_roots(key for key in found.values() if _is_outside(locate, key))


def _is_outside(locate: Callable[[PhysicalKey], object], key: str) -> bool:
    try:
        locate(PhysicalKey.parse(key))
    except QuiltError as error:
        return isinstance(error, OutsideRoots)
    return False
