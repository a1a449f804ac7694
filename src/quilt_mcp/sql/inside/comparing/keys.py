"""Keys: which columns tell each row from the others, on both sides.

Looked for are one column, then two, then three, with bounded effort: what is not unique in the first rows is none, what is
approximately too few is none, and the rest is counted. Names like sample_id come first, then texts, then numbers, each in the
order of the file; numbers of rows come last. The first that matches most rows is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from math import prod
from typing import Any, Final, cast

from quilt_mcp.sql.inside.comparing.columns import Pair
from quilt_mcp.sql.inside.engine import typed

_FIRST_ROWS: Final = 2_000
_MOST_COLUMNS: Final = 200
"""Among the first so many a key is looked for."""
_AT_ONCE: Final = 16
"""Of each the engine holds some megabytes, however few the rows are."""
_MOST_COUNTED: Final = 8
_MOST_TOGETHER: Final = ((2, 16), (3, 10))
"""Of how many columns so many are tried together."""
_SAMPLED: Final = 20_000
"""Rows by which it is judged how many of a side a key matches."""
_MOST_JUDGED: Final = 4
_MOST: Final = 0.9
_ENOUGH: Final = 0.5
_NEARLY: Final = 0.8
"""Approximate counts of many values are off by less."""
_LIKE_ID: Final = re.compile(r"(?:^|[\W_])(?i:id|key|uuid|guid|barcode|accession)$|[a-z0-9](?:Id|ID|Key)$")
_OF_ROWS: Final = re.compile(
    r"(?i)column0|unnamed: 0|index|level_0|__index_level_\d+__|row[\s_]?(?:number|no|nr|num)?"
)


_OF_NUMBERING: Final = 9
"""The rank of columns that number the rows."""


class Keys:
    """``sides``: the working tables that have rows."""

    def __init__(self, engine: Any, pairs: Sequence[Pair], sides: Sequence[str]) -> None:
        self._engine = engine
        self._sides = sides
        named = [one for one in pairs if one.may_be_key][:_MOST_COLUMNS]
        self._columns = sorted(named, key=_rank)

    def found(self) -> Iterator[list[Pair]]:
        """Those that are unique on each side and nowhere NULL, the best first."""
        single = self._unique_first(
            [[one] for one in self._columns if "BOOLEAN" not in (one.before, one.after)]
        )
        many = self._many([one for [one] in single]) if len(single) > 1 else [one for [one] in single]
        for one in many[:_MOST_COUNTED]:
            if self.is_unique([one]):
                yield [one]
        for count, most in _MOST_TOGETHER:
            is_any = False
            for key in self._of_several(count, most):
                is_any = True
                yield key
            if is_any:
                return

    def best(self) -> tuple[list[Pair] | None, str]:
        """The key of those found that matches most rows, and what it may be by mistake: a ``number`` that was measured, or
        a ``running`` number. What has a worse name, or more columns, is looked at only where less than half are matched; numbers
        of rows only where none are. Rows are judged by some of the smaller side."""
        best: tuple[float, list[Pair], int] | None = None
        for key in islice(self.found(), _MOST_JUDGED):
            is_running = self._is_running(key)
            rank = _OF_NUMBERING if is_running else max(map(_rank, key)) + len(key) - 1
            if best is not None and (
                (rank >= _OF_NUMBERING and best[0]) or (rank > best[2] and best[0] >= _ENOUGH)
            ):
                continue
            matched = self._matched(key)
            if best is None or matched > best[0]:
                best = (matched, key, rank)
            if best[0] >= _MOST:
                break
        if best is None:
            return None, ""
        first, *more = best[1]
        if more or not first.is_whole:
            return best[1], ""
        if self._is_running(best[1], whatever_the_name=True):
            return best[1], "running"
        return best[1], "" if _LIKE_ID.search(first.name) else "number"

    def _matched(self, key: Sequence[Pair]) -> float:
        """Which part of the rows of the smaller side has a row on the other."""
        if len(self._sides) < 2:
            return 0.0
        counts = {side: self._rows(f"SELECT count(*) FROM {side}")[0][0] for side in self._sides}
        less, more = sorted(self._sides, key=lambda side: counts[side])
        some = f"(SELECT * FROM {less} WHERE rowid % {max(counts[less] // _SAMPLED, 1)} = 0)"
        names = " AND ".join(f"a.{one.value} = b.{one.value}" for one in key)
        [[matched]] = self._rows(f"SELECT count(*) FROM {some} a SEMI JOIN {more} b ON {names}")
        [[rows]] = self._rows(f"SELECT count(*) FROM {some}")
        return matched / rows

    def _is_running(self, key: Sequence[Pair], *, whatever_the_name: bool = False) -> bool:
        """Whether it numbers the rows of each side without a gap, and its name is none of an id."""
        first, *more = key
        if more or not first.is_whole or (_LIKE_ID.search(first.name) and not whatever_the_name):
            return False
        column = f"c{first.at}"
        return all(
            self._rows(
                f"SELECT min({column}) IN (0, 1) AND max({column}) - min({column}) = count(*) - 1 FROM {side}"
            )[0][0]
            for side in self._sides
        )

    def is_unique(self, key: Sequence[Pair]) -> bool:
        """And never NULL."""
        return all(self._is_unique(side, key) for side in self._sides)

    def _is_unique(self, side: str, key: Sequence[Pair]) -> bool:
        names = ", ".join(one.value for one in key)
        whole = " AND ".join(f"count({one.value}) = count(*)" for one in key)
        if len(key) == 1:
            [[found]] = self._rows(f"SELECT {whole} AND count(DISTINCT {names}) = count(*) FROM {side}")
            return bool(found)
        [[found]] = self._rows(
            f"SELECT (SELECT {whole} FROM {side}) AND "
            f"(SELECT count(*) FROM (SELECT DISTINCT {names} FROM {side})) = (SELECT count(*) FROM {side})"
        )
        return bool(found)

    def _of_several(self, number: int, most: int) -> Iterator[list[Pair]]:
        columns = self._columns[:most]
        if len(columns) < number:
            return
        side = self._sides[0]
        counts = ", ".join(f"approx_count_distinct({one.value})" for one in columns)
        [[rows, *about]] = self._rows(f"SELECT count(*), {counts} FROM {side}")
        likely = [
            [columns[one] for one in some]
            for some in sorted(combinations(range(len(columns)), number), key=sum)
            if prod(about[one] for one in some) >= rows * _NEARLY ** (number + 1)
            and min(about[one] for one in some) > 1
        ]
        for key in self._unique_first(likely)[:_MOST_COUNTED]:
            if self.is_unique(key):
                yield key

    def _unique_first(self, keys: Sequence[list[Pair]]) -> list[list[Pair]]:
        """Those that are unique in the first rows of each side."""
        found: list[list[Pair]] = []
        for start in range(0, len(keys), _AT_ONCE):
            some: list[list[Pair]] = [*keys[start : start + _AT_ONCE]]
            for side in self._sides:
                if some:
                    told = ", ".join(f"{_distinct(one)} = count(*)" for one in some)
                    [fits] = self._rows(f"SELECT {told} FROM (SELECT * FROM {side} LIMIT {_FIRST_ROWS})")
                    some = [key for key, fit in zip(some, cast("list[bool]", fits), strict=True) if fit]
            found += some
        return found

    def _many(self, columns: Sequence[Pair]) -> list[Pair]:
        """Those that have about as many values as there are rows."""
        counts = ", ".join(f"approx_count_distinct({one.value})" for one in columns)
        [[rows, *about]] = self._rows(f"SELECT count(*), {counts} FROM {self._sides[0]}")
        if rows <= _FIRST_ROWS:
            return [*columns]
        return [one for one, count in zip(columns, about, strict=True) if count >= rows * _NEARLY]

    def _rows(self, sql: str) -> list[Any]:
        with typed():
            return self._engine.execute(sql).fetchall()


def repeated(engine: Any, side: str, key: Sequence[Pair]) -> dict[str, Any] | None:
    """Keys that several rows have, the rows, and the first of them as texts. None where there are none."""
    names = ", ".join(one.value for one in key)
    shown = ", ".join(f"CAST(any_value(c{one.at}) AS VARCHAR)" for one in key)
    groups = f"SELECT [{shown}] AS shown, count(*) AS n, min(rowid) AS first FROM {side} GROUP BY {names} HAVING n > 1"
    with typed():
        [[count, rows, example, of]] = engine.execute(
            f"SELECT count(*), sum(n), arg_min(shown, first), (SELECT count(*) FROM {side}) FROM ({groups})"
        ).fetchall()
    return (
        {"keys": count, "rows": int(rows), "of": of, "example": [one and one[:100] for one in example]}
        if count
        else None
    )


def _distinct(key: Sequence[Pair]) -> str:
    """None of its columns may be NULL."""
    if len(key) == 1:
        return f"count(DISTINCT {key[0].value})"
    row = ", ".join(one.value for one in key)
    whole = " AND ".join(f"{one.value} IS NOT NULL" for one in key)
    return f"count(DISTINCT row({row})) FILTER ({whole})"


def _rank(one: Pair) -> int:
    if _OF_ROWS.fullmatch(one.name):
        return _OF_NUMBERING
    if _LIKE_ID.search(one.name):
        return 0
    return 2 if one.is_whole else 1
