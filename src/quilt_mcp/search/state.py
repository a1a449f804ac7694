"""State: what a catalog holds, as one small file that is replaced as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from quilt_mcp.storage.cached import CATALOG_FORMAT

FORMAT: Final = CATALOG_FORMAT
KINDS: Final = ("heads", "fields", "entries")
"""The tables of a part."""


@dataclass(frozen=True, slots=True)
class Part:
    """Packages that were added together. ``sha256``: of each table's file, by its kind, and so its name; one without rows has
    none. ``entries`` counts their files' rows, ``bytes`` is what the tables take on disk, and ``weight`` what packages said of
    themselves before it was packed."""

    sha256: Mapping[str, str]
    packages: int
    entries: int
    bytes: int
    weight: int = 0

    @property
    def id(self) -> str:
        return self.sha256["heads"]


@dataclass(frozen=True, slots=True)
class Known:
    """A package in the catalog: the revision that ``number`` stands for in the part ``part``. ``seen``: what tells that it is
    still the latest."""

    number: int
    top_hash: str
    seen: str
    part: str
    lacks_text: bool = False
    """Its README was not read: that would have been one request too many."""
    columns: int = 0
    """How many columns of its tables are known."""


ALIAS: Final = "-"
"""The part of a pointer to a revision that another pointer of the same package stands for already."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A package whose latest revision could not be read, and why."""

    seen: str
    code: str


@dataclass(frozen=True, slots=True)
class State:
    """``packages``: by name; where every revision counts, by name and time (``registry.reading.pointed``). ``waiting``: those
    that are there and not yet in the catalog, when it was last looked at."""

    url: str
    as_of: float = 0.0
    next_number: int = 1
    parts: tuple[Part, ...] = ()
    packages: Mapping[str, Known] = field(default_factory=dict[str, Known])
    unread: Mapping[str, Unread] = field(default_factory=dict[str, Unread])
    waiting: int = 0
    notices: tuple[str, ...] = ()
    """Warnings of the listing that it was last looked at by."""

    @property
    def digest(self) -> str:
        """Of all but the moment at which it was looked at."""
        return hashlib.sha256(_text(replace(self, as_of=0.0, waiting=0, notices=())).encode()).hexdigest()[
            :32
        ]

    def dump(self) -> bytes:
        """As bytes for ``load``, with a checksum."""
        body = _text(self).encode()
        return hashlib.sha256(body).hexdigest().encode() + body

    @classmethod
    def load(cls, dumped: bytes) -> State:
        """Raises ValueError, KeyError, TypeError, AttributeError, RecursionError for what is damaged, or of another version."""
        body = dumped[64:]
        if hashlib.sha256(body).hexdigest().encode() != dumped[:64]:
            raise ValueError("the catalog is damaged")
        found: dict[str, Any] = json.loads(body)
        if found.pop("format") != FORMAT:
            raise ValueError("the catalog is of another version")
        parts = tuple(Part(**one) for one in found.pop("parts"))
        packages = {name: Known(*one) for name, one in found.pop("packages").items()}
        unread = {name: Unread(*one) for name, one in found.pop("unread").items()}
        notices = tuple(found.pop("notices"))
        return cls(**found, parts=parts, packages=packages, unread=unread, notices=notices)


def _text(state: State) -> str:
    rest: dict[str, Any] = {
        "format": FORMAT,
        "url": state.url,
        "as_of": state.as_of,
        "next_number": state.next_number,
        "waiting": state.waiting,
        "notices": list(state.notices),
        "parts": [asdict(one) for one in state.parts],
        "packages": {
            name: [one.number, one.top_hash, one.seen, one.part, one.lacks_text, one.columns]
            for name, one in state.packages.items()
        },
        "unread": {name: [one.seen, one.code] for name, one in state.unread.items()},
    }
    return json.dumps(rest, sort_keys=True, separators=(",", ":"))


def sized(parts: Sequence[Part]) -> int:
    return sum(one.bytes for one in parts)
