"""Query strings by the grammar of Lucene's classic parser: what it refuses is refused here, with the place.

A ``/`` that is not escaped begins a regular expression, wherever it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = " \t\n\r　"
_NO_START = _SPACE + '+-!():^[]"{}~*?\\/'
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
                if (
                    not word.isalpha()
                    or not follows
                    or follows in _NO_START.replace("*", "").replace("?", "")
                ):
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
        if self.peek() == "*" and self.text.startswith("*:", self.place):
            self.place += 2
            field = "*"
        elif self.peek() and (self.peek() not in _NO_START or self.peek() == "\\"):
            name = self.raw_term()
            if self.peek() == ":" and "*" not in name and "?" not in name:
                self.place += 1
                self.space()
                field = unescaped(name)
            else:
                self.place = start
        if self.peek() == "(":
            self.place += 1
            self.space()
            query = self.clauses(field)
            if self.peek() != ")":
                raise self.unexpected()
            self.place += 1
        else:
            query = self.term(field)
        if self.peek() == "^":
            self.number()
        self.space()
        return query

    def number(self) -> None:
        self.place += 1
        found = _NUMBER.match(self.text, self.place)
        if found:
            self.place = found.end()

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
            query = Term(field, self.until("/"), is_regex=True)
        elif letter in ("[", "{") and letter:
            query = self.range(field)
        else:
            raw = self.raw_term()
            if not raw:
                raise self.unexpected()
            wild = re.search(r"(?<!\\)(?:\\\\)*[*?]", raw)
            query = Term(field, unescaped(raw), pattern_of(raw) if wild else None)
        if self.peek() == "~":
            self.number()
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
