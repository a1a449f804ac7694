"""The readers of data that people have: pandas, polars, dask on two processes and DuckDB on four threads, over one package in a
folder and on S3; and what S3 is asked for."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import dask
import dask.dataframe as dd
import duckdb
import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pyarrow.parquet
import pytest
from lab import Lab

from parts.proxy import Proxy
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.python_files import AccessRefused, ContentMismatch, InvalidAddress, ReadOnlyRevision

BIG = "lab/big"
ROWS = 230_000

pytestmark = pytest.mark.xdist_group("python_files")  # so that one worker alone publishes the packages


def test_pandas_reads_a_file_by_either_form_of_its_address(lab: Lab) -> None:
    uri = str(PackageUri(lab.registry, "lab/growth", lab.top_hash, None, "data/growth.csv"))
    expected = pd.read_csv(lab.source / "data" / "growth.csv")
    for address in (uri, lab.url("data/growth.csv")):
        pd.testing.assert_frame_equal(pd.read_csv(address, storage_options=lab.options or None), expected)
    frame = pd.read_parquet(
        lab.url("data/part-1.parquet"), storage_options=lab.options or None, columns=["row"]
    )
    assert frame["row"].tolist() == list(range(1000, 2000))


def test_pandas_and_pyarrow_read_a_folder_as_one_table(lab: Lab) -> None:
    fs = lab.view()
    parts = fs.glob(lab.plain("data/*.parquet"))
    assert pyarrow.dataset.dataset(parts, filesystem=fs).count_rows() == 3000
    only = str(PackageUri(lab.registry, "lab/growth", None, None, "data/part-2.parquet"))
    assert pyarrow.parquet.read_table(fs._strip_protocol(only), filesystem=fs).num_rows == 1000


def test_polars_reads_opened_files_and_scans_by_range(lab: Lab) -> None:
    fs = lab.view()
    with fs.open(lab.plain("data/growth.csv")) as file:
        assert pl.read_csv(file)["height"].to_list() == [84.2, 91.0]
    with fs.open(lab.plain("data/part-0.parquet")) as file:
        assert pl.scan_parquet(file).select(pl.len()).collect().item() == 1000
    parts = pyarrow.dataset.dataset(fs.glob(lab.plain("data/*.parquet")), filesystem=fs)
    frame = pl.scan_pyarrow_dataset(parts).filter(pl.col("piece") == 1).select(pl.col("row").sum()).collect()
    assert frame.item() == sum(range(1000, 2000))


@pytest.mark.parametrize("lab", ["folder", pytest.param("bucket", marks=pytest.mark.nightly)], indirect=True)
def test_dask_reads_a_set_of_files_as_one_frame_on_two_processes(lab: Lab) -> None:
    with dask.config.set(scheduler="processes", num_workers=2):
        frame = dd.read_parquet(lab.url("data/*.parquet"), storage_options=lab.options)
        total, rows = dask.compute(frame["row"].sum(), frame.shape[0])
        table = dd.read_csv(lab.url("data/*.csv"), storage_options=lab.options)
        assert (total, rows, len(table)) == (sum(range(3000)), 3000, 2)


def test_what_dask_names_a_frame_by_changes_with_the_revision(folder_lab: Lab, tmp_path: Path) -> None:
    folder = folder_lab.source.parent / "named"
    folder.mkdir(exist_ok=True)

    def names() -> tuple[str, str]:
        made = dd.read_parquet(folder_lab.url("*.parquet", "lab/named"), storage_options=folder_lab.options)
        text = dd.read_csv(folder_lab.url("x.csv", "lab/named"), storage_options=folder_lab.options)
        return made._name, text._name

    def publish(value: int) -> None:
        pd.DataFrame({"a": [value]}).to_parquet(folder / "x.parquet")
        (folder / "x.csv").write_text(f"a\n{value}\n")
        folder_lab.publish("lab/named", folder)

    publish(1)
    first = names()
    assert names() == first
    publish(2)
    assert not set(names()) & set(first)


def test_duckdb_reads_on_four_threads(lab: Lab) -> None:
    with duckdb.connect(config={"threads": 4}) as connection:
        connection.register_filesystem(lab.view())
        for _ in range(5):
            query = f"SELECT count(*), sum(row), count(DISTINCT piece) FROM '{lab.url('data/*.parquet')}'"
            assert connection.sql(query).fetchall() == [(3000, sum(range(3000)), 3)]
        uri = str(PackageUri(lab.registry, "lab/growth", None, None, "data/growth.csv"))
        assert connection.sql(f"SELECT max(height) FROM read_csv('{uri}')").fetchall() == [(91.0,)]
        with pytest.raises(duckdb.Error, match="never changes"):
            connection.sql(f"COPY (SELECT 1) TO '{lab.url('data/new.parquet')}'")


def test_pandas_is_told_why_and_does_not_go_on_as_somebody_else(
    bucket_lab: Lab, monkeypatch: pytest.MonkeyPatch, moto_proxy: Proxy
) -> None:
    """At a PermissionError pandas asks again with ``anon``."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with (
        moto_proxy.recording() as seen,
        pytest.raises(AccessRefused, match="No usable credentials were found"),
    ):
        pd.read_csv(bucket_lab.url("data/growth.csv"), storage_options={"cache_bytes": 1 << 22})
    assert seen.total == 0
    with pytest.raises(ReadOnlyRevision):
        pd.DataFrame({"a": [1]}).to_csv(bucket_lab.url("data/new.csv"))
    with pytest.raises(InvalidAddress, match="anonymous=True"):
        pd.read_csv(bucket_lab.url("data/growth.csv"), storage_options={"anon": True})


# -- a table of over 20 MB on S3 --


@pytest.fixture(scope="module")
def big(bucket_lab: Lab) -> Lab:
    folder = bucket_lab.source.parent / "big"
    folder.mkdir()
    numbers = np.random.default_rng(3)
    frame = pd.DataFrame({f"c{n}": numbers.random(ROWS) for n in range(10)})
    frame["id"] = np.arange(ROWS)
    frame.to_parquet(folder / "table.parquet", row_group_size=ROWS // 6 + 1)
    assert (folder / "table.parquet").stat().st_size > 20 << 20
    bucket_lab.publish(BIG, folder)
    return bucket_lab


@pytest.fixture
def opened(big: Lab) -> Iterator[duckdb.DuckDBPyConnection]:
    """With a view that has met the package: what is counted is the table's."""
    fs = big.view()
    fs.cat_file(big.plain("table.parquet", BIG), 0, 4)
    with duckdb.connect(config={"threads": 4}) as connection:
        connection.register_filesystem(fs)
        yield connection


def test_a_count_reads_the_end_of_a_large_table_alone(
    big: Lab, opened: duckdb.DuckDBPyConnection, moto_proxy: Proxy
) -> None:
    url = big.url("table.parquet", BIG)
    with moto_proxy.recording() as seen:
        assert opened.sql(f"SELECT count(*) FROM '{url}'").fetchall() == [(ROWS,)]
    assert seen.total <= 2 and seen.sent < 1 << 19, (seen.counts, seen.sent)


def test_one_column_of_eleven_is_read_by_its_ranges(
    big: Lab, opened: duckdb.DuckDBPyConnection, moto_proxy: Proxy
) -> None:
    size = big.view().size(big.plain("table.parquet", BIG))
    with moto_proxy.recording() as seen:
        [(mean, least)] = opened.sql(
            f"SELECT avg(c3), min(c3) FROM '{big.url('table.parquet', BIG)}'"
        ).fetchall()
    assert 0.49 < mean < 0.51 and least >= 0
    assert seen.sent < size / 6 and seen.total <= 20, (seen.counts, seen.sent)
    with moto_proxy.recording() as seen:
        frame = pd.read_parquet(big.url("table.parquet", BIG), columns=["id"])
    assert frame["id"].sum() == ROWS * (ROWS - 1) // 2
    assert seen.sent < size / 4, (seen.counts, seen.sent)
    assert len(pd.read_parquet(big.url("", BIG), columns=["id"])) == ROWS  # the package as a folder of pieces


def test_threads_that_seek_and_read_one_handle_get_what_they_sought(big: Lab) -> None:
    whole = (big.source.parent / "big" / "table.parquet").read_bytes()
    wrong: list[int] = []
    with big.view().open(big.plain("table.parquet", BIG)) as file:
        at_once = threading.Barrier(4)

        def read(seed: int) -> None:
            numbers = random.Random(seed)
            for _ in range(10):
                at, length = numbers.randrange(len(whole)), numbers.randrange(1, 3000)
                file.seek(at)
                at_once.wait(60)
                if file.read(length) != whole[at : at + length]:
                    wrong.append(at)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        [one.start() for one in threads]
        [one.join() for one in threads]
    assert wrong == []


def test_threads_that_hand_a_file_on_read_it_in_order(big: Lab) -> None:
    whole = (big.source.parent / "big" / "table.parquet").read_bytes()[:400_000]
    found: list[bytes] = []
    with big.view().open(big.plain("table.parquet", BIG)) as file:
        file.seek(0)
        for number in range(4):
            one = threading.Thread(target=lambda: found.append(file.read(50_000)))
            one.start()
            one.join()
            if number == 2:
                file.seek(50_000, 1)
            found.append(file.read(50_000 if number < 3 else 0))
    assert b"".join(found) == whole[:250_000] + whole[300_000:]


def test_a_file_read_in_order_takes_few_requests(big: Lab, moto_proxy: Proxy) -> None:
    fs, path = big.view(), big.plain("table.parquet", BIG)
    size = fs.size(path)
    with moto_proxy.recording() as seen, fs.open(path) as file:
        while file.read(10_000):
            pass
    assert seen.total <= 14 and size <= seen.sent < size * 1.02, (seen.counts, seen.sent)


def test_a_table_that_was_changed_is_told_to_pandas(folder_lab: Lab) -> None:
    folder = folder_lab.source.parent / "told"
    folder.mkdir(exist_ok=True)
    (folder / "x.csv").write_text("a\n1\n")
    folder_lab.publish("lab/told", folder)
    (folder / "x.csv").write_text("a\n2\n")
    with pytest.raises(ContentMismatch, match="Use nothing that was read of it"):
        pd.read_csv(folder_lab.url("x.csv", "lab/told"), storage_options=folder_lab.options)
    with (
        fsspec.open(folder_lab.url("x.csv", "lab/told"), "r", **folder_lab.options) as file,
        pytest.raises(ContentMismatch),
    ):
        file.read()
