"""Lucene's spelling of texts, patterns and bounds, as they stand in a query string of Elasticsearch 6.8."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from quilt_mcp.domain.search.query.term import Between

_PLAIN: Final = re.compile(r"[A-Za-z0-9]+")
_PIECES: Final = re.compile(r"\\(.)|([*?])|(.)", re.DOTALL)
_LETTERS: Final = r"[^\W_\u0e00-\U0010ffff]+"
"""Of scripts that part words by spaces: of others an index holds single letters, or words by a dictionary."""
_WORD_PATTERN: Final = re.compile(rf"\*?{_LETTERS}\*|\*{_LETTERS}")
_MILLISECOND: Final = timedelta(milliseconds=1)


def phrase(text: str) -> str:
    """Words that stand one after the other. They are parted here by what parted them in the index, so signs are left in."""
    if _PLAIN.fullmatch(text) and text not in ("AND", "OR", "NOT", "TO"):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def word_pattern(pattern: str) -> str | None:
    """``R0*``, ``*fastq`` and ``*fastq*``; None for patterns that may reach over more than one word of the index."""
    return pattern if _WORD_PATTERN.fullmatch(pattern) else None


def beginning(text: str) -> str:
    return re.sub(r"[^\w]", r"\\\g<0>", text) + "*"


def regex(body: str) -> str:
    """Of a whole value."""
    return f"/{body}/"


def any_case(text: str) -> str:
    """``text`` in a regular expression; its letters may be of either case."""
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    cases = sorted({letter, letter.lower(), letter.upper()})
    if len(cases) > 1 and all(len(one) == 1 for one in cases):
        return f"[{''.join(cases)}]"
    return letter if letter.isalnum() else f"\\{letter}"


def whole(pattern: str) -> str:
    """A pattern over a whole value, in which ``*`` crosses everything, as a regular expression."""
    return _body(pattern, ".*", ".")


def path_regex(pattern: str) -> str:
    """A pattern over a path, as ``domain.glob.Match`` reads it: without a slash, of a name anywhere; else from the beginning."""
    path, is_folder = pattern.removeprefix("./").strip("/"), pattern.endswith("/")
    if "/" not in pattern.rstrip("/"):
        return rf"(.*\/)?{_name(path)}" + (r"\/.*" if is_folder else r"(\/.*)?")
    *folders, last = path.split("/")
    body = "".join(r"([^\/]+\/)*" if one == "**" else _name(one) + r"\/" for one in folders)
    body += ".+" if last == "**" else _name(last)
    has_wildcard = any(wild for _, wild, _ in _PIECES.findall(last))
    return body + (r"\/.+" if is_folder else "" if has_wildcard else r"(\/.+)?")


def _name(pattern: str) -> str:
    return _body(pattern, r"[^\/]*", r"[^\/]")


def _body(pattern: str, any_letters: str, any_letter: str) -> str:
    wild = {"*": any_letters, "?": any_letter}
    return "".join(
        wild[sign] if sign else _letter(escaped or text) for escaped, sign, text in _PIECES.findall(pattern)
    )


def numbers(test: Between) -> str:
    low, high = whole_bounds(test)
    return _range(_end(low), _end(high))


def moments(test: Between) -> str:
    return _range(*(f'"{spelled(one)}"' if one else "*" for one in moment_bounds(test)))


def spelled(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole_bounds(test: Between) -> tuple[int | None, int | None]:
    """The first and the last whole number within."""
    low, high = test.low, test.high
    first = last = None
    if isinstance(low, int | float):
        first = math.ceil(low) if test.with_low else math.floor(low) + 1
    if isinstance(high, int | float):
        last = math.floor(high) if test.with_high else math.ceil(high) - 1
    return first, last


def moment_bounds(test: Between) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment within, in milliseconds: an index counts no finer."""
    low, high = test.low, test.high
    first = last = None
    if isinstance(low, datetime):
        floor = _floor(low)
        first = floor if test.with_low and floor == low else _moved(floor, _MILLISECOND)
    if isinstance(high, datetime):
        floor = _floor(high)
        last = floor if test.with_high or floor < high else _moved(floor, -_MILLISECOND)
    return first, last


def _floor(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return moment


def _end(value: int | None) -> str:
    return "*" if value is None else str(value)


def _range(low: str, high: str) -> str:
    return f"[{low} TO {high}]"


def joined(operator: str, texts: Iterable[str]) -> str:
    """In parentheses, where there are several."""
    parts = list(dict.fromkeys(texts))
    return parts[0] if len(parts) == 1 else f"({f' {operator} '.join(parts)})"
