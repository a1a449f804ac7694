"""Manifest: what can be asked of one revision. Its own lines answer, through an index of them; few are read for a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from quilt_mcp.domain.entry import DirectoryMeta, Entry
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import decode_entry, decode_header, decode_record
from quilt_mcp.domain.manifest.top_hash import TopHash
from quilt_mcp.domain.names import suggest, walk_key
from quilt_mcp.domain.remembered import Remembered
from quilt_mcp.errors import CorruptManifest
from quilt_mcp.registry.manifests.index import NO_META, Index
from quilt_mcp.registry.manifests.lines import BLOCK, Lines

PAGE = 1000
"""Entries of a page, for those who go through all of them."""
_SUGGEST_SCAN = 5_000
"""How many names a suggestion looks at in each folder it tries."""
_OVERHEAD = 4 << 10
_FOLDERS_COUNTED = 50
_FIRST_READ = 16 << 10
"""A page is often over before much more was read."""


@dataclass(frozen=True, slots=True)
class FolderRow:
    """One line of a folder: a file with its ``entry``, or a folder (``path`` ends in '/') with the sums of what lies below it
    and its ``metadata``."""

    path: str
    entry: Entry | None
    totals: Totals
    metadata: Any = None


class Manifest:
    """One revision. Methods block, for the time of some reads of a local file, and may be called by several threads at once.

    A path names a file, or a folder with or without its trailing '/'; '' is the root. A folder exists when an entry or
    directory metadata lies at or below it; the root always does. All lists are in walk order. Methods raise
    StorageUnavailable when the lines are written to by somebody meanwhile.
    """

    def __init__(
        self, top_hash: str, lines: Lines, index: Index, *, name: str = "", modified: datetime | None = None
    ) -> None:
        """``name`` tells its bytes apart from all others of any registry. ``modified``: when they were written, as their store
        says."""
        self.name = name
        self.top_hash = top_hash
        self.header = decode_header(lines.line_at(0))
        self.modified = modified
        self.lines = lines
        self.index = index
        self.has_answered = False
        """Whether something was answered from it. ``ManifestCache.open_ahead`` sets it."""
        self.extensions = Remembered[str, dict[str, list[int]]](_FOLDERS_COUNTED)
        """By folder, what ``scan.extensions`` found."""
        self._folders = index.folders

    @property
    def held(self) -> int:
        """Bytes of memory that it takes."""
        return _OVERHEAD + self.lines.held + self.index.held

    @property
    def totals(self) -> Totals:
        return self._totals(0)

    def folder_totals(self, path: str) -> Totals | None:
        """None: no such folder."""
        slot = self._slot(path)
        return None if slot is None else self._totals(slot)

    def row_count(self, path: str, depth: int | None = 1) -> int:
        """How many rows ``rows`` has; 0 where there is no such folder."""
        slot = self._slot(path)
        if slot is None:
            return 0
        folders = self._folders
        if depth is None:
            return folders.entries[slot]
        count, at, level = 0, slot, self._level(slot)
        while at < folders.after[slot]:
            is_row = self._level(at) == level + depth
            count += 1 if is_row else folders.files[at]
            at = folders.after[at] if is_row else at + 1
        return count

    def rows(self, path: str, depth: int | None = 1, after: str = "") -> Iterator[FolderRow]:
        """What is in a folder, ``depth`` levels of it (1: the files and folders directly in it). A folder at the last level is a
        row with sums, one above it no row: so each entry counts in one row. None: every file, however deep. Begins with the
        row after the one whose path is ``after``."""
        for slot, start, end in self.spans(path, depth, after):
            if slot is not None:
                yield self.folder_row(slot)
            else:
                for entry, _, _ in self.located(start, end):
                    yield FolderRow(entry.logical_key, entry, Totals(1, entry.size or 0))

    def spans(
        self, path: str, depth: int | None = 1, after: str = ""
    ) -> Iterator[tuple[int | None, int, int]]:
        """The same as spans of lines: those of a folder that is a row, after its slot, and those of files that are."""
        slot = self._slot(path)
        if slot is None or (
            after and not f"{after.strip('/')}/".startswith(f"{path.strip('/')}/".lstrip("/"))
        ):
            return
        folders, level = self._folders, self._level(slot)
        at, child, end = folders.first[slot], slot + 1, folders.end[slot]
        last = child if depth is None else folders.after[slot]
        if after:
            child = folders.after_path(_walk(after))
            inner = folders.slot(_walk(after))
            at = self.lines.seek(_walk(after) + b"\0", at, end) if inner is None else folders.end[inner]
        while at < end or child < last:
            if child < last and folders.first[child] == at:
                if depth is not None and self._level(child) < level + depth:
                    child += 1
                else:
                    yield child, at, folders.end[child]
                    at, child = folders.end[child], folders.after[child]
            else:
                stop = folders.first[child] if child < last else end
                yield None, at, stop
                at = stop

    def entries(self, path: str = "", after: str = "") -> Iterator[Entry]:
        """The entry at ``path``, or every entry below it, from the one after ``after`` on (a logical key)."""
        start, end = self.span(path)
        if after:
            start = max(start, self.lines.seek(_walk(after) + b"\0", start, end))
        for entry, _, _ in self.located(start, end):
            yield entry

    def located(self, start: int, end: int) -> Iterator[tuple[Entry, int, int]]:
        """The entries of the lines in [start, end), each with where its line begins and ends."""
        at = start
        while at < end:
            size = _FIRST_READ if at == start else BLOCK
            for line in next(self.lines.blocks(at, end, size)).split(b"\n")[:-1]:
                begin, at = at, at + len(line) + 1
                yield decode_entry(line), begin, min(at, self.index.size)

    def span(self, path: str) -> tuple[int, int]:
        """Where the lines of the entries at or below ``path`` begin and end; an empty span where there are none."""
        slot = self._slot(path)
        if slot is not None:
            return self._folders.first[slot], self._folders.end[slot]
        at = self._find(path)
        return (0, 0) if at is None else (at, min(at + len(self.lines.line_at(at)) + 1, self.index.size))

    def entry(self, key: str) -> Entry | None:
        """The file of that logical key."""
        at = self._find(key)
        return None if at is None else decode_entry(self.lines.line_at(at))

    def has(self, path: str) -> bool:
        """Whether there is a file or folder at ``path``."""
        return self._slot(path) is not None or self._find(path) is not None

    def directory_meta(self, path: str) -> Any:
        """The metadata of a folder other than the root; None when there is none."""
        slot = self._slot(path)
        return None if slot is None else self._meta(slot)

    def directory_metas(self) -> Iterator[DirectoryMeta]:
        for block in self.lines.blocks(self.index.metas, self.index.entries):
            for line in block.split(b"\n")[:-1]:
                record = decode_record(line, 0)
                if isinstance(record, DirectoryMeta):
                    yield record

    @property
    def verified(self) -> bool | None:
        """Whether its lines have the top hash that it is named by; None while nobody has looked. The top hash covers all but
        physical keys and the metadata of folders."""
        found = self.index.found_hash
        return None if found is None else found == self.top_hash

    def require_verified(self) -> None:
        """Raises CorruptManifest when it is known that its lines have another top hash."""
        if self.verified is False:
            raise CorruptManifest(
                f"The manifest named {self.top_hash} is not that revision: its lines have the top hash {self.index.found_hash}. "
                "It was damaged or changed after it was written.",
                next_step="Choose another revision with package_log (package_copy of it onto the package's own name makes it the "
                "latest), restore this manifest from a copy, or push the files again.",
                details={"expected": self.top_hash, "found": self.index.found_hash},
            )

    def find_hash(self, checkpoint: Callable[[], None] = lambda: None) -> str:
        """Finds out, for ``verified`` too, the top hash that its lines have. Reads them all; ``checkpoint`` is called every
        hundred kilobytes and may raise."""
        top_hash = TopHash(self.header)
        for block in self.lines.blocks(self.index.entries, self.index.size):
            checkpoint()
            top_hash.add_lines(block)
        found = top_hash.hexdigest()
        self.index = replace(self.index, found_hash=found)
        return found

    def suggest(self, key: str) -> list[str]:
        """Keys and folders near to one that does not exist; bounded work, so best effort."""
        folder = key.strip("/").rpartition("/")[0]
        while folder and self._slot(folder) is None:
            folder = folder.rpartition("/")[0]
        near = suggest(key, [row.path for row in islice(self.rows(folder), _SUGGEST_SCAN)])
        return near or suggest(key, [entry.logical_key for entry in islice(self.entries(), _SUGGEST_SCAN)])

    # -- inside --

    def _slot(self, path: str) -> int | None:
        return self._folders.slot(_walk(path))

    def _totals(self, slot: int) -> Totals:
        return Totals(self._folders.entries[slot], self._folders.size[slot])

    def _meta(self, slot: int) -> Any:
        at = self._folders.meta[slot]
        return None if at == NO_META else decode_record(self.lines.line_at(at), 0).meta

    def _level(self, slot: int) -> int:
        return self._folders.path(slot).count(b"\0") + 1 if slot else 0

    def folder_row(self, slot: int) -> FolderRow:
        """The folder with that slot of the index."""
        path = self._folders.path(slot).decode().replace("\0", "/")
        return FolderRow(f"{path}/", None, self._totals(slot), self._meta(slot))

    def _find(self, key: str) -> int | None:
        """Where the entry of that key stands."""
        wanted = _walk(key)
        slot = self._folders.slot(wanted.rpartition(b"\0")[0])
        if slot is None or not key or key.strip("/") != key:
            return None
        end = self._folders.end[slot]
        at = self.lines.seek(wanted, self._folders.first[slot], end)
        return at if at < end and self.lines.walk_key_at(at) == wanted else None


def _walk(path: str) -> bytes:
    """The walk key of a path; of one that no manifest can hold, a key that none has."""
    return b"\0" if "\0" in path else walk_key(path.strip("/")).encode(errors="surrogatepass")
