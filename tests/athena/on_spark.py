"""Spark as a second engine: Athena's SQL said in Spark's by sqlglot, run in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from athena.four_tables import ROWS, literal
from parts.athena_double.executes import from_the_leaves

PYTHON = os.environ.get("QUILT_MCP_SPARK_PYTHON", "")


class Spark:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, sql: str, *, silent: bool = False) -> list[list[Any]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"sql": sql, "silent": silent}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise LookupError(answer["error"])
        return [[_value(one) for one in row] for row in answer["rows"]]


def _value(given: Any) -> Any:
    match given:
        case {"time": text}:
            return text if len(text) == 10 else datetime.fromisoformat(text)
        case {"decimal": text}:
            return Decimal(text)
        case {"float": text}:
            return float(text)
        case list():
            return [_value(one) for one in given]
        case _:
            return given


def in_sparks_words(athena: str) -> str:
    """What sqlglot does not say as Trino means it is said here."""
    tree = sqlglot.parse_one(athena, read="athena")
    return from_the_leaves(tree, _said).sql("spark")


def _said(node: Any) -> Any:
    match node:
        case exp.DataType() if node.this in (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ):
            return exp.DataType.build("TIMESTAMP_NTZ", dialect="spark")
        case exp.JSONFormat():
            inner = node.this
            return inner
        case exp.Cast() if node.to.this == exp.DataType.Type.JSON:
            return exp.Anonymous(this="TO_JSON", expressions=[node.this])
        case exp.Div() if not isinstance(node.left, exp.Cast) and not isinstance(node.right, exp.Cast):
            return exp.IntDiv(this=node.left, expression=node.right)
        case exp.SHA2Digest():
            return exp.Anonymous(
                this="UNHEX", expressions=[exp.Anonymous(this="SHA2", expressions=[node.this, number(256)])]
            )
        case exp.SHA() | exp.SHA1Digest():
            return exp.Anonymous(
                this="UNHEX", expressions=[exp.Anonymous(this="SHA1", expressions=[node.this])]
            )
        case exp.DayOfWeekIso():
            return exp.Paren(
                this=exp.Add(
                    this=exp.Anonymous(this="WEEKDAY", expressions=[node.this]), expression=number(1)
                )
            )
        case exp.TimeToUnix():
            moment = exp.Cast(this=node.this, to=exp.DataType.build("TIMESTAMP", dialect="spark"))
            micros = exp.Anonymous(this="UNIX_MICROS", expressions=[moment])
            return exp.Paren(this=exp.Div(this=micros, expression=number("1e6")))
        case exp.Like() if not isinstance(node.parent, exp.Escape):
            return exp.Escape(this=node.copy(), expression=exp.Literal.string("~"))
        case _:
            return node


def number(value: int | str) -> Any:
    return exp.Literal.number(value)


@contextmanager
def spark() -> Iterator[Spark]:
    """Starts in about twelve seconds."""
    process = subprocess.Popen(
        [PYTHON, Path(__file__).with_name("spark_worker.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))
        }
        | {"PYSPARK_PYTHON": PYTHON, "SPARK_LOCAL_IP": "127.0.0.1"},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        found = Spark(process)
        for name, rows in ROWS.items():
            from quilt_mcp.athena.tables import FOUR_TABLES

            kinds = {"VARCHAR": "STRING", "TIMESTAMP": "TIMESTAMP_NTZ"}
            columns = FOUR_TABLES[name]
            cast = ", ".join(
                f"CAST(c{n} AS {kinds.get(of, of)}) AS `{column}`"
                for n, (column, of) in enumerate(columns.items())
            )
            values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
            names = ", ".join(f"c{n}" for n in range(len(columns)))
            found.run(
                f"CREATE OR REPLACE TEMP VIEW `b_{name}` AS SELECT {cast} FROM VALUES {values} AS t({names})",
                silent=True,
            )
        yield found
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return literal(value).replace("TIMESTAMP ", "TIMESTAMP_NTZ ")
