"""Reading a query's text: where the reading stands, what comes next, and errors that say where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from quilt_mcp.errors import InvalidQuery

WORD: Final = re.compile(r'(?:\\.|[^\s()"\\])+', re.DOTALL)
PHRASE: Final = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
OPERATORS: Final = {"AND": "AND", "&&": "AND", "OR": "OR", "||": "OR", "NOT": "NOT"}
_SPACE: Final = re.compile(r"\s+")
_FUZZY: Final = re.compile(r"[~^]\S*")


class Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def is_done(self) -> bool:
        return self.at == len(self.text)

    def peek(self) -> str:
        """The character that comes next; '' at the end."""
        return self.text[self.at : self.at + 1]

    def look(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return pattern.match(self.text, self.at)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Reads on, where ``pattern`` comes next."""
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def skip(self) -> None:
        self.take(_SPACE)

    def operator(self) -> str | None:
        """AND, OR or NOT, where one comes next."""
        word = self.look(WORD)
        return OPERATORS.get(word[0]) if word else None

    def written(self, begin: int) -> str:
        return self.text[begin : self.at].strip()

    def end(self, after: str) -> None:
        """What was read ends here: a space, a ) or nothing follows."""
        if fuzzy := self.look(_FUZZY):
            self.refuse_fuzzy(self.at, fuzzy[0])
        if not self.is_done and self.peek() != ")" and not self.peek().isspace():
            self.wrong(self.at, f"a space should follow {after}", "Put one there.")
        self.skip()

    def refuse_fuzzy(self, at: int, sign: str) -> NoReturn:
        self.wrong(
            at,
            f"{sign[:20]} asks for what is alike or weighs a term, and there is neither",
            "Leave it out; write wild*cards, or OR between spellings. For the sign itself put a backslash before it.",
        )

    def wrong(self, at: int, why: str, next_step: str, near: Sequence[str] = ()) -> NoReturn:
        here = (
            f" at character {at + 1}, before {self.text[at : at + 30]!r}"
            if at < len(self.text)
            else " at its end"
        )
        shown = self.text[:500].encode("utf-8", "backslashreplace").decode()
        raise InvalidQuery(
            f"The query cannot be read{here}: {why}.",
            next_step=next_step,
            details={"query": shown, "at": at, **({"near": list(near)} if near else {})},
        )


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def without_escapes(text: str) -> str:
    """``text`` with spaces for what stands after a backslash, so that only signs with a meaning are left."""
    return re.sub(r"\\.", "  ", text, flags=re.DOTALL)
