"""Gate: what a query may say, decided on the tree that the engine's own parser makes of it.

Everything in the tree must be of a kind that is named here: what a later engine brings is refused until somebody has looked at
it. A query reads only (no statement that writes, no setting, no file by its path) and names tables without a schema, which are
those it was given, or its own ``WITH``; those of Tabulator alone have one.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, cast

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import InvalidArgument, InvalidSql, SqlRefused
from quilt_mcp.sql.functions import FUNCTIONS, OPERATORS, TABLE_FUNCTIONS
from quilt_mcp.sql.habits import KEEP
from quilt_mcp.sql.narrowing import Only, only_of

Option = str | int | float | bool | tuple[str, ...]
"""What an option of ``files(..)`` is given."""

MOST_TEXT: Final = 64 << 10
"""Bytes of a query: the parser takes a gigabyte for some megabytes."""
MOST_TREE: Final = 8 << 20
FILES: Final = "files"
"""The table function that stands for files of packages and buckets."""
_NODES: Final = frozenset(("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"))
_OTHER: Final = frozenset(
    """
    BASE_TABLE DISTINCT_MODIFIER EMPTY EXPRESSION_LIST JOIN LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER PIVOT SHOW_REF
    SUBQUERY TABLE_FUNCTION ORDER_DEFAULT ASCENDING DESCENDING INVALID
    """.split()  # noqa: SIM905 - a list of words
)
_CLASSES: Final = frozenset(
    """
    BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT DEFAULT FUNCTION LAMBDA LAMBDA_REF OPERATOR PARAMETER
    POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW
    """.split()  # noqa: SIM905 - a list of words
)
_TABULATOR: Final = re.compile(r"(?:quilt-.+-)?tabulator")
"""The catalog of Tabulator's tables, also as a stack names it in Athena."""
_OF_A_PATH: Final = re.compile(r"[/\\.:*?~\[\]]")
_LOWER: Final = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_WRITES: Final = {
    "INSERT": "INSERT", "UPDATE": "UPDATE", "DELETE": "DELETE", "MERGE": "MERGE", "COPY": "COPY",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A table in a FROM, as it is written."""

    name: str


@dataclass(frozen=True, slots=True)
class FromTabulator:
    """A table of Tabulator. ``path``: catalog, bucket where one is named, table. ``only``: what the query wants of it."""

    path: tuple[str, ...]
    only: Only


@dataclass(frozen=True, slots=True)
class FilesCall:
    """``files('ns/name@hash', '*.csv', delim := ';')``: literal arguments alone. ``start`` counts bytes of the text in UTF-8;
    ``paths`` are those of a list, which stands last."""

    arguments: tuple[str, ...]
    options: Mapping[str, Option]
    start: int
    is_named: bool
    """Whether it has a name of its own, by AS."""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reads:
    """``columns``: every name that stands where a column's may; '*' where all are asked for."""

    tables: tuple[Named, ...]
    files: tuple[FilesCall, ...]
    columns: frozenset[str]
    is_bounded: bool
    """Whether the outermost part has a LIMIT and nothing that needs all rows."""
    tabulator: tuple[FromTabulator, ...] = ()
    """Each table once."""


def check_text(sql: str) -> None:
    """Before the parser sees it. Raises InvalidSql, InvalidArgument."""
    size = len(sql.encode("utf-8", "replace"))
    if size > MOST_TEXT:
        raise InvalidSql(
            f"The query has {size:,} bytes, and {MOST_TEXT:,} are the most.",
            next_step="Put long lists of values into a file of a package and join it, or ask in several queries.",
        )
    if "\0" in sql:
        raise InvalidSql("The query holds a NUL.", next_step="Leave it out.")
    if any("\ud800" <= letter <= "\udfff" for letter in sql):
        raise InvalidSql("The query holds half of a letter (a lone surrogate).", next_step="Leave it out.")
    if not sql.strip():
        raise InvalidArgument(
            "The query is empty.", next_step="sql_tables lists what can be asked, with columns and types."
        )


def read(tree: str, offset: int) -> Reads:
    """``tree``: JSON of the parser's; ``offset``: bytes that stand before the query's own text in what was parsed. Raises
    InvalidSql, SqlRefused."""
    if len(tree) > MOST_TREE:
        raise _too_much()
    try:
        parsed: Any = json.loads(tree)
        statements = parsed["statements"]
        [statement] = statements
        wrapped = statement["node"]
        query = wrapped["from_table"]["subquery"]["node"]
        if wrapped["type"] != "SELECT_NODE" or [one["class"] for one in wrapped["select_list"]] != ["STAR"]:
            raise ValueError("it is not what was wrapped")
        if (
            wrapped.keys() & {"where_clause", "modifiers", "group_expressions", "having", "qualify"}
            or wrapped["cte_map"]
        ):
            raise ValueError("it is not what was wrapped")
        return _Gate(offset).read(query)
    except RecursionError:
        raise _too_much() from None
    except (KeyError, TypeError, ValueError):
        raise SqlRefused(
            "The query's tree is not one that is known.", next_step="Write it another way."
        ) from None


class _Gate:
    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._tables: dict[str, Named] = {}
        self._files: list[FilesCall] = []
        self._columns: set[str] = set()
        self._tabulator: dict[tuple[str, ...], list[FromTabulator]] = {}
        self._only: dict[int, Only] = {}
        """By the parts of the tree that are the whole of a FROM."""

    def read(self, root: Any) -> Reads:
        self._walk(root, frozenset())
        return Reads(
            tuple(self._tables.values()),
            tuple(self._files),
            frozenset(self._columns),
            _is_bounded(root),
            tuple(one if not others else replace(one, only={}) for one, *others in self._tabulator.values()),
        )

    def _walk(self, found: Any, scope: frozenset[str]) -> None:
        """``scope``: names of its own that may stand in a FROM here, in lower case."""
        if isinstance(found, list):
            for one in cast("list[Any]", found):
                self._walk(one, scope)
        elif isinstance(found, dict):
            self._look_at(cast("dict[str, Any]", found), scope)

    def _look_at(self, part: dict[str, Any], scope: frozenset[str]) -> None:
        kind, of = part.get("type"), part.get("class")
        if of is not None:
            self._expression(part, str(of))
        elif isinstance(kind, str):
            if kind.endswith("_NODE"):
                scope = self._node(part, kind, scope)
            elif kind == "BASE_TABLE":
                self._table(part, scope)
            elif kind == "TABLE_FUNCTION":
                self._table_function(part)
                self._walk({key: one for key, one in part.items() if key not in ("type", "function")}, scope)
                self._walk(part["function"].get("arguments"), scope)
                return
            elif kind == "SHOW_REF":
                self._show(part)
            elif kind not in _OTHER:
                self._refuse(kind.lower().replace("_", " "))
            if kind == "RECURSIVE_CTE_NODE":
                self._recursive(part, scope)
                return
        self._columns.update(map(str, part.get("using_columns", ())))
        if part.get("ref_type") == "NATURAL":
            self._columns.add("*")
        if "at_clause" in part:
            self._refuse("AT (VERSION or TIMESTAMP)")
        is_node = of is None and isinstance(kind, str) and kind.endswith("_NODE")
        for key, one in part.items():
            if key != "cte_map" or not is_node:  # where ``_node`` has looked
                self._walk(one, scope)

    def _node(self, part: dict[str, Any], kind: str, scope: frozenset[str]) -> frozenset[str]:
        if kind not in _NODES:
            verb = next((said for begins, said in _WRITES.items() if kind.startswith(begins)), kind.lower())
            raise _writes(verb)
        if isinstance(part.get("from_table"), dict):
            self._only[id(part["from_table"])] = only_of(part)
        for one in part.get("cte_map", {}).get("map", ()):
            self._walk(one["value"], scope)  # each sees those before it
            scope |= {self._step(str(one["key"]))}
        return scope

    def _recursive(self, part: dict[str, Any], scope: frozenset[str]) -> None:
        """Its first half does not see itself: the engine would look for a file of that name."""
        for key, one in part.items():
            if key not in ("cte_map", "right"):
                self._walk(one, scope)
        self._walk(part["right"], scope | {self._step(str(part["cte_name"]))})

    def _step(self, name: str) -> str:
        """The name of a part of WITH, as it is compared."""
        if _OF_A_PATH.search(name):
            self._refuse(
                f"a part of WITH that is named as a file ({name!r})",
                "Names of parts are letters, digits, spaces, - and _.",
            )
        return lower(name)

    def _table(self, part: dict[str, Any], scope: frozenset[str]) -> None:
        path = part.get("qualified_name", {}).get("path", [part.get("table_name")])
        name = str(part.get("table_name", ""))
        if part.get("column_name_alias"):
            self._columns.add("*")  # which of them a name means is known to the engine alone
        if 1 < len(path) < 4 and _TABULATOR.fullmatch(lower(str(path[0]))):
            named = tuple(map(str, path))
            one = FromTabulator(named, self._only.get(id(part), {}))
            self._tabulator.setdefault(tuple(map(lower, named)), []).append(one)
            return
        if part.get("schema_name") or part.get("catalog_name") or len(path) > 1:
            self._refuse(
                f"a schema before a table ({'.'.join(map(str, path))})",
                "Name tables alone; sql_tables lists them. A path of a package stands in quotes: FROM 'data/x.csv'.",
            )
        if lower(name) not in scope:
            self._tables.setdefault(name, Named(name))

    def _table_function(self, part: dict[str, Any]) -> None:
        function = part["function"]
        name = str(function.get("function_name", "")).casefold()
        if (
            function.get("schema")
            or function.get("catalog")
            or len(function.get("qualified_name", {}).get("path", ())) > 1
        ):
            self._refuse("a schema before a function")
        if name == FILES:
            self._files.append(self._files_call(part, function))
        elif name not in TABLE_FUNCTIONS:
            self._refuse(
                f"the table function {name}",
                "Files of packages are tables: FROM 'data/x.csv' with the package in packages, or "
                "FROM files('ns/name', '*.csv').",
            )

    def _files_call(self, part: dict[str, Any], function: dict[str, Any]) -> FilesCall:
        arguments: list[str] = []
        paths: tuple[str, ...] = ()
        options: dict[str, Option] = {}
        for one in function.get("arguments", ()):
            name = one.get("name") or one["expression"].get("alias")
            value = _literals(one["expression"])
            if isinstance(value, tuple) and not name and not paths:
                paths = value
                continue
            if value is None or (not name and (paths or isinstance(value, tuple))):
                raise InvalidSql(
                    "files(..) takes literal values alone.",
                    next_step="As files('ns/name', '*.csv', delim := ';') or files(['a.csv', 'b.csv']); parameters and columns "
                    "cannot stand there, and a list stands last.",
                )
            if name:
                options[str(name).casefold()] = value
            else:
                arguments.append(str(value))
        start = int(part["query_location"]) - self._offset
        return FilesCall(tuple(arguments), options, start, bool(part.get("alias")), paths)

    def _show(self, part: dict[str, Any]) -> None:
        if part.get("show_type") not in ("DESCRIBE", "SUMMARY"):
            self._refuse("SHOW", "sql_tables lists tables, columns and types; DESCRIBE and SUMMARIZE go.")

    def _expression(self, part: dict[str, Any], of: str) -> None:
        if of not in _CLASSES:
            self._refuse(of.lower())
        if of in ("FUNCTION", "WINDOW"):
            self._function(part)
        elif of == "COLUMN_REF":
            self._columns.update(map(str, part.get("column_names", ())))
        elif of in ("STAR", "POSITIONAL_REFERENCE"):
            self._columns.add("*")

    def _function(self, part: dict[str, Any]) -> None:
        path = part.get("qualified_name", {}).get("path", ())
        name = str(part.get("function_name", ""))
        if part.get("schema") or part.get("catalog") or len(path) > 1:
            self._refuse(f"a schema before a function ({'.'.join(map(str, path))})")
        if name.casefold() in FUNCTIONS or name in OPERATORS or name.upper() in OPERATORS:
            return
        near = suggest(name.casefold(), FUNCTIONS)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        self._refuse(
            f"the function {name}",
            f"{meant}Functions are DuckDB's that reckon with values; none reads files or settings.",
        )

    def _refuse(self, what: str, next_step: str = "") -> NoReturn:
        raise SqlRefused(
            f"{what[:200]} is not among what a query may say here.",
            next_step=next_step
            or "Queries read: SELECT, WITH, joins, windows, PIVOT .. IN (..), DESCRIBE, SUMMARIZE.",
            details={"construct": what[:200]},
        )


def lower(name: str) -> str:
    """As the engine compares names: only ASCII's letters have two cases."""
    return name.translate(_LOWER)


def _is_bounded(query: dict[str, Any]) -> bool:
    kinds = [one.get("type") for one in query.get("modifiers", ())]
    return "LIMIT_MODIFIER" in kinds and "ORDER_MODIFIER" not in kinds and "group_expressions" not in query


def _literals(expression: dict[str, Any]) -> Option | None:
    """A literal, or a list of texts."""
    if expression.get("function_name") not in ("list_value", "array_value"):
        return _literal(expression)
    found = [_literal(one["expression"]) for one in expression.get("arguments", ())]
    texts = tuple(one for one in found if isinstance(one, str))
    return texts if len(texts) == len(found) > 0 else None


def _literal(expression: dict[str, Any]) -> str | int | float | bool | None:
    if expression.get("class") == "CAST" and expression.get("child", {}).get("class") == "CONSTANT":
        text = _literal(expression["child"])
        return text.casefold() in ("t", "true") if isinstance(text, str) else text
    if expression.get("class") != "CONSTANT":
        return None
    literal = expression.get("literal", {})
    kind, text = str(literal.get("kind", "")), str(literal.get("text", ""))
    if kind == "STRING":
        return text
    if kind == "BOOLEAN":
        return text.casefold() == "true"
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return {"true": True, "false": False}.get(text.casefold())


def _writes(verb: str) -> SqlRefused:
    return SqlRefused(
        f"{verb} writes, and queries only read.",
        next_step=f"{KEEP} package_patch changes files.",
        details={"construct": verb},
    )


def _too_much() -> InvalidSql:
    return InvalidSql(
        "The query is nested too deeply, or is too long, to be looked at.",
        next_step="Ask in several steps: WITH parts, or several queries.",
    )
