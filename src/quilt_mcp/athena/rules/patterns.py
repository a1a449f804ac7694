"""Regular expressions: from RE2's spelling to that of Java and Oniguruma, where one means the same in both."""

from __future__ import annotations

from typing import Final

from quilt_mcp.athena.rules.refusal import refusal

_CLASSES: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_PLAIN_ESCAPES: Final = frozenset("tnfr.+*?()[]{}|^$/-\\\"'#&~@%,:;<>=! ")
_META: Final = frozenset("\\.+*?()[]{}|^$&-~#")


def pattern_in_athena(pattern: str) -> str:
    """``\\d``, ``\\w`` and ``\\s`` are of ASCII in RE2, and ``$`` is the very end of a text. Raises NotSupported for what is not
    known to mean the same."""
    written: list[str] = []
    at, in_class, class_begins = 0, False, 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\":
            at += 1
            written.append(_escaped(pattern, at, in_class))
        elif in_class:
            if letter == "[" or pattern.startswith("&&", at):
                raise _unknown(
                    pattern, "'[' and '&&' within a class mean other things there", "Write \\[ for it"
                )
            in_class = letter != "]" or at == class_begins
            if letter == "]" and at == class_begins:
                raise _unknown(pattern, "']' as the first of a class ends it there", "Write \\] for it")
            written.append(letter)
        elif letter == "[":
            in_class, written = True, [*written, letter]
            if pattern.startswith("^", at + 1):
                at += 1
                written.append("^")
            class_begins = at + 1
        elif letter == "$":
            written.append(r"\z")
        elif letter == "(" and pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
            raise _unknown(
                pattern,
                "groups that begin with '(?' differ",
                "Leave the group unnamed, and give 'i' as the option",
            )
        elif letter in "*+?}" and pattern.startswith("+", at + 1):
            raise _unknown(pattern, "a second '+' keeps what it took there", "Leave it out")
        else:
            written.append(letter)
        at += 1
    if in_class:
        raise _unknown(pattern, "a class is not closed", "Close it with ']'")
    return "".join(written)


def _escaped(pattern: str, at: int, in_class: bool) -> str:
    letter = pattern[at : at + 1]
    if letter in _CLASSES:
        return _CLASSES[letter] if in_class else f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES and not in_class:
        return f"[^{_CLASSES[letter.lower()]}]"
    if letter in ("A", "z") and not in_class:
        return f"\\{letter}"
    if letter and letter in _PLAIN_ESCAPES:
        return f"\\{letter}"
    raise _unknown(
        pattern, f"\\{letter} means something else there", "Write the letters or classes that are meant"
    )


def is_anchored(pattern: str) -> bool:
    """Whether it can fit once only: it begins at the text's beginning in every alternative."""
    depth = 0
    escaped = in_class = False
    for letter in pattern:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif in_class:
            in_class = letter != "]"
        elif letter == "[":
            in_class = True
        else:
            depth += (letter == "(") - (letter == ")")
            if letter == "|" and depth == 0:
                return False
    return pattern.startswith(("^", "\\A")) and not pattern.startswith(("^*", "^?", "^{"))


def replacement_in_athena(replacement: str) -> str:
    """``\\1`` becomes ``$1``, and what ``$`` and ``\\`` stand for is themselves."""
    written: list[str] = []
    at = 0
    while at < len(replacement):
        letter = replacement[at]
        if letter == "\\" and at + 1 < len(replacement):
            at += 1
            follower = replacement[at]
            if not (follower.isascii() and follower.isdigit()) and follower != "\\":
                raise refusal(
                    f"The replacement {replacement!r}",
                    f"\\{follower} is no group",
                    "Write \\1 to \\9 for groups",
                )
            if follower.isdigit() and replacement[at + 1 : at + 2].isdigit():
                raise refusal(
                    f"The replacement {replacement!r}",
                    "a digit after a group's number is read as part of it there",
                )
            written.append("\\\\" if follower == "\\" else f"${follower}")
        else:
            written.append("\\" + letter if letter in "$\\" else letter)
        at += 1
    return "".join(written)


def quoted_for_class(letters: str) -> str:
    return "".join(f"\\{one}" if one in _META else one for one in letters)


def like_pattern(glob: str) -> str:
    """A pattern of LIKE with ``\\`` as its escape, for a pattern of GLOB. Raises NotSupported for classes."""
    if "[" in glob or "\\" in glob:
        raise refusal(f"GLOB {glob!r}", "there are no classes of characters in LIKE", "Use regexp_matches")
    return "".join({"*": "%", "?": "_"}.get(one, f"\\{one}" if one in "%_" else one) for one in glob)


def escaped_for_like(literal: str) -> str:
    return "".join(f"\\{one}" if one in "%_\\" else one for one in literal)


def _unknown(pattern: str, why: str, instead: str) -> Exception:
    return refusal(f"The regular expression {pattern!r}", why, instead)
