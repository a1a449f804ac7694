"""TabulatorTable: a table over files of many packages, as Quilt's Tabulator declares one in YAML.

What the documentation of Tabulator leaves open is decided in docs/decisions/040-tabulator.md.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, Literal, NoReturn, cast

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.workflows.yaml import read_yaml
from quilt_mcp.errors import TabulatorInvalid

ADDED: Final = ("$pkg_name", "$logical_key", "$physical_key", "$top_hash", "$issue")
"""Columns that stand behind those of the schema and of the patterns."""
ENGINE_TYPES: Final[Mapping[str, str]] = {
    "BOOLEAN": "BOOLEAN", "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INTEGER", "BIGINT": "BIGINT", "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE", "STRING": "VARCHAR", "BINARY": "BLOB", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP",
}  # fmt: skip
"""Types of a schema, and DuckDB's for them."""
MOST_COLUMNS: Final = 1_000
MOST_PATTERN: Final = 2_000
"""Characters of a pattern."""
MOST_PROGRAM: Final = 2_000
"""Instructions of a pattern: RE2 walks each of them at most once for each character of a name."""
_PATTERN_MEMORY: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BOUND: Final = re.compile(r"\^[^*?+{]")
_FORMATS: Final = ("csv", "parquet")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """``type`` is one of ``ENGINE_TYPES``."""

    name: str
    type: str
    is_nullable: bool = True

    @property
    def engine_type(self) -> str:
        return ENGINE_TYPES[self.type]


class NamePattern:
    """A regular expression that is looked for in names by RE2, whose time is linear. It comes as data of others: its length,
    its program and its memory are bounded."""

    def __init__(self, source: str) -> None:
        """Raises ValueError with a phrase that says what is wrong."""
        if len(source) > MOST_PATTERN:
            raise ValueError(f"it has more than {MOST_PATTERN:,} characters")
        re2: Any = importlib.import_module("re2")
        options = re2.Options()
        options.log_errors, options.max_mem = False, _PATTERN_MEMORY
        try:
            self._compiled = re2.compile(source, options)
        except re2.error as error:
            said: Any = error.args[0] if error.args else ""
            shown = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise ValueError(
                f"RE2 does not take it ({shown[:200]}); it has no look-around and no back-references"
            ) from error
        except UnicodeEncodeError as error:
            raise ValueError("it holds half of a letter") from error
        if self._compiled.programsize > MOST_PROGRAM:
            raise ValueError("its repetitions make it too large; write {m,n} with smaller numbers")
        self.source = source
        found: Mapping[str, int] = self._compiled.groupindex
        self.groups: tuple[str, ...] = tuple(sorted(found, key=lambda one: found[one]))
        """Names of its groups, in their order."""

    def match(self, text: str) -> tuple[str | None, ...] | None:
        """What the ``groups`` hold of the first match in a text; None for a text that has none."""
        found = self._compiled.search(text)
        return None if found is None else tuple(found.group(one) for one in self.groups)

    def beginning(self) -> str:
        """What every match begins with, where the pattern is bound to the beginning of a name."""
        if not _BOUND.match(self.source) or "|" in self.source:
            return ""
        least, most = self._compiled.possiblematchrange(100)
        same = takewhile(lambda pair: pair[0] == pair[1], zip(least, most, strict=False))
        return bytes(one for one, _ in same).decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class TabulatorTable:
    """``package`` and ``key``: which names of packages, and which paths in these, it is of. ``continues``: a file that does not
    fit the schema is left out and told of, and no error."""

    columns: tuple[TableColumn, ...]
    package: NamePattern
    key: NamePattern
    form: Literal["csv", "parquet"]
    delimiter: str = ","
    has_header: bool = False
    continues: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns that the patterns make."""
        return (*self.package.groups, *self.key.groups)

    def described(self) -> list[tuple[str, str]]:
        """All columns with DuckDB's types, in their order."""
        own = [(one.name, one.engine_type) for one in self.columns]
        return [*own, *((one, "VARCHAR") for one in (*self.groups, *ADDED))]


def parse_table(name: str, text: str | bytes, origin: str) -> TabulatorTable:
    """``name`` of the table and ``origin`` of its configuration stand in errors. Raises TabulatorInvalid."""
    return _Reader(name, origin).read(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


class _Reader:
    def __init__(self, name: str, origin: str) -> None:
        self._name = name
        self._origin = origin

    def read(self, text: bytes) -> TabulatorTable:
        try:
            value: Any = read_yaml(text)
        except (ValueError, UnicodeError) as error:
            self._refuse("", f"it cannot be read as YAML: {error}")
        config = self._object(value, "", ("schema", "source", "parser"), ("continue_on_error",))
        source = self._object(config["source"], "/source", ("type", "package_name", "logical_key"))
        self._choice(source["type"], "/source/type", ("quilt-packages",))
        form, delimiter, has_header = self._parser(config["parser"])
        table = TabulatorTable(
            self._columns(config["schema"]),
            self._pattern(source["package_name"], "/source/package_name"),
            self._pattern(source["logical_key"], "/source/logical_key"),
            form,
            delimiter,
            has_header,
            self._switch(config.get("continue_on_error", False), "/continue_on_error"),
        )
        self._check_names(table)
        return table

    def _columns(self, value: Any) -> tuple[TableColumn, ...]:
        if not isinstance(value, list) or not value:
            self._refuse(
                "/schema", "it is no list of columns", "Write '- name: x' and 'type: STRING' for each."
            )
        listed = cast("list[Any]", value)
        if len(listed) > MOST_COLUMNS:
            self._refuse("/schema", f"it has more than {MOST_COLUMNS:,} columns")
        return tuple(self._column(one, f"/schema/{number}") for number, one in enumerate(listed))

    def _column(self, value: Any, at: str) -> TableColumn:
        column = self._object(value, at, ("name", "type"), ("nullable",))
        name = column["name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._refuse(
                f"{at}/name",
                f"{str(name)[:100]!r} is no name of a column",
                "Names are lower-case letters, digits and _, and begin with no digit; quote what YAML takes for no text.",
            )
        kind = self._choice(column["type"], f"{at}/type", tuple(ENGINE_TYPES))
        return TableColumn(name, kind, self._switch(column.get("nullable", True), f"{at}/nullable"))

    def _parser(self, value: Any) -> tuple[Literal["csv", "parquet"], str, bool]:
        parser = self._object(value, "/parser", ("format",), ("delimiter", "header"))
        form = cast("Literal['csv', 'parquet']", self._choice(parser["format"], "/parser/format", _FORMATS))
        delimiter = parser.get("delimiter", ",")
        if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii():
            self._refuse(
                "/parser/delimiter", "it is not one character", 'A tab is written "\\t", in double quotes.'
            )
        if delimiter in '"\r\n\0':
            self._refuse(
                "/parser/delimiter", "quotes and ends of lines part no cells", "Choose another character."
            )
        return form, delimiter, self._switch(parser.get("header", False), "/parser/header")

    def _pattern(self, value: Any, at: str) -> NamePattern:
        if not isinstance(value, str):
            self._refuse(at, "it is no text", "Write a regular expression in quotes.")
        try:
            return NamePattern(value)
        except ValueError as error:
            self._refuse(at, f"the regular expression cannot be used: {error}")

    def _check_names(self, table: TabulatorTable) -> None:
        seen: set[str] = set()
        for name, _ in table.described():
            if name.lower() in seen:
                self._refuse(
                    "",
                    f"{name!r} names two columns of it",
                    "Columns of the schema and named groups of both patterns share one row of names; rename one.",
                )
            seen.add(name.lower())

    def _object(
        self, value: Any, at: str, needed: tuple[str, ...], others: tuple[str, ...] = ()
    ) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self._refuse(at, "it is no object", f"It has {', '.join(needed)}.")
        found = cast("dict[Any, Any]", value)
        for key in found:
            if key not in needed and key not in others:
                near = suggest(str(key), (*needed, *others))
                meant = f"Did you mean {near[0]}? " if near else ""
                self._refuse(
                    at, f"it has no {str(key)[:100]!r}", f"{meant}There are: {', '.join((*needed, *others))}."
                )
        for key in needed:
            if key not in found:
                self._refuse(at, f"it lacks {key!r}", f"Add it: {', '.join(needed)} have to stand there.")
        return cast("Mapping[str, Any]", found)

    def _choice(self, value: Any, at: str, choices: tuple[str, ...]) -> str:
        if isinstance(value, str) and value in choices:
            return value
        same = [one for one in choices if one.casefold() == str(value).casefold()]
        meant = f"Write it as {same[0]}." if same else f"Choose one of {', '.join(choices)}."
        self._refuse(at, f"{str(value)[:100]!r} is none of its values", meant)

    def _switch(self, value: Any, at: str) -> bool:
        if not isinstance(value, bool):
            self._refuse(at, "it is neither true nor false")
        return value

    def _refuse(self, at: str, why: str, next_step: str = "") -> NoReturn:
        where = f" at {at}" if at else ""
        raise TabulatorInvalid(
            f"The configuration of the Tabulator table {self._name} cannot be used{where}: {why}.",
            next_step=f"{next_step} It stands in {self._origin}.".strip(),
            details={"table": self._name, "at": at or "/", "origin": self._origin},
        )
