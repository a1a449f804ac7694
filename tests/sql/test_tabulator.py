"""Tables that are declared as Tabulator's, over packages that quilt3 wrote, against pandas and plain Python."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pytest
from sql_lab import ask, build, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.backends.querying import tabulator_tables
from quilt_mcp.domain.sql import SqlRequest, SqlTable
from quilt_mcp.domain.tabulator import ADDED
from quilt_mcp.errors import (
    CorruptManifest,
    HashMismatch,
    InvalidArgument,
    Misconfigured,
    NotSupported,
    SqlRefused,
    TableNotFound,
    TabulatorInvalid,
    Undecodable,
)

pytestmark = pytest.mark.anyio
PLATES = r"""
schema:
  - {name: well, type: STRING}
  - {name: od, type: DOUBLE}
  - {name: cycle, type: INT}
source:
  type: quilt-packages
  package_name: '^lab/(?<year>[0-9]+)_(?<run>[^_]+)$'
  logical_key: 'plates/(?<plate>[^/]+)\.csv(\.gz)?$'
parser: {format: csv, header: true}
"""
CONTINUES = "continue_on_error: true\n"
GOOD = {
    "2026_one": {"p1": [("A1", 0.5, 1), ("A2", 1.25, 2)], "p2": [("B, 1", 2.0, 1), ("", 3.5, None)]},
    "2025_two": {"p1": [("A1", 9.5, 7)]},
}
"""Package, plate, rows."""


def text_of(rows: list[tuple[Any, ...]], heading: str = "well,od,cycle") -> str:
    return f"{heading}\n" + "".join(
        ",".join("" if one is None else f'"{one}"' if "," in str(one) else str(one) for one in row) + "\n"
        for row in rows
    )


class Lab:
    """A registry, a folder that declares tables, and what queries them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.declared = root / "declared"
        self.registry = root / "registry"
        self.files = root / "files"
        for one in (self.declared, self.registry, self.files):
            one.mkdir()
        options = Options((root,), False, root / "cache", 1 << 30, tabulator=self.declared)
        self.ops = LocalOps(self.registry.as_uri(), options)
        self._count = 0

    def package(self, name: str, files: dict[str, str | bytes]) -> str:
        placed: dict[str, Path] = {}
        for path, content in files.items():
            self._count += 1
            placed[path] = self.files / f"{self._count}-{path.rpartition('/')[2]}"
            placed[path].write_bytes(content.encode() if isinstance(content, str) else content)
        return build(self.registry, name, placed)

    def declare(self, name: str, config: str) -> None:
        (self.declared / f"{name}.yaml").write_text(config)

    async def rows(self, sql: str) -> list[list[Any]]:
        return [list(one) for one in values(await ask(self.ops, sql))]

    async def listed(self) -> dict[str, SqlTable]:
        return {one.name: one for one in await self.ops.sql.list_tables(SqlRequest(""))}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Nobody changes it."""
    lab = Lab(tmp_path_factory.mktemp("plates"))
    for package, of_package in GOOD.items():
        files: dict[str, str | bytes] = {
            f"plates/{plate}.csv": text_of(rows) for plate, rows in of_package.items()
        }
        if "p2" in of_package:
            files["plates/p2.csv.gz"] = gzip.compress(str(files.pop("plates/p2.csv")).encode())
        lab.package(f"lab/{package}", {**files, "readme.txt": "no plate"})
    lab.package("other/2026_one", {"plates/p1.csv": text_of([("Z9", 0.0, 0)])})
    lab.declare("plates", PLATES)
    lab.declare("broken", PLATES.replace("DOUBLE", "DECIMAL"))
    (lab.declared / "registry").mkdir()
    (lab.declared / "registry" / "Wells-2.yml").write_text(PLATES + CONTINUES)
    return lab


async def test_rows_are_those_of_pandas_over_all_packages(plates: Lab) -> None:
    frames = []
    for package, of_package in GOOD.items():
        for plate, rows in of_package.items():
            frame = pandas.DataFrame(rows, columns=["well", "od", "cycle"])
            year, run = package.split("_")
            frames.append(frame.assign(year=year, run=run, plate=plate, pkg=f"lab/{package}"))
    whole = pandas.concat(frames)
    wanted = whole.groupby(["year", "plate"]).agg(n=("od", "size"), od=("od", "sum")).reset_index()
    found = await plates.rows(
        "SELECT year, plate, count(*), sum(od) FROM tabulator.plates GROUP BY ALL ORDER BY ALL"
    )
    assert found == wanted.values.tolist()
    query = 'SELECT well, od, cycle, year, run, plate, "$pkg_name" FROM tabulator.plates ORDER BY od'
    rows = whole.sort_values("od").astype(object)
    assert await plates.rows(query) == [
        [None if one == "" or pandas.isna(one) else one for one in row] for row in rows.values.tolist()
    ]


async def test_every_column_is_there_with_its_type(plates: Lab) -> None:
    found = await ask(plates.ops, "FROM tabulator.plates")
    assert [(one.name, one.type) for one in found.columns] == [
        ("well", "VARCHAR"), ("od", "DOUBLE"), ("cycle", "INTEGER"),
        *((name, "VARCHAR") for name in ("year", "run", "plate", *ADDED)),
    ]  # fmt: skip
    assert found.warnings == ()
    [row] = await plates.rows("FROM tabulator.plates WHERE year = '2025'")
    assert row[3:8] == ["2025", "two", "p1", "lab/2025_two", "plates/p1.csv"]
    assert row[8].startswith("file:///")
    assert (len(row[9]), row[10]) == (64, None)
    listed = await plates.listed()
    assert listed["tabulator.plates"].columns == found.columns


@pytest.mark.parametrize(
    "name",
    [
        "tabulator.plates",
        "Tabulator.PLATES",
        'tabulator."registry".plates',
        '"quilt-of-ours-tabulator"."registry"."plates"',
        'tabulator."Wells-2"',
    ],
)
async def test_a_table_is_named_with_and_without_its_bucket_and_as_in_athena(plates: Lab, name: str) -> None:
    assert await plates.rows(f"SELECT count(*) FROM {name} AS t") == [[5]]


async def test_tables_are_joined_with_each_other_and_with_those_over_all_packages(plates: Lab) -> None:
    query = (
        "SELECT count(*), count(DISTINCT e.logical_key) FROM tabulator.plates p "
        'JOIN tabulator."Wells-2" w USING (well, plate, run) JOIN package_entry e '
        'ON e.top_hash = p."$top_hash" AND e.logical_key = p."$logical_key"'
    )
    assert await plates.rows(query) == [[4, 2]]


async def test_what_is_declared_is_listed_and_what_is_broken_says_why(plates: Lab) -> None:
    listed = await plates.listed()
    assert {one for one in listed if one.startswith("tabulator")} == {
        "tabulator.plates",
        "tabulator.broken",
        'tabulator."Wells-2"',
    }
    assert "'DECIMAL'" in (listed["tabulator.broken"].comment or "")
    with pytest.raises(TabulatorInvalid, match="DECIMAL") as caught:
        await plates.rows("FROM tabulator.broken")
    assert "broken.yaml" in caught.value.next_step
    with pytest.raises(TableNotFound) as missing:
        await plates.rows("FROM tabulator.plate")
    assert "Did you mean plates?" in missing.value.next_step


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tabulator.information_schema.tables", NotSupported),
        ("tabulator.a.b.c", SqlRefused),
        ("other.plates", SqlRefused),
        ("tabulator.read_text('x')", SqlRefused),
    ],
)
async def test_nothing_else_stands_in_its_catalog(plates: Lab, name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await plates.rows(f"FROM {name}")


# -- files that do not fit --

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
    [warning] = found.warnings
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


def parquet(tmp_path: Path, select: str) -> bytes:
    with duckdb.connect() as engine:
        engine.execute(f"COPY ({select}) TO '{tmp_path / 'made.parquet'}' (FORMAT parquet)")
    return (tmp_path / "made.parquet").read_bytes()


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


# -- packages --


async def test_only_latest_revisions_are_read_and_no_match_is_told(lab: Lab) -> None:
    lab.declare("t", PLATES)
    found = await ask(lab.ops, "SELECT count(*) FROM tabulator.t")
    assert (values(found), [one.split(":")[0] for one in found.warnings]) == ([[0]], ["no_files"])
    lab.package("lab/1_a", {"plates/p.csv": text_of([("A1", 1.0, 1)])})
    assert await lab.rows("SELECT od FROM tabulator.t") == [[1.0]]
    lab.package("lab/1_a", {"plates/p.csv": text_of([("A1", 2.0, 1)])})
    assert await lab.rows("SELECT od FROM tabulator.t") == [[2.0]]
    empty = await ask(lab.ops, "FROM tabulator.t WHERE false")
    assert [one.name for one in empty.columns][:4] == ["well", "od", "cycle", "year"]


async def test_bytes_that_are_not_the_manifests_are_an_error_or_told(lab: Lab) -> None:
    lab.package(
        "lab/1_a", {"plates/p.csv": text_of([("A1", 1.0, 1)]), "plates/q.csv": text_of([("A2", 2.0, 2)])}
    )
    lab.declare("strict", PLATES)
    lab.declare("lax", PLATES + CONTINUES)
    [changed] = lab.files.glob("*-q.csv")
    changed.write_text(text_of([("A2", 3.0, 2)]))
    with pytest.raises(HashMismatch):
        await lab.rows("FROM tabulator.strict")
    found = await lab.rows('SELECT od, plate, "$logical_key", "$issue" FROM tabulator.lax ORDER BY plate')
    assert found[0] == [1.0, "p", "plates/p.csv", None]
    assert found[1][:3] == [None, "q", "plates/q.csv"]
    assert found[1][3].startswith("hash_mismatch: ")
    changed.unlink()
    found = await lab.rows("SELECT plate, \"$issue\" FROM tabulator.lax WHERE plate = 'q'")
    assert found[0][1].startswith("object_not_found: ")


async def test_a_manifest_that_is_damaged_is_an_error_or_its_package_is_left_out(lab: Lab) -> None:
    lab.package("lab/1_a", {"plates/p.csv": text_of([("A1", 1.0, 1)])})
    damaged = lab.package("lab/2_b", {"plates/q.csv": text_of([("A2", 2.0, 2)])})
    lab.declare("strict", PLATES)
    lab.declare("lax", PLATES + CONTINUES)
    manifest = lab.registry / ".quilt" / "packages" / damaged
    manifest.write_text(manifest.read_text().replace("plates/q.csv", "plates/r.csv"))
    with pytest.raises(CorruptManifest):
        await lab.rows("FROM tabulator.strict")
    found = await ask(lab.ops, "SELECT plate FROM tabulator.lax")
    assert (values(found), [one.split(":")[0] for one in found.warnings]) == ([["p"]], ["skipped_package"])


async def test_more_files_than_a_table_has_are_told(plates: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabulator_tables, "MOST_FILES", 3)
    assert await plates.rows("SELECT count(*) FROM tabulator.plates") == [[5]]
    monkeypatch.setattr(tabulator_tables, "MOST_FILES", 2)
    with pytest.raises(InvalidArgument, match=r"More than 2 files fit .*tabulator\.plates"):
        await plates.rows("SELECT count(*) FROM tabulator.plates")


async def test_a_saved_result_names_the_revisions_that_it_was_made_of(plates: Lab) -> None:
    saved = await plates.ops.sql.save(SqlRequest("SELECT sum(od) FROM tabulator.plates"), "csv", most=1 << 20)
    assert saved.content.splitlines()[1] == b"16.75"
    assert len(saved.inputs) == 2
    assert all("#package=lab/202" in one and "@" in one for one in saved.inputs)


async def test_a_folder_that_is_not_there_is_a_setting_to_mend(lab: Lab) -> None:
    lab.declared.rmdir()
    with pytest.raises(Misconfigured, match="QUILT_MCP_TABULATOR"):
        await lab.rows("FROM tabulator.t")
    assert (await lab.listed())["tabulator.*"].comment
