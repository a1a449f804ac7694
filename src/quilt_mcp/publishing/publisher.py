"""Publisher: one publication, from what the registry names to the write by which it holds.

1. The old state is read, then the pointers are listed: whatever a state was made of, a later listing has.
2. Files are written under names that nobody else gives; nothing reads them yet.
3. The state is replaced, if it is still the old one. This is the publication.
4. The lists that Athena reads are replaced, then what no longer holds is deleted.

Killed before 3, it leaves files that the next run deletes; after 3, the next run goes on with 4. Of two at once one replaces the
state, and the other is told. What is deleted was named for this publication or an earlier one: another that began before 3 fails
there, and one that began after it gives names with a higher number.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import anyio
from anyio import to_thread

from quilt_mcp.domain.plan import Progress
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.publication import STATE, TABLES, PublishOutcome
from quilt_mcp.errors import AccessError, ChangedMeanwhile, PreconditionFailed, StorageUnavailable
from quilt_mcp.publishing.held import Held
from quilt_mcp.publishing.lists import Lists
from quilt_mcp.publishing.making import MadeFile, Making, digest_of
from quilt_mcp.publishing.named import Named, list_latest, names_of
from quilt_mcp.publishing.planning import PartPlan, plan_parts
from quilt_mcp.publishing.published import Found, find_published, known_parts, read_state
from quilt_mcp.publishing.state import PARTS, Publication, PublishedFile, PublishedPart
from quilt_mcp.registry.registry import Registry
from quilt_mcp.search.catalog import Catalog
from quilt_mcp.search.engine import Connection
from quilt_mcp.search.state import State
from quilt_mcp.search.tables import live_parts
from quilt_mcp.storage.workers import for_each

_DELETED_AT_ONCE: Final = 8
_CLEANING_SECONDS: Final = 5.0
_FRAME: Final = 1_000
"""Bytes of a file of Parquet beside its rows, about."""
Bring = Callable[[], Awaitable[tuple[Catalog, State, tuple[str, ...]]]]
"""Brings the catalog of all revisions up to date, and answers it with what to warn of. Raises where it cannot be all of it."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Plan:
    """``rewritten``: tables that are written as a whole, because they changed or have no rows in any part. ``whole``: the files
    of the others that stay."""

    found: Found
    named: Named
    held: Held
    parts: PartPlan
    digests: Mapping[str, str]
    rewritten: tuple[str, ...]
    whole: Mapping[str, PublishedFile]
    warnings: tuple[str, ...]

    @property
    def is_new(self) -> bool:
        """Whether there will be another state."""
        old = self.found.publication
        kept = [one.part for one in self.parts.kept]
        is_same = len(kept) == len(old.parts) and not self.parts.written and not self.rewritten
        return not is_same or self.whole.keys() != old.whole.keys() or self.found.etag is None


class Publisher:
    """For one call. ``scratch``: a folder of its own, made and removed here."""

    def __init__(
        self, registry: Registry, bring: Bring, scratch: Path, progress: Progress, clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._store = registry.store
        self._bring = bring
        self._scratch = scratch
        self._progress = progress
        self._clock = clock
        self._lists = Lists(registry.store)
        self._catalog: Catalog | None = None
        self._run = secrets.token_hex(8)
        self._sent: list[str] = []

    async def plan(self) -> PublishOutcome:
        """Writes nothing to the registry; the sizes are estimated."""
        plan = await self._planned()
        manifest_bytes, entry_bytes = await self._ask(plan.held.bytes_a_row)
        size, files = 0.0, len(plan.rewritten)
        for group in plan.parts.written:
            rows = sum(plan.held.revisions[one].rows for one in group)
            size += len(group) * manifest_bytes + rows * entry_bytes
            files += 2 if rows else 1
        kept = {file.key for one in plan.parts.kept for file in one.part.files()}
        kept |= {file.key for file in plan.whole.values()}
        gone = sum(1 for key in plan.found.sizes if key not in kept)
        is_current = not plan.is_new and not gone and not await self._lists.stale(plan.found.publication)
        sequence = plan.found.publication.sequence
        size += files * _FRAME
        return self._outcome(plan, sequence, files, int(size), gone, is_done=False, is_current=is_current)

    async def publish(self) -> PublishOutcome:
        """Raises ChangedMeanwhile where another publication came first: nothing of this one counts then."""
        plan = await self._planned()
        found = plan.found
        try:
            if plan.is_new:
                publication, etag = await self._written(plan)
            else:
                publication, etag = found.publication, found.etag
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(lambda: shutil.rmtree(self._scratch, ignore_errors=True))

        async def is_last() -> bool:
            return (await read_state(self._store))[1] == etag

        deleted, warnings = 0, plan.warnings
        if await self._lists.replace(publication, is_last):
            deleted, more = await self._sweep(found, publication)
            warnings = (*warnings, *more)
        sent = [one for key, one in publication.files().items() if key in self._sent and PARTS not in key]
        size = sum(one.bytes for one in sent)
        is_current = not plan.is_new and not deleted
        return self._outcome(
            plan, publication.sequence, len(sent), size, deleted,
            is_done=True, is_current=is_current, warnings=warnings,
        )  # fmt: skip

    # -- planning --

    async def _planned(self) -> _Plan:
        found = await find_published(self._store)
        latest = await list_latest(self._registry)
        self._catalog, state, warnings = await self._bring()
        named = await names_of(self._registry, latest, state)
        folder = await to_thread.run_sync(self._catalog.folder.path)
        live = await to_thread.run_sync(live_parts, folder, state)
        held = await self._ask(lambda connection: Held.read(connection, live))
        known = [one for one in await known_parts(self._store, found) if one.fits(held.revisions)]
        parts = await to_thread.run_sync(plan_parts, known, named.hashes(), held.revisions)
        digests = {
            "package_revision": digest_of(named.revisions),
            "package_tag": digest_of(named.tags),
        }
        old = found.publication
        wanted = [name for name, digest in digests.items() if old.digests.get(name) != digest]
        wanted += [name for name in digests if name not in wanted and not found.has(old.whole.get(name))]
        stays = {name: old.whole[name] for name in digests if name not in wanted}
        has_rows = {
            "package_manifest": bool(parts.kept or parts.written),
            "package_entry": any(one.part.rows for one in parts.kept)
            or any(held.revisions[one].rows for group in parts.written for one in group),
        }
        for name, has in has_rows.items():
            if has:
                continue
            if (file := old.whole.get(name)) is not None and found.has(file):
                stays[name] = file
            else:
                wanted.append(name)
        return _Plan(
            found, named, held, parts, digests, tuple(wanted), stays,
            (*warnings, *named.warnings, *_overdue(parts)),
        )  # fmt: skip

    async def _ask(self, work: Callable[[Connection], T]) -> T:
        assert self._catalog is not None, "it was brought"
        return await self._catalog.engine.run(work)

    # -- writing --

    async def _written(self, plan: _Plan) -> tuple[Publication, str]:
        sequence = plan.found.next_sequence()
        try:
            parts = await self._write_parts(plan, sequence)
            whole = dict(plan.whole)
            for name in plan.rewritten:
                whole[name] = await self._send(
                    name, sequence, lambda making, name=name: _whole(making, plan, name)
                )
        except BaseException:
            with anyio.move_on_after(_CLEANING_SECONDS, shield=True):
                await self._take_back()
            raise
        publication = Publication(
            self._store.url,
            sequence,
            self._run,
            datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds"),
            len({name for name, *_ in plan.named.revisions}),
            (*(one.part for one in plan.parts.kept), *parts),
            whole,
            plan.digests,
        )
        return publication, await self._commit(publication, plan.found.etag)

    async def _write_parts(self, plan: _Plan, sequence: int) -> list[PublishedPart]:
        made: list[PublishedPart] = []
        held, done = plan.held, 0
        total = sum(map(len, plan.parts.written))
        for group in plan.parts.written:
            has_rows = any(held.revisions[one].rows for one in group)
            entries = None
            if has_rows:
                entries = await self._send(
                    "package_entry", sequence, lambda making, g=group: making.entries(held, g)
                )
            manifests = await self._send(
                "package_manifest", sequence, lambda making, g=group: making.manifests(held, g)
            )
            hashes = await self._send(PARTS, sequence, lambda making, g=group: making.hashes(g))
            weight = sum(held.revisions[one].weight for one in group)
            made.append(PublishedPart(manifests, entries, hashes, weight))
            done += len(group)
            await self._progress(done, total, f"{done:,} of {counted(total, 'revision')} written")
        return made

    async def _send(self, folder: str, sequence: int, make: Callable[[Making], MadeFile]) -> PublishedFile:
        """Makes a file and brings it into the registry, under a name that nobody gave before."""
        made = await self._ask(lambda connection: make(Making(connection, self._scratch)))
        key = f"{folder}/{sequence:08}-{self._run}-{len(self._sent)}{made.path.suffix}"
        self._sent.append(key)
        stat = await self._store.put(f"{TABLES}{key}", made.path)
        await to_thread.run_sync(made.path.unlink)
        etag = None if self._store.local_files is not None else stat.etag or None
        return PublishedFile(key, made.rows, made.bytes, made.sha256, etag)

    async def _commit(self, publication: Publication, before: str | None) -> str:
        """The etag of the state that now holds, which is this one's."""
        body = publication.dump()
        try:
            return (await self._store.put(STATE, body, if_absent=before is None, if_match=before)).etag
        except (PreconditionFailed, StorageUnavailable) as error:
            # It may have arrived all the same, and what failed was the answer or a repetition.
            there, etag = await read_state(self._store)
            if there is not None and etag is not None and there.run == self._run:
                return etag
            if not isinstance(error, PreconditionFailed):
                raise  # what was sent stays: it may arrive yet
            await self._take_back()
            raise ChangedMeanwhile(
                f"The tables of {self._store.url} were published by another process meanwhile, so nothing was published here.",
                next_step="Type it again: only what that one does not have is left to be written.",
                details={"registry": self._store.url},
            ) from error

    async def _take_back(self) -> None:
        """Deletes what was sent and does not count. What stays, the next run deletes."""
        await for_each(list(self._sent), _DELETED_AT_ONCE, self._delete)

    async def _sweep(self, found: Found, publication: Publication) -> tuple[int, tuple[str, ...]]:
        """Deletes what was there before and does not hold any more; how many, and what to warn of."""
        holding = publication.files()
        gone = [key for key in found.sizes if key not in holding]
        try:
            await for_each(gone, _DELETED_AT_ONCE, self._delete)
        except AccessError as error:
            return 0, (
                f"not_deleted: {counted(len(gone), 'file')} that no longer hold may not be deleted ({error.code}). Who reads by "
                "the lists or the state is not concerned; who reads whole folders sees their rows twice.",
            )
        return len(gone), ()

    async def _delete(self, key: str) -> None:
        await self._store.delete(f"{TABLES}{key}")

    def _outcome(
        self,
        plan: _Plan,
        sequence: int,
        files: int,
        size: int,
        deleted: int,
        *,
        is_done: bool,
        is_current: bool,
        warnings: tuple[str, ...] | None = None,
    ) -> PublishOutcome:
        kept = [one.part for one in plan.parts.kept]
        new = [one for group in plan.parts.written for one in group]
        return PublishOutcome(
            self._store.url,
            is_done,
            is_current,
            sequence,
            len({name for name, *_ in plan.named.revisions}),
            sum(one.revisions for one in kept) + len(new),
            sum(one.rows for one in kept) + sum(plan.held.revisions[one].rows for one in new),
            plan.parts.added,
            plan.parts.removed,
            files,
            size,
            deleted,
            plan.warnings if warnings is None else warnings,
        )


def _whole(making: Making, plan: _Plan, name: str) -> MadeFile:
    match name:
        case "package_revision":
            return making.revisions(plan.named)
        case "package_tag":
            return making.tags(plan.named)
        case _:
            return making.nothing(name)


def _overdue(parts: PartPlan) -> tuple[str, ...]:
    if not parts.overdue:
        return ()
    return (
        f"kept_deleted: {counted(parts.overdue, 'deleted revision')} stay in the tables, as others that were written beside them "
        "cannot be read now.",
    )
