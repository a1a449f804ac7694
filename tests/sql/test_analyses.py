"""What the gate lets pass is what people ask: each statement gives what the engine alone gives over the same files."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from analyses import ANALYSES
from anyio import to_thread
from boxed import ask, boxed, write_package

from quilt_mcp.domain.sql import SqlRequest
from quilt_mcp.sql import gate
from quilt_mcp.sql.child import Child, Layers
from quilt_mcp.sql.inside.cells import Cells
from quilt_mcp.sql.inside.parsing import WRAPPED

pytestmark = pytest.mark.anyio
_FILES = re.compile(r"files\('\*([^']*)'(?:, delim := '(.)')?\)")


def plainly(
    engine: duckdb.DuckDBPyConnection, files: Path, text: str
) -> tuple[list[str], list[list[object]]]:
    """By the engine with nothing held back, over the files where they lie."""
    text = text.replace("'data/größe", "'data/gr").replace("größe ü.csv", "plates.csv")
    text = _FILES.sub(lambda found: f"read_csv('{files}/{found[1]}', delim = '{found[2]}')", text)
    text = re.sub(r"'data/([^']+)'", lambda found: f"'{files}/{found[1]}'", text)
    found = engine.execute(text)
    names = [one[0] for one in found.description]
    cells = Cells(2_000)
    return names, [cells.row(row) for row in found.fetchall()]


async def test_the_gate_lets_each_pass() -> None:
    child = await to_thread.run_sync(Child.start, Layers())
    try:
        await child.ready()
        for text in ANALYSES:
            gate.read(str((await child.parse(text, 5))["tree"]), len(WRAPPED[0]))
    finally:
        await child.end()


@pytest.mark.parametrize(
    "texts", [ANALYSES[::14], pytest.param(ANALYSES, marks=pytest.mark.nightly)], ids=["some", "all"]
)
async def test_an_analysis_gives_what_the_engine_gives(tmp_path: Path, texts: tuple[str, ...]) -> None:
    sql = boxed(write_package(tmp_path), tmp_path / "cache")
    wrong: list[str] = []
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'; SET lambda_syntax = 'ENABLE_SINGLE_ARROW'")
        for text in texts:
            names, rows = plainly(engine, tmp_path / "files", text)
            found = await ask(sql, text)
            told = [column.name for column in found.columns]
            if [list(one) for one in found.rows] != rows or (len(set(names)) == len(names) and told != names):
                wrong.append(f"{text}\n  {told} {found.rows[:3]}\n  {names} {rows[:3]}")
    await sql.close()
    assert not wrong, "\n".join(wrong)


_VALUES = (
    ("SELECT to_timestamp(0.5)", "1970-01-01T00:00:00.500000+00:00"),
    ("SELECT TIMESTAMPTZ '2026-01-01 02:00:00+02'", "2026-01-01T00:00:00+00:00"),
    ("SELECT [TIMESTAMPTZ '2026-01-01 02:00:00+02']", ["2026-01-01T00:00:00+00:00"]),
    ("SELECT TIMESTAMP 'infinity'", "9999-12-31T23:59:59.999999"),
    ("SELECT INTERVAL 36 HOUR", "36:00:00"),
    ("SELECT sum(id) FROM 'data/runs.parquet'", 1_999_000),
    ("SELECT 9007199254740993::HUGEINT", "9007199254740993"),
    ("SELECT DATE '290000-01-01'", "290000-01-01"),
    ("SELECT upper('ab') FROM package_entry a, PACKAGE_ENTRY b LIMIT 1", "AB"),
    ("SELECT files.kind FROM files('*plates.csv', delim := ';') LIMIT 1", "blank"),
    ("SELECT count(*) FROM files ( '*plates.csv' ) TABLESAMPLE 100%", 48),
    ("SELECT\u00a0'é', k FROM\u2003files('*plates.csv', delim := ';') AS t(w, k) LIMIT 1", "é"),
    (
        "SELECT 'files(''x'')' /* files('y') */ -- files('z')\nFROM files /* ( */ ('*plates.csv') LIMIT 1",
        "files('x')",
    ),
)


@pytest.mark.nightly
async def test_a_value_is_told_as_it_should_be(tmp_path: Path) -> None:
    sql = boxed(write_package(tmp_path), tmp_path / "cache")
    told = [(text, (await ask(sql, text)).rows[0][0]) for text, _ in _VALUES]
    assert told == [*_VALUES]
    await sql.close()


async def test_a_list_that_is_long_is_cut_and_that_is_said(tmp_path: Path) -> None:
    sql = boxed(write_package(tmp_path), tmp_path / "cache")
    long = "SELECT range(1000000) AS r, repeat('x', 5000) AS x, MAP {1: range(100000)} AS m"
    found = await sql.query(SqlRequest(long), room=40_000)
    [(numbers, text, pairs)] = found.rows
    assert numbers[:2] == [0, 1]
    assert "left out" in numbers[-1]
    assert text.endswith("left out]")
    assert len(str(pairs)) < 50_000
    assert [one for one in found.warnings if one.startswith("cells_cut")]
    wide = await sql.query(
        SqlRequest("SELECT " + ", ".join(f"repeat('x', 2000) AS c{n}" for n in range(1000))), room=90_000
    )
    assert len(str(wide.rows)) < 120_000
    await sql.close()
