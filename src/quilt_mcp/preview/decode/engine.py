"""DuckDB, shut in: it may read the files of its folder that it is told of, and nothing else."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from quilt_mcp.preview.decode.file import Fault

_SETTINGS = (
    "SET threads = 2",
    "SET memory_limit = '768MB'",
    "SET temp_directory = ''",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_file_cache = false",
    "SET TimeZone = 'UTC'",
)


@contextmanager
def connect(*paths: str) -> Generator[Any]:
    """A connection that reads ``paths`` only. What DuckDB says of a damaged file, or of too much, becomes a Fault."""
    import duckdb

    with duckdb.connect(":memory:") as engine:
        for setting in _SETTINGS:
            engine.execute(setting)
        engine.execute(f"SET allowed_paths = [{', '.join(text(path) for path in paths)}]")
        engine.execute("SET enable_external_access = false")
        engine.execute("SET lock_configuration = true")
        try:
            yield engine
        except duckdb.OutOfMemoryException:
            raise Fault("too_costly", "It would take more memory than a call may have.") from None
        except duckdb.Error as error:
            said = str(error).partition("\n")[0][:300]
            raise Fault("undecodable", f"DuckDB cannot read it: {said}") from None


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
