"""QuiltOps: the one interface between the tools and whatever holds the data.

Four backends implement it; ``tests/contract`` says what every verb must do. A registry is named by its URL, a thing by a
quilt+ URI; what any verb returns as an address is accepted by every other. Verbs raise ``quilt_mcp.errors`` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.diff import Diff
from quilt_mcp.domain.listing import (
    STANDARD,
    Archive,
    Browse,
    Content,
    ContentHash,
    FolderLinks,
    Item,
    Link,
    Log,
    ObjectListing,
    PackageListing,
    Page,
    RegistryListing,
    RegistryWorkflows,
    RestoreOutcome,
    UploadLink,
    Verification,
)
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.domain.plan import (
    AdminChange,
    AdminOutcome,
    Commit,
    CopyRequest,
    CreateRequest,
    DeleteOutcome,
    InstallOutcome,
    PatchRequest,
    Plan,
    Progress,
    PutOutcome,
    Record,
    no_progress,
)
from quilt_mcp.domain.publication import SupportsPublishing
from quilt_mcp.domain.search.request import Found, SearchRequest
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.domain.sql import SqlFile, SqlRequest, SqlRows, SqlTable
from quilt_mcp.domain.table_diff import TableDiff, TableDiffRequest


class SupportsRoles(Protocol):
    """A user of a stack, who may have several roles."""

    async def signed_in(self) -> SignedIn:
        """Whom the stack takes the caller for. Raises AuthenticationError where it is nobody to it."""
        ...

    async def switch_role(self, role: str) -> SignedIn:
        """For every session of the user, a browser's too. Raises ReadOnly, StackRefused."""
        ...


class SupportsSearch(Protocol):
    async def search(
        self,
        request: SearchRequest,
        *,
        limit: int = 30,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> Found:
        """One page of what matches, in the order of ``request.sort``; ``limit`` 0: none, but the total and the facets. ``total``
        None: not told. What matches nothing has a warning ``no_match``, which says where was searched. Raises InvalidArgument for
        a field, a comparison or an order that the search lacks, NotSupported for an order or facets that this stack lacks,
        StackRefused for a query that it calls malformed."""
        ...

    async def learn_columns(self, uri: str, columns: Sequence[str]) -> None:
        """Notes the columns of a table that was looked into, ``uri`` a quilt+ one with its hash: the next search finds its
        package by them. Raises nothing; a search that has no use for them forgets them."""
        ...


class SupportsSql(Protocol):
    async def query(
        self,
        request: SqlRequest,
        *,
        limit: int = 100,
        room: int = 1 << 20,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> SqlRows:
        """The first rows of an answer, or those where ``cursor`` goes on, as many as ``room`` bytes of JSON hold, one at least.
        Pages are of one result, which is kept for a while. Reads only. Raises InvalidSql, SqlRefused (what no query may),
        TableNotFound, ColumnNotFound, TooCostly (time, memory), Undecodable (a file), HashMismatch, and InvalidArgument for a
        cursor whose result is gone (``reason`` cursor_expired)."""
        ...

    async def save(
        self, request: SqlRequest, form: str, *, most: int, progress: Progress = no_progress
    ) -> SqlFile:
        """All rows as a file, ``form`` parquet or csv. Raises as ``query``, and TooLarge for more than ``most`` bytes."""
        ...

    async def list_tables(self, request: SqlRequest, progress: Progress = no_progress) -> list[SqlTable]:
        """The tables that a query with the same ``packages`` may name, with their columns where they are few."""
        ...

    async def compare(self, request: TableDiffRequest, progress: Progress = no_progress) -> TableDiff:
        """Two files of packages as tables, whatever their formats; counts are exact. Raises EntryNotFound, NotATable,
        ColumnNotFound and DuplicateKey (keys that were given), TooCostly, Undecodable, HashMismatch."""
        ...

    def layers(self) -> Mapping[str, bool] | None:
        """What holds queries beside the gate on this machine; None before the first query."""
        ...

    async def close(self) -> None:
        """Ends the process that waits for the next query, whoever would ask it: for the end of a server."""
        ...


class SupportsAdministration(Protocol):
    """Things of some kinds that are listed, looked at and changed. Each raises InvalidArgument for a thing that there is not,
    StackRefused for what the stack does not take, PermissionDenied."""

    async def list(self, kind: str, narrowed: Record = MappingProxyType({})) -> Sequence[Record]: ...

    async def get(self, kind: str, name: str, given: Record = MappingProxyType({})) -> Record: ...

    async def change(self, request: AdminChange, *, dry_run: bool = False) -> AdminOutcome:
        """Reads the thing, merges what is given into it, and sends it where it still is as it was read. Not atomic: what others
        change in the moment between is lost. Raises ChangedMeanwhile, OutcomeUnknown, ReadOnly."""
        ...


class SupportsRestore(Protocol):
    """Objects in an archive storage class. ``uri``: a quilt+ URI of a file, or an object URI."""

    async def look(self, uri: str) -> Archive | None:
        """The state of an archived object; None of one that is not. One request for the object."""
        ...

    async def restore(
        self, uri: str, *, tier: str = STANDARD, days: int = 1, dry_run: bool = False
    ) -> RestoreOutcome:
        """Asks for a copy that can be read for some days (1 to 90), or that the one there is stays so long. Idempotent: nothing
        is asked of an object that is being restored, is restored for longer, or is not archived. Raises ReadOnly, InvalidArgument
        (a tier that the storage class lacks, a number of days), NotSupported for a local file."""
        ...


LEARNED = ("admin", "keys", "tables")
"""Abilities that hang on who is signed in: ``learn`` finds out."""
ABILITIES = ("roles", "restores", *LEARNED)
"""What not every backend has: attributes of QuiltOps, None where missing."""


class QuiltOps(Protocol):
    """What every backend can do. ``limit`` counts items (1 to 1000); ``cursor`` is a ``next_cursor`` of the same call."""

    @property
    def backend(self) -> str:
        """'local', 'iam', 'quilt3' or 'platform'; for display only, never to branch on."""
        ...

    @property
    def default_registry(self) -> str: ...

    @property
    def writable(self) -> bool:
        """Whether writes are switched on. Verbs that write raise ReadOnly when they are not; dry runs work either way."""
        ...

    @property
    def roles(self) -> SupportsRoles | None: ...

    @property
    def search(self) -> SupportsSearch: ...

    @property
    def sql(self) -> SupportsSql: ...

    @property
    def restores(self) -> SupportsRestore | None: ...

    @property
    def publications(self) -> SupportsPublishing | None:
        """For a shell alone; None where registries are not read by this process, or no catalogs are kept."""
        ...

    @property
    def is_outdated(self) -> bool:
        """Whether what it was opened for holds no more (a role was switched): the next call opens another."""
        ...

    async def look_again(self) -> None:
        """Sees now and then whether it is outdated. Raises nothing but what ends a call anyhow."""
        ...

    @property
    def admin(self) -> SupportsAdministration | None:
        """What administrators of a stack look after: ``user``, ``role``, ``policy``, ``bucket``, ``sso``, ``open_query``,
        ``key`` (of everybody), ``event_rule``, ``status``."""
        ...

    @property
    def keys(self) -> SupportsAdministration | None:
        """The user's own API keys (``key``). The secret of a new one goes into a file of this machine and nowhere else."""
        ...

    @property
    def tables(self) -> SupportsAdministration | None:
        """Tabulator tables (``table``) of the buckets that the user may write to."""
        ...

    async def learn(self) -> None:
        """Finds out, once, which of LEARNED there are; until then there are none. One request at most. Raises
        AuthenticationError, StorageUnavailable, and may then be asked again."""
        ...

    # -- packages, reading --

    async def list_buckets(self, *, limit: int = 100, cursor: str | None = None) -> Page[RegistryListing]: ...

    async def list_packages(
        self,
        registry: str,
        *,
        prefix: str = "",
        match: str = "",
        where: tuple[Condition, ...] = (),
        sort: str = "name",
        metadata: bool | tuple[str, ...] = False,
        detail: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[PackageListing]:
        """In one order for all pages, near to that of names. A malformed pointer is a warning of the page, never an error.

        ``match``: a pattern where it has a wildcard, else words that all stand in the name; case does not count. ``sort``: "name"
        or "-modified" (when latest was written). ``metadata``: that of each package's latest revision, True for all, or what
        stands at some JSON pointers, by pointer. ``detail``: its message, and its entries and bytes where its manifest is not
        too large. What is not in the listing is read for the page alone.

        ``where``: only packages whose latest revision meets all of it; see ``domain.where.Filter`` for what is compared. A column
        is a field of the metadata, a JSON pointer into it, or the package's own name, modified (ISO 8601, UTC) or message, also
        where the metadata has such a field (then ``/name``). Rows tell what is compared. Reads headers in the order of
        the listing, for 1,000 packages and some 64 MiB a call at most; a page that ends there has a ``next_cursor`` and the
        warning ``listing_paused``, and may be empty. ``total`` is then known only where one page looked at all.

        ``total`` is known in a folder, and in a bucket with ``match`` or "-modified", for which its pointers are listed as a
        whole, up to 100,000 (then ``listing_cut`` warns). Where there is no
        registry (no ``.quilt``) the list is empty and ``no_registry`` warns. Raises InvalidArgument for another sort or a match
        that is no pattern.
        """
        ...

    async def near_packages(self, registry: str, text: str) -> tuple[str, ...]:
        """A few names of packages that ``text`` was probably meant to be, or to begin, likeliest first. Some twenty requests at
        most."""
        ...

    async def resolve(self, package: PackageUri) -> PackageUri:
        """The same with the full ``top_hash`` (``path`` kept). Raises PackageNotFound, RevisionNotFound, AmbiguousHash."""
        ...

    async def log(
        self, package: PackageUri, *, counts: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Log:
        """Newest first; the revision of the URI is ignored.

        With ``package.path`` only the revisions in which that file or folder changed since the one before, and how; a file (no
        folder) is followed through renames, to the paths that it had before. ``counts``: how many entries each revision changed.
        Either compares neighbouring manifests, never bytes of files, and within bounds: a page may end before ``limit`` with
        ``next_cursor`` and the warning ``log_paused``. A manifest that cannot be read is warned of and passed over.
        """
        ...

    async def browse(
        self,
        package: PackageUri,
        *,
        recursive: bool = False,
        depth: int | None = None,
        match: str = "",
        sort: str = "path",
        with_extensions: bool = False,
        with_readme: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Browse:
        """The folder at ``package.path`` (None: the root). A cursor stays on the revision it began on.
        Raises EntryNotFound; NotAFile's opposite is no error: a file's path answers that one file.

        ``depth``: so many levels, of which the folders of the last are rows with sums, and those above none. ``recursive``: every
        file, unless ``depth`` is given. ``match``: only files that this pattern takes, read as one of ``Choice`` is (so over the
        whole path below the root, or as a name anywhere), however deep unless ``depth`` is given; for none, a
        warning names what is near. ``sort``: "path" (walk order),
        "size" or "-size". Raises InvalidArgument for another, and for a pattern or a depth that is none.

        ``with_extensions``: counts by extension of the folder, one pass through its lines that is remembered. ``with_readme``: on
        the first page of the root, the head of README.md and quilt_summarize.json: at most a read of each, once for the same
        bytes; a failure is a warning.
        """
        ...

    async def stat(self, package: PackageUri) -> Item:
        """The file or folder at ``package.path``."""
        ...

    async def read(self, package: PackageUri, *, offset: int = 0, length: int | None = None) -> Content:
        """Bytes of the file at ``package.path``. A read of the whole file is verified. Raises NotAFile, HashMismatch, TooLarge
        (more than 16 MiB asked for at once)."""
        ...

    async def hash(self, uri: str, *, progress: Progress = no_progress) -> ContentHash:
        """Reads all bytes of an entry (``uri`` is a quilt+ URI) or an object and hashes them on their way, in bounded memory: an
        entry's as its manifest does, an object's by SHA256. Bytes that are not as recorded are an answer and no error. Raises
        TooLarge (more than 8 GiB), NotAFile, NotSupported for a recorded type that is not known, HashMismatch for what is
        written to meanwhile."""
        ...

    async def link(self, uri: str, *, download: bool = False, expires_in: int = 3600) -> Link:
        """``uri``: a quilt+ URI or an object URI. Raises when the thing does not exist, and ObjectArchived where the link would
        open nothing. ``download``: one that brings the bytes, where a page of the catalog would be linked to; raises
        PermissionDenied where the stack wants nothing downloaded."""
        ...

    async def links(
        self,
        package: PackageUri,
        *,
        download: bool = False,
        expires_in: int = 3600,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Link | FolderLinks:
        """As ``link`` for the file at ``package.path``; of a folder, links to the files at or below it, or (unless ``download``)
        the catalog's page of the folder. Whether its files are there is not looked at: opening the manifest, and at most two
        listings of each bucket, are all requests. A cursor stays on the revision it began on. Raises EntryNotFound."""
        ...

    async def diff(
        self, before: PackageUri, after: PackageUri, *, limit: int = 100, cursor: str | None = None
    ) -> Diff:
        """Of two revisions, also of two packages. ``limit`` 0: totals, metadata and message alone. A path limits the diff to a
        folder or file, and the metadata of the packages is left out. It may stand in either; two that differ are InvalidArgument.
        One that neither revision has is warned of.
        """
        ...

    async def workflows(self, registry: str) -> RegistryWorkflows:
        """None at all where the registry has no configuration, which a warning says."""
        ...

    # -- objects --

    async def list_objects(
        self, location: str, *, links: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[ObjectListing]:
        """One level below ``location`` (``s3://bucket/prefix/``, ``file:///folder/``).

        ``links``: each object with a link, at no request more. A listing names no versions, so in a bucket it opens what
        stands at the key by then; ``link`` on a uri with a version opens that one.
        """
        ...

    async def stat_object(self, uri: str) -> ObjectListing:
        """With the state of an archived object."""
        ...

    async def read_object(self, uri: str, *, offset: int = 0, length: int | None = None) -> Content: ...

    async def put_object(
        self, uri: str, body: bytes, *, overwrite: bool = False, dry_run: bool = False
    ) -> PutOutcome:
        """Atomic. Raises AlreadyExists unless ``overwrite``."""
        ...

    async def upload_link(self, uri: str, *, size: int, expires_in: int = 3600) -> UploadLink:
        """A signed request by which anybody makes the object, of exactly ``size`` bytes. Raises AlreadyExists where it is there
        by now; where one comes in between, S3 refuses the request. Raises ReadOnly, TooLarge (more than 5 GiB), NotSupported
        without AWS credentials and for a local path, InvalidArgument as ``put_object``."""
        ...

    # -- packages, writing --

    async def plan_create(self, request: CreateRequest) -> Plan:
        """Reads what it needs, writes nothing, and raises what can be known before writing; what the registry's workflow has
        against the revision stands in the plan's ``faults``."""
        ...

    async def create(self, request: CreateRequest, progress: Progress = no_progress) -> Commit:
        """Plans and carries out. Atomic for readers: latest is the old revision or the new one. Raises WorkflowFailed with all
        faults in its details."""
        ...

    async def plan_patch(self, request: PatchRequest) -> Plan: ...

    async def patch(self, request: PatchRequest, progress: Progress = no_progress) -> Commit:
        """Raises StaleParent (details: expected, actual, and the plan against both) unless changes are disjoint and
        ``merge`` is set."""
        ...

    async def plan_copy(self, request: CopyRequest) -> Plan: ...

    async def copy(self, request: CopyRequest, progress: Progress = no_progress) -> Commit:
        """Onto its own name: a rollback, which moves latest alone and adds no line to the log, as quilt3's does."""
        ...

    async def delete(
        self, package: PackageUri, *, whole: bool = False, dry_run: bool = False
    ) -> DeleteOutcome:
        """The revision that a hash or tag names, or with ``whole`` the package that is named without; never a sibling. Raises
        InvalidArgument for a package named alone without ``whole``, and for a revision with it."""
        ...

    async def install(
        self,
        package: PackageUri,
        dest: str,
        *,
        overwrite: bool = False,
        dry_run: bool = False,
        progress: Progress = no_progress,
    ) -> InstallOutcome:
        """The file or folder at ``package.path``, or everything, into the local folder ``dest``; each file verified, then
        renamed into place. Raises AlreadyExists for a differing file unless ``overwrite``. Run again to resume."""
        ...

    async def verify(
        self, package: PackageUri, *, dest: str | None = None, progress: Progress = no_progress
    ) -> Verification:
        """Reads every byte below ``package.path`` where the manifest says they are (or, with ``dest``, the installed copy),
        and the manifest itself. With ``path`` a file, ``dest`` may be a file of any name that should be the same."""
        ...

    def describe(self) -> dict[str, Any]:
        """Abilities and limits, for ``status``: plain JSON, no secret. None (``null``) is what is not known before a write."""
        ...
