"""Spelled: columns of texts that are numbers but for marks as NA, so that a tolerance is for them, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.comparing.columns import Pair
from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.quoting import text
from quilt_mcp.sql.inside.tables.look import MARKS

_FIRST_ROWS: Final = 1_000
_POINT: Final = r"'\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*'"
_COMMA: Final = r"'\s*[-+]?[0-9]+(,[0-9]+)?\s*'"
_MARKS: Final = ", ".join(text(one) for one in sorted(MARKS | {""}))


def is_mark(column: str) -> str:
    """Also of NULL."""
    return f"({column} IS NULL OR lower(trim({column})) IN ({_MARKS}))"


def number(column: str, comma: bool) -> str:
    """NULL where it is none."""
    found = f"replace({column}, ',', '.')" if comma else column
    return f"TRY_CAST(trim({found}) AS DOUBLE)"


def numbers(
    engine: Any, pairs: Sequence[Pair], sides: Sequence[str]
) -> tuple[dict[Pair, bool], list[tuple[str, str]]]:
    """Of columns that are text on both sides, those that are numbers, and whether with decimal commas; and those that are numbers
    for the most part, with the first value that is none."""
    found: dict[Pair, bool] = {}
    others: list[tuple[str, str]] = []
    for pair in pairs:
        column = f"CAST(c{pair.at} AS VARCHAR)"
        for form, comma in ((_POINT, False), (_COMMA, True)):
            is_number = f"regexp_full_match({column}, {form})"
            fits = f"{is_number} OR {is_mark(column)}"
            first = [
                _counts(engine, f"(FROM {side} LIMIT {_FIRST_ROWS})", is_number, fits, column)
                for side in sides
            ]
            some, not_fitting = sum(one[0] for one in first), sum(one[1] for one in first)
            if not some or not_fitting >= some:
                continue
            whole = [_counts(engine, side, is_number, fits, column) for side in sides]
            strange = next((one[2] for one in whole if one[2] is not None), None)
            if strange is None:
                found[pair] = comma
                break
            if not comma or "," not in strange:
                others.append((pair.name, strange))
    named = {one.name for one in found}
    return found, [*{name: value for name, value in others if name not in named}.items()]


def _counts(engine: Any, source: str, is_number: str, fits: str, column: str) -> tuple[int, int, str | None]:
    strange = f"FILTER (NOT ({fits}))"
    with typed():
        [row] = engine.execute(
            f"SELECT count(*) FILTER ({is_number}), count(*) {strange}, left(min({column}) {strange}, 40) FROM {source}"
        ).fetchall()
    return row
