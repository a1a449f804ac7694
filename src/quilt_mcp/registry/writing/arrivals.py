"""Arrivals: the files that come into a new revision, and the entry that each of them becomes.

They stand in a scratch table: a million files take as much memory as some thousands. Nothing outlives the call.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry, Hash, JsonObject
from quilt_mcp.domain.manifest.codec import IntegralFloat, dump
from quilt_mcp.domain.metadata import with_user_meta
from quilt_mcp.domain.names import walk_bytes
from quilt_mcp.errors import DuplicateKey, InternalError
from quilt_mcp.storage.scratch import ScratchTable

_PAGE: Final = 1000
_FEW: Final = 10_000
"""Up to here the keys are held as a set too: a look-up in the table takes thirty times as long."""
_TABLES: Final = """
    CREATE TABLE incoming (walk BLOB PRIMARY KEY, fields TEXT, source INTEGER) WITHOUT ROWID;
    CREATE TABLE replaced (walk BLOB PRIMARY KEY, fields TEXT) WITHOUT ROWID;
    CREATE TABLE finished (walk BLOB PRIMARY KEY, fields TEXT) WITHOUT ROWID;
"""
"""``walk`` orders keys as manifests do; ``fields`` are JSON."""
_encode = json.JSONEncoder().encode


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that comes in. Its bytes lie at ``physical_key``, or are ``content``.

    ``hash`` is known when the file comes from another package (of ``registry``), None when its bytes must be read first.
    """

    logical_key: str
    size: int
    meta: JsonObject
    physical_key: PhysicalKey | None = None
    content: bytes | None = None
    hash: Hash | None = None
    registry: str | None = None

    @property
    def origin(self) -> str:
        return "inline" if self.physical_key is None else str(self.physical_key)

    @property
    def record(self) -> Entry | None:
        """What another package records of these bytes; None when they come from none."""
        return None if self.hash is None else self.unread()

    def unread(self) -> Entry:
        """The entry as far as it is known before its bytes are read."""
        return Entry(self.logical_key, self.origin, self.size, self.hash, self.meta)

    def entry(self, physical_key: str, size: int, found: Hash) -> Entry:
        """The entry of bytes that lie at ``physical_key``; a recorded hash stands before the one that was found."""
        return Entry(self.logical_key, physical_key, size, self.hash or found, self.meta)


class Arrivals(ScratchTable):
    """Incoming files by logical key; beside each the parent's entry that it replaces, and its own entry once it is finished.

    A context manager, whose end drops them. Methods block for microseconds each. An iteration meets what is added behind it.
    """

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._sources: list[tuple[str, str | None]] = []
        self._few: set[str] | None = set()
        self._count = 0
        self.size = 0
        """Bytes of all together."""
        self.last = ""
        """The greatest logical key, in the order of a bucket's listing."""
        super().__init__(_TABLES)

    def __len__(self) -> int:
        return self._count

    # -- what comes in --

    def add(self, items: Iterable[Incoming], source: str, registry: str | None = None) -> int:
        """Adds the files of one source (a phrase that names it; the ``registry`` of a package), and answers how many. Raises
        DuplicateKey when another file has claimed a logical key, InvalidMetadata for metadata that is not JSON."""
        if not self._sources or self._sources[-1] != (source, registry):
            self._sources.append((source, registry))
        number = len(self._sources) - 1
        before = self._count
        for item in items:
            try:
                self.ask("INSERT INTO incoming VALUES (?,?,?)", *_row(item), number)
            except sqlite3.IntegrityError as error:
                raise self._claimed_twice(item.logical_key, source) from error
            if item.content is not None:
                self._contents[item.logical_key] = item.content
            self._count += 1
            self.size += item.size
            self.last = max(self.last, item.logical_key)
            if self._few is not None:
                self._few.add(item.logical_key)
                if self._count > _FEW:
                    self._few = None
        return self._count - before

    def _claimed_twice(self, logical_key: str, source: str) -> DuplicateKey:
        number: int = self.ask("SELECT source FROM incoming WHERE walk = ?", walk_bytes(logical_key))[0][0]
        other, _ = self._sources[number]
        return DuplicateKey(
            f"Two sources claim the logical key {logical_key!r}: {other} and {source}.",
            next_step="Give each source a `to` of its own (a folder prefix keeps their files apart).",
            details={"path": logical_key, "sources": [other, source]},
        )

    def __contains__(self, logical_key: str) -> bool:
        if self._few is not None:
            return logical_key in self._few
        return bool(self.ask("SELECT 1 FROM incoming WHERE walk = ?", walk_bytes(logical_key)))

    def __iter__(self) -> Iterator[Incoming]:
        """In walk order."""
        return map(self._incoming, self._pages("SELECT walk, fields, source FROM incoming"))

    def get(self, logical_key: str) -> Incoming | None:
        rows = self.ask("SELECT walk, fields, source FROM incoming WHERE walk = ?", walk_bytes(logical_key))
        return self._incoming(rows[0]) if rows else None

    def _incoming(self, row: Sequence[Any]) -> Incoming:
        walk, fields, source = row[:3]
        key = _logical_key(walk)
        address, size, found, meta = _fields(fields)
        physical_key = address and PhysicalKey(*address)
        content, (_, registry) = self._contents.get(key), self._sources[int(source)]
        return Incoming(key, size, meta, physical_key, content, found, registry)

    def keep_metadata(self, item: Incoming, user_meta: Any) -> Incoming:
        """The item with the user metadata of the entry that it replaces."""
        kept = replace(item, meta=with_user_meta(item.meta, user_meta))
        walk, fields = _row(kept)
        self.ask("UPDATE incoming SET fields = ? WHERE walk = ?", fields, walk)
        return kept

    def any_below(self, folder: str) -> bool:
        """Whether a file comes into ``folder`` (which ends in '/')."""
        start = walk_bytes(folder)
        end = start[:-1] + b"\x01"
        return bool(self.ask("SELECT 1 FROM incoming WHERE walk > ? AND walk < ? LIMIT 1", start, end))

    # -- what it replaces --

    def replace_none(self) -> None:
        """Forgets what is replaced: the files are to come into another parent."""
        self.ask("DELETE FROM replaced")

    def replace(self, entry: Entry) -> None:
        """Notes the parent's entry of the same key as one that comes in."""
        self._insert("replaced", entry)

    def replaced(self, *logical_keys: str) -> dict[str, Entry]:
        """The parent's entries noted at these keys, by key."""
        walks = [walk_bytes(key) for key in logical_keys]
        rows = self.ask(f"SELECT * FROM replaced WHERE walk IN ({_marks('?', walks)})", *walks)  # noqa: S608
        return {entry.logical_key: entry for entry in map(_entry, rows)}

    # -- what it becomes --

    def finish(self, *entries: Entry) -> None:
        """In one step, for a group of them: between two steps the threads that read files would come first."""
        self._insert("finished", *entries)

    def entries(self) -> Iterator[Entry]:
        """The finished entries, in walk order. Raises InternalError while one is not finished."""
        if not self.is_finished:
            raise InternalError("A file that comes in has no entry yet.")
        return map(_entry, self._pages("SELECT * FROM finished"))

    @property
    def is_finished(self) -> bool:
        return self.ask("SELECT count(*) FROM finished")[0][0] == self._count

    # -- what it comes to --

    def fresh(self, limit: int) -> Iterator[Incoming]:
        """The first that replace nothing, in walk order."""
        rows = self.ask(
            "SELECT walk, fields, source FROM incoming i WHERE NOT EXISTS "
            "(SELECT 1 FROM replaced r WHERE r.walk = i.walk) ORDER BY walk LIMIT ?",
            limit,
        )
        return map(self._incoming, rows)

    def met(self) -> Iterator[tuple[Incoming, Entry, Entry | None]]:
        """Each that replaces an entry, with that entry and what it becomes, once that is known; in walk order."""
        rows = self._pages(
            "SELECT walk, i.fields, i.source, r.fields, f.fields "
            "FROM replaced r JOIN incoming i USING (walk) LEFT JOIN finished f USING (walk)"
        )
        for row in rows:
            now = None if row[4] is None else _entry((row[0], row[4]))
            yield self._incoming(row), _entry((row[0], row[3])), now

    # -- the table --

    def _insert(self, table: str, *entries: Entry) -> None:
        given = (value for entry in entries for value in _row(entry))
        self.ask(f"INSERT OR REPLACE INTO {table} VALUES {_marks('(?,?)', entries)}", *given)  # noqa: S608

    def _pages(self, select: str) -> Iterator[Any]:
        """All rows by their first column, ``walk``. No statement stays open between two pages, so rows may be written."""
        after = b""
        while rows := self.ask(f"{select} WHERE walk > ? ORDER BY walk LIMIT {_PAGE}", after):
            yield from rows
            after = rows[-1][0]


def _row(item: Incoming | Entry) -> tuple[bytes, str]:
    """Raises InvalidMetadata for metadata that is not JSON."""
    address = item.physical_key
    if isinstance(address, PhysicalKey):
        address = [address.bucket, address.path, address.version_id]
    size = float(item.size) if type(item.size) is IntegralFloat else item.size
    found = item.hash and [item.hash.type, item.hash.value]
    fields = [address, size, found, dict(item.meta)]
    return walk_bytes(item.logical_key), dump(_encode, fields, item.logical_key)


def _fields(stored: str) -> tuple[Any, int, Hash | None, JsonObject]:
    address, size, found, meta = json.loads(stored)
    return address, IntegralFloat(size) if isinstance(size, float) else size, found and Hash(*found), meta


def _entry(row: tuple[bytes, str]) -> Entry:
    address, size, found, meta = _fields(row[1])
    return Entry(_logical_key(row[0]), address, size, found, meta)


def _marks(mark: str, values: Sequence[Any]) -> str:
    return ",".join([mark] * len(values))


def _logical_key(walk: bytes) -> str:
    return walk.decode("utf-8", "surrogatepass").replace("\0", "/")
