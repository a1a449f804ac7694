"""The difference of two revisions of 100,000 entries (one in twenty changed), from cold: quilt3's browse, browse, diff.

Imports count for nobody but for DuckDB, which ours imports within the call.

python bench/diff_100k.py [--entries 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, peak_mb, ratio, run

CHANGED_EVERY = 20


def quilt3_side(registry: Path, before: str, after: str) -> None:
    import quilt3

    start = time.perf_counter()
    old = quilt3.Package.browse(PACKAGE, registry=registry.as_uri(), top_hash=before)
    new = quilt3.Package.browse(PACKAGE, registry=registry.as_uri(), top_hash=after)
    _, modified, _ = old.diff(new)
    answer({"seconds": time.perf_counter() - start, "modified": len(modified), "peak_mb": peak_mb()})


def our_side(registry: Path, before: str, after: str) -> None:
    from quilt_mcp.backends.local import LocalOps
    from quilt_mcp.backends.options import Options
    from quilt_mcp.domain.address import parse_package

    async def compare() -> None:
        url = registry.as_uri()
        old, new = (parse_package(f"{PACKAGE}@{top_hash}", url) for top_hash in (before, after))
        with tempfile.TemporaryDirectory() as cache:
            ops = LocalOps(url, Options(roots=(), writable=False, cache=Path(cache), cache_bytes=1 << 30))
            start = time.perf_counter()
            found = await ops.diff(old, new, limit=100)
            cold = time.perf_counter() - start
            start = time.perf_counter()
            await ops.diff(old, new, limit=100, cursor=found.next_cursor)
            next_page = time.perf_counter() - start
        answer(
            {"seconds": cold, "next_page": next_page, "modified": found.totals.modified, "peak_mb": peak_mb()}
        )

    asyncio.run(compare())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--before")
    parser.add_argument("--after")
    arguments = parser.parse_args()
    if arguments.side:
        side = quilt3_side if arguments.side == "quilt3" else our_side
        return side(arguments.registry, arguments.before, arguments.after)
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        registry = Path(folder) / "registry"
        before = write_revision(registry, arguments.entries)
        after = write_revision(registry, arguments.entries, changed_every=CHANGED_EVERY)
        options = ("--registry", str(registry), "--before", before, "--after", after)
        names = ("quilt3", "ours")
        found = interleave(
            {name: lambda name=name: run(__file__, name, *options) for name in names}, arguments.rounds
        )
    assert found["quilt3"][0]["modified"] == found["ours"][0]["modified"]
    report(
        "diff_100k",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            "quilt3_by_ours": ratio(found["quilt3"], "seconds", found["ours"], "seconds"),
            "targets": {"quilt3_by_ours": 8},
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
