"""Text from data as a person or a model may see it. Everything that is shown passes through here, and nothing else escapes.

What acts on a terminal, turns the direction of text or cannot be seen becomes a \\u escape: control characters, lone
surrogates, all format characters (Cf) and all that Unicode lets a font ignore (Default_Ignorable), line and paragraph
separators, and the two signs that are drawn as nothing. A joiner or an emoji's selector stays where writing needs it, and nowhere
else. Why there, and what it leaves: docs/decisions/020-what-is-shown.md.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

_HIDDEN = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    r"\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    r"|\r(?!\n)"
)
_PICTURE = (
    r"[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff\u3030\u303d"
    r"\u3297\u3299\U0001f000-\U0001faff]\ufe0f?"
)
_ARABIC = r"[\u0620-\u065f\u066e-\u06dc\u06df-\u06ef\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c9]"
_INDIC = r"[\u0900-\u0dff\u1000-\u109f\u1780-\u17b3\u17b6-\u17d3]"
_NEEDED = (
    rf"{_PICTURE}(?:\u200d{_PICTURE})*|[0-9#*]\ufe0f\u20e3"
    rf"|(?<={_ARABIC})[\u200c\u200d](?={_ARABIC})|(?<={_INDIC})[\u200c\u200d](?={_INDIC})"
)
_SHOWN = re.compile(f"(?P<needed>{_NEEDED})|{_HIDDEN}")


def printable(text: str) -> str:
    """The text with what hides in it as \\u escapes, spelled as JSON does. Tab, newline and CRLF stay."""
    return text if text.isascii() and text.isprintable() else _SHOWN.sub(_json_escape, text)


def one_line(text: str) -> str:
    """As ``printable``, of a text that stands in one line: what it quotes cannot begin another, such as a false next step."""
    return printable(text).replace("\r\n", "\\r\\n").replace("\n", "\\n")


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 file", "1,200 files"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def address(url: str) -> str:
    """A URL or a path of one with what hides in it percent-encoded, so that it still names the same when it is copied."""
    return _SHOWN.sub(_percent_encoded, url)


def _json_escape(match: re.Match[str]) -> str:
    return match.group() if match["needed"] else json.dumps(match.group())[1:-1]


def _percent_encoded(match: re.Match[str]) -> str:
    return match.group() if match["needed"] else quote(match.group(), errors="surrogateescape")
