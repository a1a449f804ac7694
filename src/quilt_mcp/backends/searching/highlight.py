"""Highlight: which fields of a package a query matched, and the words around the first match that its row does not show."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from quilt_mcp.domain.search.query.term import Pattern, Query, Regex, Term, Words, lowered, terms
from quilt_mcp.search.packages import PackageRow, Shown
from quilt_mcp.search.wildcards import glob_regex, pieces, text_regex, word_regex

_AROUND: Final = 30
_LONGEST: Final = 100
_TEXTS: Final = ("name", "message", "meta", "readme", "column")
_SHOWN_ANYWAY: Final = ("name", "message")


def highlighted(query: Query, row: PackageRow, shown: Shown) -> tuple[tuple[str, ...], str | None]:
    """The names of the fields, and ``field: ...words...``."""
    matched: dict[str, None] = {}
    around: str | None = None
    for term in terms(query, negated=False):
        regex = _regex(term)
        if regex is None:
            continue
        for name in _TEXTS:
            if term.field is not None and term.field.name != name:
                continue
            for place, text in _texts(name, row, shown):
                if term.pointer and not (
                    place == f"meta.{term.pointer}" or place.startswith(f"meta.{term.pointer}/")
                ):
                    continue
                found = regex.search(lowered(text))
                if found is None:
                    continue
                matched[name] = None
                if around is None and name not in _SHOWN_ANYWAY:
                    around = f"{place}: {_words_around(text, found.start(), found.end())}"
                break
    if shown.files:
        matched["path"] = None
    return tuple(matched), around


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


def _texts(name: str, row: PackageRow, shown: Shown) -> Iterator[tuple[str, str]]:
    match name:
        case "name":
            yield name, row.name
        case "message":
            yield name, shown.message or ""
        case "readme":
            yield name, shown.readme
        case "column":
            yield name, shown.columns
        case _:
            if shown.metadata:
                yield from _values(json.loads(shown.metadata), "")


def _values(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, member in cast("Mapping[str, Any]", value).items():
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            yield f"meta.{below}", key
            yield from _values(member, below)
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            yield from _values(member, pointer)
    elif value is not None:
        yield f"meta.{pointer}", value if isinstance(value, str) else json.dumps(value)


def _words_around(text: str, start: int, end: int) -> str:
    begin, stop = max(0, start - _AROUND), min(len(text), end + _AROUND)
    cut = " ".join(text[begin:stop].split())[:_LONGEST]
    return f"{'...' if begin else ''}{cut}{'...' if stop < len(text) else ''}"
