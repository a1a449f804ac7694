"""Shelf: the manifests and comparisons that are held in memory, by names that tell their store, hash and etag."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

from quilt_mcp.registry.manifests.diff import Difference
from quilt_mcp.registry.manifests.folder import CacheFolder
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.storage.locks import Locks

MEMORY: Final = 32 << 20
"""Bytes of manifests and their indexes that are kept in memory, and of comparisons as many; the last of each stays, even if it
alone has more."""
LARGE: Final = 8
"""Large manifests kept open, each of them a descriptor."""


class Shelf:
    """Safe between tasks of one event loop. It asks for no right: a name is known only to whoever was shown what it tells."""

    def __init__(self) -> None:
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()
        self._differences: OrderedDict[tuple[str, str, str], Difference] = OrderedDict()
        self._folder: CacheFolder | None = None
        self.locked = Locks[str]().held
        """To work on a manifest that is on the shelf: nobody is asked for anything meanwhile."""

    def folder(self, directory: Path, max_bytes: int) -> CacheFolder:
        """One for all who share the shelf."""
        if self._folder is None:
            self._folder = CacheFolder(directory, max_bytes)
        return self._folder

    def manifest(self, name: str) -> Manifest | None:
        known = self._manifests.pop(name, None)
        if known is None or known.lines.changed:
            return None
        self._manifests[name] = known
        return known

    def keep(self, manifest: Manifest) -> None:
        self._manifests[manifest.name] = manifest
        large = [name for name, manifest in self._manifests.items() if not manifest.lines.held]
        for oldest in large[:-LARGE]:
            del self._manifests[oldest]
        self._make_room()

    def difference(self, asked: tuple[str, str, str]) -> Difference | None:
        """Of two manifests, by their names, at or below a path."""
        found = self._differences.get(asked)
        if found is not None:
            self._differences.move_to_end(asked)
        return found

    def keep_difference(self, asked: tuple[str, str, str], found: Difference) -> None:
        self._differences[asked] = found
        self._make_room()

    def _make_room(self) -> None:
        """Lets go of what was used longest ago, but never of the last of a kind: it is in use."""
        for kept in (self._differences, self._manifests):
            held = sum(item.held for item in kept.values())
            while held > MEMORY and len(kept) > 1:
                held -= kept.popitem(last=False)[1].held
