"""Packed files that were cut short, or have several parts."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from sql_lab import ask, build, local_ops, values

from quilt_mcp.errors import Undecodable

pytestmark = pytest.mark.anyio


async def test_zstandard_that_is_cut_short_is_told(tmp_path: Path) -> None:
    (registry := tmp_path / "registry").mkdir()
    (files := tmp_path / "files").mkdir()
    with duckdb.connect() as engine:
        form = "FORMAT csv, HEADER false, COMPRESSION zstd"
        engine.execute(
            f"COPY (SELECT range, hash(range) FROM range(100000)) TO '{files}/whole.csv.zst' ({form})"
        )
        engine.execute(f"COPY (SELECT 1, repeat('x', 300000)) TO '{files}/run.csv.zst' ({form})")
    whole = (files / "whole.csv.zst").read_bytes()
    skipped = (0x184D2A51).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    (files / "several.csv.zst").write_bytes(whole + skipped + whole)
    cuts = {
        "half": len(whole) // 2,
        "end": len(whole) - 3,
        "head": 5,
        "second": len(whole) + len(skipped) + 9,
    }
    for name, length in cuts.items():
        (files / f"{name}.csv.zst").write_bytes((whole + skipped + whole)[:length])
    build(registry, "a/b", {one.name: one for one in files.iterdir()})
    ops = local_ops(registry, tmp_path / "cache")
    for name, count in {"whole": 100_000, "several": 200_000, "run": 1}.items():
        assert values(await ask(ops, f"SELECT count(*) FROM '{name}.csv.zst'", "a/b")) == [[count]], name
    for name in cuts:
        with pytest.raises(Undecodable) as caught:
            raise AssertionError(
                name, values(await ask(ops, f"SELECT count(*) FROM '{name}.csv.zst'", "a/b"))
            )
        assert f"{name}.csv.zst is cut short" in caught.value.message
