"""Highlight: which fields of a package a query matched, and the words around the first match that its row does not show."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast

from quilt_mcp.domain.search.query.term import Pattern, Query, Regex, Term, Words, lowered, terms
from quilt_mcp.search.packages import PackageRow, Shown
from quilt_mcp.search.wildcards import glob_regex, pieces, text_regex, word_regex

_AROUND: Final = 30
_LONGEST: Final = 100
_MOST_TEXT: Final = 64 << 10
"""Letters of one package that are looked through for its highlight."""
_MOST_TERMS: Final = 12
_TEXTS: Final = ("name", "message", "meta", "readme", "column")
_SHOWN_ANYWAY: Final = ("name", "message")


@dataclass(frozen=True, slots=True)
class _Text:
    """``is_key``: it is the name of a field and no value."""

    field: str
    place: str
    text: str
    lower: str
    is_key: bool = False


class Highlighter:
    """Of one query, whose terms are compiled once. Methods block: some milliseconds a package at most."""

    def __init__(self, query: Query) -> None:
        some = islice(terms(query, negated=False), _MOST_TERMS)
        self._terms = [(term, regex) for term in some if (regex := _regex(term)) is not None]

    def of(self, row: PackageRow, shown: Shown) -> tuple[tuple[str, ...], str | None]:
        """The names of the fields that matched, and ``field: ...words...`` around the best match that its row does not show: in a
        value rather than in a key, of the longest term."""
        texts = [*_texts(row, shown)]
        matched: dict[str, None] = {}
        best: tuple[tuple[bool, int], str] | None = None
        for term, regex in self._terms:
            for one in texts:
                if not _is_asked(term, one) or (one.field in matched and one.field in _SHOWN_ANYWAY):
                    continue
                found = regex.search(one.lower)
                if found is None:
                    continue
                matched[one.field] = None
                rank = not one.is_key, len(term.written)
                if one.field not in _SHOWN_ANYWAY and (best is None or rank > best[0]):
                    best = rank, f"{one.place}: {_words_around(one.text, found.start(), found.end())}"
        if shown.files:
            matched["path"] = None
        return tuple(one for one in (*_TEXTS, "path") if one in matched), best[1] if best else None


def _is_asked(term: Term, text: _Text) -> bool:
    if term.field is not None and term.field.name != text.field:
        return False
    if not term.pointer:
        return True
    place = f"meta.{term.pointer}"
    return not text.is_key and (text.place == place or text.place.startswith(f"{place}/"))


def _regex(term: Term) -> Any:
    test = term.test
    match test:
        case Words() if test.tokens:
            source = word_regex(test.tokens)
        case Pattern():
            is_name = term.field is not None and term.field.holds == "path"
            source = glob_regex(test.written) if is_name else text_regex(pieces(test.written))
        case Regex():
            source = f"(?i){test.source}"
        case _:
            return None
    re2: Any = importlib.import_module("re2")
    return re2.compile(source)


def _texts(row: PackageRow, shown: Shown) -> Iterator[_Text]:
    room = _MOST_TEXT
    metadata = _values(json.loads(shown.metadata), "") if shown.metadata else ()
    plain = (
        ("name", row.name),
        ("message", shown.message or ""),
        ("readme", shown.readme),
        ("column", shown.columns),
    )
    for field, text in plain[:2]:
        yield _Text(field, field, text[:_MOST_TEXT], lowered(text[:_MOST_TEXT]))
    for place, text, is_key in metadata:
        if (room := room - len(text)) < 0:
            break
        yield _Text("meta", place, text, lowered(text), is_key)
    for field, text in plain[2:]:
        yield _Text(field, field, text[:_MOST_TEXT], lowered(text[:_MOST_TEXT]))


def _values(value: Any, pointer: str) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, Mapping):
        for key, member in cast("Mapping[str, Any]", value).items():
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            yield f"meta.{below}", key, True
            yield from _values(member, below)
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            yield from _values(member, pointer)
    elif value is not None:
        yield f"meta.{pointer}", value if isinstance(value, str) else json.dumps(value), False


def _words_around(text: str, start: int, end: int) -> str:
    begin, stop = max(0, start - _AROUND), min(len(text), end + _AROUND)
    cut = " ".join(text[begin:stop].split())[:_LONGEST]
    return f"{'...' if begin else ''}{cut}{'...' if stop < len(text) else ''}"
