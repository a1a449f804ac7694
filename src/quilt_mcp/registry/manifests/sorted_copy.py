"""Sorted copies: the records of a manifest whose lines stand in another order, or are spelled in another way, as lines that
an index takes. quilt3 sorts such manifests in memory; here SQLite does, in a temporary file of its own, so memory is level."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from quilt_mcp.domain.entry import DirectoryMeta
from quilt_mcp.domain.manifest.codec import corrupt_length, decode_record, encode_exact
from quilt_mcp.domain.walk import corrupt_duplicate, directory_walk_key
from quilt_mcp.registry.manifests.lines import Lines, LineTooLong
from quilt_mcp.storage.scratch import ScratchTable

_CHECK_EVERY = 1000
_TABLE = "CREATE TABLE lines (kind, walk_key BLOB, line BLOB, PRIMARY KEY (kind, walk_key)) WITHOUT ROWID;"


def sorted_copy(lines: Lines, checkpoint: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The header, the metadata of directories (of two for one directory the last, as in quilt3), the entries. Decodes every
    line. Raises CorruptManifest, among others for two entries of one key, and as ScratchTable does."""
    with ScratchTable(_TABLE) as table:
        number = 1
        try:
            for block in lines.blocks(0, lines.size):
                checkpoint()
                for line in block.split(b"\n")[:-1]:
                    if number == 1:
                        yield line + b"\n"
                    else:
                        _insert(table, line, number)
                    number += 1
        except LineTooLong:
            corrupt_length(number)
        for number, (line,) in enumerate(table.rows("SELECT line FROM lines ORDER BY kind, walk_key")):
            if number % _CHECK_EVERY == 0:
                checkpoint()
            yield line


def _insert(table: ScratchTable, line: bytes, number: int) -> None:
    record = decode_record(line, number)
    kind, verb = (0, "REPLACE") if isinstance(record, DirectoryMeta) else (1, "INSERT")
    row = (kind, directory_walk_key(record.logical_key).encode(), encode_exact(record))
    try:
        table.ask(f"{verb} INTO lines VALUES (?, ?, ?)", *row)
    except sqlite3.IntegrityError as error:
        raise corrupt_duplicate(record.logical_key) from error
