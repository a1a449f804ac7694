"""Tables whose columns are declared (Quilt's Tabulator): one view over files that need not fit.

Cells of a CSV are taken by their place, columns of Parquet by their name. A file without a column has NULL there, which "$issue"
says in its rows. A file that does not fit otherwise is an error that names it, or, where the table continues, is left out but for
one row whose "$issue" says why. Whether a file fits is found out by the reader that reads it for the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.fitting import (
    LONGEST,
    NOT_FITTING,
    Column,
    Source,
    Unfit,
    addresses_in,
    csv_source,
    parquet_source,
    reading,
    required,
)
from quilt_mcp.sql.inside.quoting import identifier, text
from quilt_mcp.sql.inside.tables.table import FILE

_ISSUE: Final = "$issue"
_DEFAULTS: Final = {
    "VARCHAR": "''",
    "BLOB": "''",
    "BOOLEAN": "false",
    "DATE": "'1970-01-01'",
    "TIMESTAMP": "'1970-01-01'",
}
"""What a column that may not be NULL has in the row of a file that is left out; numbers have 0."""
_Form = tuple[Source | None, ...]
"""A source for each column, None for one that a file has not."""
_LeftOut = tuple[str, Sequence[str | None], str]
"""A file's name for people, the values of what is added, and why it is left out."""


class DeclaredTable:
    """``spec`` is the parent's ``Declared`` as JSON; ``addresses``: of all files of the query."""

    def __init__(
        self, engine: Any, path: Sequence[str], spec: Mapping[str, Any], addresses: Sequence[str]
    ) -> None:
        self._engine = engine
        self._path = path
        self._columns = [Column(*one) for one in spec["columns"]]
        self._is_csv = spec["form"] == "csv"
        self._delimiter: str = spec["delimiter"]
        self._has_header: bool = spec["has_header"]
        self._continues: bool = spec["continues"]
        self._first: int = spec["first"]
        self._shown: Sequence[str] = spec["shown"]
        self._added: Mapping[str, Sequence[str | None]] = spec["added"]
        self._lost: Sequence[_LeftOut] = spec["lost"]
        self._files = addresses[self._first : self._first + len(self._shown)]
        self._moved: list[int] = []

    def make(self) -> list[str]:
        """Makes the view; what is to be told of its files. Raises Fault for a file that cannot be a part of it."""
        forms: dict[_Form, list[int]] = {}
        unfit: dict[int, str] = {}
        for number in range(len(self._files)):
            try:
                form = self._form(number)
                if self._continues:
                    self._check(number, form)
                else:
                    self._require(form)
            except Unfit as why:
                if not self._continues:
                    raise self._fault(number, why) from None
                unfit[number] = str(why)
            else:
                forms.setdefault(form, []).append(number)
        parts = [self._part(form, numbers) for form, numbers in forms.items()]
        left_out = [
            *(
                (self._shown[one], [values[one] for values in self._added.values()], why)
                for one, why in unfit.items()
            ),
            *self._lost,
        ]
        parts += [self._rows_of(left_out)] if left_out or not forms else []
        *place, _ = names = [identifier(one) for one in self._path]
        with typed():
            self._engine.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {place[0]}")
            if len(place) > 1:
                self._engine.execute(f"CREATE SCHEMA IF NOT EXISTS {'.'.join(place)}")
            self._engine.execute(f"CREATE VIEW {'.'.join(names)} AS {' UNION ALL '.join(parts)}")
        return self._notes(forms, left_out)

    def blame(self, fault: Fault) -> None:
        """After a query failed: looks whether a file does not fit. Raises Fault for the first one that does not."""
        if (
            self._continues
            or fault.kind != "engine"
            or fault.details.get("exception") in ("Binder", "Catalog")
        ):
            return
        suspected: Sequence[int] = [one - self._first for one in addresses_in(str(fault))]
        if not suspected and (not self._is_csv or NOT_FITTING in str(fault)):
            suspected = range(len(self._files))  # only of a CSV the engine says where it was
        for number in suspected:
            if not 0 <= number < len(self._files):
                continue
            try:
                self._check(number, self._form(number), is_whole=True)
            except Unfit as why:
                raise self._fault(number, why) from None

    # -- one file --

    def _form(self, number: int) -> _Form:
        """Raises Unfit for what is no Parquet."""
        file = self._files[number]
        if not self._is_csv:
            with reading():
                source = f"read_parquet({text(file)}, hive_partitioning = false)"
                found = self._engine.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            own = {str(row[0]).lower(): (str(row[0]), str(row[1])) for row in found}
            return tuple(
                None if (known := own.get(one.name.lower())) is None else parquet_source(*known, one)
                for one in self._columns
            )
        names = self._headings(file)
        declared = [one.name.lower() for one in self._columns]
        if self._has_header and any(
            one in names and names[at] != one for at, one in enumerate(declared[: len(names)])
        ):
            self._moved.append(number)
        count = len(names) or len(declared)
        return tuple(csv_source(one) if at < count else None for at, one in enumerate(self._columns))

    def _headings(self, file: str) -> list[str]:
        """Of the first line, as many as it has cells. None for an empty file, and for one whose lines differ: reading it says
        how."""
        header = "true" if self._has_header else "false"
        options = f"delim = {text(self._delimiter)}, header = {header}, quote = '\"', escape = '\"', skip = 0"
        try:
            with reading():
                [[columns]] = self._engine.execute(
                    f"SELECT Columns FROM sniff_csv({text(file)}, {options}, all_varchar = true, sample_size = 1)"
                ).fetchall()
        except Unfit:
            return []
        return [str(one["name"]).lower() for one in columns]

    def _require(self, form: _Form) -> None:
        lacking = [
            one.name
            for one, found in zip(self._columns, form, strict=True)
            if found is None and not one.is_nullable
        ]
        if lacking:
            raise Unfit(f"it has no column {', '.join(lacking)[:LONGEST]}, which may not be NULL")

    def _check(self, number: int, form: _Form, *, is_whole: bool = False) -> None:
        """Reads what the table would read of a file, and of Parquet, unless ``is_whole``, what can fail alone. Raises Unfit."""
        self._require(form)
        wanted = [
            (one, found)
            for one, found in zip(self._columns, form, strict=True)
            if found is not None and (self._is_csv or is_whole or not found.is_safe or not one.is_nullable)
        ]
        if not wanted:
            return
        counted = ", ".join(f"count({found.sql})" for _, found in wanted)
        try:
            [count, *some] = self._one_row(f"count(*), {counted}", self._source([number], form))
        except Unfit as why:
            self._find(number, form)
            raise why from None
        for (column, _), there in zip(wanted, some, strict=True):
            if not column.is_nullable and there < count:
                raise Unfit(f"column {column.name} has no value in {count - there:,} of {count:,} rows")

    def _find(self, number: int, form: _Form) -> None:
        """Where in a file that could not be read all through something stands that does not fit. Raises Unfit, and nothing where
        nothing is found."""
        there = [(one, found) for one, found in zip(self._columns, form, strict=True) if found is not None]
        source, row = self._source([number], form), "row_number() OVER ()"
        if self._is_csv:  # as the very types, of which the engine says the line
            counted = ", ".join(f"count({found.own})" for _, found in there)
            self._one_row(counted, self._source([number], form, is_plain=True))
        else:
            source, row = source.replace("union_by_name", "file_row_number"), "file_row_number + 1"
        for column, found in there:
            query = f"SELECT {row} AS row, {found.own} AS value, {found.fits} AS fits FROM {source}"
            with reading():
                rows = self._engine.execute(
                    "SELECT row, CAST(TRY_CAST(value AS DOUBLE) AS VARCHAR), CAST(value AS VARCHAR) "
                    f"FROM ({query}) WHERE value IS NOT NULL AND NOT fits LIMIT 1"
                ).fetchall()
            for at, short, value in rows:
                said = short or repr(str(value)[:100])
                raise Unfit(f"row {at:,}, column {column.name}: {said} is no {column.type}")

    def _one_row(self, selected: str, source: str) -> Sequence[Any]:
        with reading():
            [found] = self._engine.execute(f"SELECT {selected} FROM {source}").fetchall()
        return found

    def _fault(self, number: int, why: Unfit) -> Fault:
        return Fault("declared", f"{'.'.join(self._path)}: {self._shown[number]}: {why}")

    # -- the view --

    def _source(self, numbers: Sequence[int], form: _Form, *, is_plain: bool = False) -> str:
        files = ", ".join(text(self._files[one]) for one in numbers)
        named = f", filename = {text(FILE)}" if len(numbers) > 1 else ""
        if not self._is_csv:
            return f"read_parquet([{files}], hive_partitioning = false, union_by_name = true{named})"
        types = ", ".join(
            f"{text(one.name)}: '{one.type if is_plain and one.type != 'BLOB' else found.read_as}'"
            for one, found in zip(self._columns, form, strict=True)
            if found is not None
        )
        header = "true" if self._has_header else "false"
        return (
            f"read_csv([{files}], auto_detect = false, header = {header}, delim = {text(self._delimiter)}, quote = '\"', "
            f"escape = '\"', columns = {{{types}}}{named})"
        )

    def _part(self, form: _Form, numbers: Sequence[int]) -> str:
        """Of files of one form."""
        shown: list[str] = []
        lacking: list[str] = []
        for one, found in zip(self._columns, form, strict=True):
            if found is None:
                lacking.append(one.name)
            said = f"CAST(NULL AS {one.type})" if found is None else found.sql
            if not one.is_nullable and not self._continues:
                said = required(said)
            shown.append(f"{said} AS {identifier(one.name)}")
        first, last = numbers[0], numbers[-1]
        at = f"CAST(split_part({identifier(FILE)}, '/', 3) AS INTEGER) - {self._first + first - 1}"
        for name, values in self._added.items():
            some = ", ".join(_value(one) for one in values[first : last + 1])
            said = (
                _value(values[first])
                if len(numbers) == 1
                else f"list_extract(CAST([{some}] AS VARCHAR[]), {at})"
            )
            shown.append(f"CAST({said} AS VARCHAR) AS {identifier(name)}")
        issue = f"the file has no column {', '.join(lacking)}"[:LONGEST] if lacking else None
        shown.append(f"CAST({_value(issue)} AS VARCHAR) AS {identifier(_ISSUE)}")
        return f"SELECT {', '.join(shown)} FROM {self._source(numbers, form)}"

    def _rows_of(self, left_out: Sequence[_LeftOut]) -> str:
        """A row for each file; none where there is none."""
        own = ", ".join(
            f"CAST({'NULL' if one.is_nullable else _DEFAULTS.get(one.type, '0')} AS {one.type}) AS {identifier(one.name)}"
            for one in self._columns
        )
        names = [*self._added, _ISSUE]
        told = ", ".join(f"CAST({identifier(one)} AS VARCHAR) AS {identifier(one)}" for one in names)
        rows = [[*values, why[:LONGEST]] for _, values, why in left_out]
        said = ", ".join(f"({', '.join(map(_value, row))})" for row in rows or [[None] * len(names)])
        where = "" if rows else " WHERE false"
        return (
            f"SELECT {own}, {told} FROM (VALUES {said}) AS unfit({', '.join(map(identifier, names))}){where}"
        )

    def _notes(self, forms: Mapping[_Form, Sequence[int]], left_out: Sequence[_LeftOut]) -> list[str]:
        table, count, said = ".".join(self._path), len(self._files) + len(self._lost), list[str]()
        if left_out:
            shown, _, why = left_out[0]
            said.append(
                f'skipped: {table} leaves out {len(left_out):,} of {count:,} files, which do not fit it; "$issue" of a row for '
                f"each says why. The first: {shown}: {why[:LONGEST]}."
            )
        if lacking := sum(len(numbers) for form, numbers in forms.items() if None in form):
            said.append(
                f'missing_columns: {lacking:,} of {count:,} files of {table} lack columns, which are NULL; "$issue" says which.'
            )
        if self._moved:
            said.append(
                f"other_order: {len(self._moved):,} of {count:,} files of {table} have headings of its columns in other places, "
                f"and cells are taken by their place, not by headings. The first: {self._shown[self._moved[0]]}."
            )
        return said


def _value(value: str | None) -> str:
    return "NULL" if value is None else text(value)
