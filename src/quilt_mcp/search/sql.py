"""From a query to SQL over the tables of a catalog.

``h`` is a row of heads, ``e`` one of entries. In a search over packages a query becomes a condition on ``h`` and on flags
``f.a0, f.a1, ...``, each of which says whether some file of the package meets one test: a scan of the entries finds them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from quilt_mcp.domain.search.query.term import (
    And,
    Between,
    Bound,
    Exists,
    Not,
    Or,
    Pattern,
    Query,
    Regex,
    Term,
    Test,
    Words,
    lowered,
)
from quilt_mcp.search.engine import literal
from quilt_mcp.search.head import micros
from quilt_mcp.search.wildcards import (
    Piece,
    glob_regex,
    longest_piece,
    pieces,
    text_regex,
    word_regex,
)

_TEXTS: Final = {"name": "lname", "message": "lmessage", "readme": "lreadme", "column": "lcolumns"}
_AS_IT_IS: Final = {
    "name": "h.name",
    "message": "h.message",
    "hash": "h.top_hash",
    "workflow": "h.workflow",
    "path": "e.logical_key",
    "ext": "e.ext",
    "file_hash": "e.hash_value",
    "physical_key": "e.physical_key",
}
"""Texts as they stand, for what is compared exactly."""


@dataclass(slots=True)
class PackageCondition:
    """``sql``: a condition on ``h`` and the flags of ``f``. ``atoms``: what each flag says of a file, a condition on ``e``."""

    sql: str = "true"
    atoms: list[str] = field(default_factory=list[str])


def package_condition(query: Query, fields: str) -> PackageCondition:
    """``fields``: the table of fields, as it stands in a FROM."""
    return _Packages(fields).compile(query)


def entry_condition(query: Query, fields: str) -> str:
    """On ``e`` and, where the package is asked about, ``h``."""
    return _Entries(fields).compile(query)


def any_file_test(query: Query) -> list[str]:
    """Conditions on ``e`` of the terms that a file may have matched: those not below a NOT."""
    found: list[str] = []
    _collect(query, found)
    return found


def _collect(query: Query, found: list[str]) -> None:
    match query:
        case Term():
            if query.field is None or query.field.holder == "file":
                found.append(file_test(query))
        case And():
            group, others = _split(query)
            found += [_all(file_test_of(one) for one in group)] if group else []
            for part in others:
                _collect(part, found)
        case Or():
            for part in query.parts:
                _collect(part, found)
        case Not():
            pass


class _Packages:
    def __init__(self, fields: str) -> None:
        self._fields = fields
        self._found = PackageCondition()

    def compile(self, query: Query) -> PackageCondition:
        self._found.sql = self._condition(query)
        return self._found

    def _condition(self, query: Query) -> str:
        match query:
            case Term():
                if query.field is None:
                    return f"({head_test(query, self._fields)} OR {self._flag(file_test(query))})"
                if query.field.holder == "file":
                    return self._flag(file_test(query))
                return head_test(query, self._fields)
            case Not():
                return f"(NOT {self._condition(query.part)})"
            case Or():
                return _any(self._condition(one) for one in query.parts)
            case And():
                group, others = _split(query)
                flags = [self._flag(_all(file_test_of(one) for one in group))] if group else []
                return _all([*flags, *(self._condition(one) for one in others)])

    def _flag(self, atom: str) -> str:
        if atom not in self._found.atoms:
            self._found.atoms.append(atom)
        return f"f.a{self._found.atoms.index(atom)}"


def _split(query: And) -> tuple[list[Query], list[Query]]:
    """What must hold of one and the same file, and the rest."""
    group = [one for one in query.parts if _is_of_a_file(one)]
    return group, [one for one in query.parts if not _is_of_a_file(one)]


def _is_of_a_file(query: Query) -> bool:
    match query:
        case Term():
            return query.field is not None and query.field.holder == "file"
        case And() | Or():
            return bool(query.parts) and all(map(_is_of_a_file, query.parts))
        case Not():
            return False


def file_test_of(query: Query) -> str:
    match query:
        case Term():
            return file_test(query)
        case And():
            return _all(map(file_test_of, query.parts))
        case Or():
            return _any(map(file_test_of, query.parts))
        case Not():
            return f"(NOT {file_test_of(query.part)})"


class _Entries:
    def __init__(self, fields: str) -> None:
        self._fields = fields

    def compile(self, query: Query) -> str:
        match query:
            case Term():
                is_of_file = query.field is None or query.field.holder == "file"
                return file_test(query) if is_of_file else head_test(query, self._fields)
            case Not():
                return f"(NOT {self.compile(query.part)})"
            case Or():
                return _any(map(self.compile, query.parts))
            case And():
                return _all(map(self.compile, query.parts))


# -- tests --


def head_test(term: Term, fields: str) -> str:
    """On a row of heads; never NULL."""
    of, test = term.field, term.test
    if (exact := _exact_test(term)) is not None:
        return exact
    if of is None:
        return _in_words("h.words", test) or _any(
            _text_test(f"h.{column}", test)
            for column in ("lname", "lmessage", "lmeta", "lreadme", "lcolumns")
        )
    if of.holds == "json":
        return _metadata_test(term, fields)
    if of.name in _TEXTS:
        column = f"h.{_TEXTS[of.name]}"
        return _path_test(column, test) if of.holds == "path" else _text_test(column, test)
    if of.name == "hash":
        return _word_test("h.top_hash", test, is_beginning=True)
    if of.name == "workflow":
        return _word_test("h.lworkflow", test)
    column = {"modified": "h.modified", "entries": "h.entries"}.get(of.name, "h.size")
    return _between(column, test)


def file_test(term: Term) -> str:
    """On a row of entries; never NULL."""
    of, test = term.field, term.test
    if (exact := _exact_test(term)) is not None:
        return exact
    if of is None:
        in_metadata = f"(e.lmeta IS NOT NULL AND {_text_test('e.lmeta', test)})"
        return _in_words("e.words", test) or f"({_text_test('e.lpath', test)} OR {in_metadata})"
    if of.holds == "json":
        return _file_metadata_test(term)
    match of.name:
        case "path":
            exact = _path_test("e.lpath", test)
            quick = _in_words("e.words", test)
            return f"(CASE WHEN {quick} THEN {exact} ELSE false END)" if quick else exact
        case "ext":
            return _ending_test(test)
        case "file_hash":
            return _word_test("lower(e.hash_value)", test, is_beginning=True)
        case "physical_key":
            return _text_test("lower(e.physical_key)", test)
        case _:
            return _between("e.size", test)


def _exact_test(term: Term) -> str | None:
    """Of a text as it stands; None for what is looked for in any letter case."""
    column = _AS_IT_IS.get(term.field.name) if term.field is not None else None
    if column is None:
        return None
    match term.test:
        case Between():
            return _between(column, term.test)
        case Regex(source, True):
            return f"coalesce(regexp_matches({column}, {literal(source)}), false)"
        case _:
            return None


def _in_words(column: str, test: Test) -> str | None:
    """Over words with spaces around them; None for what has to be looked for in the text itself."""
    if isinstance(test, Words) and test.tokens:
        phrase = " ".join(test.tokens)
        return f"contains({column}, {literal(f' {phrase} ')})"
    if not isinstance(test, Pattern):
        return None
    found = pieces(test.written)
    texts = [one.text for one in found if not one.is_wild]
    is_plain = len(texts) == 1 and texts[0].isalnum() and all(one.text == "*" for one in found if one.is_wild)
    if not is_plain:
        return None
    before, after = "" if found[0].is_wild else " ", "" if found[-1].is_wild else " "
    return f"contains({column}, {literal(f'{before}{texts[0]}{after}')})"


def _text_test(column: str, test: Test) -> str:
    match test:
        case Words():
            return _guarded(column, max(test.tokens, key=len, default=""), word_regex(test.tokens))
        case Pattern():
            found = pieces(test.written)
            piece = longest_piece(found)
            if _is_infix(found):
                return f"coalesce(contains({column}, {literal(piece)}), false)"
            return _guarded(column, piece, text_regex(found))
        case Regex():
            return f"coalesce(regexp_matches({column}, {literal('(?i)' + test.source)}), false)"
        case Exists():
            return f"coalesce({column} <> '', false)"
        case Between():
            return _between(column, test)


def _path_test(column: str, test: Test) -> str:
    if isinstance(test, Pattern):
        found = pieces(test.written.removeprefix("./").strip("/"))
        return _guarded(column, longest_piece(found), glob_regex(test.written))
    return _text_test(column, test)


def _ending_test(test: Test) -> str:
    match test:
        case Words():
            ending = lowered(test.written).lstrip(".")
            return f"(e.ext = {literal(ending)} OR ends_with(e.ext, {literal('.' + ending)}))"
        case Pattern():
            return f"regexp_full_match(e.ext, {literal(whole_regex(test.written.lstrip('.')))})"
        case Regex():
            return f"regexp_matches(e.ext, {literal('(?i)' + test.source)})"
        case _:
            return "e.ext <> ''"


def _word_test(column: str, test: Test, *, is_beginning: bool = False) -> str:
    match test:
        case Words():
            value = literal(lowered(test.written))
            found = f"starts_with({column}, {value})" if is_beginning else f"{column} = {value}"
        case Pattern():
            found = f"regexp_full_match({column}, {literal(whole_regex(test.written))})"
        case Regex():
            found = f"regexp_matches({column}, {literal('(?i)' + test.source)})"
        case _:
            found = f"{column} <> ''"
    return f"coalesce({found}, false)"


def whole_regex(pattern: str) -> str:
    """Of a pattern for a value as a whole, where ``*`` crosses everything."""
    return "(?s)" + "".join(
        {"*": ".*", "?": "."}.get(one.text, "") if one.is_wild else re.escape(one.text)
        for one in pieces(pattern)
    )


def _metadata_test(term: Term, fields: str) -> str:
    test, pointer = term.test, term.pointer
    if not pointer:
        return _text_test("h.lmeta", test)
    where = f"(pointer = {literal(pointer)} OR starts_with(pointer, {literal(pointer + '/')}))"
    if isinstance(test, Exists):
        held = "true"
    elif isinstance(test, Between):
        where = f"pointer = {literal(pointer)}"
        held = _typed_between(test)
    elif isinstance(test, Regex) and test.exact:
        where = f"pointer = {literal(pointer)}"
        held = f"regexp_matches(text, {literal(test.source)})"
    else:
        held = _in_words("words", test) or _text_test("ltext", test)
        if isinstance(test, Words) and (number := _as_number(test.written)) is not None:
            held = f"CASE WHEN kind = 'number' THEN value = {literal(number)} ELSE {held} END"
    return f"(h.number IN (SELECT number FROM {fields} WHERE {where} AND {held}))"


def _typed_between(test: Between) -> str:
    bound = test.low if test.low is not None else test.high
    if isinstance(bound, datetime):
        return _between("moment", test)
    if isinstance(bound, str):
        column = "text" if test.exact else "ltext"
        return f"(kind IN ('text', 'boolean') AND {_between(column, test)})"
    return f"(kind = 'number' AND {_between('value', test)})"


def _file_metadata_test(term: Term) -> str:
    test = term.test
    if not term.pointer:
        return f"(e.lmeta IS NOT NULL AND {_text_test('e.lmeta', test)})"
    found = f"json_extract(e.metadata, {literal('/user_meta' + term.pointer)})"
    text = f"lower(CASE WHEN json_type({found}) IN ('OBJECT', 'ARRAY') THEN {found}::VARCHAR ELSE {found} ->> '$' END)"
    match test:
        case Exists():
            held = f"json_type({found}) <> 'NULL'"
        case Between():
            bound = test.low if test.low is not None else test.high
            if isinstance(bound, datetime):
                held = _between(
                    f"epoch_us(TRY_CAST(CASE WHEN regexp_matches({found} ->> '$', '^\\d{{4}}-\\d{{2}}-\\d{{2}}') "
                    f"THEN {found} ->> '$' END AS TIMESTAMPTZ))",
                    test,
                )
            elif isinstance(bound, str):
                held = f"(json_type({found}) = 'VARCHAR' AND {_between(text, test)})"
            else:
                held = (
                    f"(json_type({found}) IN ('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT') AND "
                    f"{_between(f'TRY_CAST({found} AS DOUBLE)', test)})"
                )
        case _:
            held = _text_test(text, test)
            if isinstance(test, Words) and (number := _as_number(test.written)) is not None:
                held = (
                    f"CASE WHEN json_type({found}) IN ('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT') "
                    f"THEN TRY_CAST({found} AS DOUBLE) = {literal(number)} ELSE {held} END"
                )
    return f"(CASE WHEN e.lmeta IS NULL THEN false ELSE coalesce({held}, false) END)"


def _as_number(written: str) -> float | None:
    try:
        return float(written) if re.fullmatch(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", written) else None
    except ValueError:
        return None


def _between(column: str, test: Test) -> str:
    if isinstance(test, Exists):
        return f"({column} IS NOT NULL)"
    assert isinstance(test, Between), "numbers and times are compared, and nothing else"
    parts: list[str] = []
    if test.low is not None:
        parts.append(f"{column} {'>=' if test.with_low else '>'} {_bound(test.low)}")
    if test.high is not None:
        parts.append(f"{column} {'<=' if test.with_high else '<'} {_bound(test.high)}")
    return f"coalesce({' AND '.join(parts) or f'{column} IS NOT NULL'}, false)"


def _bound(value: Bound) -> str:
    return literal(micros(value) if isinstance(value, datetime) else value)


def _guarded(column: str, piece: str, regex: str) -> str:
    """The regular expression where a text that it needs stands: looking for that first costs a third."""
    guard = f"contains({column}, {literal(piece)})"
    return (
        f"(CASE WHEN {guard} THEN regexp_matches({column}, {literal(regex)}) ELSE false END)"
        if piece
        else (f"coalesce(regexp_matches({column}, {literal(regex)}), false)")
    )


def _is_infix(found: list[Piece]) -> bool:
    """Whether it is ``*text*``, of which nothing is asked but that the text stands somewhere."""
    return (
        len(found) == 3
        and [one.is_wild for one in found] == [True, False, True]
        and all(one.text == "*" for one in (found[0], found[2]))
    )


def _all(parts: Iterable[str]) -> str:
    return f"({' AND '.join(parts) or 'true'})"


def _any(parts: Iterable[str]) -> str:
    return f"({' OR '.join(parts) or 'false'})"
