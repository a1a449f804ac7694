"""What a query says that the texts of a Tabulator table have to be, and what says nothing of the kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from quilt_mcp.sql import gate
from quilt_mcp.sql.inside import parsing


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with duckdb.connect() as found:
        yield found


def only(engine: Any, sql: str) -> dict[str, set[str]]:
    [found] = gate.read(parsing.parse(engine, sql)["tree"], len(parsing.WRAPPED[0])).tabulator
    return {name: {*texts} for name, texts in found.only.items()}


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("plate = 'a'", {"plate": {"a"}}),
        ("PLATE = 'a' AND od > 1 AND \"$pkg_name\" IN ('b', '')", {"plate": {"a"}, "$pkg_name": {"b", ""}}),
        ("a = 'x' AND (a IN ('x', 'y') AND b = 'z')", {"a": {"x"}, "b": {"z"}}),
        ("a = 'x' AND a = 'y'", {"a": set()}),
        ("(a = 'x' OR b = 'y') AND c = 'z'", {"c": {"z"}}),
        ("a = 'x' OR a = 'y'", {}),
        ("NOT a = 'x'", {}),
        ("a NOT IN ('x')", {}),
        ("a IN ('x', NULL)", {}),
        ("a IN ('x', lower('Y'))", {}),
        ("a = 7", {}),
        ("a <> 'x'", {}),
        ("lower(a) = 'x'", {}),
        ("a = 'X' COLLATE NOCASE", {}),
        ("t.a = 'x'", {}),
        ("a LIKE 'x'", {}),
        ("CASE WHEN true THEN a = 'x' END", {}),
    ],
)
def test_what_a_where_wants(engine: Any, where: str, wanted: dict[str, set[str]]) -> None:
    assert only(engine, f"SELECT * FROM tabulator.t WHERE {where}") == wanted


@pytest.mark.parametrize(
    "sql",
    [
        "FROM tabulator.t AS q(a) WHERE a = 'x'",
        "FROM tabulator.t TABLESAMPLE 10% WHERE a = 'x'",
        "FROM tabulator.t JOIN (SELECT 1 AS b) ON true WHERE a = 'x'",
        "FROM tabulator.t LEFT JOIN (SELECT 1 AS b) ON a = 'x'",
        "SELECT (SELECT count(*) FROM tabulator.t WHERE a = 'x'), * FROM tabulator.t",
        "FROM tabulator.t WHERE a = 'x' UNION ALL FROM Tabulator.T WHERE a = 'y'",
        "FROM tabulator.t QUALIFY a = 'x'",
        "SELECT a FROM tabulator.t GROUP BY a HAVING a = 'x'",
        "SELECT * FROM (FROM tabulator.t) WHERE a = 'x'",
    ],
)
def test_where_other_rows_count_nothing_is_left_out(engine: Any, sql: str) -> None:
    assert only(engine, sql) == {}


def test_a_part_of_with_and_an_inner_query_want_for_themselves(engine: Any) -> None:
    for sql in (
        "WITH p AS (FROM tabulator.t WHERE a = 'x') FROM p a JOIN p b USING (a)",
        "SELECT 1 WHERE EXISTS (FROM tabulator.t WHERE a = 'x')",
    ):
        assert only(engine, sql) == {"a": {"x"}}
