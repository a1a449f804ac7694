"""DuckDB, shut in: it reads the files of its query, writes its result and its spill into its own folder, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

try:  # without the package around it, which takes longer to import than all else here
    import _duckdb as duckdb
except ImportError:
    import duckdb

from quilt_mcp.sql.inside.cells import Cells
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.files import HeldFiles
from quilt_mcp.sql.inside.parsing import WRAPPED

_ALWAYS: Final = (
    "SET threads = 2",
    "SET preserve_insertion_order = true",
    "SET TimeZone = 'UTC'",
    "SET enable_progress_bar = false",
    "SET errors_as_json = false",
    "SET lambda_syntax = 'ENABLE_SINGLE_ARROW'",
)
_SETTINGS: Final = (
    "SET memory_limit = '512MB'",
    "SET max_temp_directory_size = '900MB'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",
    "SET enable_external_file_cache = false",
    "SET max_expression_depth = 500",
    "SET pivot_limit = 10000",
)
_LOSSY: Final = ("HUGEINT", "INTERVAL", "BIT", "UNION", "BIGNUM", "VARINT", "TIME WITH TIME ZONE", "TIME_NS")
"""Types that the file of a result would round or lack: they are kept as text."""
MOST_COLUMNS: Final = 4_000
RESULT: Final = "result.parquet"
_CSV: Final = re.compile(r"SELECT \* FROM read_csv\(\[('[^']*')\], (sample_size = [0-9]+, skip = 0)\)")
_SAMPLE: Final = re.compile(r"sample_size = [0-9]+")
_SHORTEST: Final = 30
"""Letters of a cell that are shown in any case."""
_DELIMITERS: Final = ",;\t|"


def begun(*, settings: bool) -> Any:
    """An engine without files, which may wait for its query, and takes texts apart until it is given them. ``settings`` False:
    without the layer that they are, as tests of the others want it."""
    engine = duckdb.connect(":memory:")
    for setting in (*_ALWAYS, *(_SETTINGS if settings else ())):
        engine.execute(setting)
    engine.execute(f"SET temp_directory = {text(os.getcwd())}")
    return engine


def give_files(
    engine: Any, files: HeldFiles, paths: Sequence[str], seconds: float, *, settings: bool, reads_ahead: bool
) -> None:
    """``reads_ahead`` False: of large files no more is read than the first rows take. Nothing can be set any more afterwards."""
    engine.register_filesystem(files)
    if not reads_ahead:
        engine.execute("SET read_ahead_depth = 0")
    if settings:
        engine.execute(f"SET max_execution_time = {int(seconds * 1000)}")
        engine.execute(f"SET allowed_paths = [{', '.join(map(text, paths))}]")
        engine.execute("SET enable_external_access = false")
        engine.execute("SET lock_configuration = true")


def make_views(engine: Any, views: Sequence[Mapping[str, Any]]) -> None:
    """Each ``sql`` is the parent's. Raises Fault for a file that is not what its name says."""
    for view in views:
        name = view["name"]
        try:
            with typed(table=name):
                engine.execute(f"CREATE VIEW {identifier(name)} AS {_in_its_form(engine, view['sql'])}")
        except Fault as fault:
            if "sniffing" in str(fault):
                _find_line(engine, name, view["sql"])
            raise
        if view["is_delimited"]:
            columns = columns_of(engine, f"SELECT * FROM {identifier(name)}", None)
            if len(columns) == 1 and any(one in columns[0][0] for one in _DELIMITERS):
                # The engine takes whole lines for cells where their numbers of cells differ.
                said = "Its lines have different numbers of cells, so that it is no table with one form."
                raise Fault("engine", said, exception="Ragged", table=name)


def _in_its_form(engine: Any, sql: str) -> str:
    """A CSV by itself is looked through for its form once: each use of a view would look again. What its header says is data, and
    stands in the text as literals; the engine's own spelling of the call does not quote it."""
    found = _CSV.fullmatch(sql)
    if found is None:
        return sql
    [form] = engine.execute(
        "SELECT Delimiter, Quote, Escape, Comment, HasHeader, Columns, DateFormat, TimestampFormat "
        f"FROM sniff_csv({found[1]}, {found[2]})"
    ).fetchall()
    delimiter, quote, escape, comment, has_header, columns, date, timestamp = form
    delimiter, quote, escape, comment = (
        "" if one is None or one == "(empty)" else one for one in (delimiter, quote, escape, comment)
    )
    if delimiter == "," and not quote:
        quote = escape = '"'  # what was looked at may hold no quotes, and what follows may
    typed_columns = ", ".join(f"{text(one['name'])}: {text(one['type'])}" for one in columns)
    given = {"delim": delimiter, "quote": quote, "escape": escape, "comment": comment}
    given |= {name: one for name, one in (("dateformat", date), ("timestampformat", timestamp)) if one}
    settings = ", ".join(f"{name} = {text(str(one))}" for name, one in given.items())
    header = "true" if has_header else "false"
    return (
        f"SELECT * FROM read_csv({found[1]}, auto_detect = false, skip = 0, header = {header}, {settings}, "
        f"columns = {{{typed_columns}}})"
    )


def _find_line(engine: Any, name: str, sql: str) -> None:
    """Where no form fits all lines that were looked at, takes that of the first ones: then the first that does not fit it is
    named. Raises Fault."""
    with typed(table=name):
        engine.execute(f"SELECT count(*) FROM ({_SAMPLE.sub('sample_size = 2', sql)})")


def columns_of(engine: Any, query: str, parameters: Any) -> list[tuple[str, str]]:
    with typed():
        found = engine.execute(f"DESCRIBE {query}", parameters or None).fetchall()
    return [(row[0], row[1]) for row in found]


def explain(engine: Any, query: str, parameters: Any) -> str:
    with typed():
        rows = engine.execute(f"EXPLAIN {WRAPPED[0]}{query}{WRAPPED[1]}", parameters or None).fetchall()
    return "\n".join(str(row[-1]) for row in rows)


def keep(engine: Any, query: str, parameters: Any, most: int | None, form: str) -> list[tuple[str, str]]:
    """Runs the query into ``RESULT``, one row more than ``most`` at most; its columns and their types. ``form`` is parquet or
    csv."""
    whole = f"{WRAPPED[0]}{query}{WRAPPED[1]}"
    columns = columns_of(engine, whole, parameters)
    if len(columns) > MOST_COLUMNS:
        raise Fault("wide", f"{len(columns):,}", most=f"{MOST_COLUMNS:,}")
    shown = ", ".join(
        f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" if _is_lossy(kind) else identifier(name)
        for name, kind in columns
    )
    limit = "" if most is None else f" LIMIT {most + 1}"
    options = "FORMAT parquet, COMPRESSION zstd" if form == "parquet" else "FORMAT csv, HEADER"
    with typed():
        engine.execute(
            f"COPY (SELECT {shown} FROM ({whole}) AS whole{limit}) TO {text(os.path.join(os.getcwd(), RESULT))} ({options})",
            parameters or None,
        )
    return columns


def page(
    engine: Any,
    path: str,
    types: Sequence[str],
    offset: int,
    limit: int,
    most: int | None,
    room: int,
    longest: int,
) -> dict[str, Any]:
    """Some rows of a kept result, as many as ``room`` bytes of JSON hold, one at least, whose cells are cut further where it is
    longer; ``types`` are those of the query's columns, ``total`` of all that are kept, and
    ``is_cut`` where the query has more than ``most``."""
    with typed():
        [[total]] = engine.execute(f"SELECT count(*) FROM read_parquet({text(path)})").fetchall()
        is_cut = most is not None and total > most
        total = min(total, most) if most is not None else total
        count = max(0, min(limit, total - offset))
        rows = engine.execute(
            f"SELECT * FROM read_parquet({text(path)}) LIMIT {count} OFFSET {offset}"
        ).fetchall()
    whole = {at for at, kind in enumerate(types) if kind in ("HUGEINT", "UHUGEINT")}
    cells = Cells(longest)
    shown: list[list[Any]] = []
    for kept in rows:
        row = [_number(value) if at in whole else value for at, value in enumerate(kept)]
        made, size = _sized(cells, row)
        while not shown and size > room and cells.longest > _SHORTEST:
            cells = Cells(max(_SHORTEST, cells.longest // 4))
            made, size = _sized(cells, row)
        room -= size
        if shown and room < 0:
            break
        shown.append(made)
    return {"rows": shown, "total": total, "is_cut": is_cut, "cells_cut": cells.cut}


def _number(text: Any) -> Any:
    """A sum of whole numbers has the widest type, and was kept as text."""
    return None if text is None else int(text)


def _sized(cells: Cells, row: Sequence[Any]) -> tuple[list[Any], int]:
    """A row as JSON, and its bytes."""
    made = cells.row(row)
    return made, len(
        json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    ) + 1


@contextlib.contextmanager
def typed(table: str | None = None) -> Any:
    """What the engine says becomes a Fault."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise Fault("memory", str(error)[:300]) from None
    except duckdb.InterruptException:
        raise Fault("time", "It took longer than a query may.") from None
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception")
        said = str(error).partition("\nTraceback")[0].strip()
        if "maximum execution time" in said:
            raise Fault("time", "It took longer than a query may.") from None
        if "Too many open files" in said:
            raise Fault("open_files", said[:300]) from None
        if "max_temp_directory_size" in said or "No space left" in said or "File too large" in said:
            raise Fault("memory", said[:300]) from None
        raise Fault("engine", said[:1_500], exception=kind, table=table) from None


def _is_lossy(kind: str) -> bool:
    return any(one in kind for one in _LOSSY)


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
