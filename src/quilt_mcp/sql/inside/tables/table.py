"""FilesTable: files of one kind that are one table of a query, as the parent named them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.sql.inside.quoting import identifier, text

FILE: Final = "$file of the query"
"""The column by which the engine says whose a row is. It is never shown."""
_MOST_PACKED: Final = 1_000
"""A packed file is hardly smaller than what is in it by more than that."""


@dataclass(frozen=True, slots=True)
class FilesTable:
    """``settings``: of the engine's reader, as literals. ``added``: columns beside the files' own, with each file's value."""

    name: str
    base: str
    paths: Sequence[str]
    sizes: Sequence[int]
    settings: Mapping[str, str]
    added: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, given: Mapping[str, Any], addresses: Sequence[str], sizes: Sequence[int]) -> FilesTable:
        """``addresses`` and ``sizes``: of all files of the query."""
        numbers: Sequence[int] = given["numbers"]
        return cls(
            given["name"],
            given["base"],
            [addresses[one] for one in numbers],
            [sizes[one] for one in numbers],
            given["settings"],
            given["added"],
        )

    @property
    def is_several(self) -> bool:
        return len(self.paths) > 1

    def is_longer(self, number: int, size: int) -> bool:
        """Whether a file may hold more bytes than ``size``, once it is unpacked."""
        return self.sizes[number] * (_MOST_PACKED if is_packed(self.paths[number]) else 1) > size

    def source(self, **more: str) -> str:
        """All of its files as the engine reads them by itself; ``more`` settings win."""
        settings = {"union_by_name": "true"} if self.is_several else {}
        settings |= {"filename": text(FILE)} if self.added else {}
        return call(self.base, self.paths, {**settings, **self.settings, **more})

    def source_of(self, columns: str, settings: Mapping[str, str]) -> str:
        """The same with columns that are known."""
        named = {"filename": text(FILE)} if self.added else {}
        return call(self.base, self.paths, {**named, **settings, "columns": columns})

    def with_added(self, source: str, own: Sequence[str]) -> tuple[str, list[str]]:
        """A SELECT from ``source``, which has FILE where columns are added, and what is to be told: a column of the files'
        ``own`` by a name that is added here has another name."""
        if not self.added:
            return f"SELECT * FROM {source}", []
        taken = {one.lower() for one in self.added}
        hidden = {one: f"{one}_of_file" for one in own if one.lower() in taken}
        renamed = ", ".join(f"{identifier(one)} AS {identifier(new)}" for one, new in hidden.items())
        kept = f"* EXCLUDE ({identifier(FILE)}){f' RENAME ({renamed})' if renamed else ''}"
        at = f"list_position([{', '.join(map(text, self.paths))}], {identifier(FILE)})"
        more = ", ".join(
            f"list_extract([{', '.join(map(text, values))}], {at}) AS {identifier(column)}"
            for column, values in self.added.items()
        )
        said = [
            f"other_name: the files have a column {one} of their own, which is {identifier(new)} here."
            for one, new in hidden.items()
        ]
        return f"SELECT {kept}, {more} FROM {source}", said


def is_packed(path: str) -> bool:
    return path.endswith((".gz", ".zst"))


def call(base: str, paths: Sequence[str], settings: Mapping[str, str]) -> str:
    said = "".join(f", {name} = {value}" for name, value in settings.items())
    return f"read_{base}([{', '.join(map(text, paths))}]{said})"
