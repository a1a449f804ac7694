"""One file added to a package of a million entries: quilt3's browse, set, build, and our patch (plan and commit, from cold).

The file is some bytes, so bytes count for neither. ``dry_run``: the plan alone, after the look that both need.

python bench/patch_million.py [--entries 1000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, open_ours, peak_mb, ratio, run

KEY = "run-00000/sample_0500_more.csv"


def quilt3_side(registry: Path) -> None:
    import quilt3

    file = registry.parent / "more.csv"
    file.write_text("more")
    start = time.perf_counter()
    package = quilt3.Package.browse(PACKAGE, registry=registry.as_uri())
    package.set(KEY, file.as_uri())
    top_hash = package.build(PACKAGE, registry=registry.as_uri(), message="more")
    answer({"seconds": time.perf_counter() - start, "peak_mb": peak_mb(), "hash": int(str(top_hash)[:8], 16)})


def our_side(registry: Path) -> None:
    from quilt_mcp.domain.address import parse_package
    from quilt_mcp.domain.plan import InlineFile, PatchRequest

    async def patch() -> None:
        with tempfile.TemporaryDirectory() as cache:
            ops = open_ours(registry, Path(cache), writable=True)
            package = parse_package(PACKAGE, registry.as_uri())
            request = PatchRequest(package, files=(InlineFile(KEY, b"more"),), message="more")
            start = time.perf_counter()
            done = await ops.patch(request)
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            await ops.plan_patch(request)
            dry_run = time.perf_counter() - start
        answer(
            {"seconds": seconds, "dry_run": dry_run, "peak_mb": peak_mb(), "hash": int(done.top_hash[:8], 16)}
        )

    asyncio.run(patch())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        return (quilt3_side if arguments.side == "quilt3" else our_side)(arguments.registry)
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        made = Path(folder) / "made"
        write_revision(made, arguments.entries)

        def of(side: str) -> dict[str, float]:
            registry = Path(folder) / "registry"
            shutil.copytree(made, registry)
            try:
                return run(__file__, side, "--registry", str(registry))
            finally:
                shutil.rmtree(registry)

        found = interleave({"quilt3": lambda: of("quilt3"), "ours": lambda: of("ours")}, arguments.rounds)
    assert len({figures["hash"] for side in found.values() for figures in side}) == 1, "not one top hash"
    report(
        "patch_million" if arguments.entries == 1_000_000 else f"patch_{arguments.entries}",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            "quilt3_by_ours": ratio(found["quilt3"], "seconds", found["ours"], "seconds"),
            "targets": {"quilt3_by_ours": 5, "ours_peak_mb": 300},
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
