"""Queries over the four tables in DuckDB's SQL: each has an equal on Athena, or is refused with the reason."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
import trino_sql_validator

from athena import corpus
from athena.conftest import account_with_rows
from athena.four_tables import duckdb_with_rows, rows_of
from parts.athena_double.executes import Engine
from quilt_mcp.athena.functions import ALLOWED
from quilt_mcp.athena.tables import TableAt, tables_of
from quilt_mcp.athena.translate import Translated, translate
from quilt_mcp.errors import (
    ColumnNotFound,
    InputError,
    InvalidArgument,
    NotSupported,
    QuiltError,
    TableNotFound,
    TooLarge,
)

IN_B = tables_of(["b"])


@functools.cache
def in_b(query: str) -> Translated:
    return translate(query, IN_B)


@pytest.fixture(scope="module")
def duckdb() -> Any:
    connection = duckdb_with_rows()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def sqlite() -> Any:
    account = account_with_rows()
    yield account._engine
    account.close()


def read_back(rows: list[list[Any]], lists: frozenset[int]) -> list[list[Any]]:
    return [
        [json.loads(one) if n in lists and one is not None else one for n, one in enumerate(row)]
        for row in rows
    ]


def is_ordered(query: str) -> bool:
    """Whether the last clause of the whole query says an order."""
    depth = 0
    last = ""
    for word in query.replace("(", " ( ").replace(")", " ) ").split():
        depth += (word == "(") - (word == ")")
        last = (
            word if depth == 0 and word in ("order", "from", "where", "union", "qualify", "group") else last
        )
    return last == "order"


def test_there_are_enough_of_them() -> None:
    assert len(set(corpus.EQUAL)) >= 150
    assert len(set(corpus.REFUSED)) >= 60
    assert set(corpus.EQUAL) >= corpus.SPARK_LACKS | corpus.SQLITE_LACKS
    assert not corpus.SPARK_LACKS & corpus.SQLITE_LACKS


@pytest.mark.sampled(31)
@pytest.mark.parametrize("query", [one for one in corpus.EQUAL if one not in corpus.SQLITE_LACKS])
def test_a_query_answers_the_same_on_another_engine(query: str, duckdb: Any, sqlite: Engine) -> None:
    made = in_b(query)
    ordered = is_ordered(query)
    cursor = duckdb.execute(query)
    expected = rows_of(cursor.fetchall(), ordered=ordered)
    columns, rows = sqlite.run(made.sql)
    assert rows_of(read_back(rows, made.lists), ordered=ordered) == expected
    assert len(made.headings) == len(columns)


def test_most_answers_are_told_apart_from_none(duckdb: Any) -> None:
    """So that two engines are not equal by having nothing to say."""
    empty = [query for query in corpus.EQUAL if not duckdb.execute(query).fetchall()]
    assert len(empty) <= 3, empty


@pytest.mark.sampled(80)
@pytest.mark.parametrize("query", corpus.EQUAL)
def test_what_is_made_is_trinos_sql_to_another_reader(query: str) -> None:
    found = trino_sql_validator.validate(in_b(query).sql, dialect="trino")
    assert found.valid, found


@pytest.mark.parametrize(("query", "named"), corpus.refused())
def test_what_has_no_equal_is_refused_with_the_reason_and_a_way_out(query: str, named: str) -> None:
    with pytest.raises(NotSupported) as caught:
        translate(query, IN_B)
    assert named.lower() in caught.value.message.lower()
    assert len(caught.value.message.partition(": ")[2]) > 10
    assert "engine='duckdb'" in caught.value.next_step


@pytest.mark.parametrize("query", corpus.WRONG)
def test_what_is_no_query_over_the_tables_is_an_input_error(query: str) -> None:
    with pytest.raises(InputError) as caught:
        translate(query, IN_B)
    assert caught.value.next_step


GOLDEN = {
    "select count(*) from package_entry": 'SELECT COUNT(*) AS "count_star()" FROM "b_package_entry" AS "package_entry"',
    "select size from package_entry order by all desc": 'SELECT "package_entry"."size" AS "size" FROM "b_package_entry" AS '
    '"package_entry" ORDER BY 1 DESC',
    "select sum(size) / 3 as s from package_entry": 'SELECT CAST(SUM("package_entry"."size") AS DOUBLE) / CAST(3 AS DOUBLE) AS "s" '
    'FROM "b_package_entry" AS "package_entry"',
    "select regexp_replace(logical_key, '(a)', '\\1$', 'g') x from package_entry": "SELECT REGEXP_REPLACE("
    '"package_entry"."logical_key", \'(a)\', \'$1\\$\') AS "x" FROM "b_package_entry" AS "package_entry"',
    "select arg_max(top_hash, pkg_name) x from package_tag": 'SELECT MAX_BY("package_tag"."top_hash", "package_tag"."pkg_name") '
    'FILTER(WHERE NOT "package_tag"."top_hash" IS NULL) AS "x" FROM "b_package_tag" AS "package_tag"',
    "select string_agg(tag_name, '+') x from package_tag": 'SELECT LISTAGG("package_tag"."tag_name", \'+\') WITHIN GROUP (ORDER BY '
    '"package_tag"."tag_name") AS "x" FROM "b_package_tag" AS "package_tag"',
    "select pkg_name from package_revision where timestamp > '2026-01-01'": 'SELECT "package_revision"."pkg_name" AS "pkg_name" '
    'FROM "b_package_revision" AS "package_revision" WHERE "package_revision"."timestamp" > CAST(\'2026-01-01\' AS TIMESTAMP(6))',
    "select top_hash from package_manifest where metadata->>'a.b' = 'x'": 'SELECT "package_manifest"."top_hash" AS "top_hash" FROM '
    '"b_package_manifest" AS "package_manifest" WHERE JSON_EXTRACT_SCALAR("package_manifest"."metadata", \'$["a.b"]\') = \'x\'',
    "select top_hash from package_manifest where metadata->>'$.a.b' = 'x'": 'SELECT "package_manifest"."top_hash" AS "top_hash" FROM '
    '"b_package_manifest" AS "package_manifest" WHERE JSON_EXTRACT_SCALAR("package_manifest"."metadata", \'$.a.b\') = \'x\'',
    "select date_diff('day', timestamp, current_date) d from package_revision": "SELECT DATE_DIFF('day', DATE_TRUNC('day', "
    '"package_revision"."timestamp"), DATE_TRUNC(\'day\', CAST(CURRENT_DATE AS TIMESTAMP(6)))) AS "d" FROM "b_package_revision" AS '
    '"package_revision"',
    "select t.pkg_name from package_tag t semi join package_revision r using (pkg_name)": 'SELECT "t"."pkg_name" AS "pkg_name" FROM '
    '"b_package_tag" AS "t" WHERE EXISTS(SELECT 1 FROM "b_package_revision" AS "r" WHERE "t"."pkg_name" = "r"."pkg_name")',
    "select dayofweek(timestamp) d from package_revision": 'SELECT (DAY_OF_WEEK("package_revision"."timestamp") % 7) AS "d" FROM '
    '"b_package_revision" AS "package_revision"',
}


@pytest.mark.parametrize("query", GOLDEN)
def test_what_is_made_reads_as_it_is_meant(query: str) -> None:
    assert translate(query, IN_B).sql == GOLDEN[query]


def test_several_buckets_are_one_table_and_the_registry_is_told_when_it_is_asked(sqlite: Engine) -> None:
    twice = tables_of(["b", "b"])
    made = translate("select * from package_tag", twice)
    assert len(sqlite.run(made.sql)[1]) == 10
    assert "registry" not in made.headings

    def in_two(name: str) -> list[TableAt]:
        return [TableAt(f"b_{name}", registry=f"s3://{one}") for one in ("one", "two")]

    made = translate("select registry, count(*) from package_tag group by all order by all", in_two)
    assert sqlite.run(made.sql)[1] == [["s3://one", 5], ["s3://two", 5]]
    made = translate("select count(*) from package_tag where registry = 's3://two'", in_two)
    assert sqlite.run(made.sql)[1] == [[5]]


def test_names_of_tables_are_quoted_whatever_is_in_them() -> None:
    made = translate("from package_tag t", lambda name: [TableAt(f'x-"1_{name}', "da-ta", "cat.alog")])
    assert 'FROM "cat.alog"."da-ta"."x-""1_package_tag" AS "t"' in made.sql


def test_parameters_become_literals_and_never_sql(duckdb: Any, sqlite: Engine) -> None:
    odd = "x' or '1' = '1"
    made = translate("select count(*) from package_tag where tag_name = $tag", IN_B, {"tag": odd})
    assert sqlite.run(made.sql)[1] == [[0]]
    made = translate("select ?, ?, ?, ?, ?, ?", IN_B, ["a", -1, 2.5, True, None, 1 << 40])
    assert sqlite.run(made.sql)[1] == [["a", -1, 2.5, 1, None, 1 << 40]]
    made = translate("select ? from package_tag where tag_name = ? limit 1", IN_B, ["first", "v1"])
    assert sqlite.run(made.sql)[1] == [["first"]]


@pytest.mark.parametrize(
    ("sql", "given"),
    [
        ("select ?", []),
        ("select ?", [1, 2]),
        ("select $a", {"b": 1}),
        ("select $a", {"a": [1]}),
        ("select $a", {"a": 1 << 70}),
        ("select $a", {"a": float("nan")}),
    ],
)
def test_parameters_that_do_not_fit_are_refused(sql: str, given: Any) -> None:
    with pytest.raises(InvalidArgument, match="parameter"):
        translate(sql, IN_B, given)


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(ColumnNotFound) as caught:
        translate("select logical_keys from package_entry", IN_B)
    assert "logical_key" in caught.value.next_step
    with pytest.raises(TableNotFound) as said:
        translate("select 1 from package_entrys", IN_B)
    assert "package_entry" in said.value.next_step


def test_texts_without_bound_are_refused() -> None:
    with pytest.raises(TooLarge):
        translate("select " + "1," * 40_000 + "1", IN_B)
    deep = "select " + "(" * 5_000 + "1" + ")" * 5_000
    with pytest.raises(QuiltError):
        translate(deep, IN_B)
    grows = "logical_key"
    for _ in range(12):
        grows = f"regexp_extract({grows}, '(a)', 1)"
    with pytest.raises(TooLarge):
        translate(f"select {grows} from package_entry", IN_B)


def test_what_differs_in_spite_of_all_is_warned_of() -> None:
    assert translate("select ln(size) from package_entry", IN_B).warnings[0].startswith("no_value")
    assert (
        translate("select approx_count_distinct(size) from package_entry", IN_B)
        .warnings[0]
        .startswith("approximate")
    )
    assert translate("select size from package_entry", IN_B).warnings == ()


def test_every_function_that_may_be_called_is_one_that_the_corpus_calls() -> None:
    """So that none is allowed that no engine has been asked about."""
    said = " ".join(in_b(query).sql.upper() for query in corpus.EQUAL)
    unasked = {name for name in ALLOWED if f"{name}(" not in said and f"{name} (" not in said}
    assert unasked <= {"APPROX_DISTINCT", "CONCAT"}, unasked
