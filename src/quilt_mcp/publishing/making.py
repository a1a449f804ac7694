"""Making: the files of a publication, written by the catalog's engine into a scratch folder, one after another."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quilt_mcp.errors import StorageUnavailable, TooCostly
from quilt_mcp.publishing.held import Held, nothing
from quilt_mcp.publishing.named import Named
from quilt_mcp.search.engine import Connection, literal
from quilt_mcp.search.parts import many, sha256, typed

_GROUPS: Final = {"package_entry": 30_720, "package_manifest": 2_048}
"""Rows in each group of a table: what a reader passes over, and the engine holds, together. Metadata may be long."""
_GROUP: Final = 61_440


@dataclass(frozen=True, slots=True)
class MadeFile:
    path: Path
    rows: int
    bytes: int
    sha256: str


class Making:
    """Methods block. They raise StorageFull, StorageUnavailable, TooCostly."""

    def __init__(self, connection: Connection, scratch: Path) -> None:
        self._connection = connection
        self._scratch = scratch
        with typed(scratch):
            scratch.mkdir(parents=True, mode=0o700, exist_ok=True)

    def entries(self, held: Held, hashes: Sequence[str]) -> MadeFile:
        rows = sum(held.revisions[one].rows for one in hashes)
        return self._parquet("package_entry", held.entries(hashes), rows)

    def manifests(self, held: Held, hashes: Sequence[str]) -> MadeFile:
        return self._parquet("package_manifest", held.manifests(hashes), len(hashes))

    def hashes(self, hashes: Sequence[str]) -> MadeFile:
        path = self._path("hashes")
        with typed(self._scratch):
            path.write_bytes(b"".join(bytes.fromhex(one) for one in sorted(hashes)))
        return self._made(path, len(hashes))

    def revisions(self, named: Named) -> MadeFile:
        rows = [[name, seconds, top_hash] for name, seconds, top_hash in named.revisions]
        types = "pkg_name: 'VARCHAR', seconds: 'BIGINT', top_hash: 'VARCHAR'"
        columns = "pkg_name, make_timestamp(seconds * 1000000) AS timestamp, top_hash"
        return self._of_rows("package_revision", rows, columns, types)

    def tags(self, named: Named) -> MadeFile:
        rows = [[name, top_hash] for name, top_hash in named.tags]
        columns = "pkg_name, 'latest' AS tag_name, top_hash"
        return self._of_rows("package_tag", rows, columns, "pkg_name: 'VARCHAR', top_hash: 'VARCHAR'")

    def nothing(self, table: str) -> MadeFile:
        return self._parquet(table, nothing(table), 0)

    def _of_rows(self, table: str, rows: Sequence[Sequence[str | int]], columns: str, types: str) -> MadeFile:
        if not rows:
            return self.nothing(table)
        path = self._path("csv")
        with typed(self._scratch):
            path.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows), encoding="utf-8")
        form = f"header = false, auto_detect = false, delim = ',', hive_partitioning = false, columns = {{{types}}}"
        try:
            return self._parquet(
                table, f"SELECT {columns} FROM read_csv({many([str(path)])}, {form})", len(rows)
            )
        finally:
            path.unlink(missing_ok=True)

    def _parquet(self, table: str, source: str, rows: int) -> MadeFile:
        path = self._path("parquet")
        form = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUPS.get(table, _GROUP)}"
        try:
            [(written,)] = self._connection.rows(f"COPY ({source}) TO {literal(str(path))} ({form})")
        except TooCostly as error:
            raise TooCostly(
                "Writing the tables takes more memory than a call may have: some revision has very much metadata.",
                next_step="Tell the maintainers how large it is; search and sql read it all the same.",
                details=error.details,
            ) from error
        if written != rows:
            raise StorageUnavailable(
                f"Of {rows:,} rows of {table} {written:,} came out of the catalog: somebody wrote to the cache folder meanwhile.",
                next_step="Type it again; if it stays so, `quilt-mcp cache clear` removes the catalog.",
                details={"table": table},
            )
        return self._made(path, rows)

    def _path(self, ending: str) -> Path:
        return self._scratch / f"{secrets.token_hex(8)}.{ending}"

    def _made(self, path: Path, rows: int) -> MadeFile:
        with typed(self._scratch):
            return MadeFile(path, rows, path.stat().st_size, sha256(path))


def digest_of(rows: Sequence[object]) -> str:
    """Of the rows of a table that is written as a whole."""
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()
