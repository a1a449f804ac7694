"""Search with no server: building a registry's catalog, and whole answers beside the engine's bare count on the same tables.

``build``: a first search in a new process with an empty cache, in CPU seconds. ``refresh``: one new revision of 1,000 entries.
``answer``: a whole one (total, two facets, 30 rows) by each operator, its CPU over that of ``SELECT count(*) .. WHERE
contains(path, ..)`` over the same files, in turn in one process. ``rank``: scores of all packages. ``memory``: what the process
holds more after all that than before.

python bench/search.py [--entries 1000000] [--packages 300] [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from harness import report
from sides import answer, open_ours, peak_mb

OPERATORS = {
    "word": "fastq",
    "rare word": "000144",
    "phrase": '"r01 fastq"',
    "beginning": "R0*",
    "infix": "*onfoca*",
    "pattern": "conf*stack",
    "path pattern": "path:*.fastq.gz",
    "regular expression": "/r0[12].*fastq/",
    "size": "size:>1MB",
    "ending": "ext:tif",
    "metadata": "file_meta./well:A1",
    "two words": "fastq R01",
    "not": "fastq NOT R01",
    "package": "fastq meta./run:7",
}
WORDS = ("raw", "processed", "confocal", "stack", "organoid", "sample", "qc", "plate", "R01", "R02", "batch")
ENDINGS = ("fastq.gz", "tif", "csv", "parquet", "txt", "json")
COMPARED = ("size", "ext")


def write_registry(folder: Path, entries: int, packages: int) -> None:
    """Manifests as quilt3 spells them, in five styles of naming, and their pointers."""
    for number in range(packages):
        write_package(folder, number, entries // packages)


def write_package(folder: Path, number: int, entries: int) -> None:
    from quilt_mcp.registry.manifests.look import look_through

    chosen = random.Random(number)
    styles = (
        lambda at: f"{chosen.choice(WORDS)}/{chosen.choice(WORDS)}_{at:06d}.{chosen.choice(ENDINGS)}",
        lambda at: (
            f"data/{chosen.choice(WORDS)}/run{at % 40}/{chosen.choice(WORDS)}-{at}.{chosen.choice(ENDINGS)}"
        ),
        lambda at: f"{at % 30:03d}/{chosen.choice(WORDS)}_{chosen.choice(WORDS)}_R0{at % 3}_fastq_{at}.gz",
        lambda at: f"images/{chosen.choice(WORDS)}/z{at % 20:02d}/t{at:05d}.tif",
        lambda at: f"{chosen.choice(WORDS)} {chosen.choice(WORDS)} {at}.{chosen.choice(ENDINGS)}",
    )
    style = styles[number % len(styles)]
    keys = sorted({style(at) for at in range(entries)}, key=lambda key: key.replace("/", "\0"))
    header = {
        "version": "v0", "message": f"{chosen.choice(WORDS)} {chosen.choice(WORDS)} of {number}",
        "user_meta": {"run": number % 20, "operator": chosen.choice(WORDS), "note": " ".join(chosen.choices(WORDS, k=40))},
    }  # fmt: skip
    lines = [json.dumps(header)]
    for key in keys:
        record = {
            "logical_key": key,
            "physical_keys": [f"s3://some-bucket/pk/{number}/{key}?versionId={chosen.getrandbits(128):032x}"],
            "size": chosen.randrange(10**7),
            "hash": {"type": "SHA256", "value": f"{chosen.getrandbits(256):064x}"},
            "meta": {"user_meta": {"well": f"A{chosen.randrange(12)}"}} if chosen.random() < 0.1 else {},
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    found, index = look_through("\n".join(lines).encode() + b"\n")
    assert index.found_hash is not None
    manifests, pointers = (
        folder / ".quilt/packages",
        folder / f".quilt/named_packages/lab{number % 7}/p{number}",
    )
    for made in (manifests, pointers):
        made.mkdir(parents=True, exist_ok=True)
    (manifests / index.found_hash).write_bytes(found.read(0, found.size))
    for tag in ("1700000000", "latest"):
        (pointers / tag).write_text(index.found_hash)


async def bring(ops: Any) -> Any:
    """The registry's catalog, up to date, as a search has it."""
    from quilt_mcp.domain.search.request import SearchRequest

    return await ops.search.search(SearchRequest("", build=True), limit=0)


def build_side(registry: Path, cache: Path) -> None:
    async def build() -> None:
        ops = open_ours(registry, cache)
        start = time.process_time()
        found = await bring(ops)
        answer({"seconds": time.process_time() - start, "peak_mb": peak_mb(), "packages": found.total})

    asyncio.run(build())


def refresh_side(registry: Path, cache: Path, number: int) -> None:
    async def refresh() -> None:
        ops = open_ours(registry, cache)
        await bring(ops)
        write_package(registry, number, 1_000)
        start = time.process_time()
        await bring(ops)
        whole = time.process_time() - start
        start = time.process_time()
        await bring(ops)
        answer({"seconds": whole - (time.process_time() - start), "with_answer": whole})

    asyncio.run(refresh())


def query_side(registry: Path, cache: Path, rounds: int) -> None:
    from quilt_mcp.domain.search.query.parse import parse_query
    from quilt_mcp.domain.search.request import SearchRequest
    from quilt_mcp.search.engine import Connection

    async def ask() -> None:
        ops = open_ours(registry, cache)
        before = peak_mb()
        await bring(ops)
        catalog = next(iter(ops.catalogs.made()._catalogs.values()))
        state = catalog.state()
        figures: dict[str, Any] = {"operators": {}}

        def bare(connection: Connection, view: Any) -> Any:
            return connection.rows(f"SELECT count(*) FROM {view.entries()} WHERE contains(lpath, 'fastq')")

        async def timed(act: Any) -> tuple[float, float]:
            wall, start = time.perf_counter(), time.process_time()
            await act()
            return time.process_time() - start, time.perf_counter() - wall

        for name, text in OPERATORS.items():
            for scope in ("entries", "packages"):
                shown = text.replace("size:", "file_size:") if scope == "packages" else text
                request = SearchRequest(
                    shown, scope, facets=COMPARED if scope == "entries" else ("size", "modified")
                )
                bares: list[float] = []
                ours: list[tuple[float, float]] = []
                total = 0
                for _ in range(rounds):
                    bares.append((await timed(lambda: catalog.ask(state, bare)))[0])

                    async def whole(request: SearchRequest = request) -> None:
                        nonlocal total
                        total = (await ops.search.search(request, limit=30)).total or 0

                    ours.append(await timed(whole))
                figures["operators"][f"{name}, {scope}"] = {
                    "ratio": round(median(one for one, _ in ours) / median(bares), 2),
                    "cpu_ms": round(median(one for one, _ in ours) * 1e3, 1),
                    "wall_ms": round(median(wall for _, wall in ours) * 1e3, 1),
                    "bare_cpu_ms": round(median(bares) * 1e3, 1),
                    "total": total,
                }
        from datetime import UTC, datetime

        query = parse_query("confocal organoid OR fastq", "packages", datetime.now(UTC))
        ranked = []
        for _ in range(rounds):
            ranked.append(
                (await timed(lambda: catalog.ask(state, lambda c, v: catalog.texts.scores(c, v, query))))[1]
            )
        figures["rank_ms"] = round(median(ranked) * 1e3, 1)
        figures["memory_mb"] = round(peak_mb() - before, 1)
        figures["disk_mb"] = round(
            sum(one.stat().st_size for one in cache.rglob("*") if one.is_file()) / 1e6, 1
        )
        answer(figures)

    asyncio.run(ask())


def run_side(*given: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *given], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--packages", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--name", default="search")
    parser.add_argument("--side")
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    if given.side:
        act = {
            "build": lambda: build_side(given.registry, given.cache),
            "refresh": lambda: refresh_side(given.registry, given.cache, given.packages + 1),
            "query": lambda: query_side(given.registry, given.cache, given.rounds),
        }
        act[given.side]()
        return
    with tempfile.TemporaryDirectory() as folder:
        registry, cache = Path(folder) / "registry", Path(folder) / "cache"
        write_registry(registry, given.entries, given.packages)
        places = ["--registry", str(registry), "--cache", str(cache), "--packages", str(given.packages)]
        build = run_side("--side", "build", *places)
        query = run_side("--side", "query", *places, "--rounds", str(given.rounds))
        refresh = run_side("--side", "refresh", *places)
    ratios = [one["ratio"] for one in query["operators"].values()]
    report(
        given.name,
        {
            "entries": given.entries,
            "packages": given.packages,
            "build_entries_per_cpu_second": round(given.entries / build["seconds"]),
            "build_peak_mb": build["peak_mb"],
            "disk_mb_per_million": round(query["disk_mb"] / given.entries * 1e6, 1),
            "refresh_of_1000_by_build": round(refresh["seconds"] / build["seconds"], 5),
            "answer_by_bare_count_median": round(median(ratios), 2),
            "answer_by_bare_count_greatest": max(ratios),
            "answer_wall_ms_greatest": max(one["wall_ms"] for one in query["operators"].values()),
            **query,
        },
    )


if __name__ == "__main__":
    main()
