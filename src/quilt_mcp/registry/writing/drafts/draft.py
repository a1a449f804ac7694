"""A draft: the revision that a plan would write, as its parent's lines with changes between them.

Only what changes is looked up. What stays is spans of the parent's lines, which go into the new manifest as bytes. Memory is in
proportion to what is renamed or edited and to the folders with metadata, neither to the parent nor to what comes in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import Any, Final

from quilt_mcp.domain.diff import changed_fields, is_same_file, is_same_json
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import decode_record, encode_record
from quilt_mcp.domain.metadata import changed_meta, with_user_meta
from quilt_mcp.domain.names import validate_logical_key, walk_bytes, walk_key
from quilt_mcp.domain.plan import CHANGES_SHOWN, Action, PlannedChange
from quilt_mcp.domain.walk import directory_order, duplicate_key, file_and_folder
from quilt_mcp.errors import EntryNotFound, InvalidMetadata, TooLarge
from quilt_mcp.registry.manifests.finder import LineFinder
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.registry.writing.drafts.changes import Changes
from quilt_mcp.registry.writing.drafts.outcome import NO_FILES, Counts, Outcome, minus, plus
from quilt_mcp.registry.writing.drafts.refusals import asked_twice, nothing_at, rename_meets
from quilt_mcp.registry.writing.drafts.spans import Span, covers, without

MOST_EDITED: Final = 250_000
"""Files whose metadata one call may change: some 0.7 KB of memory each."""
Piece = Span | Entry
"""What a new manifest is made of: lines of the parent, and entries between them."""


class Draft:
    """``plan`` once, then the others as often as needed. All block; ``checkpoint`` is called now and then and may raise."""

    def __init__(self, header: Header, parent: Manifest | None, changes: Changes) -> None:
        self.header = header
        self.parent = parent
        self._counts = Counts()
        """Of what goes, moves and is edited; the files that come in are counted by ``outcome``."""
        self._totals = NO_FILES
        self._met = NO_FILES
        """Of the files that come in, those that replace an entry."""
        self._changes = changes
        self._incoming = changes.incoming
        self._base = parent if changes.keep_parent else None
        """The manifest whose lines stay."""
        self._removed: list[Span] = []
        """In order, apart from each other."""
        self._moved_away: list[Span] = []
        self._moved: dict[str, Entry] = {}
        """By their new keys."""
        self._edited: dict[str, Entry] = {}
        """Entries that stay, with other metadata."""
        self._directories: dict[str, Any] = {}
        self._arrived: list[str] = []
        """The keys of ``_moved`` in order."""
        self._gone: list[Span] = []
        """What was removed or moved away, in order."""

    # -- planning --

    def plan(self, checkpoint: Callable[[], None] = lambda: None) -> None:
        """Finds what goes, what moves and what is replaced, checks the keys against each other, and counts. Takes the time of
        the changes and of the folders with metadata; that of the whole parent only where it holds what a manifest may not be
        written with. Raises DuplicateKey, EntryNotFound, NotAFile, InvalidName, InvalidMetadata."""
        self._incoming.replace_none()
        if self._base is not None:
            self._changes.meet(self._base)
            self._remove(self._base, checkpoint)
            self._rename(self._base, checkpoint)
            self._edit(self._base, checkpoint)
            self._gone = sorted((*self._removed, *self._moved_away))
            self._arrived = sorted(self._moved)
        self._meet_incoming(checkpoint)
        self._check_pieces(checkpoint)
        if self._base is not None:
            self._set_directories(self._base, checkpoint)
        elif self.parent is not None:
            kept = (one for one in self.parent.directory_metas() if self._incoming.any_below(one.logical_key))
            self._directories = {one.logical_key: one.meta for one in kept}
        for entry in (*self._moved.values(), *self._edited.values()):
            checkpoint()
            encode_record(entry)
        for key, meta in self._directories.items():
            encode_record(DirectoryMeta(key, meta))

    def _remove(self, parent: Manifest, checkpoint: Callable[[], None]) -> None:
        found: list[tuple[int, int, Totals]] = []
        """Where the lines of each begin and end, and what they hold. One lies within another, or they are apart."""
        for key in self._changes.removed:
            is_pattern = key in self._changes.patterns
            found += self._matches(parent, key, checkpoint) if is_pattern else [self._named(parent, key)]
        for start, end, totals in sorted(found, key=lambda span: (span[0], -span[1])):
            if start == end or (self._removed and start < self._removed[-1][1]):
                continue  # a folder without files, or within one that is removed
            self._removed.append((start, end))
            self._counts.add("remove", totals.bytes, totals.entries)
            for entry, _, _ in islice(parent.located(start, end), self._counts.room):
                if entry.logical_key not in self._incoming:
                    self._counts.note(entry.logical_key, "remove", entry.size)

    def _named(self, parent: Manifest, key: str) -> tuple[int, int, Totals]:
        """The lines of a file, or of a folder."""
        totals, (start, end) = parent.folder_totals(key), parent.span(key)
        if (totals is None and start == end) or (totals is not None) != key.endswith("/"):
            raise nothing_at(parent, key)
        if totals is None:
            [(entry, _, _)] = parent.located(start, end)
            totals = Totals(1, entry.size or 0)
        return start, end, totals

    def _matches(
        self, parent: Manifest, text: str, checkpoint: Callable[[], None]
    ) -> list[tuple[int, int, Totals]]:
        """The lines that a pattern takes."""
        pattern = self._changes.patterns[text]
        found: list[tuple[int, int, Totals]] = []
        for entry, start, end in parent.located(*parent.span(pattern.folder)):
            checkpoint()
            if pattern.takes(entry.logical_key):
                found.append((start, end, Totals(1, entry.size or 0)))
        if not found:
            raise nothing_at(parent, text, pattern)
        return found

    def _rename(self, parent: Manifest, checkpoint: Callable[[], None]) -> None:
        for old in self._changes.renamed:
            is_pattern = old in self._changes.patterns
            spans = self._matches(parent, old, checkpoint) if is_pattern else [self._named(parent, old)]
            is_met = spans[0][0] == spans[0][1]
            for entry, start, end in (
                line for begin, stop, _ in spans for line in parent.located(begin, stop)
            ):
                checkpoint()
                if self._changes.rename_of(entry.logical_key) == old and not covers(self._removed, start):
                    is_met = True
                    self._move(entry, (start, end))
            if not is_met:
                raise asked_twice(
                    old, f"All there is of {old!r} is removed, or renamed apart, by the same call."
                )
        self._moved_away.sort()

    def _move(self, entry: Entry, span: Span) -> None:
        new_key = self._changes.new_key(entry.logical_key)
        if new_key == entry.logical_key:
            return
        validate_logical_key(new_key)
        if new_key in self._moved:
            raise rename_meets(new_key, "another one ends")
        if new_key in self._incoming:
            raise rename_meets(new_key, "a file is added")
        moved = self._moved[new_key] = replace(self._with_metadata(entry), logical_key=new_key)
        self._moved_away.append(span)
        self._counts.add("rename", entry.size or 0)
        metadata = (entry.user_meta, moved.user_meta)
        self._counts.note(new_key, "rename", entry.size, old_path=entry.logical_key, metadata=metadata)

    def _edit(self, parent: Manifest, checkpoint: Callable[[], None]) -> None:
        for key in self._changes.entry_metadata:
            if key in self._changes.patterns:
                spans = self._matches(parent, key, checkpoint)
            elif key.endswith("/"):
                continue
            else:
                spans = [self._named(parent, key)]
            stays = [span for span in spans if not covers(self._removed, span[0])]
            if not stays:
                raise asked_twice(key, f"{key!r} is removed by the same call that sets metadata on it.")
            for entry in (entry for start, end, _ in stays for entry, _, _ in parent.located(start, end)):
                checkpoint()
                self._changes.require_stays(entry.logical_key)
                self._edit_entry(entry)

    def _edit_entry(self, entry: Entry) -> None:
        key, edited = entry.logical_key, self._with_metadata(entry)
        is_met = key in self._edited or self._changes.new_key(key) != key
        if is_met or is_same_json(edited.meta, entry.meta):
            return
        self._edited[key] = edited
        if len(self._edited) > MOST_EDITED:
            raise TooLarge(
                f"Metadata would be set on more than {MOST_EDITED:,} files, which one call does not hold in memory.",
                next_step="Set it on fewer at a time, folder by folder, each in a call of its own.",
            )
        self._counts.add("metadata", entry.size or 0)
        self._counts.note(key, "metadata", entry.size, metadata=(entry.user_meta, edited.user_meta))

    def _with_metadata(self, entry: Entry) -> Entry:
        given = self._changes.metadata_of(entry.logical_key)
        after = entry.user_meta
        for one in given:
            after = changed_meta(after, one, merge=self._changes.merges_metadata)
        return replace(entry, meta=with_user_meta(entry.meta, after)) if given else entry

    def _meet_incoming(self, checkpoint: Callable[[], None]) -> None:
        """Notes which of the parent's entries are replaced, and counts. Who replaces one takes over its metadata, unless it has
        its own or the same call has removed it."""
        parent, finder = self.parent, _finder(self.parent)
        removed = self._counts.by_action["remove"]
        discarded = parent.totals if parent and self._base is None else NO_FILES
        staying = again = NO_FILES
        """Of the entries that are replaced: those whose lines would stay, and those that are counted as removed or discarded."""
        for item in self._incoming:
            checkpoint()
            start, end = finder.find(walk_bytes(item.logical_key)) if finder else (0, 0)
            if parent is None or start == end or covers(self._moved_away, start):
                continue
            before = decode_record(parent.lines.line_at(start), 0)
            if not isinstance(before, Entry):
                continue
            is_removed = covers(self._removed, start)
            if not is_removed:
                self._keep_metadata(item, before)
            self._incoming.replace(before)
            self._met = plus(self._met, item.size)
            if self._base is not None and not is_removed:
                staying = plus(staying, before.size or 0)
            else:
                again = plus(again, before.size or 0)
        kept = minus(self._base.totals, removed, staying) if self._base else NO_FILES
        self._totals = plus(kept, self._incoming.size, len(self._incoming))
        self._counts.by_action["remove"] = minus(plus(removed, discarded.bytes, discarded.entries), again)
        if parent is not None and discarded.entries:
            self._note_discarded(parent, discarded.entries - again.entries, checkpoint)

    def _keep_metadata(self, item: Incoming, before: Entry) -> None:
        if "user_meta" not in item.meta and "user_meta" in before.meta:
            kept = self._incoming.keep_metadata(item, before.user_meta)
            encode_record(replace(kept.unread(), hash=before.hash))

    def outcome(self, checkpoint: Callable[[], None] = lambda: None) -> Outcome:
        """What the plan comes to, by what is known of the files that come in: one that is not finished is taken for another than
        the entry that it replaces."""
        counts = Counts(self._counts)
        counts.add("add", self._incoming.size - self._met.bytes, len(self._incoming) - self._met.entries)
        room = counts.room
        met: list[PlannedChange] = []
        for item, before, now in self._incoming.met():
            checkpoint()
            if now is None or not is_same_file(before, now):
                action: Action = "replace"
            elif not is_same_json(before.meta, now.meta):
                action = "metadata"
            else:
                continue
            counts.add(action, item.size)
            if len(met) < room:
                fields = changed_fields(before.user_meta, item.unread().user_meta)
                met.append(PlannedChange(item.logical_key, action, item.size, item.origin, fields=fields))
        new = (
            PlannedChange(one.logical_key, "add", one.size, one.origin) for one in self._incoming.fresh(room)
        )
        shown = sorted((*new, *met), key=lambda change: walk_key(change.path))[:room]
        return Outcome(counts.by_action, self._totals, (*counts.shown, *shown))

    def _note_discarded(self, parent: Manifest, count: int, checkpoint: Callable[[], None]) -> None:
        left = min(count, CHANGES_SHOWN)
        for entry in parent.entries():
            checkpoint()
            if left == 0:
                break
            if entry.logical_key not in self._incoming:
                left -= 1
                self._counts.note(entry.logical_key, "remove", entry.size)

    # -- checking --

    def _check_pieces(self, checkpoint: Callable[[], None]) -> None:
        """Refuses two files of one key, a file where a folder is, and lines of the parent that cannot be written. What clashes is
        neighbours in walk order, and the parent's own lines do not clash with each other: their ends are all that is looked at.
        """
        last: bytes | None = None
        for piece in self.pieces(item.unread() for item in self._incoming):
            checkpoint()
            first, end = self._ends(piece)
            if last is not None and first == last:
                raise duplicate_key(_shown(first))
            if last is not None and first.startswith(last + b"\0"):
                raise file_and_folder(_shown(last))
            last = end
            if self._base is not None and not self._base.index.is_writable and not isinstance(piece, Entry):
                for entry, _, _ in self._base.located(*piece):
                    checkpoint()
                    encode_record(entry)

    def _ends(self, piece: Piece) -> tuple[bytes, bytes]:
        if isinstance(piece, Entry):
            key = walk_bytes(piece.logical_key)
            return key, key
        assert self._base is not None
        lines = self._base.lines
        return lines.walk_key_at(piece[0]), lines.walk_key_before(piece[1])

    # -- metadata of directories --

    def _set_directories(self, parent: Manifest, checkpoint: Callable[[], None]) -> None:
        """A directory keeps its metadata, with files or without (as with quilt3), until it is removed. Where one is renamed to
        another, or to the root, that one's own metadata stays; what gives way is counted as a change."""
        moved: list[tuple[DirectoryMeta, str]] = []
        for directory in parent.directory_metas():
            checkpoint()
            key, new_key = directory.logical_key, self._changes.new_key(directory.logical_key)
            is_removed = self._changes.removes_folder_of(key)
            if (is_removed or new_key != key) and parent.folder_totals(key) == NO_FILES:
                self._count_metadata(key, directory.meta, None)
            if is_removed:
                continue
            if new_key == key:
                self._directories[key] = directory.meta
            else:
                moved.append((directory, new_key))
        for directory, new_key in moved:
            if new_key and new_key not in self._directories:
                self._directories[new_key] = directory.meta
            elif parent.folder_totals(directory.logical_key) != NO_FILES:
                self._count_metadata(directory.logical_key, directory.meta, None)
        self._edit_directories()
        for folder in self._directories:
            checkpoint()
            if not self._holds_files(folder):
                self._refuse_file_above(folder)

    def _edit_directories(self) -> None:
        for key, value in self._changes.entry_metadata.items():
            if not key.endswith("/") or key in self._changes.patterns:
                continue
            if value is not None and not isinstance(value, Mapping):
                raise InvalidMetadata(
                    f"The metadata of the folder {key!r} is no JSON object.",
                    next_step='Give an object, such as {"owner": "me"}, or null to take the metadata away.',
                    details={"path": key},
                )
            after = (
                changed_meta(self._directories.get(key), value, merge=self._changes.merges_metadata) or None
            )
            if after and key not in self._directories and not self._holds_files(key):
                raise EntryNotFound(
                    f"There is no folder {key!r} in the new revision to set metadata on.",
                    next_step="Name a folder that holds files, or call package_browse for the folders there are.",
                    details={"path": key},
                )
            before = self._directories.pop(key, None) or None
            if not is_same_json(before, after):
                self._count_metadata(key, before, after)
            if after is not None:
                self._directories[key] = after

    def _count_metadata(self, key: str, before: Any, after: Any) -> None:
        self._counts.add("metadata")
        self._counts.note(key, "metadata", metadata=(before, after))

    def _holds_files(self, folder: str) -> bool:
        at = bisect_left(self._arrived, folder)
        if self._incoming.any_below(folder) or (
            at < len(self._arrived) and self._arrived[at].startswith(folder)
        ):
            return True
        if self._base is None or not self._base.folder_totals(folder):
            return False
        return next(without(self._gone, *self._base.span(folder)), None) is not None

    def _refuse_file_above(self, folder: str) -> None:
        """Raises DuplicateKey where a file is in the place of a directory that holds none, or of one above it."""
        parts = folder.removesuffix("/").split("/")
        for key in map("/".join, (parts[:depth] for depth in range(1, len(parts) + 1))):
            start, end = (
                self._base.span(key) if self._base and self._base.folder_totals(key) is None else (0, 0)
            )
            if key in self._incoming or key in self._moved or (start < end and not covers(self._gone, start)):
                raise file_and_folder(key)

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
        own = sorted((*self._moved.values(), *self._edited.values()), key=_order)
        arriving = merge(own, coming, key=_order) if own else coming
        finder, base = _finder(self._base), self._base
        if finder is None or base is None:
            yield from arriving
            return
        at, gone = base.index.entries, self._gone
        for entry in arriving:
            start, end = finder.find(walk_bytes(entry.logical_key))
            if start < end and entry.logical_key in self._moved and not covers(gone, start):
                raise rename_meets(entry.logical_key, "a file already is")
            yield from without(gone, at, start)
            yield entry
            at = end
        yield from without(gone, at, base.index.size)

    def entries(self) -> Iterator[Entry]:
        """Every entry as it will stand; those that come in without hash or physical key, as far as they are not known yet."""
        for piece in self.pieces(item.unread() for item in self._incoming):
            if isinstance(piece, Entry):
                yield piece
            elif self._base is not None:
                for entry, _, _ in self._base.located(*piece):
                    yield entry

    def touches(self, key: str) -> bool:
        """Whether the changes make, move, edit or take away the entry or directory at ``key``: what must not clash when a draft
        is redone."""
        return (
            key in self._changes.removed
            or self._changes.removes_folder_of(key)
            or self._changes.rename_of(key) is not None
            or key in self._moved
            or key in self._incoming
            or key in self._changes.entry_metadata
            or (not key.endswith("/") and bool(self._changes.metadata_of(key)))
        )


def _finder(manifest: Manifest | None) -> LineFinder | None:
    return (
        None if manifest is None else LineFinder(manifest.lines, manifest.index.entries, manifest.index.size)
    )


def _order(entry: Entry) -> str:
    return walk_key(entry.logical_key)


def _shown(key: bytes) -> str:
    return key.decode(errors="replace").replace("\0", "/")
