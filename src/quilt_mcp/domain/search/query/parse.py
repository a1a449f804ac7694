"""From a query's text to what it means.

    query  := all (OR all)*            all   := one (AND? one)*
    one    := NOT one | -one | +one | (query) | field:value | field:(query) | value
    value  := word | "phrase" | wild*card | /regular expression/ | [a TO b] | {a TO b} | >a | >=a | <a | <=a | *

Whatever cannot be read, or would be read as something else than was meant, is an error that says where and what may stand there;
nothing is guessed.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Final, NoReturn

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.query.field import Field, Spot, example_of, fields_of, named, spelled
from quilt_mcp.domain.search.query.operand import Operands
from quilt_mcp.domain.search.query.reader import PHRASE, WORD, Reader, unescaped, without_escapes
from quilt_mcp.domain.search.query.term import EVERYTHING, And, Exists, Not, Or, Query, Term
from quilt_mcp.domain.search.request import SCOPES, Scope
from quilt_mcp.errors import InvalidQuery

MOST: Final = 4_000
MOST_TERMS: Final = 64
MOST_DEPTH: Final = 30
_EXISTS: Final = "_exists_"
_FIELD: Final = re.compile(r'(?![\d/<>=\[{])(?:\\.|[^\s\\:()"])+(?=:(?!//))', re.DOTALL)
_QUOTED_FIELD: Final = re.compile(r'"((?:\\.|[^"\\])*)"(?=:)', re.DOTALL)
_EVERY_FIELD: Final = re.compile(r"\*:\*(?=[\s)]|$)")
_POINTED: Final = re.compile(r"([^./\\]+)([./])(.*)", re.DOTALL)
_UNSEEN: Final = re.compile("[\0-\x08\x0e-\x1b\x7f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, those without a width that come along when a text is pasted, and halves of characters."""


def parse_query(text: str, scope: Scope, now: datetime) -> Query:
    """Raises InvalidQuery."""
    if len(text) > MOST:
        raise InvalidQuery(
            f"The query has {len(text):,} characters, more than {MOST:,}.",
            next_step="Ask for less, or in several calls.",
            details={"characters": len(text)},
        )
    reader = Reader(text)
    if odd := _UNSEEN.search(text):
        reader.wrong(odd.start(), "this character cannot be seen, and no word holds it", "Remove it.")
    return _Parser(reader, scope, now).whole()


class _Parser:
    def __init__(self, reader: Reader, scope: Scope, now: datetime) -> None:
        self._reader = reader
        self._scope: Scope = scope
        self._fields = named(scope)
        self._operands = Operands(reader, self._fields, now)
        self._terms = 0
        self._plus: int | None = None
        """Where a + stands among the parts that are being read."""

    def whole(self) -> Query:
        reader = self._reader
        reader.skip()
        if reader.is_done:
            return EVERYTHING
        found = self._any(None, 0)
        if not reader.is_done:
            reader.wrong(
                reader.at, "a ) closes nothing", f"Remove it, or open it: ({reader.written(0)[:80]})."
            )
        return found

    # -- operators --

    def _any(self, inside: Spot | None, depth: int) -> Query:
        reader = self._reader
        if depth > MOST_DEPTH:
            reader.wrong(
                reader.at, f"parentheses are nested more than {MOST_DEPTH} deep", "Write it flatter."
            )
        outer, self._plus = self._plus, None
        parts = [self._all(inside, depth)]
        while reader.operator() == "OR":
            self._take_operator()
            parts.append(self._all(inside, depth))
        if len(parts) > 1 and self._plus is not None:
            reader.wrong(
                self._plus,
                "+ asks for a term beside OR, which asks for any",
                "Leave + out, or write (a OR b) AND c.",
            )
        self._plus = outer
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, inside: Spot | None, depth: int) -> Query:
        reader = self._reader
        parts = [self._one(inside, depth)]
        while True:
            operator = reader.operator()
            if operator == "AND":
                self._take_operator()
            elif operator == "OR" or reader.is_done or reader.peek() == ")":
                break
            parts.append(self._one(inside, depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, inside: Spot | None, depth: int) -> Query:
        reader = self._reader
        negated = 0
        while True:
            sign = reader.peek()
            follows = reader.text[reader.at + 1 : reader.at + 2]
            is_sign = sign in ("-", "!", "+") and follows != "" and not follows.isspace() and follows != ")"
            if reader.operator() == "NOT":
                negated += 1
                self._take_operator()
            elif is_sign:
                if follows in "-!+":
                    reader.wrong(
                        reader.at,
                        f"{sign}{follows} is no sign",
                        "Write - for NOT once; a text that begins so stands in quotation marks.",
                    )
                if sign == "-" and follows.isdecimal():
                    reader.wrong(
                        reader.at,
                        "- before a digit may mean NOT or less than zero",
                        "Write NOT before it, or put quotation marks around the whole.",
                    )
                if sign == "+":
                    self._plus = reader.at
                else:
                    negated += 1
                reader.at += 1
            else:
                break
        found = self._group(inside, depth) or self._term(inside, depth)
        return Not(found) if negated % 2 else found

    def _group(self, inside: Spot | None, depth: int) -> Query | None:
        reader = self._reader
        begin = reader.at
        if reader.peek() != "(":
            return None
        reader.at += 1
        reader.skip()
        if reader.peek() == ")":
            reader.wrong(begin, "nothing stands between ( and )", "Write something between them.")
        found = self._any(inside, depth + 1)
        if reader.peek() != ")":
            reader.wrong(begin, "this ( is not closed", f"Close it: {reader.text[begin:].strip()[:80]})")
        reader.at += 1
        if reader.peek() != "(" and reader.operator() is None:
            reader.end("the closing )")
        return found

    def _take_operator(self) -> None:
        reader = self._reader
        begin = reader.at
        word = reader.take(WORD)
        assert word is not None
        reader.skip()
        if reader.is_done or reader.peek() == ")" or reader.operator() in ("AND", "OR"):
            quoted = f', or "{word[0].lower()}" in quotation marks for the word' if word[0].isalpha() else ""
            reader.wrong(
                begin, f"nothing follows {word[0]}", f"Write what follows it, or leave it out{quoted}."
            )

    # -- terms --

    def _term(self, inside: Spot | None, depth: int) -> Query:
        reader = self._reader
        begin = reader.at
        self._terms += 1
        if self._terms > MOST_TERMS:
            reader.wrong(
                begin, f"there are more than {MOST_TERMS} terms", "Ask for less, or in several calls."
            )
        if reader.operator() in ("AND", "OR"):
            word = reader.look(WORD)
            assert word is not None
            reader.wrong(begin, f"{word[0]} joins nothing", "Write a term before it, or leave it out.")
        spot = self._field(inside, begin)
        if spot is None:
            return self._operands.read(inside, begin)
        if isinstance(spot, Term):
            return spot
        reader.skip()
        if (group := self._group(spot, depth)) is not None:
            return group
        if reader.is_done or reader.peek() == ")":
            reader.wrong(
                begin,
                f"nothing follows the field {spot[0].name}",
                f"Write a value after it, as {example_of(spot[0])}, or {_EXISTS}:{spelled(spot)}.",
            )
        return self._operands.read(spot, begin)

    def _field(self, inside: Spot | None, begin: int) -> Spot | Term | None:
        """The field that is named here; a term where it is ``_exists_``."""
        reader = self._reader
        if reader.look(_EVERY_FIELD):
            return None
        found = reader.take(_FIELD) or reader.take(_QUOTED_FIELD)
        if found is None or (inside is not None and not self._is_named(found[0])):
            # A value with a colon, in the parentheses of a field.
            reader.at = begin
            return None
        if inside is not None:
            reader.wrong(
                begin,
                f"a field stands inside the parentheses of {inside[0].name}",
                "Close those before it, or put quotation marks around a text with a colon.",
            )
        reader.at += 1
        raw = found[1] if found.re is _QUOTED_FIELD else found[0]
        if raw.lower() != _EXISTS:
            return self._named(raw, begin)
        reader.skip()
        at = reader.at
        word = reader.take(PHRASE) or reader.take(WORD)
        if word is None:
            reader.wrong(at, f"no field follows {_EXISTS}:", f"Write one of {self._known()}.")
        field, pointer = self._named(word[1] if word.re is PHRASE else word[0], at)
        reader.end("the field")
        return Term(field, Exists(), pointer, reader.written(begin), begin)

    def _is_named(self, raw: str) -> bool:
        head = re.split(r"[./]", raw.strip('"'), maxsplit=1)[0].lower()
        return head == _EXISTS or head in self._fields

    def _named(self, raw: str, at: int) -> Spot:
        known = self._fields.get(unescaped(raw).lower())
        if known is not None:
            return known, ""
        found = _POINTED.fullmatch(raw)
        head = self._fields.get(found[1].lower()) if found else None
        if found is not None and head is not None and head.holds == "json":
            return head, self._pointer(found, head, at)
        self._unknown(raw, at)

    def _pointer(self, found: re.Match[str], head: Field, at: int) -> str:
        """``meta./a/b`` and ``meta/a/b`` hold a JSON pointer, ``meta.a.b`` names, where a backslash keeps a dot in its name."""
        rest = found[3]
        is_dotted = found[2] == "." and not rest.startswith("/")
        if is_dotted:
            parts = _parts(rest, ".")
            if any("/" in without_escapes(part) for part in parts):
                self._reader.wrong(
                    at,
                    "the names of this field are joined by dots and by slashes",
                    f"Write {head.name}./a/b, with ~1 for a slash in a name, or {head.name}.a.b.",
                )
            names = [unescaped(part).replace("~", "~0").replace("/", "~1") for part in parts]
        else:
            names = unescaped(rest.removeprefix("/")).split("/")
        if "*" in without_escapes(rest):
            self._reader.wrong(
                at,
                "no field is named by a pattern",
                f"{head.name}:value looks into all of it; for the sign itself put a backslash before it.",
            )
        if not all(names) or re.search(r"~(?![01])", "/".join(names)):
            self._reader.wrong(
                at,
                "this names no field of metadata",
                f"Write {head.name}./a/b, with a name after each slash, ~1 for a slash in it and ~0 for a ~.",
            )
        return "".join(f"/{name}" for name in names)

    def _unknown(self, raw: str, at: int) -> NoReturn:
        name = unescaped(raw)
        if "*" in without_escapes(raw):
            of_meta = "" if self._scope == "objects" else " meta:value looks into all metadata."
            self._reader.wrong(
                at,
                "no field is named by a pattern",
                f"Leave the field out to look everywhere.{of_meta} Fields are {self._known()}.",
            )
        wanted = re.split(r"[./]", name, maxsplit=1)[0]
        near = suggest(wanted, [*(one.name for one in fields_of(self._scope)), _EXISTS]) or suggest(
            wanted, self._fields
        )
        elsewhere = [scope for scope in SCOPES if scope != self._scope and name.lower() in named(scope)]
        hints = [
            f"Did you mean {' or '.join(near)}? " if near else "",
            f"{name} is a field of searches over {' and '.join(elsewhere)}. " if elsewhere else "",
            f"Fields are {self._known()}.",
            "" if self._scope == "objects" else f" A field of metadata is meta.{name.lstrip('/.')[:60]}.",
            " A text that holds a colon stands in quotation marks.",
        ]
        self._reader.wrong(
            at, f"searches over {self._scope} have no field {name[:60]!r}", "".join(hints), near=near
        )

    def _known(self) -> str:
        return ", ".join(one.name for one in fields_of(self._scope))


def _parts(text: str, sign: str) -> list[str]:
    """``text`` between the signs that have no backslash before them."""
    blank = without_escapes(text)
    cuts = [-1, *(at for at, one in enumerate(blank) if one == sign), len(text)]
    return [text[begin + 1 : end] for begin, end in pairwise(cuts)]
