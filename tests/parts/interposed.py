"""Something that happens between two calls of the engine to its stores: how a test proves an interleaving on any backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

_VERBS = {"stat", "get", "put", "delete", "list_folder"}


class Interposed:
    """Awaits ``act`` once, ahead of the ``number``-th call (from 0) at one of the ``keys`` to any store of these."""

    def __init__(
        self, stores: Any, keys: str, number: int | None, act: Callable[[], Awaitable[object]]
    ) -> None:
        self._stores = stores
        self._keys = keys
        self._number = number
        self._act = act
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stores, name)

    def registry(self, url: str) -> Any:
        return _InterposedStore(self._stores.registry(url), self)

    async def meet(self, key: str) -> None:
        if not fnmatchcase(key, self._keys):
            return
        self.calls += 1
        if self._number is not None and self.calls == self._number + 1:
            await self._act()


class _InterposedStore:
    def __init__(self, store: Any, interposed: Interposed) -> None:
        self._store = store
        self._interposed = interposed

    @property
    def __class__(self) -> Any:  # the engine asks whether a store is a bucket
        return type(self._store)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in _VERBS:
            return found

        async def met(key: str, *arguments: Any, **named: Any) -> Any:
            await self._interposed.meet(key)
            return await found(key, *arguments, **named)

        return met


@contextmanager
def interposed(
    ops: Any, keys: str, number: int | None, act: Callable[[], Awaitable[object]]
) -> Iterator[Interposed]:
    """For the length of the block. ``number`` None: never, only ``calls`` are counted, those of ``act`` itself too."""
    stores = ops._stores
    ops._stores = found = Interposed(stores, keys, number, act)
    try:
        yield found
    finally:
        ops._stores = stores
