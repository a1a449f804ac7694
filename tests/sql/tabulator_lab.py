"""A registry that quilt3 writes, a folder that declares tables over it as Tabulator's, and what queries them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from sql_lab import ask, build, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.sql import SqlRequest, SqlTable

PLATES = r"""
schema:
  - {name: well, type: STRING}
  - {name: od, type: DOUBLE}
  - {name: cycle, type: INT}
source:
  type: quilt-packages
  package_name: '^lab/(?<year>[0-9]+)_(?<run>[^_]+)$'
  logical_key: 'plates/(?<plate>[^/]+)\.csv(\.gz)?$'
parser: {format: csv, header: true}
"""
CONTINUES = "continue_on_error: true\n"


def text_of(rows: list[tuple[Any, ...]], heading: str = "well,od,cycle") -> str:
    return f"{heading}\n" + "".join(
        ",".join("" if one is None else f'"{one}"' if "," in str(one) else str(one) for one in row) + "\n"
        for row in rows
    )


class Lab:
    """A registry, a folder that declares tables, and what queries them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.declared = root / "declared"
        self.registry = root / "registry"
        self.files = root / "files"
        for one in (self.declared, self.registry, self.files):
            one.mkdir()
        options = Options((root,), False, root / "cache", 1 << 30, tabulator=self.declared)
        self.ops = LocalOps(self.registry.as_uri(), options)
        self._count = 0

    def package(self, name: str, files: dict[str, str | bytes]) -> str:
        placed: dict[str, Path] = {}
        for path, content in files.items():
            self._count += 1
            placed[path] = self.files / f"{self._count}-{path.rpartition('/')[2]}"
            placed[path].write_bytes(content.encode() if isinstance(content, str) else content)
        return build(self.registry, name, placed)

    def declare(self, name: str, config: str) -> None:
        (self.declared / f"{name}.yaml").write_text(config)

    async def rows(self, sql: str) -> list[list[Any]]:
        return [list(one) for one in values(await ask(self.ops, sql))]

    async def listed(self) -> dict[str, SqlTable]:
        return {one.name: one for one in await self.ops.sql.list_tables(SqlRequest(""))}


def parquet(tmp_path: Path, select: str) -> bytes:
    with duckdb.connect() as engine:
        engine.execute(f"COPY ({select}) TO '{tmp_path / 'made.parquet'}' (FORMAT parquet)")
    return (tmp_path / "made.parquet").read_bytes()
