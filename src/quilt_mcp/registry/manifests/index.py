"""Index: where the parts of a manifest stand among its lines, and its folders with their sums. Small beside the lines."""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

NO_META: Final = -1
_COLUMNS: Final = ("path_end", "first", "end", "entries", "size", "files", "folders", "after", "meta")
_HEAD: Final = ("metas", "entries", "size", "copy", "is_writable", "is_plain", "found_hash", "extensions")
_FORMAT: Final = f"quilt-mcp index 4 {sys.byteorder}"
_CHECKSUM: Final = 64


def _column() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Folders:
    """The folders of a revision in walk order, the root first, each known by its number (its slot). A column a fact:

    ``first`` and ``end`` bound the lines of the entries below it; ``entries`` and ``size`` sum these; ``files`` and ``folders``
    count what is directly in it; ``after`` is the slot after those below it; ``meta`` is where its metadata stands, or
    NO_META; ``path_end`` is where its path ends in ``paths``, which holds the walk keys of all, one after the other.
    """

    path_end: array[int] = field(default_factory=_column)
    first: array[int] = field(default_factory=_column)
    end: array[int] = field(default_factory=_column)
    entries: array[int] = field(default_factory=_column)
    size: array[int] = field(default_factory=_column)
    files: array[int] = field(default_factory=_column)
    folders: array[int] = field(default_factory=_column)
    after: array[int] = field(default_factory=_column)
    meta: array[int] = field(default_factory=_column)
    paths: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.first)

    def add(self, path: bytes, at: int) -> None:
        """A folder after those there are, with nothing in it yet. ``at``: where the lines of its entries begin."""
        for name in _COLUMNS:
            getattr(self, name).append(0)
        self.paths += path
        self.path_end[-1], self.first[-1], self.meta[-1] = len(self.paths), at, NO_META

    def path(self, slot: int) -> bytes:
        """The folder's walk key; b'' for the root."""
        return bytes(self.paths[self.path_end[slot - 1] if slot else 0 : self.path_end[slot]])

    def slot(self, path: bytes) -> int | None:
        """The slot of the folder with that walk key."""
        found = bisect_left(range(len(self)), path, key=self.path)
        return found if found < len(self) and self.path(found) == path else None

    def after_path(self, path: bytes) -> int:
        """The slot of the first folder that is neither that of walk key ``path`` nor below it, and comes after it."""
        return bisect_left(range(len(self)), path + b"\1", key=self.path)

    def dump(self) -> bytes:
        return b"".join((*(getattr(self, name).tobytes() for name in _COLUMNS), self.paths))

    @classmethod
    def load(cls, body: memoryview, count: int) -> Folders:
        loaded = cls()
        for number, name in enumerate(_COLUMNS):
            getattr(loaded, name).frombytes(body[number * count * 8 : (number + 1) * count * 8])
        loaded.paths += body[len(_COLUMNS) * count * 8 :]
        return loaded


@dataclass(frozen=True, slots=True)
class Index:
    """Offsets among the lines: ``metas`` is where the metadata of directories begins, ``entries`` where the entries do, ``size``
    where they end. ``copy`` is the SHA-256 of these lines where they are a copy of the manifest's; None: they are its own.
    ``is_writable``: no record holds what a manifest may not be written with. ``is_plain``: the entries are all such as
    ``plain_sizes`` takes. ``found_hash`` is the top hash that the lines
    really have, and ``extensions`` what ``scan.extensions`` found of all of them; None while nobody has asked."""

    metas: int
    entries: int
    size: int
    folders: Folders
    copy: str | None = None
    is_writable: bool = True
    is_plain: bool = False
    found_hash: str | None = None
    extensions: dict[str, list[int]] | None = None

    @property
    def held(self) -> int:
        """Bytes of memory that it takes."""
        return len(self.folders) * 8 * len(_COLUMNS) + len(self.folders.paths)

    def dump(self) -> bytes:
        """As bytes for ``load``, with a checksum."""
        head = {name: getattr(self, name) for name in _HEAD}
        text = json.dumps({"format": _FORMAT, "folders": len(self.folders), **head})
        body = f"{text}\n".encode() + self.folders.dump()
        return hashlib.sha256(body).hexdigest().encode() + body

    @classmethod
    def load(cls, dumped: bytes) -> Index:
        """Raises ValueError for what is damaged, or of another version."""
        body = memoryview(dumped)[_CHECKSUM:]
        if hashlib.sha256(body).hexdigest().encode() != dumped[:_CHECKSUM]:
            raise ValueError("the index is damaged, or of another version")
        feed = dumped.index(b"\n")
        head = json.loads(dumped[_CHECKSUM:feed])
        if head["format"] != _FORMAT:
            raise ValueError("the index is of another version")
        folders = Folders.load(memoryview(dumped)[feed + 1 :], head["folders"])
        return cls(folders=folders, **{name: head[name] for name in _HEAD})
