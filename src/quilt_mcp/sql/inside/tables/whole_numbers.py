"""Whole numbers: columns that the engine took for them from the first rows of a large text file.

Behind those it makes 2.7 a 3 and 007 a 7 in silence, where the first rows held whole numbers. So columns of a CSV that are taken
for whole numbers are read as text and made numbers here, and what is none is an error.
"""

from __future__ import annotations

from typing import Final

from quilt_mcp.sql.inside.quoting import identifier, text

NO_WHOLE_NUMBER: Final = "is no whole number, as the first rows of its column are"
LEAST_BYTES: Final = 40_960
"""A smaller file has no rows that were not seen."""
WHOLE: Final = ("BIGINT", "HUGEINT", "UHUGEINT", "BIGNUM")
_PLAIN: Final = r"\s*-?(0|[1-9][0-9]*)\s*"
_LONGEST: Final = 60


def made(table: str, column: str, kind: str) -> str:
    """What makes a column that is read as text a number, or an error."""
    own = identifier(column)
    said = (
        f"{text(f'{table}: column {column}: ')} || left({own}, {_LONGEST}) || {text(f' {NO_WHOLE_NUMBER}.')}"
    )
    return f"CASE WHEN {own} IS NULL THEN NULL WHEN {is_whole(column)} THEN CAST({own} AS {kind}) ELSE error({said}) END"


def is_whole(column: str) -> str:
    return f"regexp_full_match({identifier(column)}, {text(_PLAIN)})"


def is_about(said: str, column: str) -> bool:
    """Whether the engine said this of the column."""
    return NO_WHOLE_NUMBER in said and f"column {column}: " in said
