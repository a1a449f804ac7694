"""Scans: what can be asked of many entries at once, from one pass through their lines and without an object for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from quilt_mcp.domain.glob import Match
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import decode_entry
from quilt_mcp.domain.manifest.plain_lines import plain_sizes, proven_sizes
from quilt_mcp.domain.names import walk_key
from quilt_mcp.registry.manifests.manifest import FolderRow, Manifest

SORTS: Final = {"path": 0, "size": 1, "-size": -1}
"""What rows can be sorted by, and what their size counts for in it. Rows that are equal then are in walk order."""

_FEW: Final = 4
"""Lines are picked out where a text stands fewer times in them than one in so many."""

_ENDINGS: Final = 10_000
_ENDINGS_SHOWN: Final = 20
_LONGEST_ENDING: Final = 20
_PACKED: Final = frozenset((".gz", ".bz2", ".xz", ".zst"))

Checkpoint = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Columns:
    """Logical keys and sizes of entries. ``at``: where the lines of ``block`` begin, one for each, or where each of them does."""

    keys: Sequence[str]
    sizes: Sequence[int]
    block: bytes
    at: int | Sequence[int]

    def starts(self) -> Sequence[int]:
        """Where each line begins."""
        if not isinstance(self.at, int):
            return self.at
        return [*accumulate((len(line) + 1 for line in self.block.split(b"\n")[:-1]), initial=self.at)]


def columns(
    manifest: Manifest, start: int, end: int, checkpoint: Checkpoint, piece: str = ""
) -> Iterator[Columns]:
    """The entries of the lines in [start, end); those without ``piece`` in their key may be left out. ``checkpoint`` is called
    for each block and may raise."""
    sought, is_plain = piece.encode(errors="surrogatepass"), manifest.index.is_plain
    for block in manifest.lines.blocks(start, end):
        checkpoint()
        at, lines = start, block
        start += len(block)
        if is_plain and sought and block.count(sought) * _FEW < block.count(b"\n"):
            places = [*_places(block, sought)]
            if not places:
                continue
            lines = b"".join(block[begin:stop] for begin, stop in places)
            at = [at + begin for begin, _ in places]
        plain = proven_sizes(lines) if is_plain else plain_sizes(lines)
        if plain is not None:  # a key in such lines holds no line feed
            keys, sizes = b"\n".join(plain[0]).decode().split("\n"), [*map(int, plain[1])]
        else:
            entries = [decode_entry(line) for line in lines.split(b"\n")[:-1]]
            keys, sizes = [one.logical_key for one in entries], [one.size or 0 for one in entries]
        yield Columns(keys, sizes, lines, at)


def _places(block: bytes, sought: bytes) -> Iterator[tuple[int, int]]:
    """Where the lines that hold it begin and end."""
    at = block.find(sought)
    while at >= 0:
        stop = block.index(b"\n", at) + 1
        yield block.rfind(b"\n", 0, at) + 1, stop
        at = block.find(sought, stop)


def extensions(manifest: Manifest, path: str, checkpoint: Checkpoint) -> dict[str, list[int]]:
    """How many files at or below ``path`` end in what, and their bytes: the most frequent endings, the first of them first, and
    under '*' all others."""
    counts: dict[str, list[int]] = {}
    others = [0, 0]
    for block in columns(manifest, *manifest.span(path), checkpoint):
        for key, size in zip(block.keys, block.sizes, strict=True):
            ending = _ending(key)
            count = counts.get(ending)
            if count is None:
                count = others if len(counts) == _ENDINGS else counts.setdefault(ending, [0, 0])
            count[0] += 1
            count[1] += size
    ranked = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    for _, count in ranked[_ENDINGS_SHOWN:]:
        others = [others[0] + count[0], others[1] + count[1]]
    return dict(ranked[:_ENDINGS_SHOWN]) | ({"*": others} if others[0] else {})


def _ending(key: str) -> str:
    """From the last dot of the name on; from the one before it where the last part tells of compression alone."""
    name = key[key.rfind("/") + 1 :]
    dot = name.rfind(".")
    if name[dot:] in _PACKED:
        before = name.rfind(".", 1, dot)
        dot = before if before > 0 and name[before + 1 : dot].isalnum() else dot
    ending = name[dot:] if dot > 0 else ""
    return ending if len(ending) <= _LONGEST_ENDING and ending.isprintable() and " " not in ending else ""


@dataclass(frozen=True, slots=True)
class Question:
    """Rows as ``Manifest.rows`` has them, at or below ``path``. With ``match`` only files that it takes, however deep where
    ``depth`` is None, else in that many levels."""

    path: str
    depth: int | None
    match: Match | None
    sort: str


Position = tuple[int, str]
"""Size and path of a row."""


class Scan:
    """One page of the answer to a question. Memory grows with the page, not with what is looked through."""

    def __init__(self, manifest: Manifest, question: Question, limit: int, after: Position | None) -> None:
        self._manifest = manifest
        self._question = question
        self._limit = limit
        self._sign = SORTS[question.sort]
        self._after = after and (self._sign * after[0], _walk(after[1]))
        self._best: list[tuple[int, bytes, int]] = []
        """Rank, walk key, and where the line stands; of a folder, the complement of its slot. The first ``limit`` in order."""
        self.entries = self.bytes = 0

    def run(self, totals: Totals | None, checkpoint: Checkpoint) -> tuple[list[FolderRow], Totals]:
        """The rows, and the entries and bytes of all rows there are. Given ``totals``, no more is read than the rows need."""
        question, manifest = self._question, self._manifest
        piece = question.match.piece if question.match else ""
        begin = self._after is not None and totals is not None and not self._sign
        spans = (
            [(None, *manifest.span(question.path))]
            if manifest.folder_totals(question.path) is None
            else manifest.spans(question.path, question.depth, self._last if begin else "")
        )
        for slot, start, end in spans:
            if slot is None:
                for block in columns(manifest, start, end, checkpoint, piece):
                    self._add_files(block)
                    if totals is not None and self._is_over():
                        break
            elif question.match is None:
                self._add_folder(slot)
            if totals is not None and self._is_over():
                break
        return [self._row(place) for _, _, place in self._best], totals or Totals(self.entries, self.bytes)

    @property
    def _last(self) -> str:
        return self._after[1].decode(errors="surrogatepass").replace("\0", "/") if self._after else ""

    def _is_over(self) -> bool:
        """Whether no row after those seen can be among the first."""
        return not self._sign and len(self._best) == self._limit

    def _add_folder(self, slot: int) -> None:
        folders = self._manifest.index.folders
        self.entries += folders.entries[slot]
        self.bytes += folders.size[slot]
        self._rank([(self._sign * folders.size[slot], folders.path(slot), ~slot)])

    def _add_files(self, block: Columns) -> None:
        match, sizes, sign = self._question.match, block.sizes, self._sign
        fitting = range(len(sizes)) if match is None else match.among(block.keys)
        self.entries += len(fitting)
        self.bytes += sum(sizes if match is None else [sizes[number] for number in fitting])
        if self._is_over():
            return
        if sign and len(self._best) == self._limit:
            worst = self._best[-1][0]  # rows come in walk order, so an equal one is after it
            fitting = [number for number in fitting if sign * sizes[number] < worst]
        if sign and self._after is not None:
            first = self._after[0]
            fitting = [number for number in fitting if sign * sizes[number] >= first]
        if fitting:
            starts = block.starts()
            self._rank([(sign * sizes[one], _walk(block.keys[one]), starts[one]) for one in fitting])

    def _rank(self, rows: list[tuple[int, bytes, int]]) -> None:
        if self._after is not None:
            rows = [row for row in rows if row[:2] > self._after]
        self._best = sorted(self._best + rows)[: self._limit]

    def _row(self, place: int) -> FolderRow:
        if place < 0:
            return self._manifest.folder_row(~place)
        entry = decode_entry(self._manifest.lines.line_at(place))
        return FolderRow(entry.logical_key, entry, Totals(1, entry.size or 0))


def _walk(path: str) -> bytes:
    return walk_key(path.strip("/")).encode(errors="surrogatepass")
