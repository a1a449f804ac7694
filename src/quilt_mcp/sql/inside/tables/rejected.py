"""Rejected: lines of a CSV that do not fit its form, as the engine keeps account of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.quoting import identifier, text
from quilt_mcp.sql.inside.tables.form import Form, room
from quilt_mcp.sql.inside.tables.table import FilesTable, call

MOST: Final = 100_000
"""Lines that are kept account of, in each file."""
_LINES: Final = "rejected_lines"
_SCANS: Final = "rejected_scans"
_CELLS: Final = re.compile(r"Found: ([0-9]+)")


def count(engine: Any, table: FilesTable, number: int, form: Form, kinds: Mapping[str, str]) -> int:
    """How many lines of a file are left out where what does not fit is. Reads all of it."""
    _read(engine, table, number, form, kinds)
    with typed():
        [[found]] = engine.execute(f"SELECT count(DISTINCT line) FROM {_LINES}").fetchall()
    return found


def most_cells(engine: Any, table: FilesTable, number: int, form: Form) -> int:
    """Of a line with more than the form has; 0 where there is none."""
    _read(engine, table, number, form, dict.fromkeys(form.names, "VARCHAR"))
    with typed():
        rows = engine.execute(
            f"SELECT DISTINCT error_message FROM {_LINES} WHERE error_type = 'TOO MANY COLUMNS'"
        ).fetchall()
    return max((int(found[1]) for (said,) in rows if (found := _CELLS.search(said)) is not None), default=0)


def _read(engine: Any, table: FilesTable, number: int, form: Form, kinds: Mapping[str, str]) -> None:
    """Into tables of their own, in the place of what was there."""
    others = {key: one for key, one in table.settings.items() if key not in ("ignore_errors", "null_padding")}
    kept = {"store_rejects": "true", "rejects_limit": str(MOST)}
    kept |= {"rejects_table": text(_LINES), "rejects_scan": text(_SCANS)}
    source = call(
        "csv",
        [table.paths[number]],
        {**form.settings({one: kinds[one] for one in form.names}, others), **room(table, number), **kept},
    )
    counted = ", ".join(f"count({identifier(one)})" for one in form.names)
    with typed(table=table.name):
        for one in (_LINES, _SCANS):
            engine.execute(f"DROP TABLE IF EXISTS {one}")
        engine.execute(f"SELECT count(*), {counted} FROM {source}").fetchall()
