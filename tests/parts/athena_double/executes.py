"""Executes a query in Athena's SQL by SQLite, with Trino's functions in Python: an engine that is neither DuckDB nor Spark."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.athena import Athena as AthenaSql
from sqlglot.dialects.trino import Trino

from parts.athena_double.functions import AGGREGATES, SCALARS

Table = tuple[Mapping[str, str], Sequence[Sequence[Any]]]
"""Columns with their types, and rows. Times are text."""
_KINDS = {
    **dict.fromkeys(("VARCHAR", "TEXT", "CHAR"), "text"),
    **dict.fromkeys(("INT", "SMALLINT", "TINYINT"), "integer"),
    "BIGINT": "int",
    **dict.fromkeys(("DOUBLE", "FLOAT"), "float"),
    "DECIMAL": "decimal",
    "DATE": "date",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPNTZ"), "timestamp"),
    "BOOLEAN": "bool",
    "JSON": "json",
}
_KNOWN = ("COUNT", "SUM", "AVG", "MIN", "MAX", "COALESCE", "NULLIF")


class _Plain(Trino):
    """Functions stay what they are called."""

    class Parser(Trino.Parser):
        FUNCTIONS: ClassVar = {name: Trino.Parser.FUNCTIONS[name] for name in _KNOWN}
        FUNCTION_PARSERS: ClassVar = {
            name: read for name, read in Trino.Parser.FUNCTION_PARSERS.items() if name in ("CAST", "TRY_CAST")
        }


class QueryFailed(Exception):
    """With the reason as Athena would begin it."""


def defined(sql: str) -> tuple[str, str, dict[str, str] | None]:
    """Of a statement that creates: the name, the database that it is in, and the columns; None of a database itself. Raises
    QueryFailed."""
    try:
        tree = sqlglot.parse_one(sql, read="athena")
    except sqlglot.errors.SqlglotError as error:
        raise QueryFailed(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
    if tree.args.get("kind") != "TABLE":
        return tree.this.name, "", None
    table = tree.this.this
    kinds = {one.name: one.args["kind"].sql("trino") for one in tree.this.expressions}
    return table.name, table.db, kinds


class Engine:
    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute("PRAGMA case_sensitive_like=ON")
        for name, function in SCALARS.items():
            self._connection.create_function(name, -1, function, deterministic=True)
        for name, (count, of) in AGGREGATES.items():
            self._connection.create_aggregate(name, count, of)
        self._types: dict[str, dict[str, str]] = {}
        for name, table in tables.items():
            self.add(name, table)

    def add(self, name: str, table: Table) -> None:
        columns, rows = table
        self._types[name.lower()] = dict(columns)
        names = ", ".join(f'"{one}"' for one in columns)
        self._connection.execute(f'CREATE TABLE "{name}" ({names})')
        marks = ", ".join("?" * len(columns))
        self._connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)

    def close(self) -> None:
        self._connection.close()

    def run(self, sql: str) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        """Names and types of the columns, and the rows. Raises QueryFailed."""
        try:
            tree = sqlglot.parse_one(sql, read=_Plain)
        except sqlglot.errors.SqlglotError as error:
            raise QueryFailed(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
        types = self._types_of(sql)
        for table in tree.find_all(sqlglot.exp.Table):
            if table.catalog.endswith("-tabulator"):  # the engine has one row of tables
                table.set("catalog", None)
                table.set("db", None)
        said = in_sqlites_words(tree)
        try:
            cursor = self._connection.execute(said)
        except sqlite3.OperationalError as error:
            what = "TABLE_NOT_FOUND" if "no such table" in str(error) else "COLUMN_NOT_FOUND"
            what = what if "no such" in str(error) and "function" not in str(error) else "SYNTAX_ERROR"
            raise QueryFailed(f"{what}: line 1:1: {error}") from error
        rows = [list(row) for row in cursor.fetchall()]
        names = [one[0] for one in cursor.description]
        return [
            (name, types[n] if n < len(types) and types[n] else _of_values(rows, n))
            for n, name in enumerate(names)
        ], rows

    def _types_of(self, sql: str) -> list[str | None]:
        from sqlglot.optimizer.annotate_types import annotate_types
        from sqlglot.optimizer.qualify import qualify

        try:
            tree = qualify(sqlglot.parse_one(sql, read=AthenaSql), schema=self._types, dialect="athena")
            found = annotate_types(tree, schema=self._types, dialect="athena").selects
            return [_type_name(one.type) for one in found]
        except sqlglot.errors.SqlglotError:
            return []


def _type_name(of: Any) -> str | None:
    if of is None or of.this.name in ("UNKNOWN", "NULL", "ARRAY"):
        return None
    return {
        "text": "varchar",
        "int": "bigint",
        "integer": "integer",
        "float": "double",
        "bool": "boolean",
    }.get(_KINDS.get(of.this.name, ""), _KINDS.get(of.this.name))


def _of_values(rows: list[list[Any]], at: int) -> str:
    value = next((row[at] for row in rows if row[at] is not None), None)
    return {int: "bigint", float: "double"}.get(type(value), "varchar")


def in_sqlites_words(tree: Any) -> str:
    unnested: dict[str, tuple[str, ...]] = {}
    for one in tree.find_all(exp.Unnest):
        alias = one.args["alias"]
        unnested[alias.this.name] = tuple(column.name for column in alias.columns)
    return from_the_leaves(tree.copy(), lambda node: _said(node, unnested)).sql("sqlite", identify=True)


def from_the_leaves(node: Any, rule: Callable[[Any], Any]) -> Any:
    """As ``transform``, which does not look into what it has put in a node's place."""
    for name, value in list(node.args.items()):
        if isinstance(value, exp.Expr):
            node.set(name, from_the_leaves(value, rule))
        elif isinstance(value, list):
            node.set(
                name, [from_the_leaves(one, rule) if isinstance(one, exp.Expr) else one for one in value]
            )
    return rule(node)


def _called(name: str, *given: Any) -> Any:
    return exp.Anonymous(this=name, expressions=list(given))


def _is_double(node: Any) -> bool:
    return node.name == "TRINO_CAST" and node.expressions[1].this == "float"


def _text(value: str) -> Any:
    return exp.Literal.string(value)


def _keys(order: Any) -> list[Any]:
    found: list[Any] = []
    for one in order.expressions:
        found += [one.this.copy(), exp.Literal.number(1 if one.args.get("desc") else 0)]
    return found


def _said(node: Any, unnested: Mapping[str, tuple[str, ...]]) -> Any:
    match node:
        case exp.TryCast():
            return _called("TRINO_TRY_CAST", node.this, _text(_KINDS[node.to.this.name]))
        case exp.Cast():
            kind = _KINDS[node.to.this.name]
            if kind == "decimal" and str(node.to.expressions[-1].this) == "0":
                kind = "int"
            bare = node.this.unnest()
            if kind == "text" and isinstance(bare, exp.Predicate):
                return exp.Case(
                    ifs=[
                        exp.If(this=bare, true=_text("true")),
                        exp.If(this=exp.Not(this=exp.Paren(this=bare.copy())), true=_text("false")),
                    ]
                )
            return _called("TRINO_CAST", node.this, _text(kind))
        case exp.Values() if node.args.get("alias") is not None and node.args["alias"].columns:
            alias = node.args["alias"]
            names = [exp.alias_(exp.column(f"column{n}"), one.name) for n, one in enumerate(alias.columns, 1)]
            values = exp.Values(
                expressions=[one.copy() for one in node.expressions],
                alias=exp.TableAlias(this=exp.to_identifier("w")),
            )
            return exp.Subquery(
                this=exp.Select(expressions=names).from_(values), alias=exp.TableAlias(this=alias.this.copy())
            )
        case exp.Div() if any(_is_double(one) for one in (node.left, node.right)):
            return _called("TRINO_DIVIDE", node.left, node.right)
        case exp.Div():
            return exp.Div(this=node.left, expression=node.right, typed=True, safe=True)
        case exp.Add() | exp.Sub() if isinstance(node.right, exp.Interval):
            number = int(node.right.this.this) * (1 if isinstance(node, exp.Add) else -1)
            unit = node.right.args["unit"].name.lower()
            return _called("TRINO_MOVED", node.left, exp.Literal.number(number), _text(unit))
        case exp.WithinGroup():
            given = node.this.expressions
            is_distinct = isinstance(given[0], exp.Distinct)
            value, separator = given[0].expressions if is_distinct and len(given) == 1 else given
            value = value.expressions[0] if isinstance(value, exp.Distinct) else value
            flag = exp.Literal.number(1 if is_distinct else 0)
            return _called("TRINO_LISTAGG", value, flag, separator, *_keys(node.expression))
        case exp.Anonymous() if node.name.upper() == "ARRAY_AGG":
            [value] = node.expressions
            is_distinct = isinstance(value, exp.Distinct)
            value = value.expressions[0] if is_distinct else value
            keys = _keys(value) if isinstance(value, exp.Order) else []
            value = value.this if isinstance(value, exp.Order) else value
            if isinstance(value, exp.Distinct):
                is_distinct, value = True, value.expressions[0]
            return _called("TRINO_ARRAY_AGG", value, exp.Literal.number(1 if is_distinct else 0), *keys)
        case exp.If() if not isinstance(node.parent, exp.Case):
            return _called(
                "TRINO_IF",
                node.this,
                node.args["true"],
                *([node.args["false"]] if node.args.get("false") else []),
            )
        case exp.Anonymous() if node.name.upper() == "IF":
            return _called("TRINO_IF", *node.expressions)
        case exp.Unnest():
            return exp.Table(
                this=_called("json_each", *node.expressions),
                alias=exp.TableAlias(this=node.args["alias"].this),
            )
        case exp.Column() if node.table in unnested and node.name in unnested[node.table]:
            return exp.column("value", node.table)
        case _:
            return node
