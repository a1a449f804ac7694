"""Rows of two working tables that are matched by a key, and what differs in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from quilt_mcp.sql.inside.comparing import spelled
from quilt_mcp.sql.inside.comparing.columns import Pair, Tolerance, near
from quilt_mcp.sql.inside.comparing.telling import Telling
from quilt_mcp.sql.inside.engine import typed

_TOGETHER: Final = 40
"""Conditions side by side: a long row of them is too deep for the engine."""
_AT_ONCE: Final = 100
"""Columns of one query: what the engine takes to plan it grows with their square."""
_LOOKED_AT: Final = 100
"""Columns of which the cells of a changed row are told."""


class Matching:
    """``is_whole``: no part of the key is NULL."""

    def __init__(
        self,
        engine: Any,
        pairs: Sequence[Pair],
        key: Sequence[Pair],
        tolerance: Tolerance | None,
        telling: Telling,
        *,
        is_whole: bool,
    ) -> None:
        self._engine = engine
        self._pairs = pairs
        self._key = key
        self._telling = telling
        same = "=" if is_whole else "IS NOT DISTINCT FROM"
        self._on = " AND ".join(f"a.{one.value} {same} b.{one.value}" for one in key)
        of_key = {one.at for one in key}
        others = [one for one in pairs if one.at not in of_key]
        self._spelled: dict[Pair, bool] = {}
        self._not_near: list[tuple[str, str]] = []
        if tolerance is not None:
            texts = [one for one in others if one.are_texts]
            self._spelled, self._not_near = spelled.numbers(engine, texts, ("before", "after"))
        self._differs = {one: self._differing(one, tolerance) for one in others}
        self._apart = {one: apart for one in others if (apart := self._distance(one)) is not None}
        self._largest: dict[str, float] = {}

    def _differing(self, one: Pair, tolerance: Tolerance | None) -> str:
        if tolerance is None or one not in self._spelled:
            return one.differs(tolerance)
        before, after = (f"CAST({side}.c{one.at} AS VARCHAR)" for side in "ab")
        numbers = [spelled.number(each, self._spelled[one]) for each in (before, after)]
        is_near = f"coalesce({near(numbers[0], numbers[1], tolerance)}, false)"
        are_marks = f"{spelled.is_mark(before)} AND {spelled.is_mark(after)}"
        return f"(a.{one.value} IS DISTINCT FROM b.{one.value} AND NOT ({is_near} OR {are_marks}))"

    def _distance(self, one: Pair) -> str | None:
        """How far the numbers of a cell that differs are apart."""
        if one in self._spelled:
            sides = [
                spelled.number(f"CAST({side}.c{one.at} AS VARCHAR)", self._spelled[one]) for side in "ab"
            ]
        elif one.are_numbers:
            sides = [f"CAST({side}.c{one.at} AS DOUBLE)" for side in "ab"]
        else:
            return None
        return f"CASE WHEN {self._differs[one]} THEN abs({sides[0]} - {sides[1]}) END"

    def result(self) -> dict[str, Any]:
        """Counts of rows, of cells by column, and ``samples``."""
        counts = dict.fromkeys(self._differs, 0)
        batches = [*self._batches()]
        if len(batches) == 1:
            added, removed, changed, places = self._counted(batches[0], counts)
        else:
            added, removed, _, places = self._counted([], counts)
            changed, *found = self._in_batches(batches, counts)
            places[:2] = self._of_page([one or [] for one in found])
        counts = {one: count for one, count in counts.items() if count}
        samples: dict[str, Any] = {}
        if self._telling.most:
            samples = {
                "changed": self._changed([*counts], *places[:2]),
                "added": self._telling.of_one_side("after", self._pairs, self._key, places[2]),
                "removed": self._telling.of_one_side("before", self._pairs, self._key, places[3]),
            }
        return {
            "keys": [one.name for one in self._key], "added": added, "removed": removed, "changed": changed,
            "cells": {one.name: count for one, count in counts.items()}, "samples": samples,
            "largest": self._largest, "not_near": self._not_near,
        }  # fmt: skip

    def _batches(self) -> Iterator[list[Pair]]:
        columns = [*self._differs]
        for start in range(0, max(len(columns), 1), _AT_ONCE):
            yield columns[start : start + _AT_ONCE]

    def _counted(
        self, columns: Sequence[Pair], counts: dict[Pair, int]
    ) -> tuple[int, int, int, list[list[int]]]:
        """All by one join: rows added, removed and changed, and places of the first ones: changed (before, after), added,
        removed."""
        number = self._telling.most and self._telling.most + max(self._telling.passed)
        flags = "".join(f", {self._differs[one]} AS f{one.at}" for one in columns)
        far = [one for one in columns if one in self._apart]
        flags += "".join(f", {self._apart[one]} AS g{one.at}" for one in far)
        joined = (
            f"SELECT a.rowid AS x, b.rowid AS y, a.rowid IS NOT NULL AND b.rowid IS NOT NULL AS m{flags} "
            f"FROM before a FULL OUTER JOIN after b ON {self._on}"
        )
        told = ["count(*) FILTER (x IS NULL)", "count(*) FILTER (y IS NULL)", "count_if(d)"]
        told += [f"count_if(m AND f{one.at})" for one in columns]
        told += [f"max(g{one.at}) FILTER (isfinite(g{one.at}))" for one in far]
        if number:
            told += [
                f"min(x, {number}) FILTER (d)", f"min_by(y, x, {number}) FILTER (d)",
                f"min(y, {number}) FILTER (x IS NULL)", f"min(x, {number}) FILTER (y IS NULL)",
            ]  # fmt: skip
        any_of = _any([f"f{one.at}" for one in columns])
        [added, removed, changed, *more] = self._row(
            f"SELECT {', '.join(told)} FROM (SELECT *, m AND {any_of} AS d FROM ({joined}))"
        )
        counts.update(zip(columns, more, strict=False))
        distances = more[len(columns) : len(columns) + len(far)]
        self._largest = {one.name: most for one, most in zip(far, distances, strict=True) if most}
        places: list[list[int]] = [one or [] for one in more[len(columns) + len(far) :]] or [[], [], [], []]
        return added, removed, changed, self._of_page(places)

    def _of_page(self, places: Sequence[list[int]]) -> list[list[int]]:
        """Without those that were passed over: of rows that changed, before and after, that were added and removed."""
        changed, added, removed = self._telling.passed
        most = self._telling.most
        return [
            one[start : start + most]
            for one, start in zip(places, (changed, changed, added, removed), strict=False)
        ]

    def _in_batches(self, batches: Sequence[Sequence[Pair]], counts: dict[Pair, int]) -> tuple[int, Any, Any]:
        """Of many columns: rows that changed, and places of the first."""
        joined = f"before a JOIN after b ON {self._on}"
        with typed():
            self._engine.execute("CREATE TEMP TABLE changed (x BIGINT, y BIGINT)")
        for columns in batches:
            flags = [f"{self._differs[one]} AS f{one.at}" for one in columns]
            told = [f"count_if(f{one.at})" for one in columns]
            found = self._row(f"SELECT {', '.join(told)} FROM (SELECT {', '.join(flags)} FROM {joined})")
            counts.update(zip(columns, found, strict=True))
            if any_of := [self._differs[one] for one in columns if counts[one]]:
                with typed():
                    self._engine.execute(
                        f"INSERT INTO changed SELECT a.rowid, b.rowid FROM {joined} WHERE {_any(any_of)}"
                    )
        number = max(self._telling.most, 1) + self._telling.passed[0]
        return self._row(
            f"SELECT count(*), min(x, {number}), min_by(y, x, {number}) FROM (SELECT DISTINCT x, y FROM changed)"
        )

    def _changed(self, columns: Sequence[Pair], x: list[int] | None, y: list[int] | None) -> list[Any]:
        """Of each row its key, its cells that differ (column, before, after), the first ones of many, and how many these are."""
        if not x:
            return []
        shown, count = columns[: max(_LOOKED_AT, self._telling.cells)], len(self._key)
        differs: Mapping[Pair, str] = self._differs
        flags = ", ".join(f"CAST({differs[one]} AS INTEGER)" for one in columns)
        told = [*(f"a.c{one.at}" for one in self._key), f"list_sum([{flags}])"]
        for one in shown:
            told += [differs[one], f"a.c{one.at}", f"b.c{one.at}"]
        selected = ", ".join(f"{one} AS s{at}" for at, one in enumerate(told))
        places = f"(SELECT unnest({x}) AS x, unnest({y}) AS y) p"
        rows = self._telling.rows(
            f"SELECT {selected} FROM {places} JOIN before a ON a.rowid = p.x JOIN after b ON b.rowid = p.y ORDER BY p.x"
        )
        found: list[Any] = []
        for row in rows:
            cells = row[count + 1 :]
            sides = zip(shown, cells[::3], cells[1::3], cells[2::3], strict=True)
            own = [[one.name, before, after] for one, is_other, before, after in sides if is_other]
            found.append([row[:count], own[: self._telling.cells], int(row[count])])
        return found

    def _row(self, query: str) -> Any:
        with typed():
            [found] = self._engine.execute(query).fetchall()
        return found


def _any(conditions: Sequence[str]) -> str:
    """Whether one of them holds."""
    if not conditions:
        return "false"
    parts = [
        f"({' OR '.join(conditions[at : at + _TOGETHER])})" for at in range(0, len(conditions), _TOGETHER)
    ]
    return parts[0] if len(parts) == 1 else _any(parts)
