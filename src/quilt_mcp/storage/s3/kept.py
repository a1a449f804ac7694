"""Kept: the clients that a process holds, whoever they sign for: the last so many that were used."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

MOST: Final = 96
"""Half a megabyte each, and a hundredth of a second to make anew."""


class Kept:
    """Safe to share between threads. What is in use outlives its place here, and what belongs to an owner goes with it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[int, Hashable], Any] = OrderedDict()

    def get(self, owner: object, key: Hashable) -> Any | None:
        place = id(owner), key
        with self._lock:
            if place in self._clients:
                self._clients.move_to_end(place)
            return self._clients.get(place)

    def set(self, owner: object, key: Hashable, client: Any) -> Any:
        with self._lock:
            self._clients[id(owner), key] = client
            while len(self._clients) > self._most:
                self._clients.popitem(last=False)
        return client

    def belongs_to(self, owner: object) -> None:
        """Has all of an owner's clients dropped when it is gone. Once for each owner."""
        weakref.finalize(owner, self._drop, id(owner))

    def _drop(self, owner: int) -> None:
        with self._lock:
            for place in [place for place in self._clients if place[0] == owner]:
                del self._clients[place]
