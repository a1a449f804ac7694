"""From a query's text to what it means.

    query  := all (OR all)*            all   := one (AND? one)*
    one    := NOT one | -one | +one | (query) | field:value | field:(query) | value
    value  := word | "phrase" | wild*card | /regular expression/ | [a TO b] | {a TO b} | >a | >=a | <a | <=a | *

Whatever cannot be read is an error that says where and what may stand there; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NoReturn

import re2

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.query.field import Field, fields_of, named
from quilt_mcp.domain.search.query.term import (
    EVERYTHING,
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
    Words,
    lowered,
    tokens,
)
from quilt_mcp.domain.search.query.value import number_of, span_of
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.errors import InvalidQuery

MOST: Final = 4_000
MOST_TERMS: Final = 64
MOST_DEPTH: Final = 30
REGEX_BYTES: Final = 1 << 20
"""Memory that the program of a regular expression may take."""
_FIELD: Final = re.compile(r"(?:\\.|[A-Za-z_~@$][\w.@$-]*)(?:/(?:\\.|[^\s\\:()\"])*)?(?=:(?!//))")
_QUOTED_FIELD: Final = re.compile(r'"((?:\\.|[^"\\])*)"(?=:)')
_WORD: Final = re.compile(r'(?:\\.|[^\s()"\\])+', re.DOTALL)
_PHRASE: Final = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_REGEX: Final = re.compile(r"/((?:\\.|[^/\\])+)/(?=[\s)]|$)", re.DOTALL)
_RANGE: Final = re.compile(r"([\[{])\s*(\"[^\"]*\"|\S+?)\s+TO\s+(\"[^\"]*\"|[^\s\]}]+)\s*([\]}])")
_COMPARED: Final = re.compile(r"(>=|<=|>|<)\s*")
_SPACE: Final = re.compile(r"\s*")
_FUZZY: Final = re.compile(r"[~^]\d*\.?\d*$")
_OPERATORS: Final = {"AND": "AND", "&&": "AND", "OR": "OR", "||": "OR", "NOT": "NOT"}


def parse_query(text: str, scope: Scope, now: datetime) -> Query:
    """Raises InvalidQuery."""
    if len(text) > MOST:
        raise InvalidQuery(
            f"The query has {len(text):,} characters, more than {MOST:,}.",
            next_step="Ask for less, or in several calls.",
            details={"characters": len(text)},
        )
    return _Parser(text, scope, now).whole()


class _Parser:
    def __init__(self, text: str, scope: Scope, now: datetime) -> None:
        self._text = text
        self._scope: Scope = scope
        self._fields = named(scope)
        self._now = now
        self._at = 0
        self._terms = 0

    def whole(self) -> Query:
        self._skip()
        if self._at == len(self._text) or self._text.strip() in ("*", "*:*"):
            return EVERYTHING
        found = self._any(None, 0)
        if self._at < len(self._text):
            self._wrong("a ) closes nothing", f"Remove it, or open it: ({self._text[: self._at].strip()})")
        return found

    # -- operators --

    def _any(self, inside: tuple[Field, str] | None, depth: int) -> Query:
        if depth > MOST_DEPTH:
            self._wrong(f"parentheses are nested more than {MOST_DEPTH} deep", "Write it flatter.")
        parts = [self._all(inside, depth)]
        while self._operator() == "OR":
            self._take_operator()
            parts.append(self._all(inside, depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, inside: tuple[Field, str] | None, depth: int) -> Query:
        parts = [self._one(inside, depth)]
        while True:
            operator = self._operator()
            if operator == "AND":
                self._take_operator()
            elif operator == "OR" or self._at == len(self._text) or self._text[self._at] == ")":
                break
            parts.append(self._one(inside, depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, inside: tuple[Field, str] | None, depth: int) -> Query:
        negated = 0
        while True:
            self._skip()
            operator = self._operator()
            sign = self._text[self._at : self._at + 1]
            follows = self._text[self._at + 1 : self._at + 2]
            if operator == "NOT":
                negated += 1
                self._take_operator()
            elif sign in ("-", "!") and follows and not follows.isspace():
                negated += 1
                self._at += 1
            elif sign == "+" and follows and not follows.isspace():
                self._at += 1
            else:
                break
        found = self._group(inside, depth) or self._term(inside, depth)
        return Not(found) if negated % 2 else found

    def _group(self, inside: tuple[Field, str] | None, depth: int) -> Query | None:
        if self._text[self._at : self._at + 1] != "(":
            return None
        begin = self._at
        self._at += 1
        self._skip()
        if self._text[self._at : self._at + 1] == ")":
            self._wrong("nothing stands between ( and )", "Write something between them.")
        found = self._any(inside, depth + 1)
        if self._text[self._at : self._at + 1] != ")":
            self._at = begin
            self._wrong("this ( is not closed", f"Close it: {self._text[begin:].strip()[:80]})")
        self._at += 1
        self._skip()
        return found

    def _operator(self) -> str | None:
        word = _WORD.match(self._text, self._at)
        return _OPERATORS.get(word[0]) if word else None

    def _take_operator(self) -> None:
        begin = self._at
        word = _WORD.match(self._text, self._at)
        assert word is not None
        self._at = word.end()
        self._skip()
        rest = self._text[self._at :]
        if not rest or rest.startswith(")") or self._operator() in ("AND", "OR"):
            self._at = begin
            self._wrong(
                f"nothing follows {word[0]}",
                f'Write what follows it, or "{word[0].lower()}" in small letters and quotation marks for the word.',
            )

    # -- terms --

    def _term(self, inside: tuple[Field, str] | None, depth: int) -> Query:
        begin = self._at
        self._terms += 1
        if self._terms > MOST_TERMS:
            self._wrong(f"there are more than {MOST_TERMS} terms", "Ask for less, or in several calls.")
        if self._operator() in ("AND", "OR"):
            self._wrong(
                f"{self._text[begin:].split()[0]} joins nothing", "Write a term before it, or leave it out."
            )
        if (spot := self._field()) is not None:
            if inside is not None:
                self._at = begin
                self._wrong("a field stands inside another field's parentheses", "Close those before it.")
            if isinstance(spot, Query):
                return spot
            self._skip()
            if (group := self._group(spot, depth)) is not None:
                return group
            if self._at == len(self._text) or self._text[self._at] == ")":
                self._at = begin
                self._wrong(
                    "nothing follows the field", f"Write a value after it, or _exists_:{spot[0].name}."
                )
            return self._value(spot, begin)
        return self._value(inside, begin)

    def _field(self) -> tuple[Field, str] | Query | None:
        """The field that is named here, with a pointer; a term where it is ``_exists_``."""
        begin = self._at
        found = _FIELD.match(self._text, begin)
        spelled = _unescaped(found[0]) if found else None
        if found is None and (found := _QUOTED_FIELD.match(self._text, begin)) is not None:
            spelled = _unescaped(found[1])
        if found is None or spelled is None:
            return None
        self._at = found.end() + 1
        if spelled != "_exists_":
            return self._named(spelled, begin)
        word = _PHRASE.match(self._text, self._at) or _WORD.match(self._text, self._at)
        if word is None:
            self._wrong("no field follows _exists_:", f"Write one of {self._known()}.")
        self._at = word.end()
        self._skip()
        field, pointer = self._named(_unescaped(word[1] if word.re is _PHRASE else word[0]), begin)
        return Term(field, Exists(), pointer, word[0], begin)

    def _named(self, spelled: str, at: int) -> tuple[Field, str]:
        name, pointer = spelled, ""
        known = self._fields.get(name.lower())
        if known is None:
            match = re.match(r"([^./]+)[./](.+)", spelled, re.DOTALL)
            head = self._fields.get(match[1].lower()) if match else None
            if match is not None and head is not None and head.holds == "json":
                path = match[2]
                is_pointer = path.startswith("/") or spelled[len(match[1])] == "/"
                pointer = path if is_pointer else path.replace(".", "/")
                known, pointer = head, f"/{pointer.lstrip('/')}"
        if known is None:
            self._at = at
            near = suggest(name.partition("/")[0], [one.name for one in fields_of(self._scope)])
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            of_meta = "" if self._scope == "objects" else f" A field of metadata is meta.{name.lstrip('/')}."
            self._wrong(
                f"a search over {self._scope} has no field {name[:60]!r}",
                f"{hint}It has {self._known()}.{of_meta} A text that holds a colon stands in quotation marks.",
                near=near,
            )
        return known, pointer

    def _known(self) -> str:
        return ", ".join(one.name for one in fields_of(self._scope))

    def _value(self, spot: tuple[Field, str] | None, begin: int) -> Query:
        field, pointer = spot or (None, "")
        text, at = self._text, self._at
        if compared := _COMPARED.match(text, at):
            return self._comparison(spot, compared, begin)
        if text[at] in "[{" and spot is not None:
            return self._range(spot, begin)
        if text[at] == '"':
            phrase = _PHRASE.match(text, at)
            if phrase is None:
                self._wrong('this " is not closed', f'Close it: {text[at:].strip()[:80]}"')
            self._at = phrase.end()
            if fuzzy := re.match(r"[~^]\S*", text[self._at :]):
                self._fuzzy(fuzzy[0])
            self._require_space()
            return self._plain(field, pointer, _unescaped(phrase[1]), begin, is_quoted=True)
        if regex := _REGEX.match(text, at):
            self._at = regex.end()
            source = regex[1].replace("\\/", "/")
            self._check_regex(source, at)
            self._skip()
            self._require_text(field, begin, "a regular expression")
            return Term(field, Regex(source), pointer, text[begin : self._at].strip(), begin)
        word = _WORD.match(text, at)
        if word is None:
            self._wrong(
                "a term should stand here", "Write a word, a phrase in quotation marks, or field:value."
            )
        self._at = word.end()
        if self._at < len(text) and text[self._at] == '"':
            self._wrong('a " stands inside a word', 'Put a space before it, or a backslash: \\"')
        raw = word[0]
        if fuzzy := _FUZZY.search(raw):
            self._fuzzy(fuzzy[0])
        self._skip()
        if raw == "*":
            return (
                EVERYTHING
                if field is None
                else Term(field, Exists(), pointer, text[begin : self._at].strip(), begin)
            )
        return self._plain(field, pointer, raw, begin, is_quoted=False)

    def _plain(self, field: Field | None, pointer: str, raw: str, begin: int, *, is_quoted: bool) -> Term:
        """A word or a phrase; ``raw`` still has its backslashes where it is a word."""
        written = self._text[begin : self._at].strip()
        value = raw if is_quoted else _unescaped(raw)
        if field is not None and field.holds in ("number", "size", "time"):
            low, high = self._typed(field, value, begin)
            return Term(field, Between(low, high), pointer, written, begin)
        if not is_quoted and re.search(r"(?<!\\)(?:\\\\)*[*?]", raw):
            if not tokens(raw.replace("*", " ").replace("?", " ")):
                self._at = begin
                self._wrong("a pattern needs a letter or a digit", "Write one such as R0* or *fastq*.")
            return Term(field, Pattern(lowered(raw)), pointer, written, begin)
        found = tokens(value)
        if not found and not (field is not None and field.holds == "word" and value):
            self._at = begin
            self._wrong(
                "this holds no letter and no digit, and words are what is looked for",
                "Write a word; for signs a regular expression, as /a\\+b/.",
            )
        return Term(field, Words(found, value), pointer, written, begin)

    def _comparison(self, spot: tuple[Field, str] | None, compared: re.Match[str], begin: int) -> Term:
        sign = compared[1]
        if spot is None:
            self._wrong(f"{sign} compares nothing", f"Write the field before it, as size:{sign}1MB.")
        self._at = compared.end()
        phrase = _PHRASE.match(self._text, self._at)
        word = phrase or _WORD.match(self._text, self._at)
        if word is None:
            self._wrong(f"nothing follows {sign}", f"Write a value, as size:{sign}1MB.")
        self._at = word.end()
        low, high = self._typed(spot[0], _unescaped(word[1] if phrase else word[0]), begin, pointer=spot[1])
        self._skip()
        bounds = {
            ">": Between(high, None, with_low=False),
            ">=": Between(low, None),
            "<": Between(None, low, with_high=False),
            "<=": Between(None, high),
        }
        return Term(spot[0], bounds[sign], spot[1], self._text[begin : self._at].strip(), begin)

    def _range(self, spot: tuple[Field, str], begin: int) -> Term:
        found = _RANGE.match(self._text, self._at)
        if found is None:
            example = (
                "modified:[2026-01-01 TO 2026-06-30]"
                if spot[0].holds == "time"
                else f"{spot[0].name}:[1 TO 10]"
            )
            self._wrong(
                "this is no range",
                f"Write one such as {example}; * is no bound, and {{ }} leave the ends out.",
            )
        self._at = found.end()
        low: Bound | None = None
        high: Bound | None = None
        with_low, with_high = found[1] == "[", found[4] == "]"
        first, last = found[2].strip('"'), found[3].strip('"')
        if first != "*":
            span = self._typed(spot[0], first, begin, pointer=spot[1])
            low = span[0] if with_low else span[1]
        if last != "*":
            span = self._typed(spot[0], last, begin, pointer=spot[1])
            high = span[1] if with_high else span[0]
        if (
            low is not None
            and high is not None
            and type(low) is not type(high)
            and not (isinstance(low, int | float) and isinstance(high, int | float))
        ):
            self._at = begin
            self._wrong(
                "the ends of this range are of two types", "Write two numbers, two times or two texts."
            )
        self._skip()
        return Term(
            spot[0],
            Between(low, high, with_low, with_high),
            spot[1],
            self._text[begin : self._at].strip(),
            begin,
        )

    def _typed(self, field: Field, text: str, begin: int, *, pointer: str = "") -> tuple[Bound, Bound]:
        """The first and the last value that ``text`` stands for."""
        holds = field.holds
        number = number_of(text, with_unit=holds == "size")
        span = span_of(text, self._now)
        if holds in ("number", "size"):
            if number is None:
                self._at = begin
                example = "1MB" if holds == "size" else "100"
                self._wrong(
                    f"{field.name} is a number, and {text[:40]!r} is none",
                    f"Write one, as {field.name}:>{example} or {field.name}:[1 TO {example}].",
                )
            return number, number
        if holds == "time":
            if span is None:
                self._at = begin
                self._wrong(
                    f"{field.name} is a time, and {text[:40]!r} is none",
                    f"Write a day, a month, a year or a moment, as {field.name}:2026-03, {field.name}:>=2026-01-31 or "
                    f"{field.name}:>now-7d.",
                )
            return span
        if holds == "json" and pointer:
            if number is not None:
                return number, number
            return span if span is not None else (lowered(text), lowered(text))
        self._at = begin
        of = (
            "metadata is compared field by field, as meta./age:>3"
            if holds == "json"
            else f"{field.name} is a text"
        )
        self._wrong(f"{of}, and has no order", "Compare numbers, sizes, times, or a field of metadata.")

    def _require_text(self, field: Field | None, begin: int, what: str) -> None:
        if field is not None and field.holds in ("number", "size", "time"):
            self._at = begin
            self._wrong(
                f"{field.name} is a {field.holds}, and {what} is for texts",
                f"Compare it, as {field.name}:>1.",
            )

    def _check_regex(self, source: str, at: int) -> None:
        options = re2.Options()
        options.max_mem = REGEX_BYTES
        options.log_errors = False
        try:
            re2.compile(source, options)
        except re2.error as error:
            self._at = at
            said = (
                error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
            )
            self._wrong(
                f"the regular expression cannot be used ({said[:200]})",
                "Mend or shorten it: it is one of RE2's, without lookaround and backreferences. A path that begins with / stands in "
                "quotation marks.",
            )

    def _fuzzy(self, sign: str) -> NoReturn:
        self._wrong(
            f"{sign} asks for what is alike or weighs a term, and there is neither",
            "Leave it out; write wild*cards, or OR between spellings.",
        )

    def _require_space(self) -> None:
        if (
            self._at < len(self._text)
            and self._text[self._at] not in ")"
            and not self._text[self._at].isspace()
        ):
            self._wrong('a space should follow the closing "', "Put one there.")
        self._skip()

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at

    def _wrong(self, why: str, next_step: str, near: Sequence[str] = ()) -> NoReturn:
        at = min(self._at, len(self._text))
        here = (
            f" at character {at + 1}, before {self._text[at : at + 30]!r}"
            if at < len(self._text)
            else " at its end"
        )
        raise InvalidQuery(
            f"The query cannot be read{here}: {why}.",
            next_step=next_step,
            details={"query": self._text[:500], "at": at, **({"near": list(near)} if near else {})},
        )


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
