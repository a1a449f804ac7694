"""Published: what lies under ``.quilt/tables/`` before a publication begins."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.publication import STATE, TABLES
from quilt_mcp.errors import ObjectNotFound
from quilt_mcp.publishing.planning import KnownPart
from quilt_mcp.publishing.state import Publication, PublishedFile, sequence_of
from quilt_mcp.storage.objects import holds
from quilt_mcp.storage.store import Store
from quilt_mcp.storage.workers import collect

_AT_ONCE: Final = 8
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True)
class Found:
    """``etag``: of the state; None where there is none. ``sizes``: of every file there that is ours, by its key. ``replaced``:
    those of the state that others wrote over."""

    publication: Publication
    etag: str | None
    sizes: Mapping[str, int]
    replaced: Collection[str] = ()
    is_damaged: bool = False

    def next_sequence(self) -> int:
        """Higher than that of any file that this one, or another that began before it, may name."""
        if not self.is_damaged:
            return self.publication.sequence + 1
        return 1 + max([0, *(sequence_of(key) or 0 for key in self.sizes)])

    def has(self, file: PublishedFile | None) -> bool:
        return file is None or (self.sizes.get(file.key) == file.bytes and file.key not in self.replaced)


async def read_state(store: Store) -> tuple[Publication | None, str | None]:
    """The state (None: there is none, or it is damaged) and its etag. Raises NotSupported for that of a later version."""
    try:
        stat, body = await store.get(STATE)
    except ObjectNotFound:
        return None, None
    found = Publication.load(body)
    return (found if found is not None and found.registry == store.url else None), stat.etag


async def find_published(store: Store) -> Found:
    """Two requests, more where there are more than a thousand files. A bucket tells files that others wrote over by their etags;
    those of a folder are read."""
    state, etag = await read_state(store)
    sizes: dict[str, int] = {}
    etags: dict[str, str] = {}
    async for stat in store.list(TABLES):
        key = stat.key[len(TABLES) :]
        if sequence_of(key) is not None:
            sizes[key], etags[key] = stat.size, stat.etag
    is_damaged = state is None and (etag is not None or bool(sizes))
    publication = state or Publication(store.url)

    async def is_replaced(file: PublishedFile) -> bool:
        if sizes.get(file.key) != file.bytes:
            return False  # it is cut or gone
        if store.local_files is None:
            return file.etag not in (None, etags[file.key])
        recorded = Hash("SHA256", file.sha256)
        return not await holds(store, f"{TABLES}{file.key}", recorded, size=file.bytes)

    files = [*publication.files().values()]
    found = await collect(files, _AT_ONCE, is_replaced)
    replaced = {file.key for file, is_other in zip(files, found, strict=True) if is_other}
    return Found(publication, etag, sizes, replaced, is_damaged)


async def known_parts(store: Store, found: Found) -> list[KnownPart]:
    """The parts of which every file is there. What somebody removed or cut is published anew."""
    whole = [one for one in found.publication.parts if all(map(found.has, one.files()))]

    async def hashes_of(file: PublishedFile) -> frozenset[str] | None:
        try:
            _, body = await store.get(f"{TABLES}{file.key}")
        except ObjectNotFound:
            return None
        if hashlib.sha256(body).hexdigest() != file.sha256:
            return None
        return frozenset(body[at : at + _DIGEST].hex() for at in range(0, len(body), _DIGEST))

    hashes = await collect([one.hashes for one in whole], _AT_ONCE, hashes_of)
    return [KnownPart(part, known) for part, known in zip(whole, hashes, strict=True) if known is not None]
