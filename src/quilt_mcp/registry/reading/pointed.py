"""Pointed: the pointers of a registry that its catalog stands for: the latest of each package, or every one that has a time.

Each has a key, under which the catalog knows it, and a mark, which changes when the pointer may name another revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from quilt_mcp.domain.names import is_package_name
from quilt_mcp.registry.layout import POINTERS, TIMESTAMP
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.reading.packages import REQUESTS
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.seen_files import SeenFiles
from quilt_mcp.storage.store import ObjectStat

MOST_PACKAGES: Final = 100_000
MOST_REVISIONS: Final = 200_000
"""In a bucket a request for each thousand."""
_TOLD: Final = 3
_APART: Final = " "
"""Between a package's name and a tag in a key; no name holds one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """``pointer``: where it was read already, to know its mark."""

    text: str
    pointer: Pointer | None = None


class Pointed(Protocol):
    async def listed(self) -> tuple[Mapping[str, Mark], tuple[str, ...]]:
        """By key; and warnings. Raises as a listing does."""
        ...

    async def read(self, key: str) -> Pointer | None: ...


def name_in(key: str) -> str:
    return key.partition(_APART)[0]


def listed_mark(stat: ObjectStat) -> str:
    """Of a latest pointer of a bucket, from the listing alone."""
    return f"{stat.etag} {stat.modified.isoformat()}"


class LatestPointers:
    """One listing of a bucket, whose etags are the marks; of a folder each is looked at. The key is the package's name."""

    def __init__(self, registry: Registry, seen: SeenFiles) -> None:
        self._registry = registry
        self._seen = seen

    async def listed(self) -> tuple[Mapping[str, Mark], tuple[str, ...]]:
        pointers, pages = self._registry.pointers, self._registry.store.pages
        if pages is not None:
            found, stats = await pointers.listed_latest(pages, "", "", None, REQUESTS)
            marks = {name: Mark(listed_mark(stat)) for name, stat in stats.items()}
            return marks, (*found.warnings[:_TOLD], *([_cut(len(found.names))] if found.more else ()))
        names = await pointers.names("", "", MOST_PACKAGES)
        read = await pointers.try_latest_of(names.names, self._seen)
        warned = [one for one in read if isinstance(one, str)]
        marks = {
            name: Mark(f"{one.top_hash} {one.modified.isoformat()}", one)
            for name, one in zip(names.names, read, strict=True)
            if isinstance(one, Pointer)
        }
        cut = [_cut(len(names.names))] if names.more else []
        return marks, (*cut, *[*names.warnings, *warned][:_TOLD])

    async def read(self, key: str) -> Pointer | None:
        return await self._registry.pointers.latest(key)


class TimedPointers:
    """One listing of all pointers. One with a time is written once, so its etag is its mark. The key is name and tag."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def listed(self) -> tuple[Mapping[str, Mark], tuple[str, ...]]:
        marks: dict[str, Mark] = {}
        async for stat in self._registry.store.list(POINTERS):
            name, _, tag = stat.key[len(POINTERS) :].rpartition("/")
            if TIMESTAMP.fullmatch(tag) and is_package_name(name):
                marks[f"{name}{_APART}{tag}"] = Mark(stat.etag)
            if len(marks) >= MOST_REVISIONS:
                said = f"listing_cut: only the first {MOST_REVISIONS:,} revisions are in the catalog; the registry holds more."
                return marks, (said,)
        return marks, ()

    async def read(self, key: str) -> Pointer | None:
        name, _, tag = key.partition(_APART)
        return await self._registry.pointers.read(name, tag)


def _cut(count: int) -> str:
    return f"listing_cut: only the first {count:,} packages are in the catalog; the registry holds more."
