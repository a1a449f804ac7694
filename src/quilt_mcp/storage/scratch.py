"""ScratchTable: rows of one call, in memory while they are few, the rest in a private temporary file that goes with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self

from quilt_mcp.errors import StorageFull, StorageUnavailable

_SETTINGS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;"
"""16 MB stay in memory."""


class ScratchTable:
    """Tables of SQLite's, which nothing outlives. Methods block; threads may call them one after another, not at once. They raise
    StorageFull and StorageUnavailable for a temporary file that fails, and let IntegrityError through."""

    def __init__(self, schema: str) -> None:
        with _typed():
            self._tables = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._tables.executescript(f"{_SETTINGS} {schema} BEGIN;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tables.close()

    def ask(self, statement: str, *given: Any) -> list[Any]:
        with _typed():
            return self._tables.execute(statement, given).fetchall()

    def rows(self, statement: str) -> Iterator[Any]:
        """One by one; nothing may be written until the last."""
        with _typed():
            yield from self._tables.execute(statement)


@contextmanager
def _typed() -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname == "SQLITE_FULL" or error.sqlite_errorname.startswith("SQLITE_IOERR"):
            raise StorageFull(
                f"The system's folder for temporary files has no room for what this call works on ({error}).",
                next_step="Free some space there, or set TMPDIR to a folder with more, then make the same call again.",
            ) from error
        raise StorageUnavailable(
            f"The system's folder for temporary files cannot be used: {error}.",
            next_step="Set TMPDIR to a folder that can be written, then make the same call again.",
        ) from error
