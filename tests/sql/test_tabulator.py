"""Tables that are declared as Tabulator's, over packages that quilt3 wrote, against pandas."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from sql_lab import ask, values
from tabulator_lab import CONTINUES, PLATES, Lab, text_of

from quilt_mcp.backends.querying import tabulator_tables
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.sql import SqlRequest
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
)

pytestmark = pytest.mark.anyio
GOOD = {
    "2026_one": {"p1": [("A1", 0.5, 1), ("A2", 1.25, 2)], "p2": [("B, 1", 2.0, 1), ("", 3.5, None)]},
    "2025_two": {"p1": [("A1", 9.5, 7)]},
}
"""Package, plate, rows."""


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


@pytest.mark.sampled(2)
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


@pytest.mark.parametrize(
    ("where", "files"),
    [
        ("plate = 'p1' AND year IN ('2025', '2024')", 1),
        ("\"$pkg_name\" = 'lab/2026_one' AND \"$logical_key\" = 'plates/p2.csv.gz' AND od > 1", 1),
        ("plate = 'p1' AND run = 'none'", 0),
    ],
)
async def test_only_files_that_a_query_can_want_are_brought(
    plates: Lab, monkeypatch: pytest.MonkeyPatch, where: str, files: int
) -> None:
    query = f"SELECT count(*), sum(od) FROM {{}} WHERE {where}"
    whole = await plates.rows(query.format("(FROM tabulator.plates)"))
    monkeypatch.setattr(tabulator_tables, "MOST_FILES", files)
    assert await plates.rows(query.format("tabulator.plates")) == whole


async def test_columns_of_another_name_are_not_taken_for_a_tables_own(plates: Lab) -> None:
    query = "SELECT count(*) FROM tabulator.plates AS t(plate) WHERE plate = 'A1'"
    assert await plates.rows(query.replace("(plate)", "(plate, o, c, y, r, p)")) == [[2]]


async def test_a_saved_result_names_the_revisions_that_it_was_made_of(plates: Lab) -> None:
    saved = await plates.ops.sql.save(SqlRequest("SELECT sum(od) FROM tabulator.plates"), "csv", most=1 << 20)
    assert saved.content.splitlines()[1] == b"16.75"
    assert len(saved.inputs) == 2
    assert all("#package=lab/202" in one and "@" in one for one in saved.inputs)
    assert not [one for one in saved.warnings if one.startswith("reads_itself")]


async def test_a_result_of_which_its_own_declared_table_would_be_is_told(plates: Lab) -> None:
    [one, *_] = (await plates.ops.sql.save(SqlRequest("FROM tabulator.plates"), "csv", most=1 << 20)).inputs
    [[path]] = await plates.rows('SELECT "$logical_key" FROM tabulator.plates ORDER BY 1 LIMIT 1')
    to = replace(PackageUri.parse(one), top_hash=None, path=path)
    for address, is_told in ((to, True), (replace(to, path="elsewhere.txt"), False)):
        request = SqlRequest("SELECT 1 AS n FROM tabulator.plates", to=address)
        saved = await plates.ops.sql.save(request, "csv", most=1 << 20)
        assert is_told is any(one.startswith("reads_itself") for one in saved.warnings), saved.warnings


async def test_a_folder_that_is_not_there_is_a_setting_to_mend(lab: Lab) -> None:
    lab.declared.rmdir()
    with pytest.raises(Misconfigured, match="QUILT_MCP_TABULATOR"):
        await lab.rows("FROM tabulator.t")
    assert (await lab.listed())["tabulator.*"].comment
