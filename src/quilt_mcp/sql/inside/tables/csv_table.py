"""CsvTable: a table of CSV files, each by its own form, with one type for a column in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.quoting import identifier, text
from quilt_mcp.sql.inside.tables import dates, whole_numbers
from quilt_mcp.sql.inside.tables.form import Form, room
from quilt_mcp.sql.inside.tables.named import Named
from quilt_mcp.sql.inside.tables.ragged import form_in
from quilt_mcp.sql.inside.tables.table import FILE, FilesTable, call

_WIDER: Final = (
    frozenset(("BIGINT", "HUGEINT")),
    frozenset(("BIGINT", "HUGEINT", "DOUBLE")),
    frozenset(("DATE", "TIMESTAMP")),
)
"""Types of one column in several files, of which the last by name is the column's."""
_WIDEST: Final = ("HUGEINT", "DOUBLE", "TIMESTAMP")
_Read = tuple[tuple[str, str, str | None], ...]
"""Of each column of a file: its name, the type that it is read as, and what stands for it where that is not itself."""


class CsvTable:
    """``kinds``: the type of each column, ``own`` those in its files by number; both once it is made."""

    def __init__(self, engine: Any, table: FilesTable) -> None:
        self.table = table
        self.forms: dict[int, Form] = {}
        self.own: dict[str, dict[int, str]] = {}
        self.kinds: dict[str, str] = {}
        self.by_itself: dict[str, str] = {}
        """Types of columns that are read as text although they have one."""
        self._engine = engine
        self._spelled: dict[str, str] = {}
        """Of names in lower case, as the first file has them."""
        self._formats: dict[str, Mapping[int, str]] = {}
        """Of columns whose dates are read in another form than the engine takes them in, in some files."""

    def make(self, named: Named | None) -> tuple[str, list[str]]:
        """The SELECT of its view, and what is to be told. ``named`` None: dates are as the engine takes them. Raises Fault for a
        file that is none of its kind."""
        self.look()
        said = self._settle(named) if named is not None else []
        sql, more = self.view()
        return sql, [*said, *more]

    def look(self) -> None:
        """Finds the forms of its files and the types of its columns. Raises Fault for a file that is none of its kind."""
        table = self.table
        seen: set[tuple[str, ...]] = set()
        for number in range(len(table.paths)):
            if (form := form_in(self._engine, table, number, seen)) is not None:
                self.forms[number] = form
        if not self.forms:
            self.forms[0] = Form(",", '"', '"', "", False, 0, (("column0", "VARCHAR"),), None, None)
        self._unite()

    def view(self) -> tuple[str, list[str]]:
        """The SELECT of its view, once it was looked at, and what is to be told."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for number, form in self.forms.items():
            key = (*self._key(form), self._read_of(number))
            groups.setdefault(key, []).append(number)
        parts = [self._part(numbers) for numbers in groups.values()]
        source = f"({' UNION ALL BY NAME '.join(parts)})"
        sql, more = self.table.with_added(source, [*self.kinds])
        return sql, [*more, *self._comments()]

    def blame(self, fault: Fault) -> None:
        """After a query failed: looks for the row that is meant. Raises Fault."""
        said = str(fault)
        for column, kind in self.kinds.items():
            if kind not in whole_numbers.WHOLE or not whole_numbers.is_about(said, column):
                continue
            own = identifier(column)
            for number in self.own[column]:
                rows = f"SELECT row_number() OVER () AS row, {own} FROM {self.as_text([number])}"
                where = f"{own} IS NOT NULL AND NOT {whole_numbers.is_whole(column)}"
                with typed():
                    found = self._engine.execute(
                        f"SELECT row, left({own}, 60) FROM ({rows}) WHERE {where} LIMIT 1"
                    ).fetchone()
                if found is not None:
                    row, value = found
                    raise Fault(
                        "engine",
                        f"{self.table.paths[number]}: row {row:,}, column {column}: {value!r} "
                        f"{whole_numbers.NO_WHOLE_NUMBER}.",
                        **fault.details,
                    )

    def as_text(self, numbers: Sequence[int], **more: str) -> str:
        """What to select all columns of some files of one form from, as text."""
        form = self.forms[numbers[0]]
        return self._call(numbers, dict.fromkeys(form.names, "VARCHAR"), more)

    # -- types --

    def _unite(self) -> None:
        found: dict[str, tuple[str, dict[int, str]]] = {}
        for number, form in self.forms.items():
            for name, kind in form.kinds:
                found.setdefault(name.lower(), (name, {}))[1][number] = kind
        for name, own in found.values():
            kinds = {*own.values()}
            if len(kinds) > 1 and "VARCHAR" in kinds:
                kinds = {
                    kind for number, kind in own.items() if kind != "VARCHAR" or self._has_any(name, number)
                }
            wider = (most for some, most in zip(_WIDER, _WIDEST, strict=True) if kinds <= some)
            self.own[name] = own
            self._spelled[name.lower()] = name
            self.kinds[name] = next(iter(kinds)) if len(kinds) == 1 else next(wider, "VARCHAR")

    def _has_any(self, name: str, number: int) -> bool:
        """Whether a file has values of a column: an empty one is of any type."""
        column = identifier(name)
        with typed():
            return bool(
                self._engine.execute(
                    f"SELECT 1 FROM {self.as_text([number])} WHERE {column} IS NOT NULL LIMIT 1"
                ).fetchall()
            )

    def _settle(self, named: Named) -> list[str]:
        said: list[str] = []
        for column, kind in self.kinds.items():
            if kind not in dates.OPTIONS or column not in named:
                continue
            written = self.open_dates(column)
            if not written:
                continue
            found = dates.settled(
                self._engine, column, kind, written, self.by_column(column), self.table.paths
            )
            if found.note:
                said.append(found.note)
            self.take_dates(column, found.forms)
        return said

    def open_dates(self, column: str) -> dict[int, str]:
        """By file, how dates of a column are written, where that may be read in several orders."""
        return {
            number: form
            for number, own in self.own[column].items()
            if dates.OPTIONS.get(own, "") not in self.table.settings
            and (form := self.forms[number].format_of(own)) is not None
            and dates.is_open(form)
        }

    def read_as_text(self, column: str) -> None:
        self.by_itself[column], self.kinds[column] = self.kinds[column], "VARCHAR"

    def take_dates(self, column: str, forms: Mapping[int, str] | None) -> None:
        """Has dates of some files read in these forms; None: the column is text."""
        if forms is None:
            self.kinds[column] = "VARCHAR"
            return
        written = self.open_dates(column)
        self._formats[column] = {number: form for number, form in forms.items() if form != written[number]}

    def by_column(self, column: str) -> Callable[[Sequence[int]], str]:
        """A column as text from some files, whose forms may differ."""

        def read(numbers: Sequence[int]) -> str:
            groups: dict[tuple[Any, ...], list[int]] = {}
            for number in numbers:
                form = self.forms[number]
                groups.setdefault((*self._key(form), form.names), []).append(number)
            parts = [f"SELECT {identifier(column)} FROM {self.as_text(some)}" for some in groups.values()]
            return f"({' UNION ALL '.join(parts)})"

        return read

    # -- the view --

    @staticmethod
    def _key(form: Form) -> tuple[Any, ...]:
        return (
            *(form.delimiter, form.quote, form.escape, form.comment, form.has_header, form.skip),
            *(form.date, form.timestamp),
        )

    def _read_of(self, number: int) -> _Read:
        return tuple(self._column_of(number, name, own) for name, own in self.forms[number].kinds)

    def _column_of(self, number: int, name: str, own: str) -> tuple[str, str, str | None]:
        column = self._spelled[name.lower()]
        kind = self.kinds[column]
        if (form := self._formats.get(column, {}).get(number)) is not None:
            return name, "VARCHAR", f"CAST(strptime({identifier(name)}, {text(form)}) AS {own})"
        if kind in whole_numbers.WHOLE and self.table.is_longer(number, whole_numbers.LEAST_BYTES):
            if "thousands" in self.table.settings or "decimal_separator" in self.table.settings:
                return name, kind, None  # by all rows (see formats)
            return name, "VARCHAR", whole_numbers.made(self.table.name, name, kind)
        return name, own if kind == "TIMESTAMP" and own == "DATE" else kind, None

    def _part(self, numbers: Sequence[int]) -> str:
        read = self._read_of(numbers[0])
        made = ", ".join(f"{sql} AS {identifier(name)}" for name, _, sql in read if sql is not None)
        named = {"filename": text(FILE)} if self.table.added else {}
        source = self._call(numbers, {name: kind for name, kind, _ in read}, named)
        return f"SELECT *{f' REPLACE ({made})' if made else ''} FROM {source}"

    def _call(self, numbers: Sequence[int], kinds: Mapping[str, str], more: Mapping[str, str]) -> str:
        settings = self.forms[numbers[0]].settings(kinds, self.table.settings)
        longest = max(
            (room(self.table, one) for one in numbers), key=lambda one: int(one.get("max_line_size", 0))
        )
        return call("csv", [self.table.paths[one] for one in numbers], {**settings, **longest, **more})

    def _comments(self) -> list[str]:
        passed = {number: form.commented for number, form in self.forms.items() if form.commented}
        if not passed:
            return []
        first, count = next(iter(passed.items()))
        others = f", and some of {len(passed) - 1:,} other files" if len(passed) > 1 else ""
        return [
            f"comment_lines: the {count:,} first lines of {self.table.paths[first]}{others} begin with '#' and are passed over; "
            "further down such lines are rows, unless comment := '#' of files(..) says otherwise."
        ]
