"""Queries over a bucket: what they cost in requests, what is kept, and that one version is read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_lab import GROWTH, ask, values, write_tables

from parts.faults import Answer
from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.querying import opening
from quilt_mcp.errors import HashMismatch, ObjectNotFound, QuiltError
from quilt_mcp.storage.cached import CONTENT

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("sql_on_s3")]
ROWS = 400_000
PUSH = """
package = quilt3.Package()
package.set_dir('data', arguments['folder'])
package.set_meta({'lab': 'rot'})
result = package.push('lab/growth', arguments['registry'], message='m', force=True).top_hash
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s3-tables")
    write_tables(folder)
    for odd in ("late.csv", "latin.csv", "lying.parquet", "ragged.csv"):
        (folder / odd).unlink()
    with duckdb.connect() as engine:
        columns = ", ".join(f"hash(range + {number}) AS c{number}" for number in range(10))
        engine.execute(
            f"COPY (SELECT {columns} FROM range({ROWS})) TO '{folder}/large.parquet' (FORMAT parquet, ROW_GROUP_SIZE 40000)"
        )
    return folder


@pytest.fixture(scope="module")
def pushed(moto: Server, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A bucket, and the top hash of what quilt3 pushed to it."""
    bucket = moto.make_bucket()
    home = tmp_path_factory.mktemp("s3-home")
    top_hash = Quilt3(home, moto).run(PUSH, folder=str(tables), registry=f"s3://{bucket}")
    yield bucket, top_hash


@pytest.fixture
def ops(
    pushed: tuple[str, str], moto: Server, moto_proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> IamOps:
    monkeypatch.setattr(opening, "RANGED", 1 << 20)
    return iam_ops(moto.via(moto_proxy.url), pushed[0], roots=(tmp_path,), cache=tmp_path / "cache")


async def test_files_and_tables_of_a_bucket(ops: IamOps, pushed: tuple[str, str], tables: Path) -> None:
    names = ["growth.csv", "growth.tsv", "growth.csv.gz", "growth.jsonl", "growth.parquet"]
    for name in names:
        found = await ask(ops, f"SELECT count(*), sum(height) FROM 'data/{name}'", "lab/growth")
        assert values(found) == [[len(GROWTH), sum(row[2] for row in GROWTH)]]
    query = (
        "SELECT logical_key, size, top_hash FROM package_entry WHERE logical_key LIKE '%growth%' ORDER BY 1"
    )
    wanted = [[f"data/{name}", (tables / name).stat().st_size, pushed[1]] for name in sorted(names)]
    assert values(await ask(ops, query)) == wanted
    bucket = f'"{pushed[0]}_package_revision"'
    assert values(await ask(ops, f"SELECT pkg_name, top_hash FROM {bucket}")) == [["lab/growth", pushed[1]]]


async def test_what_was_brought_once_is_there_the_next_time(ops: IamOps, moto_proxy: Proxy) -> None:
    query = "SELECT sum(plant)::INT FROM 'data/growth.csv'"
    total = sum(row[0] for row in GROWTH)
    with moto_proxy.recording() as first:
        assert values(await ask(ops, query, "lab/growth")) == [[total]]
    with moto_proxy.recording() as second:
        assert values(await ask(ops, query, "lab/growth")) == [[total]]
    assert first.total > second.total
    assert not [one for one in second.exchanges if "growth.csv" in one.call.key], second.counts


async def test_what_is_kept_and_damaged_is_brought_anew(ops: IamOps, tmp_path: Path) -> None:
    query = "SELECT count(*) FROM 'data/growth.csv'"
    assert values(await ask(ops, query, "lab/growth")) == [[len(GROWTH)]]
    [kept] = (tmp_path / "cache" / CONTENT).iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-4] + b"9,9\n")
    assert values(await ask(ops, query, "lab/growth")) == [[len(GROWTH)]]
    assert kept.read_bytes() == whole
    kept.write_bytes(whole[:100])
    assert values(await ask(ops, query, "lab/growth")) == [[len(GROWTH)]]


async def test_large_parquet_is_read_by_ranges(ops: IamOps, moto_proxy: Proxy, tables: Path) -> None:
    size = (tables / "large.parquet").stat().st_size
    table = "'data/large.parquet'"

    async def cost(query: str) -> tuple[Any, int, int]:
        with moto_proxy.recording() as recording:
            found = await ask(ops, query, "lab/growth")
        all_calls = [one for one in recording.exchanges if one.call.key.endswith("large.parquet")]
        calls = [one for one in all_calls if one.call.method == "GET"]
        return found, len(calls), sum(one.sent for one in calls)

    await ask(ops, "SELECT 1", "lab/growth")
    found, requests, received = await cost(f"SELECT count(*) FROM {table}")
    assert values(found) == [[ROWS]] and any("not_verified" in one for one in found.warnings)
    assert (requests <= 2, received <= 500_000) == (True, True), (requests, received)
    found, requests, received = await cost(f"SELECT count(c3) FROM {table}")
    assert values(found) == [[ROWS]]
    assert received <= size / 8, (requests, received, size)
    found, requests, received = await cost(f"SELECT * FROM {table} LIMIT 10")
    assert len(found.rows) == 10
    assert received <= size / 10 * 2.5, (requests, received, size)


async def test_a_large_file_that_is_written_over_stays_that_of_its_version(
    ops: IamOps, pushed: tuple[str, str], moto: Server, tables: Path
) -> None:
    made = io.BytesIO((tables / "large.parquet").read_bytes())
    with moto.boto() as raw:
        raw.put_object(Bucket=pushed[0], Key="lab/growth/data/large.parquet", Body=made.getvalue()[: 1 << 21])
    assert values(await ask(ops, "SELECT count(c9) FROM 'data/large.parquet'", "lab/growth")) == [[ROWS]]


async def test_a_file_that_is_shorter_by_now_was_written_over(ops: IamOps, moto_proxy: Proxy) -> None:
    """S3 has no bytes there then, and answers as to one who asks what cannot be."""
    shorter = Answer(416, "InvalidRange")
    large = moto_proxy.injecting(shorter, operation="GetObject", key="*/large.parquet", since=3)
    with large as rule, pytest.raises(HashMismatch):
        await ask(ops, "SELECT sum(c3), sum(c8) FROM 'data/large.parquet'", "lab/growth")
    assert rule.fired


async def test_a_file_that_is_gone_is_told(ops: IamOps, pushed: tuple[str, str], moto: Server) -> None:
    with moto.boto() as raw:
        key = "lab/growth/data/growth.tsv"
        for one in raw.list_object_versions(Bucket=pushed[0], Prefix=key)["Versions"]:
            raw.delete_object(Bucket=pushed[0], Key=key, VersionId=one["VersionId"])
    with pytest.raises(ObjectNotFound):
        await ask(ops, "FROM 'data/growth.tsv'", "lab/growth")


async def test_objects_of_a_bucket_are_tables(ops: IamOps, pushed: tuple[str, str], moto: Server) -> None:
    with moto.boto() as raw:
        for number in range(3):
            raw.put_object(
                Bucket=pushed[0], Key=f"plain/o{number}.csv", Body=f"id,v\n{number},{number}\n".encode()
            )
    found = await ask(
        ops,
        f"SELECT sum(v)::INT, count(DISTINCT \"$logical_key\") FROM files('s3://{pushed[0]}/plain/*.csv')",
    )
    assert values(found) == [[3, 3]]
    assert values(await ask(ops, f"SELECT id FROM 's3://{pushed[0]}/plain/o2.csv'")) == [[2]]


async def test_bytes_that_are_not_those_of_the_manifest_are_refused(
    pushed: tuple[str, str], moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    import json

    from parts.manifests import true_hash

    bucket = moto.make_bucket()
    body, other = b"x\n1\n", b"x\n2\n"
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key="a.csv", Body=other)
        entry = {
            "logical_key": "a.csv",
            "physical_keys": [f"s3://{bucket}/a.csv"],
            "size": len(body),
            "hash": {"type": "SHA256", "value": hashlib.sha256(body).hexdigest()},
            "meta": {},
        }
        manifest = b"".join(json.dumps(one).encode() + b"\n" for one in ({"version": "v0"}, entry))
        top_hash = true_hash(manifest)
        raw.put_object(Bucket=bucket, Key=f".quilt/packages/{top_hash}", Body=manifest)
        raw.put_object(Bucket=bucket, Key=".quilt/named_packages/a/b/latest", Body=top_hash.encode())
    ops = iam_ops(moto.via(moto_proxy.url), bucket, roots=(tmp_path,), cache=tmp_path / "cache")
    with pytest.raises(HashMismatch):
        await ask(ops, "FROM 'a/b/a.csv'")
    assert not [*(tmp_path / "cache" / CONTENT).iterdir()]


async def test_a_bucket_that_may_not_be_read_is_told(ops: IamOps) -> None:
    with pytest.raises(QuiltError) as caught:
        await ask(ops, "FROM 's3://no-such-bucket-at-all/x.csv'")
    assert caught.value.code in (
        "object_not_found",
        "source_not_found",
        "registry_not_found",
        "permission_denied",
    )
