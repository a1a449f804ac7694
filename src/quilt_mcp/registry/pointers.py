"""Pointers: the small objects that name revisions. Read with tolerance, written with conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.errors import InvalidName, NotAFile, ObjectNotFound
from quilt_mcp.registry.layout import LATEST, POINTERS, TIMESTAMP, is_top_hash, pointer_folder, pointer_key
from quilt_mcp.storage.store import PageLister, Store
from quilt_mcp.storage.workers import for_each

POINTER_READS_AT_ONCE = 16
_AFTER_ALL = "\U0010ffff"
"""After every tag: a key that ends in it is followed by the next package's."""
_AFTER_TIMESTAMPS = ":"
"""After every digit, and before 'latest'."""
_POINTER_BYTES = 256
"""More than a pointer may have, so that a malformed one is seen and a huge one is not read."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """``top_hash`` None: the object is there but is not 64 hex digits."""

    tag: str
    top_hash: str | None
    etag: str
    modified: datetime

    @property
    def timestamp(self) -> datetime | None:
        return datetime.fromtimestamp(int(self.tag), UTC) if TIMESTAMP.fullmatch(self.tag) else None


@dataclass(frozen=True, slots=True)
class FoundNames:
    """A page of package names, and warnings about what stands among them and is no package."""

    names: tuple[str, ...]
    warnings: tuple[str, ...]
    more: bool


class Pointers:
    """The pointers of one registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, name: str, tag: str) -> Pointer | None:
        """One request; None when there is no such pointer."""
        try:
            stat, body = await self._store.get(pointer_key(name, tag), length=_POINTER_BYTES)
        except (ObjectNotFound, NotAFile):
            return None
        # quilt3 writes exactly 64 bytes; a trailing newline (other writers) is forgiven as quilt3's log forgives it.
        text = body.decode("ascii", "replace").strip()
        return Pointer(tag, text if is_top_hash(text) else None, stat.etag, stat.modified)

    async def latest(self, name: str) -> Pointer | None:
        return await self.read(name, LATEST)

    async def tags(self, name: str) -> list[str]:
        """Every tag of a package, timestamps newest first, then the others."""
        return list(await self.etags(name))

    async def etags(self, name: str) -> dict[str, str]:
        """As ``tags``, each with its pointer's etag."""
        found: dict[str, str] = {}
        after = ""
        while True:
            listing = await self._store.list_folder(pointer_folder(name), after=after)
            found |= {stat.key.rpartition("/")[2]: stat.etag for stat in listing.objects}
            if listing.next_after is None:
                break
            after = listing.next_after
        timestamps = sorted((tag for tag in found if TIMESTAMP.fullmatch(tag)), key=int, reverse=True)
        others = sorted(tag for tag in found if not TIMESTAMP.fullmatch(tag))
        return {tag: found[tag] for tag in (*timestamps, *others)}

    async def read_many(self, name: str, tags: list[str]) -> list[Pointer | None]:
        """In the order of ``tags``, several requests at once."""
        found: list[Pointer | None] = [None] * len(tags)

        async def read_one(index: int) -> None:
            found[index] = await self.read(name, tags[index])

        await for_each(range(len(tags)), POINTER_READS_AT_ONCE, read_one)
        return found

    async def names(self, prefix: str, after: str, limit: int) -> FoundNames:
        """At most ``limit`` package names that start with ``prefix`` and come after ``after``, in the order of their folders'
        keys ('a/b-2/' before 'a/b/'): the one order in which any store can go on after a name.

        One folder listing per namespace touched. Objects directly under a namespace, and names that are not package
        names, are warned of and passed over.
        """
        namespace_prefix, has_slash, package_prefix = prefix.partition("/")
        after_namespace, _, after_package = after.partition("/")
        names: list[str] = []
        warnings: list[str] = []
        async for namespace in self._folders(POINTERS, namespace_prefix, after_namespace, warnings):
            if not namespace.startswith(namespace_prefix):
                break
            if has_slash and namespace != namespace_prefix:
                continue
            is_first = namespace == after_namespace
            parent = f"{POINTERS}{namespace}/"
            async for package in self._folders(
                parent, package_prefix, after_package if is_first else "", warnings
            ):
                if not package.startswith(package_prefix):
                    break
                if is_first and package == after_package:
                    continue
                name = f"{namespace}/{package}"
                try:
                    validate_package_name(name)
                except InvalidName:
                    warnings.append(
                        f"malformed_name: {name!r} stands among the packages and is not a package name."
                    )
                    continue
                if len(names) == limit:
                    return FoundNames(tuple(names), tuple(warnings), more=True)
                names.append(name)
        return FoundNames(tuple(names), tuple(warnings), more=False)

    async def latest_times(
        self, pages: PageLister, prefix: str, after: str, limit: int
    ) -> tuple[FoundNames, dict[str, datetime]]:
        """As ``names``, with when each package's latest pointer was written (left out where there is none).

        A flat listing, a request for a thousand pointers at most, and no pointer is read: for stores where each read is a
        request. Of a package with more revisions than end a page, the rest are passed over. Names that are not package names
        are warned of and passed over.
        """
        names: list[str] = []
        times: dict[str, datetime] = {}
        warnings: list[str] = []
        malformed: str | None = None
        at: str | None = f"{after}/{_AFTER_ALL}" if after else ""
        while at is not None:
            page = await pages.list_page(f"{POINTERS}{prefix}", after=f"{POINTERS}{at}" if at else "")
            at = None if page.next_after is None else _passed(page.next_after[len(POINTERS) :])
            for stat in page.objects:
                name, _, tag = stat.key[len(POINTERS) :].rpartition("/")
                if name == malformed or (stat.size == 0 and tag != LATEST):
                    continue  # an empty object there is a folder that somebody made in a console
                if not names or name != names[-1]:
                    try:
                        validate_package_name(name)
                    except InvalidName:
                        malformed = name
                        warnings.append(
                            f"malformed_name: {name!r} stands among the packages and is not a package name."
                        )
                        continue
                    if len(names) == limit:
                        return FoundNames(tuple(names), tuple(warnings), more=True), times
                    names.append(name)
                if tag == LATEST:
                    times[name] = stat.modified
            if at is not None and len(names) == limit and names[-1] in times:
                # All of the last name is known. More keys come: of this name at most tags after 'latest', else of others.
                return FoundNames(tuple(names), tuple(warnings), more=True), times
        return FoundNames(tuple(names), tuple(warnings), more=False), times

    async def _folders(self, parent: str, prefix: str, after: str, warnings: list[str]) -> AsyncIterator[str]:
        """Folder names (without '/') in the order of their keys, from the first that may start with ``prefix`` and from
        the folder ``after`` on, itself included."""
        at = max(prefix, after)
        at = f"{parent}{at}" if at else ""
        while True:
            listing = await self._store.list_folder(parent, after=at)
            warnings += [
                f"malformed_pointer: {stat.key[len(POINTERS) :]!r} is not a pointer of any package; it is ignored."
                for stat in listing.objects
            ]
            for folder in listing.folders:
                if not after or folder >= f"{parent}{after}/":
                    yield folder[len(parent) :].rstrip("/")
            if listing.next_after is None:
                return
            at = listing.next_after


def _passed(pointer: str) -> str:
    """Where a listing that ended at this pointer goes on: after all timestamps, when it is one."""
    folder, _, tag = pointer.rpartition("/")
    return f"{folder}/{_AFTER_TIMESTAMPS}" if TIMESTAMP.fullmatch(tag) else pointer
