"""Words: the text of a query cut as Athena cuts it, so that no quote, comment or semicolon hides what is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from quilt_mcp.errors import InvalidArgument

WordKind = Literal["text", "name", "word", "sign", "space"]
_WORD: Final = re.compile(
    r"""(?P<space>\s+|--[^\r\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
      | (?P<word>[^\W\d]\w*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<sign>->|=>|<=|>=|<>|!=|\|\||[-+*/%=<>()\[\].,?:;{}|^$@])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """``spaced``: whether a space or a comment stands before it."""

    kind: WordKind
    text: str
    spaced: bool = True

    @property
    def value(self) -> str:
        """What a text or a quoted name says."""
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)


def words_of(sql: str) -> list[Word]:
    """Comments are spaces. Raises InvalidArgument for what cannot be cut: a quote or a comment that is not closed, odd signs."""
    found: list[Word] = []
    spaced = False
    for word in _cut(sql):
        if word.kind == "space":
            spaced = True
            if word.text.startswith("/*") and "/*" in word.text[2:]:
                raise InvalidArgument(
                    "A comment stands within a comment.", next_step="Leave the comments out of the query."
                )
            continue
        found.append(Word(word.kind, word.text, spaced))
        spaced = False
    return found


def _cut(sql: str) -> Iterator[Word]:
    at = 0
    while at < len(sql):
        match = _WORD.match(sql, at)
        if match is None or match.lastgroup is None or sql[at] == "\0":
            raise InvalidArgument(
                f"The query cannot be read at {sql[at : at + 20]!r}.",
                next_step="Close each quote and comment, and write Athena's own SQL.",
                details={"position": at},
            )
        if match.group().startswith("/") and match.lastgroup == "sign" and sql.startswith("/*", at):
            raise InvalidArgument("A comment is not closed.", next_step="Close it with */, or leave it out.")
        yield Word(match.lastgroup, match.group())  # pyright: ignore[reportArgumentType]
        at = match.end()


def written(words: list[Word]) -> str:
    """As they stood, with one space for each comment and for all space between them."""
    return "".join(f" {word.text}" if word.spaced else word.text for word in words).strip()
