"""EntryStore: the files of one revision by their logical keys, as a browsing session of the stack brings them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

from quilt_mcp.catalog.sessions import PIECE, BrowsingSessions, Bytes
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.errors import NotSupported
from quilt_mcp.storage.hashing import written_while_read
from quilt_mcp.storage.store import (
    NoAbilities,
    ObjectStat,
)
from quilt_mcp.storage.workers import in_thread

_NEVER = datetime.fromtimestamp(0, UTC)


class EntryStore(NoAbilities):
    """See ``store.Store``: it reads, by ranges, and knows no versions, as a revision names one. A request for each ``PIECE``."""

    def __init__(
        self,
        sessions: BrowsingSessions,
        revision: PackageUri,
        physical_key: PhysicalKey,
        modified: datetime | None = None,
    ) -> None:
        """``physical_key``: where the entry's bytes lie, for messages. ``modified``: when the revision was made, for files of
        which the stack does not tell when they were."""
        self._sessions = sessions
        self._revision = revision
        self._modified = modified or _NEVER
        self._physical_key = physical_key
        self.url = revision.registry

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return self._physical_key

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        return self._stat(key, await self._read(key, 0, 1))

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        if length == 0:  # a range has a byte at least
            return await self.stat(key), b""
        first = await self._read(key, offset, PIECE if length is None else min(length, PIECE))
        end = first.size if length is None else min(first.size, offset + length)
        pieces, at = [first.data], offset + len(first.data)
        while at < end:
            piece = self._next(first, await self._read(key, at, min(PIECE, end - at)))
            pieces.append(piece.data)
            at += len(piece.data)
        return self._stat(key, first), pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> AsyncIterator[bytes]:
        if length == 0:
            return
        first = piece = await self._read(key, offset, PIECE if length is None else min(length, PIECE))
        end = first.size if length is None else min(first.size, offset + length)
        at = offset + len(first.data)
        yield first.data
        while at < end:
            piece = self._next(first, await self._read(key, at, min(PIECE, end - at)))
            at += len(piece.data)
            yield piece.data

    def _next(self, first: Bytes, piece: Bytes) -> Bytes:
        """Of the same object as the first: the key may be written to meanwhile, where it names no version."""
        if not piece.data or (piece.etag, piece.size) != (first.etag, first.size):
            raise written_while_read(str(self._physical_key), first.size)
        return piece

    async def _read(self, key: str, offset: int, length: int) -> Bytes:
        return await in_thread(partial(self._sessions.read, self._revision, key, offset, length))

    def _stat(self, key: str, found: Bytes) -> ObjectStat:
        return ObjectStat(key, found.size, found.etag, found.modified or self._modified)

    def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        _refuse()

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> NoReturn:
        _refuse()

    async def put(self, key: str, *_: Any, **__: Any) -> NoReturn:
        _refuse()

    async def delete(self, key: str, *, if_match: str | None = None) -> NoReturn:
        _refuse()


def _refuse() -> NoReturn:
    raise NotSupported(
        "A browsing session reads single files.", next_step="Call package_browse for the files of a package."
    )
