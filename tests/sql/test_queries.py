"""What queries answer over packages that quilt3 wrote, against the same in plain Python."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pandas
import pytest
import quilt3
from sql_lab import GROWTH, address, ask, build, local_ops, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.sql import SqlRequest
from quilt_mcp.errors import (
    ColumnNotFound,
    EntryNotFound,
    HashMismatch,
    InvalidArgument,
    InvalidSql,
    NotATable,
    PackageNotFound,
    QuiltError,
    SqlRefused,
    TableNotFound,
    TooCostly,
    Undecodable,
)

pytestmark = pytest.mark.anyio
ROWS = [list(row) for row in GROWTH]


# -- files of packages --


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "name", ["growth.csv", "growth.tsv", "growth.csv.gz", "growth.jsonl", "growth.parquet"]
)
async def test_every_kind_of_table_has_the_same_rows(lab_ops: LocalOps, name: str) -> None:
    found = await ask(
        lab_ops, f"SELECT plant, row, height, tag FROM 'data/{name}' ORDER BY plant", "lab/growth", limit=1000
    )
    assert values(found) == ROWS
    assert [one.type for one in found.columns] == ["BIGINT", "VARCHAR", "DOUBLE", "VARCHAR"]
    assert (found.total, found.next_cursor, found.warnings) == (300, None, ())


async def test_a_file_is_read_in_order_by_several_threads_once(lab_ops: LocalOps, tmp_path: Path) -> None:
    """Readers of JSON and of packed files go on where another thread stopped: each with a place of its own read all anew,
    without end."""
    for _ in range(8):
        assert values(await ask(lab_ops, "FROM 'data/one.json'", "lab/growth")) == [[1]]
    (registry := tmp_path / "registry").mkdir()
    lines = "".join(f'{{"a": {number}, "b": "{"x" * (number % 50)}"}}\n' for number in range(150_000))
    (plain := tmp_path / "lines.jsonl").write_text(lines)
    (packed := tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 1))
    build(registry, "a/b", {one.name: one for one in (plain, packed)})
    ops = local_ops(registry, tmp_path / "cache")
    for one in (plain, packed):
        query = f"SELECT count(*), count(DISTINCT a), max(a) FROM 'a/b/{one.name}'"
        assert values(await ask(ops, query)) == [[150_000, 150_000, 149_999]]


async def test_sums_are_those_of_pandas(lab_ops: LocalOps, lab: tuple[Path, Any]) -> None:
    package = quilt3.Package.browse("lab/growth", lab[0].as_uri())
    frame = pandas.read_csv(package["data/growth.csv"].get().removeprefix("file://"))
    wanted = (
        frame.groupby("row")
        .agg(n=("plant", "size"), height=("height", "mean"), tags=("tag", "count"))
        .reset_index()
    )
    query = "SELECT row, count(*), avg(height), count(tag) FROM 'data/growth.csv' GROUP BY ALL ORDER BY row"
    assert values(await ask(lab_ops, query, "lab/growth")) == wanted.values.tolist()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "spelled",
    [
        "'lab/growth/data/growth.csv'",
        "'lab/growth@{hash}/data/growth.csv'",
        "'lab/growth:latest/data/growth.csv'",
        "'quilt+{registry}#package=lab/growth@{hash}&path=data/growth.csv'",
        '"lab/growth/data/growth.csv"',
        "files('lab/growth', 'data/growth.csv')",
        "files('lab/growth@{hash}/data/growth.csv')",
    ],
)
async def test_a_table_is_named_as_any_tool_names_a_file(
    lab_ops: LocalOps, hashes: dict[str, list[str]], spelled: str
) -> None:
    source = spelled.format(hash=hashes["lab/growth"][0][:10], registry=lab_ops.default_registry)
    assert values(await ask(lab_ops, f"SELECT count(*) FROM {source}")) == [[300]]


async def test_what_search_says_of_a_file_is_a_table(lab_ops: LocalOps) -> None:
    from quilt_mcp.domain.address import PackageUri
    from quilt_mcp.domain.search.request import SearchRequest

    found = await lab_ops.search.search(SearchRequest("growth ext:parquet", "entries"))
    [hit] = found.items
    assert values(await ask(lab_ops, f"SELECT count(*) FROM '{hit.uri}'")) == [[300]]
    assert values(await ask(lab_ops, f"SELECT count(*) FROM '{PackageUri.parse(hit.uri).spelling}'")) == [
        [300]
    ]


async def test_rows_of_several_files_say_whose_they_are(
    lab_ops: LocalOps, hashes: dict[str, list[str]]
) -> None:
    found = await ask(lab_ops, "SELECT * FROM files('*.csv') ORDER BY id", "lab/parts")
    assert [one.name for one in found.columns] == ["id", "v", "$logical_key"]
    assert values(found) == [[number, number * 10, f"parts/p{number}.csv"] for number in range(3)]
    query = 'SELECT "$pkg_name", "$top_hash", id FROM \'parts/p0.csv\''
    old, new = hashes["lab/parts"]
    assert values(await ask(lab_ops, query, f"lab/parts@{old[:8]}")) == [["lab/parts", old, 0]]
    assert values(await ask(lab_ops, query, "lab/parts")) == [["lab/parts", new, 0]]


async def test_two_revisions_are_joined(lab_ops: LocalOps, hashes: dict[str, list[str]]) -> None:
    old, new = (one[:10] for one in hashes["lab/parts"])
    new_files, old_files = f"files('lab/parts@{new}', '*.csv')", f"files('lab/parts@{old}', '*.csv')"
    query = f"SELECT n.id, o.id FROM {new_files} n LEFT JOIN {old_files} AS o(id, v) USING (v) ORDER BY 1"
    assert values(await ask(lab_ops, query)) == [[0, 0], [1, None], [2, None]]


async def test_a_file_that_several_packages_have_is_asked_for_by_package(lab_ops: LocalOps) -> None:
    with pytest.raises(InvalidSql) as caught:
        await ask(lab_ops, "FROM 'parts/p0.csv'", "lab/parts", "team/copy")
    named = caught.value.next_step.split("FROM ")[1].split(" or")[0].rstrip(".")
    assert values(await ask(lab_ops, f"SELECT count(*) FROM {named}")) == [[1]]


async def test_objects_are_tables(lab_ops: LocalOps, lab: tuple[Path, Any]) -> None:
    files = lab[0].parent / "files"
    assert values(await ask(lab_ops, f"SELECT count(*) FROM '{(files / 'growth.parquet').as_uri()}'")) == [
        [300]
    ]
    extra = (lab[0].parent / "extra").as_uri()
    found = await ask(
        lab_ops, f"SELECT sum(v)::INT, count(DISTINCT \"$logical_key\") FROM files('{extra}/p*.csv')"
    )
    assert values(found) == [[30, 3]]


async def test_a_folder_outside_the_roots_is_out_of_reach(lab_ops: LocalOps) -> None:
    for spelled in ("'file:///etc/hosts.csv'", "files('file:///etc/*.csv')"):
        with pytest.raises(QuiltError) as caught:
            await ask(lab_ops, f"FROM {spelled}")
        assert caught.value.code in ("outside_roots", "source_not_found")


# -- the four tables --


async def scan(registry: Path) -> dict[str, list[Any]]:
    """The four tables, by quilt3 alone, of all revisions."""
    found: dict[str, list[Any]] = {"revision": [], "tag": [], "manifest": [], "entry": []}
    for name in quilt3.list_packages(registry.as_uri()):
        for tag, top_hash in quilt3.list_package_versions(name, registry.as_uri()):
            found["tag" if tag == "latest" else "revision"].append((name, tag, top_hash))
            package = quilt3.Package.browse(name, registry.as_uri(), top_hash=top_hash)
            found["manifest"].append((top_hash, package._meta.get("message"), package.meta))
            for path, entry in package.walk():
                found["entry"].append(
                    (top_hash, path, str(entry.physical_key), entry.size, entry.hash["value"])
                )
    return found


async def test_the_four_tables_are_those_that_quilt3_reads(lab_ops: LocalOps, lab: tuple[Path, Any]) -> None:
    wanted = await scan(lab[0])
    tags = await ask(lab_ops, "SELECT * FROM package_tag", limit=1000)
    assert sorted(map(tuple, tags.rows)) == sorted(wanted["tag"])
    revisions = await ask(
        lab_ops,
        "SELECT pkg_name, epoch(timestamp)::BIGINT::VARCHAR, top_hash FROM package_revision",
        limit=1000,
    )
    assert sorted(map(tuple, revisions.rows)) == sorted(wanted["revision"])
    manifests = await ask(lab_ops, "SELECT * FROM package_manifest", limit=1000, all_revisions=True)
    told = sorted((top_hash, message, json.loads(meta)) for top_hash, message, meta in manifests.rows)
    assert told == sorted({one[0]: one for one in wanted["manifest"]}.values(), key=lambda one: one[0])
    entries = await ask(
        lab_ops,
        "SELECT top_hash, logical_key, physical_key, size, hash_value FROM package_entry",
        limit=1000,
        all_revisions=True,
    )
    assert sorted(map(tuple, entries.rows)) == sorted(set(wanted["entry"]))
    latest = {top_hash for _, _, top_hash in wanted["tag"]}
    found = await ask(lab_ops, "SELECT DISTINCT top_hash FROM package_entry", limit=1000)
    assert {row[0] for row in found.rows} == latest
    assert any(one.startswith("latest_only") for one in found.warnings)


async def test_all_revisions_are_there_where_a_query_means_them(
    lab_ops: LocalOps, hashes: dict[str, list[str]]
) -> None:
    query = "SELECT count(DISTINCT top_hash) FROM package_entry WHERE top_hash = '{}'"
    old = hashes["lab/parts"][0]
    assert values(await ask(lab_ops, query.format(old))) == [[0]]
    assert values(await ask(lab_ops, query.format(old), f"lab/parts@{old[:9]}")) == [[1]]
    source = "package_entry JOIN package_revision USING (top_hash) WHERE pkg_name = 'lab/parts'"
    joined = f"SELECT count(DISTINCT top_hash) FROM {source}"
    found = await ask(lab_ops, joined)
    assert (values(found), found.warnings) == ([[2]], ())


async def test_tables_follow_what_is_pushed(tmp_path: Path) -> None:
    (registry := tmp_path / "registry").mkdir()
    (one := tmp_path / "a.csv").write_text("x\n1\n")
    ops = local_ops(registry, tmp_path / "cache")
    build(registry, "a/b", {"a.csv": one})
    assert values(await ask(ops, "SELECT count(*) FROM package_entry")) == [[1]]
    build(registry, "a/c", {"a.csv": one, "b.csv": one})
    assert values(await ask(ops, "SELECT count(*) FROM package_entry")) == [[3]]
    shutil.rmtree(registry / ".quilt/named_packages/a/b")
    assert values(await ask(ops, "SELECT count(*) FROM package_entry")) == [[2]]


async def test_two_registries_are_told_apart(lab: tuple[Path, Any], tmp_path: Path) -> None:
    (other := tmp_path / "second").mkdir()
    (one := tmp_path / "a.csv").write_text("x\n1\n")
    build(other, "other/one", {"a.csv": one})
    ops = local_ops(lab[0], tmp_path / "cache", other)
    query = "SELECT registry, count(*) > 0 FROM package_entry GROUP BY ALL ORDER BY 1"
    assert values(await ask(ops, query)) == sorted([[lab[0].as_uri(), True], [other.as_uri(), True]])
    assert values(await ask(ops, 'SELECT pkg_name FROM "second_package_tag"')) == [["other/one"]]


async def test_an_empty_registry_has_empty_tables(tmp_path: Path) -> None:
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    for table in ("package_entry", "package_manifest", "package_tag", "package_revision"):
        assert values(await ask(ops, f"SELECT count(*) FROM {table}")) == [[0]]


# -- results --


async def test_pages_add_up_to_the_whole_and_stay_as_they_were(lab_ops: LocalOps) -> None:
    query = "SELECT range AS n, random() AS r FROM range(2500)"
    found = await ask(lab_ops, query, limit=1000)
    rows, cursor = [*found.rows], found.next_cursor
    while cursor:
        page = await ask(lab_ops, query, limit=700, cursor=cursor)
        assert page.total == 2500
        rows += page.rows
        cursor = page.next_cursor
    assert [row[0] for row in rows] == list(range(2500))
    again = await ask(lab_ops, query, limit=1000, cursor=found.next_cursor)
    assert list(again.rows) == rows[1000:2000]


async def test_a_page_holds_what_there_is_room_for(lab_ops: LocalOps) -> None:
    found = await ask(lab_ops, "SELECT repeat('x', 100) FROM range(50)", limit=50, room=1_100)
    assert (len(found.rows), found.total) == (10, 50)
    found = await ask(lab_ops, "SELECT repeat('x', 1900) FROM range(3)", limit=50, room=100)
    assert len(found.rows) == 1


async def test_a_cursor_of_another_query_or_of_a_result_that_is_gone(
    lab_ops: LocalOps, lab: tuple[Path, Any], tmp_path: Path
) -> None:
    found = await ask(lab_ops, "FROM range(10)", limit=2)
    with pytest.raises(InvalidArgument):
        await ask(lab_ops, "FROM range(11)", limit=2, cursor=found.next_cursor)
    other = local_ops(lab[0], tmp_path / "cache")
    with pytest.raises(InvalidArgument) as caught:
        await ask(other, "FROM range(10)", limit=2, cursor=found.next_cursor)
    assert caught.value.details["reason"] == "cursor_expired"


async def test_more_rows_than_are_kept_are_told(lab_ops: LocalOps) -> None:
    found = await ask(lab_ops, "FROM range(100001)", limit=1)
    assert found.total is None and found.next_cursor and any("truncated" in one for one in found.warnings)
    found = await ask(lab_ops, "FROM range(100000)", limit=1)
    assert found.total == 100_000 and not found.warnings


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740992", 9007199254740992),
        ("12345678901234567890.123456789::DECIMAL(38,9)", "12345678901234567890.123456789"),
        ("'NaN'::DOUBLE", "NaN"),
        ("'-Infinity'::DOUBLE", "-Infinity"),
        ("'ab\\x00'::BLOB", "YWIA"),
        ("DATE '2026-01-31'", "2026-01-31"),
        ("TIMESTAMP '2026-01-31 10:00:00.123456'", "2026-01-31T10:00:00.123456"),
        ("'290309-12-22 (BC)'::DATE", "290309-12-22 (BC)"),
        ("INTERVAL 3 MONTH + INTERVAL 1 MICROSECOND", "3 months 00:00:00.000001"),
        ("[1, NULL, 3]", [1, None, 3]),
        ("{'a': 1, 'b': [1.5]}", {"a": 1, "b": ["1.5"]}),
        ("MAP {'k': 1}", {"k": 1}),
        ("MAP {[1, 2]: 'v'}", {"key": [[1, 2]], "value": ["v"]}),
        ("'é😀\u202e'", "é😀\u202e"),
        ("NULL", None),
        ("uuid '123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
        ("TIMETZ '10:00:00+02'", "10:00:00+02"),
        ("'{\"a\": 1}'::JSON", '{"a": 1}'),
        ("'101'::BIT", "101"),
        ("true", True),
    ],
)
async def test_values_lose_nothing(lab_ops: LocalOps, sql: str, value: Any) -> None:
    assert values(await ask(lab_ops, f"SELECT {sql} AS v")) == [[value]]


async def test_parameters_and_plans(lab_ops: LocalOps) -> None:
    found = await ask(lab_ops, "SELECT $n + 1 AS a, $t AS b", parameters={"n": 41, "t": "'; DROP"})
    assert values(found) == [[42, "'; DROP"]]
    query = "SELECT count(*) FROM 'data/growth.csv' WHERE plant < $most"
    assert values(await ask(lab_ops, query, "lab/growth", parameters={"most": 10})) == [[10]]
    plan = await ask(lab_ops, "SELECT * FROM 'data/growth.csv' ORDER BY plant", "lab/growth", explain=True)
    assert plan.columns[0].name == "plan" and plan.rows


async def test_a_long_text_is_cut_and_told(lab_ops: LocalOps) -> None:
    found = await ask(lab_ops, "SELECT repeat('x', 5000)", room=1_000)
    assert len(found.rows[0][0]) < 2_100 and any("cells_cut" in one for one in found.warnings)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 -- what; it means\n ; -- nothing",
        "/* one */ SELECT 1 /* ) AS result; */;;",
        "SELECT 1;",
        "(SELECT 1)",
        "FROM (VALUES (1))",
        "SELECT 1 FROM (SELECT ';' AS x)",
    ],
)
async def test_comments_and_semicolons(lab_ops: LocalOps, sql: str) -> None:
    assert values(await ask(lab_ops, sql)) == [[1]]


async def test_a_name_of_its_own_hides_no_table(lab_ops: LocalOps) -> None:
    query = "WITH package_tag AS (SELECT * FROM package_tag WHERE pkg_name LIKE 'lab/%') SELECT count(*) FROM package_tag"
    assert values(await ask(lab_ops, query)) == [[2]]


async def test_files_are_found_where_other_letters_stand_before_them(lab_ops: LocalOps) -> None:
    query = (
        "SELECT 'ü€😀 files(''x'')' AS t, a.n + b.n FROM (SELECT count(*) AS n FROM files('lab/parts', '*.csv')) a, "
        "(SELECT count(*) AS n /* files('é') */ FROM files('lab/growth', '*.tsv') AS f) b"
    )
    assert values(await ask(lab_ops, query)) == [["ü€😀 files('x')", 303]]


# -- what is refused --


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("SELEC 1", InvalidSql, "line 1, column 1"),
        ("SELECT\n  1 +", InvalidSql, "line 2"),
        ("", InvalidArgument, "empty"),
        ("SELECT 1; SELECT 2", InvalidSql, "2 statements"),
        ("SELECT * FROM nothing", TableNotFound, "sql_tables"),
        ("SELECT * FROM growth", TableNotFound, "'data/growth.csv'"),
        ("SELECT * FROM 'data/grwth.csv'", TableNotFound, "'data/growth.csv'"),
        ("SELECT * FROM package_entries", TableNotFound, "package_entry"),
        ("SELECT plnt FROM 'data/growth.csv'", ColumnNotFound, "plant"),
        ("FROM 'data/notes.txt'", NotATable, ".csv"),
        ("FROM files('*.txt')", NotATable, ".csv"),
        ("FROM files('*.nothing')", EntryNotFound, "match"),
        ("FROM files('*growth*')", InvalidSql, "one"),
        ("FROM files('lab/nothing', '*.csv')", PackageNotFound, "packages_list"),
        ("FROM files('data/growth.csv', delimm := ';')", InvalidSql, "delim"),
        ("FROM files(plant)", InvalidSql, "literal"),
        ("FROM 'data/ragged.csv'", Undecodable, "object_read"),
        ("SELECT sum(b) FROM 'data/late.csv'", Undecodable, "30002"),
        ("FROM 'data/latin.csv'", Undecodable, "latin-1"),
        ("FROM 'data/lying.parquet'", Undecodable, "data/lying.parquet"),
        ("DELETE FROM package_entry", SqlRefused, "SELECT"),
        ("SELECT * FROM read_csv('data/growth.csv')", SqlRefused, "files("),
        ("SELECT nosuch(1)", SqlRefused, "nosuch"),
        ("SELECT TOP 5 * FROM 'data/growth.csv'", InvalidSql, "LIMIT"),
        ("SELECT * FROM lab/growth/data/growth.csv", InvalidSql, "in quotes"),
        ("SELECT order FROM 'data/growth.csv'", InvalidSql, "words of SQL"),
        ("SELECT row, count(*) FROM 'data/growth.csv'", InvalidSql, "GROUP BY ALL"),
        ("SELECT 1 % 0", InvalidSql, "nullif"),
        ("SELECT $n", InvalidSql, "in parameters"),
        ("SELECT * FROM main.package_entry", SqlRefused, "schema"),
        ("SHOW TABLES", SqlRefused, "sql_tables"),
        ("SELECT 'x'::INTEGER", InvalidSql, "TRY_CAST"),
        ("SELECT " + "x" * 70_000, InvalidSql, "bytes"),
    ],
)
async def test_bad_input_is_told_with_a_way_out(
    lab_ops: LocalOps, sql: str, error: type[QuiltError], said: str
) -> None:
    with pytest.raises(error) as caught:
        await ask(lab_ops, sql, "lab/growth")
    assert said in f"{caught.value.message} {caught.value.next_step}", caught.value.__dict__
    assert caught.value.next_step


async def test_the_way_out_of_another_encoding_works(lab_ops: LocalOps) -> None:
    query = "SELECT * FROM files('lab/growth', 'data/latin.csv', encoding := 'latin-1')"
    assert values(await ask(lab_ops, query)) == [["Müller", 1]]
    query = "SELECT count(*) FROM files('lab/growth', 'data/late.csv', ignore_errors := true)"
    assert values(await ask(lab_ops, query)) == [[30_000]]


async def test_a_file_that_changed_since_is_told(tmp_path: Path) -> None:
    (registry := tmp_path / "registry").mkdir()
    (one := tmp_path / "a.csv").write_text("x\n1\n")
    build(registry, "a/b", {"a.csv": one})
    ops = local_ops(registry, tmp_path / "cache")
    assert values(await ask(ops, "FROM 'a/b/a.csv'")) == [[1]]
    one.write_text("x\n2\n")
    with pytest.raises(HashMismatch):
        await ask(ops, "FROM 'a/b/a.csv'")


async def test_too_long_a_query_is_stopped(lab_ops: LocalOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_ops.queries.made(), "_seconds", 1.0)
    with pytest.raises(TooCostly):
        await ask(lab_ops, "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
    assert values(await ask(lab_ops, "SELECT 1")) == [[1]]


async def test_each_table_is_listed_as_it_is_pasted_into_a_from(
    lab_ops: LocalOps, hashes: dict[str, list[str]]
) -> None:
    """Of one package by path; of several by addresses with short hashes, which need no packages."""
    growth = f"lab/growth@{hashes['lab/growth'][0][:10]}"
    for packages, csv in (
        (["lab/growth"], "'data/growth.csv'"),
        (["lab/growth", "lab/parts"], f"'{growth}/data/growth.csv'"),
    ):
        request = SqlRequest("", tuple(address(lab_ops, one) for one in packages))
        found = {one.name: one for one in await lab_ops.sql.list_tables(request)}
        assert [one.name for one in found["package_tag"].columns] == ["pkg_name", "tag_name", "top_hash"]
        assert [one.type for one in found[csv].columns] == ["BIGINT", "VARCHAR", "DOUBLE", "VARCHAR"]
        assert (found[csv.replace("growth.csv", "lying.parquet")].comment or "").startswith("undecodable")
        assert not [one for one in found if "notes.txt" in one or len(one) > 60]
        for name, table in found.items():
            if not (table.comment or "").startswith("undecodable"):
                named = packages if len(packages) == 1 else []
                described = await ask(lab_ops, f"DESCRIBE FROM {name}", *named)
                assert [row[0] for row in described.rows] == [one.name for one in table.columns]


async def test_a_header_is_data(tmp_path: Path) -> None:
    """DuckDB's own spelling of how a CSV is read does not quote the names in it."""
    hostile = (
        "x': 'VARCHAR'}) UNION ALL SELECT current_setting('memory_limit'); CREATE TABLE made AS SELECT 1; --"
    )
    (registry := tmp_path / "registry").mkdir()
    (one := tmp_path / "one.csv").write_text(f'"{hostile}",b\nq,1\n')
    (other := tmp_path / "other.csv").write_text('id,patient\'s age\n1,"a, b"\n')
    build(registry, "a/b", {"one.csv": one, "other.csv": other})
    ops = local_ops(registry, tmp_path / "cache")
    found = await ask(ops, "FROM 'a/b/one.csv'")
    assert ([column.name for column in found.columns], values(found)) == ([hostile, "b"], [["q", 1]])
    found = await ask(ops, "FROM 'a/b/other.csv'")
    assert ([column.name for column in found.columns], values(found)) == (
        ["id", "patient's age"],
        [[1, "a, b"]],
    )


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT DISTINCT TOP_HASH FROM package_entry",
        "SELECT DISTINCT #1 FROM package_entry",
        "SELECT DISTINCT (e).top_hash FROM package_entry e",
        "SELECT DISTINCT struct_extract(e, 'top_hash') FROM package_entry e",
        "SELECT DISTINCT m.top_hash FROM package_entry JOIN package_manifest m USING (Top_Hash)",
    ],
)
async def test_the_hash_of_a_revision_is_there_however_it_is_named(
    lab_ops: LocalOps, hashes: dict[str, list[str]], query: str
) -> None:
    assert sorted(row[0] for row in (await ask(lab_ops, query)).rows) == sorted(
        {one[-1] for one in hashes.values()}
    )
