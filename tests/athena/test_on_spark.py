"""Every translation on Spark, as far from DuckDB as an engine is. Skipped without QUILT_MCP_SPARK_PYTHON, a Python that has
pyspark 4 (and a JDK)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from athena import corpus
from athena.four_tables import duckdb_with_rows, rows_of
from athena.on_spark import PYTHON, Spark, in_sparks_words, spark
from quilt_mcp.athena.tables import tables_of
from quilt_mcp.athena.translate import translate

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PYTHON, reason="QUILT_MCP_SPARK_PYTHON names no Python with pyspark"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Spark]:
    with spark() as found:
        yield found


def test_every_query_answers_the_same_on_spark(engine: Spark) -> None:
    duckdb = duckdb_with_rows()
    differ: dict[str, object] = {}
    for query in corpus.EQUAL:
        if query in corpus.SPARK_LACKS:
            continue
        made = translate(query, tables_of(["b"]))
        try:
            rows = engine.run(in_sparks_words(made.sql))
        except LookupError as error:
            differ[query] = str(error)
            continue
        for row in rows:
            for n in made.lists:
                row[n] = None if row[n] is None else json.loads(row[n])
        expected = rows_of(duckdb.execute(query).fetchall(), ordered=False)
        if rows_of(rows, ordered=False) != expected:
            differ[query] = rows[:3]
    duckdb.close()
    assert differ == {}
