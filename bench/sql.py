"""SQL in a box beside DuckDB by itself on the same files, in turn in one process.

``entries``: ``SELECT count(*), sum(size) FROM package_entry`` over a million entries; ``file``: an aggregate over a CSV of a
package. Of each: milliseconds of DuckDB's own run over the very files, of a query with a child that waits (``spare``), and of one
that starts its child (``cold``); ``child``: of ``SELECT 1``, what the box costs by itself. ``over_spare`` is what a query
takes beyond 1.3 times DuckDB's.

python bench/sql.py [--entries 1000000] [--packages 300] [--rounds 15]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from harness import report
from search import write_registry
from sides import answer, open_ours, peak_mb

ROWS = 500_000


def write_file(registry: Path) -> Path:
    import quilt3

    table = registry / "table.csv"
    with table.open("w") as file:
        file.write("plant,row,height\n")
        file.writelines(f"{number},R{number % 7:02d},{number % 1000 / 10}\n" for number in range(ROWS))
    package = quilt3.Package()
    package.set("table.csv", str(table))
    package.build("bench/table", registry=registry.as_uri())
    return table


def query_side(registry: Path, cache: Path, rounds: int) -> None:
    import duckdb

    from quilt_mcp.domain.sql import SqlRequest
    from quilt_mcp.search.tables import live_parts

    async def ask() -> None:
        ops = open_ours(registry, cache)
        before = peak_mb()
        sql = ops.sql.made()
        entries = SqlRequest("SELECT count(*), sum(size) FROM package_entry")
        table = registry / "table.csv"
        by_row = "SELECT row, avg(height) FROM {} GROUP BY ALL ORDER BY row"
        file = SqlRequest(by_row.format("'bench/table/table.csv'"))
        one = SqlRequest("SELECT 1")
        await sql.query(entries)
        [(catalog, brought)] = await ops.catalogs.made().brought([registry.as_uri()])
        parts = [
            str(part.entries) for part in live_parts(catalog.folder.path(), brought.state) if part.entries
        ]
        engine = duckdb.connect()
        engine.execute("SET threads = 2")
        bare = {
            "entries": f"SELECT count(*), sum(size) FROM read_parquet({parts})",
            "file": by_row.format(f"read_csv('{table}')"),
        }
        times: dict[str, list[float]] = {}

        def note(name: str, begun: float) -> None:
            times.setdefault(name, []).append((time.perf_counter() - begun) * 1e3)

        for _ in range(rounds):
            for name, request in (("entries", entries), ("file", file), ("child", one)):
                if name in bare:
                    begun = time.perf_counter()
                    engine.execute(bare[name]).fetchall()
                    note(f"{name} duckdb", begun)
                await asyncio.sleep(0.5)  # the spare is ready by then, as between two calls of an agent
                begun = time.perf_counter()
                await sql.query(request)
                note(f"{name} spare", begun)
                await sql.close()
                begun = time.perf_counter()
                await sql.query(request)
                note(f"{name} cold", begun)
        figures: dict[str, Any] = {name: round(median(some), 1) for name, some in times.items()}
        for name in bare:
            for way in ("spare", "cold"):
                figures[f"{name} over_{way}"] = round(
                    figures[f"{name} {way}"] - 1.3 * figures[f"{name} duckdb"], 1
                )
        await sql.close()
        answer(figures | {"server_mb": round(peak_mb() - before, 1)})

    asyncio.run(ask())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--packages", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    if options.registry is not None:
        query_side(options.registry, options.cache, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        registry, cache = Path(folder, "registry"), Path(folder, "cache")
        registry.mkdir()
        write_registry(registry, options.entries, options.packages)
        write_file(registry)
        import json

        done = subprocess.run(
            [
                sys.executable,
                __file__,
                "--registry",
                registry,
                "--cache",
                cache,
                "--rounds",
                str(options.rounds),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        figures = json.loads(done.stdout.splitlines()[-1])
        report("sql", {"entries": options.entries, "packages": options.packages, "milliseconds": figures})


if __name__ == "__main__":
    main()
