"""NamedRevisions: which revisions the pointers of packages name."""

from __future__ import annotations

from collections import OrderedDict

from quilt_mcp.errors import AccessError, QuiltError
from quilt_mcp.registry.pointers import Pointers, pointer_digest
from quilt_mcp.storage.store import Store

_REMEMBERED = 10_000


class NamedRevisions:
    """A manifest opens by its hash under the name of any package, as with quilt3: this tells whether it is one of that package's.

    A revision that a pointer was seen to name is remembered as named, until this process deletes it: another process's deletion
    shows late. One that none names is asked for again each time, by one listing and reads of the pointers that are new in it.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str], dict[str, str] | None] = OrderedDict()
        """By registry, package and top hash. None: named, or not to be told; else the pointers that name others, with their
        etags."""

    async def is_named(self, store: Store, name: str, top_hash: str) -> bool:
        """Asks nobody when it is known. True where that cannot be found out, as for a role that may not list."""
        key = (store.url, name, top_hash)
        others: dict[str, str] | None = self._known.get(key, {})
        if others is None:
            return True
        try:
            others = await self._others(Pointers(store), name, top_hash, others)
        except AccessError:
            others = None
        except QuiltError:
            return True
        self._known[key] = others
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return others is None

    async def _others(
        self, pointers: Pointers, name: str, top_hash: str, others: dict[str, str]
    ) -> dict[str, str] | None:
        """The pointers of the package; None where one of them names the revision. Those in ``others`` are known not to."""
        tags = await pointers.tags(name)
        if any(etag.strip('"') == pointer_digest(top_hash) for etag in tags.values()):
            return None
        found = await pointers.read_many(name, [tag for tag in tags if others.get(tag) != tags[tag]])
        return None if any(one is not None and one.top_hash == top_hash for one in found) else tags

    def forget(self, store: Store, name: str) -> None:
        """After a deletion of pointers of the package."""
        for key in [key for key in self._known if key[:2] == (store.url, name)]:
            del self._known[key]
