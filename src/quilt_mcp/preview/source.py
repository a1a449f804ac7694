"""Source: a file to look into, read by range."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Fetch = Callable[[int, int], Awaitable[bytes]]
"""Offset and length, both inside the file; fewer bytes than asked for are an error of the file's."""


@dataclass(frozen=True, slots=True)
class Source:
    """``name``: the last part of its path, by whose ending formats are told apart. ``fetch`` answers at most ``MOST_AT_ONCE``
    bytes a call, all of one version of the file, and raises QuiltErrors, which go through to who asked."""

    name: str
    size: int
    fetch: Fetch


MOST_AT_ONCE = 8 << 20
