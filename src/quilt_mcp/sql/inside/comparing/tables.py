"""Two views compared: each is read once, into a table of this process that spills into its folder, and all is reckoned there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

from quilt_mcp.sql.inside import engine as box
from quilt_mcp.sql.inside.comparing.columns import Pair, Tolerance, in_common
from quilt_mcp.sql.inside.comparing.keys import Keys, repeated
from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.quoting import identifier

MOST_COLUMNS: Final = 2_000
"""Columns of one table."""
MOST_VALUES: Final = 30
"""Cells of a row that are told."""
_TRIED: Final = 3
"""Keys that are found and match no row, before the first of them is taken."""
_SIDES: Final = ("before", "after")
_ROOM: Final = 4 << 20
_TOGETHER: Final = 40
"""Conditions side by side: a long row of them is too deep for the engine."""


class Comparison:
    def __init__(self, engine: Any, asked: Mapping[str, Any]) -> None:
        """``asked``: ``views`` (their names, before and after), ``keys``, ``tolerance``, ``samples`` (rows of each kind),
        ``longest`` (letters of a cell)."""
        self._engine = engine
        self._views: Sequence[str] = asked["views"]
        self._asked_keys: Sequence[str] = asked["keys"]
        tolerance = asked["tolerance"]
        self._tolerance = None if tolerance is None else Tolerance(*tolerance)
        self._samples: int = asked["samples"]
        self._longest: int = asked["longest"]
        self._cut = 0

    def result(self) -> dict[str, Any]:
        """``refused``, where the tables cannot be compared as asked: a reason, with what is known of it."""
        kinds = [
            box.columns_of(self._engine, f"SELECT * FROM {identifier(one)}", None) for one in self._views
        ]
        if (most := max(map(len, kinds))) > MOST_COLUMNS:
            return {"refused": "wide", "columns": most, "most": MOST_COLUMNS}
        pairs, dropped, added = in_common(*kinds)
        named = {one.name: one for one in pairs}
        unknown = [one for one in self._asked_keys if one not in named]
        if unknown:
            here = [[name for name, _ in one] for one in kinds]
            return {"refused": "no_column", "column": unknown[0], "before": here[0], "after": here[1]}
        rows = [self._read(side, pairs) for side in _SIDES]
        found = {
            "columns": {
                "added": added, "dropped": dropped,
                "retyped": [[one.name, one.before, one.after] for one in pairs if one.is_retyped],
            },
            "before": rows[0], "after": rows[1],
        }  # fmt: skip
        if not pairs:
            more = {
                "keys": [],
                "added": rows[1],
                "removed": rows[0],
                "changed": 0,
                "cells": {},
                "samples": {},
            }
            return {**found, **more}
        with_rows = [side for side, count in zip(_SIDES, rows, strict=True) if count]
        keys = Keys(self._engine, pairs, with_rows)
        if self._asked_keys:
            key = [named[one] for one in dict.fromkeys(self._asked_keys)]
            if not keys.is_unique(key):
                doubled = {side: repeated(self._engine, side, key) for side in with_rows}
                if any(doubled.values()):
                    better = next(keys.found(), [])
                    return {"refused": "repeated", **doubled, "unique": [one.name for one in better]}
            return {**found, **self._matched(pairs, key, is_whole=False)}
        if not with_rows:
            return {**found, **self._matched(pairs, pairs[:1], is_whole=True)}
        return {**found, **(self._by_found_key(pairs, keys) or self._as_rows(pairs))} | {
            "cells_cut": self._cut
        }

    def _by_found_key(self, pairs: Sequence[Pair], keys: Keys) -> dict[str, Any] | None:
        """By the first key that matches any row, else by the first."""
        tried = keys.found()
        first = next(tried, None)
        if first is None:
            return None
        for key in chain([first], islice(tried, _TRIED - 1)):
            names = " AND ".join(f"a.{one.value} = b.{one.value}" for one in key)
            with typed():
                [[matches]] = self._engine.execute(
                    f"SELECT count(*) FROM (FROM before LIMIT 1000) a SEMI JOIN after b ON {names}"
                ).fetchall()
            if matches:
                return self._matched(pairs, key, is_whole=True)
        return self._matched(pairs, first, is_whole=True)

    # -- reading --

    def _read(self, side: str, pairs: Sequence[Pair]) -> int:
        """How many rows it has. Columns that the other has not are not read."""
        view = self._views[_SIDES.index(side)]
        selected = ", ".join(one.selected(is_before=side == "before") for one in pairs) or "1 AS c0"
        with typed(table=view):
            self._engine.execute(f"CREATE TEMP TABLE {side} AS SELECT {selected} FROM {identifier(view)}")
            [[count]] = self._engine.execute(f"SELECT count(*) FROM {side}").fetchall()
        return count

    # -- rows that are matched --

    def _matched(self, pairs: Sequence[Pair], key: Sequence[Pair], *, is_whole: bool) -> dict[str, Any]:
        """``is_whole``: no part of the key is NULL."""
        same = "=" if is_whole else "IS NOT DISTINCT FROM"
        joined = "before a FULL OUTER JOIN after b ON " + " AND ".join(
            f"a.{one.value} {same} b.{one.value}" for one in key
        )
        of_key = {one.at for one in key}
        others = [one for one in pairs if one.at not in of_key]
        both = "a.rowid IS NOT NULL AND b.rowid IS NOT NULL"
        differs = {one: one.differs(self._tolerance) for one in others}
        changed = f"{both} AND {_any(list(differs.values()))}"
        number = self._samples
        told = [
            "count(*) FILTER (a.rowid IS NULL)",
            "count(*) FILTER (b.rowid IS NULL)",
            f"count(*) FILTER ({changed})",
            *(f"count(*) FILTER ({both} AND {one})" for one in differs.values()),
        ]
        if number:
            told += [
                f"min(a.rowid, {number}) FILTER ({changed})",
                f"min_by(b.rowid, a.rowid, {number}) FILTER ({changed})",
                f"min(b.rowid, {number}) FILTER (a.rowid IS NULL)",
                f"min(a.rowid, {number}) FILTER (b.rowid IS NULL)",
            ]
        with typed():
            [[added, removed, count, *more]] = self._engine.execute(
                f"SELECT {', '.join(told)} FROM {joined}"
            ).fetchall()
        counts = {one: n for one, n in zip(others, more, strict=False) if n}
        samples: dict[str, Any] = {}
        if number:
            places = [one or [] for one in more[len(others) :]]
            samples = {
                "changed": self._changed(key, [*counts], differs, places[0], places[1]),
                "added": self._rows("after", pairs, key, places[2]),
                "removed": self._rows("before", pairs, key, places[3]),
            }
        return {
            "keys": [one.name for one in key], "added": added, "removed": removed, "changed": count,
            "cells": {one.name: n for one, n in counts.items()}, "samples": samples, "cells_cut": self._cut,
        }  # fmt: skip

    def _changed(
        self,
        key: Sequence[Pair],
        columns: Sequence[Pair],
        differs: Mapping[Pair, str],
        x: list[int],
        y: list[int],
    ) -> list[Any]:
        """Of each row its key, and its cells that differ: column, before, after."""
        if not x:
            return []
        told = [f"a.c{one.at}" for one in key]
        for one in columns:
            told += [differs[one], f"a.c{one.at}", f"b.c{one.at}"]
        selected = ", ".join(f"{one} AS s{at}" for at, one in enumerate(told))
        places = f"(SELECT unnest({x}) AS x, unnest({y}) AS y) p"
        rows = self._told(
            f"SELECT {selected} FROM {places} JOIN before a ON a.rowid = p.x JOIN after b ON b.rowid = p.y ORDER BY p.x"
        )
        found: list[Any] = []
        for row in rows:
            cells = row[len(key) :]
            triples = zip(columns, cells[::3], cells[1::3], cells[2::3], strict=True)
            own = [[one.name, before, after] for one, is_other, before, after in triples if is_other]
            found.append([row[: len(key)], own[:MOST_VALUES], len(own)])
        return found

    def _rows(self, side: str, pairs: Sequence[Pair], key: Sequence[Pair], at: list[int]) -> list[Any]:
        """Of each row its key, and its other cells by column, the first ones of many."""
        if not at:
            return []
        others = [one for one in pairs if one not in key]
        told = [*key, *others[:MOST_VALUES]]
        selected = ", ".join(f"c{one.at}" for one in told)
        rows = self._told(
            f"SELECT {selected} FROM {side} WHERE rowid IN ({', '.join(map(str, at))}) ORDER BY rowid"
        )
        names = [one.name for one in told]
        count = len(key)
        return [
            [row[:count], dict(zip(names[count:], row[count:], strict=True)), len(others)] for row in rows
        ]

    # -- rows as they are --

    def _as_rows(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Without a key: how often each row stands on each side."""
        values = ", ".join(one.value for one in pairs)
        both = (
            f"SELECT {values}, 1 AS n, NULL AS x, rowid AS y FROM after UNION ALL "
            f"SELECT {values}, -1, rowid, NULL FROM before"
        )
        with typed():
            self._engine.execute(
                "CREATE TEMP TABLE differing AS SELECT CAST(n AS BIGINT) AS n, x, y FROM (SELECT sum(n) AS n, min(x) AS x, "
                f"min(y) AS y FROM ({both}) GROUP BY {values}) WHERE n <> 0"
            )
            [[added, removed]] = self._engine.execute(
                "SELECT coalesce(sum(n) FILTER (n > 0), 0), coalesce(-sum(n) FILTER (n < 0), 0) FROM differing"
            ).fetchall()
        samples = {"added": self._counted("after", pairs), "removed": self._counted("before", pairs)}
        return {
            "keys": [], "added": int(added), "removed": int(removed), "changed": 0, "cells": {},
            "samples": samples if self._samples else {},
        }  # fmt: skip

    def _counted(self, side: str, pairs: Sequence[Pair]) -> list[Any]:
        """Each row with how many more of it there are than on the other side."""
        if not self._samples:
            return []
        at, which = ("x", "n < 0") if side == "before" else ("y", "n > 0")
        selected = ", ".join(f"r.c{one.at}" for one in pairs[:MOST_VALUES])
        rows = self._told(
            f"SELECT abs(n) AS n, {selected} FROM (SELECT n, {at} AS place FROM differing WHERE {which} ORDER BY place "
            f"LIMIT {self._samples}) d JOIN {side} r ON r.rowid = d.place ORDER BY d.place"
        )
        names = [one.name for one in pairs[:MOST_VALUES]]
        return [[[], dict(zip(names, row[1:], strict=True)), len(pairs), row[0]] for row in rows]

    def _told(self, query: str) -> list[list[Any]]:
        """Rows as JSON has them."""
        kept = box.keep(self._engine, query, None, None, "rows")
        found = box.page(
            self._engine, box.result(), [kind for _, kind in kept["columns"]], 0, limit=self._samples, most=None,
            room=_ROOM, longest=self._longest,
        )  # fmt: skip
        self._cut += found["cells_cut"]
        return found["rows"]


def _any(conditions: Sequence[str]) -> str:
    """Whether one of them holds."""
    if not conditions:
        return "false"
    parts = [
        f"({' OR '.join(conditions[at : at + _TOGETHER])})" for at in range(0, len(conditions), _TOGETHER)
    ]
    return parts[0] if len(parts) == 1 else _any(parts)
