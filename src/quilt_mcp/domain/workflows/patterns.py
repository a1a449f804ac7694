"""Regular expressions that come as data (a workflow's patterns), searched for within bounded time.

Python's engine backtracks, holds the interpreter lock while it does, and cannot be stopped. So a search is run on it only
where its cost is bounded by the text's length; the others go to RE2 (the linear-time engine inside DuckDB), and those
that RE2 cannot express are refused. The result is that of ``re.search``, whichever engine gave it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_PATTERN: Final = 2_000
_AFFORDABLE: Final = 10**8
"""Steps of the backtracking engine: about a second."""
_EXPONENTIAL: Final = 18
"""The longest text that a pattern of nested repeats is tried on directly: 2**18 steps."""
_FEW: Final = 64
"""A counted repeat of one value up to this is but a longer pattern."""
_MAX_TEXT: Final = 2_000_000

_ATOM: Final = re.compile(
    r"\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P<\w+>|P=\w+\)|P?[:=!>]|<[=!]|[aiLmsux-]+[:)]|#[^)]*\)|\(\w+\)))?"
    r"|[*+?]|\{\d*,?\d*\}|.",
    re.DOTALL,
)
_NOT_IN_RE2: Final = re.compile(r"\(\?(?:[=!>#(]|<[=!]|P=|[aLux])|\\[1-9ZN]")
_UNICODE_CLASSES: Final = {r"\w": r"\p{L}\p{N}_", r"\d": r"\p{Nd}"}
_ASCII_ONLY: Final = re.compile(r"\\[WDSsbB]|\(\?[aimsx-]*i")


class UnsafePattern(Exception):
    """A pattern that cannot be searched for within bounded time; the message is a phrase that says why."""


def search(pattern: str, text: str) -> bool:
    """Whether ``re.search(pattern, text)`` finds anything. Raises UnsafePattern, and re.error for a malformed one."""
    if len(pattern) > MAX_PATTERN:
        raise UnsafePattern(f"it is longer than {MAX_PATTERN} characters")
    compiled = re.compile(pattern)
    if _affordable(pattern, len(text)):
        return compiled.search(text) is not None
    if len(text) > _MAX_TEXT:
        raise UnsafePattern(f"the text is longer than {_MAX_TEXT} characters")
    return _linear_search(pattern, text)


def _affordable(pattern: str, length: int) -> bool:
    repeats, choices, nested = _shape(pattern)
    if nested:
        return length <= _EXPONENTIAL and choices <= _EXPONENTIAL
    return 2**choices * (length + 1) ** (repeats + 1) <= _AFFORDABLE


@lru_cache(maxsize=512)
def _shape(pattern: str) -> tuple[int, int, bool]:
    """(repeats without a small bound, places with a choice, whether a group with either is itself repeated).

    Reads the pattern's text; what it cannot tell (a back-reference, a large counted repeat) counts as a repeat.
    """
    repeats = choices = 0
    groups: list[bool] = [False]
    """For each open group, whether it may match in more than one way."""
    before = False
    """Whether the group that ends here may."""
    nested = False
    for match in _ATOM.finditer(pattern):
        atom = match.group()
        if atom[0] == "(" and atom[-1] != ")":
            groups.append(False)
        elif atom == ")" and len(groups) > 1:
            before = groups.pop()
            groups[-1] = groups[-1] or before
            continue
        elif atom in ("?", "|"):
            choices += 1
            groups[-1] = True
        elif atom in ("*", "+") or (atom[0] == "{" and len(atom) > 2):
            nested = nested or before
            if not (atom[1:-1].isdigit() and int(atom[1:-1]) <= _FEW):
                repeats += 1
                groups[-1] = True
        elif len(atom) == 2 and atom[0] == "\\" and atom[1] in "123456789":
            repeats += 1
        before = False
    return repeats, choices, nested


def _linear_search(pattern: str, text: str) -> bool:
    import duckdb

    if _NOT_IN_RE2.search(pattern) or "\0" in pattern + text:
        raise UnsafePattern("it may take unbounded time, and RE2 cannot express it")
    translated = pattern
    if not text.isascii():
        if _ASCII_ONLY.search(pattern):
            raise UnsafePattern("it may take unbounded time on text that is not ASCII")
        translated = "".join(_unicode(match.group()) for match in _ATOM.finditer(pattern))
    # Python's '$' matches before a final newline too, RE2's does not.
    texts = [text, text[:-1]] if text.endswith("\n") else [text]
    try:
        with duckdb.connect(":memory:") as connection:
            found = connection.execute(
                "SELECT bool_or(regexp_matches(text, $pattern)) FROM unnest($texts::VARCHAR[]) AS t(text)",
                {"pattern": translated, "texts": texts},
            ).fetchone()
    except duckdb.Error as error:
        raise UnsafePattern("it may take unbounded time, and RE2 cannot express it") from error
    return bool(found and found[0])


def _unicode(atom: str) -> str:
    if atom in _UNICODE_CLASSES:
        return f"[{_UNICODE_CLASSES[atom]}]"
    if atom[0] == "[":
        for name, members in _UNICODE_CLASSES.items():
            atom = atom.replace(name, members)
    return atom
