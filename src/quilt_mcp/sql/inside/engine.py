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
from quilt_mcp.sql.inside.kinds import IN_PARQUET, IN_PYTHON, NESTED, WIDE, kept_as, reviver
from quilt_mcp.sql.inside.parsing import WRAPPED
from quilt_mcp.sql.inside.quoting import identifier, text

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
_PARQUET: Final = "FORMAT parquet, COMPRESSION zstd"
_FORMS: Final = {"rows": _PARQUET, "parquet": _PARQUET, "csv": "FORMAT csv, HEADER"}
MOST_COLUMNS: Final = 4_000
RESULT: Final = "result.parquet"
_LINE: Final = re.compile(
    r"(?<=Original Line: ).*?(?=\n+(?:Error|Expected|Value|Maximum|Invalid|This|Possible)|\Z)", re.S
)
_OF_A_LINE: Final = 100
"""Letters of a line that the engine shows whole."""
_SHORTEST: Final = 30
"""Letters of a cell that are shown in any case."""


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


def columns_of(engine: Any, query: str, parameters: Any) -> list[tuple[str, str]]:
    with typed():
        found = engine.execute(f"DESCRIBE {query}", parameters or None).fetchall()
    return [(row[0], row[1]) for row in found]


def explain(engine: Any, query: str, parameters: Any) -> str:
    with typed():
        rows = engine.execute(f"EXPLAIN {WRAPPED[0]}{query}{WRAPPED[1]}", parameters or None).fetchall()
    return "\n".join(str(row[-1]) for row in rows)


def keep(engine: Any, query: str, parameters: Any, most: int | None, form: str) -> dict[str, Any]:
    """Runs the query into ``RESULT``, one row more than ``most`` at most; its ``columns`` with their types, and those that are
    text in the file, ``as_text``. ``form``: rows (to be paged through), parquet or csv (to be saved)."""
    whole = f"{WRAPPED[0]}{query}{WRAPPED[1]}"
    kinds = _kinds_of(engine, whole, parameters)
    if len(kinds) > MOST_COLUMNS:
        raise Fault("wide", f"{len(kinds):,}", most=f"{MOST_COLUMNS:,}")
    made = {} if form == "csv" else _made(kinds, IN_PARQUET)
    limit = "" if most is None else f" LIMIT {most + 1}"
    shown = _in_csv(kinds) if form == "csv" else _cast([name for name, _ in kinds], made)
    with typed():
        engine.execute(
            f"COPY (SELECT {shown} FROM ({whole}) AS whole{limit}) TO {text(result())} ({_FORMS[form]})",
            parameters or None,
        )
    if form == "parquet":
        _narrow(engine, kinds, made)
    return {
        "columns": [(name, str(kind)) for name, kind in kinds],
        "as_text": [(name, str(kind)) for name, kind in kinds if "VARCHAR" in made.get(name, "")],
    }


def _kinds_of(engine: Any, query: str, parameters: Any) -> list[tuple[str, Any]]:
    with typed():
        engine.execute(f"SELECT * FROM ({query}) AS whole LIMIT 0", parameters or None)
        return [(column[0], column[1]) for column in engine.description]


def _made(kinds: Sequence[tuple[str, Any]], exact: frozenset[str]) -> dict[str, str]:
    return {name: made for name, kind in kinds if (made := kept_as(kind, exact)) is not None}


def _in_csv(kinds: Sequence[tuple[str, Any]]) -> str:
    """Lists and objects as JSON."""
    return ", ".join(
        f"CAST(to_json({identifier(name)}) AS VARCHAR) AS {identifier(name)}"
        if kind.id in NESTED
        else identifier(name)
        for name, kind in kinds
    )


def _cast(names: Sequence[str], made: Mapping[str, str]) -> str:
    return ", ".join(
        f"CAST({identifier(name)} AS {made[name]}) AS {identifier(name)}"
        if name in made
        else identifier(name)
        for name in names
    )


def _narrow(engine: Any, kinds: Sequence[tuple[str, Any]], made: dict[str, str]) -> None:
    """Sums of whole numbers have the widest type, which was kept as text: a saved file has them as numbers where all of a column
    fit into a narrower one. ``made`` is what the file has afterwards."""
    wide = [name for name, kind in kinds if kind.id in WIDE]
    if not wide:
        return
    source = f"read_parquet({text(result())})"
    tried = ("BIGINT", "DECIMAL(38,0)")
    fits = ", ".join(
        f"count({identifier(name)}) = count(TRY_CAST({identifier(name)} AS {one}))"
        for name in wide
        for one in tried
    )
    with typed():
        [found] = engine.execute(f"SELECT {fits} FROM {source}").fetchall()
        for name, *fit in zip(wide, found[::2], found[1::2], strict=True):
            made[name] = next((one for one, is_fit in zip(tried, fit, strict=True) if is_fit), made[name])
        casts = {name: made[name] for name in wide}
        names = [name for name, _ in kinds]
        narrowed = f"{result()}.narrowed"
        engine.execute(
            f"COPY (SELECT {_cast(names, casts)} FROM {source}) TO {text(narrowed)} ({_FORMS['parquet']})"
        )
    os.replace(narrowed, result())


def result() -> str:
    """Where it is kept."""
    return os.path.join(os.getcwd(), RESULT)


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
        kinds = [_kind(engine, kind) for kind in types]
        names = [f"c{number}" for number in range(len(kinds))]
        shown_as = {
            name: made for name, kind in zip(names, kinds, strict=True) if (made := kept_as(kind, IN_PYTHON))
        }
        rows = engine.execute(
            f"SELECT {_cast(names, shown_as)} FROM read_parquet({text(path)}) AS kept ({', '.join(names)}) "
            f"LIMIT {count} OFFSET {offset}"
        ).fetchall()
    revived = [(at, made) for at, kind in enumerate(kinds) if (made := reviver(kind)) is not None]
    cells, cells_cut = Cells(longest), 0
    shown: list[list[Any]] = []
    for kept in rows:
        row = [*kept]
        for at, made_of in revived:
            row[at] = made_of(row[at])
        made, size = _sized(cells, row)
        while not shown and size > room and cells.longest > _SHORTEST:
            cells = Cells(max(_SHORTEST, cells.longest // 4))
            made, size = _sized(cells, row)
        room -= size
        if shown and room < 0:
            break  # what was cut in it is told with its own page
        shown.append(made)
        cells_cut = cells.cut
    return {"rows": shown, "total": total, "is_cut": is_cut, "cells_cut": cells_cut, "longest": cells.longest}


def _kind(engine: Any, kind: str) -> Any:
    """None for one that cannot be read from its text: its values are shown as text."""
    try:
        return engine.type(kind)
    except (duckdb.Error, RuntimeError, ValueError):
        return None


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
        said = _LINE.sub(_shortened, str(error).partition("\nTraceback")[0].strip())
        if "maximum execution time" in said:
            raise Fault("time", "It took longer than a query may.") from None
        if "Too many open files" in said:
            raise Fault("open_files", said[:300]) from None
        if "No space left" in said or "quota exceeded" in said:
            raise Fault("full", said[:300]) from None
        if "max_temp_directory_size" in said or "File too large" in said:
            raise Fault("memory", "what it sets aside, or its result, is longer than a file may be") from None
        raise Fault("engine", said[:1_500], exception=kind, table=table) from None


def _shortened(line: re.Match[str]) -> str:
    return line[0] if len(line[0]) <= _OF_A_LINE else f"{line[0][:_OF_A_LINE]}..."
