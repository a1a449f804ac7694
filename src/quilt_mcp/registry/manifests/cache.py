"""ManifestCache: opens revisions, and keeps what it parsed.

Small manifests stay in memory; large ones become Parquet files in a folder that any number of processes share. In that
folder a table is two files, ``v2-<key>.json`` naming ``v2-<key>-<digest>.parquet``; the JSON comes last and by rename, so a
half-written table is never found, and a table whose bytes no longer have that digest is built again. Everything in the
folder may be deleted at any time. A very large manifest is answered from its lines while its table is written in a thread;
a process that ends waits for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from quilt_mcp.domain.codec import decode_header
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.listing import Totals
from quilt_mcp.errors import (
    CorruptManifest,
    ObjectNotFound,
    RevisionNotFound,
    StorageUnavailable,
)
from quilt_mcp.registry.layout import manifest_key
from quilt_mcp.registry.manifests.build import build_table, read_holdable, sha256_of
from quilt_mcp.registry.manifests.cache_errors import cache_errors
from quilt_mcp.registry.manifests.diff import ListedDiff, ManifestDiff, diff
from quilt_mcp.registry.manifests.line_file import LineFile
from quilt_mcp.registry.manifests.lines import diff_lines
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.manifests.memory import MemoryManifest
from quilt_mcp.registry.manifests.scan import ScannedManifest, scan
from quilt_mcp.registry.manifests.table import TableManifest
from quilt_mcp.storage.store import ObjectStat, Store

__all__ = ["Compared", "Manifest", "ManifestCache"]

SMALL: Final = 8 << 20
"""Manifests up to this many bytes are held as Python objects: about here (25,000 entries) both forms open equally fast."""
AT_ONCE: Final = 64 << 10
"""Manifests up to this many bytes (200 entries) are parsed where they are: going to a thread would take as long."""
SCANNED: Final = 64 << 20
"""Manifests from this many bytes on (200,000 entries) are answered before their table is written."""
MEMORY: Final = 32 << 20
"""Bytes of small manifests (as stored; objects take some three times that) kept in memory."""
TABLES: Final = 8
"""Large manifests kept open."""
LINES: Final = 64 << 20
"""Manifests up to this many bytes are compared by their lines, in memory."""
REMEMBERED: Final = 4
REMEMBERED_CHANGES: Final = 50_000
"""How many comparisons by lines are kept for their next page, and of how many changes at most."""
SCHEMA: Final = "v2"
ATTEMPTS: Final = 5
_ABANDONED: Final = 3600.0
_OWN_FILE: Final = re.compile(r"v[0-9]+-[0-9a-f]{40}")


Place = tuple[Store, str]
"""A registry's store and a top hash."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two manifests side by side."""

    before: Header
    after: Header
    changes: ManifestDiff


class ManifestCache:
    """Safe between tasks of one event loop and between processes."""

    def __init__(
        self, directory: Path, max_bytes: int = 4 << 30, *, small: int = SMALL, scanned: int = SCANNED
    ) -> None:
        """``directory`` is made when the first large manifest is opened; ``max_bytes`` bounds the files in it."""
        self._directory = directory
        self._max_bytes = max_bytes
        self._small = small
        self._scanned = scanned
        self._open: OrderedDict[str, tuple[Manifest, int]] = OrderedDict()
        self._locks: dict[str, anyio.Lock] = {}
        self._compared: OrderedDict[tuple[str, ...], Compared] = OrderedDict()
        self._writer = ThreadPoolExecutor(1, "manifest-table")

    async def open(self, store: Store, top_hash: str) -> Manifest:
        """One request (a stat) when the manifest is known, two or three when not.

        Raises RevisionNotFound when the registry has no such manifest, CorruptManifest, TooLarge, StorageFull.
        """
        key = manifest_key(top_hash)
        for _ in range(ATTEMPTS):
            try:
                stat = await store.stat(key)
                name = _cache_name(store.url, top_hash, stat)
                if (known := self._known(name)) is not None:
                    return known
                lock = self._locks.setdefault(name, anyio.Lock())
                try:
                    async with lock:
                        manifest = self._known(name) or await self._load(store, key, top_hash, stat, name)
                finally:
                    if not lock.statistics().tasks_waiting:
                        self._locks.pop(name, None)
            except ObjectNotFound as error:
                raise RevisionNotFound(
                    f"The registry {store.url} has no manifest {top_hash}.",
                    next_step="Choose a revision with package_log.",
                    details={"registry": store.url, "top_hash": top_hash},
                ) from error
            if manifest is not None:
                return manifest
        raise StorageUnavailable(
            f"The manifest {top_hash} kept changing while it was read.",
            next_step="Try the same call again in a moment.",
            details={"registry": store.url, "top_hash": top_hash},
        )

    async def diff(self, before: Place, after: Place, prefix: str = "") -> Compared:
        """The changes from ``before`` to ``after`` at or below ``prefix`` (a folder or a file; '' for all).

        Manifests that were not opened yet, and are of moderate size, are compared line by line without being parsed;
        lines that both have are not looked into then. Raises as ``open`` does.
        """
        if (compared := await self._by_lines(before, after, prefix)) is not None:
            return compared
        old = await self.open(*before)
        new = await self.open(*after)
        return Compared(old.header, new.header, await anyio.to_thread.run_sync(diff, old, new, prefix))

    async def _by_lines(self, before: Place, after: Place, prefix: str) -> Compared | None:
        """None: the usual way is better, or is needed to say what is wrong."""
        bodies: list[bytes] = []
        stats: list[ObjectStat] = []
        for store, top_hash in (before, after):
            try:
                stats.append(await store.stat(manifest_key(top_hash)))
            except ObjectNotFound:
                return None
        for (store, top_hash), stat in zip((before, after), stats, strict=True):
            name = _cache_name(store.url, top_hash, stat)
            if (
                stat.size > LINES
                or name in self._open
                or (self._directory / f"{SCHEMA}-{name}.json").exists()
            ):
                return None
        if all(stat.size <= self._small for stat in stats):
            return None
        remembered = (
            *(stat.etag for stat in stats),
            before[0].url,
            before[1],
            after[0].url,
            after[1],
            prefix,
        )
        if remembered in self._compared:
            self._compared.move_to_end(remembered)
            return self._compared[remembered]
        for (store, top_hash), stat in zip((before, after), stats, strict=True):
            seen, body = await store.get(manifest_key(top_hash), version=stat.version)
            if seen.etag != stat.etag:
                return None
            bodies.append(body)
        old, new, totals, changes = await anyio.to_thread.run_sync(diff_lines, bodies[0], bodies[1], prefix)
        compared = Compared(old, new, ListedDiff(totals, changes))
        if len(changes) <= REMEMBERED_CHANGES:
            self._compared[remembered] = compared
            while len(self._compared) > REMEMBERED:
                self._compared.popitem(last=False)
        return compared

    def _known(self, name: str) -> Manifest | None:
        known = self._open.get(name)
        if known is None:
            return None
        manifest, size = known
        if isinstance(manifest, ScannedManifest) and manifest.is_written:
            if manifest.has_failed:
                del self._open[name]
                return None
            manifest = manifest.table()
            self._open[name] = manifest, size
        self._open.move_to_end(name)
        return manifest

    def _keep(self, name: str, manifest: Manifest, size: int) -> None:
        self._open[name] = (manifest, size)
        for small, limit in ((True, MEMORY), (False, TABLES)):
            names = [n for n, (m, _) in self._open.items() if isinstance(m, MemoryManifest) == small]
            weights = {n: self._open[n][1] if small else 1 for n in names}
            excess = sum(weights.values()) - limit
            for n in names[:-1]:
                if excess <= 0:
                    break
                excess -= weights[n]
                del self._open[n]

    async def _load(
        self, store: Store, key: str, top_hash: str, stat: ObjectStat, name: str
    ) -> Manifest | None:
        """None: the object changed between the stat and the reading of it."""
        if stat.size <= self._small:
            seen, body = await store.get(key, version=stat.version)
            if seen.etag != stat.etag:
                return None
            parse = partial(_in_memory, body, top_hash, stat)
            manifest: Manifest = parse() if len(body) <= AT_ONCE else await anyio.to_thread.run_sync(parse)
        else:
            large: Manifest | None = await anyio.to_thread.run_sync(self._cached_table, name, top_hash, stat)
            if large is None:
                large = await self._read(store, key, top_hash, stat, name)
            if large is None:
                return None
            manifest = large
        self._keep(name, manifest, stat.size)
        return manifest

    async def _read(
        self, store: Store, key: str, top_hash: str, stat: ObjectStat, name: str
    ) -> Manifest | None:
        with ExitStack() as held:
            work = held.enter_context(self._work_folder())
            source = await self._source(store, key, stat, work, held)
            if source is None:
                return None
            make_table = partial(self._make_table, source, work, name, top_hash, stat)
            seen = None
            if stat.size >= self._scanned:
                spill = self._directory / f"{work.name}-folders"
                seen = await anyio.to_thread.run_sync(scan, source, stat.size, spill)
            if seen is None:
                return await anyio.to_thread.run_sync(make_table)
            lines = LineFile(source)
            table = self._writer.submit(_within, held.pop_all(), make_table)
            return ScannedManifest(top_hash, seen, lines, table, stat.modified)

    async def _source(
        self, store: Store, key: str, stat: ObjectStat, work: Path, held: ExitStack
    ) -> str | None:
        """A path to the manifest's bytes, good until ``held`` is left. None: they are no longer those of ``stat``."""
        if store.local_files is not None:
            descriptor = await anyio.to_thread.run_sync(store.local_files.open_file, key)
            held.callback(os.close, descriptor)
            source = await anyio.to_thread.run_sync(_readable_path, descriptor, work)
            same = (await store.stat(key)).etag == stat.etag and os.fstat(descriptor).st_size == stat.size
        else:
            source = str(work / "manifest")
            with open(source, "wb") as file:  # noqa: ASYNC230 - a megabyte at a time into the page cache
                async for chunk in store.stream(key, version=stat.version):
                    file.write(chunk)
            same = (
                os.stat(source).st_size == stat.size
                and (await store.stat(key, version=stat.version)).etag == stat.etag
            )
        return source if same else None

    @contextmanager
    def _work_folder(self) -> Generator[Path]:
        with cache_errors(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                prefix="work-", dir=self._directory, ignore_cleanup_errors=True
            ) as folder:
                yield Path(folder)

    def _make_table(
        self, source: str, work: Path, name: str, top_hash: str, stat: ObjectStat
    ) -> TableManifest:
        built_file = work / "table.parquet"
        built = build_table(source, stat.size, top_hash, built_file, work)
        os.chmod(built_file, 0o600)
        table_file = self._directory / f"{SCHEMA}-{name}-{built.sha256[:16]}.parquet"
        side_file = work / "table.json"
        side = {
            "table": table_file.name,
            "sha256": built.sha256,
            "header": built.header_line.decode(),
            "totals": asdict(built.totals),
            "directory_metas": built.directory_metas,
        }
        side_file.write_text(json.dumps(side))
        os.chmod(side_file, 0o600)
        os.replace(built_file, table_file)
        manifest = TableManifest(
            top_hash,
            decode_header(built.header_line),
            built.totals,
            directory_metas=built.directory_metas,
            file=table_file,
            modified=stat.modified,
        )
        os.replace(side_file, self._directory / f"{SCHEMA}-{name}.json")
        self._evict(keep=name)
        return manifest

    def _cached_table(self, name: str, top_hash: str, stat: ObjectStat) -> TableManifest | None:
        """The table on disk, None when there is none or it is not what it was."""
        side_file = self._directory / f"{SCHEMA}-{name}.json"
        try:
            side: dict[str, Any] = json.loads(side_file.read_bytes())
            table_file = self._directory / Path(side["table"]).name
            if sha256_of(table_file) != side["sha256"]:
                return None
            manifest = TableManifest(
                top_hash,
                decode_header(side["header"].encode()),
                Totals(**side["totals"]),
                directory_metas=side["directory_metas"],
                file=table_file,
                modified=stat.modified,
            )
            os.utime(table_file)
            os.utime(side_file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, CorruptManifest):
            return None
        return manifest

    def _evict(self, keep: str) -> None:
        """Deletes the tables used longest ago until the folder is within bounds, and what crashed builds left."""
        files: list[tuple[float, int, Path]] = []
        for path in self._directory.iterdir():
            try:
                found = path.stat()
                if path.is_dir():
                    if path.name.startswith("work-") and found.st_mtime < time.time() - _ABANDONED:
                        shutil.rmtree(path, ignore_errors=True)
                elif _OWN_FILE.match(path.name):
                    files.append((found.st_mtime, found.st_size, path))
            except FileNotFoundError:
                continue
        excess = sum(size for _, size, _ in files) - self._max_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            if keep not in path.name:
                path.unlink(missing_ok=True)
                excess -= size


def _within(held: ExitStack, make_table: Callable[[], TableManifest]) -> TableManifest:
    with held:
        return make_table()


def _in_memory(body: bytes, top_hash: str, stat: ObjectStat) -> MemoryManifest:
    header, records = read_holdable([body])
    return MemoryManifest(top_hash, header, records, stat.modified)


def _cache_name(url: str, top_hash: str, stat: ObjectStat) -> str:
    """One top hash may stand for different bytes (other physical keys), so the etag belongs to the name."""
    return hashlib.sha256("\0".join((url, top_hash, stat.etag, str(stat.size))).encode()).hexdigest()[:40]


def _readable_path(descriptor: int, work: Path) -> str:
    """A path to the bytes of an open file."""
    path = f"/proc/self/fd/{descriptor}"
    if os.path.exists(path):
        return path
    copied = work / "manifest"
    with os.fdopen(os.dup(descriptor), "rb") as source, copied.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return str(copied)
