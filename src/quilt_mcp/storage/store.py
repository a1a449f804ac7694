"""Store: the bytes under a registry. One protocol, conditional writes included; stores raise only ``quilt_mcp.errors``.

Keys are relative, '/'-separated, with no '.', '..' or empty component and no NUL: a store refuses any other with InvalidName.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.listing import Archive
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.errors import QuiltError

PIECE: Final = 2 << 20
"""Bytes in each piece of a stream. Smaller ones are more steps between threads; larger ones leave the processor's cache before
they are hashed and written."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """``etag`` changes whenever the bytes change; two equal contents may have equal etags (as S3's do)."""

    key: str
    size: int
    etag: str
    modified: datetime
    version: str | None = None
    archive_class: str | None = None
    """The storage class of one that is archived, where a listing tells it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a folder: objects and folder names (ending in '/') merged in key order, split here by kind.
    ``next_after`` is what to pass as ``after`` for the next page, None on the last. ``closed``: names left out, as places of
    credentials."""

    objects: tuple[ObjectStat, ...]
    folders: tuple[str, ...]
    next_after: str | None
    closed: tuple[str, ...] = ()


class Store(Protocol):
    """Bytes by key below one root. Its attributes are read only.

    Reading never shows a half-written object. A write is atomic: after a crash the old object or the new one is there.
    """

    url: str
    """``file:///folder`` or ``s3://bucket``, without trailing slash."""
    conditional_writes: bool | None
    """Whether ``if_absent`` and ``if_match`` are kept by the server (a probe says so, a 200 alone does not). None: not known
    yet."""
    conditional_deletes: bool | None
    """The same of ``delete``. Where it is not True, the condition is checked by reading."""
    local_files: LocalFiles | None
    """The objects as files of this machine; None where they are not."""
    intake: FileIntake | None
    """How local files are stored by content; None where they go in by ``put``."""
    signer: LinkSigner | None
    """Signed links to the objects; None where there are none."""
    archive: ArchiveKeeper | None
    """Objects that are to be restored before they are read; None where there are none."""
    pages: PageLister | None
    """A flat listing by pages, where that is quicker than a few listings of folders; else None."""
    entries: EntryPlaces | None
    """Where files of packages are read by their logical keys, as their physical keys are out of reach; else None."""

    def physical_key(self, key: str, version: str | None = None) -> PhysicalKey: ...

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        """One request. Raises ObjectNotFound, NotAFile for a folder."""
        ...

    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> tuple[ObjectStat, bytes]:
        """Bytes [offset, offset + length), fewer at the end, with the stat of the same object version. One request."""
        ...

    def stream(
        self, key: str, *, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> AsyncIterator[bytes | memoryview]:
        """The same bytes as ``get``, in pieces and in order. Raises ObjectNotFound at the first step, StorageUnavailable when
        cut short."""
        ...

    def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectStat]:
        """Every object whose key starts with ``prefix`` and is > ``after``, in code-point order of keys, streamed."""
        ...

    async def list_folder(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Listing:
        """One level below ``prefix`` ('' or ending in '/'), at most ``limit`` objects and folders together.
        A missing folder is an empty listing."""
        ...

    async def put(
        self, key: str, body: bytes | Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectStat:
        """Atomic and durable when it returns. ``body`` as a Path is a local temporary file whose bytes are taken.

        ``if_absent``: only when no object is there. ``if_match``: only while the object's etag is this. Both raise
        PreconditionFailed, and StorageUnavailable when the outcome is not known (read back before deciding).
        """
        ...

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Idempotent: deleting what is not there is no error. Empty local folders above it are removed.

        ``if_match``: only while the object's etag is this; raises PreconditionFailed for another.
        """
        ...


class NoAbilities:
    """Of a store whose server is asked for nothing but objects; a store that has some of them says so."""

    conditional_writes: bool | None = None
    conditional_deletes: bool | None = None
    local_files: LocalFiles | None = None
    intake: FileIntake | None = None
    signer: LinkSigner | None = None
    pages: PageLister | None = None
    archive: ArchiveKeeper | None = None
    entries: EntryPlaces | None = None


class LocalFiles(Protocol):
    """The objects of a store as files of this machine."""

    def open_file(self, key: str) -> int:
        """A read-only file descriptor, opened below the root by directory descriptors without following a symbolic link.
        The caller closes it. Raises as ``stat``."""
        ...

    def files_in(self, prefix: str) -> AbstractContextManager[Callable[[str], int]]:
        """For the length of the block, ``open_file`` for many files of one folder, whose path is gone through once: it takes
        the part of the key after ``prefix`` (which ends in '/', or is empty), a single name."""
        ...

    def stat_file(self, key: str) -> os.stat_result:
        """One call of the system, which follows links on the way and opens nothing: to see that a file that was opened before
        is still the same. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A file taken in by content. ``stat.size`` is its size. ``created`` False: the very same bytes were stored already."""

    hash: Hash
    stat: ObjectStat
    created: bool


class FileIntake(Protocol):
    """Takes in local files and stores them by content."""

    async def take_file(
        self,
        source_fd: int,
        hash_type: str,
        key_of: Callable[[Hash], str],
        progress: Progress = no_progress,
    ) -> Taken:
        """Copies an open file into a temporary file of the store, hashes what was written, then publishes it under
        ``key_of(hash)``: the stored bytes are the hashed bytes even while the source changes. An object there is read and
        compared, and replaced when its bytes are others. Atomic, durable."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a source names. ``relative`` is its '/'-separated path below the folder asked for (its name, when one file
    was); a local ``physical_key`` is where its bytes really lie, with a symbolic link resolved, as quilt3's are.

    ``fault``: why it cannot be taken, to be raised by who wants it; of a folder that cannot be listed (``relative`` ends in
    '/') too. ``is_private``: only its owner may read it."""

    relative: str
    physical_key: PhysicalKey
    size: int
    fault: QuiltError | None = None
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """``is_single``: the origin named exactly one file, by its own name. ``pages`` brings them, once, a thousand or so at a time;
    ``warnings`` is complete when it has ended."""

    is_single: bool
    pages: AsyncIterator[Sequence[Found]]
    warnings: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A PUT to ``url`` that anybody may make until ``expires``, with these ``headers`` and so many bytes as the signature holds.

    ``keeps_others``: the server is known to refuse it where an object is by then."""

    url: str
    headers: Mapping[str, str]
    expires: datetime
    keeps_others: bool


class LinkSigner(Protocol):
    """Signs links by which a person without credentials opens an object, or sends one."""

    async def sign(self, key: str, *, version: str | None, expires_in: int) -> tuple[str, datetime]:
        """The link, and when it stops working (never later than the credentials do). No request; existence is not checked."""
        ...

    async def sign_upload(self, key: str, *, size: int, expires_in: int) -> SignedUpload:
        """For exactly ``size`` bytes, at a key where no object is. No request, but for what finds out, once, whether the server
        keeps conditions. Raises NotSupported where there are no credentials to sign with."""
        ...


class ArchiveKeeper(Protocol):
    """Objects may be archived, and are read again only when they were restored."""

    async def stat(self, key: str, *, version: str | None = None) -> tuple[ObjectStat, Archive | None]:
        """As ``Store.stat``, with the state of an archived object; None of one that is not. One request."""
        ...

    async def restore(self, key: str, *, version: str | None, archive: Archive, tier: str, days: int) -> bool:
        """Asks for a copy that can be read for so many days, or of a restored object that its copy is kept so long. False: one
        was under way already. One request, charged for; it may take days until the copy is there."""
        ...


class PageLister(Protocol):
    """Lists objects flat, a page a request."""

    async def list_page(self, prefix: str, *, after: str = "") -> Listing:
        """The first objects whose keys start with ``prefix`` and come after ``after``, up to a thousand, in order; no folders.
        One request."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object's bytes lie."""

    store: Store
    key: str
    version: str | None = None


class EntryPlaces(Protocol):
    """The bytes of packages by revision and logical key."""

    def place(self, pinned: PackageUri, entry: Entry) -> Place:
        """Asks nobody."""
        ...


class Stores(Protocol):
    """From a physical key to the store that holds it: where roots, allow-lists and credentials are applied."""

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        """Raises OutsideRoots for a local path outside the roots, NotSupported for a scheme this backend cannot read."""
        ...

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        """The store of a folder and the prefix below it ('' or ending in '/'). Raises as ``locate``;
        ObjectNotFound when a local folder does not exist, InvalidArgument when it is a file."""
        ...

    def registry(self, url: str) -> Store:
        """The store of a registry URL. Raises RegistryNotFound, OutsideRoots, NotSupported."""
        ...

    async def find(self, origin: str) -> FoundFiles:
        """The files that a path, a glob, a folder or an object URI names, in an order of the store's own.

        A folder is read as quilt3's ``set_dir`` does (files only, ``.quiltignore`` kept). Raises SourceNotFound (naming what
        is close), OutsideRoots, InvalidUri, NotSupported.
        """
        ...
