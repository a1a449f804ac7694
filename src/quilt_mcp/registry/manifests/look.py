"""The look: one pass through a manifest's lines that proves each of them good and sums the folders.

It takes lines that stand as quilt3 writes them: the header, the metadata of directories, then the entries, the last two each
in walk order. Of others it says nothing; ``sorted_copy`` makes lines of them that it takes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import lt
from typing import Final

from quilt_mcp.domain.entry import DirectoryMeta
from quilt_mcp.domain.manifest.codec import (
    MAX_RECORD_BYTES,
    MAX_SIZE,
    can_be_written,
    corrupt,
    corrupt_length,
    decode_header,
    decode_record,
    walk_key_in,
)
from quilt_mcp.domain.manifest.plain_lines import plain_lines, plain_sizes
from quilt_mcp.domain.manifest.top_hash import TopHash
from quilt_mcp.domain.names import walk_key
from quilt_mcp.domain.walk import corrupt_file_and_folder, corrupt_manifest, directory_walk_key
from quilt_mcp.registry.manifests.index import Folders, Index
from quilt_mcp.registry.manifests.lines import HeldLines, Lines, LineTooLong
from quilt_mcp.registry.manifests.sorted_copy import sorted_copy

_PATHS: Final = 8 << 20
_PATHS_A_BYTE: Final = 8
"""The paths of all folders may have so many bytes, and so many more for each byte of the manifest: each part of a key is a
folder with a path of its own, so a small manifest could fill the memory."""
_HARMFUL: Final = frozenset((b"", b".", b".."))


class OtherOrder(Exception):
    """The lines are good as far as was looked, and do not stand as an index needs them."""


def look(lines: Lines, checkpoint: Callable[[], None] = lambda: None, *, with_hash: bool = False) -> Index:
    """Memory grows with the folders alone: 72 bytes each, and their paths. ``checkpoint`` is called every 128 KB and may raise.
    ``with_hash`` finds the top hash in the same pass, which then takes nearly twice the time.
    Raises CorruptManifest, OtherOrder."""
    return _Look(lines, checkpoint, with_hash).whole()


def look_through(body: bytes, checkpoint: Callable[[], None] = lambda: None) -> tuple[Lines, Index]:
    """The lines of a manifest in memory, put in order where they stand in another, and their index with the top hash.
    Raises CorruptManifest."""
    lines = HeldLines(body)
    try:
        return lines, look(lines, checkpoint, with_hash=True)
    except OtherOrder:
        lines = HeldLines(b"".join(sorted_copy(lines, checkpoint)))
        return lines, look(lines, checkpoint, with_hash=True)


@dataclass(frozen=True, slots=True)
class _Entries:
    """The entries of a block of lines: walk keys, those of their folders, sizes. ``start_of`` tells where a line begins in the
    block; it is asked with rising numbers."""

    walk_keys: list[bytes]
    folders: Sequence[bytes]
    sizes: list[int]
    start_of: Callable[[int], int]


class _Look:
    def __init__(self, lines: Lines, checkpoint: Callable[[], None], with_hash: bool) -> None:
        self._lines = lines
        self._with_hash = with_hash
        self._top_hash: TopHash | None = None
        self._checkpoint = checkpoint
        self._number = 1
        """The line that comes next, counted from 1 at the header."""
        self._last = b""
        """The walk key of the entry before."""
        self._metas: list[tuple[bytes, int]] = []
        """The directories with metadata that no entry has passed yet: walk keys, and where the metadata stands; the next one
        last."""
        self._sums = FolderSums(_PATHS + _PATHS_A_BYTE * lines.size)
        self._is_writable = self._is_plain = True

    def whole(self) -> Index:
        blocks = self._blocks()
        first = next(blocks, b"")
        header, feed, _ = first.partition(b"\n")
        if not feed:
            corrupt(1, "the manifest is empty")
        fields = decode_header(header)
        self._top_hash = TopHash(fields) if self._with_hash else None
        self._number = 2
        start = at = len(header) + 1
        block, metas = self._directories(first[start:], blocks, start)
        entries = at = min(metas[-1][2] if metas else start, self._lines.size)
        self._metas = [(path, place) for path, place, _ in reversed(metas)]
        while block or (block := next(blocks, b"")):
            self._add(block, at)
            at, block = at + len(block), b""
        at = min(at, self._lines.size)
        while self._metas:
            self._enter_directory(self._last, at)
        self._sums.finish(at)
        found_hash = self._top_hash and self._top_hash.hexdigest()
        return Index(
            start,
            entries,
            at,
            self._sums.folders,
            is_writable=self._is_writable,
            is_plain=self._is_plain,
            found_hash=found_hash,
        )

    def _blocks(self) -> Iterator[bytes]:
        try:
            for block in self._lines.blocks(0, self._lines.size):
                self._checkpoint()
                yield block
        except LineTooLong:
            corrupt_length(self._number)

    # -- directories --

    def _directories(
        self, block: bytes, blocks: Iterator[bytes], at: int
    ) -> tuple[bytes, list[tuple[bytes, int, int]]]:
        """The lines before the first entry, as walk key, beginning and end; and what is left of the block in hand."""
        found: list[tuple[bytes, int, int]] = []
        while block or (block := next(blocks, b"")):
            begin = 0
            while begin < len(block):
                feed = block.index(b"\n", begin)
                path = self._directory(block[begin:feed])
                if path is None:
                    return block[begin:], found
                if found and path <= found[-1][0]:
                    raise OtherOrder
                found.append((path, at + begin, at + feed + 1))
                self._number += 1
                begin = feed + 1
            at, block = at + len(block), b""
        return b"", found

    def _directory(self, line: bytes) -> bytes | None:
        """The directory's walk key; None for an entry."""
        record = decode_record(line, self._number)
        if not isinstance(record, DirectoryMeta):
            return None
        path = directory_walk_key(record.logical_key).encode()
        if walk_key_in(line) != path:
            raise OtherOrder
        return path

    def _enter_directory(self, before: bytes, at: int) -> None:
        """Makes a folder of the next directory with metadata, whether or not there is an entry in it. ``before``: the walk key
        of the entry that stands before it."""
        path, place = self._metas.pop()
        if before and (path == before or path.startswith(before + b"\0")):
            raise corrupt_file_and_folder(before)
        self._sums.folders.meta[self._sums.enter(path, at)] = place

    # -- entries --

    def _add(self, block: bytes, at: int) -> None:
        found = self._plain(block) or self._decoded(block)
        keys = found.walk_keys
        if not (self._last < keys[0] and all(map(lt, keys, islice(keys, 1, None)))):
            raise OtherOrder
        begin = 0
        for folder, members in groupby(found.folders):
            end = begin + len(list(members))
            before = keys[begin - 1] if begin else self._last
            # In walk order a file and what claims to lie below it are neighbours.
            if before and (folder == before or folder.startswith(before + b"\0")):
                raise corrupt_file_and_folder(before)
            while self._metas and self._metas[-1][0] <= keys[end - 1]:
                split = bisect_left(keys, self._metas[-1][0], begin, end)
                if keys[split] == self._metas[-1][0]:
                    raise corrupt_file_and_folder(keys[split])
                if split > begin:
                    self._sums.add(folder, at + found.start_of(begin), found.sizes[begin:split])
                    begin = split
                self._enter_directory(keys[split - 1] if split else self._last, at + found.start_of(split))
            self._sums.add(folder, at + found.start_of(begin), found.sizes[begin:end])
            begin = end
        self._last = keys[-1]

    def _plain(self, block: bytes) -> _Entries | None:
        if len(block) > MAX_RECORD_BYTES:
            return None
        plain = plain_lines(block) if self._top_hash is not None else None
        columns = plain_sizes(block) if self._top_hash is None else plain and (plain.keys, plain.sizes)
        if columns is None:
            return None
        (keys, sizes), at, number = columns, 0, 0

        def start_of(wanted: int) -> int:
            nonlocal at, number
            if wanted > number:
                at = block.index(b'\n{"logical_key": "%b"' % keys[wanted], at) + 1
                number = wanted
            return at

        listed = b"\n".join(keys)
        walk_keys = listed.replace(b"/", b"\0").split(b"\n")
        folders = [key.rpartition(b"\0")[0] for key in walk_keys]
        if not _are_harmless(listed, folders):
            return None  # the codec says what is wrong, if anything is
        if self._top_hash is not None and plain is not None:
            self._top_hash.add_plain(plain)
        self._number += len(keys)
        return _Entries(walk_keys, folders, list(map(int, sizes)), start_of)

    def _decoded(self, block: bytes) -> _Entries:
        self._is_plain = False
        keys: list[bytes] = []
        sizes: list[int] = []
        starts: list[int] = []
        at = 0
        for line in block.split(b"\n")[:-1]:
            record = decode_record(line, self._number)
            key = walk_key(record.logical_key).encode()
            if isinstance(record, DirectoryMeta) or walk_key_in(line) != key:
                raise OtherOrder
            keys.append(key)
            sizes.append(record.size or 0)
            starts.append(at)
            self._is_writable = self._is_writable and can_be_written(record)
            if self._top_hash is not None:
                self._top_hash.add(record)
            self._number += 1
            at += len(line) + 1
        folders = [key.rpartition(b"\0")[0] for key in keys]
        return _Entries(keys, folders, sizes, starts.__getitem__)


def _are_harmless(listed: bytes, folders: Sequence[bytes]) -> bool:
    """Whether no key of those ``listed``, one a line, has an empty part, '.' or '..', unless it begins with a slash: such a one
    comes before all others in walk order. False is no more than a suspicion."""
    if listed[:1] == b"/" or listed[-1:] in b"/." or b"/\n" in listed or b".\n" in listed:
        return False
    return all(_HARMFUL.isdisjoint(folder.split(b"\0")) for folder in {*folders} - {b""})


class FolderSums:
    """Makes ``Folders`` of runs of entries that come in walk order."""

    def __init__(self, most: int) -> None:
        """``most``: the bytes that the paths of all may have."""
        self.folders = Folders()
        self._most = most
        self._open: list[tuple[int, bytes]] = []
        """Slots and paths from the root down to the folder that the last entry was in."""

    def add(self, path: bytes, at: int, sizes: list[int]) -> None:
        """Entries that stand directly in the folder ``path``, the first of them at ``at``."""
        slot, folders = self.enter(path, at), self.folders
        folders.files[slot] += len(sizes)
        folders.entries[slot] += len(sizes)
        folders.size[slot] = _bounded(folders.size[slot] + sum(sizes))

    def enter(self, path: bytes, at: int) -> int:
        """The slot of the folder ``path``, which and above which folders are made where there are none yet."""
        if not self._open:
            self._make(b"", at)
        while (top := self._open[-1][1]) and path != top and not path.startswith(top + b"\0"):
            self._leave(at)
        while (top := self._open[-1][1]) != path:
            name = path[len(top) + 1 if top else 0 :].partition(b"\0")[0]
            self.folders.folders[self._open[-1][0]] += 1
            self._make(top + b"\0" + name if top else name, at)
        return self._open[-1][0]

    def finish(self, at: int) -> None:
        """``at``: the end of all entries."""
        self.enter(b"", at)
        self._leave(at)

    def _make(self, path: bytes, at: int) -> None:
        if len(self.folders.paths) + len(path) > self._most:
            raise corrupt_manifest("Its folders are nested too deeply.")
        self._open.append((len(self.folders), path))
        self.folders.add(path, at)

    def _leave(self, at: int) -> None:
        slot, _ = self._open.pop()
        folders = self.folders
        folders.end[slot] = at
        folders.after[slot] = len(folders)
        if self._open:
            above = self._open[-1][0]
            folders.entries[above] += folders.entries[slot]
            folders.size[above] = _bounded(folders.size[above] + folders.size[slot])


def _bounded(size: int) -> int:
    if size > MAX_SIZE:
        raise corrupt_manifest("Its files have more bytes together than any store can hold.")
    return size
