"""What the engine would guess of a text in silence: dates, marks among numbers, comments, lines, digits, and what a file is."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_lab import ask, build, local_ops, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.errors import InvalidSql, QuiltError, Undecodable

pytestmark = pytest.mark.anyio
DATES = {
    "d/a.csv": "d,x\n05/06/2025,1\n",
    "d/b.csv": "d,x\n06/25/2025,2\n",
    "both.csv": "d,t\n01/02/2020,01/02/2020 10:00:00\n03/02/2020,03/02/2020 11:00:00\n",
    "short.csv": "d\n01-02-03\n",
    "mixed/a.csv": "d\n25/06/2025\n",
    "mixed/b.csv": "d\n06/25/2025\n",
    "plain.csv": "d,e\n25/06/2025,06/25/2025\n01/06/2025,06/01/2025\n",
    "iso.csv": "d\n2025-06-05\n",
    "same.csv": "d\n05/05/2025\n",
    "late.csv": "d\n" + "05/06/2025\n" * 100_500 + "06/25/2025\n",
}
MARKED = {
    "na.csv": "a,b,c,e\nNA,x,1,null\n9,NA,2,7\n10,y,,-\n",
    "parts/a.csv": "a,b\n9,1\n",
    "parts/b.csv": "a,b\n10,\nn/a,\n",
    "german.csv": "a;b;c\n2.037;1,5;1.234,5\n1.100;2,5;2\n",
    "plain.csv": "a;b;c\n2.037;x;1.5\n1.100;y;2.25\n",
    "chromosomes.csv": "c,n\n1,2\nX,3\n",
    "english.csv": 'a,b\n"1,234",1\n5,2\n',
}
COMMENTS = {
    "middle.csv": "a,b\n1,2\n#3,4\n5,6\n",
    "inside.csv": "a,b\n1,x#y\n#3,z\n",
    "foot/end.csv": "a,b\n1,2\n# that is all\n",
    "top.csv": "# made by hand\n# in 2026\na,b\n1,2\n#3,4\n",
}
LINES = {
    "less.csv": "a,b,c\n1,2,3\n4,5\n6,7,8\n",
    "far/down.csv": "a,b\n" + "1,2\n" * 100_500 + "3,4,5\n",
    "more.csv": "a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n",
}
OWN = {
    "a.csv": "$logical_key,$TOP_HASH,v,$file\nmine,theirs,1,ff\n",
    "b.csv": "$logical_key,v\nmine too,2\n",
}
_LONG = 123456789012345678901234


def opened(root: Path, texts: Mapping[str, str | bytes]) -> LocalOps:
    (registry := root / "registry").mkdir()
    for name, text in texts.items():
        (path := root / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    build(registry, "a/b", {name: root / "files" / name for name in texts})
    return local_ops(registry, root / "cache")


async def told(ops: LocalOps, sql: str) -> tuple[Any, tuple[str, ...]]:
    found = await ask(ops, sql, "a/b")
    assert not any("qf://" in one for one in found.warnings), found.warnings
    return values(found), found.warnings


async def test_a_column_has_one_form_of_dates_over_all_files_and_rows(tmp_path: Path) -> None:
    ops = opened(tmp_path, DATES)
    day = "SELECT d::VARCHAR FROM {} ORDER BY ALL"
    assert await told(ops, day.format("files('d/*.csv')")) == ([["2025-05-06"], ["2025-06-25"]], ())
    assert (await told(ops, "SELECT min(d)::VARCHAR, max(d)::VARCHAR FROM 'late.csv'"))[0] == [
        ["2025-05-06", "2025-06-25"]
    ]
    found, (of_day, of_time) = await told(ops, "SELECT d::VARCHAR, hour(t) FROM 'both.csv' ORDER BY ALL")
    assert found == [["2020-02-01", 10], ["2020-02-03", 11]]
    assert of_day.startswith("ambiguous_dates: column d of both.csv") and of_time.startswith(
        "ambiguous_dates: column t"
    )
    assert "dateformat := '%m/%d/%Y'" in of_day and "2020-02-01, not as 2020-01-02" in of_day
    assert "timestampformat := '%m/%d/%Y %H:%M:%S'" in of_time
    said = "SELECT d::VARCHAR FROM files('both.csv', dateformat := '{}') LIMIT 1"
    assert await told(ops, said.format("%m/%d/%Y")) == ([["2020-01-02"]], ())
    assert await told(ops, said.format("%d/%m/%Y")) == ([["2020-02-01"]], ())
    assert len((await told(ops, "SELECT d FROM 'short.csv'"))[1]) == 1


async def test_dates_of_several_forms_are_text_and_told_and_others_are_not(tmp_path: Path) -> None:
    ops = opened(tmp_path, DATES)
    found, [note] = await told(ops, "SELECT typeof(d), d FROM files('mixed/*.csv')")
    assert found == [["VARCHAR", "25/06/2025"], ["VARCHAR", "06/25/2025"]]
    assert note.startswith("mixed_dates: column d") and "mixed/a.csv day first" in note and "strptime" in note
    _, [of_other] = await told(ops, "SELECT d, e FROM 'plain.csv'")
    assert "column e of plain.csv" in of_other and "strptime(\"e\", '%m/%d/%Y')" in of_other
    for name in ("iso", "same"):
        assert (await told(ops, f"SELECT d::VARCHAR FROM '{name}.csv'"))[1] == ()
    assert (await told(ops, "SELECT d::VARCHAR FROM 'plain.csv'"))[1] == ()


async def test_a_column_that_is_text_by_marks_alone_is_told_and_the_way_out_works(tmp_path: Path) -> None:
    ops = opened(tmp_path, MARKED)
    found, [note] = await told(ops, "SELECT max(a), max(b), max(c) FROM 'na.csv'")
    assert found == [["NA", "y", 2]] and "column a of na.csv" in note and "nullstr := ['NA', '']" in note
    cured = "SELECT max(a), max(c), max(e) FROM files('na.csv', nullstr := ['NA', 'null', '-', ''])"
    assert await told(ops, cured) == ([[10, 2, 7]], ())
    found, [note] = await told(ops, "SELECT max(a), max(b) FROM files('parts/*.csv')")
    assert found == [["n/a", 1]] and "'n/a'" in note, "a file where a column is empty makes no text of it"
    _, notes = await told(ops, "FROM 'na.csv'")
    assert [one.partition(" of ")[0] for one in notes] == [
        "numbers_as_text: column a",
        "numbers_as_text: column e",
    ]
    assert (await told(ops, "SELECT c, max(n) FROM 'chromosomes.csv' GROUP BY ALL"))[1] == ()
    with pytest.raises(InvalidSql, match="literal values"):
        await ask(ops, "FROM files('a/b', 'na.csv', nullstr := ['NA', 1])")
    with pytest.raises(InvalidSql) as caught:
        await ask(ops, "SELECT avg(a) FROM 'a/b/na.csv'")
    assert "TRY_CAST" in caught.value.next_step and "nullstr" in caught.value.next_step


async def test_decimal_commas_are_told_with_the_numbers_beside_them(tmp_path: Path) -> None:
    ops = opened(tmp_path, MARKED)
    _, notes = await told(ops, "SELECT * FROM 'german.csv'")
    assert sorted(one.partition(" of ")[0] for one in notes) == [
        "numbers_as_text: column b",
        "numbers_as_text: column c",
        "thousands: column a",
    ]
    assert all("decimal_separator := ','" in one for one in notes)
    cured = (
        "SELECT max(a), max(b), max(c) FROM files('german.csv', decimal_separator := ',', thousands := '.')"
    )
    assert await told(ops, cured) == ([[2037, 2.5, 1234.5]], ())
    assert (await told(ops, "SELECT * FROM 'plain.csv'"))[1] == ()
    _, [note] = await told(ops, "SELECT max(a) FROM 'english.csv'")
    assert "thousands := ','" in note
    assert (await told(ops, "SELECT max(a) FROM files('english.csv', thousands := ',')"))[0] == [[1234]]


async def test_a_row_that_begins_with_a_sign_of_comments_is_a_row(tmp_path: Path) -> None:
    ops = opened(tmp_path, COMMENTS)
    assert await told(ops, "SELECT a FROM 'middle.csv'") == ([["1"], ["#3"], ["5"]], ())
    assert await told(ops, "SELECT b FROM 'inside.csv'") == ([["x#y"], ["z"]], ())
    found, [note] = await told(ops, "SELECT a FROM 'top.csv'")
    assert found == [["1"], ["#3"]] and note.startswith("comment_lines: the 2 first lines of top.csv"), note
    assert await told(ops, "SELECT a FROM files('top.csv', comment := '#')") == ([[1]], ())
    with pytest.raises(Undecodable, match="comment := '#'"):
        await ask(ops, "FROM 'a/b/foot/end.csv'")
    assert (await told(ops, "SELECT a FROM files('foot/end.csv', comment := '#')"))[0] == [[1]]


async def test_lines_that_are_left_out_are_counted_and_padding_keeps_them(tmp_path: Path) -> None:
    ops = opened(tmp_path, LINES)
    found, [note] = await told(ops, "SELECT count(*) FROM files('*e*.csv', ignore_errors := true)")
    assert found == [[4]] and "3 lines" in note and "1 of less.csv" in note and "2 of more.csv" in note, note
    padded = "SELECT a, c, column3 FROM files('more.csv', null_padding := true)"
    assert await told(ops, padded) == ([[1, 3, None], [4, None, None], [6, 8, "9"], [10, 12, None]], ())
    padded = "SELECT max(b), max(column2) FROM files('far/down.csv', null_padding := true)"
    assert await told(ops, padded) == ([[4, "5"]], ())
    with pytest.raises(Undecodable) as caught:
        await ask(ops, "FROM 'a/b/less.csv'")
    step = caught.value.next_step
    assert 0 < step.index("null_padding") < step.index("ignore_errors")


async def test_whole_numbers_keep_their_digits_or_are_told(tmp_path: Path) -> None:
    (folder := tmp_path / "made").mkdir()
    with duckdb.connect() as engine:
        for name, value in {"whole": "9007199254740993::BIGINT", "part": "1.5::DOUBLE"}.items():
            engine.execute(f"COPY (SELECT {value} AS n) TO '{folder / name}.parquet'")
    texts: dict[str, str | bytes] = {f"p/{one.name}": one.read_bytes() for one in folder.iterdir()}
    texts |= {
        "whole.jsonl": f'{{"n": {_LONG}}}\n{{"n": 1}}\n',
        "mixed.jsonl": f'{{"n": {_LONG}, "o": {{"m": {_LONG}}}}}\n{{"n": 1.5}}\n',
        "right.jsonl": '{"n": 1.25, "o": {"m": 2.5}}\n',
        "c/a.csv": "n\n9007199254740993\n",
        "c/b.csv": "n\n1.5\n",
    }
    ops = opened(tmp_path, texts)
    assert await told(ops, "SELECT max(n) FROM 'whole.jsonl'") == ([[str(_LONG)]], ())
    found, notes = await told(ops, "SELECT n, o.m FROM 'mixed.jsonl' LIMIT 1")
    assert found == [[str(_LONG), str(_LONG)]] and len(notes) == 2 and "long_numbers: column n" in notes[0]
    assert await told(ops, "SELECT n, o.m FROM 'right.jsonl'") == ([[1.25, 2.5]], ())
    for folder_name, file in {"p": "p/whole.parquet", "c": "c/a.csv"}.items():
        _, [note] = await told(ops, f"SELECT max(n) FROM files('{folder_name}/*')")
        assert note.startswith("rounded: column n") and file in note


async def test_a_column_of_a_file_hides_none_that_is_added(tmp_path: Path) -> None:
    ops = opened(tmp_path, {**OWN, "c.jsonl": '{"$top_hash": "theirs", "v": 3}\n'})
    found, notes = await told(
        ops, 'SELECT "$logical_key", "$logical_key_of_file", v, "$file" FROM files(\'*.csv\')'
    )
    assert found == [["a.csv", "mine", 1, "ff"], ["b.csv", "mine too", 2, None]]
    assert [one.partition(":")[0] for one in notes] == ["other_name"]
    for name in ("a.csv", "c.jsonl"):
        found, [note] = await told(ops, f"SELECT \"$top_hash\" FROM '{name}'")
        assert len(found[0][0]) == 64 and "_of_file" in note


async def test_a_file_is_read_as_what_its_first_bytes_say(tmp_path: Path) -> None:
    text = b"a,b\n1,2\n"
    ops = opened(tmp_path, {"p.csv": gzip.compress(text), "q.csv.gz": text, "x.csv": b"PK\x03\x04\xff\xfe\n"})
    for name, said in {"p.csv": "gzip", "q.csv.gz": "not packed"}.items():
        found, [note] = await told(ops, f"SELECT a FROM '{name}'")
        assert found == [[1]] and f"packed: {name} is {said}" in note
    with pytest.raises(Undecodable) as caught:
        await ask(ops, "FROM 'a/b/x.csv'")
    assert "x.csv is ZIP" in caught.value.message and "latin" not in caught.value.next_step


async def test_a_long_cell_is_read_and_a_bad_line_is_told_in_short(tmp_path: Path) -> None:
    long = "x" * 10_000_000
    ops = opened(
        tmp_path,
        {
            "long.csv": f"a,b\n1,{long}\n2,y\n",
            "bad.csv": "a,b\n" + "1,2\n" * 30_000 + f"{long[:90_000]},3,4\n",
        },
    )
    assert (await told(ops, "SELECT max(length(b)), count(*) FROM 'long.csv'"))[0] == [[10_000_000, 2]]
    with pytest.raises(QuiltError) as caught:
        await ask(ops, "FROM 'a/b/bad.csv'")
    assert len(caught.value.message) < 500 and "Columns: 2 Found: 3" in caught.value.message, (
        caught.value.message
    )
