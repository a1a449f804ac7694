"""Learned: columns of tables inside packages that were looked into, by the revision they are of.

They cost a look into each file, so a catalog has those of files that somebody opened, from the next search on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

_FILE: Final = "columns.jsonl"
MOST_BYTES: Final = 4 << 20
"""Of the file; when it has more, the older half is forgotten."""
MOST_COLUMNS: Final = 500
_LONGEST: Final = 200


class Learned:
    """Lines that are only added, by any number of processes. Methods block; none raises: what fails is not learned."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder

    def add(self, top_hash: str, path: str, columns: Iterable[str]) -> None:
        """Once for the same file."""
        names = [name[:_LONGEST] for name in columns][:MOST_COLUMNS]
        line = json.dumps([top_hash, path, names], ensure_ascii=False) + "\n"
        with suppress(OSError, UnicodeEncodeError):
            file = self._folder() / _FILE
            if not names or any(one == [top_hash, path, names] for one in self._lines()):
                return
            self._make_room(file)
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)

    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """By top hash, of all its files, each name once."""
        found: dict[str, dict[str, None]] = {}
        for top_hash, _, names in self._lines():
            found.setdefault(top_hash, {}).update(dict.fromkeys(names))
        return {top_hash: tuple(names) for top_hash, names in found.items()}

    def _lines(self) -> list[list[Any]]:
        found: list[list[Any]] = []
        with suppress(OSError):
            for line in (self._folder() / _FILE).read_bytes().split(b"\n"):
                with suppress(ValueError):  # the last line of a process that was killed
                    one: Any = json.loads(line)
                    if _is_sound(one):
                        found.append(cast("list[Any]", one))
        return found

    @staticmethod
    def _make_room(file: Path) -> None:
        with suppress(FileNotFoundError):
            if file.stat().st_size > MOST_BYTES:
                lines = file.read_bytes().splitlines(keepends=True)
                made = file.with_suffix(f".{os.getpid()}")
                made.write_bytes(b"".join(lines[len(lines) // 2 :]))
                os.replace(made, file)


def _is_sound(one: Any) -> bool:
    if not isinstance(one, list) or len(cast("list[Any]", one)) != 3:
        return False
    top_hash, path, names = cast("list[Any]", one)
    return isinstance(top_hash, str) and isinstance(path, str) and isinstance(names, list)
