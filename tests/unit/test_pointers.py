"""Packages listed from the keys of their pointers: every name once, whatever the pages are, and no more pages than it takes."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import anyio
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.registry.layout import LATEST, pointer_key
from quilt_mcp.registry.pointers import Pointers
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.store import Listing, ObjectStat

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Keys:
    """Lists keys as S3 does, ``page`` at a time. Each key was written as many seconds after ``NOW`` as its place says."""

    def __init__(self, keys: list[str], page: int) -> None:
        self._stats = [
            ObjectStat(key, 64, "etag", NOW + timedelta(seconds=n)) for n, key in enumerate(sorted(keys))
        ]
        self._page = page
        self.requests = 0

    async def list_page(self, prefix: str, *, after: str = "") -> Listing:
        self.requests += 1
        start = bisect_right(self._stats, after, key=lambda stat: stat.key)
        fitting = [stat for stat in self._stats[start:] if stat.key.startswith(prefix)]
        page = fitting[: self._page]
        return Listing(tuple(page), (), page[-1].key if len(fitting) > len(page) else None)

    def written(self, key: str) -> datetime:
        return next(stat.modified for stat in self._stats if stat.key == key)


NAMES = st.sampled_from(["a/b", "a/b-2", "a/bc", "a-1/b", "é/ü"])
TAGS = st.sampled_from(["1700000000", "1700000001", "17000000002", LATEST, "zebra"])


async def listed(keys: Keys, limit: int) -> tuple[list[str], dict[str, datetime]]:
    names: list[str] = []
    times: dict[str, datetime] = {}
    after = ""
    while True:
        found, some = await Pointers(LocalStore("/")).listed_latest(keys, "", after, limit)  # pyright: ignore
        names += found.names
        times |= {name: stat.modified for name, stat in some.items()}
        if not found.more:
            return names, times
        after = found.names[-1]


@given(st.sets(st.tuples(NAMES, TAGS), max_size=14), st.integers(1, 5), st.integers(1, 4))
def test_every_package_is_listed_once_with_the_time_of_its_latest(
    pointers: set[tuple[str, str]], page: int, limit: int
) -> None:
    keys = Keys([pointer_key(name, tag) for name, tag in pointers], page)
    names, times = anyio.run(listed, keys, limit)
    assert names == sorted({name for name, _ in pointers}, key=lambda name: f"{name}/")
    assert times == {name: keys.written(pointer_key(name, tag)) for name, tag in pointers if tag == LATEST}


def test_the_revisions_of_a_package_are_not_listed_one_and_all() -> None:
    many = [pointer_key("a/b", str(1_700_000_000 + number)) for number in range(5000)]
    keys = Keys([*many, pointer_key("a/b", LATEST), pointer_key("a/c", LATEST)], 1000)
    assert anyio.run(listed, keys, 100)[0] == ["a/b", "a/c"]
    assert keys.requests == 2
