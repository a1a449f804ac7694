"""Pairs of tables with known differences, in any two formats, and what pandas says of them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas

FORMATS = ("csv", "tsv", "parquet", "jsonl")
WORDS = ("Größe", "leaf", "a, b", 'say "x"', "x-1", "日本", "tab\there", "two\nlines")


@dataclass(frozen=True)
class Judged:
    added: int
    removed: int
    changed: int
    cells: dict[str, int]


@dataclass(frozen=True)
class MadePair:
    """``keys``: to be given; () where they are to be found, ``id`` then, or where there are none (``has_key`` False)."""

    before: pandas.DataFrame
    after: pandas.DataFrame
    formats: tuple[str, str]
    keys: tuple[str, ...]
    has_key: bool
    tolerance: str | None

    def write(self, folder: Path, number: int) -> tuple[str, str]:
        names: list[str] = []
        for side, frame, form in zip("ab", (self.before, self.after), self.formats, strict=True):
            names.append(f"{number}{side}.{form}")
            _write(frame, folder / names[-1], form)
        return names[0], names[1]

    def judged(self) -> Judged:
        common = [one for one in self.before.columns if one in self.after.columns]
        if not self.has_key:
            counts = [frame[common].value_counts(dropna=False) for frame in (self.before, self.after)]
            rest = counts[1].subtract(counts[0], fill_value=0)
            return Judged(int(rest[rest > 0].sum()), int(-rest[rest < 0].sum()), 0, {})
        keys = list(self.keys or ("id",))
        both = self.before[common].merge(
            self.after[common], on=keys, how="outer", indicator=True, suffixes=(" 1", " 2")
        )
        matched = both[both["_merge"] == "both"]
        any_other, cells = pandas.Series(False, index=matched.index), dict[str, int]()
        for name in common:
            if name in keys:
                continue
            pairs = zip(matched[f"{name} 1"], matched[f"{name} 2"], strict=True)
            other = pandas.Series([not self._same(a, b) for a, b in pairs], index=matched.index, dtype=bool)
            any_other |= other
            if other.sum():
                cells[name] = int(other.sum())
        sides = both["_merge"].value_counts()
        return Judged(int(sides["right_only"]), int(sides["left_only"]), int(any_other.sum()), cells)

    def _same(self, a: Any, b: Any) -> bool:
        if pandas.isna(a) or pandas.isna(b):
            return bool(pandas.isna(a) and pandas.isna(b))
        if a == b:
            return True
        is_number = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (a, b))
        if self.tolerance is None or not is_number:
            return False
        if self.tolerance.endswith("%"):
            return math.isclose(a, b, rel_tol=float(self.tolerance[:-1]) / 100, abs_tol=0)
        return math.isclose(a, b, rel_tol=0, abs_tol=float(self.tolerance))


def make_pair(seed: int) -> MadePair:
    chosen = random.Random(seed)
    kinds = [chosen.choice(("whole", "float", "text", "date", "flag")) for _ in range(chosen.randrange(1, 7))]
    names = {f"c{at}": kind for at, kind in enumerate(kinds)}
    count, has_key = chosen.choice((1, 2, 7, 40, 200)), chosen.random() < 0.8
    before = [{name: _value(kind, chosen) for name, kind in names.items()} for _ in range(count)]
    ids = chosen.sample(range(10 * count + 10), 2 * count + 5)
    of_text = chosen.random() < 0.4
    for at, row in enumerate(before):
        row["id"] = f"S{ids[at]}" if of_text else ids[at]
    after = [dict(row) for row in before if chosen.random() < 0.9] or [dict(before[0])]
    for row in after:
        for name, kind in names.items():
            if chosen.random() < 0.08:
                row[name] = _changed(kind, row[name], chosen)
    for at in range(chosen.randrange(0, 4)):
        fresh = ids[count + at]
        row = {name: _value(kind, chosen) for name, kind in names.items()}
        after.append({**row, "id": f"S{fresh}" if of_text else fresh})
    chosen.shuffle(after)
    order = ["id", *names] if chosen.random() < 0.7 else [*names, "id"]
    frames = [pandas.DataFrame(rows, columns=order, dtype=object) for rows in (before, after)]
    if not has_key:
        frames = [_doubled(frame.drop(columns="id"), chosen) for frame in frames]
    if chosen.random() < 0.3:
        frames[1]["new"] = 1
    if chosen.random() < 0.3 and len(names) > 1:
        frames[1] = frames[1].drop(columns=chosen.choice(list(names)))
    is_given = has_key and chosen.random() < 0.3
    tolerance = chosen.choice((None, None, "0.01", "0.5%", "2")) if has_key else None
    formats = (chosen.choice(FORMATS), chosen.choice(FORMATS))
    return MadePair(frames[0], frames[1], formats, ("id",) if is_given else (), has_key, tolerance)


def _doubled(frame: pandas.DataFrame, chosen: random.Random) -> pandas.DataFrame:
    """No column and no two of them tell all of its rows apart."""
    more = frame.iloc[[chosen.randrange(len(frame)) for _ in range(chosen.randrange(1, 4))]]
    return pandas.concat([frame, more], ignore_index=True)


def _value(kind: str, chosen: random.Random) -> Any:
    if chosen.random() < 0.1:
        return None
    match kind:
        case "whole":
            return chosen.choice((chosen.randrange(-5, 50), chosen.randrange(-(10**15), 10**15)))
        case "float":
            return chosen.choice((chosen.gauss(0, 10), 1e300 * chosen.random(), chosen.random() * 1e-9, 0.1))
        case "text":
            return chosen.choice(WORDS)
        case "date":
            return date(2020, 1, 1) + timedelta(days=chosen.randrange(2_000))
        case _:
            return chosen.random() < 0.5


def _changed(kind: str, value: Any, chosen: random.Random) -> Any:
    """Now and then by so little that it is within a tolerance."""
    if isinstance(value, float) and chosen.random() < 0.5:
        return value * chosen.choice((1.001, 1.02)) if chosen.random() < 0.5 else value + 0.004
    return _value(kind, chosen)


def _write(frame: pandas.DataFrame, path: Path, form: str) -> None:
    match form:
        case "csv":
            frame.to_csv(path, index=False)
        case "tsv":
            frame.to_csv(path, index=False, sep="\t")
        case "parquet":
            frame.to_parquet(path, index=False)
        case _:
            path.write_text("".join(json.dumps(one, default=str) + "\n" for one in _records(frame)))


def _records(frame: pandas.DataFrame) -> Sequence[dict[str, Any]]:
    return [
        {str(name): None if pandas.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
