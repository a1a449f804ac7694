"""A draft: the revision that a plan would write, as its parent's lines with changes between them.

Only what changes is looked up. What stays is spans of the parent's lines, which go into the new manifest as bytes. Memory is in
proportion to what is renamed and to the folders with metadata, neither to the parent nor to what comes in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import islice
from typing import Any

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header, JsonObject
from quilt_mcp.domain.manifest.codec import decode_record
from quilt_mcp.domain.names import validate_logical_key, walk_key
from quilt_mcp.domain.plan import PlannedChange, Rename
from quilt_mcp.domain.walk import directory_order, duplicate_key, file_and_folder
from quilt_mcp.errors import DuplicateKey, EntryNotFound, InvalidArgument, InvalidMetadata, NotAFile
from quilt_mcp.registry.manifests.finder import LineFinder
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.writing.arrivals import Arrivals

CHANGES_SHOWN = 1000
"""How many single changes a plan lists; its counts are of all."""

Span = tuple[int, int]
"""Lines of the parent, from the beginning of the first to the end of the last."""
Piece = Span | Entry
"""What a new manifest is made of: lines of the parent, and entries between them."""


@dataclass(slots=True)
class Changes:
    """What is asked for. Order of effect: remove, rename, entry metadata, add."""

    incoming: Arrivals
    moved_bytes: Arrivals | None = None
    """Files whose entries stay and whose bytes are stored anew: all of the parent's (a copy to another registry)."""
    removed: tuple[str, ...] = ()
    renamed: tuple[Rename, ...] = ()
    entry_metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    keep_parent: bool = True
    """False: only what comes in stays (a package written anew)."""


@dataclass(slots=True)
class Counts:
    added: int = 0
    replaced: int = 0
    removed: int = 0
    renamed: int = 0
    metadata: int = 0
    entries: int = 0


class Draft:
    """``plan`` once, then the others as often as needed. All block; ``checkpoint`` is called now and then and may raise."""

    def __init__(self, header: Header, parent: Manifest | None, changes: Changes) -> None:
        self.header = header
        self.parent = parent
        self.counts = Counts()
        self.changes_shown: list[PlannedChange] = []
        self._changes = changes
        self._incoming = changes.incoming
        self._base = parent if changes.keep_parent else None
        """The manifest whose lines stay."""
        self._removed_keys = frozenset(key for key in changes.removed if not key.endswith("/"))
        self._removed_folders = tuple(key for key in changes.removed if key.endswith("/"))
        self._renamed_keys = {r.old: r.new for r in changes.renamed if not r.old.endswith("/")}
        self._renamed_folders = {r.old: r.new for r in changes.renamed if r.old.endswith("/")}
        self._removed: list[Span] = []
        """In order, apart from each other."""
        self._moved_away: list[Span] = []
        self._moved: dict[str, Entry] = {}
        """By their new keys."""
        self._edited: dict[str, Entry] = {}
        """Entries that stay, with other metadata."""
        self._directories: dict[str, Any] = {}
        for rename in changes.renamed:
            _check_rename(rename)
        for key in changes.entry_metadata:
            if key in self._incoming:
                raise InvalidArgument(
                    f"{key!r} is added, and its metadata is set apart from that.",
                    next_step="Give the metadata with the file that is added.",
                    details={"path": key},
                )

    # -- planning --

    def plan(self, checkpoint: Callable[[], None] = lambda: None) -> None:
        """Finds what goes, what moves and what is replaced, checks the keys against each other, and counts. Takes the time of
        the changes, not of the parent. Raises DuplicateKey, EntryNotFound, NotAFile, InvalidName, InvalidMetadata."""
        self._incoming.replace_none()
        if self._base is not None:
            self._remove(self._base)
            self._rename(self._base, checkpoint)
            self._edit(self._base)
            self._set_directories(self._base)
        self._meet_incoming(checkpoint)
        self._check_neighbours(checkpoint)
        self._drop_empty_directories()

    def _remove(self, parent: Manifest) -> None:
        found: list[tuple[int, int, int]] = []
        """Where the lines of each begin and end, and how many they are."""
        for key in self._changes.removed:
            totals = parent.folder_totals(key)
            start, end = parent.span(key)
            if start == end or not key.strip("/") or (totals is not None) != key.endswith("/"):
                raise self._nothing_at(key)
            found.append((start, end, 1 if totals is None else totals.entries))
        for start, end, count in sorted(found, key=lambda span: (span[0], -span[1])):
            if self._removed and start < self._removed[-1][1]:
                continue  # within a folder that is removed
            self._removed.append((start, end))
            self.counts.removed += count
            for entry, _, _ in islice(parent.located(start, end), CHANGES_SHOWN):
                if entry.logical_key not in self._incoming:
                    self._note(PlannedChange(entry.logical_key, "remove", entry.size))

    def _rename(self, parent: Manifest, checkpoint: Callable[[], None]) -> None:
        for old in (*self._renamed_keys, *self._renamed_folders):
            is_met = False
            if (parent.folder_totals(old) is not None) != old.endswith("/"):
                raise self._nothing_at(old)
            for entry, start, end in parent.located(*parent.span(old)):
                checkpoint()
                if self._rename_of(entry.logical_key) == old and not self._is_removed(start):
                    is_met = True
                    self._move(entry, (start, end))
            if not is_met:
                raise self._nothing_at(old)
        self._moved_away.sort()

    def _rename_of(self, key: str) -> str | None:
        """The rename that ``key`` falls under, by its old name: the most exact wins."""
        if key in self._renamed_keys:
            return key
        return max(
            (folder for folder in self._renamed_folders if key.startswith(folder)), key=len, default=None
        )

    def _new_key(self, key: str) -> str:
        old = self._rename_of(key)
        if old is None:
            return key
        return self._renamed_keys[old] if old == key else self._renamed_folders[old] + key[len(old) :]

    def _move(self, entry: Entry, span: Span) -> None:
        new_key = self._new_key(entry.logical_key)
        if new_key == entry.logical_key:
            return
        validate_logical_key(new_key)
        if new_key in self._moved:
            raise DuplicateKey(
                f"Two renames end at {new_key!r}.",
                next_step="Give each file a logical key of its own.",
                details={"path": new_key},
            )
        if new_key in self._incoming:
            raise DuplicateKey(
                f"{new_key!r} is both renamed to and added.",
                next_step="Add the file under another logical key, or leave the rename out.",
                details={"path": new_key},
            )
        self._moved[new_key] = replace(self._with_metadata(entry), logical_key=new_key)
        self._moved_away.append(span)
        self.counts.renamed += 1
        self._note(PlannedChange(new_key, "rename", entry.size, old_path=entry.logical_key))

    def _edit(self, parent: Manifest) -> None:
        for key in self._changes.entry_metadata:
            if key.endswith("/"):
                continue
            found = next(parent.located(*parent.span(key)), None)
            if found is None or found[0].logical_key != key:
                raise self._nothing_at(key)
            if self._is_removed(found[1]):
                raise EntryNotFound(
                    f"{key!r} is removed by the same call that sets metadata on it.",
                    next_step="Leave out one of the two.",
                    details={"path": key},
                )
            entry = self._with_metadata(found[0])
            if entry.meta != found[0].meta and self._new_key(key) == key:
                self._edited[key] = entry
                self.counts.metadata += 1
                self._note(PlannedChange(key, "metadata", entry.size))

    def _with_metadata(self, entry: Entry) -> Entry:
        if entry.logical_key not in self._changes.entry_metadata:
            return entry
        value = self._changes.entry_metadata[entry.logical_key]
        meta = {key: kept for key, kept in entry.meta.items() if key != "user_meta"}
        return replace(entry, meta=meta if value is None else {**meta, "user_meta": value})

    def _set_directories(self, parent: Manifest) -> None:
        for directory in parent.directory_metas():
            key = directory.logical_key
            if not key.startswith(self._removed_folders):
                old = max((f for f in self._renamed_folders if key.startswith(f)), key=len, default=None)
                self._directories[key if old is None else self._renamed_folders[old] + key[len(old) :]] = (
                    directory.meta
                )
        for key, value in self._changes.entry_metadata.items():
            if not key.endswith("/"):
                continue
            if value is not None and not isinstance(value, Mapping):
                raise InvalidMetadata(
                    f"The metadata of the folder {key!r} is no JSON object.",
                    next_step='Give an object, such as {"owner": "me"}, or null to take the metadata away.',
                    details={"path": key},
                )
            if (self._directories.get(key) or None) != (value or None):
                self.counts.metadata += 1
                self._note(PlannedChange(key, "metadata"))
            self._directories[key] = value

    def _meet_incoming(self, checkpoint: Callable[[], None]) -> None:
        """Notes which of the parent's entries are replaced, and counts."""
        counts, parent = self.counts, self.parent
        discarded = parent.totals.entries if parent and self._base is None else 0
        staying = replaced = 0
        finder = _finder(parent)
        for item in self._incoming:
            checkpoint()
            start, end = finder.find(_walk(item.logical_key)) if finder else (0, 0)
            if parent is None or start == end or _covers(self._moved_away, start):
                continue
            replaced += 1
            staying += not self._is_removed(start)
            before = decode_record(parent.lines.line_at(start), 0)
            if isinstance(before, Entry):
                self._incoming.replace(before)
        kept = self._base.totals.entries if self._base else 0
        counts.entries = kept - counts.removed + len(self._incoming) - (staying if self._base else 0)
        counts.removed += discarded - (replaced if discarded else replaced - staying)
        counts.replaced, counts.added = replaced, len(self._incoming) - replaced
        if parent is not None and discarded:
            self._note_discarded(parent, discarded - replaced)
        for item in islice(self._incoming, CHANGES_SHOWN - len(self.changes_shown)):
            action = "replace" if self._incoming.replaced(item.logical_key) else "add"
            self._note(PlannedChange(item.logical_key, action, item.size, item.origin))

    def _note_discarded(self, parent: Manifest, count: int) -> None:
        gone = (entry for entry in parent.entries() if entry.logical_key not in self._incoming)
        for entry in islice(gone, min(count, CHANGES_SHOWN)):
            self._note(PlannedChange(entry.logical_key, "remove", entry.size))

    def _note(self, change: PlannedChange) -> None:
        if len(self.changes_shown) < CHANGES_SHOWN:
            self.changes_shown.append(change)

    # -- checking --

    def _check_neighbours(self, checkpoint: Callable[[], None]) -> None:
        """Refuses two files of one key and a file where a folder is. What clashes is neighbours in walk order, and the parent's
        own lines do not clash with each other, so the ends of the pieces are all that is looked at."""
        last: bytes | None = None
        for piece in self.pieces(item.unread() for item in self._incoming):
            checkpoint()
            first, end = self._ends(piece)
            if last is not None and first == last:
                raise duplicate_key(_shown(first))
            if last is not None and first.startswith(last + b"\0"):
                raise file_and_folder(_shown(last))
            last = end

    def _ends(self, piece: Piece) -> tuple[bytes, bytes]:
        if isinstance(piece, Entry):
            key = _walk(piece.logical_key)
            return key, key
        assert self._base is not None
        lines = self._base.lines
        return lines.walk_key_at(piece[0]), lines.walk_key_before(piece[1])

    def _drop_empty_directories(self) -> None:
        """Directories keep their metadata as long as there is a file in them."""
        moved = sorted(self._moved)
        for folder in list(self._directories):
            if self._holds_files(folder, moved):
                continue
            if self._changes.entry_metadata.get(folder):
                raise EntryNotFound(
                    f"There is no folder {folder!r} in the new revision to set metadata on.",
                    next_step="Name a folder that holds files, or call package_browse for the folders there are.",
                    details={"path": folder},
                )
            del self._directories[folder]

    def _holds_files(self, folder: str, moved: list[str]) -> bool:
        if self._incoming.any_below(folder) or any(key.startswith(folder) for key in moved):
            return True
        if self._base is None or not self._base.folder_totals(folder):
            return False
        start, end = self._base.span(folder)
        gone = sum(min(end, b) - max(start, a) for a, b in self._gone() if a < end and b > start)
        return gone < end - start

    def _nothing_at(self, key: str) -> EntryNotFound | NotAFile:
        parent = self._base
        if parent and not key.endswith("/") and parent.folder_totals(key) is not None:
            return NotAFile(
                f"{key!r} is a folder.",
                next_step=f"Write it as {key + '/'!r} to mean the folder and all that lies below it.",
                details={"path": key},
            )
        close = parent.suggest(key) if parent else []
        hint = f"Did you mean {', '.join(close)}? " if close else ""
        return EntryNotFound(
            f"There is no {key!r} in the parent revision.",
            next_step=f"{hint}Call package_browse for what it holds.",
            details={"path": key, "suggestions": close},
        )

    # -- the new revision --

    def directories(self) -> Iterator[DirectoryMeta]:
        """The metadata of directories in the order it is written."""
        yield from directory_order(DirectoryMeta(key, meta) for key, meta in self._directories.items())

    def pieces(self, incoming: Iterable[Entry] | None = None) -> Iterator[Piece]:
        """The entries of the new revision in walk order: lines of the parent, and between them those that come in (as
        ``incoming`` has them, by default as they are finished), are renamed or have other metadata."""
        if self._changes.moved_bytes is not None and incoming is None:
            yield from self._changes.moved_bytes.entries()
            return
        coming = self._incoming.entries() if incoming is None else iter(incoming)
        own = sorted((*self._moved.values(), *self._edited.values()), key=_place)
        arriving = merge(own, coming, key=_place) if own else coming
        finder, base = _finder(self._base), self._base
        if finder is None or base is None:
            yield from arriving
            return
        at, gone = base.index.entries, self._gone()
        for entry in arriving:
            start, end = finder.find(_walk(entry.logical_key))
            if start < end and entry.logical_key in self._moved and not _covers(gone, start):
                raise DuplicateKey(
                    f"A rename ends at {entry.logical_key!r}, where a file already is.",
                    next_step="Remove that file in the same call, or choose another logical key.",
                    details={"path": entry.logical_key},
                )
            yield from _without(gone, at, start)
            yield entry
            at = end
        yield from _without(gone, at, base.index.size)

    def entries(self) -> Iterator[Entry]:
        """Every entry as it will stand; those that come in without hash or physical key, as far as they are not known yet."""
        for piece in self.pieces(item.unread() for item in self._incoming):
            if isinstance(piece, Entry):
                yield piece
            elif self._base is not None:
                for entry, _, _ in self._base.located(*piece):
                    yield entry

    def touches(self, key: str) -> bool:
        """Whether the changes make, move or take away the entry at ``key``: what must not clash when a draft is redone."""
        return (
            key in self._removed_keys
            or key.startswith(self._removed_folders)
            or self._rename_of(key) is not None
            or key in self._moved
            or key in self._incoming
            or (key in self._changes.entry_metadata and not key.endswith("/"))
        )

    # -- spans --

    def _is_removed(self, at: int) -> bool:
        return _covers(self._removed, at)

    def _gone(self) -> list[Span]:
        return sorted((*self._removed, *self._moved_away))


def _covers(spans: list[Span], at: int) -> bool:
    """``spans`` in order, apart from each other."""
    found = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return found >= 0 and at < spans[found][1]


def _without(gone: list[Span], start: int, end: int) -> Iterator[Span]:
    """What is left of the lines in [start, end)."""
    first = max(0, bisect_right(gone, start, key=lambda span: span[0]) - 1)
    for begin, stop in islice(gone, first, None):
        if begin >= end:
            break
        if start < begin:
            yield start, begin
        start = max(start, stop)
    if start < end:
        yield start, end


def _finder(manifest: Manifest | None) -> LineFinder | None:
    return (
        None if manifest is None else LineFinder(manifest.lines, manifest.index.entries, manifest.index.size)
    )


def _place(entry: Entry) -> str:
    return walk_key(entry.logical_key)


def _walk(logical_key: str) -> bytes:
    return walk_key(logical_key).encode(errors="surrogatepass")


def _shown(key: bytes) -> str:
    return key.decode(errors="replace").replace("\0", "/")


def _check_rename(rename: Rename) -> None:
    old_is_folder, new_is_folder = rename.old.endswith("/"), rename.new.endswith("/")
    if old_is_folder != new_is_folder and rename.new:
        raise InvalidArgument(
            f"Cannot rename {rename.old!r} to {rename.new!r}: one is a folder and the other is not.",
            next_step="End both with '/' to rename a folder, or neither to rename a file.",
        )
    if not old_is_folder:
        validate_logical_key(rename.new)


def header_with(fields: JsonObject, **edits: Any) -> Header:
    """The header with edits applied as quilt3 does: keys that exist keep their place, new ones are added at the end."""
    return Header({**fields, **edits})
