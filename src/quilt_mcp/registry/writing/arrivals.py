"""Arrivals: the files that come into a new revision, and the entry that each of them becomes.

They stand in a table of SQLite's, which holds them in memory while they are few and lets the rest go to a private temporary
file: a million files take as much memory as some thousands. Nothing outlives the call that made them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.codec import IntegralFloat, encode_meta
from quilt_mcp.domain.entry import Entry, Hash, JsonObject
from quilt_mcp.domain.names import walk_key
from quilt_mcp.errors import DuplicateKey, InternalError, StorageFull, StorageUnavailable

_PAGE: Final = 1000
_FEW: Final = 10_000
"""Up to here the keys are held as a set too: a look-up in the table takes thirty times as long."""
_MEMORY_KB: Final = 16 << 10
_ENTRY: Final = "walk BLOB PRIMARY KEY, physical_key BLOB, size, hash_type BLOB, hash BLOB, meta TEXT"
_COLUMNS: Final = _ENTRY.split(", ")
_TABLES: Final = f"""
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_MEMORY_KB};
    CREATE TABLE incoming (
        walk BLOB PRIMARY KEY, source, size, bucket TEXT, path BLOB, version BLOB, hash_type BLOB, hash BLOB, meta TEXT
    ) WITHOUT ROWID;
    CREATE TABLE replaced ({_ENTRY}) WITHOUT ROWID;
    CREATE TABLE finished ({_ENTRY}) WITHOUT ROWID;
    BEGIN;
"""
"""``walk`` orders keys as manifests do; columns without a type keep a number as it is given."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that comes in. Its bytes lie at ``physical_key``, or are ``content``.

    ``hash`` is known when the file comes from another package, None when its bytes must be read first.
    """

    logical_key: str
    size: int
    meta: JsonObject
    physical_key: PhysicalKey | None = None
    content: bytes | None = None
    hash: Hash | None = None

    @property
    def origin(self) -> str:
        return "inline" if self.physical_key is None else str(self.physical_key)

    def unread(self) -> Entry:
        """The entry as far as it is known before its bytes are read."""
        return Entry(self.logical_key, self.origin, self.size, self.hash, self.meta)


class Arrivals:
    """Incoming files by logical key; beside each the parent's entry that it replaces, and its own entry once it is finished.

    A context manager, whose end drops them. Methods block, for microseconds each; one thread after another may call them, and
    iterating sees what is added behind it. All raise StorageFull where the temporary file finds no room.
    """

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._sources: list[str] = []
        self._few: set[str] | None = set()
        self._count = 0
        self.size = 0
        """Bytes of all together."""
        with _typed():
            self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._table.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()

    def __len__(self) -> int:
        return self._count

    # -- what comes in --

    def add(self, items: Iterable[Incoming], source: str) -> int:
        """Takes the files of one source (a phrase that names it), and answers how many. Raises DuplicateKey when another file
        has claimed a logical key, InvalidMetadata for metadata that is not JSON."""
        if not self._sources or self._sources[-1] != source:
            self._sources.append(source)
        number = len(self._sources) - 1
        before = self._count
        for item in items:
            try:
                with _typed():
                    self._table.execute("INSERT INTO incoming VALUES (?,?,?,?,?,?,?,?,?)", _row(item, number))
            except sqlite3.IntegrityError as error:
                raise self._claimed_twice(item.logical_key, source) from error
            if item.content is not None:
                self._contents[item.logical_key] = item.content
            self._count += 1
            self.size += item.size
            if self._few is not None:
                self._few.add(item.logical_key)
                if self._count > _FEW:
                    self._few = None
        return self._count - before

    def _claimed_twice(self, logical_key: str, source: str) -> DuplicateKey:
        number: int = self._ask("SELECT source FROM incoming WHERE walk = ?", _walk(logical_key))[0][0]
        other = self._sources[number]
        return DuplicateKey(
            f"Two sources claim the logical key {logical_key!r}: {other} and {source}.",
            next_step="Give each source a `to` of its own (a folder prefix keeps their files apart).",
            details={"path": logical_key, "sources": [other, source]},
        )

    def __contains__(self, logical_key: str) -> bool:
        if self._few is not None:
            return logical_key in self._few
        return bool(self._ask("SELECT 1 FROM incoming WHERE walk = ?", _walk(logical_key)))

    def __iter__(self) -> Iterator[Incoming]:
        """In walk order."""
        for walk, _, size, bucket, path, version, hash_type, value, meta in self._pages(
            "SELECT * FROM incoming"
        ):
            key = _logical_key(walk)
            place = None if path is None else PhysicalKey(bucket, _text(path), version and _text(version))
            yield Incoming(
                key, _size(size), _meta(meta), place, self._contents.get(key), _hash(hash_type, value)
            )

    def any_below(self, folder: str) -> bool:
        """Whether a file comes into ``folder`` (which ends in '/')."""
        start = _walk(folder)
        end = start[:-1] + b"\x01"
        return bool(self._ask("SELECT 1 FROM incoming WHERE walk > ? AND walk < ? LIMIT 1", start, end))

    # -- what it replaces --

    def replace_none(self) -> None:
        """Forgets what is replaced: the files are to come into another parent."""
        self._ask("DELETE FROM replaced")

    def replace(self, entry: Entry) -> None:
        """Notes the parent's entry of the same key as one that comes in."""
        self._keep("replaced", entry)

    def replaced(self, logical_key: str) -> Entry | None:
        return self._entry("replaced", logical_key)

    def replaced_by(self, items: Sequence[Incoming]) -> dict[str, Entry]:
        """By logical key, for those of a group that replace something."""
        walks = [_walk(item.logical_key) for item in items]
        rows = self._ask(f"SELECT * FROM replaced WHERE walk IN ({_marks(walks)})", *walks)  # noqa: S608 - marks alone
        return {entry.logical_key: entry for entry in map(_as_entry, rows)}

    @property
    def replaced_count(self) -> int:
        return self._ask("SELECT count(*) FROM replaced")[0][0]

    # -- what it becomes --

    def finish(self, *entries: Entry) -> None:
        """In one step, for a group of them: between two steps the threads that read files would come first."""
        self._keep("finished", *entries)

    def finished(self, logical_key: str) -> Entry | None:
        return self._entry("finished", logical_key)

    def entries(self) -> Iterator[Entry]:
        """The finished entries, in walk order. Raises InternalError while one is not finished."""
        [(count,)] = self._ask("SELECT count(*) FROM finished")
        if count != self._count:
            raise InternalError(f"{self._count - count} files that come in have no entry yet.")
        for row in self._pages("SELECT * FROM finished"):
            yield _as_entry(row)

    def unchanged(self) -> int:
        """How many finished entries have the hash, size and metadata of the one they replace."""
        columns = "f.walk, f.physical_key, f.size, f.hash_type, f.hash, f.meta, r.meta"
        joined = f"SELECT {columns} FROM replaced r JOIN finished f USING (walk, size, hash_type, hash)"  # noqa: S608
        return sum(_meta(row[5]) == _meta(row[6]) for row in self._pages(joined))

    # -- the table --

    def _keep(self, table: str, *entries: Entry) -> None:
        row = f"({_marks(_COLUMNS)})"
        rows = ",".join([row] * len(entries))
        given = (value for entry in entries for value in _entry_row(entry))
        self._ask(f"INSERT OR REPLACE INTO {table} VALUES {rows}", *given)  # noqa: S608 - a name of ours, and marks

    def _entry(self, table: str, logical_key: str) -> Entry | None:
        rows = self._ask(f"SELECT * FROM {table} WHERE walk = ?", _walk(logical_key))  # noqa: S608 - a name of ours
        return _as_entry(rows[0]) if rows else None

    def _ask(self, statement: str, *given: Any) -> list[Any]:
        with _typed():
            return self._table.execute(statement, given).fetchall()

    def _pages(self, select: str) -> Iterator[Any]:
        """All rows by their first column, ``walk``. No statement stays open between two pages, so rows may be written."""
        after = b""
        while rows := self._ask(f"{select} WHERE walk > ? ORDER BY walk LIMIT {_PAGE}", after):
            yield from rows
            after = rows[-1][0]


def _row(item: Incoming, source: int) -> tuple[Any, ...]:
    place, found = item.physical_key, item.hash
    return (
        _walk(item.logical_key),
        source,
        _number(item.size),
        place and place.bucket,
        place and _bytes(place.path),
        place and place.version_id and _bytes(place.version_id),
        found and _bytes(found.type),
        found and _bytes(found.value),
        encode_meta(item.meta, item.logical_key) if item.meta else None,
    )


def _entry_row(entry: Entry) -> tuple[Any, ...]:
    found = entry.hash
    return (
        _walk(entry.logical_key),
        _bytes(entry.physical_key),
        _number(entry.size),
        found and _bytes(found.type),
        found and _bytes(found.value),
        encode_meta(entry.meta, entry.logical_key) if entry.meta else None,
    )


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _as_entry(row: Any) -> Entry:
    walk, place, size, hash_type, value, meta = row[:6]
    return Entry(_logical_key(walk), _text(place), _size(size), _hash(hash_type, value), _meta(meta))


def _walk(logical_key: str) -> bytes:
    return _bytes(walk_key(logical_key))


def _logical_key(walk: bytes) -> str:
    return _text(walk).replace("\0", "/")


def _bytes(text: str) -> bytes:
    """Of any text: the name of a local file may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")


def _number(size: int | None) -> float | None:
    return float(size) if type(size) is IntegralFloat else size


def _size(stored: float) -> int:
    return IntegralFloat(stored) if isinstance(stored, float) else stored


def _hash(hash_type: bytes | None, value: bytes | None) -> Hash | None:
    return None if hash_type is None or value is None else Hash(_text(hash_type), _text(value))


def _meta(stored: str | None) -> JsonObject:
    return json.loads(stored) if stored else {}


@contextmanager
def _typed() -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname == "SQLITE_FULL" or error.sqlite_errorname.startswith("SQLITE_IOERR"):
            raise StorageFull(
                f"The files of this call are too many for the room in the system's folder for temporary files ({error}).",
                next_step="Free some space there, or set TMPDIR to a folder with more, then make the same call again.",
            ) from error
        raise StorageUnavailable(
            f"The table of this call's files cannot be used: {error}.",
            next_step="Set TMPDIR to a folder that can be written, then make the same call again.",
        ) from error
