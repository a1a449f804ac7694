"""What an installation leaves behind: files of other revisions that stand in the folder, and that this revision does not have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import anyio
import anyio.from_thread

from quilt_mcp.domain.diff import EntryChange
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import QuiltError
from quilt_mcp.registry.layout import TIMESTAMP
from quilt_mcp.registry.manifests.cache import Enough
from quilt_mcp.registry.manifests.diff import ManifestDiff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.registry import Registry

REVISIONS: Final = 10
"""Revisions of the log that are looked at, the nearest ones."""
BYTES: Final = 64 << 20
"""Of manifests that are read for it."""
PATHS: Final = 10_000
"""Files that are looked for in the folder."""
_SHOWN: Final = 5
_PAGE: Final = 5000


async def left_behind(
    registry: Registry, name: str, manifest: Manifest, path: str, stands: Callable[[str], bool]
) -> tuple[str, ...]:
    """The warning of files at or below ``path`` that ``manifest`` does not have, that revisions next to it in the log of package
    ``name`` have, and of which ``stands`` says that they are in the folder.

    Nothing records what was installed into a folder, so this is what can be known at little cost: within the bounds above, and
    what cannot be read is passed over. A file of another origin that has such a name is told too.
    """
    found: set[str] = set()
    room, paths = BYTES, PATHS

    def admit(size: int) -> None:
        nonlocal room
        room -= size
        if room < 0:
            raise Enough

    with suppress(QuiltError, Enough):
        for top_hash in await _nearest(registry, name, manifest.top_hash):
            with suppress(QuiltError):
                other = await registry.manifests.open(registry.store, top_hash, admit)
                difference = await registry.manifests.diff(other, manifest, path)
                paths -= difference.totals.removed + difference.totals.renamed
                if paths < 0:
                    break
                found |= await anyio.to_thread.run_sync(_standing, difference, stands)
    if not found:
        return ()
    first = sorted(found)[:_SHOWN]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"left_behind: {counted(len(found), 'file')} of other revisions, not of this one, in the folder, left as found: "
        f"{', '.join(first)}{more}.",
    )


async def _nearest(registry: Registry, name: str, top_hash: str) -> list[str]:
    """The hashes of the revisions next to one in the log, the nearest first."""
    stamp = await registry.pointers.stamp_of(name, top_hash)
    tags = [tag for tag in await registry.pointers.tags(name) if TIMESTAMP.fullmatch(tag)]
    at = tags.index(stamp) if stamp in tags else 0
    near = [tags[place] for place in sorted(range(len(tags)), key=lambda place: abs(place - at))][
        : REVISIONS + 1
    ]
    pointers = await registry.pointers.read_many(name, near)
    found = (pointer.top_hash for pointer in pointers if pointer is not None and pointer.top_hash)
    return [one for one in dict.fromkeys(found) if one != top_hash]


def _standing(difference: ManifestDiff, stands: Callable[[str], bool]) -> set[str]:
    """Blocks."""
    found: set[str] = set()
    for offset in range(0, difference.count, _PAGE):
        for change in difference.page(offset, _PAGE):
            anyio.from_thread.check_cancelled()
            key = _gone(change)
            if key is not None and stands(key):
                found.add(key)
    return found


def _gone(change: EntryChange) -> str | None:
    return change.old_path if change.kind == "renamed" else change.path if change.kind == "removed" else None
