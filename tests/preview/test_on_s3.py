"""What is read of a large file in a bucket, counted by the proxy."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.s3_access import S3Access
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest
from quilt_mcp.domain.plan import Source as Origin
from quilt_mcp.preview import looks
from quilt_mcp.preview.source import Source

pytestmark = pytest.mark.anyio

ROWS = int(os.environ.get("QUILT_TEST_PARQUET_ROWS", "150000"))
"""2,000,000 make a file of 200 MB."""


@pytest.fixture
def ops(moto: S3Access, moto_proxy: Proxy, tmp_path: Path) -> IamOps:
    return iam_ops(moto.via(moto_proxy.url), moto.make_bucket(), roots=(tmp_path,), cache=tmp_path / "cache")


async def source_of(ops: IamOps, path: Path) -> Source:
    """The file, packaged into the bucket."""
    package = PackageUri(ops.default_registry, "a/tables")
    made = await ops.create(CreateRequest(package, sources=(Origin(str(path)),), overwrite=True))
    uri = PackageUri(ops.default_registry, "a/tables", top_hash=made.top_hash, path=path.name)
    size = (await ops.stat(uri)).size

    async def fetch(offset: int, length: int) -> bytes:
        return (await ops.read(uri, offset=offset, length=length)).data

    return Source(path.name, size, fetch)


async def test_info_of_a_large_parquet_file_reads_its_footer_and_a_few_columns(
    ops: IamOps, moto_proxy: Proxy, tmp_path: Path
) -> None:
    path = tmp_path / "large.parquet"
    with duckdb.connect() as engine:
        columns = ", ".join(f"md5((i * {one})::VARCHAR) AS c{one}" for one in range(1, 4))
        engine.execute(
            f"COPY (SELECT i AS id, random() AS x, {columns} FROM range({ROWS}) t(i)) TO '{path}' (FORMAT parquet)"
        )
    source = await source_of(ops, path)
    with moto_proxy.recording() as recorded:
        found = await looks.inside(source)
    assert found is not None and found.facts["rows"] == ROWS
    assert found.facts["first_columns"] == ["id", "x"]
    reads = recorded.of("GetObject")
    assert len(reads) == 2
    with moto_proxy.recording() as counting:
        counted = await looks.rows(source, None, "0:0", None, 1_000)
    assert counted.total == ROWS
    assert len(counting.of("GetObject")) == 1
    with moto_proxy.recording() as ranged:
        rows = await looks.rows(source, ["x", "id"], f"{ROWS - 2}:", "id >= 0", 10_000)
        assert [one[1] for one in rows.rows] == [ROWS - 2, ROWS - 1]
        rows = await looks.rows(source, ["id"], None, f"id = {ROWS - 2}", 10_000)
    assert rows.rows == [[ROWS - 2]]
    assert len(ranged.of("GetObject")) <= 6 + ROWS // 100_000


async def test_info_of_a_large_csv_file_reads_its_first_megabyte(
    ops: IamOps, moto_proxy: Proxy, tmp_path: Path
) -> None:
    path = tmp_path / "large.csv"
    path.write_text("id,value\n" + "".join(f"{one},value {one}\n" for one in range(200_000)))
    source = await source_of(ops, path)
    with moto_proxy.recording() as recorded:
        found = await looks.inside(source)
    assert found is not None and found.facts["columns"] == {"id": "BIGINT", "value": "VARCHAR"}
    assert "rows" not in found.facts
    assert found.facts["bytes_read"] <= (1 << 20) + 1
    assert len(recorded.of("GetObject")) == 2
