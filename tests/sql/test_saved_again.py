"""What is saved of a query is what quilt3 opens, says what it was made of, and does not come back unseen."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import quilt3
from sql_lab import build, write_tables

from quilt_mcp.config import Settings
from quilt_mcp.session import Session


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("saved")
    (folder := place / "registry").mkdir()
    write_tables(place / "files")
    for name in ("lab/growth", "lab/other"):
        build(folder, name, {"results/a.csv": place / "files" / "growth.csv"}, meta={"assay": "x"})
    return folder.as_uri()


@pytest.fixture
def session(registry: str) -> Session:
    place = Path(registry.removeprefix("file://")).parent
    given = {"default_registry": registry, "roots": [str(place)], "cache_dir": str(place / "cache")}
    return Session(Settings.load({}, {**given, "allow_write": True}))


def call(session: Session, tool: str = "sql_query", **arguments: Any) -> dict[str, Any]:
    return asyncio.run(session.call(tool, arguments)).structured


def warned(session: Session, sql: str, to: str, packages: list[str]) -> bool:
    told = call(session, sql=sql, to=to, packages=packages, dry_run=True)
    assert told["data"]["done"] is False
    return any(one.startswith("reads_itself: ") for one in told.get("warnings", ()))


def test_a_result_that_its_own_query_would_read_is_told(session: Session, registry: str) -> None:
    pinned = quilt3.Package.browse("lab/growth", registry).top_hash
    rows = "SELECT plant FROM {}"
    for source, to, packages, is_read in (
        ("files('results/*.csv')", "lab/growth/results/out.csv", ["lab/growth"], True),
        ("'results/*.csv'", "lab/growth/results/out.csv", ["lab/growth"], True),
        ("files('lab/growth', '*.csv')", "lab/growth/deep/out.csv", [], True),
        ("files('lab/*', '*.csv')", "lab/new/out.csv", [], True),
        ("files('*.csv')", "lab/growth/results/out.csv", ["lab/growth/results"], True),
        ("files('*.csv')", "lab/growth/out.csv", ["lab/growth/results/"], False),
        ("files('results/*.csv')", "lab/growth/out.csv", ["lab/growth"], False),
        ("files('results/*.csv')", "lab/other/results/out.csv", ["lab/growth"], False),
        (f"files('lab/growth@{pinned}', '*.csv')", "lab/growth/results/out.csv", [], False),
        ("'results/a.csv'", "lab/growth/results/out.csv", ["lab/growth"], False),
    ):
        assert warned(session, rows.format(source), to, packages) is is_read, (source, to)
    done = call(session, sql=rows.format("files('*.csv')"), packages=["lab/other"], to="lab/other/out.csv")
    assert done["data"]["done"] and done["warnings"][0].startswith("reads_itself: out.csv fits *.csv")


def test_quilt3_opens_what_was_saved(session: Session, registry: str) -> None:
    """By the format that the entry says: the object's own name has no ending."""
    for form in ("csv", "parquet"):
        done = call(session, sql="SELECT range AS n FROM range(3)", to=f"made/{form}/n.{form}")
        assert done["data"]["done"], done
        entry = quilt3.Package.browse(f"made/{form}", registry)[f"n.{form}"]
        assert entry()["n"].tolist() == [0, 1, 2]
        assert "sql" in entry.meta and "format" not in entry.meta


def test_lists_and_objects_are_json_in_a_csv(session: Session, registry: str) -> None:
    sql = """SELECT ['a "b"', NULL] AS l, {'x': DATE '2026-01-01'} AS o, MAP {'k': 1} AS m, 'p' AS t, NULL::INTEGER[] AS n"""
    call(session, sql=sql, to="made/nested/x.csv")
    content = quilt3.Package.browse("made/nested", registry)["x.csv"].get_bytes()
    [row] = csv.DictReader(io.StringIO(content.decode()))
    assert [json.loads(row[one]) for one in "lom"] == [['a "b"', None], {"x": "2026-01-01"}, {"k": 1}]
    assert (row["t"], row["n"]) == ("p", "")


def test_a_result_over_all_packages_says_of_which_registry_and_when(session: Session, registry: str) -> None:
    call(session, sql="SELECT pkg_name FROM package_tag", to="made/tags/x.csv")
    meta = quilt3.Package.browse("made/tags", registry)["x.csv"].meta
    assert registry in meta["inputs"] and meta["as_of"][registry].endswith("Z")
    call(session, sql="SELECT 1 AS n", to="made/none/x.csv")
    assert quilt3.Package.browse("made/none", registry)["x.csv"].meta["inputs"] == []


def test_sql_tables_says_what_a_query_may_name_besides(session: Session) -> None:
    told = call(session, "sql_tables", packages=["lab/growth", "lab/other"])["data"]
    said = " ".join(told["notes"])
    for one in ('"$logical_key"', '"$pkg_name"', '"$top_hash"', "files('*.csv')", "quilt+s3://"):
        assert one in said, one
    rows = call(
        session,
        sql="SELECT \"$pkg_name\", count(*) AS n FROM files('a.csv') GROUP BY ALL ORDER BY 1",
        packages=["lab/growth", "lab/other"],
    )
    assert rows["data"]["rows"] == [["lab/growth", 300], ["lab/other", 300]]
    about = {one["table"]: one.get("about", "") for one in told["tables"]}
    assert "$.user_meta" in about["package_entry"] and "user_meta" not in about["package_manifest"]
    found = call(session, sql="SELECT count(*) FROM package_manifest WHERE metadata->>'assay' = 'x'")
    assert found["data"]["rows"][0][0] >= 1


def test_what_is_not_listed_is_not_told_of(session: Session, registry: str) -> None:
    """Neither arguments that write, on a server that reads, nor folders of the system as what it might be opened to."""
    place = Path(registry.removeprefix("file://")).parent
    given = {"default_registry": registry, "roots": [str(place)], "cache_dir": str(place / "cache")}
    reading = Session(Settings.load({}, given))
    assert "to" in call(session, sql="SELECT 1", too="x")["error"]["details"]["known"]
    refused = call(reading, sql="SELECT 1", too="x")["error"]
    assert "to" not in refused["details"]["known"] and "mean to?" not in refused["message"]
    assert call(reading, sql="SELECT 1", to="lab/new/x.csv")["error"]["code"] == "read_only"
    for uri in ("file:///etc/passwd", "file:///usr/share/dict/words", Path.home().as_uri() + "/x.csv"):
        error = call(session, sql=f"FROM '{uri}'")["error"]
        assert error["code"] == "outside_roots"
        assert "--root" not in error["next_step"] and "folder" not in error["details"], error
        assert str(place) in error["next_step"]
    error = call(session, sql=f"FROM '{place.parent.as_uri()}/elsewhere/x.csv'")["error"]
    assert f"--root {place.parent}" in error["next_step"]
