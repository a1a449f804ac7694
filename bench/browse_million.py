"""Opening a revision of a million entries and listing one page of it, beside quilt3's Package.browse.

``first``: nothing cached. ``again``: the same call once more. ``file``: the first call that needs the table, which is
written behind the first page. ``restarted``: a new process that finds the table on disk.
Imports count for nobody but for DuckDB, which ours imports within the first call.

python bench/browse_million.py [--entries 1000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from itertools import islice
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, peak_mb, ratio, run

PAGE = 100


def quilt3_side(registry: Path) -> None:
    import quilt3

    start = time.perf_counter()
    package = quilt3.Package.browse(PACKAGE, registry=registry.as_uri())
    listed = list(islice(package.keys(), PAGE))
    first = time.perf_counter() - start
    assert listed
    answer({"first": first, "peak_mb": peak_mb()})


def our_side(registry: Path, cache: Path) -> None:
    from quilt_mcp.backends.local import LocalOps
    from quilt_mcp.backends.options import Options
    from quilt_mcp.domain.address import parse_package

    async def browse_twice() -> None:
        url = registry.as_uri()
        ops = LocalOps(url, Options(roots=(), writable=False, cache=cache, cache_bytes=1 << 30))
        package = parse_package(PACKAGE, url)
        seconds: list[float] = []
        for _ in range(6):
            start = time.perf_counter()
            found = await ops.browse(package, limit=PAGE)
            seconds.append(time.perf_counter() - start)
            assert found.page.items
        start = time.perf_counter()
        folder = await ops.browse(
            parse_package(f"{found.uri}&path={found.page.items[-1].path}", url), limit=PAGE
        )
        in_folder = time.perf_counter() - start
        start = time.perf_counter()
        assert await ops.browse(
            parse_package(f"{found.uri}&path={folder.page.items[0].path}", url), limit=PAGE
        )
        in_file = time.perf_counter() - start
        answer(
            {
                "first": seconds[0],
                "again": sorted(seconds[1:])[2],
                "folder": in_folder,
                "file": in_file,
                "peak_mb": peak_mb(),
            }
        )

    asyncio.run(browse_twice())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    if arguments.side == "quilt3":
        return quilt3_side(arguments.registry)
    if arguments.side == "ours":
        return our_side(arguments.registry, arguments.cache)
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        registry = Path(folder) / "registry"
        write_revision(registry, arguments.entries)
        turn = iter(range(arguments.rounds))

        def ours() -> dict[str, float]:
            cache = f"{folder}/cache-{next(turn)}"
            figures = run(__file__, "ours", "--registry", str(registry), "--cache", cache)
            restarted = run(__file__, "ours", "--registry", str(registry), "--cache", cache)
            return {**figures, "restarted": restarted["first"], "restarted_peak_mb": restarted["peak_mb"]}

        sides = {"quilt3": lambda: run(__file__, "quilt3", "--registry", str(registry)), "ours": ours}
        found = interleave(sides, arguments.rounds)
    report(
        "browse_million" if arguments.entries == 1_000_000 else f"browse_{arguments.entries}",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            "quilt3_by_ours_first": ratio(found["quilt3"], "first", found["ours"], "first"),
            "quilt3_by_ours_again": ratio(found["quilt3"], "first", found["ours"], "again"),
            "quilt3_by_ours_restarted": ratio(found["quilt3"], "first", found["ours"], "restarted"),
            "targets": {"quilt3_by_ours_first": 10, "quilt3_by_ours_again": 200, "ours_peak_mb": 400},
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
