"""Two files of a million rows and ten columns compared cell by cell, beside DuckDB's own full outer join of the same files.

DuckDB by itself is told the key and compares every other column: one query that counts rows added and removed, and of each
column the cells that differ, with two threads as our child has. Ours finds the key, checks it, counts the same, and shows
samples. Both in turn in one process, on CSV and on Parquet; ``child_mb`` is the most that our child held.

python bench/table_diff.py [--rows 1000000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from harness import report
from sides import answer

FORMS = ("csv", "parquet")
COLUMNS = ("sample", "n1", "f1", "f2", "kind", "day", "name", "ok", "price")
_BEFORE = """
SELECT i AS id, 'S' || (i % 977) AS sample, (i * 7919) % 1000003 AS n1, random() AS f1, random() * 100 AS f2, i % 13 AS kind,
DATE '2026-01-01' + (i % 300)::INT AS day,
'name-' || ((i * 31) % 500000) AS name, i % 2 = 0 AS ok, round(random() * 1000, 2) AS price
FROM range({rows}) t(i) ORDER BY hash(i)
"""
_AFTER = """
SELECT id + (CASE WHEN id % 1000 = 7 THEN 5000000 ELSE 0 END) AS id, sample, n1, f1,
CASE WHEN id % 50 = 3 THEN f2 + 1 ELSE f2 END AS f2, kind, day, CASE WHEN id % 333 = 3 THEN 'x' ELSE name END AS name, ok, price
FROM before ORDER BY hash(id + 1)
"""


def write_files(registry: Path, rows: int) -> None:
    import duckdb
    import quilt3

    package = quilt3.Package()
    with duckdb.connect() as engine:
        engine.execute(f"CREATE TABLE before AS {_BEFORE.format(rows=rows)}")
        engine.execute(f"CREATE TABLE after AS {_AFTER}")
        for side in ("before", "after"):
            for form in FORMS:
                engine.execute(f"COPY {side} TO '{registry / f'{side}.{form}'}'")
                package.set(f"{side}.{form}", str(registry / f"{side}.{form}"))
    package.build("bench/tables", registry=registry.as_uri())


def full_join(registry: Path, form: str) -> str:
    cells = ", ".join(
        f"count(*) FILTER (a.id IS NOT NULL AND b.id IS NOT NULL AND a.{one} IS DISTINCT FROM b.{one})"
        for one in COLUMNS
    )
    return (
        f"SELECT count(*) FILTER (a.id IS NULL), count(*) FILTER (b.id IS NULL), {cells} FROM '{registry / f'before.{form}'}' a "
        f"FULL OUTER JOIN '{registry / f'after.{form}'}' b ON a.id = b.id"
    )


class Watch:
    """The most that any child of this process held, as the system counts it."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            for task in Path("/proc/self/task").iterdir():
                try:
                    for child in (task / "children").read_text().split():
                        for line in Path("/proc", child, "status").read_text().splitlines():
                            if line.startswith("VmHWM:"):
                                self.peak = max(self.peak, int(line.split()[1]) / 1024)
                except OSError:
                    continue

    def end(self) -> float:
        self._ended.set()
        self._thread.join()
        return round(self.peak)


def compare(registry: Path, cache: Path, rounds: int) -> None:
    import duckdb

    from quilt_mcp.domain.address import PackageUri
    from quilt_mcp.domain.table_diff import TableDiffRequest
    from sides import open_ours

    async def run() -> None:
        ops = open_ours(registry, cache)
        engine = duckdb.connect()
        engine.execute("SET threads = 2")
        found: dict[str, Any] = {}
        for form in FORMS:
            sides = [
                PackageUri(registry.as_uri(), "bench/tables", path=f"{one}.{form}")
                for one in ("before", "after")
            ]
            request, query = TableDiffRequest(sides[0], sides[1]), full_join(registry, form)
            times: dict[str, list[float]] = {"duckdb": [], "ours": []}
            watch = Watch()
            await ops.sql.compare(request)  # whose bytes are held against the manifest once
            for _ in range(rounds):
                begun = time.perf_counter()
                [[added, removed, *cells]] = engine.execute(query).fetchall()
                times["duckdb"].append(time.perf_counter() - begun)
                await asyncio.sleep(0.7)  # the spare is ready by then, as between two calls of an agent
                begun = time.perf_counter()
                told = await ops.sql.compare(request)
                times["ours"].append(time.perf_counter() - begun)
                counted = [told.cells.get(one, 0) for one in COLUMNS]
                assert (told.rows.added, told.rows.removed, counted) == (added, removed, cells), told.rows
            ratios = [ours / own for ours, own in zip(times["ours"], times["duckdb"], strict=True)]
            found[form] = {
                "ratio": round(median(ratios), 2),
                "seconds": {name: round(median(some), 3) for name, some in times.items()},
                "child_mb": watch.end(),
            }
        await ops.sql.close()
        answer(found)

    asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    if options.registry is not None:
        compare(options.registry, options.cache, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        registry, cache = Path(folder, "registry"), Path(folder, "cache")
        registry.mkdir()
        write_files(registry, options.rows)
        done = subprocess.run(
            [sys.executable, __file__, "--registry", registry, "--cache", cache, "--rounds", str(options.rounds)],
            capture_output=True, text=True, check=False, env=os.environ,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        report(
            "table_diff", {"rows": options.rows, "columns": 10, **json.loads(done.stdout.splitlines()[-1])}
        )


if __name__ == "__main__":
    main()
