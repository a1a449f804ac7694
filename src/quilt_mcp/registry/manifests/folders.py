"""What two large forms of a manifest have in common: they ask DuckDB about folders, and fetch entries by their row."""

# ruff: noqa: S608 - the SQL holds nothing but constants and numbers; what a manifest says goes in as parameters

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import Totals
from quilt_mcp.registry.manifests.manifest import FolderRow, after_folder, folder_path


class FolderedManifest(ABC):
    """The part of ``Manifest`` that a table ``folders`` answers: for each folder that holds files itself or has metadata
    ``folder`` (no trailing '/'), ``entries`` and ``bytes`` of these files, and ``first``, the row of the first of them.
    Rows are in walk order, so what lies below a folder is neighbours."""

    totals: Totals

    @abstractmethod
    def _ask(self, query: str, parameters: Any = None) -> list[Any]:
        """Rows of an SQL query on ``folders``."""

    @abstractmethod
    def _entries_from(self, row: int, count: int) -> list[Entry]:
        """The entries in ``count`` rows from ``row``."""

    @abstractmethod
    def _first_row(self) -> int:
        """The row of the first entry."""

    @abstractmethod
    def _mixed(self, path: str, offset: int, limit: int, children: Children) -> list[FolderRow]:
        """A page of a folder that holds both files and folders."""

    def folder(self, path: str, offset: int, limit: int) -> tuple[list[FolderRow], int]:
        path = folder_path(path)
        if not utf8(path):
            return [], 0
        files, first = self._ask(
            "SELECT sum(entries), min(first) FROM folders WHERE folder = $1", [path[:-1]]
        )[0]
        files = int(files or 0)
        children = Children(path)
        [(folders,)] = self._ask(f"SELECT count(*) FROM ({children.query})", children.parameters)
        if not folders:
            # Without folders among them, a folder's files are neighbours in walk order.
            entries = self._entries_from(int(first or 0) + offset, min(limit, files - offset))
            rows = [file_row(entry) for entry in entries]
        elif not files:
            page = f"ORDER BY name LIMIT {int(limit)} OFFSET {int(offset)}"
            rows = [
                children.row(name, entries, size)
                for name, entries, size in self._ask(
                    f"SELECT name, entries, bytes FROM ({children.query}) {page}", children.parameters
                )
            ]
        else:
            rows = self._mixed(path, offset, limit, children)
        return rows, files + int(folders)

    def below(self, path: str, offset: int, limit: int) -> tuple[list[Entry], int]:
        found = self._subtree(folder_path(path))
        if found is None:
            return [], 0
        first, totals = found
        return self._entries_from(first + offset, min(limit, totals.entries - offset)), totals.entries

    def folder_totals(self, path: str) -> Totals | None:
        found = self._subtree(folder_path(path))
        return None if found is None else found[1]

    def _subtree(self, path: str) -> tuple[int, Totals] | None:
        """The first row of a folder's entries and their sums; None: no such folder."""
        if not path:
            return self._first_row(), self.totals
        if not utf8(path):
            return None
        inside, parameters = _inside(path)
        rows, first, entries, size = self._ask(
            f"SELECT count(*), min(first), sum(entries), sum(bytes) FROM folders WHERE folder = $here OR ({inside})",
            {**parameters, "here": path[:-1]},
        )[0]
        return (int(first or 0), Totals(int(entries), int(size))) if rows else None


class Children:
    """The folders directly in a folder, as an SQL query of ``name``, ``entries`` and ``bytes``."""

    def __init__(self, path: str) -> None:
        inside, self.parameters = _inside(path)
        self.query = f"""
            SELECT split_part(substr(folder, {len(path) + 1}), '/', 1) AS name, sum(entries) AS entries, sum(bytes) AS bytes
            FROM folders WHERE {inside} AND folder <> '' GROUP BY 1
        """
        self._path = path

    def row(self, name: str, entries: int, size: int) -> FolderRow:
        return FolderRow(f"{self._path}{name}/", True, None, int(size), int(entries))


def file_row(entry: Entry) -> FolderRow:
    return FolderRow(entry.logical_key, False, entry, entry.size or 0, 1)


def utf8(text: str) -> bool:
    """Whether DuckDB can be asked about it."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _inside(path: str) -> tuple[str, dict[str, str]]:
    """The condition for folders whose path starts with ``path``, and its parameters."""
    if not path:
        return "true", {}
    return "folder >= $first AND folder < $end", {"first": path, "end": after_folder(path)}
