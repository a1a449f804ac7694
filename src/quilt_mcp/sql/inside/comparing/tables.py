"""Two views compared: each is read once, into a table of this process that spills into its folder, and all is reckoned there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from quilt_mcp.sql.inside import engine as box
from quilt_mcp.sql.inside.comparing.columns import Pair, Tolerance, in_common, in_other_case
from quilt_mcp.sql.inside.comparing.keys import Keys, repeated
from quilt_mcp.sql.inside.comparing.matching import Matching
from quilt_mcp.sql.inside.comparing.names import standing_twice
from quilt_mcp.sql.inside.comparing.telling import Telling
from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.quoting import identifier

MOST_COLUMNS: Final = 2_000
"""Columns of one table."""
_SIDES: Final = ("before", "after")
_ONE_SIDED: Final[dict[str, Any]] = {"keys": [], "changed": 0, "cells": {}, "samples": {}, "unlike": 0}


class Comparison:
    def __init__(
        self,
        engine: Any,
        paths: Sequence[str],
        views: Sequence[str],
        read_as_text: Sequence[Mapping[str, str] | None],
        asked: Mapping[str, Any],
    ) -> None:
        """``paths`` of the two files, names of their ``views``, and of each CSV the columns that are ``read_as_text``, with the
        types they have by themselves; ``asked``: ``keys``, ``tolerance``, ``samples`` (rows of each kind), ``passed`` (how many
        before them), ``cells`` (of a row), ``longest`` (letters of a cell)."""
        self._engine = engine
        self._paths = paths
        self._views = views
        self._as_text = read_as_text
        self._asked_keys: Sequence[str] = asked["keys"]
        tolerance = asked["tolerance"]
        self._tolerance = None if tolerance is None else Tolerance(*tolerance)
        self._telling = Telling(engine, asked["samples"], asked["passed"], asked["cells"], asked["longest"])

    def result(self) -> dict[str, Any]:
        """``refused``, where the tables cannot be compared as asked: a reason, with what is known of it."""
        kinds = [
            box.columns_of(self._engine, f"SELECT * FROM {identifier(one)}", None) for one in self._views
        ]
        if (most := max(map(len, kinds))) > MOST_COLUMNS:
            return {"refused": "wide", "columns": most, "most": MOST_COLUMNS}
        pairs, dropped, added = in_common(kinds[0], kinds[1], self._as_text[0], self._as_text[1])
        cased = in_other_case(*([name for name, _ in one] for one in kinds))
        known = {one.name for one in pairs}
        self._asked_keys = self._in_own_case(known)
        unknown = [one for one in self._asked_keys if one not in known]
        if unknown:
            here = [[name for name, _ in one] for one in kinds]
            return {"refused": "no_column", "column": unknown[0], "before": here[0], "after": here[1]}
        rows = [self._read(side, pairs) for side in _SIDES]
        compared = self._compared(pairs, rows)
        return {
            "columns": {
                "added": added, "dropped": dropped,
                "retyped": [[one.name, one.before, one.after] for one in pairs if one.is_retyped],
            },
            "before": rows[0], "after": rows[1], "cased": [*cased.items()],
            "order": self._order(kinds, pairs, compared),
            "twice": [
                standing_twice(self._engine, path, [name for name, _ in one])
                for path, one in zip(self._paths, kinds, strict=True)
            ],
            "blank": self._blank(pairs), "rounded": self._rounded(pairs), **compared, "cells_cut": self._telling.cut,
        }  # fmt: skip

    def _in_own_case(self, known: Collection[str]) -> list[str]:
        """The keys as the first table spells them."""
        own = {one.lower(): one for one in known}
        return [one if one in known else own.get(one.lower(), one) for one in self._asked_keys]

    def _order(
        self, kinds: Sequence[Sequence[tuple[str, str]]], pairs: Sequence[Pair], compared: Mapping[str, Any]
    ) -> list[str]:
        """Of what has no cell that differs, whether the order of columns or rows does."""
        if "refused" in compared or any(compared[one] for one in ("added", "removed", "changed")):
            return []
        names, others = ([name for name, _ in one] for one in kinds)
        found = ["columns"] if names != others and sorted(names) == sorted(others) else []
        by = {one.name: one for one in pairs}
        if key := [by[name] for name in compared["keys"]]:
            same = " AND ".join(f"a.{one.value} = b.{one.value}" for one in key)
            with typed():
                moved = self._engine.execute(
                    f"SELECT 1 FROM before a JOIN after b ON {same} WHERE a.rowid <> b.rowid LIMIT 1"
                ).fetchall()
            found += ["rows"] if moved else []
        return found

    def _compared(self, pairs: Sequence[Pair], rows: Sequence[int]) -> dict[str, Any]:
        if not pairs:
            return _ONE_SIDED | {"added": rows[1], "removed": rows[0]}
        with_rows = [side for side, count in zip(_SIDES, rows, strict=True) if count]
        keys = Keys(self._engine, pairs, with_rows)
        if self._asked_keys:
            return self._by_asked_key(pairs, keys, with_rows)
        if not with_rows:
            return self._matched(pairs, pairs[:1], is_whole=True)
        return self._by_found_key(pairs, keys) or self._as_rows(pairs)

    def _by_asked_key(self, pairs: Sequence[Pair], keys: Keys, with_rows: Sequence[str]) -> dict[str, Any]:
        named = {one.name: one for one in pairs}
        key = [named[one] for one in dict.fromkeys(self._asked_keys)]
        is_whole = keys.is_unique(key)
        if not is_whole:
            doubled = {side: repeated(self._engine, side, key) for side in with_rows}
            if any(doubled.values()):
                better: Sequence[Pair] = next(keys.found(), ())
                return {"refused": "repeated", **doubled, "unique": [one.name for one in better]}
        return self._matched(pairs, key, is_whole=is_whole)

    def _by_found_key(self, pairs: Sequence[Pair], keys: Keys) -> dict[str, Any] | None:
        key, doubt = keys.best()
        return None if key is None else {**self._matched(pairs, key, is_whole=True), "doubt": doubt}

    # -- reading --

    def _read(self, side: str, pairs: Sequence[Pair]) -> int:
        """How many rows it has. Columns that the other has not are not read."""
        view = self._views[_SIDES.index(side)]
        selected = ", ".join(one.selected(is_before=side == "before") for one in pairs) or "1 AS c0"
        with typed(table=view):
            self._engine.execute(f"CREATE TEMP TABLE {side} AS SELECT {selected} FROM {identifier(view)}")
            [[count]] = self._engine.execute(f"SELECT count(*) FROM {side}").fetchall()
        return count

    def _blank(self, pairs: Sequence[Pair]) -> list[str]:
        """Columns that hold empty texts which count as NULL."""
        asked = [one for one in pairs if one.blank]
        if not asked:
            return []
        found = ", ".join(f"bool_or(CAST(c{one.at} AS VARCHAR) = '')" for one in asked)
        with typed():
            [row] = self._engine.execute(f"SELECT {found} FROM {asked[0].blank}").fetchall()
        return [one.name for one, is_blank in zip(asked, row, strict=True) if is_blank]

    def _rounded(self, pairs: Sequence[Pair]) -> list[str]:
        """Columns of a CSV that are DOUBLE and hold numbers beyond 2^53, whose last digits the engine did not keep."""
        found: dict[str, None] = {}
        for at, side in enumerate(_SIDES):
            asked = [one for one in pairs if (one.before, one.after)[at] == "DOUBLE" and not one.is_text]
            if self._as_text[at] is None or not asked:
                continue
            told = ", ".join(
                f"bool_or(isfinite(c{one.at}) AND abs(c{one.at}) >= 9007199254740992)" for one in asked
            )
            with typed():
                [row] = self._engine.execute(f"SELECT {told} FROM {side}").fetchall()
            found |= dict.fromkeys(one.name for one, is_large in zip(asked, row, strict=True) if is_large)
        return [*found]

    def _matched(self, pairs: Sequence[Pair], key: Sequence[Pair], *, is_whole: bool) -> dict[str, Any]:
        return Matching(self._engine, pairs, key, self._tolerance, self._telling, is_whole=is_whole).result()

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
            [[added, removed, unlike]] = self._engine.execute(
                "SELECT coalesce(sum(n) FILTER (n > 0), 0), coalesce(-sum(n) FILTER (n < 0), 0), count(*) FROM differing"
            ).fetchall()
        samples = {"added": self._counted("after", pairs), "removed": self._counted("before", pairs)}
        return {
            "keys": [], "added": int(added), "removed": int(removed), "changed": 0, "cells": {},
            "samples": samples if self._telling.most else {}, "unlike": unlike,
        }  # fmt: skip

    def _counted(self, side: str, pairs: Sequence[Pair]) -> list[Any]:
        """Each row with how many more of it there are than on the other side."""
        if not self._telling.most:
            return []
        at, which = ("x", "n < 0") if side == "before" else ("y", "n > 0")
        passed = self._telling.passed[2 if side == "before" else 1]
        selected = ", ".join(f"r.c{one.at}" for one in pairs[: self._telling.cells])
        rows = self._telling.rows(
            f"SELECT abs(n) AS n, {selected} FROM (SELECT n, {at} AS place FROM differing WHERE {which} ORDER BY place "
            f"LIMIT {self._telling.most} OFFSET {passed}) d JOIN {side} r ON r.rowid = d.place ORDER BY d.place"
        )
        names = [one.name for one in pairs[: self._telling.cells]]
        return [[[], dict(zip(names, row[1:], strict=True)), len(pairs), row[0]] for row in rows]
