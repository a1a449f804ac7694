"""Searches registries again and again, page by page: ``searcher.py CACHE CACHE_BYTES TIMES URL...``.

Says how many searches were made, how many cursors had expired, and how often it was told to try again. Anything else ends it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.search.request import SearchRequest
from quilt_mcp.errors import InvalidArgument, StorageUnavailable


async def main(cache: Path, cache_bytes: int, times: int, urls: list[str]) -> None:
    roots = tuple(Path(PhysicalKey.parse(url).path) for url in urls)
    ops = LocalOps(urls[0], Options(roots=roots, writable=False, cache=cache, cache_bytes=cache_bytes))
    expired = again = 0
    for number in range(times):
        names: list[str] = []
        cursor = None
        try:
            while True:
                request = SearchRequest("common", registries=(urls[number % len(urls)],), sort="name")
                try:
                    found = await ops.search.search(request, limit=5, cursor=cursor)
                except StorageUnavailable:  # what it read went, was made anew and went again
                    again += 1
                    continue
                assert found.total == 12 or any("busy" in one for one in found.warnings), found
                names += [PackageUri.parse(one.uri).name for one in found.items]
                cursor = found.next_cursor
                if cursor is None:
                    break
            assert len(names) == found.total
        except InvalidArgument as error:
            assert error.details["reason"] == "cursor_expired"
            expired += 1
        assert names == [f"team/p{n:02}" for n in range(len(names))]
    print(f"{times} searches, {expired} expired, {again} again")


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
