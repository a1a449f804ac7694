"""Rows that are shown, as JSON has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from quilt_mcp.sql.inside import engine as box
from quilt_mcp.sql.inside.comparing.columns import Pair

_ROOM: Final = 4 << 20


class Telling:
    """``most`` rows of each kind, after the first of ``passed`` (changed, added, removed), ``cells`` of a row, and ``longest``
    letters of a cell. ``cut``: how many cells were longer."""

    def __init__(self, engine: Any, most: int, passed: Sequence[int], cells: int, longest: int) -> None:
        self._engine = engine
        self.most = most
        self.passed = passed
        self.cells = cells
        self._longest = longest
        self.cut = 0

    def rows(self, query: str) -> list[list[Any]]:
        kept = box.keep(self._engine, query, None, None, "rows")
        found = box.page(
            self._engine, box.result(), [kind for _, kind in kept["columns"]], 0, limit=self.most, most=None,
            room=_ROOM, longest=self._longest,
        )  # fmt: skip
        self.cut += found["cells_cut"]
        return found["rows"]

    def of_one_side(
        self, side: str, pairs: Sequence[Pair], key: Sequence[Pair], places: Sequence[int]
    ) -> list[Any]:
        """Of each row its key, its other cells by column (the first ones of many), and how many these are."""
        if not places:
            return []
        others = [one for one in pairs if one not in key]
        told = [*key, *others[: self.cells]]
        selected = ", ".join(f"c{one.at}" for one in told)
        rows = self.rows(
            f"SELECT {selected} FROM {side} WHERE rowid IN ({', '.join(map(str, places))}) ORDER BY rowid"
        )
        names = [one.name for one in told]
        count = len(key)
        return [
            [row[:count], dict(zip(names[count:], row[count:], strict=True)), len(others)] for row in rows
        ]
