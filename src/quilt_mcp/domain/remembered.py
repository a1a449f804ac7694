"""Remembered: answers that cannot change, the last so many of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Forgets what was asked for longest ago. For answers of a bounded size: it counts them and does not weigh them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        if key in self._answers:
            self._answers.move_to_end(key)
        return self._answers.get(key)

    def items(self) -> ItemsView[K, V]:
        return self._answers.items()

    def set(self, key: K, answer: V) -> V:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return answer

    def forget(self, key: K) -> None:
        self._answers.pop(key, None)

    def clear(self) -> None:
        self._answers.clear()
