"""What is said, once an answer, of files that this server cannot look at: outside the roots, or in an archive. That is no damage,
and a flag opens it, or a restore."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry
from quilt_mcp.errors import ObjectArchived, OutsideRoots, QuiltError
from quilt_mcp.storage.local.widening import may_be_opened
from quilt_mcp.storage.store import Place
from quilt_mcp.storage.workers import collect

_LOOKED_AT: Final = 100
_FLAGS: Final = 3
_AT_ONCE: Final = 16
_NAMED: Final = 3


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
    flags = " ".join(f"--root {shlex.quote(folder)}" for folder in tops if may_be_opened(Path(folder)))
    step = (
        f": start the server with {flags} to have them read"
        if flags
        else "; package them anew from a folder that it may use"
    )
    return (
        "outside_roots: the package refers to files where they lie on this machine, outside the folders that this server may "
        f"use. They are not damaged{step}.",
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


async def with_others(refusal: ObjectArchived, places: Iterable[Place]) -> ObjectArchived:
    """The refusal of the first that was met, and which of the first hundred places are archived too: a request for each."""

    async def look(place: Place) -> str | None:
        if place.store.archive is None:
            return None
        with suppress(QuiltError):
            _, archive = await place.store.archive.stat(place.key, version=place.version)
            if archive is not None and not archive.is_readable:
                return str(place.store.physical_key(place.key, place.version))
        return None

    looked_at = list(islice(places, _LOOKED_AT + 1))
    cut = len(looked_at) > _LOOKED_AT
    first = str(refusal.details.get("uri"))
    found = await collect(looked_at[:_LOOKED_AT], _AT_ONCE, look)
    others = [one for one in dict.fromkeys(found) if one is not None and one != first]
    if not others:
        return refusal
    named = ", ".join([first, *others][:_NAMED])
    more = len(others) + 1 - _NAMED
    return ObjectArchived(
        f"{len(others) + 1} objects are in the archive, and their bytes cannot be read before they are restored: {named}"
        f"{f' and {more} more' if more > 0 else ''}{'; further ones were not looked at' if cut else ''}.",
        next_step="Call object_restore for each of details.uris: it takes minutes to two days and is charged for. Make this call "
        "when object_read with mode='info' tells state restored of each.",
        details={**refusal.details, "uris": [first, *others]},
    )
