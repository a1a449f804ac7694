"""DuckDB, shut in: it reads the files of its query, writes its result and its spill into its own folder, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

try:  # without the package around it, which takes longer to import than all else here
    import _duckdb as duckdb
except ImportError:
    import duckdb

from quilt_mcp.sql.inside import sampled
from quilt_mcp.sql.inside.cells import Cells
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.files import HeldFiles
from quilt_mcp.sql.inside.kinds import IN_PARQUET, IN_PYTHON, WIDE, kept_as, reviver
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
_CSV: Final = re.compile(r"SELECT \* FROM read_csv\(\[('[^']*')\], (sample_size = [0-9]+, skip = 0)\)")
_SAMPLE: Final = re.compile(r"sample_size = [0-9]+")
_SHORTEST: Final = 30
"""Letters of a cell that are shown in any case."""
_DELIMITERS: Final = ",;\t|"
_LOOKED_AT: Final = 100


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


def make_views(engine: Any, views: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> None:
    """Each ``sql`` is the parent's; ``sizes`` are those of the query's files. Raises Fault for a file that is not what its name
    says."""
    for view in views:
        name = view["name"]
        try:
            with typed(table=name):
                _make(engine, view, sizes)
        except Fault as fault:
            if "sniffing" in str(fault):
                _find_line(engine, name, view["sql"])
            raise
        if view["each"]:
            _check_lines(engine, name, view["each"])


def read_as_text(
    engine: Any, view: Mapping[str, Any], sizes: Sequence[int], columns: Collection[str]
) -> None:
    """Makes the view of one delimited text anew, with the texts of these columns as they stand there."""
    with typed(table=view["name"]):
        engine.execute(f"DROP VIEW {identifier(view['name'])}")
        _make(engine, view, sizes, columns)


def _make(engine: Any, view: Mapping[str, Any], sizes: Sequence[int], texts: Collection[str] = ()) -> None:
    engine.execute(f"CREATE VIEW {identifier(view['name'])} AS {_source(engine, view, sizes, texts)}")


def _check_lines(engine: Any, name: str, each: Sequence[str]) -> None:
    """The engine takes whole lines for cells where their numbers of cells differ, or a title stands above them. Raises Fault
    for the first file of which it does. Where all are like the first, that one alone is looked at."""
    # What the view is known to have: to ask the view itself is to look at all of its files again.
    known = f"SELECT column_name FROM duckdb_columns() WHERE table_name = {text(name)}"
    own = {column for (column,) in engine.execute(known).fetchall() if column[:1] != "$"}
    if "column0" in own:
        for one in each:
            _check_header(engine, name, one)
    if len(each) > 1:
        first = {column for column, _ in columns_of(engine, f"SELECT * FROM {each[0]}", None)}
        each = each if own - first else each[:1]
        own = first
    if len(own) == 1 or len(each) > 1:
        for one in each:
            with typed(table=name):
                is_lines = _is_lines(engine, one)
            if is_lines:
                said = f"The lines of {_address(one)} have different numbers of cells, so that it is no table with one form."
                raise Fault("engine", said, exception="Ragged", table=name)


def _check_header(engine: Any, name: str, source: str) -> None:
    """Where lines that begin with '#' are comments, the last of them may be the header: then no column would have its name, in
    silence. Raises Fault."""
    with typed(table=name):
        [(comment, has_header)] = engine.execute(
            f"SELECT Comment, HasHeader FROM {_sniffed(source)}"
        ).fetchall()
    if comment not in (None, "", "(empty)", "\0") and not has_header and "comment =" not in source:
        said = (
            f"{_address(source)} has no header but lines that begin with {comment!r}, of which the last may be one: "
            "skip := n of files(..) passes over those above it, comment := '#' takes all for comments."
        )
        raise Fault("engine", said, exception="Header", table=name)


def _is_lines(engine: Any, source: str) -> bool:
    """Whether its one column is named by what holds delimiters, or most of its first values hold as many of one by which it is
    not divided, as no text does."""
    columns = columns_of(engine, f"SELECT * FROM {source}", None)
    if len(columns) > 1:
        return False
    source = source.replace(", ignore_errors = true", "")  # or all lines are left out
    [(name, kind), *_] = columns_of(engine, f"SELECT * FROM {source}", None)
    if any(one in name for one in _DELIMITERS):
        return True
    if kind != "VARCHAR":
        return False
    [[divided]] = engine.execute(f"SELECT Delimiter FROM {_sniffed(source)}").fetchall()
    values = [value or "" for (value,) in engine.execute(f"FROM {source} LIMIT {_LOOKED_AT}").fetchall()]
    for delimiter in _DELIMITERS.replace(divided or ",", ""):
        [(count, lines)] = Counter(value.count(delimiter) for value in values).most_common(1) or [(0, 0)]
        if count and 2 * lines > len(values):
            return True
    return False


def _sniffed(source: str) -> str:
    return f"sniff_csv('{_address(source)}'{source.partition(']')[2]}"


def _address(source: str) -> str:
    return source.partition("['")[2].partition("'")[0]


def _source(engine: Any, view: Mapping[str, Any], sizes: Sequence[int], texts: Collection[str]) -> str:
    """What a view is of, with the types of all its rows. ``texts``: columns of a delimited text that stay text."""
    name, sql, is_beyond = view["name"], view["sql"], sampled.is_beyond(view["sql"], sizes)
    if not view["each"]:
        is_json = is_beyond and "read_json(" in sql
        return sampled.json_of_all_rows(engine, sql) if is_json else sql
    if _CSV.fullmatch(sql):
        columns, read = _in_its_form(engine, sql, texts, is_beyond=is_beyond)
    elif is_beyond or texts:
        columns = _with_texts(dict(columns_of(engine, sql, None)), texts)
        read = sampled.csv_as_text(sql, columns, texts, is_beyond=is_beyond)
        if "types = " not in read:
            return read
    else:
        return sql
    return sampled.guarded(name, read, columns) if is_beyond else read


def _with_texts(kinds: dict[str, str], texts: Collection[str]) -> dict[str, str]:
    return {name: "VARCHAR" if name in texts else kind for name, kind in kinds.items()}


def _in_its_form(
    engine: Any, sql: str, texts: Collection[str], *, is_beyond: bool
) -> tuple[dict[str, str], str]:
    """A CSV by itself is looked through for its form once: each use of a view would look again. What its header says is data, and
    stands in the text as literals; the engine's own spelling of the call does not quote it."""
    found = _CSV.fullmatch(sql)
    assert found is not None, "it is a CSV by itself"
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
    kinds = _with_texts({one["name"]: one["type"] for one in columns}, texts)
    typed_columns = ", ".join(
        f"{text(column)}: {text(sampled.as_text(kind) if is_beyond else kind)}"
        for column, kind in kinds.items()
    )
    given = {"delim": delimiter, "quote": quote, "escape": escape, "comment": comment}
    given |= {name: one for name, one in (("dateformat", date), ("timestampformat", timestamp)) if one}
    settings = ", ".join(f"{name} = {text(str(one))}" for name, one in given.items())
    header = "true" if has_header else "false"
    return kinds, (
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


def keep(engine: Any, query: str, parameters: Any, most: int | None, form: str) -> dict[str, Any]:
    """Runs the query into ``RESULT``, one row more than ``most`` at most; its ``columns`` with their types, and those that are
    text in the file, ``as_text``. ``form``: rows (to be paged through), parquet or csv (to be saved)."""
    whole = f"{WRAPPED[0]}{query}{WRAPPED[1]}"
    kinds = _kinds_of(engine, whole, parameters)
    if len(kinds) > MOST_COLUMNS:
        raise Fault("wide", f"{len(kinds):,}", most=f"{MOST_COLUMNS:,}")
    made = {} if form == "csv" else _made(kinds, IN_PARQUET)
    limit = "" if most is None else f" LIMIT {most + 1}"
    with typed():
        engine.execute(
            f"COPY (SELECT {_cast([name for name, _ in kinds], made)} FROM ({whole}) AS whole{limit}) TO "
            f"{text(result())} ({_FORMS[form]})",
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
        said = str(error).partition("\nTraceback")[0].strip()
        if "maximum execution time" in said:
            raise Fault("time", "It took longer than a query may.") from None
        if "Too many open files" in said:
            raise Fault("open_files", said[:300]) from None
        if "max_temp_directory_size" in said or "No space left" in said or "File too large" in said:
            raise Fault("memory", said[:300]) from None
        raise Fault("engine", said[:1_500], exception=kind, table=table) from None
