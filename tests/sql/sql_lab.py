"""A registry of packages that quilt3 wrote, with tables in them, and what queries it."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import quilt3

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.sql import SqlRequest, SqlRows

GROWTH = [
    (number, f"R{number % 3:02d}", number * 1.5, None if number % 7 == 0 else f"t-{number}")
    for number in range(300)
]
"""Rows: plant, row, height, tag."""


def write_tables(folder: Path) -> None:
    """The same rows in each kind, and odd ones."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["plant,row,height,tag", *(f"{a},{b},{c},{d or ''}" for a, b, c, d in GROWTH)]
    text = "".join(f"{line}\n" for line in lines)
    (folder / "growth.csv").write_text(text)
    (folder / "growth.tsv").write_text(text.replace(",", "\t"))
    (folder / "growth.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "growth.jsonl").write_text(
        "".join(json.dumps({"plant": a, "row": b, "height": c, "tag": d}) + "\n" for a, b, c, d in GROWTH)
    )
    with duckdb.connect() as engine:
        source = f"SELECT * FROM read_csv('{folder}/growth.csv')"
        engine.execute(f"COPY ({source}) TO '{folder}/growth.parquet' (FORMAT parquet)")
    (folder / "one.json").write_text('{"a": 1}')
    (folder / "ragged.csv").write_text("a,b,c\n1,2,3\n4,5\n6,7,8\n")
    (folder / "late.csv").write_text("a,b\n" + "1,2\n" * 30_000 + "3,4,5\n")
    (folder / "latin.csv").write_bytes("name,n\nMüller,1\n".encode("latin-1"))
    (folder / "lying.parquet").write_bytes(b"a,b\n1,2\n")
    (folder / "notes.txt").write_text("no table")


def build(
    registry: Path,
    name: str,
    files: Mapping[str, Path],
    *,
    meta: Mapping[str, Any] | None = None,
    message: str = "",
) -> str:
    package = quilt3.Package()
    for path, source in files.items():
        package.set(path, str(source))
    package.set_meta(dict(meta or {}))
    return package.build(name, registry=registry.as_uri(), message=message or None)


def write_lab(root: Path) -> tuple[Path, dict[str, list[str]]]:
    """Registry and, by package, its top hashes, oldest first."""
    registry, files = root / "registry", root / "files"
    registry.mkdir()
    write_tables(files)
    hashes: dict[str, list[str]] = {}
    every = {f"data/{one.name}": one for one in sorted(files.iterdir())}
    hashes["lab/growth"] = [
        build(registry, "lab/growth", every, meta={"lab": "blau", "lots": [1, 2]}, message="first")
    ]
    (extra := root / "extra").mkdir()
    for number in range(3):
        (extra / f"p{number}.csv").write_text(f"id,v\n{number},{number * 10}\n")
    parts = {f"parts/p{number}.csv": extra / f"p{number}.csv" for number in range(3)}
    hashes["lab/parts"] = [
        build(registry, "lab/parts", {"parts/p0.csv": parts["parts/p0.csv"]}, message="one")
    ]
    time.sleep(1.1)  # quilt3 names revisions by seconds
    hashes["lab/parts"].append(build(registry, "lab/parts", parts, message="all"))
    hashes["team/copy"] = [build(registry, "team/copy", parts, message="all")]
    chosen = random.Random(1)
    for number in range(12):
        (one := extra / f"x{number}.bin").write_bytes(b"x" * chosen.randrange(1, 500))
        hashes[f"many/p{number}"] = [
            build(
                registry,
                f"many/p{number}",
                {"x.bin": one, "sub/é ü.txt": files / "notes.txt"},
                meta={"n": number},
            )
        ]
    return registry, hashes


def local_ops(registry: Path, cache: Path, *others: Path, writable: bool = False) -> LocalOps:
    options = Options(
        roots=(registry.parent, *(one.parent for one in others)),
        writable=writable,
        cache=cache,
        cache_bytes=1 << 30,
        local_registry=str(others[0]) if others else None,
    )
    return LocalOps(registry.as_uri(), options)


async def ask(ops: Any, sql: str, *packages: str, limit: int = 100, **more: Any) -> SqlRows:
    room, cursor = more.pop("room", 1 << 20), more.pop("cursor", None)
    request = SqlRequest(sql, tuple(address(ops, one) for one in packages), **more)
    return await ops.sql.query(request, limit=limit, room=room, cursor=cursor)


def address(ops: Any, package: str) -> str:
    return package if package.startswith("quilt+") else f"quilt+{ops.default_registry}#package={package}"


def values(found: SqlRows) -> Sequence[Sequence[Any]]:
    return [list(row) for row in found.rows]
