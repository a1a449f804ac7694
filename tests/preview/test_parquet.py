"""Parquet by range: what is read of a file, and that rows and comparisons are those of the text tables."""

from __future__ import annotations

import json
import random
from pathlib import Path

import duckdb
import pytest
from held import Held, rows_asked

SELECT = (
    "SELECT i AS id, 'name_' || i AS name, i / 7.0 AS part, DATE '2026-01-01' + (i % 400)::INT AS day, i % 3 = 0 AS third, "
    "md5(i::VARCHAR) AS a, md5((i + 1)::VARCHAR) AS b"
)


def made(query: str, options: str = "", name: str = "t.parquet") -> Held:
    path = Path("made.parquet")
    with duckdb.connect() as engine:
        engine.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{options})")
    return Held(name, path.read_bytes())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Ten row groups."""
    path = tmp_path_factory.mktemp("large") / "large.parquet"
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY ({SELECT} FROM range(204800) t(i)) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 20480)"
        )
    return path.read_bytes()


def test_the_footer_tells_rows_columns_and_types_and_one_row_group_the_first_rows(large: bytes) -> None:
    held = Held("t.parquet", large)
    found = held.inside()
    assert (found["rows"], found["row_groups"]) == (204_800, 10)
    assert found["columns"] == {
        "id": "BIGINT",
        "name": "VARCHAR",
        "part": "DOUBLE",
        "day": "DATE",
        "third": "BOOLEAN",
        "a": "VARCHAR",
        "b": "VARCHAR",
    }
    assert found["first"][0][:3] == [0, "name_0", 0.0]
    assert held.bytes_read < (2 << 20) + (128 << 10)
    first, *rest = held.reads
    assert first == (len(large) - (64 << 10), 64 << 10)
    assert all(offset + length < len(large) // 5 for offset, length in rest)


def test_columns_too_large_for_the_first_rows_are_left_out_and_said_so() -> None:
    held = made(
        "SELECT i AS id, repeat(md5(i::VARCHAR), 400) || i AS long FROM range(2000) t(i)",
        ", COMPRESSION uncompressed",
    )
    found = held.inside()
    assert (found["first_columns"], found["first"][0]) == (["id"], [0])
    assert found["notes"][0].startswith("first_rows: of 1 of its 2 columns")


def test_counting_reads_the_footer_alone(large: bytes) -> None:
    held = Held("t.parquet", large)
    assert held.rows(start=0, stop=0)["total"] == 204_800
    assert len(held.reads) == 1


def test_a_range_reads_its_row_group_and_the_columns_that_are_named(large: bytes) -> None:
    held = Held("t.parquet", large)
    found = held.rows(start=102_399, stop=102_402, columns=["name", "ID"])
    assert found["rows"] == [[f"name_{one}", one] for one in range(102_399, 102_402)]
    assert (found["total"], found["next"]) == (204_800, 102_402)
    assert held.bytes_read < len(large) // 4


def test_a_comparison_skips_row_groups_that_their_statistics_rule_out(large: bytes) -> None:
    held = Held("t.parquet", large)
    found = held.rows(where="id >= 100000 and id < 100003", columns=["id", "day"])
    assert [one[0] for one in found["rows"]] == [100_000, 100_001, 100_002]
    assert found["total"] == 3
    assert held.bytes_read < len(large) // 10


def test_matches_are_paged_and_counted(large: bytes) -> None:
    held = Held("t.parquet", large)
    found = held.rows(where="name contains '9999'", columns=["id"], start=1, stop=3)
    assert (found["rows"], found["next"], found["total"]) == ([[19999], [29999]], 3, None)
    ids = [one for one in range(204_800) if "9999" in str(one)]
    assert held.rows(where="name contains '9999'", start=0, stop=0)["total"] == len(ids)
    assert held.rows(where="name contains '9999'", start=1_000)["rows"] == []


CONDITIONS = [
    "n = 3",
    "n != 3",
    "n > 2.5",
    "n in (1, 4, 99)",
    "x < 0.5",
    "x >= 1e0",
    "x is null",
    "x is not null and n <= 6",
    "word = 'beta'",
    "word contains 'ET'",
    "word like '_e%a'",
    "word like '%'",
    "word like 'b%t%'",
    "word < 'c'",
    "day >= 2026-02-01",
    "day = 2026-01-05",
    "ok = true",
    "ok != true",
    "moment > '2026-01-02 12:30'",
    "word != 'beta' and n > 3 and ok = false",
]


@pytest.mark.sampled(7)
@pytest.mark.parametrize("where", CONDITIONS)
def test_a_comparison_means_the_same_in_every_form_of_a_table(where: str) -> None:
    chance = random.Random(5)
    words = ["alpha", "beta", "gamma", "Beta", "bat", "zeta"]
    lines = [
        {
            "n": one,
            "x": None if one % 4 == 0 else round(chance.random() * 2, 3),
            "word": chance.choice(words),
            "day": f"2026-0{1 + one // 20}-{1 + one % 20:02}",
            "ok": chance.random() < 0.5,
            "moment": f"2026-01-{1 + one % 9:02}T{one % 24:02}:30:00",
        }
        for one in range(40)
    ]
    text = "\n".join(map(json.dumps, lines)) + "\n"
    Path("t.jsonl").write_text(text)
    with duckdb.connect() as engine:
        table = (
            "SELECT n::BIGINT AS n, x::DOUBLE AS x, word, day::DATE AS day, ok, moment::TIMESTAMP AS moment "
            "FROM read_json('t.jsonl', format = 'newline_delimited')"
        )
        engine.execute(f"COPY ({table}) TO 't.parquet' (FORMAT parquet)")
        engine.execute(f"COPY ({table}) TO 't.csv' (FORMAT csv, HEADER)")
    found = {
        name: [line[0] for line in Held(name, Path(name).read_bytes()).rows(where=where)["rows"]]
        for name in ("t.csv", "t.jsonl", "t.parquet")
    }
    assert found["t.csv"] == found["t.jsonl"] == found["t.parquet"] != []


def test_values_of_every_type_are_shown() -> None:
    held = made(
        "SELECT 12345678901234567890.5::DECIMAL(38, 1) AS huge, 1.50::DECIMAL(9, 2) AS money, 'x'::BLOB AS raw, "
        "[1, NULL, 3] AS list, {'a': 1, 'b, c': 'x'} AS struct, MAP {'k': 2} AS map, 'NaN'::DOUBLE AS nan, "
        "TIMESTAMP '2026-01-01 01:02:03' AS moment, INTERVAL 3 DAY AS span, uuid() AS id, NULL::INT AS nothing, "
        "9007199254740993 AS exact"
    )
    (line,) = held.rows()["rows"]
    assert line[:7] == [
        "12345678901234567890.5",
        "1.50",
        "base64:eA==",
        [1, None, 3],
        {"a": 1, "b, c": "x"},
        {"k": 2},
        "nan",
    ]
    assert (line[7], line[10], line[11]) == ("2026-01-01 01:02:03", None, "9007199254740993")
    assert held.inside()["columns"]["struct"].startswith("STRUCT")


@pytest.mark.parametrize("name", ['a"b', "a, b", "a'b", "row number", "ä.ö", "select", "1"])
def test_a_column_may_have_any_name(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    held = made(f"SELECT i * 10 AS {quoted}, i * 2 AS other FROM range(5) t(i)")
    written = '"' + name.replace('"', '""') + '"'
    assert held.rows(columns=[name, "other"], where=f"{written} > 20")["rows"] == [[30, 6], [40, 8]]


def test_the_one_name_that_duckdb_takes_for_itself_is_refused_and_described_all_the_same() -> None:
    held = made("SELECT 5 AS file_row_number")
    assert held.inside()["columns"] == {"file_row_number": "INTEGER"}
    assert "counts rows" in held.fault("rows", **rows_asked())[1]


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd", "lz4_raw"])
def test_every_codec_is_read(codec: str) -> None:
    assert made("SELECT 5 AS a", f", COMPRESSION {codec}").rows()["rows"] == [[5]]


def test_tables_without_rows_are_tables() -> None:
    held = made("SELECT 5 AS a WHERE false")
    found = held.inside()
    assert (found["rows"], found["columns"], found["first"]) == (0, {"a": "INTEGER"}, [])
    assert held.rows()["rows"] == []


def test_what_is_damaged_or_none_is_said_to_be() -> None:
    whole = made("SELECT i, md5(i::VARCHAR) AS a FROM range(5000) t(i)").content
    odd = {
        "cut": whole[:-100],
        "empty": b"",
        "text": b"hello, I am no Parquet file at all\n",
        "encrypted": whole[:-4] + b"PARE",
        "long footer": whole[:-8] + b"\xff\xff\xff\x7f" + whole[-4:],
        "no footer": whole[:-8] + b"\0\0\0\0" + whole[-4:],
        "zeros": b"PAR1" + bytes(len(whole) - 8) + b"PAR1",
    }
    for name, content in odd.items():
        held = Held("t.parquet", content)
        assert held.fault("inside", first=5)[0] == "undecodable", name
        assert held.fault("rows", **rows_asked())[0] == "undecodable", name


def test_a_damaged_page_is_a_fault_or_wrong_values_and_never_more() -> None:
    whole = made("SELECT i, md5(i::VARCHAR) AS a FROM range(5000) t(i)").content
    chance = random.Random(3)
    for _ in range(10):
        at = chance.randrange(4, len(whole) - 2000)
        held = Held(
            "t.parquet", whole[:at] + bytes(chance.randrange(256) for _ in range(20)) + whole[at + 20 :]
        )
        try:
            held.rows()
        except AssertionError as error:
            assert "undecodable" in str(error)
