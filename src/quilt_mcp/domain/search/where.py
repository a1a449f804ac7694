"""``where``: comparisons of a column with a value, joined with ``and``. It is parsed here, never becomes SQL text, and is held
against fields of metadata; of tables, the child compares.

    column = 'text'     column != 3      column < 2.5     column >= 2026-01-31
    column in (1, 2)    column is null   column is not null
    column contains 'part'  (letter case is ignored)      column like 'R0%'  (% any letters, _ one)

A column is written as it is, or in double quotes where it holds a space or a sign of this language.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, cast

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import InvalidWhere

Value = str | int | float | bool

MAX_TEXT = 4_000
MAX_CONDITIONS = 32
MAX_VALUES = 1_000
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "like", "is null", "is not null")
_SPELLED = {"==": "=", "<>": "!="}
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")+"|`[^`]+`)
    | (?P<sign><=|>=|<>|!=|==|=|<|>|\(|\)|,) | (?P<word>[^\s"'`()=!<>,]+) | (?P<odd>\S)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_INTEGER = re.compile(r"[+-]?\d+\Z")


@dataclass(frozen=True, slots=True)
class Condition:
    """``values``: none for the tests of null, any number for ``in``, one for the others."""

    column: str
    operator: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    body: str
    at: int


def parse_where(text: str) -> tuple[Condition, ...]:
    """Raises InvalidWhere, which says where and what may stand there."""
    if len(text) > MAX_TEXT:
        raise _wrong(f"it has {len(text)} characters, more than {MAX_TEXT}", text, MAX_TEXT)
    return _Parser(text).conditions()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[_Token] = []
        for match in _TOKEN.finditer(text):
            kind = str(match.lastgroup)
            self._tokens.append(_Token(kind, match[kind], match.start(kind)))
        self._next = 0

    def conditions(self) -> tuple[Condition, ...]:
        found = [self._condition()]
        while (token := self._peek()) is not None:
            if token.body.lower() != "and":
                raise self._wrong("comparisons are joined with and", token)
            self._next += 1
            found.append(self._condition())
            if len(found) > MAX_CONDITIONS:
                raise self._wrong(f"there are more than {MAX_CONDITIONS} comparisons", token)
        return tuple(found)

    def _condition(self) -> Condition:
        token = self._take("a column")
        if token.kind not in ("word", "quoted"):
            raise self._wrong("a column should stand", token)
        column = _unquoted(token)
        sign = self._take(f"one of {', '.join(OPERATORS)}")
        operator = _SPELLED.get(sign.body, sign.body.lower())
        if sign.kind == "sign" and operator in OPERATORS:
            return Condition(column, operator, (self._value(),))
        if sign.kind == "word" and operator in ("contains", "like"):
            return Condition(column, operator, (str(self._value()),))
        if sign.kind == "word" and operator == "in":
            return Condition(column, operator, self._values())
        if sign.kind == "word" and operator == "is":
            return Condition(column, self._null())
        raise self._wrong(f"one of {', '.join(OPERATORS)} should stand", sign)

    def _null(self) -> str:
        words: list[str] = []
        token = self._take("null")
        if token.body.lower() == "not":
            words.append("not")
            token = self._take("null")
        if token.body.lower() != "null":
            raise self._wrong("null should stand", token)
        return " ".join(["is", *words, "null"])

    def _values(self) -> tuple[Value, ...]:
        token = self._take("(")
        if token.body != "(":
            raise self._wrong("a list in parentheses should stand", token)
        values = [self._value()]
        while (token := self._take(")")).body == ",":
            values.append(self._value())
            if len(values) > MAX_VALUES:
                raise self._wrong(f"there are more than {MAX_VALUES} values", token)
        if token.body != ")":
            raise self._wrong("a comma or ) should stand", token)
        return tuple(values)

    def _value(self) -> Value:
        token = self._take("a value")
        if token.kind == "text":
            return token.body[1:-1].replace("''", "'")
        if token.kind == "quoted":
            raise self._wrong("a value in single quotes should stand (double quotes are for columns)", token)
        if token.kind != "word":
            raise self._wrong("a value should stand", token)
        if _INTEGER.match(token.body) and len(token.body) < 40:
            return int(token.body)
        if _NUMBER.match(token.body):
            return float(token.body)
        if token.body.lower() in ("true", "false"):
            return token.body.lower() == "true"
        return token.body

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, wanted: str) -> _Token:
        token = self._peek()
        if token is None:
            raise _wrong(f"it ends where {wanted} should stand", self._text, len(self._text))
        self._next += 1
        return token

    def _wrong(self, said: str, token: _Token) -> InvalidWhere:
        return _wrong(
            f"{said}, and at character {token.at + 1} stands {token.body[:40]!r}", self._text, token.at
        )


def _unquoted(token: _Token) -> str:
    if token.kind == "word":
        return token.body
    quote = token.body[0]
    return token.body[1:-1].replace(quote * 2, quote)


def _wrong(said: str, text: str, at: int) -> InvalidWhere:
    return InvalidWhere(
        f"where is not a list of simple comparisons: {said}.",
        next_step="Write column op value, joined with and, as: species = 'setosa' and \"petal length\" > 1.5. "
        f"The operators are {', '.join(OPERATORS)}; for or, make two calls.",
        details={"where": text[:200], "at": at},
    )


def as_json(conditions: Sequence[Condition]) -> list[list[object]]:
    return [[one.column, one.operator, list(one.values)] for one in conditions]


class Filter:
    """Holds the fields of packages, JSON values of any type, against conditions.

    A number is compared with numbers, text with text (so ISO dates are in order), true and false with each other. ``contains``
    and ``like`` take a number as it is written. A list meets ``=``, ``in``, ``contains`` and ``like`` where one of its elements
    does, and ``!=`` where none is equal. What is absent is null. Null, and a value of another type, meet no comparison.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._tests = [_Test(one) for one in conditions]
        self._known: dict[str, None] = {}

    def takes(self, fields: Mapping[str, Any]) -> bool:
        """``fields``: what stands at each column that a condition names; left out where nothing does."""
        held = [
            test.holds(fields.get(test.condition.column)) for test in self._tests
        ]  # each counts what it meets
        return all(held)

    def meet(self, names: Iterable[str]) -> None:
        """Notes fields that there are: ``unknown`` offers them for one that no package has."""
        if len(self._known) < _NAMES_KEPT:
            self._known |= dict.fromkeys(names)

    def mistyped(self) -> list[str]:
        """Warnings of values that could not be compared since they are of another type."""
        return [said for test in self._tests if (said := test.mistyped())]

    def unknown(self) -> list[str]:
        """Warnings of fields that nothing had."""
        return [said for test in self._tests if (said := test.unknown(self._known))]


class _Test:
    """One condition, and a count of what it met."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self._is_null_test = condition.operator in ("is null", "is not null")
        takes_any = condition.operator in ("contains", "like")
        self._kinds = _SCALARS if takes_any else {_kind(one) for one in condition.values}
        self._compare = _comparison(condition)
        self._absent = self._compared = 0
        self._others = Counter[str]()

    def holds(self, value: Any) -> bool:
        if self._is_null_test:
            return (value is None) == (self.condition.operator == "is null")
        if value is None:
            self._absent += 1
            return False
        values = [value]
        if isinstance(value, list) and self.condition.operator in _OF_ELEMENTS:
            values = [one for one in cast("list[Any]", value) if one is not None]
        comparable = [one for one in values if _kind(one) in self._kinds]
        if values and not comparable:
            self._others[_kind(values[0])] += 1
            return False
        self._compared += 1
        choose = all if self.condition.operator == "!=" else any
        return choose([self._compare(one) for one in comparable])

    def mistyped(self) -> str | None:
        if not self._others:
            return None
        [(kind, _)] = self._others.most_common(1)
        value, count = self.condition.values[0], self._others.total()
        fix = ""
        if kind == "text":
            fix = f" Write '{_written(value)}', in quotes, to compare text."
        elif kind == "a number" and _NUMBER.match(str(value)):
            fix = f" Write {value}, without quotes, to compare numbers."
        return (
            f"other_type: {self._column} is {kind} in {count:,} of {counted(count + self._compared, 'package')} looked at that "
            f"have it, and is compared with {_kind(value)}: those cannot match.{fix}"
        )

    def unknown(self, known: Iterable[str]) -> str | None:
        if self._others or self._compared or not self._absent:
            return None
        close = suggest(self.condition.column.strip("/"), known)
        hint = f" Close to it: {', '.join(one[:80] for one in close)}." if close else ""
        return f"no_field: none of {counted(self._absent, 'package')} looked at has {self._column}.{hint} A nested field is /a/b."

    @property
    def _column(self) -> str:
        return repr(self.condition.column[:80])


_NAMES_KEPT: Final = 1_000
_SCALARS: Final = {"text", "a number", "true or false"}
_OF_ELEMENTS: Final = ("=", "!=", "in", "contains", "like")
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


def _comparison(condition: Condition) -> Callable[[Any], bool]:
    """Asked with values of a kind that can be compared."""
    values = condition.values
    if condition.operator == "contains":
        part = str(values[0]).casefold()
        return lambda value: part in _written(value).casefold()
    if condition.operator == "like":
        pattern = _like(str(values[0]))
        return lambda value: pattern.fullmatch(_written(value)) is not None
    if condition.operator == "in":
        return lambda value: any(_kind(one) == _kind(value) and one == value for one in values)
    compare = _ORDERS.get(condition.operator, eq)
    return lambda value: compare(value, values[0])


def _like(pattern: str) -> re.Pattern[str]:
    """Each part after a ``%`` is matched as far left as it goes and for good: no later place could match more."""
    first, *rest = [
        "".join("." if one == "_" else re.escape(one) for one in part) for part in pattern.split("%")
    ]
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""), re.DOTALL)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def _written(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
