"""Sampled: types of columns that the engine took from the first rows of a large text file.

Behind those it makes 2.7 a 3 and 007 a 7 in silence, where the first rows held whole numbers. So columns of a CSV that are taken
for whole numbers are read as text and made numbers here, and what is none is an error. JSON, whose values stand in each other, is
looked through to its end instead.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.quoting import identifier, text

NO_WHOLE_NUMBER: Final = "is no whole number, as the first rows of its column are"
_SEEN: Final = 20_480
"""Rows of JSON, by the engine's default; of a CSV there are more."""
_LEAST_BYTES: Final = 2 * _SEEN
"""A smaller file has no rows that were not seen."""
_MOST_PACKED: Final = 1_000
"""A packed file is hardly smaller than what is in it by more than that."""
_WHOLE: Final = ("BIGINT", "HUGEINT", "UHUGEINT", "BIGNUM")
_PLAIN: Final = r"\s*-?(0|[1-9][0-9]*)\s*"
_LONGEST: Final = 60
_PLACE: Final = re.compile(r"'qf://([0-9]+)/file\.[a-z]+(\.[a-z]+)?'")
_SAMPLE: Final = re.compile(r"sample_size = [0-9]+")
_OTHERWISE_WRITTEN: Final = re.compile(r", (?:thousands|decimal_separator) = ")


def is_beyond(sql: str, sizes: Sequence[int]) -> bool:
    """Whether a file of a view may have rows that were not seen. ``sizes``: of the query's files."""
    return any(
        sizes[int(number)] * (_MOST_PACKED if packed else 1) > _LEAST_BYTES
        for number, packed in _PLACE.findall(sql)
    )


def csv_as_text(
    sql: str, columns: Mapping[str, str], texts: Collection[str] = (), *, is_beyond: bool = True
) -> str:
    """The view of a CSV with ``texts`` as they are, and, where it ``is_beyond``, what it takes for whole numbers as text, too.
    Where numbers are written otherwise, the same view by all rows."""
    if _OTHERWISE_WRITTEN.search(sql):
        return _SAMPLE.sub("sample_size = -1", sql)
    made = [name for name, kind in columns.items() if name in texts or (is_beyond and kind in _WHOLE)]
    types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in made)
    return _with(sql, f"types = {{{types}}}") if types else sql


def as_text(kind: str) -> str:
    return "VARCHAR" if kind in _WHOLE else kind


def guarded(name: str, sql: str, columns: Mapping[str, str]) -> str:
    """``sql`` is what ``csv_as_text`` made of a view, ``columns`` what the view had before."""
    if not any(kind in _WHOLE for kind in columns.values()):
        return sql
    # Each by name: of a thousand columns, the engine takes a minute to bind them as * REPLACE (..).
    made = [
        _made(name, column, kind) if kind in _WHOLE else identifier(column)
        for column, kind in columns.items()
    ]
    return f"SELECT {', '.join(made)} FROM ({sql})"


def json_of_all_rows(engine: Any, sql: str) -> str:
    """The view of JSON, by all rows where these have other columns than the first ones."""
    whole = _with(sql, "sample_size = -1")
    first, all_rows = (engine.execute(f"DESCRIBE {one}").fetchall() for one in (sql, whole))
    return sql if first == all_rows else whole


def _with(sql: str, setting: str) -> str:
    return f"{sql.removesuffix(')')}, {setting})"


def _made(name: str, column: str, kind: str) -> str:
    own = identifier(column)
    said = (
        f"{text(f'{name}: column {column}: ')} || left({own}, {_LONGEST}) || {text(f' {NO_WHOLE_NUMBER}.')}"
    )
    return (
        f"CASE WHEN {own} IS NULL THEN NULL WHEN regexp_full_match({own}, {text(_PLAIN)}) THEN CAST({own} AS {kind}) "
        f"ELSE error({said}) END AS {own}"
    )
