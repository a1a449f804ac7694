"""Named: which revisions a registry names now, by name and time, and which is the latest of each package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quilt_mcp.domain.printable import counted
from quilt_mcp.registry.pointers import POINTER_READS_AT_ONCE, Pointer, pointer_digest
from quilt_mcp.registry.reading.pointed import TimedPointers, name_in
from quilt_mcp.registry.registry import Registry
from quilt_mcp.search.state import State
from quilt_mcp.search.tables import revisions_named
from quilt_mcp.storage.seen_files import SeenFiles
from quilt_mcp.storage.store import ObjectStat
from quilt_mcp.storage.workers import collect

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest pointers as they were listed: a bucket's by their etags, a folder's by what they hold."""

    stats: Mapping[str, ObjectStat]
    read: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """``revisions``: package, seconds since 1970, top hash. ``tags``: package and top hash of its latest."""

    revisions: Sequence[tuple[str, int, str]]
    tags: Sequence[tuple[str, str]]
    warnings: tuple[str, ...]

    def hashes(self) -> frozenset[str]:
        return frozenset(top_hash for *_, top_hash in self.revisions)


async def list_latest(registry: Registry) -> Latest:
    """To be asked before the pointers with times are: those are written first, so that each latest is among them. Raises as a
    listing does."""
    pages = registry.store.pages
    if pages is not None:
        found, stats = await registry.pointers.listed_latest(pages, "", "", None)
        return Latest(stats, {}, tuple(found.warnings[:_SHOWN]))
    names = await registry.pointers.names("", "", None)
    read = await registry.pointers.try_latest_of(names.names, SeenFiles())
    hashes = {
        name: one.top_hash
        for name, one in zip(names.names, read, strict=True)
        if isinstance(one, Pointer) and one.top_hash
    }
    warned = [one for one in read if isinstance(one, str)]
    return Latest({}, hashes, tuple([*names.warnings, *warned][:_SHOWN]))


async def names_of(registry: Registry, latest: Latest, state: State) -> Named:
    """``state``: of a catalog of all revisions. Pointers whose revisions cannot be read are read themselves: their revisions are
    there still. In a bucket a latest pointer is read only where its etag tells nothing."""
    revisions = revisions_named(state)
    pointed = TimedPointers(registry)
    unread = [*state.unread]
    for key, pointer in zip(unread, await collect(unread, POINTER_READS_AT_ONCE, pointed.read), strict=True):
        if pointer is not None and pointer.top_hash is not None:
            revisions.append((name_in(key), int(pointer.tag), pointer.top_hash))
    revisions.sort()
    own: dict[str, list[str]] = {}
    for name, _, top_hash in revisions:
        own.setdefault(name, []).append(top_hash)
    tags = dict(latest.read) | await _by_etags(registry, latest.stats, own)
    timeless: list[str] = []
    for name, top_hash in [*tags.items()]:
        if top_hash not in own.get(name, ()):
            if name in own:
                tags[name] = own[name][-1]  # another was pushed meanwhile
            else:
                timeless.append(name)
                del tags[name]
    warnings = list(latest.warnings)
    if timeless:
        more = ", ..." if len(timeless) > _SHOWN else ""
        warnings.append(
            f"no_revisions: {counted(len(timeless), 'package')} ({', '.join(timeless[:_SHOWN])}{more}) have no pointer with a "
            "time and are left out."
        )
    return Named(revisions, sorted(tags.items()), tuple(warnings))


async def _by_etags(
    registry: Registry, stats: Mapping[str, ObjectStat], own: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, stat in stats.items():
        digest = stat.etag.strip('"')
        for top_hash in reversed(own.get(name, ())):
            if pointer_digest(top_hash) == digest:
                found[name] = top_hash
                break
    left = [name for name in stats if name not in found]
    read = await collect(left, POINTER_READS_AT_ONCE, registry.pointers.try_latest)
    return found | {
        name: one.top_hash
        for name, one in zip(left, read, strict=True)
        if isinstance(one, Pointer) and one.top_hash
    }
