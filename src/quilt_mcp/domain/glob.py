"""Globs: one meaning of a pattern, in folders, in buckets, and in ``include`` and ``exclude``.

    *   ?   [...]    match within a name, never a '/'
    **               as a whole name matches any folders, also none; at the end of a pattern, every file below

As in a shell, no wildcard matches a dot at the beginning of a name, unless hidden names are asked for. In a URL, what is
percent-encoded is no wildcard. Matching takes time in proportion to the names of the pattern times those of the path, so a
hostile pattern costs no more than a long one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from urllib.parse import unquote

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.errors import InvalidArgument

_WILDCARD = re.compile(r"[*?\[]")
_LONGEST = 1000
"""Characters of a pattern that is matched with every path there is."""
_ENCODED_WILDCARD = re.compile(r"%(?:2A|3F|5B)", re.IGNORECASE)


class Glob:
    """A compiled pattern of whole paths, '/'-separated on every system. ``hidden``: wildcards match leading dots too."""

    def __init__(self, pattern: str, *, hidden: bool = False) -> None:
        names = pattern.split("/")
        if names[-1] == "**":
            names.append("*")
        self._names = tuple(None if name == "**" else _name_pattern(name, hidden) for name in names)
        self._crossed = _name_pattern("*", hidden)
        self._names_dots = any(name.startswith(".") for name in names)

    def matches(self, path: str) -> bool:
        """Each part of the pattern after a '**' is matched as far left as it goes: no later place could match more."""
        names = path.split("/")
        asked = at = 0
        retry: tuple[int, int] | None = None
        while at < len(names):
            wanted = self._names[asked] if asked < len(self._names) else None
            if wanted is not None and wanted.match(names[at]):
                asked, at = asked + 1, at + 1
            elif wanted is None and asked < len(self._names):
                asked += 1
                retry = asked, at
            elif retry is not None and self._crossed.match(names[retry[1]]):
                asked, at = retry = retry[0], retry[1] + 1
            else:
                return False
        return asked == len(self._names)

    def may_hold(self, folder: str) -> bool:
        """Whether a file below ``folder`` can match."""
        names = folder.split("/")
        for place, (wanted, name) in enumerate(zip(self._names, names, strict=False)):
            if wanted is None:
                return self._names_dots or all(self._crossed.match(rest) for rest in names[place:])
            if not wanted.match(name):
                return False
        return len(names) < len(self._names)


def has_wildcard(text: str) -> bool:
    return _WILDCARD.search(text) is not None


def without_wildcards(pattern: str) -> str:
    """What is left of a pattern as the text of a path."""
    return re.sub(r"[*?\[\]]", "", pattern)


def parse_glob_url(url: str) -> PhysicalKey:
    """The key whose path is the pattern. '?' and '#' stand in it as they are. Raises InvalidUri."""
    literal = _ENCODED_WILDCARD.sub(lambda encoded: f"[{unquote(encoded[0])}]", url)
    return PhysicalKey.parse(literal.replace("?", "%3F").replace("#", "%23"))


def split_glob(pattern: str) -> tuple[str, str]:
    """The folder that every match lies in ('' or ending in '/'), and the pattern below it. Needs a wildcard."""
    start = re.split(_WILDCARD, pattern, maxsplit=1)[0].rfind("/") + 1
    return pattern[:start], pattern[start:]


class Choice:
    """What the patterns of ``include`` and ``exclude`` take. A pattern is read as in a ``.gitignore``:

    x       a file or folder of that name, anywhere; so is *.x
    x/      only a folder
    d/x     beginning where the files do, as ./x and /x

    A folder stands for all that is below it, but for a pattern with other '/' whose last name has a wildcard: ``d/*`` are the
    files directly in d, and ``d/**`` all. Hidden names are matched as others are.
    """

    def __init__(self, include: Iterable[str], exclude: Iterable[str]) -> None:
        self._include = [_Rule(f"include {pattern!r}", _matcher(pattern)) for pattern in include]
        self._exclude = [_Rule(f"exclude {pattern!r}", _matcher(pattern)) for pattern in exclude]

    def takes(self, path: str) -> bool:
        """Whether the file at ``path`` fits one of ``include`` (when there are any) and none of ``exclude``."""
        included = not self._include or _any_matches(self._include, path)
        return not _any_matches(self._exclude, path) and included

    def passes_over(self, folder: str) -> bool:
        """Whether ``exclude`` leaves out all that can lie below ``folder``, which ends in '/'."""
        return all(_any_matches(self._exclude, folder + any_name) for any_name in ("\0", "\0/\0"))

    @property
    def unmatched(self) -> list[str]:
        """The patterns that none of the paths asked for so far fits, as ``exclude 'x'``."""
        return [rule.text for rule in (*self._include, *self._exclude) if not rule.has_matched]


class Match:
    """What a single pattern takes, read as ``Choice`` reads one, for a million paths."""

    def __init__(self, pattern: str) -> None:
        """Raises InvalidArgument for what is no pattern."""
        if len(pattern) > _LONGEST or "\0" in pattern or not pattern.removeprefix("./").strip("/"):
            raise InvalidArgument(
                f"{pattern[:100]!r} is no pattern of paths.",
                next_step="Give one such as '*.csv' (that name in any folder), 'data/**/*.csv', or 'data/' (a folder).",
            )
        self._takes = _matcher(pattern)
        names = pattern.removeprefix("./").strip("/").split("/")
        pieces = [piece for name in names for piece in re.split(r"[*?]", name.partition("[")[0])]
        self.piece = max(pieces, key=len)
        """A text that stands in all that the pattern takes: looking for it first is quick."""

    def among(self, paths: Sequence[str]) -> list[int]:
        """The numbers of the paths that are taken."""
        piece, takes = self.piece, self._takes
        return [number for number, path in enumerate(paths) if piece in path and takes(path)]


@dataclass(slots=True)
class _Rule:
    text: str
    matches: Callable[[str], bool]
    has_matched: bool = False


def _any_matches(rules: list[_Rule], path: str) -> bool:
    """Asks every rule that has matched nothing yet, also when another matches."""
    found = False
    for rule in rules:
        if not (found and rule.has_matched) and rule.matches(path):
            found = rule.has_matched = True
    return found


def _matcher(pattern: str) -> Callable[[str], bool]:
    is_folder = pattern.endswith("/")
    path = pattern.removeprefix("./").strip("/")
    if "/" not in pattern.rstrip("/"):
        match, end = _name_pattern(path, hidden=True).match, -1 if is_folder else None
        return lambda found: any(map(match, found.split("/")[:end][::-1]))
    below = Glob(f"{path}/**", hidden=True).matches
    if is_folder:
        return below
    itself = Glob(path, hidden=True).matches
    if has_wildcard(path.rpartition("/")[2]):
        return itself
    return lambda found: itself(found) or below(found)


def _name_pattern(name: str, hidden: bool) -> re.Pattern[str]:
    return re.compile(("" if hidden or name.startswith(".") else r"(?!\.)") + translate(name))
