"""Registries that quilt3 wrote, what quilt3 itself says of them, and the published tables as other engines read them."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import quilt3

from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.plan import no_progress
from quilt_mcp.domain.publication import NAMES, TABLES, PublishOutcome
from quilt_mcp.storage.store import ObjectStat

Rows = dict[str, list[list[Any]]]
COLUMNS = {
    "package_revision": ["pkg_name", "timestamp", "top_hash"],
    "package_tag": ["pkg_name", "tag_name", "top_hash"],
    "package_manifest": ["top_hash", "message", "metadata"],
    "package_entry": [
        "top_hash",
        "logical_key",
        "physical_key",
        "hash_type",
        "hash_value",
        "size",
        "metadata",
    ],
}


def told_by_quilt3(registry: str) -> dict[str, list[list[Any]]]:
    """The four tables, as they follow from what quilt3 reads. Runs in quilt3's own process, too: it stands by itself."""
    import quilt3

    found: dict[str, list[list[Any]]] = {
        "package_revision": [],
        "package_tag": [],
        "package_manifest": [],
        "package_entry": [],
    }
    seen = set()
    for name in quilt3.list_packages(registry):
        for tag, top_hash in quilt3.list_package_versions(name, registry):
            if tag == "latest":
                found["package_tag"].append([name, tag, top_hash])
                continue
            found["package_revision"].append([name, int(tag), top_hash])
            if top_hash in seen:
                continue
            seen.add(top_hash)
            package = quilt3.Package.browse(name, registry, top_hash=top_hash)
            found["package_manifest"].append([top_hash, package._meta.get("message"), package.meta])
            for key, entry in package.walk():
                hashed = entry.hash or {"type": None, "value": None}
                found["package_entry"].append(
                    [
                        top_hash,
                        key,
                        str(entry.physical_key),
                        hashed["type"],
                        hashed["value"],
                        entry.size,
                        entry._meta,
                    ]
                )
    return found


ORACLE = f"from typing import Any\n{inspect.getsource(told_by_quilt3)}\nresult = told_by_quilt3(arguments['registry'])\n"


def comparable(tables: Rows) -> dict[str, Counter[str]]:
    """Rows that are counted, whatever their order."""
    return {
        name: Counter(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
        for name, rows in tables.items()
    }


def plain(name: str, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows of an engine in the words of ``told_by_quilt3``: seconds for a time, JSON read."""
    found: list[list[Any]] = []
    for row in rows:
        cells = [None if one is pandas.NaT or one is pandas.NA else one for one in row]
        if name == "package_revision":
            cells[1] = int(pandas.Timestamp(cells[1]).timestamp())
        if name in ("package_manifest", "package_entry"):
            cells[-1] = {} if cells[-1] is None else json.loads(cells[-1])
        found.append(cells)
    return found


def by_pandas(folder: Path) -> Rows:
    """What a plain read of each folder gives."""
    found: Rows = {}
    for name in NAMES:
        frame = pandas.read_parquet(folder / name, dtype_backend="pyarrow")
        assert [*frame.columns] == COLUMNS[name]
        found[name] = plain(name, [*frame.astype(object).itertuples(index=False)])
    return found


def by_state(folder: Path) -> Rows:
    """What the files give that the state names."""
    state = json.loads((folder / "_publication.json").read_text())
    return {name: of_files(name, [folder / one for one in state["tables"][name]]) for name in NAMES}


def of_files(name: str, files: Sequence[Any]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for file in files:
        table = pyarrow.parquet.read_table(file, partitioning=None)
        assert table.column_names == COLUMNS[name]
        rows += [[*one.values()] for one in table.to_pylist()]
    return plain(name, rows)


def local_ops(registry: Path, cache: Path, *, writable: bool = True) -> LocalOps:
    options = Options(roots=(registry.parent,), writable=writable, cache=cache, cache_bytes=1 << 30)
    return LocalOps(registry.as_uri(), options)


async def publish(ops: DirectOps) -> PublishOutcome:
    assert ops.publications is not None
    return await ops.publications.publish(ops.default_registry, no_progress)


def write(
    registry: Path, name: str, files: dict[str, str], *, meta: Any = None, message: str | None = None
) -> str:
    """A revision by quilt3, of files with these texts."""
    package = quilt3.Package()
    for path, text in files.items():
        source = registry.parent / "sources" / str(abs(hash((path, text))))
        source.parent.mkdir(exist_ok=True)
        source.write_text(text)
        package.set(path, str(source), meta={"größe": len(text), "of": "日本"} if len(text) % 2 else None)
    if meta is not None:
        package.set_meta(meta)
    return package.build(name, registry=registry.as_uri(), message=message)


def write_some(registry: Path) -> None:
    """Packages with letters beyond ASCII, without message, without metadata, without files, and one that is a copy."""
    registry.mkdir(parents=True, exist_ok=True)
    write(
        registry,
        "lab/growth",
        {"a.csv": "a", "sub/ü é.txt": "b"},
        meta={"lot": 7, "who": "Ada 'x'"},
        message="first",
    )
    write(
        registry,
        "lab/größe",
        {"x/'y'\\z.txt": "odd", "日本.txt": "12"},
        meta={"日本": ["é", None]},
        message='日本\n"q"',
    )
    write(registry, "lab/none", {}, message=None)
    write(
        registry,
        "team/copy",
        {"a.csv": "a", "sub/ü é.txt": "b"},
        meta={"lot": 7, "who": "Ada 'x'"},
        message="first",
    )


@dataclass
class Death:
    """``at``: the write before which the process dies; None: it lives. What is asked after that fails."""

    at: int | None = None
    writes: int = 0
    is_dead: bool = False


class Died(BaseException):
    pass


class DyingStore:
    """A store of a process that is killed: nothing is written from then on, not even by what cleans up."""

    def __init__(self, store: Any, death: Death) -> None:
        self._store = store
        self._death = death

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _count(self) -> None:
        if self._death.is_dead or self._death.writes == self._death.at:
            self._death.is_dead = True
            raise Died
        self._death.writes += 1

    async def put(self, key: str, body: Any, **condition: Any) -> ObjectStat:
        self._count()
        return await self._store.put(key, body, **condition)

    async def delete(self, key: str, **condition: Any) -> None:
        self._count()
        await self._store.delete(key, **condition)


class HookedStore:
    """A store that calls ``before`` with each key that is written, and waits for it."""

    def __init__(self, store: Any, before: Any) -> None:
        self._store = store
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, key: str, body: Any, **condition: Any) -> ObjectStat:
        await self._before(key.removeprefix(TABLES))
        return await self._store.put(key, body, **condition)


def put_between(ops: DirectOps, made: Any) -> None:
    """``made``: makes the store that stands before the backend's own."""
    stores: Any = ops._stores
    original = stores.registry
    stores.registry = lambda url: made(original(url))
