"""Tables compared cell by cell, with pandas as the judge of generated pairs, and one case for each rule."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_lab import build, local_ops
from table_pairs import make_pair

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.table_diff import CellChange, TableDiff, TableDiffRequest, Tolerance, same_tables
from quilt_mcp.errors import ColumnNotFound, DuplicateKey, HashMismatch, TooCostly, Undecodable

pytestmark = pytest.mark.anyio

Compare = Callable[..., Awaitable[TableDiff]]


def of_files(ops: Any, one: str, other: str, **more: Any) -> Awaitable[TableDiff]:
    package = PackageUri(ops.default_registry, "a/b")
    tolerance = more.pop("tolerance", None)
    return ops.sql.compare(
        TableDiffRequest(
            replace(package, path=one), replace(package, path=other),
            tolerance=Tolerance.parse(tolerance) if tolerance else None, **more,
        )
    )  # fmt: skip


async def judge(tmp_path: Path, seeds: range) -> None:
    (folder := tmp_path / "files").mkdir()
    (registry := tmp_path / "registry").mkdir()
    pairs = {seed: make_pair(seed) for seed in seeds}
    names = {seed: pair.write(folder, seed) for seed, pair in pairs.items()}
    build(registry, "a/b", {one.name: one for one in folder.iterdir()})
    ops = local_ops(registry, tmp_path / "cache")

    async def one_pair(seed: int) -> None:
        pair, wanted = pairs[seed], pairs[seed].judged()
        found = await of_files(ops, *names[seed], keys=pair.keys, tolerance=pair.tolerance)
        said = (seed, pair.formats, found.retyped)
        rows = found.rows
        assert (rows.before, rows.after) == (len(pair.before), len(pair.after)), said
        if pair.has_key and wanted.removed < rows.before:
            assert found.keys == ("id",), said
        if found.keys in ((), ("id",)):  # a pair of columns may happen to tell few rows apart
            assert (rows.added, rows.removed, rows.changed) == (
                wanted.added,
                wanted.removed,
                wanted.changed,
            ), said
            assert dict(found.cells) == wanted.cells, said
        assert rows.before - rows.removed == rows.after - rows.added == rows.changed + rows.unchanged, said
        assert set(found.added_columns) == {*pair.after.columns} - {*pair.before.columns}, said
        assert set(found.dropped_columns) == {*pair.before.columns} - {*pair.after.columns}, said
        assert len(found.changed) == min(rows.changed, 10), said

    for seed in seeds:
        await one_pair(seed)


async def test_counts_are_those_of_pandas(tmp_path: Path) -> None:
    await judge(tmp_path, range(25))


@pytest.mark.nightly
async def test_counts_of_many_pairs_are_those_of_pandas(tmp_path: Path) -> None:
    await judge(tmp_path, range(1_000, 1_600))


# -- one case for each rule --


@pytest.fixture
def compared(tmp_path: Path) -> Compare:
    """Two texts or files, by the ending each is to have."""

    async def compare(
        before: str | Path, after: str | Path, ending: str = "csv", other: str | None = None, **more: Any
    ) -> TableDiff:
        (registry := tmp_path / "registry").mkdir(exist_ok=True)
        files: dict[str, Path] = {}
        for name, content in ((f"old.{ending}", before), (f"new.{other or ending}", after)):
            path = content if isinstance(content, Path) else tmp_path / name
            if isinstance(content, str):
                path.write_text(content)
            files[name] = path
        build(registry, "a/b", files)
        return await of_files(local_ops(registry, tmp_path / "cache"), *files, **more)

    return compare


def parquet(path: Path, query: str) -> Path:
    with duckdb.connect() as engine:
        engine.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


async def test_a_changed_cell_is_told_with_its_key_and_both_values(compared: Compare) -> None:
    found = await compared("id,h,w\n1,1.5,x\n2,2.5,y\n3,3.5,z\n", "w,id,h\ny,2,2.5\nz,3,3.75\nq,4,0.5\n")
    assert found.keys == ("id",)
    [row] = found.changed
    assert (row.key, row.cells, row.count) == ((3,), (CellChange("h", 3.5, 3.75),), 1)
    assert [(one.key, dict(one.values)) for one in found.added] == [((4,), {"h": 0.5, "w": "q"})]
    assert [(one.key, dict(one.values)) for one in found.removed] == [((1,), {"h": 1.5, "w": "x"})]
    assert found.rows.unchanged == 1 and dict(found.cells) == {"h": 1}


async def test_null_equals_null_and_nan_equals_nan(compared: Compare, tmp_path: Path) -> None:
    query = (
        "SELECT * FROM (VALUES (1, 'NaN'::DOUBLE, NULL), (2, NULL, 'a'), (3, -0.0::DOUBLE, '')) t(id, x, y)"
    )
    same = parquet(tmp_path / "one.parquet", query)
    other = parquet(tmp_path / "two.parquet", query.replace("NULL, 'a'", "'NaN', 'a'").replace("-0.0", "0.0"))
    found = await compared(same, other, "parquet")
    assert [row.key for row in found.changed] == [(2,)]
    assert found.changed[0].cells == (CellChange("x", None, "NaN"),)


async def test_a_text_equals_the_number_that_it_spells_and_no_other(compared: Compare) -> None:
    texts = ["5", "007", "7.50", "x", None, "1e3", "0.10000000000000000555", "-0"]
    numbers = [5, 7, 7.5, 1, None, 1000, 0.1, 0]
    lines = [
        "".join(json.dumps({"id": at, "v": one}) + "\n" for at, one in enumerate(some))
        for some in (texts, numbers)
    ]
    found = await compared(*lines, "jsonl")
    assert found.retyped == (("v", "VARCHAR", "DOUBLE"),)
    assert [row.key for row in found.changed] == [(1,), (3,), (6,), (7,)]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("ending", "mark"), [("csv", ","), ("tsv", "\t")])
async def test_a_column_that_became_text_has_the_changed_cells_that_changed(
    compared: Compare, ending: str, mark: str
) -> None:
    """The engine reads 13/02/2026 as a date and 3.50 as 3.5, until one value of the column is none."""
    lines = ["id,day,v", *(f"00{at},{at + 10}/02/2026,{at}.50" for at in range(1, 9))]
    before = "\n".join(lines) + "\n"
    after = (
        before.replace("18/02/2026", "unknown").replace("3.50", "3.5").replace("5.50", "n/a")
        + "X1,19/02/2026,1\n"
    )
    found = await compared(before.replace(",", mark), after.replace(",", mark), ending)
    assert {one[0] for one in found.retyped} >= {"day", "v"}
    assert found.keys == ("id",) and (found.rows.added, found.rows.removed) == (1, 0)
    assert [(row.key, row.cells) for row in found.changed] == [
        (("005",), (CellChange("v", "5.50", "n/a"),)),
        (("008",), (CellChange("day", "18/02/2026", "unknown"),)),
    ]


async def test_whole_numbers_beyond_the_exact_ones_of_floats_are_not_the_same(
    compared: Compare, tmp_path: Path
) -> None:
    one = parquet(tmp_path / "one.parquet", "SELECT 1 AS id, 9007199254740993 AS v UNION ALL SELECT 2, 5")
    two = parquet(
        tmp_path / "two.parquet", "SELECT 1 AS id, 9007199254740992::DOUBLE AS v UNION ALL SELECT 2, 5"
    )
    assert [row.key for row in (await compared(one, two, "parquet")).changed] == [(1,)]


async def test_moments_are_the_same_in_any_type(compared: Compare, tmp_path: Path) -> None:
    nanoseconds = "TIMESTAMP_NS '2026-01-01 10:00:00' AS at, TIMESTAMP_NS '2026-01-03' AS last"
    moments = f"SELECT 1 AS id, DATE '2026-01-02' AS day, {nanoseconds}"
    one = parquet(tmp_path / "one.parquet", moments)
    text = "id,at,day,last\n1,2026-01-01T10:00:00,2026-01-02T00:00:00,2026-01-03\n"
    found = await compared(text, one, "csv", "parquet")
    assert len(found.retyped) == 4 and not found.changed


async def test_numbers_within_the_tolerance_are_equal_and_infinite_ones_are_not(compared: Compare) -> None:
    before = "id,v\n1,100.0\n2,100.0\n3,inf\n4,-100.0\n5,0.5\n"
    after = "id,v\n1,100.5\n2,102.0\n3,1.0\n4,-100.9\n5,0.4999\n"
    changed = {
        tolerance: [row.key[0] for row in (await compared(before, after, tolerance=tolerance)).changed]
        for tolerance in ("1", "1%", "0.02%", "0")
    }
    assert changed == {"1": [2, 3], "1%": [2, 3], "0.02%": [1, 2, 3, 4], "0": [1, 2, 3, 4, 5]}


async def test_two_columns_are_a_key_where_none_is_one(compared: Compare) -> None:
    lines = [f"p{a},w{b},{a * b}.5\n" for a in range(4) for b in range(5)]
    found = await compared(
        "plate,well,od\n" + "".join(lines), "plate,well,od\n" + "".join(reversed(lines[1:]))
    )
    assert found.keys == ("plate", "well")
    assert (found.rows.removed, found.rows.added, found.rows.changed) == (1, 0, 0)


async def test_numbers_of_rows_are_a_key_only_where_there_is_no_other(compared: Compare) -> None:
    found = await compared("index,name,v\n0,a,1\n1,b,2\n", "index,name,v\n0,new,9\n1,a,1\n2,b,2\n")
    assert found.keys == ("name",) and found.rows.added == 1


async def test_rows_without_a_key_are_counted_and_said_so(compared: Compare) -> None:
    found = await compared("a,b\n1,1\n1,1\n1,2\n", "a,b\n1,1\n1,2\n1,2\n1,3\n", tolerance="5")
    assert found.keys == () and (found.rows.added, found.rows.removed, found.rows.unchanged) == (2, 1, 2)
    assert [(dict(one.values), one.count) for one in found.added] == [
        ({"a": 1, "b": 2}, 1),
        ({"a": 1, "b": 3}, 1),
    ]
    assert [one.partition(":")[0] for one in found.warnings] == ["no_key", "no_tolerance"]


async def test_keys_that_repeat_are_refused_with_an_example_and_a_better_key(compared: Compare) -> None:
    with pytest.raises(DuplicateKey, match=r"2 keys in 5 of 5 rows before.*One of them before: r1") as caught:
        await compared("id,row\n1,r1\n2,r1\n3,r1\n4,r2\n5,r2\n", "id,row\n1,r1\n", keys=("row",))
    assert caught.value.details["unique"] == ["id"] and "keys=['id']" in caught.value.next_step


async def test_a_key_that_is_not_there_is_refused_with_the_nearest(compared: Compare) -> None:
    with pytest.raises(ColumnNotFound, match="no column 'plantt' on either side") as caught:
        await compared("plant,h\n1,2\n", "plant,h\n1,3\n", keys=("plantt",))
    assert "Did you mean 'plant'?" in caught.value.next_step


async def test_a_key_that_is_given_may_be_null_once(compared: Compare) -> None:
    found = await compared("id,v\n,1\n2,2\n", "id,v\n2,2\n,5\n", keys=("id",))
    assert [row.key for row in found.changed] == [(None,)]


@pytest.mark.parametrize(
    ("before", "said"), [("", "empty"), ("a,b\n1,2\n1,2,3\n", "different numbers of cells")]
)
async def test_a_file_that_is_no_table_is_named(compared: Compare, before: str, said: str) -> None:
    with pytest.raises(Undecodable, match=rf"old\.csv \(before\).*{said}") as caught:
        await compared(before, "a,b\n1,2\n")
    assert caught.value.next_step


async def test_tables_of_more_columns_than_are_compared_are_refused(compared: Compare) -> None:
    wide = ",".join(f"c{at}" for at in range(2_001)) + "\n" + ",".join("1" * 2_001) + "\n"
    with pytest.raises(TooCostly, match="2,001 columns") as caught:
        await compared(wide, "c0\n1\n")
    assert caught.value.next_step


async def test_a_thousand_columns_are_compared(compared: Compare) -> None:
    header = ",".join(f"c{at}" for at in range(1_100)) + "\n"
    rows = [[row, *(at % 7 for at in range(1_099))] for row in range(5)]
    before = header + "".join(",".join(map(str, row)) + "\n" for row in rows)
    rows[2][1:] = [one + 1 for one in rows[2][1:]]
    found = await compared(before, header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    assert found.rows.changed == 1 and len(found.cells) == 1_099
    [row] = found.changed
    assert (row.key, len(row.cells), row.count) == ((2,), 30, 1_099)


async def test_names_that_stand_twice_are_told(compared: Compare) -> None:
    found = await compared("id,a,a\n1,2,3\n", "id,a,a\n1,2,4\n")
    assert dict(found.cells) == {"a_1": 1}
    assert any(one.startswith("renamed_columns:") for one in found.warnings)


async def test_tables_without_a_column_in_common_have_no_row_in_common(compared: Compare) -> None:
    found = await compared("a\n1\n2\n", "b\n1\n")
    assert (found.rows.removed, found.rows.added, found.dropped_columns) == (2, 1, ("a",))


async def test_a_file_that_changed_is_no_table_of_the_package(compared: Compare, tmp_path: Path) -> None:
    (tmp_path / "kept.csv").write_text("a\n1\n")
    await compared(tmp_path / "kept.csv", "a\n2\n")
    (tmp_path / "kept.csv").write_text("a\n3\n")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    with pytest.raises(HashMismatch):
        await of_files(ops, "old.csv", "new.csv")


async def test_days_are_read_in_one_order_on_both_sides(compared: Compare) -> None:
    before = "id,day\n1,03/04/2026\n2,05/06/2026\n"
    found = await compared(before, before + "3,03/14/2026\n")
    assert (found.rows.changed, found.rows.added) == (0, 1) and not found.retyped
    open_both = await compared(before, before.replace("05/06", "05/07"))
    assert open_both.rows.changed == 1
    assert [one for one in open_both.warnings if "files(" in one or "ambiguous_dates" not in one] == []
    no_order = await compared("id,day\n1,03/04/2026\n2,13/06/2026\n", before + "3,03/14/2026\n")
    assert [row.key for row in no_order.changed] == [(2,)]
    assert no_order.changed[0].cells == (CellChange("day", "13/06/2026", "05/06/2026"),)
    text = await compared(before, before + "3,unknown\n")
    assert (text.rows.changed, text.rows.added) == (0, 1)


async def test_what_is_told_of_a_file_does_not_speak_of_queries(compared: Compare) -> None:
    found = await compared("# made by hand\nid,v\n1,2\n", "id,v\n1,2\n")
    said, *_ = found.warnings
    assert said.startswith("comment_lines:") and said.endswith("further down such lines are rows."), said


async def test_texts_are_keys_before_numbers_and_the_key_that_matches_most_is_taken(
    compared: Compare,
) -> None:
    def table(seed: int) -> str:
        return "reads,code,gene\n" + "".join(
            f"{(at * 7919 + seed * 104729) % 99991},x{at + seed * 19},g{at}\n" for at in range(20)
        )

    found = await compared(table(0), table(1))
    assert (found.keys, found.rows.changed, found.rows.added) == (("gene",), 20, 0)
    assert found.warnings == ()


async def test_three_columns_are_a_key_where_two_are_none(compared: Compare) -> None:
    def table(signal: str) -> str:
        cells = [(plate, well, at) for plate in "PQ" for well in ("A1", "A2") for at in (0, 10)]
        return "plate,well,minute,signal\n" + "".join(
            f"{p},{w},{at},{signal if (p, w, at) == ('Q', 'A2', 10) else 0.5}\n" for p, w, at in cells
        )

    found = await compared(table("0.5"), table("0.75"))
    assert (found.keys, found.rows.changed, found.rows.added) == (("plate", "well", "minute"), 1, 0)


async def test_a_key_that_was_guessed_and_may_be_none_is_told(compared: Compare) -> None:
    async def said(before: str, after: str) -> list[str]:
        return [one.partition(":")[0] for one in (await compared(before, after)).warnings]

    assert await said("score,w\n51,x\n72,x\n93,y\n", "score,w\n51,x\n72,x\n94,y\n") == ["guessed_key"]
    running = "n,w\n" + "".join(f"{at},x{at // 2}\n" for at in range(1, 7))
    shifted = "n,w\n" + "".join(f"{at},x{(at - 1) // 2}\n" for at in range(1, 8))
    assert await said(running, running.replace("5,x2", "5,x9")) == []
    assert await said(running, shifted.replace("x", "z")) == ["running_number"]
    assert await said("id,w\n1,x\n2,x\n3,x\n", "id,w\n3,x\n14,x\n15,x\n16,y\n") == ["few_matched"]


async def test_an_empty_text_is_null_where_the_other_side_is_a_csv(compared: Compare, tmp_path: Path) -> None:
    query = "SELECT * FROM (VALUES (1, ''), (2, 'a'), (3, NULL)) t(id, note)"
    found = await compared(
        "id,note\n1,\n2,a\n3,b\n", parquet(tmp_path / "x.parquet", query), "csv", "parquet"
    )
    assert [row.key for row in found.changed] == [(3,)]
    assert [one.partition(":")[0] for one in found.warnings] == ["empty_text"]


async def test_the_edge_of_a_tolerance_is_within_it_and_the_largest_difference_is_told(
    compared: Compare,
) -> None:
    before = "id,v\na,0.2\nb,0.7\nc,1.0\nd,5\n"
    found = await compared(before, "id,v\na,0.3\nb,0.8\nc,1.1\nd,7.5\n", tolerance="0.1")
    assert [row.key for row in found.changed] == [("d",)] and found.largest == {"v": 2.5}


async def test_a_tolerance_is_for_texts_that_are_numbers_but_for_marks_and_told_where_it_is_not(
    compared: Compare,
) -> None:
    before = 'id,v,w,x\na,0.5,"4,48",1\nb,NA,"3,11",2\nc,2.5,"1,5",low\nd,n/a,"2,0",4\n'
    after = 'id,v,w,x\na,0.5001,"4,480",1\nb,NA,"3,16",2\nc,2.9,"9,5",low\nd,,"2,0",4.01\n'
    found = await compared(before, after, tolerance="0.1")
    assert dict(found.cells) == {"v": 1, "w": 1, "x": 1}
    assert found.largest == {"v": 0.4, "w": 8.0}
    assert [one.partition(" of")[0] for one in found.warnings] == ["no_tolerance: x"]


async def test_digits_that_a_double_does_not_keep_are_told(compared: Compare) -> None:
    found = await compared("id,v\na,9007199254740993\nb,0.5\n", "id,v\na,9007199254740992\nb,0.5\n")
    assert [one.partition(":")[0] for one in found.warnings] == ["long_numbers", "same_cells"]


async def test_names_in_another_case_are_matched_and_told(compared: Compare) -> None:
    found = await compared("Plate,OD\nP1,1\nP2,2\n", "plate,od\nP1,1\nP2,3\n", keys=("plate",))
    assert (found.keys, dict(found.cells), found.added_columns) == (("Plate",), {"OD": 1}, ())
    assert [one.partition(":")[0] for one in found.warnings] == ["other_case"]


async def test_of_other_bytes_without_another_cell_the_reason_is_told(compared: Compare) -> None:
    found = await compared("id,v\na,1\nb,2\n", "v,id\n2,b\n1,a\n")
    [said] = found.warnings
    assert said.endswith("its bytes do by the order of columns and the order of rows.")


async def test_how_many_rows_have_keys_that_repeat_is_of_all(compared: Compare) -> None:
    with pytest.raises(DuplicateKey, match="1 key in 2 of 3 rows before; 1 key in 2 of 3 rows after"):
        await compared("t,v\nx,1\nx,2\ny,3\n", "t,v\nx,1\nx,2\ny,4\n", keys=("t",))


def test_tables_that_came_and_went_are_paired_by_their_names_but_for_endings() -> None:
    went, came = ["a.CSV.GZ", "b.csv", "c.csv", "c.tsv"], ["a.parquet", "c.parquet", "d.csv"]
    assert same_tables(went, came) == {"a.parquet": "a.CSV.GZ"}
