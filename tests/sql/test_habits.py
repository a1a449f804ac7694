"""What is said to who writes what is no query here: what to write instead, and what that says runs."""

from __future__ import annotations

import pytest
from sql_lab import ask, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.errors import InvalidSql, QuiltError, SqlRefused

pytestmark = pytest.mark.anyio
GROWTH = "FROM 'data/growth.csv'"


async def told(ops: LocalOps, sql: str, **more: object) -> QuiltError:
    with pytest.raises((InvalidSql, SqlRefused)) as caught:
        await ask(ops, sql, "lab/growth", **more)
    return caught.value


@pytest.mark.parametrize(
    ("statements", "step"),
    [
        (["COPY (SELECT 1) TO 'x.csv'", "-- a note\n EXPORT DATABASE 'x'"], "give its address as `to`"),
        (["CREATE TABLE x AS SELECT 1", "CREATE VIEW x AS SELECT 1"], "WITH a AS (SELECT ..)"),
        (["INSERT INTO x VALUES (1)", "DROP TABLE x", "SELECT 1; DELETE FROM x"], "package_patch"),
        (["ATTACH 'x.db'", "USE x"], "FROM files('s3://bucket/folder/*.csv')"),
        (["INSTALL httpfs", "LOAD httpfs"], "without extensions"),
        (["SET threads = 4"], "settings are fixed"),
        (["PRAGMA show_tables", "SHOW TABLES"], "sql_tables lists tables"),
        (["BEGIN"], "one state"),
        (["EXPLAIN SELECT 1"], "explain=true"),
        ([f"PIVOT ({GROWTH}) ON row", f"SELECT * FROM (PIVOT ({GROWTH}) ON row)"], "ON column IN ('a', 'b')"),
    ],
)
async def test_each_class_of_statements_has_a_next_step_of_its_own(
    lab_ops: LocalOps, statements: list[str], step: str
) -> None:
    for one in statements:
        error = await told(lab_ops, one)
        assert step in error.next_step, (one, error.next_step)


async def test_a_name_that_is_a_word_of_sql_is_to_be_quoted(lab_ops: LocalOps) -> None:
    for word, sql in {"at": f"SELECT at {GROWTH}", "order": f"SELECT row, order {GROWTH}"}.items():
        assert f'"{word}"' in (await told(lab_ops, sql)).next_step
    assert '"desc"' in (await told(lab_ops, f"SELECT row, desc {GROWTH}")).next_step
    assert "double quotes" in (await told(lab_ops, "SELEC 1")).next_step
    assert values(await ask(lab_ops, 'SELECT "at" FROM (SELECT 1 AS "at")')) == [[1]]


async def test_an_arrow_before_a_comparison_stands_in_parentheses(lab_ops: LocalOps) -> None:
    table = """FROM (SELECT '{"a": {"b": "x"}}' AS m)"""
    for test in ("= 'x'", "IN ('x')", "IS NOT NULL", "LIKE 'x%'"):
        assert (
            "(metadata->'a'->>'b') = 'x'"
            in (await told(lab_ops, f"SELECT m->'a'->>'b' {test} {table}")).next_step
        )
        for right in ("(m->'a'->>'b')", "m->>'$.a.b'"):
            assert values(await ask(lab_ops, f"SELECT {right} {test} {table}")) == [[True]]
    assert "TRY_CAST" in (await told(lab_ops, f"SELECT m->>'n' > 5 {table}")).next_step


async def test_a_list_is_looked_through_without_parentheses(lab_ops: LocalOps) -> None:
    lots = {"lots": ["R00", "R01"]}
    error = await told(lab_ops, f"SELECT * {GROWTH} WHERE row IN ($lots)", parameters=lots)
    assert "IN $lots." in error.next_step and "$lots" in error.message
    found = await ask(lab_ops, f"SELECT count(*) {GROWTH} WHERE row IN $lots", "lab/growth", parameters=lots)
    assert values(found) == [[200]]


async def test_a_column_that_is_added_is_no_parameter(lab_ops: LocalOps) -> None:
    for parameters in ({}, {"x": 1}):
        error = await told(lab_ops, f"SELECT $logical_key {GROWTH}", parameters=parameters)
        assert '"$logical_key"' in error.next_step
    assert "in parameters" in (await told(lab_ops, f"SELECT $most {GROWTH}")).next_step
    found = await ask(lab_ops, f'SELECT DISTINCT "$logical_key" {GROWTH}', "lab/growth")
    assert values(found) == [["data/growth.csv"]]


async def test_an_object_without_fields_is_named(lab_ops: LocalOps) -> None:
    error = await told(lab_ops, "SELECT {} AS x")
    assert "{}" in error.message and "Parquet" not in error.message
    assert values(await ask(lab_ops, "SELECT '{}'::JSON")) == [["{}"]]
