"""ManifestCache: opens revisions, and keeps what was found out about them.

A small manifest's lines stay in memory. A large one in a local folder is read where it is, one in a bucket is copied to disk; of
both an index is kept there, so that the next process looks through no line.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Final

from anyio import to_thread
from anyio.from_thread import check_cancelled

from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.remembered import Remembered
from quilt_mcp.errors import (
    CorruptManifest,
    ObjectNotFound,
    QuiltError,
    RevisionNotFound,
    StorageFull,
    StorageUnavailable,
)
from quilt_mcp.registry.layout import manifest_key
from quilt_mcp.registry.manifests.diff import ManifestDiff, diff
from quilt_mcp.registry.manifests.index import Index
from quilt_mcp.registry.manifests.lines import FileLines, Lines
from quilt_mcp.registry.manifests.look import OtherOrder, look, look_through
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.manifests.scan import extensions
from quilt_mcp.registry.manifests.shelf import Shelf
from quilt_mcp.registry.manifests.sorted_copy import sorted_copy
from quilt_mcp.registry.manifests.step import Step
from quilt_mcp.storage.locks import Locks
from quilt_mcp.storage.store import LocalFiles, ObjectStat, Store

SMALL: Final = 8 << 20
"""Manifests up to this many bytes are held in memory."""
VERIFIED_AT_ONCE: Final = 64 << 20
"""Manifests up to this many bytes are hashed in the look through them, before their first answer."""
AT_ONCE: Final = 64 << 10
"""Manifests up to this many bytes (200 entries) are worked on where they are: going to a thread would take as long."""
VERDICTS: Final = 10_000
"""Verdicts that are remembered without the manifests."""
STEPS: Final = 10_000
TEXTS: Final = 100
STATS: Final = 1_000
STAT_SECONDS: Final = 30.0
"""How long one of many users whose right to a manifest was shown may open it without being asked for it again."""
ATTEMPTS: Final = 5


class Enough(Exception):
    """More than a caller of ``ManifestCache.open`` wants to have looked through."""


class ManifestCache:
    """Safe between tasks of one event loop and between processes."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int = 4 << 30,
        *,
        small: int = SMALL,
        shelf: Shelf | None = None,
        stat_seconds: float = 0.0,
    ) -> None:
        """``directory`` is made when the first large manifest is opened; ``max_bytes`` bounds all that is kept in it. ``shelf``:
        one that several users' caches share. What is on it is found by what a stat of the user's own says, and by nothing else;
        the rest of what is remembered here is this user's alone. ``stat_seconds``: how long a stat is believed without one."""
        self._shelf = shelf or Shelf()
        self._folder = self._shelf.folder(directory, max_bytes)
        self.private = self._folder.private
        self.bound = self._folder.bound
        self._small = small
        self._loading = Locks[str]().held
        self._stat_seconds = STAT_SECONDS if shelf else stat_seconds
        self._stats = Remembered[tuple[str, str], tuple[float, ObjectStat]](STATS)
        self._verdicts = Remembered[tuple[str, str], bool | None](VERDICTS)
        self.steps = Remembered[tuple[str, ...], Step](STEPS)
        """By registry, two top hashes and a path."""
        self.texts = Remembered[tuple[str, Hash | None], tuple[bytes, bool]](TEXTS)
        """Small files of packages, by where they are and what is recorded of them; whether they are that."""

    async def open(
        self, store: Store, top_hash: str, admit: Callable[[int], None] = lambda _: None
    ) -> Manifest:
        """One request (a stat) when the manifest is known, two or three when not. It is verified: what acts on a revision gets
        it here. Whether it is, is found out once for the same bytes, in a second for a million entries.

        Raises RevisionNotFound when the registry has no such manifest, CorruptManifest (also for one that is not the
        revision it is named by), StorageFull. ``admit`` is called with the size of one that must be looked through, and may
        raise Enough.
        """
        opened = partial(self._opened, ahead=False, admit=admit)
        return await self._verified(store, await self._settled(store, top_hash, opened))

    async def open_ahead(self, store: Store, top_hash: str) -> Manifest:
        """As ``open``, but the first answer from a manifest of over ``VERIFIED_AT_ONCE`` bytes comes ahead of the verdict."""
        manifest = await self._settled(store, top_hash, partial(self._opened, ahead=True))
        if manifest.has_answered or manifest.verified is not None:
            return await self._verified(store, manifest)
        manifest.has_answered = True
        return manifest

    def forget_stats(self) -> None:
        """After a write of this user's, which may have changed what a manifest is."""
        self._stats.clear()

    async def read(self, store: Store, top_hash: str) -> Manifest:
        """The manifest read anew from the store, with its verdict, whatever that is. Raises as ``open`` does otherwise."""
        manifest = await self._settled(store, top_hash, partial(self._load, ahead=False))
        self._remember(store, top_hash, manifest.verified)
        return manifest

    def verdict(self, store: Store, top_hash: str) -> bool | None:
        """Whether that manifest was the revision it is named by when it was last looked at. Asks nobody; None: not known."""
        return self._verdicts.get((store.url, top_hash))

    def damaged(self, store: Store) -> list[str]:
        """The top hashes of that registry for which the verdict is that they are not what they are named by."""
        return [
            top_hash for (url, top_hash), good in self._verdicts.items() if url == store.url and good is False
        ]

    async def _verified(self, store: Store, manifest: Manifest) -> Manifest:
        if manifest.verified is None:
            async with self._shelf.locked(manifest.name):
                if manifest.verified is None:
                    await to_thread.run_sync(manifest.find_hash, check_cancelled)
                    await self._save_index(manifest)
        self._remember(store, manifest.top_hash, manifest.verified)
        manifest.require_verified()
        return manifest

    async def _save_index(self, manifest: Manifest) -> None:
        with suppress(StorageFull, StorageUnavailable):
            await to_thread.run_sync(self._folder.save, manifest.name, manifest.index, None)

    async def extensions(self, manifest: Manifest, path: str) -> dict[str, list[int]]:
        """What ``scan.extensions`` finds, once for each folder. Of a large manifest as a whole it is kept on disk."""
        found = manifest.extensions.get(path) if path else manifest.index.extensions
        if found is None:
            found = await to_thread.run_sync(extensions, manifest, path, check_cancelled)
            if path:
                return manifest.extensions.set(path, found)
            manifest.index = replace(manifest.index, extensions=found)
            if not manifest.lines.held:
                await self._save_index(manifest)
        return found

    def _remember(self, store: Store, top_hash: str, verdict: bool | None) -> None:
        self._verdicts.set((store.url, top_hash), verdict)

    async def diff(self, before: Manifest, after: Manifest, path: str = "") -> ManifestDiff:
        """The changes from ``before`` to ``after`` at or below ``path``; remembered for the pages that follow."""
        asked = (before.name, after.name, path)
        found = self._shelf.difference(asked)
        if found is None:
            found = (await to_thread.run_sync(diff, before, after, path, check_cancelled)).found
            self._shelf.keep_difference(asked, found)
        return ManifestDiff(before, after, found)

    async def _settled(
        self,
        store: Store,
        top_hash: str,
        read: Callable[[Store, str, ObjectStat], Awaitable[Manifest | None]],
    ) -> Manifest:
        """What ``read`` makes of the object that a stat found. It is asked again while it answers None: the object changed."""
        try:
            for _ in range(ATTEMPTS):
                found = await read(store, top_hash, await self._stat(store, top_hash))
                if found is not None:
                    return found
                self._stats.forget((store.url, top_hash))
        except ObjectNotFound as error:
            raise missing_manifest(store.url, top_hash) from error
        except CorruptManifest as error:
            self._remember(store, top_hash, False)
            error.details.setdefault("top_hash", top_hash)
            raise
        raise StorageUnavailable(
            f"The manifest {top_hash} kept changing while it was read.",
            next_step="Try the same call again in a moment.",
            details={"registry": store.url, "top_hash": top_hash},
        )

    async def _stat(self, store: Store, top_hash: str) -> ObjectStat:
        """The user's right to a manifest is that this answers. Among many users' it is believed for a moment."""
        asked, now = (store.url, top_hash), time.monotonic()
        since, stat = self._stats.get(asked) or (0.0, None)
        if stat is None or now - since >= self._stat_seconds:
            stat = await store.stat(manifest_key(top_hash))
            if self._stat_seconds:
                self._stats.set(asked, (now, stat))
        return stat

    async def _opened(
        self,
        store: Store,
        top_hash: str,
        stat: ObjectStat,
        *,
        ahead: bool,
        admit: Callable[[int], None] = lambda _: None,
    ) -> Manifest | None:
        name = _cache_name(store.url, top_hash, stat)
        if (known := self._shelf.manifest(name)) is not None:
            return known
        async with self._loading(name):
            found = self._shelf.manifest(name) or await self._kept(store, top_hash, stat, name)
            if found is None:
                admit(stat.size)
                found = await self._load(store, top_hash, stat, ahead=ahead)
            if found is not None and found.verified is not False:
                self._shelf.keep(found)
            return found

    async def _kept(self, store: Store, top_hash: str, stat: ObjectStat, name: str) -> Manifest | None:
        """With what an earlier look left on disk, where there is something that still serves."""
        lines: FileLines | None = None
        index = await to_thread.run_sync(self._folder.index, name) if stat.size > self._small else None
        if index is None:
            return None
        if index.copy is not None:
            lines = await to_thread.run_sync(self._folder.lines, name, index)
        elif store.local_files is not None:
            lines = await self._in_place(store, store.local_files, top_hash, stat)
        if lines is None or lines.size != index.size:
            return None
        return Manifest(top_hash, lines, index, name=name, modified=stat.modified)

    async def _load(self, store: Store, top_hash: str, stat: ObjectStat, *, ahead: bool) -> Manifest | None:
        """Looks through the manifest. Of a large one an index is left on disk, and where it is in a bucket a copy. ``ahead``: the
        verdict on it may come later."""
        look_through_file = partial(self._look_through, with_hash=not ahead or stat.size <= VERIFIED_AT_ONCE)
        name, key = _cache_name(store.url, top_hash, stat), manifest_key(top_hash)
        found: tuple[Lines, Index] | None = None
        if stat.size <= self._small:
            seen, body = await store.get(key, version=stat.version)
            if seen.etag != stat.etag:
                return None
            if len(body) <= AT_ONCE:
                found = look_through(body)
            else:
                found = await to_thread.run_sync(look_through, body, check_cancelled)
        elif store.local_files is not None:
            lines = await self._in_place(store, store.local_files, top_hash, stat)
            if lines is not None:
                found = await to_thread.run_sync(look_through_file, lines, name, None)
        else:
            with self._folder.new_file() as copy:
                async for chunk in store.stream(key, version=stat.version):
                    copy.write(chunk)
                lines = self._folder.own_lines(copy)
                seen = await store.stat(key, version=stat.version)
                if (lines.size, seen.etag) == (stat.size, stat.etag):
                    found = await to_thread.run_sync(look_through_file, lines, name, copy)
        return found and Manifest(top_hash, *found, name=name, modified=stat.modified)

    async def _in_place(
        self, store: Store, files: LocalFiles, top_hash: str, stat: ObjectStat
    ) -> FileLines | None:
        key = manifest_key(top_hash)
        lines = FileLines(await to_thread.run_sync(files.open_file, key), _rewritten)
        return lines if lines.size == stat.size and (await store.stat(key)).etag == stat.etag else None

    def _look_through(
        self, lines: Lines, name: str, copy: IO[bytes] | None, *, with_hash: bool
    ) -> tuple[Lines, Index]:
        """The lines and their index, which are left on disk; other lines, where these stand in another order. ``copy``: the file
        of the lines where it is the cache's own."""
        with ExitStack() as stack:
            try:
                index = look(lines, check_cancelled, with_hash=with_hash)
            except OtherOrder:
                copy = stack.enter_context(self._folder.new_file())
                for block in sorted_copy(lines, check_cancelled):
                    copy.write(block)
                lines = self._folder.own_lines(copy)
                index = look(lines, check_cancelled, with_hash=with_hash)
            if copy is not None:
                index = replace(index, copy=lines.sha256())
            else:  # of lines in their place an index is left for the next process alone
                stack.enter_context(suppress(StorageFull, StorageUnavailable))
            self._folder.save(name, index, copy)
        return lines, index


def missing_manifest(registry: str, top_hash: str) -> RevisionNotFound:
    return RevisionNotFound(
        f"The registry {registry} has no manifest {top_hash}.",
        next_step="Choose a revision with package_log.",
        details={"registry": registry, "top_hash": top_hash},
    )


def _rewritten() -> QuiltError:
    return StorageUnavailable(
        "The manifest was written to while it was read.", next_step="Make the same call again."
    )


def _cache_name(url: str, top_hash: str, stat: ObjectStat) -> str:
    """One top hash may stand for different bytes (other physical keys), so the etag belongs to the name."""
    return hashlib.sha256("\0".join((url, top_hash, stat.etag, str(stat.size))).encode()).hexdigest()[:40]
