"""Verify: reads every byte that a revision names, and the manifest itself, and says what is not as recorded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.codec import top_hash_of
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.listing import FileCheck, Totals, Verification
from quilt_mcp.domain.plan import Progress
from quilt_mcp.errors import CorruptManifest, HashMismatch, NotFound, NotSupported, QuiltError
from quilt_mcp.registry.install import Destination
from quilt_mcp.registry.layout import manifest_key
from quilt_mcp.registry.manifests.manifest import Manifest, files_page
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.hashing import hash_file
from quilt_mcp.storage.local.errors import typed_errors
from quilt_mcp.storage.objects import hash_object, local_file
from quilt_mcp.storage.store import Place
from quilt_mcp.storage.workers import for_each

PROBLEMS_SHOWN = 200
_FILES_AT_ONCE = 12
_LARGE_AT_ONCE = 4
_LARGE = 8 << 20
_READ = 1 << 20


class Verifier:
    """One verification. With ``installed``, the files of an installed copy are read instead of the physical keys."""

    def __init__(self, registry: Registry, progress: Progress, installed: Destination | None = None) -> None:
        self._registry = registry
        self._progress = progress
        self._installed = installed
        self._problems: list[FileCheck] = []
        self._problem_count = 0
        self._done = 0
        self._total = 0
        self._checked_entries = 0
        self._checks: Counter[str] = Counter()
        self._large = anyio.CapacityLimiter(_LARGE_AT_ONCE)

    async def verify(self, package: PackageUri, scratch: Path) -> Verification:
        """Everything at or below ``package.path``. A single bad file is a problem in the answer, never an error."""
        pinned, manifest = await self._registry.open(package)
        item = await self._registry.stat(pinned)
        self._total = item.size
        offset = 0
        while True:
            entries = await anyio.to_thread.run_sync(files_page, manifest, item, offset)
            if not entries:
                break
            await self._check_all(entries)
            offset += len(entries)
        if self._installed is not None and item.type == "folder":
            await anyio.to_thread.run_sync(self._find_extra, manifest, item.path, self._installed)
        manifest_ok = await self._manifest_is_whole(manifest.top_hash, scratch)
        return Verification(
            uri=str(pinned),
            ok=manifest_ok and not self._problem_count,
            checked=Totals(self._checked_entries, self._done),
            manifest_ok=manifest_ok,
            problems=tuple(sorted(self._problems, key=lambda problem: problem.path)),
            problem_count=self._problem_count,
            checks=dict(self._checks),
        )

    async def _check_all(self, entries: list[Entry]) -> None:
        async def check_one(entry: Entry) -> None:
            problem = await self._check(entry)
            if problem is not None:
                self._add(problem)
            self._done += entry.size or 0
            self._checked_entries += 1
            await self._progress(self._done, self._total, "bytes verified")

        await for_each(entries, _FILES_AT_ONCE, check_one)

    def _add(self, problem: FileCheck) -> None:
        self._problem_count += 1
        if len(self._problems) < PROBLEMS_SHOWN:
            self._problems.append(problem)

    async def _check(self, entry: Entry) -> FileCheck | None:
        key = entry.logical_key
        if entry.hash is None:
            return FileCheck(key, "unsupported_hash", "a hash", "none recorded")
        try:
            if self._installed is None:
                size, found = await self._hash(self._registry.locate(entry), entry.size or 0, entry.hash.type)
            else:
                size, found = await self._hash_installed(self._installed, entry, entry.hash.type)
        except NotFound as error:
            return FileCheck(key, "missing", entry.physical_key, error.message)
        except NotSupported:
            return FileCheck(key, "unsupported_hash", entry.hash.type)
        except QuiltError as error:
            return FileCheck(key, "unreadable", entry.physical_key, f"{error.code}: {error.message}")
        if found is None:
            return FileCheck(key, "size", str(entry.size), str(size))
        self._checks[entry.hash.type] += 1
        return None if found == entry.hash else FileCheck(key, "hash", entry.hash.value, found.value)

    async def _hash(self, place: Place, size: int, hash_type: str) -> tuple[int, Hash | None]:
        """The object's size, and its hash if that is the size expected. A large object of another size is not read."""
        if size < _LARGE:
            with suppress(HashMismatch):
                return size, await self._hash_sized(place, size, hash_type)
        found = (await place.store.stat(place.key, version=place.version)).size
        if found != size:
            return found, None
        async with self._large:
            return size, await self._hash_sized(place, size, hash_type)

    async def _hash_sized(self, place: Place, size: int, hash_type: str) -> Hash:
        return await hash_object(place.store, place.key, hash_type, size=size, version=place.version)

    async def _hash_installed(
        self, installed: Destination, entry: Entry, hash_type: str
    ) -> tuple[int, Hash | None]:
        descriptor = await anyio.to_thread.run_sync(
            installed.folder.open_file, installed.at(entry.logical_key)
        )
        try:
            found = os.fstat(descriptor).st_size
            if found != entry.size:
                return found, None
            if found < _LARGE:
                return found, await hash_file(descriptor, found, hash_type)
            async with self._large:
                return found, await hash_file(descriptor, found, hash_type)
        finally:
            os.close(descriptor)

    def _find_extra(self, manifest: Manifest, path: str, installed: Destination) -> None:
        base = f"{installed.relative}/{path}".strip("/")
        for found in installed.folder.scan(base, ignore=False):
            if manifest.entry(path + found.relative) is None:
                self._add(FileCheck(path + found.relative, "extra", None, f"{found.size} bytes"))

    async def _manifest_is_whole(self, top_hash: str, scratch: Path) -> bool:
        async with local_file(self._registry.store, manifest_key(top_hash), scratch) as descriptor:
            try:
                return await anyio.to_thread.run_sync(top_hash_of, _chunks(descriptor)) == top_hash
            except CorruptManifest:
                return False


def _chunks(descriptor: int) -> Iterator[bytes]:
    offset = 0
    with typed_errors("The manifest", "the local file system"):
        while chunk := os.pread(descriptor, _READ, offset):
            offset += len(chunk)
            yield chunk
