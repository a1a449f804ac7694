"""View: the tables of a state, as they stand in a FROM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from quilt_mcp.search.parts import many, tables
from quilt_mcp.search.state import Part, State

_EMPTY: Final = {
    "heads": "number INTEGER, name VARCHAR, top_hash VARCHAR, modified BIGINT, message VARCHAR, metadata VARCHAR, "
    "workflow VARCHAR, entries BIGINT, size BIGINT, readme VARCHAR, columns VARCHAR, lname VARCHAR, lmessage VARCHAR, "
    "lmeta VARCHAR, lreadme VARCHAR, lcolumns VARCHAR, lworkflow VARCHAR, weight BIGINT, words VARCHAR",
    "fields": "number INTEGER, pointer VARCHAR, in_list BOOLEAN, kind VARCHAR, text VARCHAR, ltext VARCHAR, "
    "words VARCHAR, value DOUBLE, moment BIGINT",
    "entries": "number INTEGER, logical_key VARCHAR, physical_key VARCHAR, hash_type VARCHAR, hash_value VARCHAR, size BIGINT, "
    "metadata VARCHAR, lpath VARCHAR, ext VARCHAR, lmeta VARCHAR, words VARCHAR, file_row_number BIGINT",
}


class View:
    """Of packages that stand for themselves: what was replaced or deleted is left out."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state
        live: dict[str, list[int]] = {part.id: [] for part in state.parts}
        for one in state.packages.values():
            if one.part in live:
                live[one.part].append(one.number)
        self._whole = [part for part in state.parts if len(live[part.id]) == part.packages]
        self._partial = [
            (part, live[part.id]) for part in state.parts if 0 < len(live[part.id]) < part.packages
        ]

    def heads(self) -> str:
        return self._from("heads")

    def fields(self) -> str:
        return self._from("fields")

    def entries(self) -> str:
        """With ``file_row_number``: a row is told from others by this and its package's number."""
        return self._from("entries")

    def _from(self, kind: str) -> str:
        found: list[str] = []
        if files := tables(self.folder, kind, self._whole):
            found.append(_read(files, kind))
        for part, numbers in self._partial:
            if files := tables(self.folder, kind, [part]):
                found.append(
                    f"(SELECT * FROM {_read(files, kind)} WHERE number IN ({', '.join(map(str, numbers))}))"
                )
        if not found:
            columns = ", ".join(
                f"NULL::{kind_} AS {name}"
                for name, kind_ in (one.split(" ") for one in _EMPTY[kind].split(", "))
            )
            return f"(SELECT {columns} WHERE false)"
        if len(found) == 1:
            return found[0]
        return f"({' UNION ALL '.join(f'SELECT * FROM {one}' for one in found)})"


def _read(files: Sequence[str], kind: str) -> str:
    rows = ", file_row_number = true" if kind == "entries" else ""
    return f"read_parquet({many(files)}, hive_partitioning = false{rows})"


def live_count(state: State, part: Part) -> int:
    return sum(1 for one in state.packages.values() if one.part == part.id)
