"""Manifest: what can be asked of one revision's entries, however they are held.

Three representations answer it: ``MemoryManifest`` (small manifests, Python objects), ``TableManifest`` (large ones, a
Parquet file queried by DuckDB) and ``ScannedManifest`` (a very large one whose table is still being written). A property
test holds their answers equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header, Record
from quilt_mcp.domain.listing import Item, Totals

PAGE = 1000
"""Entries of a page, for those who go through all of them."""


@dataclass(frozen=True, slots=True)
class FolderRow:
    """One line of a folder: a file with its ``entry``, or a folder (``path`` ends in '/') with what lies below it summed."""

    path: str
    is_folder: bool
    entry: Entry | None
    size: int
    entries: int


class Manifest(Protocol):
    """One revision. Methods block (call them in a thread) and may be called by several threads at once.

    Folders are named with their trailing '/' ('' is the root; a missing '/' is forgiven). A folder exists when an entry
    or directory metadata lies at or below it; the root always does. All lists are in walk order.
    """

    @property
    def top_hash(self) -> str: ...

    @property
    def header(self) -> Header: ...

    @property
    def totals(self) -> Totals: ...

    @property
    def modified(self) -> datetime | None:
        """When the manifest was written, as its store says."""
        ...

    def folder(self, path: str, offset: int, limit: int) -> tuple[list[FolderRow], int]:
        """One page of the files and folders directly in ``path``, and how many there are. ([], 0) for no such folder."""
        ...

    def below(self, path: str, offset: int, limit: int) -> tuple[list[Entry], int]:
        """One page of all entries below ``path``, and how many there are."""
        ...

    def entry(self, key: str) -> Entry | None: ...

    def folder_totals(self, path: str) -> Totals | None:
        """None: no such folder."""
        ...

    def directory_meta(self, path: str) -> Any: ...

    def directory_metas(self) -> list[DirectoryMeta]: ...

    def records(self) -> Iterator[Record]:
        """Everything but the header as the manifest holds it, streamed: directory metadata, then entries."""
        ...

    def suggest(self, key: str) -> list[str]:
        """Keys and folders near to one that does not exist; bounded work, so best effort."""
        ...


def files_page(manifest: Manifest, item: Item, offset: int) -> list[Entry]:
    """The PAGE entries at or below ``item``, from ``offset`` on; [] after the last. Blocks."""
    if item.type == "file":
        entry = manifest.entry(item.path) if offset == 0 else None
        return [entry] if entry else []
    return manifest.below(item.path, offset, PAGE)[0]


def folder_path(path: str) -> str:
    """The same folder with exactly one trailing '/', '' for the root."""
    stripped = path.strip("/")
    return f"{stripped}/" if stripped else ""


def after_folder(path: str) -> str:
    """The first string after everything that starts with ``path`` (which ends in '/'), in code-point order."""
    return f"{path[:-1]}0"
