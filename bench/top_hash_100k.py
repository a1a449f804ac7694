"""The top hash of 100,000 entries: quilt3's from a browsed package, ours from entries in memory and from the bytes.

python bench/top_hash_100k.py [--entries 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import report
from manifest_text import PACKAGE, write_revision
from sides import answer, interleave, medians, ratio, run

CALLS = 3


def best(call: Callable[[], str], expected: str) -> float:
    seconds: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        assert call() == expected
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def quilt3_side(registry: Path, top_hash: str) -> None:
    import quilt3

    package = quilt3.Package.browse(PACKAGE, registry=registry.as_uri(), top_hash=top_hash)

    def compute() -> str:
        return package.top_hash

    answer({"entries": best(compute, top_hash)})


def our_side(registry: Path, top_hash: str) -> None:
    from quilt_mcp.domain.manifest.top_hash import TopHash
    from quilt_mcp.registry.manifests.look import look_through
    from quilt_mcp.registry.manifests.manifest import Manifest

    body = (registry / ".quilt" / "packages" / top_hash).read_bytes()
    manifest = Manifest(top_hash, *look_through(body))
    entries = list(manifest.entries())

    def from_entries() -> str:
        whole = TopHash(manifest.header)
        for entry in entries:
            whole.add(entry)
        return whole.hexdigest()

    answer({"entries": best(from_entries, top_hash), "bytes": best(manifest.found_hash, top_hash)})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=["quilt3", "ours"])
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--top-hash")
    arguments = parser.parse_args()
    if arguments.side:
        return (quilt3_side if arguments.side == "quilt3" else our_side)(
            arguments.registry, arguments.top_hash
        )
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        registry = Path(folder) / "registry"
        options = ("--registry", str(registry), "--top-hash", write_revision(registry, arguments.entries))
        names = ("quilt3", "ours")
        found = interleave(
            {name: lambda name=name: run(__file__, name, *options) for name in names}, arguments.rounds
        )
    report(
        "top_hash_100k",
        {
            "entries": arguments.entries,
            "rounds": arguments.rounds,
            "ours_by_quilt3_from_entries": ratio(found["ours"], "entries", found["quilt3"], "entries"),
            "ours_from_bytes_by_quilt3_from_entries": ratio(
                found["ours"], "bytes", found["quilt3"], "entries"
            ),
            "targets": {"ours_by_quilt3_from_entries": 1.0},
            "medians": {name: medians(figures) for name, figures in found.items()},
        },
    )
    return None


if __name__ == "__main__":
    main()
