"""Spans: runs of a manifest's lines, by where they begin and end. In a list they stand in order, apart from each other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

Span = tuple[int, int]
"""From the beginning of the first line to the end of the last."""


def covers(spans: list[Span], at: int) -> bool:
    found = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return found >= 0 and at < spans[found][1]


def without(gone: list[Span], start: int, end: int) -> Iterator[Span]:
    """What is left of the lines in [start, end)."""
    first = max(0, bisect_right(gone, start, key=lambda span: span[0]) - 1)
    for begin, stop in islice(gone, first, None):
        if begin >= end:
            break
        if start < begin:
            yield start, begin
        start = max(start, stop)
    if start < end:
        yield start, end
