"""Spelling: a query's text as a row of tokens, as far as telling apart code, texts, names and comments needs it.

The engine takes what Unicode calls a space for one, and counts places of its tree in the text that it makes of that. A text
without such spaces has the places that the tree names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<kept> --[^\n\r]* | /\*.*?(?:\*/|\Z) | \b[eE]'(?:[^'\\]|\\.|'')*'? | '(?:[^']|'')*'? | "(?:[^"]|"")*"?
      | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<spaces> [\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]+ )
    | (?P<open> \( ) | (?P<close> \) ) | (?P<word> \w+ ) | (?P<white> [\ \t\n\r\f\v]+ ) | (?P<sign> . )
    """,
    re.X | re.S,
)


def plain_spaces(sql: str) -> str:
    """Letter for letter the same, with ASCII's space for each other one outside of texts, names in quotes and comments."""

    def plain(found: re.Match[str]) -> str:
        return " " * len(found[0]) if found["spaces"] else found[0]

    return _TOKEN.sub(plain, sql)


def end_of_call(sql: str, name: str, start: int) -> tuple[int, int] | None:
    """Where the call of ``name`` that begins at ``start``, or behind a LATERAL there, begins and ends."""
    begun: int | None = None
    depth = 0
    for found in _TOKEN.finditer(sql, start):
        kind, said = found.lastgroup, found[0]
        if kind == "white" or said.startswith(("--", "/*")):
            continue
        if begun is None:
            if kind == "word" and said.casefold() == "lateral":
                continue
            if said.strip('"').casefold() != name:
                return None
            begun = found.start()
        elif kind == "open":
            depth += 1
        elif not depth:
            return None
        elif kind == "close":
            depth -= 1
            if not depth:
                return begun, found.end()
    return None


def words(sql: str) -> Iterator[str]:
    """Words of its code, in their order: none of what stands in quotes or comments."""
    for found in _TOKEN.finditer(sql):
        if found.lastgroup == "word":
            yield found[0]
