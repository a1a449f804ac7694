"""A result that becomes a file of a package, and what the shell does with queries."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pytest
import quilt3
from sql_lab import GROWTH, build, write_tables

from quilt_mcp.backends.querying.package_tables import COLUMNS
from quilt_mcp.config import Settings
from quilt_mcp.session import Session


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (registry := tmp_path / "registry").mkdir()
    write_tables(tmp_path / "files")
    build(registry, "lab/growth", {"data/growth.csv": tmp_path / "files" / "growth.csv"})
    return tmp_path


def session(place: Path, **flags: Any) -> Session:
    given = {
        "default_registry": (place / "registry").as_uri(),
        "roots": [str(place)],
        "cache_dir": str(place / "cache"),
    }
    return Session(Settings.load({}, given | flags))


def call(opened: Session, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(opened.call("sql_query", arguments)).structured


QUERY = "SELECT row, sum(height) AS height FROM 'lab/growth/data/growth.csv' WHERE plant < $most GROUP BY ALL ORDER BY row"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("name", ["lab/growth", "lab/new"])
def test_a_result_becomes_a_file_that_says_where_it_is_from(place: Path, form: str, name: str) -> None:
    writing = session(place, allow_write=True)
    asked = {
        "sql": QUERY,
        "parameters": {"most": 100},
        "to": f"{name}/results/sum.{form}",
        "message": "summed",
    }
    planned = call(writing, **asked, dry_run=True)
    assert planned["data"]["done"] is False
    before = [*quilt3.list_packages((place / "registry").as_uri())]
    assert ("lab/new" in before) is False
    done = call(writing, **asked)
    assert (done["data"]["done"], done["data"]["added"]) == (True, 1)
    package = quilt3.Package.browse(name, (place / "registry").as_uri())
    entry = package[f"results/sum.{form}"]
    content = io.BytesIO(entry.get_bytes())
    if form == "csv":
        found = pandas.read_csv(content).values.tolist()
    else:
        (place / "sum.parquet").write_bytes(content.getvalue())
        with duckdb.connect() as engine:
            found = [list(row) for row in engine.execute(f"FROM '{place}/sum.parquet'").fetchall()]
    wanted: dict[str, float] = {}
    for plant, row, height, _ in GROWTH:
        if plant < 100:
            wanted[row] = wanted.get(row, 0) + height
    assert found == [list(one) for one in sorted(wanted.items())]
    assert entry.meta["sql"] == QUERY and entry.meta["parameters"] == {"most": 100}
    [source] = entry.meta["inputs"]
    assert call(session(place), sql=f"SELECT count(*) FROM '{source}&path=data/growth.csv'")["data"][
        "rows"
    ] == [[300]]
    if name == "lab/growth":
        assert "data/growth.csv" in [path for path, _ in package.walk()]


def test_nothing_is_saved_where_writes_are_off_or_the_name_is_none(place: Path) -> None:
    refused = call(session(place), sql="SELECT 1", to="lab/growth/x.csv")
    assert refused["error"]["code"] in ("read_only", "invalid_argument")
    for to in ("lab/growth", "lab/growth/x.txt", "lab/growth/"):
        told = call(session(place, allow_write=True), sql="SELECT 1", to=to)
        assert told["error"]["code"] == "invalid_argument", told


def shell(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    flags = [
        "--registry",
        (place / "registry").as_uri(),
        "--root",
        str(place),
        "--cache-dir",
        str(place / "cache"),
    ]
    return subprocess.run(
        [sys.executable, "-m", "quilt_mcp", *words, *flags],
        capture_output=True, text=True, timeout=60, cwd=place, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_a_shell_asks_in_sql(place: Path) -> None:
    query = "SELECT plant, tag FROM 'data/growth.csv' ORDER BY plant"
    done = shell(place, "sql", query, "lab/growth", "--csv")
    assert done.stdout.splitlines() == ["plant,tag", *(f"{row[0]},{row[3] or ''}" for row in GROWTH)]
    told = json.loads(shell(place, "sql", "SELECT range AS n FROM range(2200)", "--json").stdout)
    assert told["data"]["rows"] == [[number] for number in range(2200)]
    tables = shell(place, "tables", "lab/growth", "--json")
    assert "'data/growth.csv'" in [one["table"] for one in json.loads(tables.stdout)["data"]["tables"]]
    wrong = shell(place, "sql", "SELEC 1")
    assert wrong.returncode and "line 1" in wrong.stderr


def test_a_shell_writes_a_result_as_parquet(place: Path) -> None:
    done = shell(place, "sql", "SELECT range AS n FROM range(150000)", "--parquet", "n.parquet")
    assert done.returncode == 0, done.stderr
    with duckdb.connect() as engine:
        assert engine.execute(f"SELECT count(*), max(n) FROM '{place}/n.parquet'").fetchall() == [
            (150_000, 149_999)
        ]
    assert shell(place, "sql", "SELECT 1", "--parquet", "no/such/folder.parquet").returncode


def test_a_shell_replaces_no_file_unless_it_is_told_to(place: Path) -> None:
    (there := place / "n.parquet").write_text("mine")
    refused = shell(place, "sql", "SELECT 1 AS n", "--parquet", "n.parquet")
    assert (refused.returncode, there.read_text()) == (6, "mine"), refused.stderr
    assert "already_exists" in refused.stderr and "add --overwrite" in refused.stderr.replace("with", "add")
    done = shell(place, "sql", "SELECT 1 AS n", "--parquet", "n.parquet", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert there.read_bytes().startswith(b"PAR1")
    assert [one.name for one in place.iterdir() if one.name.startswith(".quilt-")] == []
    folder = shell(place, "sql", "SELECT 1 AS n", "--parquet", "files", "--overwrite")
    assert folder.returncode == 2 and "no file" in folder.stderr


@pytest.mark.parametrize(
    "more",
    [
        ["--limit", "5"],
        ["--csv"],
        ["--json"],
        ["--explain"],
        ["--engine", "athena"],
        ["--to", "a/b/x.csv", "-w"],
    ],
)
def test_what_a_file_of_parquet_does_not_go_with_is_told(place: Path, more: list[str]) -> None:
    done = shell(place, "sql", "SELECT 1 AS n", "--parquet", "n.parquet", *more)
    assert (done.returncode, done.stdout, (place / "n.parquet").exists()) == (2, "", False), done.stderr


def test_a_shell_says_what_it_saved_in_a_package(place: Path) -> None:
    words = ("sql", "SELECT 1 AS n", "--to", "lab/new/n.csv")
    refused = shell(place, *words)
    assert refused.returncode == 4 and "`quilt-mcp sql` with --to writes" in refused.stderr
    done = shell(place, *words, "-w")
    assert done.returncode == 0 and "lab/new" in done.stdout, (done.stdout, done.stderr)
    told = json.loads(shell(place, *words, "-w", "--json").stdout)
    assert told["data"]["done"] is True


def test_help_names_tables_and_what_takes_writing(place: Path) -> None:
    for verb in ("sql", "tables"):
        text = shell(place, verb, "--help").stdout
        for table in COLUMNS:
            assert table in text, (verb, table)
    text = " ".join(shell(place, "sql", "--help").stdout.split())
    assert ".csv (needs -w)." in text and "(needs no -w)" in text and "--overwrite With --parquet" in text
