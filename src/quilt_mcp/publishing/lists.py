"""Lists: for each table an object that names its files, a URI a line. Athena and Trino read what it names and nothing else, and
one write replaces it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from quilt_mcp.domain.publication import NAMES, TABLES, lists_folder
from quilt_mcp.errors import ObjectNotFound, PreconditionFailed, StorageBusy
from quilt_mcp.publishing.state import Publication
from quilt_mcp.storage.store import Store

_NAME: Final = "files"
_ATTEMPTS: Final = 10


class Lists:
    """Of a bucket. (In a folder nothing reads them.)"""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.are_wanted = store.url.startswith("s3://")

    async def stale(self, publication: Publication) -> list[str]:
        """The tables whose lists are not those of a publication. A request each."""
        if not self.are_wanted:
            return []
        return [name for name in NAMES if (await self._read(name))[1] != self._wanted(publication, name)]

    async def replace(self, publication: Publication, is_last: Callable[[], Awaitable[bool]]) -> bool:
        """Each atomically, those first that others refer to. False where another publication came after: its lists stand.

        Whoever is late cannot undo that: a list is replaced only where it is as it was before ``is_last`` was asked.
        """
        for name in NAMES if self.are_wanted else ():
            wanted = self._wanted(publication, name)
            for _ in range(_ATTEMPTS):
                etag, there = await self._read(name)
                if there == wanted:
                    break
                if not await is_last():
                    return False
                try:
                    await self._store.put(self._key(name), wanted, if_absent=etag is None, if_match=etag)
                    break
                except PreconditionFailed:
                    continue
            else:
                raise StorageBusy(
                    f"The list of {name} is written by others again and again.", next_step="Type it again."
                )
        return True

    async def _read(self, name: str) -> tuple[str | None, bytes | None]:
        try:
            stat, body = await self._store.get(self._key(name))
        except ObjectNotFound:
            return None, None
        return stat.etag, body

    def _wanted(self, publication: Publication, name: str) -> bytes:
        lines = (f"{self._store.url}/{TABLES}{key}\n" for key in publication.tables()[name])
        return "".join(lines).encode()

    @staticmethod
    def _key(name: str) -> str:
        return f"{lists_folder(name)}{_NAME}"
