"""A draft: the revision that a plan would write, as its parent's records with changes applied, streamed in walk order.

Memory is in proportion to what is renamed and removed, neither to the parent nor to what comes in: a draft on a million entries
holds only what moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import islice
from typing import Any, Protocol

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header, JsonObject, Record
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.names import validate_logical_key, walk_key
from quilt_mcp.domain.plan import PlannedChange, Rename
from quilt_mcp.domain.walk import check_keys, checked, file_and_folder, manifest_order
from quilt_mcp.errors import DuplicateKey, EntryNotFound, InvalidArgument, InvalidMetadata, NotAFile
from quilt_mcp.registry.writing.arrivals import Arrivals

CHANGES_SHOWN = 1000
"""How many single changes a plan lists; its counts are of all."""
ENTRIES_A_LOOK_UP = 5000
"""Entries of the parent that are walked in the time of looking one key up."""


class ParentRecords(Protocol):
    """What a draft needs of its parent's manifest."""

    @property
    def totals(self) -> Totals: ...

    def entry(self, key: str) -> Entry | None: ...

    def folder_totals(self, path: str) -> Totals | None: ...

    def directory_metas(self) -> list[DirectoryMeta]: ...

    def records(self) -> Iterator[Record]: ...

    def suggest(self, key: str) -> list[str]: ...


@dataclass(slots=True)
class Changes:
    """What is asked for. Order of effect: remove, rename, entry metadata, add."""

    incoming: Arrivals
    moved_bytes: Arrivals | None = None
    """Files whose entries stay and whose bytes are stored anew (a copy to another registry)."""
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
    """``survey`` once, then ``records`` as often as needed.

    Raises DuplicateKey, EntryNotFound, InvalidName from ``survey``; nothing is written here.
    """

    def __init__(self, header: Header, parent: ParentRecords | None, changes: Changes) -> None:
        self.header = header
        self.counts = Counts()
        self.changes_shown: list[PlannedChange] = []
        self._parent = parent
        self._changes = changes
        self._incoming = changes.incoming
        self._removed_keys = frozenset(key for key in changes.removed if not key.endswith("/"))
        self._removed_folders = tuple(key for key in changes.removed if key.endswith("/"))
        self._renamed_keys = {r.old: r.new for r in changes.renamed if not r.old.endswith("/")}
        self._renamed_folders = {r.old: r.new for r in changes.renamed if r.old.endswith("/")}
        self._touched = bool(changes.removed or changes.renamed or changes.entry_metadata)
        self._moved: dict[str, Entry] = {}
        self._directories: dict[str, JsonObject] = {}
        self._unmatched: dict[str, None] = {}
        """What was named and has not been met in the parent yet, in the order it was named."""
        self._pending: set[str] = set()
        """Folders with metadata that no entry has been seen in yet."""
        self._gone: set[str] = set()
        """Keys of the parent that are removed or renamed away."""
        for rename in changes.renamed:
            self._check_rename(rename)
        for key in changes.entry_metadata:
            if key in self._incoming:
                raise InvalidArgument(
                    f"{key!r} is added, and its metadata is set apart from that.",
                    next_step="Give the metadata with the file that is added.",
                    details={"path": key},
                )

    # -- surveying --

    def survey(self) -> Iterator[Entry]:
        """Walks the whole draft once: finds what moves, checks every key, counts. Yields the entries as they will stand
        (those that come in without hash or physical key), for whoever must see them all, as a workflow's schema does."""
        self._incoming.replace_none()
        self._find_moves()
        for entry in checked(self._entries(incoming.unread() for incoming in self._incoming)):
            key = entry.logical_key
            self.counts.entries += 1
            self._keep_folders_of(key)
            yield entry
        for folder in set(self._changes.entry_metadata) & set(self._pending):
            raise EntryNotFound(
                f"There is no folder {folder!r} in the new revision to set metadata on.",
                next_step="Name a folder that holds files, or call package_browse for the folders there are.",
                details={"path": folder},
            )
        self._directories = {k: v for k, v in self._directories.items() if k not in self._pending}

    def survey_few(self, entries_a_look_up: int = ENTRIES_A_LOOK_UP) -> bool:
        """What ``survey`` finds out, from the keys that come in alone: where they are few beside a parent that otherwise
        stays as it is. False: the draft must be walked, and nothing was done."""
        parent, incoming = self._parent, self._incoming
        if parent is None or self._touched or not self._changes.keep_parent:
            return False
        directories = parent.directory_metas()
        if parent.totals.entries < entries_a_look_up * (len(incoming) + len(directories)):
            return False
        incoming.replace_none()
        check_keys(item.logical_key for item in incoming)
        for item in incoming:
            key = item.logical_key
            before = parent.entry(key)
            if before is not None:
                incoming.replace(before)
            elif _holds_files(parent, key):
                raise file_and_folder(key)
            for end in (at for at, char in enumerate(key) if char == "/"):
                if before is None and parent.entry(key[:end]) is not None:
                    raise file_and_folder(key[:end])
        self._directories = {
            directory.logical_key: directory.meta
            for directory in directories
            if _holds_files(parent, directory.logical_key) or incoming.any_below(directory.logical_key)
        }
        self._note_incoming()
        self.counts.entries = parent.totals.entries + self.counts.added
        return True

    def _find_moves(self) -> None:
        """One pass over the parent: what goes, what moves, what is replaced; and whether all that was named is there."""
        self._unmatched = dict.fromkeys((*self._changes.removed, *self._renamed_keys, *self._renamed_folders))
        self._unmatched |= {key: None for key in self._changes.entry_metadata if not key.endswith("/")}
        for record in self._parent.records() if self._parent else ():
            if isinstance(record, DirectoryMeta):
                self._meet_directory(record)
            elif not self._changes.keep_parent:
                self._meet_discarded(record)
            else:
                self._meet_entry(record)
        for key in self._unmatched:
            raise self._nothing_at(key)
        self._set_directory_metadata()
        self._pending = set(self._directories)
        self._note_incoming()

    def _meet_directory(self, record: DirectoryMeta) -> None:
        if self._changes.keep_parent and not self._is_removed(record.logical_key):
            self._directories[self._new_folder(record.logical_key)] = record.meta

    def _meet_discarded(self, record: Entry) -> None:
        if record.logical_key in self._incoming:
            self._incoming.replace(record)
        else:
            self._note_removal(record)

    def _meet_entry(self, record: Entry) -> None:
        key = record.logical_key
        if self._touched and self._is_removed(key):
            self._gone.add(key)
            if key in self._incoming:
                self._incoming.replace(record)
            else:
                self._note_removal(record)
            return
        new_key = self._new_key(key) if self._touched else key
        self._unmatched.pop(key, None)
        if new_key != key:
            self._move(record, new_key)
        elif key in self._incoming:
            self._incoming.replace(record)
        elif key in self._changes.entry_metadata and self._with_metadata(record).meta != record.meta:
            self.counts.metadata += 1
            self._note(PlannedChange(key, "metadata", record.size))

    def _set_directory_metadata(self) -> None:
        for key, value in self._changes.entry_metadata.items():
            if not key.endswith("/"):
                continue
            if value is not None and not isinstance(value, Mapping):
                raise InvalidMetadata(
                    f"The metadata of the folder {key!r} is no JSON object.",
                    next_step='Give an object, such as {"owner": "me"}, or null to take the metadata away.',
                    details={"path": key},
                )
            if value:
                self._directories[key] = value
            else:
                self._directories.pop(key, None)

    def _note_removal(self, record: Entry) -> None:
        self.counts.removed += 1
        self._note(PlannedChange(record.logical_key, "remove", record.size))

    def _note_incoming(self) -> None:
        for key in self._moved:
            if key in self._incoming:
                raise DuplicateKey(
                    f"{key!r} is both renamed to and added.",
                    next_step="Add the file under another logical key, or leave the rename out.",
                    details={"path": key},
                )
        self.counts.replaced += self._incoming.replaced_count
        self.counts.added += len(self._incoming) - self._incoming.replaced_count
        for incoming in islice(self._incoming, CHANGES_SHOWN - len(self.changes_shown)):
            action = "add" if self._incoming.replaced(incoming.logical_key) is None else "replace"
            self._note(PlannedChange(incoming.logical_key, action, incoming.size, incoming.origin))

    def _move(self, entry: Entry, new_key: str) -> None:
        validate_logical_key(new_key)
        if new_key in self._moved:
            raise DuplicateKey(
                f"Two renames end at {new_key!r}.",
                next_step="Give each file a logical key of its own.",
                details={"path": new_key},
            )
        self._moved[new_key] = replace(self._with_metadata(entry), logical_key=new_key)
        self._gone.add(entry.logical_key)
        self.counts.renamed += 1
        self._note(PlannedChange(new_key, "rename", entry.size, old_path=entry.logical_key))

    def _keep_folders_of(self, key: str) -> None:
        if not self._pending:
            return
        end = key.find("/")
        while end != -1:
            self._pending.discard(key[: end + 1])
            end = key.find("/", end + 1)

    def _nothing_at(self, key: str) -> EntryNotFound | NotAFile:
        records = self._parent.records() if self._parent else ()
        if not key.endswith("/") and any(r.logical_key.startswith(f"{key}/") for r in records):
            return NotAFile(
                f"{key!r} is a folder.",
                next_step=f"Write it as {key + '/'!r} to mean the folder and all that lies below it.",
                details={"path": key},
            )
        close = self._parent.suggest(key) if self._parent else []
        hint = f"Did you mean {', '.join(close)}? " if close else ""
        return EntryNotFound(
            f"There is no {key!r} in the parent revision.",
            next_step=f"{hint}Call package_browse for what it holds.",
            details={"path": key, "suggestions": close},
        )

    def _note(self, change: PlannedChange) -> None:
        if len(self.changes_shown) < CHANGES_SHOWN:
            self.changes_shown.append(change)

    # -- the new revision --

    def records(self) -> Iterator[Record]:
        """Every record of the manifest in the order it is written, once all that came in is finished."""
        directories = (DirectoryMeta(folder, meta) for folder, meta in self._directories.items())
        yield from manifest_order(directories, self._entries(self._incoming.entries()))

    def touches(self, key: str) -> bool:
        """Whether the changes make, move or take away the entry at ``key``: what must not clash when a draft is redone."""
        return (
            key in self._gone
            or key in self._moved
            or key in self._incoming
            or (key in self._changes.entry_metadata and not key.endswith("/"))
        )

    def _entries(self, incoming: Iterable[Entry]) -> Iterator[Entry]:
        """All entries of the new revision in walk order, with what comes in as ``incoming`` has it (in walk order)."""
        moved = sorted(self._moved.values(), key=_place)
        arriving = merge(moved, incoming, key=_place) if moved else iter(incoming)
        next_one = next(arriving, None)
        for entry in self._staying():
            key = _place(entry)
            while next_one is not None and _place(next_one) < key:
                yield next_one
                next_one = next(arriving, None)
            if next_one is not None and next_one.logical_key == entry.logical_key:
                if entry.logical_key in self._moved:
                    raise DuplicateKey(
                        f"A rename ends at {entry.logical_key!r}, where a file already is.",
                        next_step="Remove that file in the same call, or choose another logical key.",
                        details={"path": entry.logical_key},
                    )
                continue
            yield entry
        if next_one is not None:
            yield next_one
        yield from arriving

    def _staying(self) -> Iterator[Entry]:
        if self._parent is None or not self._changes.keep_parent:
            return
        moved_bytes = self._changes.moved_bytes
        for record in self._parent.records():
            if isinstance(record, DirectoryMeta):
                continue
            if moved_bytes is not None:
                yield moved_bytes.finished(record.logical_key) or record
            elif not self._touched:
                yield record
            elif record.logical_key not in self._gone:
                yield self._with_metadata(record)

    def _with_metadata(self, entry: Entry) -> Entry:
        if entry.logical_key not in self._changes.entry_metadata:
            return entry
        value = self._changes.entry_metadata[entry.logical_key]
        meta = {key: kept for key, kept in entry.meta.items() if key != "user_meta"}
        return replace(entry, meta=meta if value is None else {**meta, "user_meta": value})

    # -- matching --

    def _is_removed(self, key: str) -> bool:
        if key in self._removed_keys:
            self._unmatched.pop(key, None)
            return True
        for folder in self._removed_folders:
            if key.startswith(folder):
                self._unmatched.pop(folder, None)
                return True
        return False

    def _new_key(self, key: str) -> str:
        if key in self._renamed_keys:
            return self._renamed_keys[key]
        folder = self._renamed_folder_of(key)
        if folder is None:
            return key
        self._unmatched.pop(folder, None)
        return self._renamed_folders[folder] + key[len(folder) :]

    def _new_folder(self, key: str) -> str:
        folder = self._renamed_folder_of(key)
        return key if folder is None else self._renamed_folders[folder] + key[len(folder) :]

    def _renamed_folder_of(self, key: str) -> str | None:
        """The longest renamed folder that holds ``key``: the most exact rename wins."""
        holding = [folder for folder in self._renamed_folders if key.startswith(folder)]
        return max(holding, key=len, default=None)

    def _check_rename(self, rename: Rename) -> None:
        old_is_folder, new_is_folder = rename.old.endswith("/"), rename.new.endswith("/")
        if old_is_folder != new_is_folder and rename.new:
            raise InvalidArgument(
                f"Cannot rename {rename.old!r} to {rename.new!r}: one is a folder and the other is not.",
                next_step="End both with '/' to rename a folder, or neither to rename a file.",
            )
        if not old_is_folder:
            validate_logical_key(rename.new)


def _place(entry: Entry) -> str:
    return walk_key(entry.logical_key)


def _holds_files(parent: ParentRecords, folder: str) -> bool:
    totals = parent.folder_totals(folder)
    return totals is not None and totals.entries > 0


def header_with(fields: JsonObject, **edits: Any) -> Header:
    """The header with edits applied as quilt3 does: keys that exist keep their place, new ones are added at the end."""
    return Header({**fields, **edits})
