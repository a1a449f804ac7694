"""Names of columns that stand several times in a file: the engine calls the later ones ``name_1`` and so on, in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.quoting import text

_NUMBERED: Final = re.compile(r"(.+)_[0-9]+")


def standing_twice(engine: Any, path: str, names: Sequence[str]) -> list[str]:
    """``names``: the engine's. The file is looked into only where these leave it open."""
    known = {one.casefold() for one in names}
    doubtful = {
        found[1].casefold() for one in names if (found := _NUMBERED.fullmatch(one.casefold()))
    } & known
    if not doubtful:
        return []
    own = Counter(one.casefold() for one in _written(engine, path))
    return [one for one in names if one.casefold() in doubtful and own[one.casefold()] > 1]


def _written(engine: Any, path: str) -> list[str]:
    """As the file itself names them."""
    with typed():
        if "file.csv" in path or "file.tsv" in path:
            header = (
                f"read_csv([{text(path)}], header = false, all_varchar = true, skip = 0, sample_size = 100)"
            )
            rows = engine.execute(f"SELECT * FROM {header} LIMIT 1").fetchall()
            return [one or "" for one in rows[0]] if rows else []
        if "file.parquet" not in path:
            return []
        parts = engine.execute(f"SELECT name, num_children FROM parquet_schema({text(path)})").fetchall()
    found: list[str] = []
    at = 1
    while at < len(parts):
        found.append(parts[at][0])
        at = _behind(parts, at)
    return found


def _behind(parts: Sequence[tuple[str, int | None]], at: int) -> int:
    """Where the next one begins that is not inside of this one."""
    left = parts[at][1] or 0
    at += 1
    for _ in range(left):
        at = _behind(parts, at)
    return at
