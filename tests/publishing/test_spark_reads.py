"""The published tables as Spark reads them. Skipped without QUILT_MCP_SPARK_PYTHON, a Python that has pyspark 4 (and a JDK)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from publishing_lab import COLUMNS, comparable, local_ops, plain, publish, told_by_quilt3, write, write_some

from athena.on_spark import PYTHON, spark
from quilt_mcp.domain.publication import NAMES

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.anyio,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PYTHON, reason="QUILT_MCP_SPARK_PYTHON names no Python with pyspark"),
]


async def test_spark_reads_a_folder_and_what_the_state_names(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    write_some(registry)
    ops = local_ops(registry, tmp_path / "cache")
    await publish(ops)
    write(registry, "new/one", {"only.txt": "1"}, message="new")
    await publish(ops)
    tables = registry / ".quilt" / "tables"
    wanted = told_by_quilt3(registry.as_uri())
    state = json.loads((tables / "_publication.json").read_text())["tables"]
    with spark() as engine:
        for name in NAMES:
            columns = ", ".join(COLUMNS[name])
            found = engine.run(f"SELECT {columns} FROM parquet.`{tables / name}`")
            assert comparable({name: plain(name, found)}) == comparable({name: wanted[name]})
            each = " UNION ALL ".join(
                f"SELECT {columns} FROM parquet.`{tables / one}`" for one in state[name]
            )
            assert comparable({name: plain(name, engine.run(each))}) == comparable({name: wanted[name]})
