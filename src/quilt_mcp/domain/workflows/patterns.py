"""Regular expressions that come as data (a workflow's patterns), searched for within bounded time and memory.

Python's engine backtracks, holds the interpreter lock while it does, and cannot be stopped. It searches only where the tree
that Python's own parser makes of a pattern proves the search short. RE2, whose time is linear, makes the other searches.
RE2 decides only how a text is walked: which characters a place of the pattern accepts, Python is asked, so that classes
and letter case are those of ``re``. The answer is that of ``re.search``, whichever engine gives it. A search that is not
short and that RE2 cannot express (look-around, back-references) is refused. See decision 014.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

MAX_PATTERN: Final = 5_000
_SHORT: Final = 5_000_000
"""Steps of Python's engine: some tens of milliseconds."""
_LINEAR: Final = 300_000_000
"""A program's instructions times a text's characters: three seconds of RE2 at its slowest, without the interpreter lock."""
_LINEAR_MEMORY: Final = 1 << 20
_WIDEST: Final = 4_000_000
"""Characters in all ranges of a pattern together: Python goes through them one by one where letter case is ignored."""
_ROUND: Final = 10
"""Steps of one round of a repeated group, beside those of its parts."""
_ENDLESS: Final = 10**15
_CHARACTERS: Final = ("LITERAL", "NOT_LITERAL", "ANY", "IN", "CATEGORY")
"""Operations that take one character."""
_ASCII: Final = "".join(map(chr, range(128)))
_NOTHING: Final = r"[^\x{0}-\x{10ffff}]"

_parser: Any = importlib.import_module("re._parser")
_compiler: Any = importlib.import_module("re._compiler")


class UnsafePattern(ValueError):
    """A pattern that is not searched for; the message is a clause that says why."""


def check_pattern(pattern: str) -> None:
    """Raises UnsafePattern for a pattern that is malformed, or that no text is searched for."""
    _steps(pattern, 0)


def search(pattern: str, text: str) -> bool:
    """Whether ``re.search(pattern, text)`` finds anything. Raises UnsafePattern, also where the search would take too long.

    A short search takes microseconds, the first long one of a pattern about a millisecond. None can be cancelled.
    """
    if _steps(pattern, len(text)) <= _SHORT:
        return re.search(pattern, text) is not None
    re2: Any = importlib.import_module("re2")
    options = re2.Options()
    options.log_errors, options.max_mem = False, _LINEAR_MEMORY
    alphabet = (
        _ASCII * bool(text) if text.isascii() else _ASCII + "".join(sorted(set(text).difference(_ASCII)))
    )
    try:
        linear = re2.compile(_in_re2(pattern, alphabet, _end(text)), options)
        if len(text) * linear.programsize > _LINEAR:
            raise UnsafePattern(f"the text is longer than {_LINEAR // linear.programsize:,} characters")
        return linear.search(text) is not None
    except (re2.error, UnicodeEncodeError) as error:
        raise _not_in_re2() from error


def _not_in_re2() -> UnsafePattern:
    return UnsafePattern("it may take unbounded time, and RE2 cannot express it")


@lru_cache(maxsize=128)
def _tree(pattern: str) -> Any:
    """What Python's parser makes of a pattern: a sequence of (operation, value), with more of them inside."""
    if len(pattern) > MAX_PATTERN:
        raise UnsafePattern(f"it is longer than {MAX_PATTERN:,} characters")
    try:
        tree = _parser.parse(pattern)
        if _width(tree) > _WIDEST:
            raise UnsafePattern("the ranges of its character classes are too wide")
    except RecursionError as error:
        raise UnsafePattern("it is nested too deeply") from error
    except (re.error, OverflowError) as error:
        raise UnsafePattern(f"it is not a regular expression ({error})") from error
    return tree


def _width(node: Any) -> int:
    """Characters in the ranges below ``node``."""
    if not isinstance(node, (tuple, list, _parser.SubPattern)):
        return 0
    parts: list[Any] = list(node)
    if parts and str(parts[0]) == "RANGE":
        return parts[1][1] - parts[1][0]
    return sum(map(_width, parts))


# -- what a search costs Python's engine --


@lru_cache(maxsize=4096)
def _steps(pattern: str, length: int) -> int:
    """An upper bound of the steps that a search of ``length`` characters takes, whatever they are."""
    tree = _tree(pattern)
    _, steps = _sequence_cost(tree, length)
    is_anchored = len(tree) > 0 and str(tree[0][1]).startswith("AT_BEGINNING")
    return steps + length if is_anchored and not tree.state.flags & re.MULTILINE else steps * (length + 1)


def _sequence_cost(nodes: Iterable[Any], length: int) -> tuple[int, int]:
    """(in how many ways it may match from one place of a text, how many steps it takes to try them all)."""
    ways = steps = 1
    for operation, value in nodes:
        more, cost = _cost(str(operation), value, length)
        steps = min(_ENDLESS, steps + ways * cost)
        ways = min(_ENDLESS, ways * more)
    return ways, steps


def _cost(operation: str, value: Any, length: int) -> tuple[int, int]:
    match operation:
        case _ if operation in ("AT", "FAILURE", *_CHARACTERS):
            return 1, 1
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, inner = value
            return _repeat_cost(least, most, inner, length)
        case "SUBPATTERN":
            return _sequence_cost(value[3], length)
        case "BRANCH":
            costs = [_sequence_cost(branch, length) for branch in value[1]]
            return sum(ways for ways, _ in costs), sum(steps for _, steps in costs)
        case "ASSERT" | "ASSERT_NOT":
            direction, inner = value
            least, most = inner.getwidth()
            if direction < 0 and least != most:
                raise UnsafePattern("it is not a regular expression (look-behind requires fixed width)")
            return 1, _sequence_cost(inner, length)[1]
        case "GROUPREF":
            return 1, length + 1
        case "GROUPREF_EXISTS":
            costs = [_sequence_cost(branch or (), length) for branch in value[1:]]
            return max(ways for ways, _ in costs), max(steps for _, steps in costs)
        case "ATOMIC_GROUP":
            return 1, _sequence_cost(value, length)[1]
        case "POSSESSIVE_REPEAT":
            least, most, inner = value
            return 1, _repeat_cost(least, most, inner, length)[1]
        case _:
            raise UnsafePattern(f"it uses {operation.replace('_', ' ').lower()}, which is not known here")


def _repeat_cost(least: int, most: int, inner: Any, length: int) -> tuple[int, int]:
    ways, steps = _sequence_cost(inner, length)
    if len(inner) != 1 or str(inner[0][0]) not in _CHARACTERS:
        steps += _ROUND
    rounds = min(most, least + length + 1)  # beyond the least, a round that matches nothing is the last
    if ways == 1:
        return rounds - least + 1, rounds * steps + 1
    grown = min(_ENDLESS, ways ** min(rounds, 50))
    return 2 * grown, grown * steps


# -- the same pattern for RE2 --


def _end(text: str) -> str | None:
    """How RE2 says Python's '$' (the end, or before a newline there) for this text. None: it cannot."""
    if not text.endswith("\n"):
        return r"\z"
    return "(?m:$)" if text.find("\n") == len(text) - 1 else None


@lru_cache(maxsize=512)
def _in_re2(pattern: str, alphabet: str, end: str | None) -> str:
    """A pattern of RE2's that finds, in texts of this alphabet and end, what ``pattern`` finds in Python."""
    tree = _tree(pattern)
    return _Translation(alphabet, end).sequence(tree, tree.state.flags)


@dataclass(frozen=True, slots=True)
class _Translation:
    alphabet: str
    end: str | None

    def sequence(self, nodes: Iterable[Any], flags: int) -> str:
        return "".join(self._one(node, flags) for node in nodes)

    def _one(self, node: Any, flags: int) -> str:
        operation, value = str(node[0]), node[1]
        match operation:
            case _ if operation in _CHARACTERS:
                return self._accepted(node, flags)
            case "AT" if place := self._places(flags).get(str(value)):
                return place
            case "FAILURE":
                return _NOTHING
            case "ASSERT_NOT" if not len(value[1]):  # (?!), as some versions of Python read it
                return _NOTHING
            case "BRANCH":
                return f"(?:{'|'.join(self.sequence(branch, flags) for branch in value[1])})"
            case "SUBPATTERN":
                _, added, dropped, inner = value
                return f"(?:{self.sequence(inner, _compiler._combine_flags(flags, added, dropped))})"
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = value
                bound = "" if most == _parser.MAXREPEAT else most
                return f"(?:{self.sequence(inner, flags)}){{{least},{bound}}}"
            case _:
                raise _not_in_re2()

    def _accepted(self, node: Any, flags: int) -> str:
        """Any of the characters that Python takes in this place."""
        taken = _compiler.compile(_parser.SubPattern(_parser.State(), [node]), flags).findall(self.alphabet)
        members = "".join(rf"\x{{{ord(character):x}}}" for character in taken)
        return f"[{members}]" if members else _NOTHING

    def _places(self, flags: int) -> dict[str, str | None]:
        is_multiline = flags & re.MULTILINE
        places = {
            "AT_BEGINNING": "(?m:^)" if is_multiline else r"\A",
            "AT_BEGINNING_STRING": r"\A",
            "AT_END": "(?m:$)" if is_multiline else self.end,
            "AT_END_STRING": r"\z",
        }
        if not self.alphabet:  # where Python's own answer depends on its version
            places |= {"AT_BOUNDARY": _NOTHING, "AT_NON_BOUNDARY": "" if re.search(r"\B", "") else _NOTHING}
        elif flags & re.ASCII or self.alphabet == _ASCII:  # RE2's words are of ASCII
            places |= {"AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B"}
        return places
