"""The difference of two revisions (one entry in twenty changed): quilt3's browse, browse, diff.

``seconds``: from cold, with the verdicts on both still to make. ``remembered``: by another cache that finds them on disk, as
a new process does. ``next_page``: the second hundred changes. ``four_mb``: what four more such comparisons leave in memory.

python bench/diff_revisions.py [--entries 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, open_ours, peak_mb, ratio, resident_mb, run

CHANGED_EVERY = 20


def quilt3_side(registry: Path, before: str, after: str) -> None:
    import quilt3

    start = time.perf_counter()
    old = quilt3.Package.browse(PACKAGE, registry=registry.as_uri(), top_hash=before)
    new = quilt3.Package.browse(PACKAGE, registry=registry.as_uri(), top_hash=after)
    _, modified, _ = old.diff(new)
    answer({"seconds": time.perf_counter() - start, "modified": len(modified), "peak_mb": peak_mb()})


def our_side(registry: Path, before: str, after: str) -> None:
    from quilt_mcp.domain.address import parse_package

    async def compare() -> None:
        url = registry.as_uri()
        old, new = (parse_package(f"{PACKAGE}@{top_hash}", url) for top_hash in (before, after))
        with tempfile.TemporaryDirectory() as cache:
            ops = open_ours(registry, Path(cache))
            start = time.perf_counter()
            found = await ops.diff(old, new, limit=100)
            cold = time.perf_counter() - start
            start = time.perf_counter()
            await ops.diff(old, new, limit=100, cursor=found.next_cursor)
            next_page = time.perf_counter() - start
            start = time.perf_counter()
            await open_ours(registry, Path(cache)).diff(old, new, limit=100)
            remembered = time.perf_counter() - start
            held = resident_mb()
            for path in ("run-00001/", "run-00002/", "run-00003/", None):
                await ops.diff(new, replace(old, path=path), limit=100)
        answer(
            {
                "seconds": cold,
                "remembered": remembered,
                "next_page": next_page,
                "modified": found.totals.modified,
                "peak_mb": peak_mb(),
                "four_mb": resident_mb() - held,
            }
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
        f"diff_{arguments.entries}",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            "quilt3_by_ours": ratio(found["quilt3"], "seconds", found["ours"], "seconds"),
            "quilt3_by_ours_remembered": ratio(found["quilt3"], "seconds", found["ours"], "remembered"),
            "first_by_next_page": ratio(found["ours"], "seconds", found["ours"], "next_page"),
            "targets": {
                "quilt3_by_ours": 3.5,
                "quilt3_by_ours_remembered": 8,
                "first_by_next_page": 20,
                "ours_peak_mb": 300,
                "four_mb": 50,
            },
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
