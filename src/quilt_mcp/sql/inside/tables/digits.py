"""Digits: whole numbers that would lose some, where the engine makes a column DOUBLE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from quilt_mcp.sql.inside.engine import columns_of, typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.quoting import identifier, text
from quilt_mcp.sql.inside.tables.csv_table import CsvTable
from quilt_mcp.sql.inside.tables.named import Named
from quilt_mcp.sql.inside.tables.table import FILE, FilesTable, call
from quilt_mcp.sql.inside.tables.whole_numbers import LEAST_BYTES

_EXACT: Final = 2**53
_DOUBLE: Final = re.compile(r"\bDOUBLE\b")
_LONG: Final = r"(^|[:\[,])-?[0-9]{16,}($|[,}\]])"
_LONG_ALONE: Final = r"-?[0-9]{1,38}"


def json_source(engine: Any, table: FilesTable, named: Named | None) -> tuple[str, list[str]]:
    """What a table of JSON is selected from, by all of its rows, with the digits of all of its whole numbers, and what is to be
    told. ``named`` None: nothing is looked for."""
    source = table.source()
    kinds = dict(columns_of(engine, f"SELECT * FROM {source}", None))
    if any(table.is_longer(number, LEAST_BYTES) for number in range(len(table.paths))):
        whole = table.source(sample_size="-1")
        of_all = dict(columns_of(engine, f"SELECT * FROM {whole}", None))
        if of_all != kinds:
            source, kinds = whole, of_all
    doubles = [one for one, kind in kinds.items() if named and one in named and _DOUBLE.search(kind)]
    if not doubles:
        return source, []
    own = {one: kind for one, kind in kinds.items() if one != FILE}
    raw = call(
        "json", table.paths, {**_kept(table), "columns": _columns({**own, **dict.fromkeys(doubles, "JSON")})}
    )
    found = ", ".join(
        f"bool_or(regexp_matches({identifier(one)}::VARCHAR, {text(_LONG)})), "
        f"bool_and(regexp_full_match({identifier(one)}::VARCHAR, {text(_LONG_ALONE)}))"
        for one in doubles
    )
    try:
        with typed():
            [row] = engine.execute(f"SELECT {found} FROM {raw}").fetchall()
    except Fault:  # it has no columns of its own
        return source, []
    exact: dict[str, str] = {}
    said: list[str] = []
    for column, has_long, is_whole in zip(doubles, row[::2], row[1::2], strict=True):
        if not has_long:
            continue
        if kinds[column] == "DOUBLE" and is_whole:
            exact[column] = "HUGEINT"
            continue
        exact[column] = _DOUBLE.sub("VARCHAR", kinds[column])
        said.append(
            f"long_numbers: column {column[:100]} has whole numbers of more digits than DOUBLE keeps, and is read as "
            f"{exact[column][:100]}, with all of them; cast it where numbers are wanted."
        )
    if not exact:
        return source, []
    return table.source_of(_columns({**own, **exact}), _kept(table)), said


def rounded(engine: Any, table: FilesTable, kinds: Mapping[str, str], named: Named) -> list[str]:
    """Of Parquet files that are one table, columns that are whole numbers in some and DOUBLE in others."""
    doubles = {one.lower(): one for one, kind in kinds.items() if kind == "DOUBLE" and one in named}
    if not table.is_several or not doubles:
        return []
    paths = ", ".join(map(text, table.paths))
    with typed(table=table.name):
        rows = engine.execute(
            "SELECT file_name, path_in_schema, max(greatest(abs(TRY_CAST(stats_max_value AS HUGEINT)), "
            "abs(TRY_CAST(stats_min_value AS HUGEINT)))) AS most "
            f"FROM parquet_metadata([{paths}]) WHERE type = 'INT64' GROUP BY ALL HAVING most > {_EXACT} ORDER BY ALL"
        ).fetchall()
    found: dict[str, str] = {}
    for path, column, _ in rows:
        if column.lower() in doubles:
            found.setdefault(column.lower(), path)
    return [_rounded(doubles[column], path) for column, path in found.items()]


def rounded_in_csv(engine: Any, csv: CsvTable, named: Named) -> list[str]:
    """The same of CSV files."""
    said: list[str] = []
    for column, kind in csv.kinds.items():
        whole = [number for number, own in csv.own[column].items() if own in ("BIGINT", "HUGEINT")]
        if kind != "DOUBLE" or not whole or column not in named:
            continue
        own = identifier(column)
        for number in whole:
            with typed():
                if engine.execute(
                    f"SELECT 1 FROM {csv.as_text([number])} WHERE abs(TRY_CAST({own} AS HUGEINT)) > {_EXACT} LIMIT 1"
                ).fetchall():
                    said.append(_rounded(column, csv.table.paths[number]))
                    break
    return said


def _rounded(column: str, path: str) -> str:
    return (
        f"rounded: column {column[:100]} has whole numbers beyond 2^53 in {path} and fractions in other files, so that all are "
        f"DOUBLE, of some 16 digits. Read {path} by itself for all of them."
    )


def _kept(table: FilesTable) -> dict[str, str]:
    return {name: one for name, one in table.settings.items() if name in ("format", "ignore_errors")}


def _columns(kinds: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{text(name)}: {text(kind)}' for name, kind in kinds.items())}}}"
