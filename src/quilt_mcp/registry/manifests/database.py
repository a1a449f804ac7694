"""DuckDB, opened for manifests: in memory, bounded, and reaching the files it is given and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "256MB"
THREADS = 2


def open_duckdb(
    spill: Path, paths: list[str], directories: list[str], *, threads: int = THREADS
) -> duckdb.DuckDBPyConnection:
    """A database in memory that reaches these files and folders only."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            # One thread keeps the order by itself; not asked to, it writes faster, and row groups bounded in bytes.
            "preserve_insertion_order": threads > 1,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, paths))}]")
    connection.execute(f"SET allowed_directories = [{', '.join(map(quoted, directories))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(text: str) -> str:
    """As an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
