"""Translate: a query over the four tables, written in DuckDB's SQL, said in Athena's.

What has no rule is refused, so that nothing means another thing without a word: sqlglot alone is wrong in some thirty places.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final, cast

import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import OptimizeError, ParseError, SqlglotError, TokenError, UnsupportedError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.tokenizer_core import TokenType

from quilt_mcp.athena.functions import ALLOWED, NO_FUNCTIONS
from quilt_mcp.athena.rules import comparing, groups, json_values, lists, moments, numbers, shape, text
from quilt_mcp.athena.rules.arguments import check_arguments
from quilt_mcp.athena.rules.columns import Columns
from quilt_mcp.athena.rules.qualified import without_qualify
from quilt_mcp.athena.rules.refusal import refusal
from quilt_mcp.athena.tables import FOUR_TABLES, REGISTRY, Locate
from quilt_mcp.errors import (
    ColumnNotFound,
    InternalError,
    InvalidArgument,
    QuiltError,
    TableNotFound,
    TooLarge,
)

MOST_TEXT: Final = 64 << 10
MOST_SENT: Final = 256 << 10
"""What Athena takes as the text of a query."""
_MOST_NODES: Final = 3_000
"""Of a query and of what a function in it becomes: sqlglot takes a second for them."""
_RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    **text.RULES,
    **lists.RULES,
    **json_values.RULES,
    **numbers.RULES,
    **moments.RULES,
    **groups.RULES,
    **comparing.RULES,
}
_NAMED: Final[Mapping[str, Callable[..., Any]]] = {
    **text.NAMED,
    **lists.NAMED,
    **json_values.NAMED,
    **moments.NAMED,
}
_PLAIN: Final = (
    *(
        exp.Select,
        exp.From,
        exp.Where,
        exp.Group,
        exp.Having,
        exp.Order,
        exp.Ordered,
        exp.Limit,
        exp.Offset,
        exp.Join,
        exp.Subquery,
    ),
    *(
        exp.Table,
        exp.TableAlias,
        exp.Identifier,
        exp.Column,
        exp.Alias,
        exp.Star,
        exp.With,
        exp.CTE,
        exp.Union,
        exp.Except,
    ),
    *(
        exp.Intersect,
        exp.Distinct,
        exp.Literal,
        exp.Null,
        exp.Boolean,
        exp.Paren,
        exp.And,
        exp.Or,
        exp.Not,
        exp.Exists,
        exp.Case,
    ),
    *(
        exp.If,
        exp.DataType,
        exp.DataTypeParam,
        exp.Var,
        exp.Values,
        exp.Tuple,
        exp.WindowSpec,
        exp.Unnest,
        exp.Escape,
        exp.Slice,
    ),
    *(exp.Any, exp.All, exp.Array, exp.Qualify, exp.AnyValue, *groups.WINDOWS),
)


class _Told(DuckDB):
    """DuckDB's SQL, with paths into JSON left as they are written: 'a.b' is one key to it, and two to sqlglot. An arrow is no
    lambda since DuckDB 2, wherever it stands."""

    class Parser(DuckDB.Parser):
        LAMBDAS: Final = {
            kind: read
            for kind, read in cast("Any", DuckDB.Parser).LAMBDAS.items()
            if kind is not TokenType.ARROW
        }

    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        return path


@dataclass(frozen=True, slots=True)
class Translated:
    """``headings`` as the query has them. ``warnings``: what differs in spite of all. ``lists``: columns that come as JSON text
    of a list, as Athena's own spelling of lists cannot be read back."""

    sql: str
    headings: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    lists: frozenset[int] = frozenset()


def translate(sql: str, locate: Locate, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> Translated:
    """Nothing but the four tables may be named. Raises NotSupported, with the reason and a way out, for what cannot be said with
    the same meaning; InvalidArgument for what is no query, ColumnNotFound, TooLarge."""
    if len(sql.encode("utf-8", "replace")) > MOST_TEXT:
        raise TooLarge(
            "The query is longer than 64 KiB.",
            next_step="Shorten it: join with a table instead of long lists.",
        )
    try:
        return _translate(sql, locate, parameters)
    except RecursionError:
        raise InvalidArgument("The query is nested too deeply.", next_step="Write it flatter.") from None
    except (ParseError, TokenError) as error:
        raise InvalidArgument(
            f"The query cannot be read: {_first_line(error)}", next_step="Write one SELECT in DuckDB's SQL."
        ) from error
    except OptimizeError as error:
        raise _unresolved(error) from error
    except UnsupportedError as error:
        raise refusal("A part of the query", _first_line(error)) from error
    except SqlglotError as error:
        raise InvalidArgument(
            f"The query cannot be translated: {_first_line(error)}",
            next_step="Write it simpler, or in Athena's own SQL.",
        ) from error


def _translate(sql: str, locate: Locate, parameters: Mapping[str, Any] | Sequence[Any]) -> Translated:
    tree = _read(_numbered(sql))
    _bound(tree)
    tree = _with_parameters(tree, parameters)
    shape.check(tree)
    names_registry = any(one.name.lower() == REGISTRY for one in tree.find_all(exp.Column))
    schema = _schema(names_registry)
    _check_tables(tree, schema)
    shape.before_names(tree)
    shape.name_columns(tree)
    tree = qualify(tree, schema=schema, dialect=_Told(), validate_qualify_columns=True)
    shape.after_names(tree)
    shape.check(tree)
    headings = tuple(str(one) for one in tree.named_selects)
    tree = without_qualify(tree)
    tree = annotate_types(tree, schema=schema, dialect=_Told())
    warnings = _warnings(tree)
    tree = _visit(tree, Columns())
    found_lists = shape.spell_lists(tree)
    shape.place_tables(tree, locate, names_registry=names_registry)
    made = tree.sql("athena", identify=True, unsupported_level=ErrorLevel.RAISE, comments=False)
    check_made(made)
    return Translated(made, headings, warnings, found_lists)


def _read(sql: str) -> Any:
    found = [one for one in sqlglot.parse(sql, read=_Told()) if one is not None]
    if len(found) != 1:
        raise InvalidArgument(
            "One statement is asked at a time.", next_step="Send each by itself, without ';' between."
        )
    [tree] = found
    if isinstance(tree, exp.Pivot | exp.Summarize):
        raise refusal(*shape.REFUSED[type(tree)])
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery | exp.Values):
        raise InvalidArgument(
            f"This is no query but {tree.key.upper()}.",
            next_step="Write one SELECT; nothing can be changed by SQL here.",
        )
    return tree


@functools.cache
def _schema(names_registry: bool) -> dict[str, object]:
    more = {REGISTRY: "VARCHAR"} if names_registry else {}
    return {name: {**columns, **more} for name, columns in FOUR_TABLES.items()}


def _check_tables(tree: Any, schema: Mapping[str, Any]) -> None:
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name = table.name
        if name.lower() in ctes:
            if name.lower() in schema:
                raise refusal(
                    f"A CTE named {name}", "it stands before the table of that name", "Give it another name"
                )
            continue
        if name.lower() not in schema:
            near = difflib.get_close_matches(name, [*schema], 1)
            raise TableNotFound(
                f"There is no table {name} on Athena.",
                next_step=f"Use {near[0]}."
                if near
                else f"Use one of {', '.join(schema)}, or write Athena's own SQL.",
                details={"table": name, "near": near},
            )


def _numbered(sql: str) -> str:
    """``?`` by its number: the nodes of a tree stand in another order than their text."""
    marks = [one for one in sqlglot.tokenize(sql, read=_Told()) if one.token_type is TokenType.PLACEHOLDER]
    for number, mark in reversed([*enumerate(marks, 1)]):
        sql = f"{sql[: mark.start]}${number}{sql[mark.end + 1 :]}"
    return sql


def _with_parameters(tree: Any, parameters: Mapping[str, Any] | Sequence[Any]) -> Any:
    given: dict[str, Any] = (
        dict(parameters)
        if isinstance(parameters, Mapping)
        else {str(number): value for number, value in enumerate(parameters, 1)}
    )
    used = set[str]()
    for node in list(tree.find_all(exp.Placeholder, exp.Parameter)):
        name = str(node.name)
        if name not in given:
            raise InvalidArgument(f"The parameter {name} has no value.", next_step="Give it in parameters.")
        used.add(name)
        node.replace(literal_of(given[name], name))
    if left := sorted(given.keys() - used):
        raise InvalidArgument(
            f"No parameter {', '.join(left)} stands in the query.", next_step="Leave it out of parameters."
        )
    return tree


def literal_of(value: Any, name: str) -> Any:
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int() if abs(value) < 1 << 63:
            literal = exp.Literal.number(abs(value))
            return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal
        case float() if math.isfinite(value):
            return exp.Cast(this=exp.Literal.string(repr(value)), to=exp.DataType.build("DOUBLE"))
        case str():
            return exp.Literal.string(value)
        case _:
            raise InvalidArgument(
                f"The parameter {name} is neither text, number, true, false nor null.",
                next_step="Write the value into the query.",
            )


def _visit(node: Any, columns: Columns) -> Any:
    """From the leaves up."""
    for name, value in columns.parts(node):
        if isinstance(value, exp.Expr):
            node.set(name, _visit(value, columns))
        elif isinstance(value, list):
            given: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
            node.set(name, [_visit(one, columns) if isinstance(one, exp.Expr) else one for one in given])
    made = _made(node)
    columns.note(made)
    if made is not node:
        if made.parent is not None:
            made = made.copy()
        _bound(made)
    return made


def _bound(tree: Any) -> None:
    if sum(1 for _ in islice(tree.walk(), _MOST_NODES + 1)) > _MOST_NODES:
        raise TooLarge(
            "The query has too many parts to be translated, or grows to too many.",
            next_step="Join with VALUES or a table instead of long lists, nest fewer functions, or write Athena's own SQL.",
        )


def _made(node: Any) -> Any:
    check_arguments(node)
    kind = cast("Any", type(node))
    rule = _RULES.get(kind)
    if rule is not None:
        return rule(node)
    if isinstance(node, exp.Anonymous):
        named = _NAMED.get(node.name.lower())
        if named is None:
            raise _no_rule(node.name.lower())
        try:
            return named(*node.expressions)
        except TypeError:
            raise _no_rule(f"{node.name.lower()} with {len(node.expressions)} arguments") from None
    if kind not in _PLAIN:
        raise _no_rule(node.sql_name().lower() if isinstance(node, exp.Func) else node.key.upper())
    return node


def _no_rule(construct: str) -> QuiltError:
    return refusal(construct, "it is not among what is known to be equal")


def check_made(made: str) -> None:
    """What was written can be read again, and calls nothing but what is known to be there. Raises InternalError, TooLarge."""
    if len(made.encode()) > MOST_SENT:
        raise TooLarge(
            "The query is longer than Athena takes once it is translated.", next_step="Shorten it."
        )
    tokens = sqlglot.tokenize(made, read="athena")
    for before, after in pairwise(tokens):
        if (
            after.token_type is TokenType.L_PAREN
            and before.text[:1].isalpha()
            and before.token_type
            not in (
                TokenType.IDENTIFIER,
                TokenType.STRING,
            )
        ):
            word = before.text.upper().split()[-1]  # GROUP BY is one
            if word not in ALLOWED and word not in NO_FUNCTIONS:
                raise InternalError(
                    f"The translation calls {word}, which is not known to be there.",
                    next_step="Report this with the query.",
                )
    if not made or not isinstance(sqlglot.parse_one(made, read="athena"), exp.Query):
        raise InternalError("The translation cannot be read again.", next_step="Report this with the query.")


def _warnings(tree: Any) -> tuple[str, ...]:
    found: list[str] = []
    if tree.find(*numbers.LOUD_HERE) is not None:
        found.append(
            "no_value: ln, log and sqrt are NaN or -Infinity on Athena where DuckDB raises an error."
        )
    if tree.find(exp.ApproxDistinct) is not None:
        found.append("approximate: approx_count_distinct comes to other numbers on Athena than in DuckDB.")
    return tuple(found)


def _unresolved(error: OptimizeError) -> QuiltError:
    said = _first_line(error)
    columns = sorted({one for table in FOUR_TABLES.values() for one in table})
    named = said.split("'")[1] if said.count("'") >= 2 else ""
    near = difflib.get_close_matches(named.rpartition(".")[2].strip('"'), columns, 1)
    return ColumnNotFound(
        f"A name in the query is not known: {said}",
        next_step=f"Did you mean {near[0]}?" if near else "sql_query's tables lists them with their columns.",
        details={"column": named},
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
