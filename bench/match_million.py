"""Narrowing a revision of a million entries, beside quilt3's Package.browse and a walk of the package that finds the same.

``first_*``: the first call of a new process with an empty cache, the look through the manifest included. ``*``: the same later in
that process. ``match``: a pattern of names that one file in a thousand has; ``match_all``: one that all have; ``sort``: the
largest files; ``sort_next``: the second page of that; ``extensions``: counts by extension, the first time.

python bench/match_million.py [--entries 1000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from fnmatch import fnmatch
from heapq import nlargest
from pathlib import Path
from typing import Any

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, open_ours, peak_mb, ratio, run

PAGE = 100
FEW = "sample_0500*"
ALL = "*.parquet"
QUESTIONS: dict[str, dict[str, Any]] = {
    "match": {"match": FEW},
    "match_all": {"match": ALL},
    "sort": {"sort": "-size", "recursive": True},
    "match_sort": {"match": FEW, "sort": "-size"},
    "extensions": {"with_extensions": True},
}


def quilt3_side(registry: Path) -> None:
    import quilt3

    start = time.perf_counter()
    package = quilt3.Package.browse(PACKAGE, registry=registry.as_uri())
    browse = time.perf_counter() - start
    matched = sum(1 for key, _ in package.walk() if fnmatch(key, f"*/{FEW}"))
    match = time.perf_counter() - start
    nlargest(PAGE, (entry.size for _, entry in package.walk()))
    answer(
        {
            "browse": browse,
            "match": match,
            "sort": time.perf_counter() - start - match + browse,
            "matched": matched,
            "peak_mb": peak_mb(),
        }
    )


def our_side(registry: Path, question: str) -> None:
    from quilt_mcp.domain.address import parse_package

    async def ask() -> None:
        package = parse_package(PACKAGE, registry.as_uri())
        with tempfile.TemporaryDirectory() as cache:
            ops = open_ours(registry, Path(cache))
            start = time.perf_counter()
            found = await ops.browse(package, limit=PAGE, **QUESTIONS[question])
            first = time.perf_counter() - start
            await ops.browse(package, limit=1)  # the verdict
            start = time.perf_counter()
            found = await ops.browse(package, limit=PAGE, **QUESTIONS[question])
            again = time.perf_counter() - start
            start = time.perf_counter()
            if found.page.next_cursor:
                await ops.browse(package, limit=PAGE, cursor=found.page.next_cursor, **QUESTIONS[question])
            following = time.perf_counter() - start
        answer(
            {
                "first": first,
                "again": again,
                "next": following,
                "shown": found.shown.entries,
                "peak_mb": peak_mb(),
            }
        )

    asyncio.run(ask())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--question", choices=[*QUESTIONS])
    arguments = parser.parse_args()
    if arguments.side == "quilt3":
        return quilt3_side(arguments.registry)
    if arguments.side == "ours":
        return our_side(arguments.registry, arguments.question)
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        registry = Path(folder) / "registry"
        write_revision(registry, arguments.entries)

        def ours() -> dict[str, float]:
            figures: dict[str, float] = {}
            for name in QUESTIONS:
                found = run(__file__, "ours", "--registry", str(registry), "--question", name)
                figures |= {f"{name}_{key}": figure for key, figure in found.items()}
            return figures

        sides = {"quilt3": lambda: run(__file__, "quilt3", "--registry", str(registry)), "ours": ours}
        found = interleave(sides, arguments.rounds)
    assert found["quilt3"][0]["matched"] == found["ours"][0]["match_shown"]
    report(
        "match_million" if arguments.entries == 1_000_000 else f"match_{arguments.entries}",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            **{
                f"{name}_{when}_by_quilt3_browse": ratio(
                    found["ours"], f"{name}_{when}", found["quilt3"], "browse"
                )
                for name in QUESTIONS
                for when in ("first", "again", "next")
            },
            "targets": {"any_by_quilt3_browse": 0.125, "ours_peak_mb": 300},
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
