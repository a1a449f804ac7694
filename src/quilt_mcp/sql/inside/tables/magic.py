"""Magic: what a file that cannot be read is by its first bytes, where its name says otherwise."""

from __future__ import annotations

from typing import Any, Final

from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.tables.table import FilesTable, is_packed

_KINDS: Final = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "Zstandard", b"PK\x03\x04": "ZIP (as .xlsx is)", b"PAR1": "Parquet",
    b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"SQLite format 3": "SQLite", b"%PDF": "PDF", b"\x89HDF": "HDF5", b"\x89PNG": "PNG",
    b"\xd0\xcf\x11\xe0": "an old Office file (as .xls is)", b"ARROW1": "Arrow", b"Obj\x01": "Avro",
}  # fmt: skip
_LOOKED_AT: Final = 20


def tell(files: Any, table: FilesTable, fault: Fault) -> None:
    """``files``: the filesystem of the query. Raises Fault for the first file that is something else than a text."""
    said = str(fault)
    suspected = [one for one in table.paths if one in said] or [*table.paths[:_LOOKED_AT]]
    for path in suspected:
        if is_packed(path):
            continue
        try:
            head: bytes = files.open(path).read(16)
        except OSError:
            continue
        for sign, kind in _KINDS.items():
            if head.startswith(sign):
                raise Fault(
                    "other_kind", f"{path} is {kind} by its first bytes, and no {table.base.upper()}."
                )
