"""``where``: comparisons of a column with a value, joined with ``and``. It is parsed here, never becomes SQL text, and is held
against fields of metadata; of tables, the child compares.

    column = 'text'     column != 3      column < 2.5     column >= 2026-01-31
    column in (1, 2)    column is null   column is not null
    column contains 'part'  (letter case is ignored)      column like 'R0%'  (% any letters, _ one)

A column is written as it is, or in double quotes where it holds a space or a sign of this language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from quilt_mcp.errors import InvalidWhere

Value = str | int | float | bool
_Written = tuple[Value, str]

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
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_INTEGER = re.compile(r"[+-]?\d+\Z")


@dataclass(frozen=True, slots=True)
class Condition:
    """``values``: none for the tests of null, any number for ``in``, one for the others; ``written``: the same as they were
    written, without quotes, since 0012 is more than the number 12."""

    column: str
    operator: str
    values: tuple[Value, ...] = ()
    written: tuple[str, ...] = field(default=(), compare=False)


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
            return _condition(column, operator, self._value())
        if sign.kind == "word" and operator in ("contains", "like"):
            _, written = self._value()
            return _condition(column, operator, (written, written))
        if sign.kind == "word" and operator == "in":
            return _condition(column, operator, *self._values())
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

    def _values(self) -> list[_Written]:
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
        return values

    def _value(self) -> _Written:
        """What is meant, and as it is written."""
        token = self._take("a value")
        if token.kind == "text":
            text = token.body[1:-1].replace("''", "'")
            return text, text
        if token.kind == "quoted":
            raise self._wrong("a value in single quotes should stand (double quotes are for columns)", token)
        if token.kind != "word":
            raise self._wrong("a value should stand", token)
        word = token.body
        if word.lower() == "null":
            raise self._wrong("null is tested by is null or is not null ('null' in quotes is a text)", token)
        if _INTEGER.match(word) and len(word) < 40:
            return int(word), word
        if NUMBER.match(word):
            return float(word), word
        if word.lower() in ("true", "false"):
            return word.lower() == "true", word
        return word, word

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


def _condition(column: str, operator: str, *values: _Written) -> Condition:
    return Condition(column, operator, tuple(one for one, _ in values), tuple(text for _, text in values))


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
