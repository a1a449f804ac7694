"""A manifest held as Python objects: for the many small ones, where a database would cost more than it saves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header, Record
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.names import suggest, walk_key
from quilt_mcp.errors import CorruptManifest
from quilt_mcp.registry.manifests.manifest import FolderRow, folder_path


@dataclass(frozen=True, slots=True)
class _Span:
    """Entries [first, last) in walk order."""

    first: int
    last: int


class MemoryManifest:
    """Immutable after construction, so safe between threads."""

    def __init__(
        self, top_hash: str, header: Header, records: Iterable[Record], modified: datetime | None = None
    ) -> None:
        """Raises CorruptManifest for two entries of one key, or a file where a folder is."""
        self.top_hash = top_hash
        self.header = header
        self.modified = modified
        entries: list[Entry] = []
        metas: dict[str, DirectoryMeta] = {}
        for record in records:
            if isinstance(record, Entry):
                entries.append(record)
            else:
                metas[record.logical_key] = record  # the last of two wins, as in quilt3
        entries.sort(key=lambda entry: walk_key(entry.logical_key))
        self._entries = entries
        self._keys = [walk_key(entry.logical_key) for entry in entries]
        self._metas = dict(sorted(metas.items(), key=lambda item: walk_key(item[0])))
        for before, after in pairwise(self._keys):
            if after.startswith(before):
                if before == after:
                    raise duplicate_key(after.replace("\0", "/"), top_hash)
                if after[len(before)] == "\0":
                    raise file_and_folder(before.replace("\0", "/"), top_hash)
        for path in self._metas:
            for end in (at for at, char in enumerate(path) if char == "/"):
                if self.entry(path[:end]) is not None:
                    raise file_and_folder(path[:end], top_hash)
        self._bytes_before = list(accumulate((entry.size or 0 for entry in entries), initial=0))
        self.totals = Totals(len(entries), self._bytes_before[-1])

    def folder(self, path: str, offset: int, limit: int) -> tuple[list[FolderRow], int]:
        path = folder_path(path)
        children = self._children(path)
        return [self._row(path, name, span) for name, span in children[offset : offset + limit]], len(
            children
        )

    def below(self, path: str, offset: int, limit: int) -> tuple[list[Entry], int]:
        span = self._span(folder_path(path))
        first = min(span.first + offset, span.last)
        return self._entries[first : min(first + limit, span.last)], span.last - span.first

    def entry(self, key: str) -> Entry | None:
        wanted = walk_key(key)
        at = bisect_left(self._keys, wanted)
        return self._entries[at] if at < len(self._keys) and self._keys[at] == wanted else None

    def folder_totals(self, path: str) -> Totals | None:
        path = folder_path(path)
        span = self._span(path)
        if path and span.first == span.last and not any(meta.startswith(path) for meta in self._metas):
            return None
        return Totals(span.last - span.first, self._bytes_before[span.last] - self._bytes_before[span.first])

    def directory_meta(self, path: str) -> Any:
        found = self._metas.get(folder_path(path))
        return None if found is None else found.meta

    def directory_metas(self) -> list[DirectoryMeta]:
        return list(self._metas.values())

    def records(self) -> Iterator[Record]:
        yield from self._metas.values()
        yield from self._entries

    def suggest(self, key: str) -> list[str]:
        return suggest_near(self, key)

    def _span(self, path: str) -> _Span:
        if not path:
            return _Span(0, len(self._keys))
        prefix = walk_key(path)
        first = bisect_left(self._keys, prefix)
        return _Span(first, bisect_left(self._keys, prefix[:-1] + "\x01", first))

    def _children(self, path: str) -> list[tuple[str, _Span | Entry]]:
        """Names in the folder with their entry, or the span below them. Skips from child to child, not entry to entry."""
        prefix = walk_key(path)
        span = self._span(path)
        children: dict[str, _Span | Entry] = {}
        at = span.first
        while at < span.last:
            name, slash, _ = self._keys[at][len(prefix) :].partition("\0")
            if slash:
                end = bisect_left(self._keys, f"{prefix}{name}\x01", at, span.last)
                children[name] = _Span(at, end)
                at = end
            else:
                children[name] = self._entries[at]
                at += 1
        from_entries = len(children)
        for meta in self._metas:
            if meta.startswith(path) and meta != path:
                children.setdefault(meta[len(path) :].partition("/")[0], _Span(span.first, span.first))
        if len(children) == from_entries:
            return list(children.items())
        return sorted(children.items(), key=lambda child: child[0])

    def _row(self, path: str, name: str, child: _Span | Entry) -> FolderRow:
        if isinstance(child, Entry):
            return FolderRow(child.logical_key, False, child, child.size or 0, 1)
        size = self._bytes_before[child.last] - self._bytes_before[child.first]
        return FolderRow(f"{path}{name}/", True, None, size, child.last - child.first)


SUGGEST_SCAN = 5_000
"""How many names a suggestion looks at in each folder it tries."""


def suggest_near(manifest: Any, key: str) -> list[str]:
    """Names near ``key``: in the deepest folder of it that exists, then among the first entries of the package."""
    folder = folder_path(key.rpartition("/")[0])
    while folder and manifest.folder_totals(folder) is None:
        folder = folder_path(folder[:-1].rpartition("/")[0])
    rows, _ = manifest.folder(folder, 0, SUGGEST_SCAN)
    near = suggest(key, [row.path for row in rows])
    if near:
        return near
    entries, _ = manifest.below("", 0, SUGGEST_SCAN)
    return suggest(key, [entry.logical_key for entry in entries])


def duplicate_key(key: str, top_hash: str) -> CorruptManifest:
    return CorruptManifest(
        f"Manifest {top_hash} is corrupt: {key[:200]!r} stands in it twice.",
        next_step="Choose another revision with package_log, or ask who wrote this one to push it again.",
        details={"top_hash": top_hash, "logical_key": key[:200]},
    )


def file_and_folder(key: str, top_hash: str) -> CorruptManifest:
    return CorruptManifest(
        f"Manifest {top_hash} is corrupt: {key[:200]!r} is a file and a folder at once.",
        next_step="Choose another revision with package_log, or ask who wrote this one to push it again.",
        details={"top_hash": top_hash, "logical_key": key[:200]},
    )
