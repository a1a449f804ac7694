"""Held: what a catalog of all revisions has of each, and the statements that their rows come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from quilt_mcp.athena.tables import FOUR_TABLES
from quilt_mcp.search.engine import Connection
from quilt_mcp.search.parts import many
from quilt_mcp.search.tables import LivePart

_ENTRY: Final = "logical_key, physical_key, hash_type, hash_value, size"


@dataclass(frozen=True, slots=True)
class HeldRevision:
    """``number`` stands for it in the part ``part`` of the catalog. ``rows``: its files. ``weight``: see ``PublishedPart``."""

    part: int
    number: int
    rows: int
    weight: int


class Held:
    """The revisions of a catalog, each once whatever packages have it."""

    def __init__(self, parts: Sequence[LivePart], revisions: Mapping[str, HeldRevision]) -> None:
        self._parts = parts
        self.revisions = revisions
        self._numbers: dict[int, int] = {}
        for one in revisions.values():
            self._numbers[one.part] = self._numbers.get(one.part, 0) + 1

    @classmethod
    def read(cls, connection: Connection, parts: Sequence[LivePart]) -> Held:
        """Blocks."""
        found: dict[str, HeldRevision] = {}
        for at, part in enumerate(parts):
            where = "" if part.numbers is None else f" WHERE number IN ({_list(part.numbers)})"
            for number, top_hash, rows, weight in connection.rows(
                f"SELECT number, top_hash, entries, weight FROM {_read(part.heads)}{where}"
            ):
                found[top_hash] = HeldRevision(at, number, rows, weight)
        return cls(parts, found)

    def manifests(self, hashes: Iterable[str]) -> str:
        """The statement for their rows of ``package_manifest``."""
        return _union(
            "package_manifest",
            (
                f"SELECT top_hash, message, metadata FROM {_read(part.heads)}{where}"
                for part, where in self._wheres(hashes)
            ),
        )

    def entries(self, hashes: Iterable[str]) -> str:
        """The statement for their rows of ``package_entry``."""
        found: list[str] = []
        for part, where in self._wheres(hashes):
            if part.entries is not None:
                rows = f"SELECT number, {_ENTRY}, metadata FROM {_read(part.entries)}{where}"
                heads = f"SELECT number, top_hash FROM {_read(part.heads)}"
                found.append(
                    f"SELECT h.top_hash, {_ENTRY}, e.metadata FROM ({rows}) e JOIN ({heads}) h USING (number)"
                )
        return _union("package_entry", found)

    def bytes_a_row(self, connection: Connection) -> tuple[float, float]:
        """About how many bytes a row takes of ``package_manifest`` and of ``package_entry``. Blocks."""
        return (
            self._bytes_a_row(connection, "heads", ("top_hash", "message", "metadata")),
            self._bytes_a_row(connection, "entries", (*_ENTRY.split(", "), "metadata")),
        )

    def _bytes_a_row(self, connection: Connection, kind: str, columns: Sequence[str]) -> float:
        files = [
            str(path)
            for part in self._parts
            if (path := part.heads if kind == "heads" else part.entries) is not None
        ]
        if not files:
            return 0.0
        named = ", ".join(f"'{one}'" for one in columns)
        [(size, rows)] = connection.rows(
            f"SELECT sum(total_compressed_size), sum(num_values) / {len(columns)} FROM parquet_metadata({many(files)}) "
            f"WHERE path_in_schema IN ({named})"
        )
        return float(size) / float(rows) if rows else 0.0

    def _wheres(self, hashes: Iterable[str]) -> list[tuple[LivePart, str]]:
        """The parts that hold them, with what tells them from others there."""
        numbers: dict[int, list[int]] = {}
        for one in hashes:
            revision = self.revisions[one]
            numbers.setdefault(revision.part, []).append(revision.number)
        found: list[tuple[LivePart, str]] = []
        for at in sorted(numbers):
            part = self._parts[at]
            is_all = part.numbers is None and len(numbers[at]) == self._numbers[at]
            where = "" if is_all else f" WHERE number IN ({_list(sorted(numbers[at]))})"
            found.append((part, where))
        return found


def nothing(table: str) -> str:
    """The statement for a table without rows."""
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in FOUR_TABLES[table].items())
    return f"SELECT {columns} WHERE false"


def _union(table: str, parts: Iterable[str]) -> str:
    return " UNION ALL ".join(parts) or nothing(table)


def _read(path: object) -> str:
    return f"read_parquet({many([str(path)])}, hive_partitioning = false)"


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
