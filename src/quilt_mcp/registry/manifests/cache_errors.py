"""What fails under the manifest cache, on the disk or in DuckDB, as what the caller can do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from quilt_mcp.errors import QuiltError, StorageFull, StorageUnavailable, TooLarge

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def cache_errors(directory: Path) -> Generator[None]:
    """Lets no OSError and no DuckDB error out of the block. Raises StorageFull, TooLarge, StorageUnavailable."""
    import duckdb

    try:
        yield
    except OSError as error:
        raise _failed(directory, error.strerror or str(error), full=error.errno in _FULL) from error
    except duckdb.OutOfMemoryException as error:
        # What does not fit in memory spills to the disk, up to a share of what is free there.
        if "max_temp_directory_size" in str(error):
            raise _failed(directory, "no room for intermediate files", full=True) from error
        raise TooLarge(
            "The manifest is too large to be worked on as a whole in the memory that is given to it.",
            next_step="Ask for a part of it: a folder (path), or a smaller page (limit).",
            details={"directory": str(directory)},
        ) from error
    except duckdb.Error as error:
        # DuckDB gives the kernel's reason as text only.
        full = next((text for text in map(os.strerror, _FULL) if text in str(error)), None)
        raise _failed(directory, full or str(error).partition("\n")[0], full=full is not None) from error


def _failed(directory: Path, reason: str, *, full: bool) -> QuiltError:
    details = {"directory": str(directory)}
    if full:
        return StorageFull(
            f"The manifest does not fit into the manifest cache {directory}: {reason}.",
            next_step="Free some space there, or set QUILT_MCP_CACHE_DIR to another folder.",
            details=details,
        )
    return StorageUnavailable(
        f"The manifest cache {directory} cannot be used: {reason}.",
        next_step="Make the folder writable, or set QUILT_MCP_CACHE_DIR to another one; what is in it may be deleted.",
        details=details,
    )
