"""Terms: what a query means, once it is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from quilt_mcp.domain.search.query.field import Field

Bound = float | datetime | str


@dataclass(frozen=True, slots=True)
class Words:
    """``tokens``, in lower case, stand one after the other with only signs and spaces between them. ``written``: the whole, as it
    was written."""

    tokens: tuple[str, ...]
    written: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """``*`` stands for any letters, ``?`` for one; a letter after a backslash for itself. In lower case."""

    written: str


@dataclass(frozen=True, slots=True)
class Regex:
    """In RE2's language; it is looked for anywhere. ``exact``: letter case counts."""

    source: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """None: no bound on that side. ``exact``: texts are compared as they stand, letter case counts."""

    low: Bound | None = None
    high: Bound | None = None
    with_low: bool = True
    with_high: bool = True
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """There is a value."""


Test = Words | Pattern | Regex | Between | Exists


@dataclass(frozen=True, slots=True)
class Term:
    """One test. ``field`` None: of any text there is. ``pointer``: a JSON pointer into a field of metadata. ``written`` and
    ``at``: how it stands in the query, and where."""

    field: Field | None
    test: Test
    pointer: str = ""
    written: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Query


Query = Term | And | Or | Not
EVERYTHING = And(())


def terms(query: Query, *, negated: bool = True) -> Iterator[Term]:
    """In the order in which they stand. Those below a NOT are left out unless ``negated``."""
    match query:
        case Term():
            yield query
        case Not():
            if negated:
                yield from terms(query.part)
        case And() | Or():
            for part in query.parts:
                yield from terms(part, negated=negated)


def lowered(text: str) -> str:
    """Letter by letter, as the engine of tables does it, so that both ends of a comparison are alike."""
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


def tokens(text: str) -> tuple[str, ...]:
    """The runs of letters and digits, in lower case."""
    spaced = (letter if unicodedata.category(letter)[0] in "LN" else " " for letter in lowered(text))
    return tuple("".join(spaced).split())
