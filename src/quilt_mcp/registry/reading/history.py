"""History: the log of a package, and in which of its revisions a file or folder changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Final

from anyio import to_thread

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.listing import Log, Revision
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.errors import IntegrityError, QuiltError, RevisionNotFound
from quilt_mcp.registry.layout import LATEST, TIMESTAMP
from quilt_mcp.registry.manifests.cache import Enough
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.manifests.step import Step, first_step, renamed_step, step_between
from quilt_mcp.registry.pointers import POINTER_READS_AT_ONCE, Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.workers import collect, for_each

MANIFESTS: Final = 100
"""Manifests that a call compares at most."""
BYTES: Final = 512 << 20
"""Bytes of manifests that a call reads and compares at most, if it is more than one pair."""
_SMALL: Final = 1 << 20
"""Manifests of up to so many bytes are opened a few at a time, ahead of being compared."""


class History:
    """One call of ``QuiltOps.log``."""

    def __init__(self, registry: Registry, package: PackageUri, counts: bool) -> None:
        self._registry = registry
        self._name = validate_package_name(package.name)
        self._path = (package.path or "").strip("/")
        self._counts = counts
        self._warnings: list[str] = []
        self._opened: dict[str, Manifest] = {}
        self._compared = self._spent = 0

    async def page(self, limit: int, cursor: str | None) -> Log:
        """Newest first. Revisions of one hash that stand at several times are several lines, and the newest of them is the latest
        where latest points to that hash: a push writes its timestamp first and latest after it. The cursor tells the path that a
        file has by then."""
        name, registry = self._name, self._registry
        tags = await registry.pointers.tags(name)
        if not tags:
            await registry.require_package(name)
        found = await registry.pointers.try_latest(name)
        latest = found.top_hash if isinstance(found, Pointer) else None
        timestamps = [tag for tag in tags if TIMESTAMP.fullmatch(tag)]
        if not cursor:
            unknown = sorted({*tags} - {LATEST, *timestamps})
            self._warnings += [
                f"unknown_tag: {name}:{tag} is neither a timestamp nor latest." for tag in unknown
            ]
            self._warnings += [found] if isinstance(found, str) else []
        call = ("log", registry.url, name, self._path, self._counts)
        rest, is_tagged = timestamps, 0
        if cursor:
            last, is_tagged, self._path = decode_cursor(cursor, call, int, int, str)
            rest = [tag for tag in timestamps if int(tag) < last]
        is_narrowed = bool(self._path) or self._counts
        steps = self._steps(rest) if is_narrowed else self._plain(rest[:limit])
        revisions: list[Revision] = []
        end = "" if is_narrowed else (rest[:limit] or [""])[-1]
        async for pointer, step in steps:
            end = pointer.tag if is_narrowed else end
            marks = (LATEST,) if pointer.top_hash == latest and not is_tagged else ()
            is_tagged = is_tagged or len(marks)
            if step is not None and pointer.top_hash is not None:
                verified = registry.manifests.verdict(registry.store, pointer.top_hash)
                revisions.append(
                    Revision(
                        pointer.top_hash, pointer.timestamp, None, marks, verified, step.change, step.counts
                    )
                )
                if len(revisions) == limit:
                    break
        more = bool(end) and end != rest[-1]
        if latest and not (more or is_tagged or is_narrowed):
            revisions.insert(len(revisions) if cursor else 0, Revision(latest, None, None, (LATEST,)))
            self._warnings.append(
                "unlogged_latest: latest points to a revision that has no timestamp pointer."
            )
        if self._path and not (revisions or more or cursor):
            self._warnings.append(f"no_match: no revision of {name} has {self._path!r}.")
        return Log(
            tuple(await self._with_messages(revisions)),
            encode_cursor(call, int(end), is_tagged, self._path) if more else None,
            None if self._path else len(timestamps),
            tuple(self._warnings),
            latest,
        )

    async def _with_messages(self, revisions: list[Revision]) -> list[Revision]:
        registry = self._registry
        top_hashes = [*{one.top_hash for one in revisions if one.timestamp}]
        headers = dict(
            zip(top_hashes, await collect(top_hashes, POINTER_READS_AT_ONCE, registry.header), strict=True)
        )
        for top_hash, header in headers.items():
            if isinstance(header, QuiltError):
                self._warnings.append(f"unreadable_manifest: {top_hash}: {header.code}.")
        messages = {key: header.message for key, header in headers.items() if isinstance(header, Header)}
        return [replace(one, message=messages.get(one.top_hash)) for one in revisions]

    async def _pointers(self, tags: list[str], *, ahead: bool = False) -> AsyncIterator[Pointer]:
        for begin in range(0, len(tags), POINTER_READS_AT_ONCE):
            found: list[Pointer] = []
            batch = tags[begin : begin + POINTER_READS_AT_ONCE]
            for tag, pointer in zip(
                batch, await self._registry.pointers.read_many(self._name, batch), strict=True
            ):
                if pointer is not None and pointer.top_hash is not None:
                    found.append(pointer)
                else:
                    self._warnings.append(f"malformed_pointer: {self._name}:{tag} does not hold a top hash.")
            if ahead:
                await self._open_ahead(found)
            for pointer in found:
                yield pointer

    async def _plain(self, tags: list[str]) -> AsyncIterator[tuple[Pointer, Step | None]]:
        async for pointer in self._pointers(tags):
            yield pointer, Step()

    async def _steps(self, tags: list[str]) -> AsyncIterator[tuple[Pointer, Step | None]]:
        """Each revision with what it changed; None where that is nothing of the path. Ends where enough was read for a call."""
        newer: Pointer | None = None
        try:
            async for older in self._pointers(tags, ahead=True):
                if newer is not None:
                    step = self._known(older, newer)
                    if step is None and await self._open(newer) is not None:
                        if await self._open(older) is None:
                            continue
                        step = await self._compare(older, newer)
                    if step is not None:
                        yield newer, self._shown(step)
                newer = older
            if newer is not None:
                step = self._known(None, newer)
                if step is None and await self._open(newer) is not None:
                    step = await self._compare(None, newer)
                if step is not None:
                    yield newer, self._shown(step)
        except Enough:
            self._warnings.append(
                f"log_paused: a call compares at most {MANIFESTS} revisions, and {BYTES >> 20} MiB of manifests. Go on with "
                "next_cursor."
            )

    def _shown(self, step: Step) -> Step | None:
        """What is yielded of it. After a rename, older revisions are asked for the old path."""
        if step.change and step.change.old_path is not None:
            self._path = step.change.old_path
        return step if step.change or not self._path else None

    def _asked(self, older: Pointer | None, newer: Pointer) -> tuple[str, ...]:
        return self._registry.url, (older and older.top_hash) or "", newer.top_hash or "", self._path

    def _known(self, older: Pointer | None, newer: Pointer) -> Step | None:
        return self._registry.manifests.steps.get(self._asked(older, newer))

    async def _compare(self, older: Pointer | None, newer: Pointer) -> Step:
        """Of two manifests that are open. Raises Enough."""
        manifests, new = self._registry.manifests, self._opened[newer.top_hash or ""]
        old = self._opened[older.top_hash or ""] if older else None
        sides = [new.span(self._path), old.span(self._path) if old else (0, 0)]
        self._admit(sum(end - begin for begin, end in sides))
        if old is None:
            step = await to_thread.run_sync(first_step, new, self._path)
        else:
            found = await manifests.diff(old, new, self._path)
            step = await to_thread.run_sync(step_between, found, self._path)
            if step.change and step.change.kind == "added" and not step.change.path.endswith("/"):
                self._admit(old.index.size + new.index.size)
                step = await to_thread.run_sync(renamed_step, await manifests.diff(old, new), step)
        self._compared += 1
        return manifests.steps.set(self._asked(older, newer), step)

    async def _open(self, pointer: Pointer) -> Manifest | None:
        """None, with a warning, where it is damaged or gone. Raises Enough."""
        top_hash = pointer.top_hash or ""
        try:
            if top_hash not in self._opened:
                registry = self._registry
                self._opened[top_hash] = await registry.manifests.open(registry.store, top_hash, self._admit)
        except (IntegrityError, RevisionNotFound) as error:
            self._warnings.append(
                f"unreadable_manifest: {top_hash} ({pointer.tag}): {error.code}; what comes after it is compared with what "
                "comes before."
            )
            return None
        return self._opened[top_hash]

    async def _open_ahead(self, pointers: list[Pointer]) -> None:
        """Opens the small ones of those that will be compared, several at once. Lets go of all others."""
        pairs = pairwise(pointers)
        wanted = {one for pair in pairs if self._known(pair[1], pair[0]) is None for one in pair}

        async def open_one(pointer: Pointer) -> None:
            registry, top_hash = self._registry, pointer.top_hash or ""
            with suppress(Enough, QuiltError):  # it is opened again, and then says why not
                self._opened[top_hash] = await registry.manifests.open(registry.store, top_hash, _small_only)

        self._opened.clear()
        await for_each([*wanted], POINTER_READS_AT_ONCE, open_one)

    def _admit(self, size: int) -> None:
        """Counts bytes that will be read; what the first comparison needs is always read, so that each call gets on."""
        if self._compared and (self._compared == MANIFESTS or self._spent + size > BYTES):
            raise Enough
        self._spent += size


def _small_only(size: int) -> None:
    if size > _SMALL:
        raise Enough
