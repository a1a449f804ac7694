"""Dates: one order of day, month and year for a column, over all rows of all files of a table.

The engine takes for each file the first order that fits the rows that it looks at: of a column of which all days are at most 12,
one of two in silence. So where a date has no year of four digits before it, the other orders are held against all rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.quoting import identifier, text

OPTIONS: Final = {"DATE": "dateformat", "TIMESTAMP": "timestampformat"}
_DAY_FIRST: Final = "dmY"
_SAID: Final = {"dmY": "day first", "mdY": "month first", "Ymd": "year first"}
_PARTS: Final = re.compile(r"%([dmyY])")


@dataclass(frozen=True, slots=True)
class Settled:
    """``forms``: by file, how its dates are written; a file that is not in it has them as the engine takes them. None: no order
    fits all rows, and they are text. ``note``: what is to be told; ``example``: a value that fits two orders, as the one and as
    the other has it."""

    forms: Mapping[int, str] | None
    note: str = ""
    example: tuple[str, str, str] | None = None


def order_of(form: str) -> str:
    return "".join(_PARTS.findall(form)).replace("y", "Y")


def ordered(form: str, order: str) -> str:
    """The same form with day, month and year in an ``order``."""
    year = "%y" if "%y" in form else "%Y"
    parts = iter(year if one == "Y" else f"%{one}" for one in order)
    return _PARTS.sub(lambda _: next(parts), form)


def is_open(form: str | None) -> bool:
    """Whether a date so written may be read otherwise: without a year of four digits before it."""
    if form is None or len(order_of(form)) != len(_DAY_FIRST):
        return False
    return "%y" in form or not form.startswith("%Y")


def settled(
    engine: Any,
    column: str,
    kind: str,
    forms: Mapping[int, str],
    read: Callable[[Sequence[int]], str],
    paths: Sequence[str],
) -> Settled:
    """``forms``: by file, those of open dates. ``read``: what to select the column as text from, of some files."""
    checked = _Column(engine, identifier(column), forms, read)
    sniffed = [*dict.fromkeys(order_of(one) for one in forms.values())]
    others = [one for one in checked.orders if one not in sniffed]
    if len(sniffed) == 1:
        fitting = [one for one in others if checked.fits(one)]
        if not fitting:
            return Settled({})
        fitting = [*(one for one in sniffed if checked.fits(one)), *fitting]
    else:
        fitting = [one for one in checked.orders if checked.fits(one)]
    if not fitting:
        named = " and ".join(
            f"{paths[next(at for at, form in forms.items() if order_of(form) == one)]} {_SAID[one]}"
            for one in sniffed[:2]
        )
        said = f"mixed_dates: column {column[:100]} is text, as no one form of dates fits all rows: {named}. Read each file by "
        return Settled(
            None, f"{said}itself, or make dates by strptime({column}, '%d/%m/%Y') with the form of each."
        )
    taken, *left = fitting
    made = {at: ordered(form, taken) for at, form in forms.items()}
    for other in left:
        if (example := checked.example(taken, other)) is not None:
            value, one, two = example
            form = next(iter(forms.values()))
            note = (
                f"ambiguous_dates: column {column[:100]} of {paths[next(iter(forms))]} fits {_SAID[taken]} and {_SAID[other]}. "
                f"{value[:40]!r} is read as {one}, not as {two}. To say which: files(.., {OPTIONS[kind]} := "
                f"'{ordered(form, other)}') or '{ordered(form, taken)}'."
            )
            return Settled(made, note, example)
    return Settled(made)


class _Column:
    def __init__(
        self, engine: Any, name: str, forms: Mapping[int, str], read: Callable[[Sequence[int]], str]
    ) -> None:
        self._engine, self._name, self._read = engine, name, read
        self._files: dict[str, list[int]] = {}
        for at, form in forms.items():
            self._files.setdefault(ordered(form, _DAY_FIRST), []).append(at)
        is_short = any("%y" in form for form in forms.values())
        self.orders = [*_SAID] if is_short else [*_SAID][:2]

    def fits(self, order: str) -> bool:
        """All rows of all files. Ends at the first that does not."""
        for form, files in self._files.items():
            made = f"try_strptime({self._name}, {text(ordered(form, order))})"
            if self._first("1", files, f"{self._name} IS NOT NULL AND {made} IS NULL"):
                return False
        return True

    def example(self, order: str, other: str) -> tuple[str, str, str] | None:
        """A value that two orders read as two days."""
        for form, files in self._files.items():
            one, two = (f"try_strptime({self._name}, {text(ordered(form, each))})" for each in (order, other))
            found = self._first(
                f"{self._name}, CAST(CAST({one} AS DATE) AS VARCHAR), CAST(CAST({two} AS DATE) AS VARCHAR)",
                files,
                f"{one} <> {two}",
            )
            if found:
                return found
        return None

    def _first(self, selected: str, files: Sequence[int], where: str) -> Any:
        with typed():
            return self._engine.execute(
                f"SELECT {selected} FROM {self._read(files)} WHERE {where} LIMIT 1"
            ).fetchone()
