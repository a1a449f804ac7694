"""Tables that are text: columns, types, rows, and where a line is not as the others."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from held import Held, rows_asked

PLANTS = b"plant,day,height,ok\nA,2026-01-01,1.5,true\nB,2026-01-02,2,false\nC,2026-01-03,,true\n"


def test_columns_types_and_the_first_rows_are_told() -> None:
    found = Held("plants.csv", PLANTS).inside()
    assert found["columns"] == {"plant": "VARCHAR", "day": "DATE", "height": "DOUBLE", "ok": "BOOLEAN"}
    assert found["rows"] == 3
    assert found["first"] == [
        ["A", "2026-01-01", 1.5, "true"],
        ["B", "2026-01-02", 2, "false"],
        ["C", "2026-01-03", "", "true"],
    ]
    assert (found["faults"], found["notes"]) == ([], [])


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_the_one_that_cuts_lines_alike(delimiter: str) -> None:
    lines = [["a", "b", "c"], ["1", "x", "2"], ["3", "y", "4"]]
    text = "\n".join(delimiter.join(line) for line in lines)
    assert list(Held("t.csv", text.encode()).inside()["columns"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("1,2\n3,4\n", ["column1", "column2"], 2),
        ("gene,2019,2020\na,5,6\n", ["gene", "2019", "2020"], 1),
        ("a,a,\n1,2,3\n", ["a", "a_2", "column3"], 1),
        ("# made by us\n\na,b\n1,x\n", ["a", "b"], 1),
        ("a,b\n", ["a", "b"], 0),
        ("only\nx\ny\n", ["only"], 2),
        ('a,b\n1,"two\nlines"\n', ["a", "b"], 1),
        ("a,b\r\n1,x\r\n\r\n2,y", ["a", "b"], 2),
        ("a,b\r1,x\r2,y\r", ["a", "b"], 2),
        ("\ufeffa,b\n1,x\n", ["a", "b"], 1),
        ("a,b\n1,x\0y\n", ["a", "b"], 1),
    ],
)
def test_forms_that_real_files_have(text: str, columns: list[str], rows: int) -> None:
    found = Held("t.csv", text.encode()).inside()
    assert (list(found["columns"]), found["rows"]) == (columns, rows)


def test_a_ragged_file_says_in_which_lines() -> None:
    held = Held("t.csv", b'a,b,c\n1,2,3\n4,5\n"6\n6",7,8,9\n10,11,12\n')
    found = held.inside()
    assert found["faults"] == ["line 3: 2 cells, not 3", "line 5: 4 cells, not 3"]
    assert held.rows()["rows"] == [["1", 2, 3], ["4", 5, ""], ["6\n6", 7, 8], ["10", 11, 12]]


def test_a_mistyped_file_says_where() -> None:
    text = "id,v\n" + "".join(f"{one},{one * 2}\n" for one in range(50)) + "51,n.d.\n"
    held = Held("t.csv", text.encode())
    found = held.inside()
    assert found["columns"] == {"id": "BIGINT", "v": "VARCHAR"}
    assert found["faults"] == ["line 52: column v: 'n.d.' is no number, as 50 of its 51 values are"]


def test_a_value_of_another_type_far_below_is_told_of_when_it_is_met() -> None:
    lines = "".join(f"{one},{'x' * 90}\n" for one in range(20_000))
    held = Held("t.csv", f"id,v\n{lines}odd,y\n7,z\n".encode())
    assert held.inside()["columns"]["id"] == "BIGINT"
    found = held.rows(where="id = 7")
    assert (found["total"], len(found["rows"])) == (2, 2)
    assert found["faults"] == ["line 20002: column id: 'odd' is no BIGINT"]


def test_numbers_are_shown_as_they_stand_in_the_file() -> None:
    text = "zero,big,exact,plus\n007,123456789012345678901234567890,0.1000000000000000055511,+5\n"
    found = Held("t.csv", text.encode()).inside()
    assert found["first"] == [["007", "123456789012345678901234567890", "0.1000000000000000055511", "+5"]]
    assert found["columns"]["zero"] == "VARCHAR"


def test_of_a_large_file_only_the_first_megabyte_is_read_to_its_last_whole_line() -> None:
    line = "x" * 97
    held = Held("t.csv", b"id,v\n" + f"1,{line}\n".encode() * 30_000)
    found = held.inside()
    assert held.bytes_read <= (1 << 20) + 1
    assert (found["rows"], found["faults"]) == (None, [])
    assert any("0:0" in one for one in found["notes"])
    assert held.rows(start=0, stop=0)["total"] == 30_000


def test_rows_come_by_range_and_say_where_to_go_on() -> None:
    held = Held("t.csv", b"a\n" + b"".join(f"r{one}\n".encode() for one in range(10)))
    found = held.rows(start=2, stop=5)
    assert (found["rows"], found["next"], found["total"]) == ([["r2"], ["r3"], ["r4"]], 5, None)
    last = held.rows(start=8, stop=50)
    assert (last["rows"], last["next"], last["total"]) == ([["r8"], ["r9"]], None, 10)
    assert held.rows(start=50, stop=60)["rows"] == []
    small = held.rows(room=20)
    assert 0 < len(small["rows"]) < 5 and small["next"] == len(small["rows"])


def test_json_lines_are_a_table_of_their_keys() -> None:
    lines = [{"a": 1, "b": "x"}, {"a": 2.5, "c": {"deep": [1]}}, {"b": None}]
    text = "\n".join(map(json.dumps, lines)) + "\nnot json\n[1]\n\n"
    found = Held("t.jsonl", text.encode()).inside()
    assert found["columns"] == {"a": "DOUBLE", "b": "VARCHAR", "c": "VARCHAR"}
    assert found["first"] == [[1, "x", None], [2.5, None, '{"deep":[1]}'], [None, None, None]]
    assert [one[:13] for one in found["faults"]] == ["line 4: no JS", "line 5: no ob"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", b"# only\n# comments\n"),
        ("t.tsv", b"\n\n"),
        ("t.jsonl", b""),
        ("t.jsonl", b"hello\n"),
        ("t.jsonl", b"[1]\n"),
        ("t.jsonl", b"[" * 100_000),
        ("t.txt", b"hello"),
    ],
)
def test_what_is_no_table_is_said_to_be_none(name: str, content: bytes) -> None:
    assert Held(name, content).fault("rows", **rows_asked())[0] == "not_a_table"


def test_vcf_gff_and_bed_are_tables_with_the_columns_of_their_formats() -> None:
    vcf = (
        "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=1000>\n##contig=<ID=chr2>\n"
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\nchr1\t5\t.\tA\tT\t50\tPASS\t.\tGT\t0/1\t1/1\n"
    )
    found = Held("t.vcf.gz", gzip.compress(vcf.encode())).inside()
    assert (found["version"], found["samples"], found["contigs"]) == (
        "VCFv4.3",
        ["S1", "S2"],
        {"chr1": 1000, "chr2": None},
    )
    assert list(found["columns"])[:2] == ["CHROM", "POS"]
    assert found["rows"] == 1
    gff = (
        '##gff-version 3\nchr1\tx\tgene\t1\t9\t.\t+\t.\tID=a;b="c\n###\nchr1\tx\texon\t1\t4\t.\t+\t.\tID=e\n'
    )
    exons = Held("t.gff3", gff.encode()).rows(where="type = exon", columns=["start", "END"])
    assert exons["rows"] == [[1, 4]]
    bed = Held("t.bed", b"chr1\t1\t5\nchr1\t7\t9\n").inside()
    assert (list(bed["columns"]), bed["rows"]) == (["chrom", "chromStart", "chromEnd"], 2)


def test_a_column_that_does_not_exist_is_told_with_those_that_do() -> None:
    kind, message = Held("plants.csv", PLANTS).fault("rows", **rows_asked(where="hight > 1"))
    assert (kind, message) == ("no_column", "There is no column 'hight'.")
    assert Held("plants.csv", PLANTS).fault("rows", **rows_asked(columns=["nothing"]))[0] == "no_column"


def test_a_value_that_cannot_be_compared_is_refused() -> None:
    kind, message = Held("plants.csv", PLANTS).fault("rows", **rows_asked(where="height > tall"))
    assert kind == "bad_value" and "DOUBLE" in message
    assert Held("plants.csv", PLANTS).fault("rows", **rows_asked(where="day > yesterday"))[0] == "bad_value"
    assert Held("plants.csv", PLANTS).fault("rows", **rows_asked(where="ok = 3"))[0] == "bad_value"


def test_a_number_is_not_compared_with_texts_unless_it_is_written_as_one() -> None:
    """As texts, 10 comes before 9, and 007 is no 7: rows were missing without a word."""
    held = Held("limits.csv", b"code,conc\n007,10\n008,9\n009,<LOD\n010,100\n")
    for where in ("conc > 9", "conc = 9", "conc in (9, 10)"):
        kind, message = held.fault("rows", **rows_asked(where=where))
        assert (kind, "'9'" in message) == ("bad_value", True)
    assert held.ask("rows", **rows_asked(where="conc = '9'"))["rows"] == [["008", "9"]]


def test_ten_thousand_columns_are_a_table_too() -> None:
    names = ",".join(f"c{one}" for one in range(10_000))
    held = Held("wide.csv", f"{names}\n{','.join('1' * 10_000)}\n".encode())
    assert len(held.inside()["columns"]) == 10_000
    assert held.rows(columns=["c9999"])["rows"] == [["1"]]
    found = held.rows()
    assert (len(found["columns"]), len(found["rows"][0])) == (200, 200)
    assert found["notes"] == ["columns: the first 200 of 10000 are shown; the argument columns names others."]


def test_a_quote_that_is_never_closed_ends_within_bounds() -> None:
    held = Held("t.csv", b'a,b\n1,"' + b"x,y\n" * 500_000)
    found: dict[str, Any] = held.rows(start=0, stop=1)
    assert len(found["rows"]) <= 1
