"""Query strings by the grammar of Lucene's classic parser: what it refuses is refused here, with the place.

A ``/`` that is not escaped begins a regular expression, wherever it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = " \t\n\r　"
_NO_START = _SPACE + '+-!():^[]"{}~*?\\/'
_ENDS_WORD = _SPACE + '!():^[]"{}~/'
_WORDS = ("AND", "OR", "NOT", "&&", "||")
_WILD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_NUMBER = re.compile(r"\d+(\.\d+)?")


class QuerySyntaxError(Exception):
    """``position`` is ``None`` where a value is wrong, and not its place."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message if position is None else f"{message} at column {position}")
        self.position = position


@dataclass(frozen=True)
class Term:
    """``pattern`` is a regular expression for a term with wildcards, else ``None``."""

    field: str | None
    text: str
    pattern: str | None = None
    is_phrase: bool = False
    is_regex: bool = False


@dataclass(frozen=True)
class Range:
    field: str | None
    low: str | None
    high: str | None
    with_low: bool
    with_high: bool


@dataclass(frozen=True)
class Clause:
    occur: str
    """``must``, ``should`` or ``not``"""
    query: Query


@dataclass(frozen=True)
class Boolean:
    clauses: tuple[Clause, ...]


Query = Term | Range | Boolean


def parse(text: str) -> Query:
    """An empty text is a query without clauses, which everything fits. Raises ``QuerySyntaxError``."""
    parser = _Parser(text)
    parser.space()
    if parser.at_end():
        return Boolean(())
    query = parser.clauses(None)
    if not parser.at_end():
        raise parser.unexpected()
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def at_end(self) -> bool:
        return self.place >= len(self.text)

    def peek(self) -> str:
        return "" if self.at_end() else self.text[self.place]

    def space(self) -> None:
        while not self.at_end() and self.text[self.place] in _SPACE:
            self.place += 1

    def unexpected(self) -> QuerySyntaxError:
        what = "the end" if self.at_end() else repr(self.peek())
        return QuerySyntaxError(f"Cannot parse '{self.text}': unexpected {what}", self.place)

    def word(self, *words: str) -> str | None:
        """An operator, which ends where a term would."""
        for word in words:
            end = self.place + len(word)
            if self.text.startswith(word, self.place):
                follows = self.text[end : end + 1]
                if word in ("+", "-", "!"):
                    if follows and follows in _SPACE:
                        continue  # stands alone: a term
                elif follows and follows not in _ENDS_WORD:
                    continue
                self.place = end
                self.space()
                return word
        return None

    def clauses(self, field: str | None) -> Query:
        found: list[Clause] = []
        while True:
            conjunction = self.word("AND", "&&", "OR", "||")
            if conjunction and not found:
                self.place -= 1
                raise self.unexpected()
            modifier = self.word("+", "-", "!", "NOT")
            query = self.clause(field)
            if conjunction in ("AND", "&&") and found[-1].occur == "should":
                found[-1] = Clause("must", found[-1].query)
            occur = "should"
            if modifier in ("-", "!", "NOT"):
                occur = "not"
            elif modifier == "+" or conjunction in ("AND", "&&"):
                occur = "must"
            found.append(Clause(occur, query))
            self.space()
            if self.at_end() or self.peek() == ")":
                break
        return found[0].query if len(found) == 1 and found[0].occur != "not" else Boolean(tuple(found))

    def clause(self, field: str | None) -> Query:
        start = self.place
        if every := re.compile(rf"\*[{_SPACE}]*:").match(self.text, self.place):
            self.place = every.end()
            self.space()
            field = "*"
        elif self.peek() and (self.peek() not in _NO_START or self.peek() == "\\"):
            name = self.raw_term()
            self.space()
            if self.peek() == ":" and not _WILD.search(name):
                self.place += 1
                self.space()
                field = unescaped(name)
            else:
                self.place = start
        marks = "^"
        if self.peek() == "(":
            self.place += 1
            self.space()
            query = self.clauses(field)
            if self.peek() != ")":
                raise self.unexpected()
            self.place += 1
        else:
            query = self.term(field)
            marks = "^~" if isinstance(query, Term) else "^"
        self.strength(marks)
        return query

    def strength(self, marks: str) -> None:
        """Boost and slop, each once. They change how well something fits, not what."""
        self.space()
        while (mark := self.peek()) and mark in marks:
            marks = marks.replace(mark, "")
            if mark == "^":
                self.number()
            else:
                self.slop()
            self.space()

    def number(self) -> None:
        self.place += 1
        found = _NUMBER.match(self.text, self.place)
        if not found:
            raise self.unexpected()
        self.place = found.end()

    def slop(self) -> None:
        """Whatever a term is made of; only a number means something."""
        self.place += 1
        while self.peek() and (self.peek() in "+-" or self.peek() not in _NO_START):
            self.place += 1

    def raw_term(self) -> str:
        start = self.place
        while not self.at_end():
            letter = self.peek()
            if letter == "\\":
                if self.place + 1 >= len(self.text):
                    raise self.unexpected()
                self.place += 2
            elif (
                letter in _NO_START
                and letter not in ("*", "?")
                and not (letter in "+-" and self.place > start)
            ):
                break
            else:
                self.place += 1
        return self.text[start : self.place]

    def term(self, field: str | None) -> Query:
        letter = self.peek()
        if letter == '"':
            query: Query = Term(field, unescaped(self.until('"')), is_phrase=True)
        elif letter == "/":
            start, query = self.place, Term(field, self.until("/"), is_regex=True)
            try:
                re.compile(query.text.lstrip("*+?"))  # Lucene takes one that repeats nothing as it is
            except re.error as error:
                raise QuerySyntaxError(f"Cannot parse '{self.text}': {error}", start) from None
        elif letter and letter in "[{":
            return self.range(field)
        else:
            start = self.place
            raw = self.raw_term()
            if not raw and letter and letter in "+-!" and self.text[start + 1 : start + 2] in tuple(_SPACE):
                raw = letter
                self.place += 1
            if not raw or raw in _WORDS:
                self.place = start
                raise self.unexpected()
            query = Term(field, unescaped(raw), pattern_of(raw) if _WILD.search(raw) else None)
        return query

    def until(self, mark: str) -> str:
        start = self.place
        self.place += 1
        while not self.at_end() and self.peek() != mark:
            self.place += 2 if self.peek() == "\\" else 1
        if self.at_end():
            self.place = start
            raise QuerySyntaxError(f"Cannot parse '{self.text}': {mark} is not closed", start)
        self.place += 1
        return self.text[start + 1 : self.place - 1]

    def range(self, field: str | None) -> Range:
        found = re.compile(
            r'[\[{]\s*("(?:[^"\\]|\\.)*"|[^\s\]}]+)\s+TO\s+("(?:[^"\\]|\\.)*"|[^\s\]}]+)\s*[\]}]'
        ).match(self.text, self.place)
        if not found:
            raise self.unexpected()
        low, high = (None if end == "*" else unescaped(end.strip('"')) for end in found.groups())
        self.place = found.end()
        return Range(field, low, high, found.group()[0] == "[", found.group()[-1] == "]")


def unescaped(raw: str) -> str:
    return re.sub(r"\\(.)", r"\1", raw, flags=re.DOTALL)


def pattern_of(raw: str) -> str:
    """Wildcards as a regular expression; an escaped one is a letter."""
    pattern = ""
    for escaped, letter in re.findall(r"\\(.)|(.)", raw, flags=re.DOTALL):
        pattern += {"*": ".*", "?": "."}.get(letter, re.escape(escaped or letter))
    return pattern
