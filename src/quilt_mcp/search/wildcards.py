"""Wildcards: patterns and words of a query as regular expressions of RE2's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NO_WORD: Final = r"[^\p{L}\p{N}]"
_BEGIN: Final = rf"(?:^|{NO_WORD})"
_END: Final = rf"(?:{NO_WORD}|$)"
_APART: Final = r"[^\p{L}\p{N}\x{1e}]+"
"""What stands between the words of a phrase: no letter, no digit, and not the end of a text among several."""
_ANY: Final = r"[^/\s]"
_NAME: Final = "[^/]"
_PART: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+|\\$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a pattern: a wildcard, or a text that stands for itself."""

    text: str
    is_wild: bool


def pieces(pattern: str) -> list[Piece]:
    found: list[Piece] = []
    for escaped, wild, text in _PART.findall(pattern):
        if wild:
            if not (wild == "*" and found and found[-1] == Piece("*", True)):
                found.append(Piece(wild, True))
        elif found and not found[-1].is_wild:
            found[-1] = Piece(found[-1].text + (escaped or text), False)
        else:
            found.append(Piece(escaped or text, False))
    return found


def longest_piece(found: list[Piece]) -> str:
    return max((one.text for one in found if not one.is_wild), key=len, default="")


def word_regex(tokens: tuple[str, ...]) -> str:
    """Whole words, one after the other."""
    return f"{_BEGIN}{_APART.join(map(re.escape, tokens))}{_END}"


def text_regex(found: list[Piece]) -> str:
    """A pattern within a text: it begins and ends where a word does, unless a wildcard or a sign stands there."""
    body = "".join(
        {"*": f"{_ANY}*", "?": _ANY}[one.text] if one.is_wild else re.escape(one.text) for one in found
    )
    if found and found[0].text == "*" and found[0].is_wild:
        body = body.removeprefix(f"{_ANY}*")
    elif found and _is_letter(found[0], 0):
        body = _BEGIN + body
    if found and found[-1].text == "*" and found[-1].is_wild:
        body = body.removesuffix(f"{_ANY}*")
    elif found and _is_letter(found[-1], -1):
        body += _END
    return body


def glob_regex(pattern: str) -> str:
    """A pattern over a whole path, as ``domain.glob.Match`` reads it: without a slash, of a name anywhere."""
    is_folder = pattern.endswith("/")
    path = pattern.removeprefix("./").strip("/")
    if "/" not in pattern.rstrip("/"):
        return f"(?:^|/){_names(path)}{'/' if is_folder else '(?:/|$)'}"
    parts = path.split("/")
    body = ""
    for number, name in enumerate(parts):
        is_last = number == len(parts) - 1
        if name == "**":
            body += ".+" if is_last else f"(?:{_NAME}+/)*"
        else:
            body += _names(name) + ("" if is_last else "/")
    has_wildcard = any(one.is_wild for one in pieces(parts[-1]))
    below = "/.+" if is_folder else "" if has_wildcard else "(?:/.+)?"
    return f"(?s)^{body}{below}$"


def _names(name: str) -> str:
    return "".join(
        {"*": f"{_NAME}*", "?": _NAME}[one.text] if one.is_wild else re.escape(one.text)
        for one in pieces(name)
    )


def _is_letter(piece: Piece, at: int) -> bool:
    if piece.is_wild:
        return True
    return piece.text[at].isalnum()
