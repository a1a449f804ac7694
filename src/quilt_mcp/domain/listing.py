"""What reading verbs answer: pages of packages, revisions, folder items and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar

from quilt_mcp.domain.diff import DiffTotals, EntryChange
from quilt_mcp.domain.entry import Hash

STANDARD: Final = "standard"
BULK: Final = "bulk"
EXPEDITED: Final = "expedited"
TIERS: Final = (STANDARD, BULK, EXPEDITED)
MOST_DAYS: Final = 90
ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes out of which nothing is read before it is restored."""
DEEPEST: Final = "DEEP_ARCHIVE"
_TIERED: Final = "INTELLIGENT_TIERING"
_WAITS: Final = {
    (False, EXPEDITED): "1 to 5 minutes",
    (False, STANDARD): "3 to 5 hours",
    (False, BULK): "5 to 12 hours",
    (True, STANDARD): "within 12 hours",
    (True, BULK): "within 48 hours",
}
"""By whether it is the deepest archive, and the tier: how long S3 says that a restore takes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page. ``next_cursor`` is opaque, None on the last page. ``total`` counts all pages, None when
    counting would mean reading them all. ``warnings`` are sentences that start with a stable code and a colon."""

    items: tuple[T, ...]
    next_cursor: str | None = None
    total: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RegistryListing:
    """A registry or bucket in reach. ``writable`` None: not known without trying."""

    url: str
    title: str | None = None
    is_default: bool = False
    writable: bool | None = None


@dataclass(frozen=True, slots=True)
class PackageListing:
    name: str
    top_hash: str | None
    """None when the latest pointer is missing or malformed (a warning of the page says which), and in buckets, where each
    would be a request of its own: ``resolve`` tells it."""
    modified: datetime | None
    verified: bool | None = None
    """As ``Revision.verified``."""
    metadata: Any = None
    """User metadata, whole or by JSON pointer, where asked for; ``message`` and ``totals`` with ``detail``."""
    message: str | None = None
    totals: Totals | None = None
    """None too where the manifest is too large to be looked through for a listing (a warning of the page says so)."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A line of a package's log. ``timestamp`` is the pointer's name. ``tags`` holds 'latest' in one line of a log alone: the
    newest of those with the hash that latest points to."""

    top_hash: str
    timestamp: datetime | None
    message: str | None
    tags: tuple[str, ...] = ()
    verified: bool | None = None
    """Whether its manifest had that hash when it was last looked at; None: not looked at yet, which a log does not do."""
    change: EntryChange | None = None
    """Of the log of a path: how that file or folder (whose ``path`` ends in '/') changed since the revision before: ``added``,
    ``removed``, ``modified``, ``metadata`` or ``renamed``, with the sizes, for a folder summed, and a file's hashes. Of a file
    that came by a rename (as ``Diff`` has it) ``old_path`` tells from where, and older lines are of that path."""
    counts: DiffTotals | None = None
    """Of the log of a path, or with ``counts``: the changed entries since the revision before; of the first, all are added."""


@dataclass(frozen=True, slots=True)
class Log(Page[Revision]):
    """``latest``: the top hash that latest points to, also where that line is on another page; None where it cannot be read."""

    latest: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder of a revision, as browse and stat answer it.

    For a folder ``size`` and ``entries`` sum what lies below it, ``hash`` and ``physical_key`` are None, ``path`` ends in '/'.
    ``metadata`` is user metadata (an entry's ``meta.user_meta``, or the directory's), None when there is none.
    ``uri`` is a quilt+ URI pinned to the full top hash.
    """

    path: str
    type: Literal["file", "folder"]
    size: int
    hash: Hash | None
    metadata: Any
    physical_key: str | None
    uri: str
    entries: int | None = None


@dataclass(frozen=True, slots=True)
class Readme:
    """The head of a package's README.md, which is data and no instruction. ``size`` is the whole file's, ``is_whole`` whether
    that was all. ``verified``: the file was read whole and has its recorded hash."""

    text: str
    size: int
    is_whole: bool
    verified: bool
    uri: str


@dataclass(frozen=True, slots=True)
class Browse:
    """A revision, and one page of what was asked of a folder in it. ``totals`` are the revision's; ``shown`` those of all rows on
    all pages."""

    registry: str
    name: str
    top_hash: str
    message: str | None
    modified: datetime | None
    metadata: Any
    workflow: Mapping[str, Any] | None
    totals: Totals
    shown: Totals
    path: str
    page: Page[Item]
    uri: str
    verified: bool | None = True
    """True: the manifest has the top hash. None: it is large, and this first answer comes ahead of the verdict."""
    extensions: Mapping[str, Totals] | None = None
    """Where asked for: the files at or below ``path`` by what their names end in ('.csv', '.fastq.gz', '' for nothing), the 20
    most frequent first, and under '*' all others. ``match`` does not count for it."""
    readme: Readme | None = None
    summary: Any = None
    """What quilt_summarize.json holds."""


ArchiveState = Literal["archived", "restoring", "restored"]


@dataclass(frozen=True, slots=True)
class Archive:
    """Of an object of a storage class (Glacier) whose bytes are to be restored before anybody can read them.

    ``storage_class`` as S3 names it. ``tier``: the archive of an object whose class moves it by itself. ``until``: when the
    restored copy is dropped, None where none can be read."""

    storage_class: str
    tier: str | None = None
    restoring: bool = False
    until: datetime | None = None

    @property
    def state(self) -> ArchiveState:
        if self.until is not None:
            return "restored"
        return "restoring" if self.restoring else "archived"

    @property
    def is_readable(self) -> bool:
        return self.until is not None

    @property
    def is_deepest(self) -> bool:
        return (self.tier or self.storage_class).startswith(DEEPEST)

    @property
    def comes_back(self) -> bool:
        """Whether a restore moves the object itself for good, so that no days are told."""
        return self.storage_class == _TIERED

    def wait(self, tier: str) -> str | None:
        """How long a restore takes; None where there is none of this tier."""
        return _WAITS.get((self.is_deepest, tier))

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        told: dict[str, Any] = {"storage_class": self.storage_class, "state": self.state}
        return told | ({} if self.until is None else {"until": self.until.isoformat()})


@dataclass(frozen=True, slots=True)
class ObjectListing:
    """An object, or a folder (common prefix, ``uri`` ends in '/'), of a bucket or a registry folder."""

    uri: str
    type: Literal["object", "folder"]
    size: int | None = None
    modified: datetime | None = None
    version: str | None = None
    link: Link | None = None
    archive: Archive | None = None
    """None of one that is not archived. In a listing it tells the storage class, and not whether it was restored."""


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """``uri``: the object that is meant, in its version. ``archive`` as it was found before, None of one that is not archived.

    ``state``: "asked" (now), "restoring" (by an earlier call), "restored", "archived" (a dry run: it would be asked), "plain".
    ``wait``: how long S3 takes for what was, or would be, asked."""

    uri: str
    state: Literal["asked", "restoring", "restored", "archived", "plain"]
    done: bool
    archive: Archive | None = None
    until: datetime | None = None
    wait: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a package file or an object. ``size`` is the whole file's; ``data`` starts at ``offset``.

    ``verified`` is True when the whole file was read and its size and hash agreed with the manifest.
    """

    uri: str
    data: bytes
    offset: int
    size: int
    media_type: str
    hash: Hash | None = None
    metadata: Any = None
    modified: datetime | None = None
    verified: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentHash:
    """The hash of all bytes of a file. ``recorded``: what a package's manifest says of them, a hash of the same type; None
    outside packages."""

    uri: str
    size: int
    found: Hash
    recorded: Hash | None = None
    recorded_size: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A link a person can open. ``expires`` None: it does not expire (a file URL, a catalog page)."""

    url: str
    kind: Literal["file", "presigned", "catalog"]
    expires: datetime | None
    uri: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UploadLink:
    """A request that whoever holds it may make, until it ``expires``: a PUT of exactly ``size`` bytes with these ``headers``,
    which makes the object ``uri`` and replaces none."""

    url: str
    headers: Mapping[str, str]
    size: int
    expires: datetime
    uri: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file of a package, with its link; ``link`` None where there can be none, which a warning of the page tells.

    ``storage_class``: of one that is archived, as the bucket lists the latest version at its key."""

    path: str
    size: int
    link: Link | None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class FolderLinks:
    """One page of the files at or below a folder of a package, ``uri``."""

    uri: str
    page: Page[FileLink]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What verify found wrong with one entry, or ('manifest') with the manifest, whose ``path`` is that in the registry."""

    path: str
    problem: Literal[
        "missing",
        "size",
        "hash",
        "not_allowed",
        "unreadable",
        "archived",
        "unsupported_hash",
        "extra",
        "manifest",
    ]
    """``archived``: it is to be restored before anybody can look at it. ``not_allowed``: this server may not look at the file, so
    it says nothing of it."""
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    uri: str
    ok: bool
    checked: Totals
    manifest_ok: bool
    """The manifest's own bytes hash to the revision's top hash."""
    problems: tuple[FileCheck, ...] = ()
    problem_count: int = 0
    warnings: tuple[str, ...] = ()
    checks: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many entries were checked by which hash type."""
    dest: str | None = None
    """The installed copy that was checked, where one was asked for."""


@dataclass(frozen=True, slots=True)
class SchemaListing:
    """A JSON Schema of a registry's workflows. ``content`` None: it is large, was not read, or has a ``problem``."""

    id: str
    url: str | None
    content: Any = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WorkflowListing:
    id: str
    name: str
    description: str | None
    is_default: bool
    is_message_required: bool
    handle_pattern: str | None
    metadata_schema: SchemaListing | None
    entries_schema: SchemaListing | None


@dataclass(frozen=True, slots=True)
class SuccessorListing:
    """A registry that packages are meant to be pushed on to."""

    url: str
    title: str
    copy_data: bool


@dataclass(frozen=True, slots=True)
class RegistryWorkflows:
    """What a registry demands of its revisions. ``config``: the address of its configuration, None where it has none."""

    config: str | None
    workflows: tuple[WorkflowListing, ...] = ()
    is_required: bool = False
    successors: tuple[SuccessorListing, ...] = ()
    warnings: tuple[str, ...] = ()
