"""A package of tables that quilt3 wrote, and what queries it, with one layer of the box switched off where a test wants that."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import duckdb
import quilt3

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.backends.querying.registry_sql import RegistrySql
from quilt_mcp.domain.sql import SqlRequest, SqlRows
from quilt_mcp.sql.child import Layers
from quilt_mcp.storage.content import ContentCache

PACKAGE = "box/tables"
GROWTH = "day,well,od,note\n" + "".join(
    f"2026-01-{1 + n % 28:02d},{'ABCDEFGH'[n % 8]}{1 + n % 12},{n % 17 / 10},{'' if n % 5 else 'ok'}\n"
    for n in range(240)
)
PLATES = "well;kind\n" + "".join(
    f"{letter}{n};{'blank' if n % 3 else 'sample'}\n" for letter in "ABCD" for n in range(1, 13)
)


def write_package(folder: Path) -> str:
    """The URL of its registry. The files that it refers to stay beside it."""
    files = folder / "files"
    files.mkdir(parents=True)
    (files / "growth.csv").write_text(GROWTH)
    (files / "plates.csv").write_text(PLATES)
    lines = [
        {"id": n, "tags": ["a", "b"][: n % 3], "of": {"x": n, "y": None if n % 4 else f"é{n}"}}
        for n in range(60)
    ]
    (files / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    with duckdb.connect() as engine:
        engine.execute(
            "COPY (SELECT i AS id, i % 7 AS kind, i * 1.5 AS value, TIMESTAMP '2026-01-01' + INTERVAL (i) HOUR AS began, "
            f"'t' || (i % 11) AS name FROM range(2000) t(i)) TO '{files / 'runs.parquet'}' (FORMAT parquet)"
        )
    package = quilt3.Package()
    for name in ("growth.csv", "plates.csv", "events.jsonl", "runs.parquet"):
        package.set(f"data/{name}", str(files / name))
    package.set("data/größe ü.csv", str(files / "plates.csv"))
    (folder / "registry").mkdir()
    package.build(PACKAGE, registry=(folder / "registry").as_uri(), message="tables")
    return (folder / "registry").as_uri()


ALL = Layers()


def boxed(
    url: str, cache: Path, layers: Layers = ALL, *, is_gated: bool = True, seconds: float = 30.0
) -> RegistrySql:
    folder = Path(url.removeprefix("file://"))
    ops = LocalOps(url, Options(roots=(folder.parent,), writable=False, cache=cache, cache_bytes=1 << 30))
    late = ops.sql
    content = ContentCache(late._private, late._bound, late._owner)  # type: ignore[attr-defined]
    return RegistrySql(
        late._registry, late._registries, late._stores, late._searching, content,  # type: ignore[attr-defined]
        layers=layers, is_gated=is_gated, seconds=seconds,
    )  # fmt: skip


async def ask(sql: RegistrySql, text: str, **given: object) -> SqlRows:
    packages = given.pop("packages", (PACKAGE,))
    limit = given.pop("limit", 5_000)
    return await sql.query(SqlRequest(text, tuple(packages), **given), limit=limit)  # type: ignore[arg-type]


def leftovers() -> set[str]:
    """Folders of queries."""
    return {str(one) for one in Path(tempfile.gettempdir()).glob("quilt-mcp-*")}
