"""Comparisons of a query: values, signs and ranges, as the bounds that they stand for."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, cast

from quilt_mcp.domain.search.query.field import Field, Spot, example_of, spelled
from quilt_mcp.domain.search.query.reader import PHRASE, WORD, Reader, unescaped
from quilt_mcp.domain.search.query.term import Between, Bound, Exists, Test, lowered
from quilt_mcp.domain.search.query.value import UNITS, number_of, span_of

COMPARING: Final = (">=", "<=", ">", "<")
_COMPARED: Final = re.compile(rf"({'|'.join(COMPARING)})\s*")
_NO_SIGN: Final = re.compile(r"!=|<>|=[<>=]?")
_RANGE: Final = re.compile(
    r"([\[{])\s*(\"[^\"]*\"|(?:\\.|[^\s\\])+?)\s+TO\s+(\"[^\"]*\"|(?:\\.|[^\s\]}\\])+)\s*([\]}])", re.DOTALL
)
_UNIT_APART: Final = re.compile(r"\s+([A-Za-z]{1,3})(?=[\s)]|$)")
_HOUR_APART: Final = re.compile(r"\s+\d{1,2}:\d{2}")
_LIKE_TIME: Final = re.compile(r"\d{4}-\d{2}(?:-|$)|now\b")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Comparisons:
    def __init__(self, reader: Reader, now: datetime) -> None:
        self._reader = reader
        self._now = now

    def equal(self, field: Field, text: str, at: int) -> Between:
        """A value of a field that holds numbers, sizes or times: all that it stands for, as a month does for its days."""
        return Between(*self._span(field, text, at))

    def compared(self, spot: Spot | None) -> Between | None:
        """``>1MB``, where it comes next."""
        reader = self._reader
        begin = reader.at
        if spot is not None and (no_sign := reader.look(_NO_SIGN)) is not None:
            is_unequal = no_sign[0] in ("!=", "<>")
            reader.wrong(
                begin,
                f"{no_sign[0]} is no sign of a comparison",
                f"Write {'NOT ' if is_unequal else ''}{spelled(spot)}:value for what is {'not ' if is_unequal else ''}equal; the "
                "signs are >, >=, < and <=. A text that begins so stands in quotation marks.",
            )
        found = reader.take(_COMPARED)
        if found is None:
            return None
        sign = found[1]
        if spot is None:
            reader.wrong(begin, f"{sign} compares nothing", f"Write the field before it, as size:{sign}1MB.")
        at = reader.at
        phrase = reader.take(PHRASE)
        word = phrase or reader.take(WORD)
        if word is None or word[0][0] in "<>=":
            reader.wrong(begin, f"nothing follows {sign}", f"Write a value, as {example_of(spot[0])}.")
        text = unescaped(word[1] if phrase else word[0])
        if phrase is None:
            self.check_whole(spot, text)
        low, high = self._ordered(spot, text, at)
        reader.end("the value")
        return {
            ">": Between(high, None, with_low=False),
            ">=": Between(low, None),
            "<": Between(None, low, with_high=False),
            "<=": Between(None, high),
        }[sign]

    def range(self, spot: Spot | None) -> Test | None:
        """``[1 TO 10]``, where it comes next."""
        reader = self._reader
        begin = reader.at
        if reader.peek() not in ("[", "{"):
            return None
        if spot is None:
            reader.wrong(
                begin,
                f"a {reader.peek()} begins a range, and a range needs a field",
                "Write the field before it, as size:[1MB TO 2MB]; a text that begins so stands in quotation marks.",
            )
        found = reader.take(_RANGE)
        example = {"time": "[2026-01-01 TO 2026-06-30]", "size": "[1MB TO 2GB]"}.get(
            spot[0].holds, "[1 TO 10]"
        )
        if found is None:
            reader.wrong(
                begin,
                "this is no range",
                f"Write one such as {spelled(spot)}:{example}, with TO in capital letters; * is no bound, and {{ }} leave the "
                "ends out. A text that begins so stands in quotation marks.",
            )
        first, last = _bound_text(found[2]), _bound_text(found[3])
        reader.end("the range")
        if first is None and last is None:
            return Exists()
        kinds = self._kinds(spot, first, last)
        if not kinds:
            reader.wrong(
                begin,
                "the ends of this range are of two types",
                "Write two numbers, two times or two texts.",
            )
        with_low, with_high = found[1] == "[", found[4] == "]"
        low: Bound | None = None
        high: Bound | None = None
        if first is not None:
            low = self._ordered(spot, first, found.start(2), kinds)[0 if with_low else 1]
        if last is not None:
            high = self._ordered(spot, last, found.start(3), kinds)[1 if with_high else 0]
        if low is not None and high is not None:
            self._check_order(spot, found, low, high, is_open=not (with_low and with_high))
        return Between(low, high, with_low, with_high)

    def check_whole(self, spot: Spot, text: str) -> None:
        """That a size's unit or a day's hour does not stand apart, to be read as a word."""
        reader = self._reader
        unit = reader.look(_UNIT_APART)
        is_bare = unit is not None and spot[0].holds == "size" and number_of(text) is not None
        if is_bare and unit is not None and unit[1].lower() in UNITS:
            reader.wrong(
                unit.start(1),
                f"the unit {unit[1]} stands apart from its number",
                f'Write {text}{unit[1]} without a space, or "{unit[1]}" in quotation marks for the word.',
            )
        if (hour := reader.look(_HOUR_APART)) is not None and _DAY.fullmatch(text):
            reader.wrong(
                hour.start() + 1,
                "the hour stands apart from its day",
                f"Write {text}T{hour[0].strip()} without a space.",
            )

    def _check_order(
        self, spot: Spot, found: re.Match[str], low: Bound, high: Bound, *, is_open: bool
    ) -> None:
        # Both are of one kind: _kinds has chosen it.
        is_reversed = bool(cast("Any", low) > high)
        if is_reversed and found[2] != found[3]:
            self._reader.wrong(
                found.start(),
                f"nothing lies between {found[2][:40]} and {found[3][:40]}: the first is the greater",
                f"Write the smaller one first: {spelled(spot)}:{found[1]}{found[3]} TO {found[2]}{found[4]}.",
            )
        if is_reversed or (low == high and is_open):
            self._reader.wrong(
                found.start(),
                f"nothing lies between {found[2][:40]} and {found[3][:40]} when the ends are left out",
                f"Write [ and ], which take the ends in: {spelled(spot)}:[{found[2]} TO {found[3]}].",
            )

    def _kinds(self, spot: Spot, *texts: str | None) -> frozenset[str]:
        """As which of number, time and text all of ``texts`` can be read."""
        if spot[0].holds != "json":
            return frozenset({spot[0].holds})
        kinds = {"number", "time", "text"}
        for text in texts:
            if text is not None:
                kinds &= self._kinds_of(text)
        return frozenset(kinds)

    def _kinds_of(self, text: str) -> set[str]:
        found = {"number"} if number_of(text) is not None else set[str]()
        if span_of(text, self._now) is not None:
            found.add("time")
        return found or {"text"}

    def _ordered(
        self, spot: Spot, text: str, at: int, kinds: frozenset[str] | None = None
    ) -> tuple[Bound, Bound]:
        """The first and the last value that ``text`` stands for. A field of metadata holds what it is compared with."""
        field, pointer = spot
        if field.holds in ("number", "size", "time"):
            return self._span(field, text, at)
        if field.holds == "json" and pointer:
            kinds = kinds or self._kinds(spot, text)
            number, span = number_of(text), span_of(text, self._now)
            if number is not None and "number" in kinds:
                return number, number
            if span is not None and "time" in kinds:
                return span
            if number_of(text, with_unit=True) is not None or _LIKE_TIME.match(text):
                self._reader.wrong(
                    at,
                    f"{text[:40]!r} would be compared as a text",
                    "Write a number without a unit, as 1000000, or a day that there is, as 2026-01-31; now-7d is a week ago.",
                )
            return lowered(text), lowered(text)
        of = (
            f"{field.name} is compared field by field, as {field.name}./age:>3"
            if field.holds == "json"
            else f"{field.name} is a text"
        )
        self._reader.wrong(
            at, f"{of}, and has no order", "Compare numbers, sizes, times, or a field of metadata."
        )

    def _span(self, field: Field, text: str, at: int) -> tuple[Bound, Bound]:
        if field.holds == "time":
            if (span := span_of(text, self._now)) is not None:
                return span
            self._reader.wrong(
                at,
                f"{field.name} is a time, and {text[:40]!r} is none",
                f"Write a day that there is, a month, a year or a moment, as {field.name}:2026-03, "
                f"{field.name}:>=2026-01-31T09:30Z, {field.name}:[2026-01-01 TO 2026-06-30], "
                f"{field.name}:>now-7d or {field.name}:now/d (today).",
            )
        number = number_of(text, with_unit=field.holds == "size")
        if number is not None:
            return number, number
        example = "1MB" if field.holds == "size" else "100"
        self._reader.wrong(
            at,
            f"{field.name} is a number, and {text[:40]!r} is none",
            f"Write one, as {field.name}:>{example} or {field.name}:[1 TO {example}].",
        )


def _bound_text(written: str) -> str | None:
    """None: no bound."""
    if written.startswith('"'):
        return written.strip('"')
    return None if written == "*" else unescaped(written)
