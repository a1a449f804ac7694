"""Engine: DuckDB over our own tables, one for the process, with its memory and its threads bounded.

It runs statements of ours alone, over files that ``Parts`` wrote and proved; what a user wrote stands in them as literals.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread

from quilt_mcp.errors import StorageFull, StorageUnavailable, TooCostly
from quilt_mcp.storage.workers import in_thread

MEMORY: Final = "256MB"
THREADS: Final = 2
AT_ONCE: Final = 2
"""Statements at work together; whoever asks for more waits."""
_PATIENCE: Final = 1.5
_SPILL: Final = "4GB"
_FULL: Final = ("No space left", "max_temp_directory_size", "File too large", "quota exceeded")
"""What the engine says where there is no room: the system's words for it, and its own."""
_NUL: Final = re.compile("\0")
T = TypeVar("T")
Row = tuple[Any, ...]


class Engine:
    """Made when it is first asked: until then it costs nothing, and importing it imports no DuckDB."""

    def __init__(self, spill: Callable[[], Path]) -> None:
        """``spill``: the folder for what does not fit into memory."""
        self._spill = spill
        self._connection: Any = None
        self._making = threading.Lock()
        self._places: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` answers, from a thread. Cancelled, interrupts its statement and waits for the thread, at most 1.5 s.
        Raises TooCostly, StorageFull, StorageUnavailable."""
        if self._places is None:
            self._places = anyio.CapacityLimiter(AT_ONCE)
        connection = Connection(self)
        try:
            return await in_thread(partial(connection.give_to, work), limiter=self._places)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(connection.stop, _PATIENCE, limiter=anyio.CapacityLimiter(1))
            raise

    def cursor(self) -> Any:
        """Blocks for some 0.1 s, the first time."""
        with self._making:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection.cursor()

    def _connect(self) -> Any:
        import duckdb

        connection = duckdb.connect(":memory:")
        for setting in (
            f"SET threads = {THREADS}",
            f"SET memory_limit = '{MEMORY}'",
            f"SET temp_directory = {literal(str(self._spill()))}",
            f"SET max_temp_directory_size = '{_SPILL}'",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET allow_community_extensions = false",
            "SET python_enable_replacements = false",
            "SET enable_external_file_cache = false",
            "SET enable_progress_bar = false",
            "SET TimeZone = 'UTC'",
            "SET lock_configuration = true",
        ):
            connection.execute(setting)
        return connection


class Connection:
    """For one thread. ``rows`` blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cursor: Any = None
        self._is_stopped = False
        self._has_begun = False
        self._ended = threading.Event()

    def give_to(self, work: Callable[[Connection], T]) -> T:
        self._has_begun = True
        try:
            if self._is_stopped:
                raise Interrupted
            return work(self)
        finally:
            self._ended.set()
            if self._cursor is not None:
                self._cursor.close()

    def rows(self, statement: str) -> Sequence[Row]:
        """Raises TooCostly, StorageFull, StorageUnavailable, DamagedPart."""
        import duckdb

        if self._cursor is None:
            self._cursor = self._engine.cursor()
        if self._is_stopped:
            raise Interrupted
        try:
            return self._cursor.execute(statement).fetchall()
        except duckdb.InterruptException:
            raise Interrupted from None
        except duckdb.OutOfMemoryException as error:
            raise TooCostly(
                "The search takes more memory than a call may have.",
                next_step="Narrow it: name a registry, add words, or sort by best or name.",
                details={"memory": MEMORY},
            ) from error
        except duckdb.IOException as error:
            said = str(error)
            if any(one in said for one in _FULL):
                raise StorageFull(
                    "The cache folder has no room for what the search works on.",
                    next_step="Free some space there, or set QUILT_MCP_CACHE_DIR to another folder.",
                ) from error
            raise damaged(DamagedPart) from error
        except (duckdb.BinderException, duckdb.ParserException):
            raise  # a fault of this program, to be reported as one
        except duckdb.Error as error:
            # Our own statements are right; what fails is a file that is not as it was written.
            raise damaged(OddRows) from error

    def stop(self, patience: float) -> None:
        """Blocks until the thread has ended, so many seconds at most. A statement that is about to begin misses an interruption,
        so that there are several."""
        self._is_stopped = True
        until = time.monotonic() + patience
        while self._has_begun and not self._ended.is_set() and time.monotonic() < until:
            if self._cursor is not None:
                self._cursor.interrupt()
            self._ended.wait(0.02)


class Interrupted(Exception):
    """Nobody waits for the answer any more."""


class DamagedPart(StorageUnavailable):
    """A table is not as it was written: it is to be made anew."""


class OddRows(DamagedPart):
    """The engine does not take what is in a file."""


def damaged(kind: type[DamagedPart]) -> DamagedPart:
    return kind(
        "A part of the search's catalog cannot be read.",
        next_step="Make the same call again: it is made anew. If it stays so, `quilt-mcp cache clear` removes the catalog.",
    )


def literal(value: str | float | bool) -> str:
    """A value as it stands in a statement."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else f"'{value}'::DOUBLE"
    whole = value.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    quoted = "'" + whole.replace("'", "''") + "'"
    return quoted if "\0" not in whole else _NUL.sub("'||chr(0)||'", quoted)
