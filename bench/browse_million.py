"""Opening a revision of a million entries and listing one page of it, beside quilt3's Package.browse.

``root``, ``folder`` and ``file``: each the first call of a new process with an empty cache. ``verdict``: the second call, which
waits until the manifest has been checked against its top hash; quilt3 does that with browse and top_hash. ``again``: the same
call later in that process. ``restarted``: a new process that finds an index on disk. ``shell_tail``: from the answer of
`quilt-mcp call` to the end of its process.

python bench/browse_million.py [--entries 1000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, open_ours, peak_mb, ratio, run

PAGE = 100


def quilt3_side(registry: Path) -> None:
    import quilt3

    start = time.perf_counter()
    package = quilt3.Package.browse(PACKAGE, registry=registry.as_uri())
    listed = list(islice(package.keys(), PAGE))
    first = time.perf_counter() - start
    assert listed
    assert package.top_hash
    answer({"first": first, "checked": time.perf_counter() - start, "peak_mb": peak_mb()})


def our_side(registry: Path, cache: Path, path: str) -> None:
    from quilt_mcp.domain.address import parse_package

    async def browse() -> None:
        ops, url = open_ours(registry, cache), registry.as_uri()
        package = parse_package(PACKAGE, url)
        seconds: list[float] = []
        for _ in range(7):
            start = time.perf_counter()
            found = await ops.browse(replace(package, path=path or None), limit=PAGE)
            seconds.append(time.perf_counter() - start)
            assert found.page.items
        answer(
            {
                "first": seconds[0],
                "verdict": seconds[1],
                "again": sorted(seconds[2:])[2],
                "peak_mb": peak_mb(),
            }
        )

    asyncio.run(browse())


def shell_tail(registry: Path, cache: Path) -> float:
    """Seconds from a shell's answer to its prompt."""
    command = [sys.executable, "-m", "quilt_mcp", "call", "package_browse", "--arg", f"package={PACKAGE}"]
    environment = {**os.environ, "QUILT_DEFAULT_REGISTRY": str(registry), "QUILT_MCP_CACHE_DIR": str(cache)}
    with subprocess.Popen([*command, "--arg", "limit=1"], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        start = time.perf_counter()
        process.stdout.read()
        assert process.wait() == 0
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--path", default="")
    arguments = parser.parse_args()
    if arguments.side == "quilt3":
        return quilt3_side(arguments.registry)
    if arguments.side == "ours":
        return our_side(arguments.registry, arguments.cache, arguments.path)
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        registry = Path(folder) / "registry"
        write_revision(registry, arguments.entries)
        turn = iter(range(arguments.rounds))
        middle = arguments.entries // 2000
        paths = {
            "root": "",
            "folder": f"run-{middle:05}/",
            "file": f"run-{middle:05}/sample_0500_measurement.parquet",
        }

        def ours() -> dict[str, float]:
            number = next(turn)
            figures: dict[str, float] = {}
            for name, path in paths.items():
                options = (
                    "--registry",
                    str(registry),
                    "--cache",
                    f"{folder}/{name}-{number}",
                    "--path",
                    path,
                )
                found = run(__file__, "ours", *options)
                again = run(__file__, "ours", *options)
                figures |= {
                    name: found["first"],
                    f"{name}_verdict": found["verdict"],
                    f"{name}_again": found["again"],
                    f"{name}_peak_mb": found["peak_mb"],
                }
                figures |= {f"{name}_restarted": again["first"]}
            return {**figures, "shell_tail": shell_tail(registry, Path(f"{folder}/shell-{number}"))}

        sides = {"quilt3": lambda: run(__file__, "quilt3", "--registry", str(registry)), "ours": ours}
        found = interleave(sides, arguments.rounds)

    def by_ours(name: str) -> float:
        return ratio(found["quilt3"], "first", found["ours"], name)

    report(
        "browse_million" if arguments.entries == 1_000_000 else f"browse_{arguments.entries}",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            **{f"quilt3_by_ours_{name}": by_ours(name) for name in paths},
            **{f"quilt3_by_ours_{name}_again": by_ours(f"{name}_again") for name in paths},
            **{f"quilt3_by_ours_{name}_restarted": by_ours(f"{name}_restarted") for name in paths},
            "verdict_by_quilt3_checked": ratio(found["ours"], "root_verdict", found["quilt3"], "checked"),
            "targets": {
                "first": 12,
                "again": 200,
                "restarted": 50,
                "verdict_by_quilt3_checked": 0.2,
                "ours_peak_mb": 300,
                "shell_tail": 0.3,
            },
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
