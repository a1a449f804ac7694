"""Cataloguing: brings the catalog of a registry up to date.

One listing of pointers tells which packages are new or have another latest revision; their manifests are read, each proven to be
what it is named by, and become a part of the catalog. What is done so far is kept: the next call goes on where this one ended.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import anyio
from anyio import to_thread

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import (
    AccessError,
    InputError,
    IntegrityError,
    ObjectArchived,
    QuiltError,
    StorageUnavailable,
    TooCostly,
    Undecodable,
)
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.reading.bounds import Bounds
from quilt_mcp.registry.reading.intake import head_of, lines_of, readme_of
from quilt_mcp.registry.reading.pointed import LatestPointers, Mark, Pointed, TimedPointers, name_in
from quilt_mcp.registry.reading.readme import read_beginning
from quilt_mcp.registry.registry import Registry
from quilt_mcp.search.catalog import Catalog
from quilt_mcp.search.engine import OddRows
from quilt_mcp.search.parts import Batch, mergeable, merged
from quilt_mcp.search.state import ALIAS, Known, Part, State, Unread, sized
from quilt_mcp.search.view import live_count
from quilt_mcp.storage.workers import for_each

FRESH_SECONDS: Final = 15.0
"""How long a bucket's listing is believed. A folder is looked at each time."""
BUSY_SECONDS: Final = 1.0
"""How long another process that builds is waited for, before what is there is the answer."""
READMES: Final = 200
"""READMEs that are read from a bucket in one call, each a request; the others as later calls come."""
BATCH_PACKAGES: Final = 2_000
FIRST_PACKAGES: Final = 200
"""The first part of a catalog is small, so that there is soon something to search."""
AT_ONCE: Final = 8
MOST_PARTS: Final = 32
MOST_DEAD: Final = 0.3
SMALL_PART: Final = 300_000
UNREAD_SECONDS: Final = 60.0
"""After which a package of a bucket that could not be read is tried again though its pointer is the same; in a folder, always."""
_REQUESTS_A_PACKAGE: Final = 3
_README_SECONDS: Final = 10.0
_UNREAD_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Brought:
    """The catalog as it is now, and what to warn of."""

    state: State
    warnings: tuple[str, ...] = ()


class Cataloguer:
    """For one call."""

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        bounds: Bounds,
        progress: Progress = no_progress,
        clock: Callable[[], float] = time.time,
        *,
        all_revisions: bool = False,
    ) -> None:
        self._registry = registry
        self._pointed: Pointed = (
            TimedPointers(registry) if all_revisions else LatestPointers(registry, catalog.seen)
        )
        self._catalog = catalog
        self._bounds = bounds
        self._progress = progress
        self._clock = clock
        self._begun = time.monotonic()
        self._read = self._bytes = self._readmes = self._unread_readmes = 0
        self._is_folder = registry.store.pages is None
        self._silent: StorageUnavailable | None = None
        """The store stopped answering in the middle."""

    async def bring(self) -> Brought:
        """Raises as a listing does where the registry may not be listed. Where its store does not answer, the catalog is told as
        it was, with a warning."""
        async with self._catalog.building(self._catalog.url):
            state = await to_thread.run_sync(self._catalog.state)
            if not self._is_folder and not state.waiting and self._catalog.age() < FRESH_SECONDS:
                return Brought(state, self._told(state))
            begun, doubts = time.monotonic(), self._catalog.doubts
            try:
                latest, notices = await self._pointed.listed()
            except StorageUnavailable as error:
                if not state.packages:
                    raise
                return Brought(state, (self._not_refreshed(state, error),))
            state = await to_thread.run_sync(self._catalog.state)
            if self._catalog.is_swept and await self._is_whole(state, latest, notices):
                self._catalog.note_looked(begun, doubts)
                return Brought(state, self._told(state))
            async with self._alone() as may_build:
                if not may_build:
                    return Brought(state, (*self._told(state), self._busy(state)))
                before = await to_thread.run_sync(self._catalog.state)
                state = await self._build(before, replace(before, notices=notices), latest)
            if self._silent is not None:
                if not state.packages:
                    raise self._silent
                return Brought(state, (*self._told(state), self._not_refreshed(before, self._silent)))
            self._catalog.note_looked(begun, doubts)
            return Brought(state, self._told(state))

    async def _is_whole(self, state: State, latest: Mapping[str, Mark], notices: tuple[str, ...]) -> bool:
        """Whether there is nothing to build, so that nobody need be kept from it."""
        if (
            state.waiting
            or state.unread
            or state.notices != notices
            or state.packages.keys() != latest.keys()
        ):
            return False
        if any(one.seen != latest[key].text for key, one in state.packages.items()):
            return False
        learned = await to_thread.run_sync(self._catalog.learned.columns)
        return not any(self._lacks(one, learned) for one in state.packages.values())

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[bool]:
        """Whether this process may build; another's short work is waited for."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            with self._catalog.folder.building() as may_build:
                if may_build or time.monotonic() >= until:
                    yield may_build
                    return
            await anyio.sleep(0.05)

    # -- building --

    async def _build(self, kept: State, state: State, latest: Mapping[str, Mark]) -> State:
        learned = await to_thread.run_sync(self._catalog.learned.columns)
        packages = _without_orphans({name: one for name, one in state.packages.items() if name in latest})
        unread = {
            name: one
            for name, one in state.unread.items()
            if name in latest and one.seen == latest[name].text
        }
        if self._is_folder or self._catalog.since_unread() >= UNREAD_SECONDS:
            self._catalog.tried_unread = time.monotonic()
            again, unread = unread, {}
        else:
            again = {}
        changed = [
            name
            for name, one in latest.items()
            if name not in unread
            and name not in again
            and (name not in packages or packages[name].seen != one.text)
        ]
        behind = [
            name
            for name, one in packages.items()
            if self._lacks(one, learned) and one.seen == latest[name].text
        ]
        new = len(changed) + len(again)
        wanted = [*changed, *again, *behind[: max(0, READMES - len(changed))]]
        state = replace(state, packages=packages, unread=unread, as_of=self._clock(), waiting=new)
        at, most = 0, BATCH_PACKAGES if state.parts or self._is_folder else FIRST_PACKAGES
        while at < len(wanted) and not self._is_spent() and self._silent is None:
            some = wanted[at : at + most]
            found = await self._batch(state, latest, learned, some)
            if found is None:
                # The engine does not take what is in it: which package it is turns out when it is alone.
                if len(some) > 1:
                    most = len(some) // 2
                    continue
                odd = {**state.unread, some[0]: Unread(latest[some[0]].text, Undecodable.code)}
                left = {name: one for name, one in state.packages.items() if name != some[0]}
                found = 1, replace(state, packages=left, unread=odd)
            at += found[0]
            most = max(most, min(2 * most, BATCH_PACKAGES))
            state = replace(found[1], waiting=max(0, new - at))
            kept = await self._keep(kept, state)
            await self._progress(at, len(wanted), f"{at:,} of {counted(len(wanted), 'package')} read")
        state = await self._merge(state)
        await self._keep(kept, state)
        return state

    @staticmethod
    def _lacks(known: Known, learned: Mapping[str, Sequence[str]]) -> bool:
        """Whether there is more to be said of the same revision by now."""
        return known.part != ALIAS and (
            known.lacks_text or len(learned.get(known.top_hash, ())) > known.columns
        )

    async def _keep(self, kept: State, state: State) -> State:
        """Nothing is written where only the moment is another."""
        if kept.as_of and replace(state, as_of=kept.as_of) == kept:
            return kept
        await to_thread.run_sync(self._catalog.keep, state)
        return state

    async def _batch(
        self,
        state: State,
        latest: Mapping[str, Mark],
        learned: Mapping[str, Sequence[str]],
        names: list[str],
    ) -> tuple[int, State] | None:
        """How many of ``names`` were taken, and the state with them; None where the engine does not take what is in one."""
        folder = self._catalog.folder
        batch = Batch(folder.scratch())
        try:
            taken, state = await self._gather(state, latest, learned, names, batch)
            if len(batch):
                part = await self._catalog.engine.run(
                    lambda connection: batch.finish(connection, folder.path())
                )
                state = _added(state, part)
            return taken, state
        except (OddRows, TooCostly):
            return None
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(batch.discard)

    def _is_spent(self) -> bool:
        bounds = self._bounds
        return (
            self._read >= bounds.packages
            or self._bytes >= bounds.bytes
            or time.monotonic() - self._begun >= bounds.seconds
        )

    async def _gather(
        self,
        state: State,
        latest: Mapping[str, Mark],
        learned: Mapping[str, Sequence[str]],
        names: list[str],
        batch: Batch,
    ) -> tuple[int, State]:
        """How many of ``names`` were taken, and the state with what is now in ``batch`` (its part is not made yet)."""
        packages, unread = dict(state.packages), dict(state.unread)
        told = {
            (name_in(key), one.top_hash)
            for key, one in packages.items()
            if one.part != ALIAS and latest[key].text == one.seen and key not in names
        }
        number, taken = state.next_number, 0
        adding = anyio.Lock()

        def within() -> Iterator[str]:
            nonlocal taken
            for name in names:
                if self._silent is not None or (taken and (self._is_spent() or batch.is_full)):
                    return
                taken += 1
                yield name

        async def take(key: str) -> None:
            nonlocal number, taken
            seen = latest[key].text
            try:
                found = await self._open(key, latest[key])
                if found is None:
                    packages.pop(key, None)
                    return
                pinned, pointer = found
                if pinned.top_hash is None or (pinned.name, pinned.top_hash) in told:
                    packages[key] = Known(0, pinned.top_hash or "", seen, ALIAS)
                    return
                told.add((pinned.name, pinned.top_hash))
                manifest = await self._registry.manifests.open(self._registry.store, pinned.top_hash)
                self._bytes += manifest.lines.size
                readme, lacks_text = await self._readme(pinned, manifest)
                async with adding:
                    columns = tuple(learned.get(manifest.top_hash, ()))
                    modified = pointer.timestamp or pointer.modified
                    head = head_of(number, pinned.name, manifest, modified, readme, columns)
                    number += 1
                    await to_thread.run_sync(batch.add, head, lines_of(manifest))
                packages[key] = Known(head.number, manifest.top_hash, seen, "", lacks_text, len(columns))
            except (IntegrityError, InputError, AccessError, ObjectArchived) as error:
                packages.pop(key, None)
                unread[key] = Unread(seen, error.code)
            except StorageUnavailable as error:
                self._silent = error
                taken -= 1
            finally:
                self._read += 1

        await for_each(within(), AT_ONCE, take)
        return taken, replace(state, packages=packages, unread=unread, next_number=number)

    async def _open(self, key: str, mark: Mark) -> tuple[PackageUri, Pointer] | None:
        """The revision that a pointer names. None for a package that is gone by now. Raises CorruptManifest."""
        registry = self._registry
        pointer = mark.pointer or await self._pointed.read(key)
        if pointer is None:
            return None
        name = name_in(key)
        if pointer.top_hash is None:
            await registry.resolve(
                PackageUri(registry.url, name, tag=pointer.tag)
            )  # which says what is wrong
        return PackageUri(registry.url, name, top_hash=pointer.top_hash), pointer

    async def _readme(self, pinned: PackageUri, manifest: Manifest) -> tuple[str, bool]:
        """Its README, and whether it was left unread: that would be one request too many."""
        entry = await to_thread.run_sync(readme_of, manifest)
        if entry is None:
            return "", False
        if not self._is_folder and self._readmes >= READMES:
            return "", True
        self._readmes += 1
        with suppress(QuiltError, TimeoutError), anyio.fail_after(_README_SECONDS):
            content, _ = await read_beginning(self._registry, pinned, entry)
            return content.decode(errors="replace"), False
        self._unread_readmes += 1
        return "", False

    async def _merge(self, state: State) -> State:
        """Makes one part of many small ones, and of those in which much is dead."""
        live = {part.id: live_count(state, part) for part in state.parts}
        is_many = len(state.parts) > MOST_PARTS
        chosen = [
            part
            for part in state.parts
            if live[part.id] < part.packages * (1 - MOST_DEAD) or (is_many and part.entries < SMALL_PART)
        ]
        gone = {part.id for part in state.parts if not live[part.id]}
        chosen = mergeable([part for part in chosen if part.id not in gone])
        if len(chosen) < 2 and not (chosen and live[chosen[0].id] < chosen[0].packages * (1 - MOST_DEAD)):
            return replace(state, parts=tuple(part for part in state.parts if part.id not in gone))
        ids = {part.id for part in chosen}
        numbers = [one.number for one in state.packages.values() if one.part in ids]
        folder = self._catalog.folder
        part = await self._catalog.engine.run(
            lambda connection: merged(connection, folder.path(), folder.scratch(), chosen, numbers)
        )
        packages = {
            name: replace(one, part=part.id) if one.part in ids else one
            for name, one in state.packages.items()
        }
        parts = [one for one in state.parts if one.id not in ids | gone]
        return replace(state, parts=(*parts, part), packages=packages)

    # -- what is said --

    def _told(self, state: State) -> tuple[str, ...]:
        said = list(state.notices)
        if state.unread:
            names = ", ".join(
                f"{name} ({one.code})" for name, one in [*sorted(state.unread.items())][:_UNREAD_SHOWN]
            )
            more = (
                f" and {len(state.unread) - _UNREAD_SHOWN:,} more"
                if len(state.unread) > _UNREAD_SHOWN
                else ""
            )
            said.append(f"unread: {names}{more} cannot be read and are left out; package_log tells of each.")
        if self._unread_readmes:
            said.append(
                f"no_readme: the README of {counted(self._unread_readmes, 'package')} could not be read and is not searched; "
                "package_browse says why."
            )
        waiting = state.waiting
        if waiting:
            said.append(self._partial(state, waiting))
        if self._catalog.folder.is_beyond_bound(state):
            said.append(
                f"cache_full: the catalog of {self._registry.url} takes {sized(state.parts) / 1e6:,.1f} MB, more than the cache "
                "folder may. It stays while it is the last that is searched; set QUILT_MCP_CACHE_BYTES higher."
            )
        return tuple(said)

    def _not_refreshed(self, state: State, error: QuiltError) -> str:
        said = f"not_refreshed: {self._registry.url} does not answer ({error.message})"
        if not state.as_of:
            return f"{said}; this is what came before."
        when = datetime.fromtimestamp(state.as_of, UTC).isoformat(timespec="seconds")
        return f"{said}; this is what it held at {when}."

    def _partial(self, state: State, waiting: int) -> str:
        there = len(state.packages)
        spent = time.monotonic() - self._begun
        said = f"partial: {there:,} of {counted(there + waiting, 'package')} of {self._registry.url} are in the catalog so far."
        if self._read:
            seconds = spent / self._read * waiting
            size = self._bytes / self._read * waiting / 1e6
            requests = "" if self._is_folder else f"{_REQUESTS_A_PACKAGE * waiting:,} requests, "
            said += f" The rest is about {requests}{size:,.0f} MB and {_duration(seconds)}."
        return f"{said} Call again to go on where this ended, or with build=true to read all of it at once."

    def _busy(self, state: State) -> str:
        said = f"busy: another process is reading {self._registry.url}"
        if not state.as_of:
            return f"{said} for the first time; nothing can be searched yet. Call again in a few seconds."
        when = datetime.fromtimestamp(state.as_of, UTC).isoformat(timespec="seconds")
        return f"{said}; this is what its catalog held at {when}."


def _without_orphans(packages: dict[str, Known]) -> dict[str, Known]:
    """Without pointers to revisions for which another pointer stood that is gone."""
    heads = {(name_in(key), one.top_hash) for key, one in packages.items() if one.part != ALIAS}
    return {
        key: one
        for key, one in packages.items()
        if one.part != ALIAS or not one.top_hash or (name_in(key), one.top_hash) in heads
    }


def _added(state: State, part: Part) -> State:
    packages = {
        name: replace(one, part=part.id) if not one.part else one for name, one in state.packages.items()
    }
    return replace(state, parts=(*state.parts, part), packages=packages)


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} minutes"
