"""Columns that two tables have in common, and what makes their values equal.

NULL equals NULL, NaN equals NaN, and 0.0 equals -0.0. Types that differ are compared by value where both are numbers or moments;
a text equals a number or a moment where it spells it and nothing is lost on the way ('7.50' is 7.5, '007' is not 7); all else by
its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from quilt_mcp.sql.inside.quoting import identifier

_WHOLE: Final[Mapping[str, int]] = {
    "TINYINT": 3, "UTINYINT": 3, "SMALLINT": 5, "USMALLINT": 5, "INTEGER": 10, "UINTEGER": 10, "BIGINT": 19, "UBIGINT": 20,
    "HUGEINT": 39, "UHUGEINT": 39, "BIGNUM": 39,
}  # fmt: skip
"""Digits at most."""
_IN_DOUBLES: Final = 10
"""Digits of whole numbers that all have a DOUBLE of their own."""
_MOST_DIGITS: Final = 38
_MOST_OF_DOUBLE: Final = 17
_FLOATS: Final = ("FLOAT", "DOUBLE")
_MICROSECONDS: Final = (
    "DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE",
)  # fmt: skip
_NANOSECONDS: Final = "TIMESTAMP_NS"
"""They have fewer years."""
_TEXTS: Final = ("VARCHAR", "JSON")
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_BITS: Final = 4 * 2.0**-53, 4 * 2.0**-24
"""Of a DOUBLE, and of a FLOAT: a part of the number."""
_PLAIN: Final = r"'-?(0|[1-9][0-9]*)(\.[0-9]+)?'"
_FLOAT: Final = r"'-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|[nN]a[nN]|-?[iI]nf(inity)?'"


class Tolerance(NamedTuple):
    """``is_relative``: a part of the larger of the two numbers, else their difference."""

    amount: float
    is_relative: bool


class Pair(NamedTuple):
    """A column of both, number ``at`` of the working tables: ``c<at>`` holds its values, ``v<at>`` what is compared where types
    differ. ``is_text``: both are read as the texts that stand in the files, as one of them is no more than that. ``blank``: the
    side on which a text may be empty, where the other is a CSV, which has NULL for that: they are the same."""

    at: int
    name: str
    before: str
    after: str
    is_text: bool = False
    blank: str = ""

    @property
    def is_retyped(self) -> bool:
        return self.before != self.after

    @property
    def value(self) -> str:
        return f"{'v' if self.is_retyped or self.blank else 'c'}{self.at}"

    @property
    def is_numeric(self) -> bool:
        """On both sides, or text on one."""
        kinds = [_family(self.before), _family(self.after)]
        return all(one in ("whole", "decimal", "float", "text") for one in kinds) and kinds != [
            "text",
            "text",
        ]

    @property
    def are_texts(self) -> bool:
        return self.is_text or _family(self.before) == _family(self.after) == "text"

    @property
    def are_numbers(self) -> bool:
        return not self.is_text and all(
            _family(one) in ("whole", "decimal", "float") for one in (self.before, self.after)
        )

    @property
    def may_be_rounded(self) -> bool:
        return "DOUBLE" in (self.before, self.after) and not self.is_text

    @property
    def is_whole(self) -> bool:
        return _family(self.before) == _family(self.after) == "whole"

    @property
    def may_be_key(self) -> bool:
        """Measured numbers and nested values tell no row from another."""
        return all(
            _family(one) in ("whole", "text", "moment") or one in ("UUID", "BOOLEAN", _NANOSECONDS)
            for one in (self.before, self.after)
        )

    def selected(self, *, is_before: bool) -> str:
        own, other = (self.before, self.after) if is_before else (self.after, self.before)
        column = identifier(self.name)
        found = f"{column} AS c{self.at}"
        if self.blank:
            column = f"nullif({column}, '')" if is_before == (self.blank == "before") else column
            if not self.is_retyped:
                return f"{found}, {column} AS v{self.at}"
        if self.is_text:
            spelled = self.before if _family(self.before) != "text" else self.after
            return f"{found}, {_of_text(column, spelled)} AS v{self.at}"
        return f"{found}, {_compared(column, own, other)} AS v{self.at}" if self.is_retyped else found

    def differs(self, tolerance: Tolerance | None) -> str:
        """Of ``a`` and ``b``, rows that were matched."""
        found = f"a.{self.value} IS DISTINCT FROM b.{self.value}"
        if tolerance is None or not self.is_numeric:
            return found
        return f"({found} AND NOT coalesce({self._near(tolerance)}, false))"

    def _near(self, tolerance: Tolerance) -> str:
        kind = _difference(self.before, self.after)
        one, other = (
            _number(f"{side}.c{self.at}", "VARCHAR" if self.is_text else own, kind)
            for side, own in (("a", self.before), ("b", self.after))
        )
        if kind and not tolerance.is_relative:
            return f"(CAST(abs({one} - {other}) AS DOUBLE) <= {tolerance.amount!r})"
        return near(one, other, tolerance, is_short="FLOAT" in (self.before, self.after))


def near(one: str, other: str, tolerance: Tolerance, *, is_short: bool = False) -> str:
    """Of two numbers, whether they are finite and differ by no more; a few of the last bits of the larger are passed over, so
    that 0.8 - 0.7 is 0.1."""
    larger = f"greatest(abs(CAST({one} AS DOUBLE)), abs(CAST({other} AS DOUBLE)))"
    apart = f"CAST(abs({one} - {other}) AS DOUBLE)"
    bits = f"{_BITS[is_short]!r} * {larger}"
    most = f"{tolerance.amount!r} * {larger}" if tolerance.is_relative else repr(tolerance.amount)
    return f"(isfinite({larger}) AND {apart} <= {most} + {bits})"


def in_common(
    before: Sequence[tuple[str, str]],
    after: Sequence[tuple[str, str]],
    text_before: Mapping[str, str] | None,
    text_after: Mapping[str, str] | None,
) -> tuple[list[Pair], list[str], list[str]]:
    """Those of both by name, in the order of the first; names of those that went, and that came. ``text_before``, ``text_after``:
    of a CSV, the types of columns that are read as text because the other side's are."""
    blank = (
        ("before" if text_before is None else "after")
        if (text_before is None) != (text_after is None)
        else ""
    )
    text_before, text_after = text_before or {}, text_after or {}
    kinds = {name: text_after.get(name, kind) for name, kind in after}
    cased = in_other_case([name for name, _ in before], [*kinds])
    kinds |= {name: kinds[other] for name, other in cased.items()}
    text_after = {
        **text_after,
        **{name: text_after[other] for name, other in cased.items() if other in text_after},
    }
    both = [(name, text_before.get(name, kind)) for name, kind in before if name in kinds]
    own = {*(name for name, _ in before), *cased.values()}
    pairs = [
        Pair(
            at,
            name,
            kind,
            kinds[name],
            name in text_before or name in text_after,
            blank if _family(kind if blank == "before" else kinds[name]) == "text" else "",
        )
        for at, (name, kind) in enumerate(both)
    ]
    dropped = [name for name, _ in before if name not in kinds]
    return pairs, dropped, [name for name, _ in after if name not in own]


def in_other_case(before: Sequence[str], after: Sequence[str]) -> dict[str, str]:
    """Columns of the two that differ in the case of letters alone, in which the engine tells no names apart."""
    others = {_lower(name): name for name in after}
    found = {name: others[_lower(name)] for name in before if _lower(name) in others}
    return {name: other for name, other in found.items() if name != other}


def _lower(name: str) -> bytes:
    """As the engine has it: of ASCII alone."""
    return name.encode("utf-8", "surrogatepass").lower()


def _family(kind: str) -> str:
    if kind in _WHOLE:
        return "whole"
    if kind in _FLOATS:
        return "float"
    if kind in _MICROSECONDS:
        return "moment"
    if kind in _TEXTS or kind.startswith("ENUM("):
        return "text"
    return "decimal" if _DECIMAL.fullmatch(kind) else "other"


def _compared(column: str, own: str, other: str) -> str:
    """What is equal to what the other side's column makes of its values where the two are equal."""
    families = {_family(own), _family(other)}
    as_text = f"CAST({column} AS VARCHAR)"
    if families <= {"whole", "decimal"}:
        exact = _exact(own, other)
        return f"CAST({column} AS {exact})" if exact else _stripped(as_text)
    if families in ({"float"}, {"float", "decimal"}):
        return f"CAST({column} AS DOUBLE)"
    if families == {"float", "whole"}:
        if all(_WHOLE.get(one, 0) <= _IN_DOUBLES for one in (own, other)):
            return f"CAST({column} AS DOUBLE)"
        whole = f"CAST(TRY_CAST({column} AS HUGEINT) AS VARCHAR)"
        is_whole = f"isfinite({column}) AND trunc({column}) = {column} AND abs({column}) < 1e38"
        return f"CASE WHEN {is_whole} THEN {whole} ELSE {as_text} END" if own in _FLOATS else as_text
    if families == {"moment"}:
        return f"CAST({column} AS TIMESTAMP)"
    if _family(own) == "text":
        return _of_text(as_text, other)
    if _family(own) == "moment" and other == _NANOSECONDS:
        return f"CAST(CAST({column} AS TIMESTAMP) AS VARCHAR)"
    return _stripped(as_text) if "text" in families and _family(own) == "decimal" else as_text


def _of_text(column: str, other: str) -> str:
    """A text that spells a value of ``other``, as that value is spelled; any other as it is."""
    match _family(other):
        case "whole" | "decimal":
            return (
                f"CASE WHEN regexp_full_match({column}, {_PLAIN}) THEN {_stripped(column)} ELSE {column} END"
            )
        case "float":
            made = f"CAST(TRY_CAST({column} AS {other}) AS VARCHAR)"
            return f"CASE WHEN {_is_float(column)} THEN coalesce({made}, {column}) ELSE {column} END"
        case _ if other.startswith("TIMESTAMP"):
            return f"coalesce(CAST(TRY_CAST({column} AS {other}) AS VARCHAR), {column})"
        case _:
            return f"lower({column})" if other in ("BOOLEAN", "UUID") else column


def _is_float(column: str) -> str:
    digits = f"ltrim(regexp_replace(split_part(lower({column}), 'e', 1), '[^0-9]', '', 'g'), '0')"
    return f"regexp_full_match({column}, {_FLOAT}) AND length({digits}) <= {_MOST_OF_DOUBLE}"


def _stripped(text: str) -> str:
    """A plain number without zeros at its end."""
    short = rf"regexp_replace(regexp_replace({text}, '(\.[0-9]*?)0+$', '\1'), '\.$', '')"
    return f"regexp_replace({short}, '^-0$', '0')"


def _digits(kind: str) -> tuple[int, int]:
    """Before the point, and behind it."""
    found = _DECIMAL.fullmatch(kind)
    return (int(found[1]) - int(found[2]), int(found[2])) if found else (_WHOLE[kind], 0)


def _exact(own: str, other: str) -> str | None:
    """A type that has all values of both."""
    (one, one_behind), (two, two_behind) = _digits(own), _digits(other)
    front, behind = max(one, two), max(one_behind, two_behind)
    if not behind and front < 39:
        return "HUGEINT"
    return f"DECIMAL({front + behind},{behind})" if front + behind <= _MOST_DIGITS else None


def _difference(own: str, other: str) -> str | None:
    """The type in which the two are subtracted; None: DOUBLE."""
    if {_family(own), _family(other)} <= {"whole", "decimal"}:
        exact = _exact(own, other)
        return exact if exact is None or not exact.startswith(f"DECIMAL({_MOST_DIGITS},") else None
    return None


def _number(column: str, own: str, kind: str | None) -> str:
    if _family(own) == "text":
        text = f"CAST({column} AS VARCHAR)"
        return f"CASE WHEN {_is_float(text)} THEN TRY_CAST({text} AS DOUBLE) END"
    return f"CAST({column} AS {kind or 'DOUBLE'})"
