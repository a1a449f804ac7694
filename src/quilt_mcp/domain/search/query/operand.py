"""Operands of a query: one word, phrase, pattern, regular expression, comparison or range, and traps that look like one."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from quilt_mcp.domain.search.query.compare import COMPARING, Comparisons
from quilt_mcp.domain.search.query.field import Field, Spot, example_of, spelled
from quilt_mcp.domain.search.query.reader import (
    OPERATORS,
    PHRASE,
    WORD,
    Reader,
    unescaped,
    without_escapes,
)
from quilt_mcp.domain.search.query.term import (
    EVERYTHING,
    Exists,
    Pattern,
    Query,
    Regex,
    Term,
    Test,
    Words,
    lowered,
    tokens,
)
from quilt_mcp.domain.search.query.value import number_of

MOST_WORDS: Final = 64
"""Of one phrase."""
REGEX_BYTES: Final = 1 << 16
"""Memory that the program of a regular expression may take."""
MOST_OF_PATTERN: Final = 500
_REGEX: Final = re.compile(r"/((?:\\.|[^/\\])+)/(?=[\s)]|$)", re.DOTALL)
_OPEN_REGEX: Final = re.compile(r"/.*(?:[\^$+\[\]{}|]|\.\*|\\[A-Za-z])|/[^/]+/[gimsux]{1,3}$", re.DOTALL)
_ALL: Final = re.compile(r"\*(?::\*)?(?=[\s)]|$)")
_DOTS: Final = re.compile(r"(?:\*?\.)+")
"""Of ext:*.csv and ext:.csv: endings are kept without."""
_FUZZY_END: Final = re.compile(r"[~^](?:\d+(?:\.\d*)?|\.\d+)?$")
_COMPARED_FIELD: Final = re.compile(r"([^<>=!:\\]+)(>=|<=|!=|==?|>|<)")
_QUOTING: Final = "'‘’‚“”„«»`"
_SIGNS: Final = {"&": "AND", "|": "OR", "+": "AND", "-": "NOT", "!": "NOT"} | dict.fromkeys(
    "=:", "field:value, without a space before the colon,"
)


class Operands:
    def __init__(self, reader: Reader, names: Mapping[str, Field], now: datetime) -> None:
        self._reader = reader
        self._names = names
        self._comparisons = Comparisons(reader, now)

    def read(self, spot: Spot | None, begin: int) -> Query:
        """What stands here, as a term of the field at ``spot`` that began at ``begin``."""
        reader = self._reader
        test: Test | None = self._comparisons.compared(spot) or self._comparisons.range(spot)
        if test is None:
            is_all = reader.take(_ALL)
            if is_all is not None and spot is None:
                reader.skip()
                return EVERYTHING
            test = Exists() if is_all else self._phrase(spot) or self._regex(spot) or self._word(spot)
        reader.skip()
        field, pointer = spot or (None, "")
        return Term(field, test, pointer, reader.written(begin), begin)

    def _phrase(self, spot: Spot | None) -> Test | None:
        reader = self._reader
        at = reader.at
        if reader.peek() != '"':
            return None
        phrase = reader.take(PHRASE)
        if phrase is None:
            reader.wrong(at, 'this " is not closed', f'Close it: {reader.text[at:].strip()[:80]}"')
        reader.end('the closing "')
        if star := re.search(r"\S\*|\*\S", without_escapes(phrase[1])):
            reader.wrong(
                at + 1 + star.start(),
                "a * in quotation marks is no wildcard",
                "Leave the quotation marks out, with a backslash before each space; for the sign itself put one "
                "before it.",
            )
        self._check_backslashes(phrase[1], at + 1)
        return self._plain(spot, unescaped(phrase[1]), at)

    def _regex(self, spot: Spot | None) -> Test | None:
        reader = self._reader
        at = reader.at
        found = reader.take(_REGEX)
        if found is None:
            return None
        source = found[1].replace("\\/", "/")
        re2: Any = importlib.import_module("re2")
        options = re2.Options()
        options.max_mem = REGEX_BYTES
        options.log_errors = False
        try:
            # Letter case never counts, and what is told apart no longer takes a larger program.
            re2.compile(f"(?i){source}", options)
        except re2.error as error:
            said: Any = error.args[0] if error.args else ""
            shown = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            reader.wrong(
                at,
                f"the regular expression cannot be used ({shown[:200]})",
                "Mend or shorten it: it is one of RE2's, without lookaround and backreferences. A path that begins with / stands "
                "in quotation marks.",
            )
        if spot is not None:
            self._require_text(spot[0], at, "a regular expression")
        return Regex(source)

    def _word(self, spot: Spot | None) -> Test:
        reader = self._reader
        at = reader.at
        word = reader.take(WORD)
        if word is None:
            why = (
                "a ) closes nothing"
                if reader.peek() == ")"
                else "a backslash stands last"
                if reader.peek()
                else "a term should stand here"
            )
            reader.wrong(at, why, "Write a word, a phrase in quotation marks, or field:value.")
        raw = word[0]
        self._check_word(raw, spot, at)
        self._check_backslashes(raw, at)
        if reader.peek() == '"':
            reader.wrong(
                reader.at,
                'a " stands inside a word',
                'Put a space before it, or a backslash: \\". A field with spaces is quoted whole, as "meta./cell line":x.',
            )
        if reader.peek() == "(":
            reader.wrong(reader.at, "a ( stands inside a word", "Put a space before it, or a backslash: \\(.")
        if reader.peek() == "\\":
            reader.wrong(reader.at, "a backslash stands last", "Remove it, or write two for the sign.")
        if spot is not None:
            self._comparisons.check_whole(spot, unescaped(raw))
            if spot[0].name == "ext":
                raw = raw[dots.end() :] if (dots := _DOTS.match(raw)) else raw
        if re.search(r"[*?]", without_escapes(raw)):
            return self._pattern(spot, raw, at)
        if spot is not None and spot[0].holds == "path":
            self._refuse_choice(raw, at)
        return self._plain(spot, unescaped(raw), at)

    def _plain(self, spot: Spot | None, value: str, at: int) -> Test:
        """A word or a phrase, without its backslashes and quotation marks."""
        holds = spot[0].holds if spot else None
        if spot is not None and holds in ("number", "size", "time"):
            return self._comparisons.equal(spot[0], value, at)
        found = tokens(value)
        if len(found) > MOST_WORDS:
            self._reader.wrong(at, f"a phrase has more than {MOST_WORDS} words", "Look for a part of it.")
        if found or (holds == "word" and value):
            return Words(found, value)
        instead = _SIGNS.get(value[:1], "a word")
        self._reader.wrong(
            at,
            "this holds no letter and no digit, and words are what is looked for",
            f"Write {instead} where that is meant; for signs a regular expression, as /a\\+b/.",
        )

    def _pattern(self, spot: Spot | None, raw: str, at: int) -> Test:
        if spot is not None:
            self._require_text(spot[0], at, "a pattern")
        if len(raw) > MOST_OF_PATTERN:
            self._reader.wrong(
                at, f"a pattern has more than {MOST_OF_PATTERN} characters", "Write a shorter one."
            )
        self._refuse_choice(raw, at)
        if not tokens(raw.replace("*", " ").replace("?", " ")):
            self._reader.wrong(at, "a pattern needs a letter or a digit", "Write one such as R0* or *fastq*.")
        return Pattern(lowered(raw))

    def _refuse_choice(self, raw: str, at: int) -> None:
        if choice := re.search(r"\[[^\]]*\]", without_escapes(raw)):
            self._reader.wrong(
                at + choice.start(),
                "[ ] chooses no letters here",
                "Write OR between patterns, or a regular expression, as /R0[12]/; for the signs themselves put a backslash "
                "before [ and ].",
            )

    def _require_text(self, field: Field, at: int, what: str) -> None:
        if field.holds in ("number", "size", "time"):
            self._reader.wrong(
                at,
                f"{field.name} is a {'time' if field.holds == 'time' else 'number'}, and {what} is for texts",
                f"Compare it, as {example_of(field)}.",
            )

    # -- what would be read as something else than was meant --

    def _check_word(self, raw: str, spot: Spot | None, at: int) -> None:
        reader = self._reader
        if (operator := OPERATORS.get(raw.upper())) is not None:
            example = "a NOT b" if operator == "NOT" else f"a {operator} b"
            word = f', or "{raw.lower()}" in quotation marks for the word' if raw.isalpha() else ""
            reader.wrong(
                at,
                f"{raw} is no operator here",
                f"Write {example}, in capital letters and between whole terms{word}. Terms side by side are AND already.",
            )
        if raw == "TO":
            reader.wrong(
                at, "TO stands in no range", 'Write field:[a TO b], or "to" in quotation marks for the word.'
            )
        if raw[0] in _QUOTING:
            reader.wrong(at, f"{raw[0]} is no quotation mark here", 'Phrases stand in ", as "two words".')
        if raw[0] == ":" and len(raw) > 1:
            reader.wrong(
                at,
                "a : stands after no field",
                "Write field:value, with nothing between the field and the colon.",
            )
        if joined := re.search(r"&&|\|\|", without_escapes(raw)):
            reader.wrong(
                at + joined.start(),
                f"{joined[0]} stands inside a word",
                f"Put a space before and after it, or write {OPERATORS[joined[0]]}.",
            )
        if _OPEN_REGEX.match(raw):
            reader.wrong(
                at,
                "this begins as a regular expression and does not end as one",
                "End it with a / and a space, and put a backslash before each / in it: /a\\/b/. There are no flags; letter case "
                "never counts. A path stands in quotation marks.",
            )
        if spot is None:
            self._check_field(raw, at)
        else:
            self._check_value(raw, spot, at)
        if fuzzy := _FUZZY_END.search(without_escapes(raw)):
            reader.refuse_fuzzy(at + fuzzy.start(), raw[fuzzy.start() :])

    def _check_backslashes(self, raw: str, at: int) -> None:
        for found in re.finditer(r"\\(.)", raw, re.DOTALL):
            if found[1].isalnum():
                self._reader.wrong(
                    at + found.start(),
                    "a backslash stands before a letter or a digit, which has no other meaning",
                    "Write / between the names of a path, or two backslashes for the sign itself.",
                )

    def _check_field(self, raw: str, at: int) -> None:
        before, slashes, _ = raw.partition("://")
        if slashes and before.lower() in self._names:
            self._reader.wrong(
                at,
                f"{before} is a field, and no value begins with //",
                "Put quotation marks around the value.",
            )
        compared = _COMPARED_FIELD.match(raw)
        if compared is None:
            return
        name, sign, value = compared[1], compared[2], raw[compared.end() :]
        head = self._names.get(re.split("[./]", name, maxsplit=1)[0].lower())
        is_field = name.lower() in self._names or (head is not None and head.holds == "json")
        if not is_field and (sign not in COMPARING or not value[:1].isdecimal()):
            return
        wanted = f"NOT {name}:" if sign == "!=" else f"{name}:{sign if sign in COMPARING else ''}"
        self._reader.wrong(
            at,
            f"a : should stand between a field and {sign}",
            f"Write {wanted}{value}; a text that holds {sign} stands in quotation marks.",
        )

    def _check_value(self, raw: str, spot: Spot, at: int) -> None:
        reader = self._reader
        if raw[0] in "-!" and number_of(raw, with_unit=True) is None:
            reader.wrong(
                at,
                f"{raw[0]} stands between the field and its value",
                f"Write NOT {spelled(spot)}:{raw[1:] or 'value'}; a text that begins so stands in quotation marks.",
            )
        if spot[0].name == "ext" and (joined := re.search("[,;|]", raw)):
            reader.wrong(
                at + joined.start(),
                f"{joined[0]} joins no values",
                f"Write ext:({' OR '.join(one for one in re.split('[,;|]+', raw) if one) or 'csv OR tsv'}).",
            )
        head, colon, _ = raw.partition(":")
        if colon and head.lower() in self._names:
            reader.wrong(
                at,
                f"a field, {head}, stands where a value of {spot[0].name} should",
                f'Write a value, or the value in quotation marks: "{raw}".',
            )
