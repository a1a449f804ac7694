"""Pointers: the small objects that name revisions. Read with tolerance, written with conditions."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import anyio
from anyio import to_thread
from anyio.from_thread import check_cancelled

from quilt_mcp.domain.names import suggest, validate_package_name
from quilt_mcp.errors import (
    AccessError,
    InvalidName,
    NotAFile,
    ObjectNotFound,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.registry.layout import LATEST, POINTERS, TIMESTAMP, is_top_hash, pointer_key
from quilt_mcp.storage.seen_files import SeenFiles
from quilt_mcp.storage.store import ObjectStat, PageLister, Store
from quilt_mcp.storage.workers import collect

POINTER_READS_AT_ONCE = 16
READ_BACK_SECONDS = 10.0
_AFTER_ALL = "\U0010ffff"
"""After every tag: a key that ends in it is followed by the next package's."""
_AFTER_TIMESTAMPS = ":"
"""After every digit, and before 'latest'."""
_NEAR_AMONG, _NEAR_IN, _NEAR_SHOWN = 1000, 20, 3
_POINTER_BYTES = 256
"""More than a pointer may have, so that a malformed one is seen and a huge one is not read."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A tag of a package. ``top_hash`` None: the object is there but does not hold 64 hex digits."""

    tag: str
    top_hash: str | None
    etag: str
    modified: datetime

    @property
    def timestamp(self) -> datetime | None:
        return datetime.fromtimestamp(int(self.tag), UTC) if TIMESTAMP.fullmatch(self.tag) else None


class PackageNames:
    """A page of package names, and warnings of what stands among them and is not one. ``more``: the page is full, and
    at least one name follows."""

    def __init__(self, limit: int | None, removal: Callable[[str], str]) -> None:
        """``removal``: how a person removes what stands at a key."""
        self._removal = removal
        self.names: list[str] = []
        self.warnings: list[str] = []
        self.more = False
        self._limit = limit

    def add(self, name: str, key: str) -> bool:
        """Adds a name, or sets ``more`` where the page is full. False for what is no package name: it is warned of, by the
        ``key`` at which it stands."""
        try:
            validate_package_name(name)
        except InvalidName:
            self.warnings.append(
                f"malformed_name: {name!r} stands among the packages, is no package name (namespace/name) and is ignored. "
                f"{self._removal(key)}"
            )
            return False
        if len(self.names) == self._limit:
            self.more = True
        else:
            self.names.append(name)
        return True


class Pointers:
    """The pointers of one registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, name: str, tag: str) -> Pointer | None:
        """Reads a pointer in one request; None when there is no such pointer."""
        try:
            stat, body = await self._store.get(pointer_key(name, tag), length=_POINTER_BYTES)
        except ObjectNotFound:
            return None
        # quilt3 writes exactly 64 bytes; a trailing newline (other writers) is forgiven as quilt3's log forgives it.
        text = body.decode("ascii", "replace").strip()
        return Pointer(tag, text if is_top_hash(text) else None, stat.etag, stat.modified)

    async def try_latest(self, name: str) -> Pointer | str | None:
        """The latest pointer; a warning where something stands there that is none and cannot be read as one, such as a link."""
        try:
            return await self.latest(name)
        except (AccessError, NotAFile) as error:
            key = pointer_key(name, LATEST)
            return f"unreadable_pointer: {name}:{LATEST} cannot be read ({error.code}). {self.removal(key)}"

    async def try_latest_of(self, names: Sequence[str], seen: SeenFiles) -> list[Pointer | str | None]:
        """``try_latest`` of each, in their order. In a folder all by one thread, without an etag, and only those are opened that
        changed since they were ``seen``: a registry of thousands is looked at in a tenth of the time."""
        files = self._store.local_files
        if files is None:
            return await collect(names, POINTER_READS_AT_ONCE, self.try_latest)

        def read(name: str) -> Pointer | None:
            file = seen.read(files, pointer_key(name, LATEST), _POINTER_BYTES)
            text = file.body.decode("ascii", "replace").strip()
            modified = datetime.fromtimestamp(file.modified, UTC)
            return Pointer(LATEST, text if is_top_hash(text) else None, "", modified)

        def read_all() -> dict[str, Pointer | None]:
            found: dict[str, Pointer | None] = {}
            for name in names:
                check_cancelled()
                with suppress(
                    QuiltError, OSError, ValueError, OverflowError
                ):  # what is odd is looked at by itself
                    found[name] = read(name)
            return found

        found = await to_thread.run_sync(read_all)
        return [found[name] if name in found else await self.try_latest(name) for name in names]

    def removal(self, key: str) -> str:
        """How a person removes what stands at a key among the pointers, where no tool writes; a folder's key ends in '/'."""
        place = self._store.physical_key(key)
        if place.bucket is None:
            return f"To remove it: rm {'-r ' if key.endswith('/') else ''}{shlex.quote(place.path)}"
        return f"To remove it: aws s3 rm {shlex.quote(f's3://{place.bucket}/{place.path}')}"

    async def read_back(self, name: str, tag: str) -> Pointer | None:
        """As ``read``, after a write whose outcome is not known: the store may have fallen silent, and has a few seconds only.
        Raises StorageUnavailable."""
        try:
            with anyio.fail_after(READ_BACK_SECONDS):
                return await self.read(name, tag)
        except TimeoutError as error:
            raise StorageUnavailable(
                f"{self._store.url} does not answer.",
                next_step="Look whether it is well, then make the same call again.",
                details={"registry": self._store.url},
            ) from error

    async def latest(self, name: str) -> Pointer | None:
        return await self.read(name, LATEST)

    async def tags(self, name: str) -> dict[str, str]:
        """Every tag of a package with its pointer's etag, timestamps newest first, then the others."""
        found: dict[str, str] = {}
        after = ""
        while True:
            listing = await self._store.list_folder(f"{POINTERS}{name}/", after=after)
            found |= {stat.key.rpartition("/")[2]: stat.etag for stat in listing.objects}
            if listing.next_after is None:
                break
            after = listing.next_after
        return {tag: found[tag] for tag in sorted(found, key=_newest_first)}

    async def read_many(self, name: str, tags: list[str]) -> list[Pointer | None]:
        """Reads pointers in the order of ``tags``, several requests at once."""
        return await collect(tags, POINTER_READS_AT_ONCE, partial(self.read, name))

    async def read_all(self, name: str) -> list[Pointer]:
        """The pointers of a package in the order of ``tags``."""
        found = await self.read_many(name, [*await self.tags(name)])
        return [pointer for pointer in found if pointer]

    async def stamp_of(self, name: str, top_hash: str) -> str | None:
        """The newest timestamp that names a revision. One listing where S3 gives the MD5 of the pointer as its etag; otherwise it
        reads pointers, newest first, several at once, until one names it."""
        tags = await self.tags(name)
        stamps = [tag for tag in tags if TIMESTAMP.fullmatch(tag)]
        for tag in stamps:
            if tags[tag].strip('"') == pointer_digest(top_hash):
                return tag
        for start in range(0, len(stamps), POINTER_READS_AT_ONCE):
            for found in await self.read_many(name, stamps[start : start + POINTER_READS_AT_ONCE]):
                if found is not None and found.top_hash == top_hash:
                    return found.tag
        return None

    async def names(self, prefix: str, after: str, limit: int | None) -> PackageNames:
        """At most ``limit`` (None: all) package names that start with ``prefix`` and come after ``after``, in the order of their
        folders' keys ('a/b-2/' before 'a/b/'): the one order in which any store can go on after a name.

        Lists one folder for each namespace. Warns of objects directly under a namespace, and of names that are not package
        names.
        """
        namespace_prefix, has_slash, package_prefix = prefix.partition("/")
        after_namespace, _, after_package = after.partition("/")
        page = PackageNames(limit, self.removal)
        async for namespace in self._folders(POINTERS, namespace_prefix, after_namespace, page.warnings):
            if has_slash and namespace != namespace_prefix:
                continue
            start = after_package if namespace == after_namespace else ""
            async for package in self._folders(
                f"{POINTERS}{namespace}/", package_prefix, start, page.warnings
            ):
                if package != start:
                    page.add(f"{namespace}/{package}", f"{POINTERS}{namespace}/{package}/")
                if page.more:
                    return page
        return page

    async def near(self, text: str) -> list[str]:
        """A few package names that ``text`` was probably meant to be, or to begin, likeliest first. Asks for the namespaces (a
        thousand at most), and for packages in twenty of them at most, a request each."""
        wanted = text.casefold()
        namespaces: list[str] = []
        async for namespace in self._folders(POINTERS, "", "", []):
            namespaces.append(namespace)
            if len(namespaces) == _NEAR_AMONG:
                break
        alike = suggest(wanted.partition("/")[0], namespaces)
        chosen = list(dict.fromkeys((*alike, *namespaces)))[:_NEAR_IN]
        pages = await collect(
            chosen, POINTER_READS_AT_ONCE, lambda one: self.names(f"{one}/", "", _NEAR_AMONG)
        )
        names = [name for page in pages for name in page.names]
        begun = [
            name
            for name in names
            if name.casefold().startswith(wanted) or name.casefold().partition("/")[2].startswith(wanted)
        ]
        beside = [name for name in names if name.partition("/")[0] in alike]
        return list(dict.fromkeys((*begun, *suggest(text, names), *beside)))[:_NEAR_SHOWN]

    async def listed_latest(
        self, pages: PageLister, prefix: str, after: str, limit: int | None, requests: int = sys.maxsize
    ) -> tuple[PackageNames, dict[str, ObjectStat]]:
        """As ``names``, with what the listing says of each package's latest pointer (left out where there is none).

        Lists keys and reads no pointer: a request for a thousand pointers at most, for stores where each read is a request.
        Where a page of keys ends among the revisions of a package, skips the rest of them. After so many ``requests`` what
        was not seen is ``more``.
        """
        page = PackageNames(limit, self.removal)
        latest: dict[str, ObjectStat] = {}
        name = ""
        malformed: str | None = None
        at: str | None = f"{after}/{_AFTER_ALL}" if after else ""
        while at is not None:
            if not requests:
                page.more = True
                if page.names and page.names[-1] not in latest:
                    page.names.pop()  # not all of it was seen
                break
            requests -= 1
            listing = await pages.list_page(f"{POINTERS}{prefix}", after=f"{POINTERS}{at}" if at else "")
            at = None if listing.next_after is None else _skipping(listing.next_after[len(POINTERS) :])
            for stat in listing.objects:
                folder, _, tag = stat.key[len(POINTERS) :].rpartition("/")
                if folder == malformed or (stat.size == 0 and tag != LATEST):
                    continue  # an empty object there is a folder that somebody made in a console
                if folder != name:
                    if not page.add(folder, stat.key):
                        malformed = folder
                        continue
                    if page.more:
                        return page, latest
                    name = folder
                if tag == LATEST:
                    latest[name] = stat
            if at is not None and len(page.names) == limit and name in latest:
                # All of the last name is known. More keys come: of this name at most tags after 'latest', else of others.
                page.more = True
                return page, latest
        return page, latest

    async def _folders(self, parent: str, prefix: str, after: str, warnings: list[str]) -> AsyncIterator[str]:
        """Names of folders (without '/') that start with ``prefix``, in the order of their keys, from ``after`` on, itself
        included."""
        at = f"{parent}{max(prefix, after)}" if prefix or after else ""
        while True:
            listing = await self._store.list_folder(parent, after=at)
            warnings += [
                f"malformed_pointer: {stat.key[len(POINTERS) :]!r} is not a pointer of any package; it is ignored. "
                f"{self.removal(stat.key)}"
                for stat in listing.objects
            ]
            for folder in listing.folders:
                if not folder.startswith(f"{parent}{prefix}"):
                    return
                if not after or folder >= f"{parent}{after}/":
                    yield folder[len(parent) :].rstrip("/")
            if listing.next_after is None:
                return
            at = listing.next_after


def pointer_digest(top_hash: str) -> str:
    """The MD5 of a pointer to that revision. S3 gives it as the etag, unless it encrypts with a key of a user's: an equal one
    proves that a pointer names the revision, another proves nothing."""
    return hashlib.md5(top_hash.encode(), usedforsecurity=False).hexdigest()


def _newest_first(tag: str) -> tuple[bool, int, str]:
    is_timestamp = TIMESTAMP.fullmatch(tag) is not None
    return not is_timestamp, -int(tag) if is_timestamp else 0, tag


def _skipping(pointer: str) -> str:
    """Where a listing that ended at this pointer goes on: after all timestamps, when it is one."""
    folder, _, tag = pointer.rpartition("/")
    return f"{folder}/{_AFTER_TIMESTAMPS}" if TIMESTAMP.fullmatch(tag) else pointer
