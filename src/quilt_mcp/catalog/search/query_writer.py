"""From a query to what a stack can be asked: the text of a query string, and filters beside it.

A stack finds a package where *one* of its documents (see ``term_writer``) fits the whole text, and all filters hold. So terms
that must all hold can be asked for only where one document has them all, or where no more than one of them is no filter. What
cannot be said so is refused; words without a field alone are asked of one document, which is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn

from quilt_mcp.catalog.search import lucene
from quilt_mcp.catalog.search.predicates import WILDCARD, WORDS
from quilt_mcp.catalog.search.term_writer import GUARDS, Document, document_of, refuse, written
from quilt_mcp.domain.printable import one_line
from quilt_mcp.domain.search.query.term import (
    EVERYTHING,
    And,
    Between,
    Not,
    Or,
    Pattern,
    Query,
    Term,
    Words,
    lowered,
    terms,
)
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.domain.search.where import Condition

_EVERYTHING: Final = "*:*"
_DATE_OR_NUMBER: Final = re.compile(
    r"[+-]?[\d.]+(?:[eE][+-]?\d+)?|\d{4}-\d{2}-\d{2}.*|true|false|null", re.DOTALL
)
_STACKS_OWN: Final = re.compile(r"(entry_lk|entry_pk|key):", re.IGNORECASE)
_ONE_STAR: Final = re.compile(r"(?<![*\\])\*(?!\*)")
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """``text`` '': all that meets the conditions. ``warnings``: where less may be found than the query asks for."""

    text: str = ""
    conditions: tuple[Condition, ...] = ()
    warnings: tuple[str, ...] = ()


def asked_of_stack(query: Query, scope: Scope) -> Asked:
    """Raises NotSupported for what no stack can be asked with the same meaning."""
    return _Writer(scope).whole(query)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one document must fit."""

    document: Document
    text: str
    query: Query


class _Writer:
    def __init__(self, scope: Scope) -> None:
        self._scope: Scope = scope
        self._warnings: dict[str, None] = {}

    def whole(self, query: Query) -> Asked:
        conditions: list[Condition] = []
        taken: set[tuple[str, str]] = set()
        rest: list[Query] = []
        for one in _flat(query):
            found = _filters(one) if self._scope == "packages" and isinstance(one, Term) else ()
            places = {(each.column, each.operator) for each in found}
            if found and not places & taken:
                conditions += found
                taken |= places
                if isinstance(one, Term) and one.pointer and isinstance(one.test, Words | Pattern):
                    self._warn_of_values(one)
            else:
                rest.append(one)
        for term in terms(query):
            self._warn_of_folders(term)
        text = "" if not rest else self._all(rest).text
        return Asked("" if text == _EVERYTHING else text, tuple(conditions), tuple(self._warnings))

    def _part(self, query: Query, *, is_negated: bool = False) -> _Part:
        match query:
            case Term():
                return _Part(
                    document_of(query, self._scope), written(query, self._scope, is_negated=is_negated), query
                )
            case Not():
                return self._not(query)
            case Or():
                parts = [self._part(one, is_negated=is_negated) for one in query.parts]
                if any(one.text == _EVERYTHING for one in parts):
                    return _Part("any", _EVERYTHING, EVERYTHING)
                return _Part(_common(parts), lucene.joined("OR", (one.text for one in parts)), query)
            case And():
                return self._all(query.parts, is_negated=is_negated)

    def _all(self, queries: Sequence[Query], *, is_negated: bool = False) -> _Part:
        parts = [
            one
            for one in (self._part(each, is_negated=is_negated) for each in queries)
            if one.text != _EVERYTHING
        ]
        if not parts:
            return _Part("any", _EVERYTHING, EVERYTHING)
        document = parts[0].document if len(parts) == 1 else self._one_document(parts)
        return _Part(document, lucene.joined("AND", (one.text for one in parts)), And(tuple(queries)))

    def _one_document(self, parts: Sequence[_Part]) -> Document:
        """The document that may have them all. Raises NotSupported where that is none, or may be another for each."""
        document = _common(parts)
        if document in GUARDS:
            return document
        if document == "file" and all(_is_of_a_file(one.query) for one in parts):
            return document
        if all(_is_of_words(one.query) for one in parts):
            self._warn_of_words(parts)
            return "any"
        self._refuse_apart(parts)

    def _refuse_apart(self, parts: Sequence[_Part]) -> NoReturn:
        told = next((one for one in parts if one.document != parts[0].document), parts[-1])
        term = next(terms(told.query))
        kinds = {one.document for one in parts}
        if kinds == {"any", "file"}:
            instead = "Write path:word for words that the file's own path must hold."
        elif kinds <= {"any", "manifest", "pointer"}:
            instead = (
                "Name each field once outside of OR and NOT, as message:word or name:lab/*, or put it into where, as "
                "name like 'lab/%'."
            )
        else:
            instead = "Put what the package must be into where, as name like 'lab/%' or size >= 1000000."
        refuse(
            term,
            "it asks for all terms in one place (the package's name, its message and metadata, or one file), and "
            "these stand in several",
            instead,
        )

    def _not(self, query: Not) -> _Part:
        """That none of a package's documents fits cannot be asked, save where there is just one that could."""
        inner = query.part
        if isinstance(inner, Not):
            return self._part(inner.part)
        held: set[Document] = {document_of(one, self._scope) for one in terms(inner)}
        if len(held) == 1 and (guard := GUARDS.get(next(iter(held)))) is not None:
            part = self._part(inner, is_negated=True)
            return _Part(part.document, f"({guard} AND NOT {part.text})", query)
        if isinstance(inner, Or):
            return self._all([Not(one) for one in inner.parts])
        if isinstance(inner, And) and inner.parts and held <= GUARDS.keys():
            return self._part(Or(tuple(Not(one) for one in inner.parts)))
        term = next((one for one in terms(inner) if document_of(one, self._scope) in ("any", "file")), None)
        if term is None:
            return _Part("any", f"({_EVERYTHING} AND NOT {_EVERYTHING})", query)
        refuse(
            term,
            "it finds a package where one of its texts and files fits, and cannot be asked that none does",
            "Write NOT before a field of the package, as NOT message:word or NOT meta:word.",
        )

    def _warn_of_words(self, parts: Sequence[_Part]) -> None:
        shown = ", ".join(one_line(one.text[:40]) for one in parts[:_FEW])
        more = "..." if len(parts) > _FEW else ""
        self._warnings[
            f"same_document: a stack looks for words side by side ({shown}{more}) in one place: the package's name, its message "
            "and metadata, or one of its files. Packages that have them apart are left out; engine=local finds those, and OR any "
            "of them."
        ] = None

    def _warn_of_values(self, term: Term) -> None:
        self._warnings[
            f"one_value: {one_line(term.written[:60])} is looked for in texts that stand right at {one_line(term.pointer[:60])}; "
            "engine=local looks below it, too."
        ] = None

    def _warn_of_folders(self, term: Term) -> None:
        """Who knows the stack's language means all folders."""
        test = term.test
        if term.field is None or term.field.name != "path" or not isinstance(test, Pattern):
            return
        if "/" in test.written and _STACKS_OWN.match(term.written) and _ONE_STAR.search(test.written):
            self._warnings[
                f"one_folder: * stays within one name of a path; {one_line(term.written[:60])}* takes in folders below, too."
                if term.written.endswith("/*")
                else f"one_folder: * in {one_line(term.written[:60])} stays within one name of a path, and ** crosses folders."
            ] = None


def _flat(query: Query) -> Iterable[Query]:
    """What must hold, one by one. Terms on files stay together: they are of one and the same file."""
    if not isinstance(query, And):
        return [query]
    found: list[Query] = []
    for part in query.parts:
        is_group = isinstance(part, And) and any(
            one.field and one.field.holder == "file" for one in terms(part)
        )
        found += [part] if is_group else _flat(part)
    return found


def _common(parts: Sequence[_Part]) -> Document:
    kinds: set[Document] = {one.document for one in parts}
    return next(iter(kinds)) if len(kinds) == 1 else "any"


def _is_of_a_file(query: Query) -> bool:
    if isinstance(query, Term):
        return query.field is not None and query.field.holder == "file"
    return isinstance(query, And | Or) and bool(query.parts) and all(map(_is_of_a_file, query.parts))


def _is_of_words(query: Query) -> bool:
    return all(one.field is None for one in terms(query))


# -- filters --


def _filters(term: Term) -> tuple[Condition, ...]:
    """Conditions that say the same as the term; none where there are none that do."""
    field, test = term.field, term.test
    if field is None or field.holder == "file":
        return ()
    if field.name == "meta":
        return _metadata(term) if term.pointer else ()
    match field.name, test:
        case (("size" | "entries"), Between()):
            return _bounds(field.name, *lucene.whole_bounds(test))
        case "modified", Between():
            first, last = lucene.moment_bounds(test)
            return _bounds(field.name, *(lucene.spelled(one) if one else None for one in (first, last)))
        case "name", Pattern() if (wildcard := _name_wildcard(test.written)) is not None:
            return (Condition("name", WILDCARD, (wildcard,), (test.written,)),)
        case "hash", Words():
            return (Condition("hash", WILDCARD, (lucene.beginning(lowered(test.written)),), (test.written,)),)
        case "message", Words() | Pattern():
            text = written(term, "packages").partition(":")[2]
            return (Condition("message", WORDS, (text,), (test.written,)),)
        case _:
            return ()


def _name_wildcard(pattern: str) -> str | None:
    """A name has one slash, so a ``*`` beside the pattern's own crosses none."""
    path = pattern.removeprefix("./")
    if path.startswith("/") or path.endswith("/") or path.count("/") != 1:
        return None
    return re.sub(r"\*{2,}", "*", path)


def _bounds(column: str, low: float | str | None, high: float | str | None) -> tuple[Condition, ...]:
    found: list[Condition] = []
    if low is not None:
        found.append(Condition(column, ">=", (low,), (str(low),)))
    if high is not None:
        found.append(Condition(column, "<=", (high,), (str(high),)))
    return tuple(found)


def _metadata(term: Term) -> tuple[Condition, ...]:
    """Raises NotSupported for what the filters on metadata cannot say."""
    test = term.test
    match test:
        case Between() if isinstance(test.low, datetime) or isinstance(test.high, datetime):
            first, last = lucene.moment_bounds(test)
            return _bounds(term.pointer, *(lucene.spelled(one) if one else None for one in (first, last)))
        case Between() if not isinstance(test.low, str) and not isinstance(test.high, str):
            low = _number(test.low, math.inf, is_within=test.with_low)
            high = _number(test.high, -math.inf, is_within=test.with_high)
            return _bounds(term.pointer, low, high)
        case Words() if not _DATE_OR_NUMBER.fullmatch(lowered(test.written)):
            return (Condition(term.pointer, WORDS, (lucene.phrase(test.written),), (test.written,)),)
        case Pattern() if (pattern := lucene.word_pattern(test.written)) is not None:
            return (Condition(term.pointer, WORDS, (pattern,), (test.written,)),)
        case _:
            refuse(
                term,
                "its filters on a field of metadata know words, and bounds of numbers and times",
                f"Write bounds, as meta.{term.pointer}:[42 TO 42], a word of a text, or where, as {term.pointer} = 'B33'.",
            )


def _number(bound: object, towards: float, *, is_within: bool) -> float | None:
    """The next number, where the bound itself is left out."""
    if not isinstance(bound, int | float):
        return None
    return bound if is_within else math.nextafter(bound, towards)
