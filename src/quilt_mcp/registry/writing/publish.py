"""Publishing a revision: manifest, then timestamp pointer, then latest, each step safe to lose.

Order and conditions (design section 4): a reader sees the old revision or the new one. The timestamp pointer is create-only;
latest moves by compare-and-swap on the parent's etag. A response that never came is settled by reading back, so one
acknowledged publish is one line of the log. Killed at any step, the same publish run again completes it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import anyio
import anyio.from_thread

from quilt_mcp.domain.entry import Header
from quilt_mcp.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    QuiltError,
    RevisionNotFound,
    StaleParent,
    StorageUnavailable,
)
from quilt_mcp.registry.layout import LATEST, TIMESTAMP, manifest_key, pointer_key
from quilt_mcp.registry.pointers import READ_BACK_SECONDS, Pointer, Pointers
from quilt_mcp.registry.writing.conflicts import stale_parent
from quilt_mcp.registry.writing.drafts.draft import Draft
from quilt_mcp.registry.writing.drafts.transcript import write_manifest
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.private import hold
from quilt_mcp.storage.store import Store
from quilt_mcp.storage.workers import to_its_end

COMMIT_SECONDS = 10.0
"""How long a commit under way is waited for when its call is cancelled."""
_ATTEMPTS = 3
_TIMESTAMP_ATTEMPTS = 200
_CLOCK_SKEW_SECONDS = 3600
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """``created`` False: latest was this very revision already, no pointer was written."""

    top_hash: str
    created: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A timestamp pointer. ``etag`` None: an earlier call wrote it, or another one that makes the very same revision."""

    tag: str
    etag: str | None


class Publisher:
    """Writes revisions into one store. ``scratch`` is a local folder for manifests on their way."""

    def __init__(self, store: Store, scratch: Path, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._pointers = Pointers(store)
        self._scratch = scratch
        self._clock = clock

    async def publish(
        self,
        name: str,
        header: Header,
        draft: Draft,
        parent: Pointer | None,
        *,
        replace_manifest: bool,
    ) -> Published:
        """``parent`` is the latest pointer that the revision builds on, None when there must be none.

        ``replace_manifest``: what to do when a manifest of this top hash is there with other physical keys or other metadata of
        folders, which are no part of the hash: replace it, or keep it. Either is told by a warning.
        Raises StaleParent when latest is not ``parent`` (any more); then no trace of this revision is in the log.
        """
        file, top_hash = await anyio.to_thread.run_sync(self._write_file, header, draft)
        path = Path(file.name)
        try:
            await self._require_parent(name, parent)
            is_latest = parent is not None and parent.top_hash == top_hash
            is_there = is_latest and await self._holds(manifest_key(top_hash), path)
            warnings = [] if is_there else await self._put_manifest(top_hash, path, replace_manifest)
        finally:
            _remove(file)
        if not is_latest:
            # A few small writes. Cut short between them, a line would stay in the log that nobody acknowledged.
            put = partial(self._put_pointers, name, top_hash, parent)
            warnings += await _committed(put, name, top_hash)
        return Published(top_hash, not is_latest, tuple(warnings))

    async def roll_back(self, name: str, top_hash: str, parent: Pointer | None) -> Published:
        """Makes a revision whose manifest is there the latest. Moves the latest pointer alone, as quilt3's rollback does.

        Raises StaleParent when latest is not ``parent`` (any more), RevisionNotFound when no line of the log names the revision.
        """
        if parent is not None and parent.top_hash == top_hash:
            return Published(top_hash, False, ())
        tag = await self._pointers.stamp_of(name, top_hash)
        if tag is None:
            raise RevisionNotFound(
                f"{name} has no revision {top_hash} any more.",
                next_step="Call package_log for its revisions.",
                details={"package": name, "hash": top_hash},
            )
        put = partial(self._put_latest, tag, name, top_hash, parent)
        warnings = await _committed(put, name, top_hash)
        return Published(top_hash, True, tuple(warnings))

    async def _put_latest(self, tag: str, name: str, top_hash: str, parent: Pointer | None) -> list[str]:
        await _move_latest(self._store, name, top_hash, parent)
        return await self._read_back(name, top_hash, tag)

    async def _put_pointers(self, name: str, top_hash: str, parent: Pointer | None) -> list[str]:
        tags = await self._pointers.tags(name)
        if tags.get(LATEST) != (parent and parent.etag):
            # The listing shows it at no cost: an attempt bound to lose writes no pointer, to be taken back, into the log.
            await self._require_parent(name, parent)
        stamp = await self._put_timestamp(name, top_hash, tags)
        try:
            await _move_latest(self._store, name, top_hash, parent)
        except StaleParent as conflict:
            try:
                with anyio.fail_after(READ_BACK_SECONDS):
                    await self._take_back(name, stamp)
            except (QuiltError, TimeoutError):
                conflict.details["pointer_left"] = stamp.tag
            raise
        return await self._read_back(name, top_hash, stamp.tag)

    def _write_file(self, header: Header, draft: Draft) -> tuple[IO[bytes], str]:
        """The file, flushed; held until it is closed."""
        with typed_errors("A manifest in the making", str(self._scratch)):
            self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
            out = tempfile.NamedTemporaryFile("wb", prefix="manifest-", dir=self._scratch, delete=False)  # noqa: SIM115 - closed by publish
            hold(out)
            try:
                top_hash = write_manifest(out, header, draft, anyio.from_thread.check_cancelled)
                out.flush()
            except BaseException:
                _remove(out)
                raise
            return out, top_hash

    async def _require_parent(self, name: str, parent: Pointer | None) -> None:
        found = await self._pointers.latest(name)
        if (found and found.etag) != (parent and parent.etag):
            raise stale_parent(name, parent.top_hash if parent else None, found)

    async def _put_manifest(self, top_hash: str, path: Path, replace: bool) -> list[str]:
        key = manifest_key(top_hash)
        try:
            await self._store.put(key, path, if_absent=True)
            return []
        except PreconditionFailed:
            pass
        except StorageUnavailable:
            with anyio.move_on_after(READ_BACK_SECONDS):
                if await self._holds(key, path):
                    return []
            raise
        if await self._holds(key, path):
            return []
        there = f"another manifest of {top_hash} was there (other physical keys, other metadata of folders, or damage)"
        if not replace:
            return [f"manifest_kept: {there} and is kept, as nothing was copied."]
        await self._store.put(key, path)
        return [f"manifest_replaced: {there}; each package that has this revision now reads the new one."]

    async def _holds(self, key: str, path: Path) -> bool:
        """Whether the object's bytes are the file's (which a put that half went through may have taken away)."""
        # A local file of this call, read as fast as the store answers.
        with suppress(ObjectNotFound, FileNotFoundError), open(path, "rb") as ours:  # noqa: ASYNC230
            if (await self._store.stat(key)).size != os.fstat(ours.fileno()).st_size:
                return False
            async for chunk in self._store.stream(key):
                if ours.read(len(chunk)) != chunk:
                    return False
            return True
        return False

    async def _put_timestamp(self, name: str, top_hash: str, listed: Iterable[str]) -> _Stamp:
        """The revision's timestamp pointer, after those ``listed`` (newest first). A pointer of the same revision left on top
        by an earlier, killed publish is taken over instead of written twice."""
        tags = [tag for tag in listed if TIMESTAMP.fullmatch(tag)]
        now = int(self._clock())
        stamp = now
        if tags:
            newest = await self._pointers.read(name, tags[0])
            if newest is not None and newest.top_hash == top_hash:
                return _Stamp(tags[0], None)
            if int(tags[0]) < now + _CLOCK_SKEW_SECONDS:
                stamp = max(now, int(tags[0]) + 1)
        for later in range(_TIMESTAMP_ATTEMPTS):
            tag = str(stamp + later)
            try:
                put = await self._store.put(pointer_key(name, tag), top_hash.encode(), if_absent=True)
                return _Stamp(tag, put.etag)
            except PreconditionFailed:
                # A client that tried again by itself, after an answer got lost, meets its own pointer here.
                found = await self._pointers.read(name, tag)
                if found is not None and found.top_hash == top_hash:
                    return _Stamp(tag, None)
            except StorageUnavailable:
                found = await self._pointers.read_back(name, tag)
                if found is None or found.top_hash != top_hash:
                    raise
                return _Stamp(tag, found.etag)
        raise StorageUnavailable(
            f"No free second was found for a revision pointer of {name}.",
            next_step="Run the same call again.",
            details={"package": name},
        )

    async def _take_back(self, name: str, stamp: _Stamp) -> None:
        """Takes away the timestamp pointer of a revision that lost, unless it is another writer's by now."""
        if stamp.etag is None:
            return
        with suppress(PreconditionFailed):
            await self._store.delete(pointer_key(name, stamp.tag), if_match=stamp.etag)

    async def _read_back(self, name: str, top_hash: str, tag: str) -> list[str]:
        """After the swap: what a reader sees now. Another writer that ignores conditions (quilt3 does) shows here; a
        timestamp pointer that it replaced, pushing in the same second, is written again."""
        warnings: list[str] = []
        if not self._store.conditional_writes:
            warnings.append(
                "unconditional_store: this store ignores conditional writes; a push at the same moment could be lost."
            )
        try:
            found = await self._pointers.read_back(name, LATEST)
            logged = await self._pointers.read_back(name, tag)
            if logged is None:
                found = await self._pointers.read_back(name, LATEST)  # anew: a deletion takes latest first
            is_latest = found is not None and found.top_hash == top_hash
            if is_latest if logged is None else logged.top_hash != top_hash:
                stamp = await self._put_timestamp(name, top_hash, await self._pointers.tags(name))
                warnings.append(
                    f"timestamp_replaced: another writer replaced {name}:{tag}; the revision stands at {stamp.tag} now."
                )
        except QuiltError as error:
            return [
                *warnings,
                f"not_read_back: the revision is written, reading it back failed ({error.code}).",
            ]
        if not is_latest:
            warnings.append(
                f"latest_moved: latest of {name} points to {found.top_hash if found else None} now: another writer was here."
            )
        return warnings


def _remove(file: IO[bytes]) -> None:
    with file, suppress(FileNotFoundError):
        os.unlink(file.name)


async def move_latest(store: Store, name: str, top_hash: str | None, parent: Pointer | None) -> None:
    """Moves latest from ``parent``, None where there must be none, to another revision, or takes it away (``top_hash`` None).
    Raises StaleParent when it is another one (by now), and OutcomeUnknown when the store falls silent. Cancelled, it waits ten
    seconds for the answer."""
    await _committed(partial(_move_latest, store, name, top_hash, parent), name, top_hash)


async def _committed(act: Callable[[], Awaitable[T]], name: str, top_hash: str | None) -> T:
    try:
        return await to_its_end(act, COMMIT_SECONDS)
    except TimeoutError as error:
        raise _outcome_unknown(name, top_hash) from error


async def _move_latest(store: Store, name: str, top_hash: str | None, parent: Pointer | None) -> None:
    key, begun = pointer_key(name, LATEST), anyio.current_time()
    for attempt in range(_ATTEMPTS):
        try:
            if top_hash is None:
                await store.delete(key, if_match=parent and parent.etag)
            elif parent is None:
                await store.put(key, top_hash.encode(), if_absent=True)
            else:
                await store.put(key, top_hash.encode(), if_match=parent.etag)
            return
        except (PreconditionFailed, StorageUnavailable) as failure:
            try:
                found = await Pointers(store).read_back(name, LATEST)
            except StorageUnavailable as error:
                raise _outcome_unknown(name, top_hash) from error
            if (found and found.top_hash) == top_hash:
                return
            if (found and found.etag) != (parent and parent.etag):
                raise stale_parent(name, parent.top_hash if parent else None, found) from failure
            if attempt == _ATTEMPTS - 1 or anyio.current_time() - begun > COMMIT_SECONDS:
                raise


def _outcome_unknown(name: str, top_hash: str | None) -> OutcomeUnknown:
    done = "without it" if top_hash is None else f"with {top_hash[:12]} on top"
    return OutcomeUnknown(
        f"The store fell silent as latest of {name} was moved to {top_hash or 'nothing'}: it may have moved, now or in a moment.",
        next_step=f"Call package_log of {name}: {done} it is done; otherwise make the same call again.",
        details={"package": name, "top_hash": top_hash},
    )
