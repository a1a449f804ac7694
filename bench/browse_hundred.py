"""Opening a revision of a hundred entries and listing it, beside quilt3's Package.browse. Imports count for nobody.

Each call opens afresh (no cache of ours is kept between calls); the figure is the median of many calls in one process.

python bench/browse_hundred.py [--entries 100] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, ratio, run

CALLS = 50


def quilt3_side(registry: Path) -> None:
    import quilt3

    seconds: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        package = quilt3.Package.browse(PACKAGE, registry=registry.as_uri())
        assert len(list(package.walk())) > 1
        seconds.append(time.perf_counter() - start)
    answer({"first": seconds[0], "median": statistics.median(seconds)})


def our_side(registry: Path) -> None:
    import anyio

    from quilt_mcp.backends.local import LocalOps
    from quilt_mcp.backends.options import Options
    from quilt_mcp.domain.address import parse_package

    async def browse() -> None:
        url = registry.as_uri()
        package = parse_package(PACKAGE, url)
        seconds: list[float] = []
        with tempfile.TemporaryDirectory() as cache:
            for _ in range(CALLS):
                start = time.perf_counter()
                ops = LocalOps(url, Options(roots=(), writable=False, cache=Path(cache), cache_bytes=1 << 30))
                found = await ops.browse(package, recursive=True, limit=1000)
                assert len(found.page.items) > 1
                seconds.append(time.perf_counter() - start)
        answer({"first": seconds[0], "median": statistics.median(seconds)})

    anyio.run(browse)  # and no other, so that its back end is imported before the clock starts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        return (quilt3_side if arguments.side == "quilt3" else our_side)(arguments.registry)
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        registry = Path(folder) / "registry"
        write_revision(registry, arguments.entries)
        names = ("quilt3", "ours")
        found = interleave(
            {name: lambda name=name: run(__file__, name, "--registry", str(registry)) for name in names},
            arguments.rounds,
        )
    report(
        "browse_hundred",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            "ours_by_quilt3": ratio(found["ours"], "median", found["quilt3"], "median"),
            "ours_by_quilt3_first_call": ratio(found["ours"], "first", found["quilt3"], "first"),
            "targets": {"ours_by_quilt3": 1.0},
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
