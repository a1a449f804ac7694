"""ToldStore: a bucket's registry as a stack tells it. Reading the engine's keys (pointers, manifests) asks GraphQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial
from typing import Final, NoReturn

from quilt_mcp.backends.through.entry_store import EntryStore
from quilt_mcp.catalog.packages import MOST_LISTED, StackPackages
from quilt_mcp.catalog.sessions import BrowsingSessions
from quilt_mcp.catalog.told import ToldContents, ToldRevision
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.entry import Entry, Header
from quilt_mcp.domain.manifest.codec import encode_exact
from quilt_mcp.errors import NotSupported, ObjectNotFound, PermissionDenied
from quilt_mcp.registry.layout import LATEST, MANIFESTS, POINTERS, TIMESTAMP, pointer_key
from quilt_mcp.registry.manifests.cache import SMALL
from quilt_mcp.registry.pointers import pointer_digest
from quilt_mcp.storage.store import (
    EntryPlaces,
    Listing,
    NoAbilities,
    ObjectStat,
    Place,
)
from quilt_mcp.storage.workers import in_thread

DIRECT: Final = (
    "It takes AWS credentials: ask an administrator of the stack for a role that has them, or call role_switch where status "
    "shows another."
)
"""The next step for what this way cannot do."""
_AN_ENTRY: Final = 256
_NAMES: Final = 1_000


class ToldStore(NoAbilities):
    """See ``store.Store``; one for each call, which sees one state of a package's log until it forgets it.

    Its objects are the pointers of packages and their manifests, made from what the stack tells: of the same revision the same
    lines, if the stack tells all of it. The size of a manifest is a guess before it is read. Whatever else a bucket holds, and
    all writing, is NotSupported.
    """

    def __init__(
        self,
        packages: StackPackages,
        sessions: BrowsingSessions,
        bucket: str,
        allowed: Collection[str] | None = None,
    ) -> None:
        """``allowed``: the only buckets whose files are read."""
        self.bucket = bucket
        self._allowed = allowed
        self.url = f"s3://{bucket}"
        self.entries: EntryPlaces | None = self
        self._packages = packages
        self._sessions = sessions
        self._logs: dict[str, tuple[ToldRevision, ...]] = {}
        self._tags: dict[tuple[str, str], ToldRevision | None] = {}
        self._revisions: dict[str, ToldRevision] = {}
        self._name = ""
        """The package that a manifest is asked for next: a stack knows no revision without one."""

    def about(self, name: str) -> None:
        """Says of which package the manifests are that are asked for from now on."""
        self._name = name

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey:
        return PhysicalKey(self.bucket, key, version)

    def place(self, pinned: PackageUri, entry: Entry) -> Place:
        """Raises PermissionDenied for a file in a bucket that the allow-list leaves out."""
        key = PhysicalKey.parse(entry.physical_key)
        if self._allowed is not None and key.bucket not in self._allowed:
            raise not_allowed(key.bucket or "")
        told = self._revisions.get(pinned.top_hash or "")
        return Place(EntryStore(self._sessions, pinned, key, told and told.modified), entry.logical_key)

    # -- reading --

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        if key.startswith(MANIFESTS):
            return _manifest_stat(key, await self._revision(key[len(MANIFESTS) :]))
        return _pointer_stat(key, await self._pointer(key))

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        if not key.startswith(MANIFESTS):
            told = await self._pointer(key)
            stat, body = _pointer_stat(key, told), told.top_hash.encode()
        elif length is not None and offset == 0:  # for its first line, which is known without the others
            told = await self._revision(key[len(MANIFESTS) :], with_header=True)
            stat, body = _manifest_stat(key, told), _first_line(told.header or Header({}))
        else:
            told = await self._revision(key[len(MANIFESTS) :])
            stat, body = _manifest_stat(key, told), await self._manifest(told)
        end = None if length is None else offset + length
        return stat, body[offset:end]

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> AsyncIterator[bytes]:
        yield (await self.get(key, offset=offset, length=length))[1]

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        """The manifests of the package that was named last, once each."""
        seen: set[str] = set()
        for told in await self._log(self._name):
            key = f"{MANIFESTS}{told.top_hash}"
            if key.startswith(prefix) and key > after and key not in seen:
                seen.add(key)
                yield _manifest_stat(key, told)

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        """Of a package's pointers, all. Of namespaces and packages those among the first thousand names."""
        if not prefix.startswith(POINTERS):
            raise _not_told(f"{self.url}/{prefix}")
        below = prefix[len(POINTERS) :]
        if below.count("/") == 2:
            return Listing(tuple(await self._pointer_stats(below.strip("/"))), (), None)
        rows, _ = await in_thread(partial(self._packages.page, self.bucket, number=1, size=_NAMES))
        parts = (one.name[len(below) :].split("/")[0] for one in rows if one.name.startswith(below))
        folders = [f"{prefix}{part}/" for part in sorted(set(parts))]
        return Listing((), tuple(one for one in folders if one > after), None)

    async def put(self, key: str, *_: object, **__: object) -> NoReturn:
        raise _not_told(f"{self.url}/{key}")

    async def delete(self, key: str, *, if_match: str | None = None) -> NoReturn:
        raise _not_told(f"{self.url}/{key}")

    # -- what is told --

    def forget_pointers(self) -> None:
        self._logs.clear()
        self._tags.clear()

    async def _log(self, name: str) -> Sequence[ToldRevision]:
        """Newest first; asked for once, with what latest is."""
        if name not in self._logs:
            told = await in_thread(partial(self._packages.log, self.bucket, name))
            self._logs[name] = told.revisions
            if told.latest is not None:
                self._tags.setdefault((name, LATEST), told.latest)
            self._revisions |= {one.top_hash: one for one in reversed(told.revisions)}
        self._name = name
        return self._logs[name]

    async def _pointer_stats(self, name: str) -> list[ObjectStat]:
        stamps = _stamps(await self._log(name))
        stats = [_pointer_stat(pointer_key(name, stamp), told) for stamp, told in stamps.items()]
        latest = self._tags.get((name, LATEST))
        stats += [] if latest is None else [_pointer_stat(pointer_key(name, LATEST), latest)]
        return sorted(stats, key=lambda one: one.key)

    async def _pointer(self, key: str) -> ToldRevision:
        name, _, tag = key.removeprefix(POINTERS).rpartition("/")
        if not key.startswith(POINTERS) or name.count("/") != 1:
            raise _not_told(f"{self.url}/{key}")
        if TIMESTAMP.fullmatch(tag):
            told = _stamps(await self._log(name)).get(tag)
        elif (name, tag) in self._tags:
            told = self._tags[name, tag]
        else:
            told = await in_thread(partial(self._packages.revision, self.bucket, name, tag))
            self._tags[name, tag] = told
        self._name = name
        if told is None:
            raise ObjectNotFound(
                f"The stack tells of no {name}:{tag} in {self.url}.",
                next_step="Call packages_list, or package_log of the package.",
                details={"registry": self.url, "package": name, "tag": tag},
            )
        return self._revisions.setdefault(told.top_hash, told)

    async def _revision(self, top_hash: str, *, with_header: bool = False) -> ToldRevision:
        known = self._revisions.get(top_hash)
        if (known is None or (with_header and known.header is None)) and self._name:
            asking = partial(self._packages.revision, self.bucket, self._name, top_hash)
            known = await in_thread(asking)
        if known is None or known.top_hash != top_hash:
            raise ObjectNotFound(
                f"The stack tells of no revision {top_hash} of {self._name} in {self.url}.",
                next_step="Call package_log for the revisions of the package.",
                details={"registry": self.url, "package": self._name, "top_hash": top_hash},
            )
        self._revisions[top_hash] = known
        return known

    async def _manifest(self, told: ToldRevision) -> bytes:
        found: ToldContents | None = None
        if told.entries is None or told.entries <= MOST_LISTED:
            asking = partial(self._packages.contents, self.bucket, told.name, told.top_hash)
            found = await in_thread(asking)
        if found is None:
            raise TooManyFiles(
                f"{told.name}@{told.top_hash[:10]} has more files than the stack lists at once ({MOST_LISTED:,} are asked for): "
                "only single folders of it can be browsed and single files read.",
                next_step=f"Browse it folder by folder. {DIRECT}",
                details={"package": told.name, "top_hash": told.top_hash, "entries": told.entries},
            )
        return await in_thread(partial(_lines, found))


def _lines(told: ToldContents) -> bytes:
    records = [*told.folders, *told.entries]
    return b"".join((_first_line(told.header), *map(encode_exact, records)))


def _first_line(header: Header) -> bytes:
    """As a manifest has it, whatever it holds: what no writer may write is shown with a warning, as of any manifest."""
    return f"{json.dumps(dict(header.fields), ensure_ascii=False)}\n".encode("utf-8", "surrogatepass")


def _stamps(log: Sequence[ToldRevision]) -> dict[str, ToldRevision]:
    """By the names of their pointers, which are the times at which they were made: no two are of one second."""
    found: dict[str, ToldRevision] = {}
    last = 1 << 62
    for told in log:
        last = min(int(told.modified.timestamp()), last - 1)
        found[str(last)] = told
    return found


def _pointer_stat(key: str, told: ToldRevision) -> ObjectStat:
    return ObjectStat(key, len(told.top_hash), pointer_digest(told.top_hash), told.modified)


def _manifest_stat(key: str, told: ToldRevision) -> ObjectStat:
    """Never larger than what is held in memory: its size is a guess, by which no file is read."""
    guess = SMALL if told.entries is None else min(SMALL, told.entries * _AN_ENTRY)
    return ObjectStat(key, guess, told.top_hash, told.modified)


class TooManyFiles(NotSupported):
    """A revision is larger than the stack lists whole."""


def not_allowed(bucket: str) -> PermissionDenied:
    return PermissionDenied(
        f"Bucket {bucket} is not among those this server may use.",
        next_step="Use one that registry_list shows, or ask for it to be added to QUILT_ALLOWED_BUCKETS.",
        details={"bucket": bucket},
    )


def _not_told(what: str) -> NotSupported:
    return NotSupported(
        f"The stack gives this user no AWS credentials, and tells of packages alone: {what} is out of reach.",
        next_step=f"Use the package tools. {DIRECT}",
        details={"way": "stack"},
    )
