"""One manifest's bytes in each of its representations."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from quilt_mcp.domain.codec import decode_header
from quilt_mcp.registry.manifests.build import build_table, read_holdable
from quilt_mcp.registry.manifests.line_file import LineFile
from quilt_mcp.registry.manifests.memory import MemoryManifest
from quilt_mcp.registry.manifests.scan import ScannedManifest, scan
from quilt_mcp.registry.manifests.table import TableManifest

TOP_HASH = "a" * 64


def in_memory(body: bytes) -> MemoryManifest:
    header, records = read_holdable([body])
    return MemoryManifest(TOP_HASH, header, records)


def as_table(body: bytes, folder: Path, *, wide: bool | None = None) -> TableManifest:
    source, target, work = folder / "source", folder / "target.parquet", folder / "work"
    source.write_bytes(body)
    work.mkdir()
    built = build_table(str(source), len(body), TOP_HASH, target, work, wide=wide)
    return TableManifest(
        TOP_HASH,
        decode_header(built.header_line),
        built.totals,
        directory_metas=built.directory_metas,
        file=target,
        modified=None,
    )


def as_scanned(
    body: bytes, folder: Path, table: Future[TableManifest] | None = None
) -> ScannedManifest | None:
    """None: the scan leaves it to the table's builder. Without ``table`` it is never written, and asking for it would wait
    for ever."""
    source = folder / "scanned"
    source.write_bytes(body)
    seen = scan(str(source), len(body), folder / "spill")
    if seen is None:
        return None
    return ScannedManifest(TOP_HASH, seen, LineFile(str(source)), table or Future(), None)
