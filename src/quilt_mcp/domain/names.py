"""Names: packages, logical keys, and what someone probably meant when a name is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from quilt_mcp.errors import InvalidName

_PACKAGE_NAME: Final = re.compile(r"[\w-]+/[\w-]+")
_SUGGEST_LIMIT: Final = 20_000
"""How many candidates a suggestion looks at: a hint must not cost more than the answer."""
_SUGGEST_LENGTH: Final = 200
_NEAR: Final = 0.6


def is_package_name(text: str) -> bool:
    return _PACKAGE_NAME.fullmatch(text) is not None


def validate_package_name(text: str) -> str:
    """Checks ``namespace/name``, each of Unicode letters, digits, '_' and '-'. Returns it unchanged; raises InvalidName.

    Refuses a trailing newline, unlike quilt3.
    """
    if _PACKAGE_NAME.fullmatch(text):
        return text
    raise InvalidName(
        f"{text[:200]!r} is not a package name: {_package_name_fault(text)}.",
        next_step="Write it as namespace/name (letters, digits, '_' and '-'), such as 'demo/flowers'; "
        "packages_list shows the names in a registry.",
        details={"name": text[:200]},
    )


def _package_name_fault(text: str) -> str:
    if not text:
        return "it is empty"
    parts = text.split("/")
    if len(parts) == 1:
        return "it has no '/' between namespace and name"
    if len(parts) > 2:
        return f"it has {len(parts) - 1} slashes, and one is needed"
    for part, role in zip(parts, ("namespace", "name"), strict=True):
        if not part:
            return f"its {role} is empty"
    odd = sorted(set(re.findall(r"[^\w/-]", text)))
    return "it holds " + ", ".join(repr(char) for char in odd[:5])


def validate_logical_key(text: str) -> str:
    """Checks a file's path in a package: '/'-separated, no empty, '.' or '..' component (quilt3's rules), and besides no
    NUL and no lone surrogate (no file system and no manifest could hold them). Returns it unchanged; raises InvalidName."""
    plain = text.isascii() and "/." not in text and "//" not in text and "\0" not in text
    if plain and text and text[0] not in "./" and text[-1] != "/":
        return text
    fault = _logical_key_fault(text)
    if fault is None:
        return text
    raise InvalidName(
        f"{text[:200]!r} is not a logical key: {fault}.",
        next_step="Write a relative path to a file, such as 'data/table.csv', with no empty, '.' or '..' part.",
        details={"logical_key": text[:200].encode("utf-8", "backslashreplace").decode()},
    )


def _logical_key_fault(text: str) -> str | None:
    if not text:
        return "it is empty"
    if "\0" in text:
        return "it holds a NUL character"
    if not encodable(text):
        return "it holds a lone surrogate, which is not a Unicode character"
    if text.endswith("/"):
        return "it ends in '/' as a folder does, and a file is meant"
    if text.startswith("/"):
        return "it starts with '/', and keys are relative"
    for part in text.split("/"):
        if part in ("", ".", ".."):
            return f"it has {part!r} as a part of the path" if part else "it has an empty part ('//')"
    return None


def encodable(text: str, errors: str = "strict") -> bool:
    """Whether UTF-8 can write ``text``: it holds no lone surrogate, half of a pair that stands for one character.

    With ``errors`` "surrogateescape" those are let pass by which Python names files whose bytes are not UTF-8.
    """
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True


def walk_key(logical_key: str) -> str:
    """The sort key of walk order: comparing it is comparing ``logical_key.split('/')``.

    NUL is smaller than every character a logical key may hold, so folders sort as quilt3 walks them.
    """
    return logical_key.replace("/", "\0")


def walk_bytes(logical_key: str) -> bytes:
    """``walk_key`` as bytes, which compare as the text does; a local file's name may hold bytes that are no UTF-8."""
    return walk_key(logical_key).encode(errors="surrogatepass")


def suggest(text: str, candidates: Iterable[str], n: int = 3) -> list[str]:
    """At most ``n`` of the candidates that ``text`` was probably meant to be, best first; empty when none is near.

    Looks at the first 20,000 candidates only.
    """
    wanted = text[:_SUGGEST_LENGTH].casefold()
    if not wanted:
        return []
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    pool = dict.fromkeys(islice(candidates, _SUGGEST_LIMIT))
    scored = [
        (_nearness(candidate[:_SUGGEST_LENGTH].casefold(), wanted, matcher), candidate) for candidate in pool
    ]
    near = sorted((-score, candidate) for score, candidate in scored if score >= _NEAR)
    return [candidate for _, candidate in near[:n]]


def _nearness(candidate: str, wanted: str, matcher: difflib.SequenceMatcher[str]) -> float:
    """Equal, then one the start of the other, then the same last part, then the share of equal characters."""
    if candidate == wanted:
        return 2.0
    if len(wanted) > 2 and (candidate.startswith(wanted) or wanted.startswith(candidate)):
        return 1.2
    tail = wanted.rpartition("/")[2]
    if len(tail) > 2 and candidate.rpartition("/")[2] == tail:
        return 1.1
    matcher.set_seq1(candidate)
    is_hopeless = matcher.real_quick_ratio() < _NEAR or matcher.quick_ratio() < _NEAR
    return 0.0 if is_hopeless else matcher.ratio()
