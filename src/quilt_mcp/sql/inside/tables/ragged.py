"""Ragged: a CSV whose lines have different numbers of cells, of which the engine takes whole lines for cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final

from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.tables import rejected
from quilt_mcp.sql.inside.tables.form import Form, form_of, lines
from quilt_mcp.sql.inside.tables.table import FilesTable

_DELIMITERS: Final = ",;\t|"
_LOOKED_AT: Final = 100
_MOST_CELLS: Final = 4_000


def form_in(engine: Any, table: FilesTable, number: int, seen: set[tuple[str, ...]]) -> Form | None:
    """The form of a file, where that is asked for (``null_padding``) with place for all cells of all lines; None as ``form_of``.
    ``seen``: headings of other files that were looked at. Raises Fault."""
    is_padded = table.settings.get("null_padding") == "true"
    # Lines that do not fit would be taken whole: the form is that of the others.
    asked = _with(table, without="null_padding", ignore_errors="true") if is_padded else table
    form = form_of(engine, asked, number)
    if form is None:
        return None
    if not (form.has_header and form.names in seen):
        _require_cells(engine, table, number, form)
    seen.add(form.names)
    return _widened(engine, table, number, form) if is_padded else form


def _require_cells(engine: Any, table: FilesTable, number: int, form: Form) -> None:
    if len(form.kinds) == 1 and _is_lines(engine, table, number, form):
        said = f"The lines of {table.paths[number]} have different numbers of cells, so that it is no table with one form."
        raise Fault("engine", said, exception="Ragged", table=table.name)


def _is_lines(engine: Any, table: FilesTable, number: int, form: Form) -> bool:
    """Whether its one column is named by what holds delimiters, or most of its first values hold as many of one by which it is
    not divided, as no text does."""
    if "ignore_errors" in table.settings:  # by which all lines may have been left out
        form = form_of(engine, _with(table, without="ignore_errors"), number) or form
    [(name, kind), *more] = form.kinds
    if more:
        return False
    if any(one in name for one in _DELIMITERS):
        return True
    if kind != "VARCHAR":
        return False
    values = lines(engine, table, number, form.skip + 1 + _LOOKED_AT)[form.skip + form.has_header :]
    for delimiter in _DELIMITERS.replace(form.delimiter or ",", ""):
        [(count, some)] = Counter(value.count(delimiter) for value in values).most_common(1) or [(0, 0)]
        if count and 2 * some > len(values):
            return True
    return False


def _widened(engine: Any, table: FilesTable, number: int, form: Form) -> Form:
    """With a column for each cell that a line has more. Reads the whole file."""
    most = min(rejected.most_cells(engine, table, number, form), _MOST_CELLS)
    taken = {name.lower() for name in form.names}
    more = [(f"column{at}{'_' * (f'column{at}' in taken)}", "VARCHAR") for at in range(len(form.kinds), most)]
    return replace(form, kinds=(*form.kinds, *more))


def _with(table: FilesTable, without: str, **more: str) -> FilesTable:
    kept = {name: one for name, one in table.settings.items() if name != without}
    return replace(table, settings={**kept, **more})
