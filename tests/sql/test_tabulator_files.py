"""Files of Tabulator tables that do not fit, against what Python reads: they are an error that names them, or told."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sql_lab import ask, values
from tabulator_lab import CONTINUES, PLATES, Lab, parquet, text_of

from quilt_mcp.errors import (
    Undecodable,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


ODD = {
    "word": ("A1,high,1\n", "line 3: column od: Could not convert string \"high\" to 'DOUBLE'"),
    "long": ("A1,1,1,1\n", "line 3: it has 4 cells, and 3 are expected"),
    "ragged": ("A1,1\n", "line 3: it has 2 cells, and 3 are expected"),
    "open": ('"A1,1,1\n', "line 3: Value with unterminated quote found"),
    "latin": (b"\xe4,1,1\n", "line 3: This file is not utf-8 encoded"),
    "wide": (
        "A1,1,9999999999\n",
        "line 3: column cycle: Could not convert string \"9999999999\" to 'INTEGER'",
    ),
    "part": ("A1,1,5.7\n", "row 2, column cycle: 5.7 is no INTEGER"),
}


@pytest.fixture(scope="module")
def odd_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A package for each odd file, and a table of each, and one of all that goes on."""
    lab = Lab(tmp_path_factory.mktemp("odd"))
    good = text_of([("A0", 0.5, 1)])
    for odd, (line, _) in ODD.items():
        content = good.encode() + (line if isinstance(line, bytes) else line.encode())
        lab.package(f"lab/1_{odd}", {"plates/good.csv": good, "plates/odd.csv": content})
        lab.declare(odd, PLATES.replace("[^_]+", odd))
    lab.declare("lax", PLATES + CONTINUES)
    return lab


@pytest.mark.sampled(4)
@pytest.mark.parametrize("odd", ODD)
async def test_a_file_that_does_not_fit_is_an_error_that_names_it(odd_lab: Lab, odd: str) -> None:
    with pytest.raises(Undecodable) as caught:
        await odd_lab.rows(f"SELECT sum(od), count(well), max(cycle) FROM tabulator.{odd}")
    assert caught.value.message == f"tabulator.{odd}: lab/1_{odd}/plates/odd.csv: {ODD[odd][1]}"


async def test_or_it_is_left_out_and_a_row_says_why(odd_lab: Lab) -> None:
    query = 'SELECT well, od, run, plate, "$pkg_name", "$issue" FROM tabulator.lax ORDER BY run, plate'
    found = await ask(odd_lab.ops, query)
    rows = values(found)
    assert rows[::2] == [["A0", 0.5, odd, "good", f"lab/1_{odd}", None] for odd in sorted(ODD)]
    assert rows[1::2] == [[None, None, odd, "odd", f"lab/1_{odd}", ODD[odd][1]] for odd in sorted(ODD)]
    page = await ask(odd_lab.ops, query, limit=1)
    page = await ask(odd_lab.ops, query, limit=1, cursor=page.next_cursor)
    [warning] = {*found.warnings, *page.warnings}
    assert warning.startswith(f"skipped: tabulator.lax leaves out {len(ODD)} of {2 * len(ODD)} files")
    assert f"lab/1_latin/plates/odd.csv: {ODD['latin'][1]}" in warning


async def test_a_query_that_is_wrong_itself_blames_no_file(lab: Lab) -> None:
    lab.package("lab/1_a", {"plates/good.csv": text_of([("G1", 1.5, 1)])})
    lab.declare("strict", PLATES)
    with pytest.raises(Exception, match="G1") as caught:
        await lab.rows("SELECT CAST(well AS INT) FROM tabulator.strict")
    assert not isinstance(caught.value, Undecodable)


@pytest.mark.parametrize("more", ["", CONTINUES])
async def test_a_column_that_is_missing_is_null_and_told(lab: Lab, more: str) -> None:
    lab.package(
        "lab/1_a",
        {"plates/short.csv": "well,od\nA1,1\nA2,2\n", "plates/whole.csv": text_of([("B1", 3.0, 4)])},
    )
    lab.declare("t", PLATES + more)
    found = await ask(lab.ops, 'SELECT well, od, cycle, plate, "$issue" FROM tabulator.t ORDER BY od')
    assert values(found) == [
        ["A1", 1.0, None, "short", "the file has no column cycle"],
        ["A2", 2.0, None, "short", "the file has no column cycle"],
        ["B1", 3.0, 4, "whole", None],
    ]
    assert [one.split(":")[0] for one in found.warnings] == ["missing_columns"]


async def test_a_column_that_may_not_be_null_refuses_a_file_without_it(lab: Lab) -> None:
    lab.package("lab/1_a", {"plates/short.csv": "well,od\nA1,1\n"})
    lab.package("lab/2_b", {"plates/gap.csv": text_of([("A1", 1.0, 1), ("A2", 1.0, None)])})
    needed = PLATES.replace("type: INT}", "type: INT, nullable: false}")
    lab.declare("strict", needed)
    lab.declare("gaps", needed.replace("[0-9]+", "2"))
    lab.declare("lax", needed + CONTINUES)
    with pytest.raises(
        Undecodable, match=r"lab/1_a/plates/short\.csv: it has no column cycle, which may not be NULL"
    ):
        await lab.rows("FROM tabulator.strict")
    with pytest.raises(Undecodable, match=r"gap\.csv: column cycle has no value in 1 of 2 rows"):
        await lab.rows("FROM tabulator.gaps")
    assert await lab.rows('SELECT well, cycle, plate, "$issue" FROM tabulator.lax ORDER BY plate') == [
        [None, 0, "gap", "column cycle has no value in 1 of 2 rows"],
        [None, 0, "short", "it has no column cycle, which may not be NULL"],
    ]


async def test_cells_are_taken_by_their_place_and_headings_elsewhere_are_told(lab: Lab) -> None:
    lab.package("lab/1_a", {"plates/p.csv": text_of([("1", 2, 3)], "od,well,cycle")})
    lab.declare("t", PLATES)
    found = await ask(lab.ops, "SELECT well, od, cycle FROM tabulator.t")
    assert values(found) == [["1", 2.0, 3]]
    assert [one.split(":")[0] for one in found.warnings] == ["other_order"]
    tabs = PLATES.replace(r"\.csv(\.gz)?$", r"\.tsv$").replace("header: true", 'delimiter: "\\t"')
    lab.declare("tabs", tabs)
    lab.package("lab/1_a", {"plates/p.tsv": "A1\t1\t2\nA2\t3\t4\n", "plates/empty.tsv": ""})
    assert await lab.rows("SELECT well, od, cycle FROM tabulator.tabs ORDER BY od") == [
        ["A1", 1.0, 2],
        ["A2", 3.0, 4],
    ]


CELLS = ["a", "", "x y", "1", '"q"', "a,b", "é", "line\nbreak", "NULL", "0.5", "'", "漢", "#c", "\t"]


def odd_csv(chosen: random.Random) -> tuple[bytes, list[list[str]]]:
    """A file of two to four columns as Python writes it, and its rows."""
    width = chosen.choice([2, 3, 3, 4])
    rows = [[chosen.choice(CELLS) for _ in range(width)] for _ in range(chosen.randrange(6))]
    text = io.StringIO()
    quoting = chosen.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, lineterminator=chosen.choice(["\n", "\r\n"]), quoting=quoting)
    writer.writerows([["p", "q", "r", "s"][:width], *rows])
    begun, end = chosen.choice(["", "", "\ufeff"]), chosen.choice(["", "\r\n"])
    return (begun + text.getvalue().removesuffix(end)).encode(), rows


async def test_cells_are_those_that_python_reads(lab: Lab) -> None:
    chosen = random.Random(7)
    made = {f"plates/{number:02}.csv": odd_csv(chosen) for number in range(40)}
    lab.package("lab/1_a", {path: content for path, (content, _) in made.items()})
    lab.declare("t", PLATES.replace("DOUBLE", "STRING").replace("INT}", "STRING}") + CONTINUES)
    found: dict[str, list[list[Any]]] = {path: [] for path in made}
    query = 'SELECT "$logical_key", "$issue", well, od, cycle FROM tabulator.t'
    for path, *row in values(await ask(lab.ops, query, limit=1_000)):
        found[path].append(row)
    for path, (_, rows) in made.items():
        width = len(rows[0]) if rows else 3
        if width > 3:
            [[issue, *_]] = found[path]
            assert "it has 4 cells, and 3 are expected" in issue
            continue
        issue = "the file has no column cycle" if width < 3 else None
        padded = [[issue, *(cell or None for cell in row), *[None] * (3 - width)] for row in rows]
        assert found[path] == padded, path


async def test_columns_of_parquet_are_taken_by_name_and_made_their_type(lab: Lab, tmp_path: Path) -> None:
    made: Callable[[str], bytes] = lambda select: parquet(tmp_path, select)  # noqa: E731
    lab.package("lab/1_a", {
        "plates/a.pq": made("SELECT 7::BIGINT AS Cycle, 0.5::FLOAT AS OD, 'A1' AS well, true AS more"),
        "plates/b.pq": made("SELECT 'B1' AS well, 2.5 AS od"),
        "plates/b2.pq": made("SELECT 3.5 AS od, 'B2' AS well"),
    })  # fmt: skip
    config = PLATES.replace(r"\.csv(\.gz)?$", r"\.pq$").replace(
        "format: csv, header: true", "format: parquet"
    )
    lab.declare("strict", config)
    lab.declare("lax", config + CONTINUES)
    query = 'SELECT well, od, cycle, plate, "$issue" FROM tabulator.{} ORDER BY plate'
    rows = [
        ["A1", 0.5, 7, "a", None],
        ["B1", 2.5, None, "b", "the file has no column cycle"],
        ["B2", 3.5, None, "b2", "the file has no column cycle"],
    ]
    assert await lab.rows(query.format("strict")) == rows
    assert await lab.rows(query.format("lax")) == rows
    lab.package("lab/2_b", {
        "plates/word.pq": made("SELECT 'C' AS well, unnest(['1', 'high']) AS od, 1 AS cycle"),
        "plates/x.pq": b"no parquet",
    })  # fmt: skip
    with pytest.raises(Undecodable, match=r"lab/2_b/plates/x\.pq"):
        await lab.rows(query.format("strict"))
    found = await lab.rows(query.format("lax"))
    assert found[:3] == rows
    assert found[3] == [None, None, None, "word", "row 2, column od: 'high' is no DOUBLE"]
    assert found[4][:4] == [None, None, None, "x"]
    lab.package(
        "lab/2_b", {"plates/word.pq": made("SELECT 'C' AS well, unnest(['1', 'high']) AS od, 1 AS cycle")}
    )
    with pytest.raises(Undecodable, match=r"lab/2_b/plates/word\.pq: row 2, column od: 'high' is no DOUBLE"):
        await lab.rows("SELECT sum(od) FROM tabulator.strict")


async def test_whole_numbers_are_exact_and_never_rounded(lab: Lab, tmp_path: Path) -> None:
    big = PLATES.replace("type: INT", "type: BIGINT")
    lab.declare("big", big)
    lab.declare("columns", big.replace(r"\.csv(\.gz)?$", r"\.pq$").replace("csv, header: true", "parquet"))
    numbers = [9_007_199_254_740_993, -(2**63), 2**63 - 1, 5]
    lab.package("lab/1_a", {
        "plates/p.csv": "well,od,cycle\n" + "".join(f"A,1,{one}\n" for one in (*numbers[:-1], "5.0")),
        "plates/q.pq": parquet(tmp_path, f"SELECT 'A' AS well, 1.0 AS od, unnest({numbers})::DECIMAL(38, 2) AS cycle"),
    })  # fmt: skip
    for table in ("big", "columns"):
        assert await lab.rows(f"SELECT CAST(cycle AS VARCHAR) FROM tabulator.{table} ORDER BY cycle") == [
            [str(one)] for one in sorted(numbers)
        ]
    halves = parquet(tmp_path, "SELECT 'A' AS well, 1.0 AS od, unnest([1.0, 2.5]) AS cycle")
    lab.package("lab/1_a", {"plates/p.csv": f"well,od,cycle\nA,1,{2**63}\n", "plates/q.pq": halves})
    with pytest.raises(Undecodable, match='column cycle: Could not convert string "9223372036854775808"'):
        await lab.rows("FROM tabulator.big")
    with pytest.raises(Undecodable, match=r"q\.pq: row 2, column cycle: 2\.5 is no BIGINT"):
        await lab.rows("FROM tabulator.columns")
